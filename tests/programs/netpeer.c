/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netpeer: a client and server of many protocols, told what to do by messages on the SOCK_SEQPACKET
 * socket that is its standard input. One line each way; between commands, and while a command
 * waits, it goes on serving. It ends with the socket, and after ten minutes in any case.
 *
 *	listen tcp|udp|unix ADDR PORT       ok PORT FD; serves an echo
 *	sink udp ADDR PORT                  ok PORT FD; counts datagrams and answers none
 *	adopt tcp|udp                       ok; serves the socket that came with the message
 *	open PROTO ADDR PORT MS             ok HANDLE; tcp, udp, loose (UDP that is not connected),
 *	                                    icmp, unix, packet
 *	talk HANDLE MS                      ok when the echo came; packet: ok when sent
 *	watch HANDLE MS                     waits for the end of an idle connection
 *	stream HANDLE US                    sends every US microseconds; 0 = no more
 *	volley ADDR PORT N                  ok SENT FAILED; N datagrams, each from a new socket
 *	count                               ok RECEIVED ACCEPTED SENT ECHOED FAILED
 *	close HANDLE                        ok
 *
 * What went wrong is one word: timeout, refused, reset, eof, aborted, eperm, unreach, or error N.
 */
#include "bound.h"
#include "netplace.h"

#include <poll.h>
#include <stdarg.h>
#include <sys/timerfd.h>
#include <time.h>

#define PLACES_MAX 128
#define LINE_MAX_  256
#define WORDS_MAX  6
#define LIFETIME_S 600

struct peer {
	struct place place[PLACES_MAX];
	int timer;
	struct place *streaming;
	uint64_t received, accepted, sent, echoed, failed;
	int given; /* descriptor that came with the last message, -1 = none */
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void answer(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void answer(const char *fmt, ...)
{
	char text[LINE_MAX_];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (send(STDIN_FILENO, text, (size_t)n, MSG_NOSIGNAL) != n)
		_exit(1);
}

static void answer_error(int err)
{
	static const struct {
		int err;
		const char *word;
	} words[] = {
		{ETIMEDOUT, "timeout"},   {EAGAIN, "timeout"},       {ECONNREFUSED, "refused"},
		{ECONNRESET, "reset"},    {EPIPE, "reset"},          {ENODATA, "eof"},
		{EPERM, "eperm"},         {ECONNABORTED, "aborted"}, {EHOSTUNREACH, "unreach"},
		{ENETUNREACH, "unreach"}, {EACCES, "unreach"}, /* v6: administratively prohibited */
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].err == err) {
			answer("%s", words[i].word);
			return;
		}
	answer("error %d", err);
}

static struct place *take_place(struct peer *p, enum role role, enum proto proto, int fd)
{
	for (size_t i = 0; i < PLACES_MAX && fd >= 0; i++)
		if (p->place[i].role == FREE) {
			p->place[i] = (struct place){.role = role, .proto = proto, .fd = fd};
			return &p->place[i];
		}
	return NULL;
}

static void give_place(struct peer *p, struct place *place)
{
	if (p->streaming == place)
		p->streaming = NULL;
	close(place->fd);
	place->role = FREE;
}

static void serve_datagrams(struct peer *p, struct place *s)
{
	union address from;
	socklen_t len = sizeof(from);
	char data[2048];
	ssize_t n = recvfrom(s->fd, data, sizeof(data), 0, &from.any, &len);

	if (n < 0)
		return;
	p->received++;
	if (s->role != SINK)
		sendto(s->fd, data, (size_t)n, 0, &from.any, len);
}

static void serve(struct peer *p, struct place *s)
{
	char data[2048];
	ssize_t n;

	if (s->role == SERVED) {
		n = read(s->fd, data, sizeof(data));
		if (n == 0 || (n < 0 && errno != EAGAIN) ||
		    (n > 0 && send(s->fd, data, (size_t)n, MSG_NOSIGNAL) != n))
			give_place(p, s);
	} else if (s->proto == UDP) {
		serve_datagrams(p, s);
	} else {
		int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		p->accepted += fd >= 0;
		if (fd >= 0 && !take_place(p, SERVED, s->proto, fd))
			close(fd);
	}
}

static void stream_once(struct peer *p)
{
	uint64_t ticks;

	if (read(p->timer, &ticks, sizeof(ticks)) != sizeof(ticks) || !p->streaming)
		return;
	if (send_next(p->streaming))
		p->failed++;
	else
		p->sent++;
}

static void collect_echo(struct peer *p)
{
	const bool is_stream = p->streaming->proto == TCP || p->streaming->proto == UNIX;
	uint32_t seq;
	int err = read_echo(p->streaming, &seq);

	p->echoed += seq != 0;
	if (err && err != EAGAIN && is_stream) {
		p->failed++;
		p->streaming = NULL; /* it would be readable for ever */
	}
}

/* Waits once, for what is to be served or for fd, and serves it. Returns what fd has; *served says
 * whether there was anything else. */
static short serve_once(struct peer *p, struct pollfd fd, int timeout_ms, bool *served)
{
	struct pollfd fds[PLACES_MAX + 2] = {fd, {.fd = p->timer, .events = POLLIN}};
	struct place *of[PLACES_MAX + 2];
	nfds_t n = 2;

	*served = false;
	for (size_t i = 0; i < PLACES_MAX; i++) {
		struct place *s = &p->place[i];

		if (s->role == FREE || s->fd == fd.fd || (s->role == CLIENT && s != p->streaming))
			continue;
		of[n] = s;
		fds[n++] = (struct pollfd){.fd = s->fd, .events = POLLIN};
	}
	if (poll(fds, n, timeout_ms) <= 0)
		return 0;
	if (fds[1].revents)
		stream_once(p);
	for (nfds_t i = 2; i < n; i++) {
		*served |= fds[i].revents != 0;
		if (fds[i].revents && of[i] == p->streaming)
			collect_echo(p);
		else if (fds[i].revents)
			serve(p, of[i]);
	}
	return fds[0].revents;
}

/* Serves until fd has one of these events (true) or the deadline passes; 0 = there is none. */
static bool wait_for(struct peer *p, int fd, short events, uint64_t deadline_ms)
{
	bool served;

	for (;;) {
		uint64_t now = now_ms();
		int left = now >= deadline_ms ? 0 : (int)(deadline_ms - now);

		if (serve_once(p, (struct pollfd){.fd = fd, .events = events},
			       deadline_ms ? left : -1, &served))
			return true;
		if (deadline_ms && now >= deadline_ms)
			return false;
	}
}

static uint64_t deadline_of(const char *ms)
{
	return now_ms() + strtoul(ms, NULL, 10);
}

static struct place *handle_of(struct peer *p, const char *text)
{
	unsigned long i = strtoul(text, NULL, 10);

	return i < PLACES_MAX && p->place[i].role == CLIENT ? &p->place[i] : NULL;
}

/* 0 or errno. */
static int connect_place(struct peer *p, struct place *c, uint64_t deadline_ms)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (c->proto == PACKET)
		return find_source(c) ? 0 : ENETUNREACH;
	if (c->proto == LOOSE)
		return 0;
	if (connect(c->fd, &c->to.any, address_len(&c->to)) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	if (!wait_for(p, c->fd, POLLOUT, deadline_ms))
		return ETIMEDOUT;
	return getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len) ? errno : err;
}

static void do_open(struct peer *p, char *const *w)
{
	enum proto proto = proto_of(w[1]);
	union address to = address_parse(w[2], w[3]);
	struct place *c = NULL;
	int err;

	if (proto < PROTO_COUNT)
		c = take_place(p, CLIENT, proto, make_socket(proto, to.any.sa_family));
	if (!c) {
		answer_error(errno);
		return;
	}
	c->to = to;
	err = connect_place(p, c, deadline_of(w[4]));
	if (!err) {
		answer("ok %d", (int)(c - p->place));
		return;
	}
	give_place(p, c);
	answer_error(err);
}

/* Waits for the echo of what was sent last; 0 or errno. */
static int await_echo(struct peer *p, struct place *c, uint64_t deadline_ms)
{
	uint32_t seq;

	for (;;) {
		int err;

		if (!wait_for(p, c->fd, POLLIN, deadline_ms))
			return ETIMEDOUT;
		err = read_echo(c, &seq);
		if (err && err != EAGAIN)
			return err;
		/* An older echo may come late, when what held it back was released. */
		if (!err && seq && seq == (c->proto == ICMP ? c->seq & 0xffff : c->seq))
			return 0;
	}
}

/* What an earlier datagram met is no answer to the next one. */
static void forget_error(const struct place *c)
{
	socklen_t len = sizeof(int);
	int err;

	if (c->proto == UDP || c->proto == LOOSE || c->proto == ICMP)
		getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
}

static void do_talk(struct peer *p, char *const *w)
{
	struct place *c = handle_of(p, w[1]);
	int err = EBADF;

	if (c) {
		forget_error(c);
		err = send_next(c);
	}
	if (!err && c->proto != PACKET)
		err = await_echo(p, c, deadline_of(w[2]));
	if (err)
		answer_error(err);
	else
		answer("ok");
}

static void do_watch(struct peer *p, char *const *w)
{
	struct place *c = handle_of(p, w[1]);
	uint64_t deadline_ms = deadline_of(w[2]);
	int err = c ? 0 : EBADF;
	uint32_t seq;

	while (!err)
		err = wait_for(p, c->fd, POLLIN, deadline_ms) ? read_echo(c, &seq) : ETIMEDOUT;
	answer_error(err);
}

static void do_serve(struct peer *p, char *const *w)
{
	enum proto proto = proto_of(w[1]);
	union address at = address_parse(w[2], w[3]);
	socklen_t len = sizeof(at);
	const int yes = 1;
	int fd = proto < PROTO_COUNT ? make_socket(proto, at.any.sa_family) : -1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (fd < 0 || bind(fd, &at.any, address_len(&at)) || (proto != UDP && listen(fd, 128)) ||
	    getsockname(fd, &at.any, &len) ||
	    !take_place(p, !strcmp(w[0], "sink") ? SINK : LISTENER, proto, fd)) {
		answer_error(errno);
		return;
	}
	answer("ok %d %d", ntohs(at.v4.sin_port), fd); /* the same place in v6 */
}

static void do_adopt(struct peer *p, char *const *w)
{
	int fd = p->given;

	p->given = -1;
	if (fd >= 0 && take_place(p, LISTENER, proto_of(w[1]), fd))
		answer("ok");
	else
		answer_error(EBADF);
}

static void do_stream(struct peer *p, char *const *w)
{
	struct place *c = handle_of(p, w[1]);
	unsigned long us = strtoul(w[2], NULL, 10);
	struct itimerspec every = {.it_interval = {.tv_sec = (time_t)(us / 1000000),
						   .tv_nsec = (long)(us % 1000000) * 1000}};

	every.it_value = every.it_interval;
	/* Echoes are still collected after the end of the stream. */
	p->streaming = c;
	if (!c || timerfd_settime(p->timer, 0, &every, NULL))
		answer_error(c ? errno : EBADF);
	else
		answer("ok");
}

static void do_volley(struct peer *p, char *const *w)
{
	const struct message m = {.magic = FRAME_MAGIC};
	union address to = address_parse(w[1], w[2]);
	unsigned long n = strtoul(w[3], NULL, 10), failed = 0;

	(void)p;
	for (unsigned long i = 0; i < n; i++) {
		int fd = make_socket(UDP, to.any.sa_family);

		failed += sendto(fd, &m, sizeof(m), 0, &to.any, address_len(&to)) < 0;
		close(fd);
	}
	answer("ok %lu %lu", n - failed, failed);
}

static void do_count(struct peer *p, char *const *w)
{
	bool served = true;

	(void)w;
	while (served) /* all that has come in belongs to the count */
		serve_once(p, (struct pollfd){.fd = -1}, 0, &served);
	answer("ok %llu %llu %llu %llu %llu", (unsigned long long)p->received,
	       (unsigned long long)p->accepted, (unsigned long long)p->sent,
	       (unsigned long long)p->echoed, (unsigned long long)p->failed);
}

static void do_close(struct peer *p, char *const *w)
{
	struct place *c = handle_of(p, w[1]);

	if (c)
		give_place(p, c);
	answer("%s", c ? "ok" : "error 9");
}

/* The next message in line, with the descriptor that came with it; false = the end. */
static bool read_message(struct peer *p, char line[static LINE_MAX_])
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec part = {.iov_base = line, .iov_len = LINE_MAX_ - 1};
	struct msghdr msg = {.msg_iov = &part,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(STDIN_FILENO, &msg, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	if (n <= 0)
		return false;
	line[n] = '\0';
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(&p->given, CMSG_DATA(c), sizeof(p->given));
	return true;
}

static const struct command {
	const char *name;
	int words; /* with its own */
	void (*run)(struct peer *p, char *const *words);
} commands[] = {
	{"adopt", 2, do_adopt},   {"close", 2, do_close}, {"count", 1, do_count},
	{"listen", 4, do_serve},  {"open", 5, do_open},   {"sink", 4, do_serve},
	{"stream", 3, do_stream}, {"talk", 3, do_talk},   {"volley", 4, do_volley},
	{"watch", 3, do_watch},
};

static void run_line(struct peer *p, char *line)
{
	char *words[WORDS_MAX + 1] = {NULL};
	char *rest = NULL;
	int n = 0;

	for (char *w = strtok_r(line, " \n", &rest); w && n < WORDS_MAX;
	     w = strtok_r(NULL, " \n", &rest))
		words[n++] = w;
	for (size_t i = 0; n && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i].name, words[0]) && commands[i].words == n) {
			commands[i].run(p, words);
			return;
		}
	answer_error(EINVAL);
}

int main(void)
{
	static struct peer peer = {.given = -1};
	char line[LINE_MAX_];

	bound_seconds(LIFETIME_S);
	peer.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (peer.timer < 0)
		return 1;
	while (wait_for(&peer, STDIN_FILENO, POLLIN, 0) && read_message(&peer, line))
		run_line(&peer, line);
	return 0;
}
