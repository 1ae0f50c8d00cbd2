/* SPDX-License-Identifier: Apache-2.0 */
/* The traffic with one peer: requests in, replies and events out, nothing ever waited for. */
#include "engine/control.h"

#include "base/clock.h"
#include "base/log.h"
#include "engine/ops.h"
#include "engine/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <linux/sockios.h>

static bool is_link(const struct sc_control_peer *p)
{
	return p >= p->control->peers + SC_CONTROL_PEERS_MAX;
}

static uint32_t link_of(const struct sc_control_peer *p)
{
	return (uint32_t)(p - p->control->peers) - SC_CONTROL_PEERS_MAX;
}

static struct sc_control_peer *peer_of(struct sc_control *c, uint32_t link)
{
	SC_ASSERT(link < SC_CONTROL_LINKS_MAX);
	return &c->peers[SC_CONTROL_PEERS_MAX + link];
}

void sc_control_peer_drop(struct sc_control_peer *p, const char *why)
{
	sc_loop_remove(p->control->loop, &p->watch);
	sc_close(&p->watch.fd);
	sc_frame_reader_done(&p->reader);
	sc_str_done(&p->reply);
	sc_close(&p->reply_fd);
	free(p->events);
	p->events = NULL;
	p->events_size = p->events_sent = 0;
	p->waiting = p->rests = p->is_replying = false;
	p->serial++;
	if (why && is_link(p))
		sc_workers_link_lost(p->control->engine, link_of(p), why);
}

static void update_interest(struct sc_control_peer *p)
{
	bool reads = !p->waiting && !p->rests;
	bool writes = p->reply.len || p->events_size;

	/* While nothing is asked for, a hang-up is still noticed. */
	(void)sc_loop_change(p->control->loop, &p->watch,
			     (reads ? EPOLLIN : 0U) | (writes ? EPOLLOUT : 0U));
}

/* 1 when the reply is out, 0 when the socket is full, or -errno. */
static int send_reply(struct sc_control_peer *p)
{
	int r;

	p->is_replying = true;
	r = sc_frame_write(&p->writer, p->watch.fd);
	if (r <= 0)
		return r;
	sc_str_done(&p->reply);
	sc_close(&p->reply_fd);
	sc_frame_reader_reset(&p->reader);
	p->is_replying = p->waiting = false;
	p->deadline_ns = is_link(p) ? 0 : sc_mono_ns() + SC_CONTROL_PEER_TIMEOUT_NS;
	return 1;
}

/* Likewise. Whole messages: a reply goes between two, not into one. */
static int send_events(struct sc_control_peer *p)
{
	while (p->events_sent < p->events_size) {
		ssize_t n = send(p->watch.fd, p->events + p->events_sent,
				 p->events_size - p->events_sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
		p->events_sent += (size_t)n;
	}
	p->events_size = p->events_sent = 0;
	return 1;
}

static void send_some(struct sc_control_peer *p)
{
	int r = 1;

	while (r > 0 && (p->reply.len || p->events_size))
		r = p->events_size && !p->is_replying ? send_events(p) : send_reply(p);
	if (r < 0)
		sc_control_peer_drop(p, "its link broke");
	else
		update_interest(p);
}

/* Each window that passed pays for a budget: one long answer is paid for by several. */
static void pay(struct sc_control *c, uint64_t now_ns)
{
	uint64_t windows = (now_ns - c->window_ns) / SC_LINK_WINDOW_NS;

	c->window_ns += windows * SC_LINK_WINDOW_NS;
	c->spent_ns -= SC_MIN(c->spent_ns, windows * SC_LINK_BUDGET_NS);
}

/* The links have used up what this window gives them: those that ask are read in a later one. */
static bool must_rest(struct sc_control_peer *p, uint64_t now_ns)
{
	struct sc_control *c = p->control;
	struct itimerspec spec = {0};
	uint64_t end_ns;

	pay(c, now_ns);
	if (c->spent_ns < SC_LINK_BUDGET_NS)
		return false;
	end_ns = c->window_ns + c->spent_ns / SC_LINK_BUDGET_NS * SC_LINK_WINDOW_NS;
	spec.it_value.tv_sec = (time_t)(end_ns / SC_NS_PER_S);
	spec.it_value.tv_nsec = (long)(end_ns % SC_NS_PER_S);
	p->rests = timerfd_settime(c->rest_timer.fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0;
	if (p->rests)
		update_interest(p);
	return p->rests;
}

void sc_control_end_rest(struct sc_control *c)
{
	for (uint32_t i = 0; i < SC_CONTROL_LINKS_MAX; i++) {
		struct sc_control_peer *p = peer_of(c, i);

		if (!p->rests)
			continue;
		p->rests = false;
		update_interest(p);
	}
}

static const char *lost_by(int r)
{
	return r == -ENODATA    ? "it closed its link"
	       : r == -EMSGSIZE ? "it announced a message beyond the bound"
				: "its link broke";
}

static void receive_some(struct sc_control_peer *p)
{
	struct sc_control *c = p->control;
	int r = sc_frame_read(&p->reader, p->watch.fd);

	if (r < 0) {
		sc_control_peer_drop(p, lost_by(r));
		return;
	}
	if (r == 0 && is_link(p) && p->deadline_ns == 0)
		p->deadline_ns = sc_mono_ns() + SC_CONTROL_PEER_TIMEOUT_NS;
	if (r == 0)
		return;
	p->waiting = true;
	p->deadline_ns = 0;
	/* Nothing more is read until the answer is out. */
	update_interest(p);
	sc_ops_serve(c->engine, &p->who, (struct sc_reply_to){(uint32_t)(p - c->peers), p->serial},
		     p->reader.data, p->reader.size);
}

static void receive_from_link(struct sc_control_peer *p)
{
	struct sc_control *c = p->control;
	uint64_t begin_ns = sc_mono_ns();

	if (must_rest(p, begin_ns))
		return;
	receive_some(p);
	c->spent_ns += sc_mono_ns() - begin_ns;
}

static void peer_ready(void *owner, uint32_t events)
{
	struct sc_control_peer *p = owner;

	if (events & EPOLLOUT)
		send_some(p);
	else if (!(events & EPOLLIN))
		sc_control_peer_drop(p, "it closed its link");
	else if (is_link(p))
		receive_from_link(p);
	else
		receive_some(p);
}

void sc_control_peer_init(struct sc_control *c, struct sc_control_peer *p)
{
	*p = (struct sc_control_peer){
		.watch = {.fd = -1, .ready = peer_ready, .owner = p},
		.control = c,
		.reply_fd = -1,
	};
}

int sc_control_peer_begin(struct sc_control_peer *p, int fd, const struct sc_principal *who)
{
	int r;

	p->who = *who;
	p->waiting = p->rests = p->is_replying = false;
	p->deadline_ns = sc_mono_ns() + SC_CONTROL_PEER_TIMEOUT_NS;
	p->watch.fd = fd;
	r = sc_loop_add(p->control->loop, &p->watch, EPOLLIN);
	if (r < 0) {
		p->watch.fd = -1;
		return r;
	}
	sc_frame_reader_init_heap(&p->reader, SC_REQUEST_SIZE_MAX);
	return 0;
}

/* Takes the reply over and lets it be sent when the loop comes to it. */
static void begin_reply(struct sc_control_peer *p, struct sc_str *reply, int fd)
{
	p->reply = *reply;
	*reply = (struct sc_str){0};
	p->reply_fd = fd;
	sc_frame_writer_init(&p->writer, p->reply.data, p->reply.len);
	p->writer.fd = fd;
	p->deadline_ns = sc_mono_ns() + SC_CONTROL_PEER_TIMEOUT_NS;
	update_interest(p);
}

void sc_control_reply_fd(struct sc_control *c, struct sc_reply_to to, struct sc_str *reply, int fd)
{
	struct sc_control_peer *p = to.place < SC_CONTROL_PLACES ? &c->peers[to.place] : NULL;
	_cleanup_close_ int owned = fd;

	if (!p || p->watch.fd < 0 || p->serial != to.serial || !p->waiting) {
		sc_str_done(reply);
		return;
	}
	if (reply->truncated || reply->len == 0 || reply->len > SC_REPLY_SIZE_MAX) {
		sc_log_error("reply to uid %u dropped: %zu bytes%s", p->who.uid, reply->len,
			     reply->truncated ? ", out of memory" : "");
		sc_str_done(reply);
		sc_control_peer_drop(p, "its reply was too large");
		return;
	}
	begin_reply(p, reply, SC_TAKE_FD(owned));
}

void sc_control_reply(struct sc_control *c, struct sc_reply_to to, struct sc_str *reply)
{
	sc_control_reply_fd(c, to, reply, -1);
}

int sc_control_link(struct sc_control *c, uint32_t link, struct sc_link_begin *begin)
{
	struct sc_control_peer *p = peer_of(c, link);
	_cleanup_close_ int along = -1;
	_cleanup_free_ char *events = malloc(SC_LINK_EVENTS_MAX);
	int r;

	SC_ASSERT(p->watch.fd < 0 && !begin->hello.truncated);
	if (begin->listener_fd >= 0)
		along = fcntl(begin->listener_fd, F_DUPFD_CLOEXEC, 0);
	if (!events || (begin->listener_fd >= 0 && along < 0))
		return events ? -errno : -ENOMEM;
	r = sc_control_peer_begin(p, begin->fd, &begin->who);
	if (r < 0)
		return r;
	begin->fd = -1;
	p->events = SC_TAKE_PTR(events);
	p->waiting = true;
	p->is_replying = true; /* no event goes before it */
	begin_reply(p, &begin->hello, SC_TAKE_FD(along));
	return 0;
}

void sc_control_unlink(struct sc_control *c, uint32_t link)
{
	struct sc_control_peer *p = peer_of(c, link);

	if (p->control && p->watch.fd >= 0)
		sc_control_peer_drop(p, NULL);
}

int sc_control_tell(struct sc_control *c, uint32_t link, const char *event, size_t n)
{
	struct sc_control_peer *p = peer_of(c, link);
	struct sc_frame_writer frame;

	if (!p->control || p->watch.fd < 0)
		return -ENOTCONN;
	if (p->events_sent) {
		p->events_size -= p->events_sent;
		memmove(p->events, p->events + p->events_sent, p->events_size);
		p->events_sent = 0;
	}
	if (p->events_size + SC_FRAME_HEADER_SIZE + n > SC_LINK_EVENTS_MAX)
		return -ENOBUFS;
	sc_frame_writer_init(&frame, event, n);
	memcpy(p->events + p->events_size, frame.header, SC_FRAME_HEADER_SIZE);
	memcpy(p->events + p->events_size + SC_FRAME_HEADER_SIZE, event, n);
	p->events_size += SC_FRAME_HEADER_SIZE + n;
	update_interest(p);
	return 0;
}

size_t sc_control_unread(const struct sc_control *c, uint32_t link)
{
	const struct sc_control_peer *p = &c->peers[SC_CONTROL_PEERS_MAX + link];
	int n = 0;

	if (p->watch.fd < 0 || ioctl(p->watch.fd, SIOCOUTQ, &n) < 0)
		return 0;
	return (size_t)n;
}
