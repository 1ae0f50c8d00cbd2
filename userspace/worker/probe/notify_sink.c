/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/probe/notify_sink.h"

#include "worker/probe/prober.h"
#include "worker/probe/sysjournal.h"

#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <string.h>

/* Waits between attempts; one more attempt than there are waits. */
static const uint64_t waits_ns[] = {1 * SC_NS_PER_S, 5 * SC_NS_PER_S, 30 * SC_NS_PER_S};

static void begin(struct sc_sink *s);

/* --- what the core is told --- */

static void write_outcome(const struct sc_sink *s, const struct sc_notification *n,
			  enum sc_delivery delivery, const char *why, struct sc_json *j)
{
	sc_json_member_text(j, "kind", sc_record_kind_name(n->message->kind));
	sc_json_member_text(j, "fire", n->fields.fire[0] ? n->fields.fire : NULL);
	sc_json_member_bool(j, "ok", delivery == SC_DELIVERED);
	sc_json_member_text(j, "why", why[0] ? why : NULL);
	sc_json_member_u64(j, "attempts", s->attempts);
	sc_json_member_u64(j, "took_us", (sc_mono_ns() - s->started_ns) / SC_NS_PER_US);
}

/* n NULL: nothing but how many were dropped. */
static void report(struct sc_sink *s, const struct sc_notification *n, enum sc_delivery delivery,
		   const char *why)
{
	_cleanup_str_ struct sc_str request;
	struct sc_json j;

	sc_str_init_heap(&request);
	sc_json_init(&j, &request);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "op", "notify.done");
	sc_json_member_text(&j, "sink", s->name);
	sc_json_member_u64(&j, "seq", s->done);
	sc_json_member_u64(&j, "dropped", s->dropped);
	sc_json_member_u64(&j, "waiting", s->n_waiting);
	if (n)
		write_outcome(s, n, delivery, why, &j);
	sc_json_object_end(&j);
	if (request.truncated)
		return;
	s->dropped = 0;
	json_decref(sc_prober_ask(s->prober, request.data, request.len, NULL));
}

void sc_sink_tell_drops(struct sc_sink *s)
{
	if (s->dropped)
		report(s, NULL, SC_DELIVERED, "");
}

/* --- after an attempt --- */

static void pop(struct sc_sink *s)
{
	sc_notification_unref(&s->queue[s->head].n);
	s->head = (s->head + 1) % SC_SINK_QUEUE_MAX;
	s->n_waiting--;
	s->attempts = 0;
}

/* Done with the first of the queue, in one way or the other. */
static void settle(struct sc_sink *s, enum sc_delivery delivery, const char *why)
{
	struct sc_notification *n = sc_notification_ref(s->queue[s->head].n);

	s->done = n->seq;
	s->n_waiting--; /* as the core is told */
	report(s, n, delivery, why);
	s->n_waiting++;
	sc_notification_unref(&n);
	pop(s);
}

static void ended(struct sc_sink *s, enum sc_delivery delivery, const char *why)
{
	const struct sc_waiting *first = &s->queue[s->head];
	uint64_t now = sc_mono_ns(), at;

	s->is_under_way = false;
	if (delivery == SC_DELIVERY_RETRY && s->attempts <= SC_ARRAY_SIZE(waits_ns)) {
		at = now + waits_ns[s->attempts - 1];
		if (at - first->since_ns < SC_SINK_LIFETIME_NS) {
			sc_alarm_set(&s->prober->reactor, &s->again, at);
			return;
		}
	}
	settle(s, delivery, why);
	begin(s);
}

/* --- webhook --- */

static void on_http_done(void *owner, const struct sc_http_result *result)
{
	char why[SC_NOTIFY_WHY_MAX];
	struct sc_sink *s = owner;
	enum sc_delivery delivery;

	s->post = NULL;
	delivery = sc_webhook_judge(result, why, sizeof(why));
	ended(s, delivery, why);
}

/* The secret is read anew each time, and nowhere kept: it may have been changed. */
static int sign(struct sc_sink *s, struct sc_webhook_head *head, const struct sc_notification *n,
		int64_t unix_s, char *why)
{
	char secret[SC_SECRET_MAX + 1];
	_cleanup_close_ int fd = -1;
	char error[SC_SECRET_WHY_MAX];
	int r = sc_secret_ask(s->prober, "sink", s->name, &fd, error);
	ssize_t size;

	if (r < 0) {
		snprintf(why, SC_NOTIFY_WHY_MAX, "its secret cannot be read: %s", error);
		return r;
	}
	size = sc_secret_read(fd, false, secret);
	if (size < 0)
		snprintf(why, SC_NOTIFY_WHY_MAX, "its secret cannot be read: %s",
			 size == -ENODATA ? "the file is empty" : strerror((int)-size));
	else
		sc_webhook_sign(head, n, secret, (size_t)size, unix_s);
	sodium_memzero(secret, sizeof(secret));
	return size < 0 ? (int)size : 0;
}

/* Never unsigned where a signature is asked for. */
static int start_webhook(struct sc_sink *s, const struct sc_notification *n, char *why)
{
	int64_t unix_s = sc_time_now().real_ns / (int64_t)SC_NS_PER_S;
	struct sc_webhook_head head;
	struct sc_http_order order = {
		.url = s->url,
		.headers = head.list,
		.body = n->body,
		.size = n->size,
		.budget_ns = SC_SINK_BUDGET_NS,
		.done = on_http_done,
		.owner = s,
	};
	int r = 0;

	sc_webhook_head(&head, n, s->origin, s->name, unix_s);
	if (s->has_secret)
		r = sign(s, &head, n, unix_s, why);
	return r < 0 ? r : sc_http_start(&s->prober->reactor, &order, &s->post);
}

/* --- command --- */

static void on_exec_gone(void *owner)
{
	struct sc_sink *s = owner;

	s->exec = NULL;
	if (!s->is_under_way && !s->again.at_ns)
		begin(s);
}

static void on_exec_done(void *owner, const struct sc_exec_result *r)
{
	char why[SC_NOTIFY_WHY_MAX] = "";
	struct sc_sink *s = owner;
	const char *said = r->err[0] ? ": " : "";

	switch (r->end) {
	case SC_EXEC_EXITED:
		if (r->status == 0)
			break;
		snprintf(why, sizeof(why), "exit status %d%s%.160s", r->status, said, r->err);
		break;
	case SC_EXEC_SIGNALLED:
		snprintf(why, sizeof(why), "killed by signal %d%s%.160s", r->status, said, r->err);
		break;
	case SC_EXEC_NOT_RUN:
		snprintf(why, sizeof(why), "not run: %s: %s", r->step, strerror(r->status));
		break;
	case SC_EXEC_OVER_BUDGET:
		snprintf(why, sizeof(why), "over its budget of 10 s%s%.160s", said, r->err);
		break;
	case SC_EXEC_OVER_OUTPUT:
	case SC_EXEC_END_COUNT:
		snprintf(why, sizeof(why), "it says too much");
		break;
	}
	ended(s, why[0] ? SC_DELIVERY_RETRY : SC_DELIVERED, why);
}

static int start_command(struct sc_sink *s, const struct sc_notification *n)
{
	const struct sc_notify_fields *f = &n->fields;
	const char *const pairs[][2] = {
		{"SCRAM_EVENT", n->message->name},
		{"SCRAM_KIND", sc_record_kind_name(n->message->kind)},
		{"SCRAM_TEXT", n->text},
		{"SCRAM_HOST", s->origin->host},
		{"SCRAM_FIRE_ID", f->fire},
		{"SCRAM_CONDITION", f->condition},
		{"SCRAM_TARGET", f->target},
		{"SCRAM_COMPONENT", f->component},
		{"SCRAM_ACTION", f->action},
		{"SCRAM_OUTCOME", f->outcome},
		{"SCRAM_DRY_RUN", f->is_dry_run ? "1" : "0"},
	};
	struct sc_str line[SC_ARRAY_SIZE(pairs) + 1];
	const char *env[SC_ARRAY_SIZE(line) + 1] = {NULL};
	struct sc_exec_order order = {
		.argv = (char *const *)(uintptr_t)s->argv,
		.env = env,
		.input = n->body,
		.input_size = n->size,
		.budget_ns = SC_SINK_BUDGET_NS,
		.done = on_exec_done,
		.gone = on_exec_gone,
		.owner = s,
	};
	int r;

	_Static_assert(SC_ARRAY_SIZE(line) <= SC_EXEC_ENV_MAX, "they fit");
	for (size_t i = 0; i < SC_ARRAY_SIZE(line); i++) {
		sc_str_init_heap(&line[i]);
		if (i < SC_ARRAY_SIZE(pairs))
			sc_str_addf(&line[i], "%s=%s", pairs[i][0], pairs[i][1]);
		else
			sc_str_addf(&line[i], "SCRAM_SEQ=%" PRIu64, n->seq);
		env[i] = line[i].data;
	}
	r = sc_exec_start(&s->prober->execs, &order, &s->exec);
	for (size_t i = 0; i < SC_ARRAY_SIZE(line); i++)
		sc_str_done(&line[i]);
	return r;
}

/* --- journal --- */

static void tell_journal(struct sc_sink *s, const struct sc_notification *n)
{
	char why[SC_NOTIFY_WHY_MAX] = "";
	int r = sc_sysjournal_send(s->journal, n, s->origin);

	if (r == -ENOENT || r == -ECONNREFUSED)
		snprintf(why, sizeof(why), "no system journal listens at %s", s->journal);
	else if (r == -EAGAIN)
		snprintf(why, sizeof(why), "the system journal does not read");
	else if (r < 0)
		sc_strcopy(why, sizeof(why), strerror(-r));
	ended(s, r == 0 ? SC_DELIVERED : SC_DELIVERY_RETRY, why);
}

/* --- an attempt --- */

static int start(struct sc_sink *s, const struct sc_notification *n, char *why)
{
	return s->kind == SC_SINK_WEBHOOK ? start_webhook(s, n, why) : start_command(s, n);
}

/* At the first of the queue. */
static void try_first(struct sc_sink *s)
{
	const struct sc_waiting *first = &s->queue[s->head];
	char why[SC_NOTIFY_WHY_MAX] = "";
	int r;

	s->is_under_way = true;
	s->attempts++;
	s->started_ns = sc_mono_ns();
	if (s->started_ns - first->since_ns >= SC_SINK_LIFETIME_NS) {
		ended(s, SC_DELIVERY_REFUSED, "it waited for over 5 minutes behind others");
		return;
	}
	if (s->kind == SC_SINK_JOURNAL) {
		tell_journal(s, first->n);
		return;
	}
	r = start(s, first->n, why);
	if (r < 0)
		ended(s, SC_DELIVERY_RETRY, why[0] ? why : strerror(-r));
}

/* Goes on where there is something to do and nothing keeps it. */
static void begin(struct sc_sink *s)
{
	if (!s->is_under_way && !s->exec && !s->again.at_ns && s->n_waiting > 0)
		try_first(s);
}

static void on_again(void *owner)
{
	begin(owner);
}

void sc_sink_put(struct sc_sink *s, struct sc_notification *n)
{
	if (n->seq <= s->taken)
		return;
	s->taken = n->seq;
	/* The first is under way, or tried again: the one behind it goes. */
	if (s->n_waiting == SC_SINK_QUEUE_MAX) {
		unsigned int second = (s->head + 1) % SC_SINK_QUEUE_MAX;
		struct sc_waiting first = s->queue[s->head];

		sc_notification_unref(&s->queue[second].n);
		s->queue[second] = first;
		s->head = second;
		s->n_waiting--;
		s->dropped++;
	}
	s->queue[(s->head + s->n_waiting++) % SC_SINK_QUEUE_MAX] = (struct sc_waiting){
		.n = sc_notification_ref(n), .since_ns = sc_mono_ns()};
	begin(s);
}

void sc_sink_hold_back(struct sc_sink *s, const struct sc_notification *n)
{
	if (n->seq <= s->taken)
		return;
	s->taken = n->seq;
	s->dropped++;
}

/* --- begin and end --- */

static int kind_of(const json_t *def)
{
	static const char *const names[] = {
		[SC_SINK_WEBHOOK] = "webhook",
		[SC_SINK_COMMAND] = "command",
		[SC_SINK_JOURNAL] = "journal",
	};
	const char *kind = json_string_value(json_object_get(def, "kind"));

	_Static_assert(SC_ARRAY_SIZE(names) == SC_SINK_KIND_COUNT, "one name each");
	for (int k = 0; kind && k < SC_SINK_KIND_COUNT; k++)
		if (!strcmp(kind, names[k]))
			return k;
	return -EINVAL;
}

static bool take_command(struct sc_sink *s)
{
	const json_t *command = json_object_get(s->def, "command"), *argument;
	size_t i;

	s->argv = calloc(json_array_size(command) + 1, sizeof(*s->argv));
	if (!s->argv || json_array_size(command) == 0)
		return false;
	json_array_foreach (command, i, argument) {
		s->argv[i] = json_string_value(argument);
		if (!s->argv[i])
			return false;
	}
	return s->argv[0][0] == '/';
}

struct sc_sink *sc_sink_new(struct sc_prober *p, const struct sc_notify_origin *origin,
			    const json_t *def)
{
	_cleanup_(sc_sink_free) struct sc_sink *s = calloc(1, sizeof(*s));
	const char *name = json_string_value(json_object_get(def, "sink"));
	const char *url = json_string_value(json_object_get(def, "webhook"));
	int kind = kind_of(def);

	if (!s)
		return NULL;
	s->prober = p;
	s->origin = origin;
	s->def = json_deep_copy(def);
	s->again = (struct sc_alarm){.ring = on_again, .owner = s};
	s->journal = SC_SYSJOURNAL_SOCKET;
	if (kind < 0 || !name || !s->def || !sc_strcopy(s->name, sizeof(s->name), name))
		return NULL;
	s->kind = (enum sc_sink_kind)kind;
	s->has_secret = json_is_true(json_object_get(def, "has_secret"));
	s->done = (uint64_t)SC_MAX(json_integer_value(json_object_get(def, "from")), (json_int_t)1);
	s->taken = --s->done;
	s->url = url ? strdup(url) : NULL;
	if ((kind == SC_SINK_WEBHOOK && !s->url) || (kind == SC_SINK_COMMAND && !take_command(s)))
		return NULL;
	return SC_TAKE_PTR(s);
}

void sc_sink_free(struct sc_sink **sink)
{
	struct sc_sink *s = *sink;

	*sink = NULL;
	if (!s)
		return;
	if (s->exec)
		sc_exec_cancel(s->exec);
	if (s->post)
		sc_http_cancel(s->post);
	sc_alarm_stop(&s->again);
	while (s->n_waiting)
		pop(s);
	free(s->url);
	free(s->argv);
	json_decref(s->def);
	free(s);
}
