/* SPDX-License-Identifier: Apache-2.0 */
/* What is said between the ship worker and the core. */
#include "worker/ship/ship.h"

#include "base/clock.h"
#include "base/json.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <string.h>

/* The core ends it soon after what it told; this is against a slip. */
#define FAREWELL_MS_MAX 10000ULL

static uint64_t number_of(const json_t *root, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(root, key));

	return n > 0 ? (uint64_t)n : 0;
}

static void take_message(struct sc_ship *s, const struct sc_link_message *m)
{
	json_t *root;

	if (!sc_link_is_event(m, SC_EVENT_CHANGED) && !sc_link_is_event(m, SC_EVENT_STOP))
		return;
	root = json_loadb(m->text, m->size, JSON_REJECT_DUPLICATES, NULL);
	s->newest = SC_MAX(s->newest, number_of(root, "seq"));
	if (sc_link_is_event(m, SC_EVENT_STOP)) {
		s->stops = true;
		s->stop_seq = s->newest;
		s->stop_ns = sc_mono_ns() +
			     SC_MIN(number_of(root, "within_ms"), FAREWELL_MS_MAX) * SC_NS_PER_MS;
	}
	json_decref(root);
}

/* Nothing is left to do, or no way or time to do it. */
static bool is_over(const struct sc_ship *s)
{
	return s->stops &&
	       (!s->is_connected || s->cursor >= s->stop_seq || sc_mono_ns() >= s->stop_ns);
}

static int end(struct sc_ship *s, int error)
{
	if (error < 0 && !s->link_error)
		s->link_error = error;
	return -ECANCELED;
}

/* Takes all that has come: how many, or -ECANCELED. */
static int drain(struct sc_ship *s)
{
	int n = 0;

	for (;; n++) {
		_cleanup_link_message_ struct sc_link_message m = {.fd = -1};
		int r = sc_link_take(s->link, 0, &m);

		if (r < 0)
			return end(s, r);
		if (r == 0)
			return is_over(s) ? -ECANCELED : n;
		take_message(s, &m);
	}
}

int sc_ship_wait(void *ship, int fd, short events, uint64_t deadline_ns)
{
	struct sc_ship *s = ship;

	for (;;) {
		struct pollfd p[] = {{.fd = sc_link_fd(s->link), .events = POLLIN},
				     {.fd = fd, .events = events}};
		int n = drain(s);
		uint64_t until = s->stops ? SC_MIN(deadline_ns, s->stop_ns) : deadline_ns;
		uint64_t now = sc_mono_ns();
		uint64_t left = until > now ? until - now : 0;

		if (n < 0)
			return n;
		if (n > 0 && fd < 0)
			return 1;
		n = poll(p, 2, (int)((left + SC_NS_PER_MS - 1) / SC_NS_PER_MS));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && p[1].revents)
			return 1;
		if (n == 0 && left == 0 && until == deadline_ns)
			return 0;
	}
}

/* Asks, and gives the parsed reply, the caller's; NULL with -ECANCELED noted when there is none. */
static json_t *ask(struct sc_ship *s, const struct sc_str *request)
{
	_cleanup_link_message_ struct sc_link_message reply = {.fd = -1};
	int r = request->truncated ? -E2BIG
				   : sc_link_ask(s->link, request->data, request->len, &reply);
	json_t *root = r == 0 ? json_loadb(reply.text, reply.size, JSON_REJECT_DUPLICATES, NULL)
			      : NULL;

	if (!root)
		(void)end(s, r < 0 ? r : -EPROTO);
	return root;
}

static void add_errors(const struct sc_ship *s, struct sc_json *j)
{
	static const char *const names[] = {
		[SC_PG_OUT_OF_WINDOW] = "out_of_window",
		[SC_PG_MALFORMED] = "malformed",
		[SC_PG_OTHER] = "transient",
	};
	static_assert(SC_ARRAY_SIZE(names) == SC_PG_CLASS_COUNT, "one name for each class");

	sc_json_key(j, "errors");
	sc_json_object_begin(j);
	for (int i = 0; i < SC_PG_CLASS_COUNT; i++) {
		if (!s->errors[i].count)
			continue;
		sc_json_key(j, names[i]);
		sc_json_object_begin(j);
		sc_json_member_u64(j, "count", s->errors[i].count);
		sc_json_member_text(j, "last", s->errors[i].last);
		sc_json_object_end(j);
	}
	sc_json_object_end(j);
}

int sc_ship_report(struct sc_ship *s)
{
	/* Five texts, of which each byte takes six at worst. */
	char room[6 * 5 * SC_PG_ERROR_MAX + 1024];
	struct sc_str request;
	struct sc_json j;
	json_t *reply;

	sc_str_init(&request, room, sizeof(room));
	sc_json_init(&j, &request);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "op", "ship.state");
	sc_json_member_bool(&j, "connected", s->is_connected);
	sc_json_member_u64(&j, "shipped", s->cursor);
	sc_json_member_u64(&j, "transient", s->transient);
	sc_json_member_u64(&j, "refused", s->refused);
	sc_json_member_text(&j, "failure", s->error[0] ? s->error : NULL);
	sc_json_member_text(&j, "fork", s->alarm[0] ? s->alarm : NULL);
	add_errors(s, &j);
	sc_json_object_end(&j);
	reply = ask(s, &request);
	if (!reply)
		return -ECANCELED;
	s->durable = SC_MAX(s->durable, number_of(reply, "durable"));
	s->newest = SC_MAX(s->newest, s->durable);
	s->reported_ns = sc_mono_ns();
	json_decref(reply);
	return 0;
}

int sc_ship_quarantine(struct sc_ship *s, uint64_t seq, const struct sc_str *line, const char *why)
{
	_cleanup_str_ struct sc_str request;
	struct sc_json j;
	json_t *reply;
	int r;

	sc_str_init_heap(&request);
	sc_json_init(&j, &request);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "op", "ship.quarantine");
	sc_json_member_u64(&j, "seq", seq);
	sc_json_member_text(&j, "record", line->data);
	sc_json_member_text(&j, "reason", why);
	sc_json_object_end(&j);
	reply = ask(s, &request);
	if (!reply)
		return -ECANCELED;
	r = json_integer_value(json_object_get(reply, "exit")) == SC_EXIT_DONE ? 0 : -EREMOTEIO;
	if (r < 0)
		sc_pg_note(&s->pg, SC_PG_TRANSIENT, "the agent does not put the record aside");
	json_decref(reply);
	return r;
}

int sc_ship_open_segment(void *ship, uint64_t number)
{
	struct sc_ship *s = ship;
	int fd = sc_link_segment(s->link, number, &s->reader.first);

	/* ENOENT is the answer; all else says that there was none. */
	return fd >= 0 || fd == -ENOENT ? fd : end(s, fd);
}
