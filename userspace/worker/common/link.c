/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/common/link.h"

#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* The core says hello before it does anything else; a loaded host may take its time. */
#define HELLO_MS 10000

void sc_link_message_done(struct sc_link_message *m)
{
	free(m->text);
	m->text = NULL;
	m->size = 0;
	sc_close(&m->fd);
}

bool sc_link_is_event(const struct sc_link_message *m, const char *name)
{
	size_t head = strlen(SC_EVENT_HEAD), n = strlen(name);

	return m->kind == SC_LINK_EVENT && m->size > head + n &&
	       memcmp(m->text + head, name, n) == 0 && m->text[head + n] == '"';
}

/* Moves the message out of the reader. */
static void take_from_reader(struct sc_link *link, struct sc_link_message *m)
{
	const size_t head = strlen(SC_EVENT_HEAD);

	m->text = SC_TAKE_PTR(link->reader.data);
	m->size = link->reader.size;
	m->fd = SC_TAKE_FD(link->reader.fd);
	m->kind = m->size > head && memcmp(m->text, SC_EVENT_HEAD, head) == 0 ? SC_LINK_EVENT
									      : SC_LINK_REPLY;
	sc_frame_reader_reset(&link->reader);
}

static int wait_for(int fd, short events, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n = poll(&p, 1, timeout_ms);

	return n < 0 ? (errno == EINTR ? 0 : -errno) : n;
}

/* Milliseconds to the deadline; -1 = no deadline. */
static int left_ms(uint64_t deadline_ns)
{
	uint64_t now = sc_mono_ns();

	if (!deadline_ns)
		return -1;
	return deadline_ns > now ? (int)((deadline_ns - now) / SC_NS_PER_MS) + 1 : 0;
}

static uint64_t deadline_in(int timeout_ms)
{
	return timeout_ms < 0 ? 0 : sc_mono_ns() + (unsigned int)timeout_ms * SC_NS_PER_MS;
}

/* The next message off the wire: 1, 0 when the deadline (0 = none) passes first, or -errno. */
static int receive(struct sc_link *link, uint64_t deadline_ns, struct sc_link_message *m)
{
	for (;;) {
		int r = sc_frame_read(&link->reader, link->fd);
		int ms;

		if (r < 0)
			return r;
		if (r > 0) {
			take_from_reader(link, m);
			return 1;
		}
		ms = left_ms(deadline_ns);
		r = ms ? wait_for(link->fd, POLLIN, ms) : 0;
		if (r < 0)
			return r;
		if (r == 0 && deadline_ns && left_ms(deadline_ns) == 0)
			return 0;
	}
}

/* A reply must be due, and is so no longer. */
static int account(struct sc_link *link, struct sc_link_message *m)
{
	if (m->kind == SC_LINK_EVENT)
		return 0;
	if (!link->is_asking) {
		sc_link_message_done(m);
		return -EPROTO;
	}
	link->is_asking = false;
	return 0;
}

int sc_link_open_fd(struct sc_link *link, int fd, struct sc_link_message *hello)
{
	struct sc_link_message m = {.fd = -1};
	int type;
	socklen_t size = sizeof(type);
	int r;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		return -errno;
	*link = (struct sc_link){.fd = fd};
	sc_frame_reader_init_heap(&link->reader, SC_REPLY_SIZE_MAX);
	link->reader.takes_fd = true;
	r = receive(link, deadline_in(HELLO_MS), &m);
	if (r == 1 && sc_link_is_event(&m, SC_EVENT_HELLO)) {
		*hello = m;
		return 0;
	}
	sc_link_message_done(&m);
	link->fd = -1;
	sc_link_close(link);
	return r < 0 ? r : r == 0 ? -ETIMEDOUT : -EPROTO;
}

int sc_link_open(struct sc_link *link, struct sc_link_message *hello)
{
	/* Before anything is known, and long before the sandbox does the same: what runs as the
	 * same user must not look into it, or write there, while it waits for hello. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return -errno;
	return sc_link_open_fd(link, SC_LINK_FD, hello);
}

void sc_link_close(struct sc_link *link)
{
	for (unsigned int i = 0; i < link->n_kept; i++)
		sc_link_message_done(&link->kept[i]);
	link->n_kept = 0;
	sc_frame_reader_done(&link->reader);
	sc_close(&link->fd);
}

int sc_link_fd(const struct sc_link *link)
{
	return link->fd;
}

int sc_link_send(struct sc_link *link, const char *request, size_t size)
{
	struct sc_frame_writer writer;
	int r;

	SC_ASSERT(size >= 1 && size <= SC_REQUEST_SIZE_MAX);
	if (link->is_asking)
		return -EBUSY;
	sc_frame_writer_init(&writer, request, size);
	while ((r = sc_frame_write(&writer, link->fd)) == 0) {
		r = wait_for(link->fd, POLLOUT, -1);
		if (r < 0)
			return r;
	}
	link->is_asking = r == 1;
	return r < 0 ? r : 0;
}

int sc_link_take(struct sc_link *link, int timeout_ms, struct sc_link_message *m)
{
	struct sc_link_message got = {.fd = -1};
	int r;

	if (link->n_kept) {
		*m = link->kept[0];
		link->n_kept--;
		memmove(link->kept, link->kept + 1, link->n_kept * sizeof(link->kept[0]));
		return 1;
	}
	r = receive(link, deadline_in(timeout_ms), &got);
	if (r == 1)
		r = account(link, &got) < 0 ? -EPROTO : 1;
	if (r == 1)
		*m = got;
	return r;
}

/* Each `changed` tells everything that the one before told, so the old one gives way. Other events
 * each count: when they do not fit, the worker must not go on as if it had them. */
static int keep(struct sc_link *link, struct sc_link_message *m)
{
	for (unsigned int i = 0; i < link->n_kept; i++) {
		if (!sc_link_is_event(m, SC_EVENT_CHANGED) ||
		    !sc_link_is_event(&link->kept[i], SC_EVENT_CHANGED))
			continue;
		sc_link_message_done(&link->kept[i]);
		link->n_kept--;
		memmove(link->kept + i, link->kept + i + 1,
			(link->n_kept - i) * sizeof(link->kept[0]));
		break;
	}
	if (link->n_kept == SC_LINK_KEPT_MAX) {
		sc_link_message_done(m);
		return -ENOBUFS;
	}
	link->kept[link->n_kept++] = *m;
	return 0;
}

int sc_link_ask(struct sc_link *link, const char *request, size_t size,
		struct sc_link_message *reply)
{
	uint64_t deadline_ns = deadline_in(SC_LINK_ANSWER_MS);
	int r = sc_link_send(link, request, size);

	while (r == 0) {
		struct sc_link_message m = {.fd = -1};

		r = receive(link, deadline_ns, &m);
		if (r <= 0)
			return r == 0 ? -ETIMEDOUT : r;
		r = account(link, &m);
		if (r == 0 && m.kind == SC_LINK_REPLY) {
			*reply = m;
			return 0;
		}
		if (r == 0)
			r = keep(link, &m);
	}
	return r;
}

/* The core writes its members in one order: "exit" and "error" end each reply. */
static bool is_done(const struct sc_link_message *reply)
{
	return strstr(reply->text, "\"exit\":0,\"error\":null}") != NULL;
}

int sc_link_ready(struct sc_link *link, const char *detail)
{
	_cleanup_link_message_ struct sc_link_message reply = {.fd = -1};
	char room[512];
	struct sc_str request;
	struct sc_json j;
	int r;

	sc_str_init(&request, room, sizeof(room));
	sc_json_init(&j, &request);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "op", "ready");
	sc_json_member_text(&j, "detail", detail);
	sc_json_object_end(&j);
	if (request.truncated)
		return -E2BIG;
	r = sc_link_ask(link, request.data, request.len, &reply);
	if (r < 0)
		return r;
	return is_done(&reply) ? 0 : -EPERM;
}

/* Nothing but numbers stands before it. */
static void take_first(const struct sc_link_message *reply, uint64_t *first)
{
	static const char key[] = "\"first\":";
	const char *at = strstr(reply->text, key);
	uint64_t n = at ? strtoull(at + sizeof(key) - 1, NULL, 10) : 0;

	if (n)
		*first = n;
}

int sc_link_segment(struct sc_link *link, uint64_t number, uint64_t *first)
{
	_cleanup_link_message_ struct sc_link_message reply = {.fd = -1};
	char request[64];
	int n = snprintf(request, sizeof(request), "{\"op\":\"segment\",\"number\":%llu}",
			 (unsigned long long)number);
	int r = sc_link_ask(link, request, (size_t)n, &reply);

	if (r < 0)
		return r;
	take_first(&reply, first);
	return is_done(&reply) && reply.fd >= 0 ? SC_TAKE_FD(reply.fd) : -ENOENT;
}
