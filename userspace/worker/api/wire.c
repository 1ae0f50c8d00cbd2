/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/api/wire.h"

#include "base/clock.h"
#include "base/mem.h"
#include "worker/api/gate.h"

#include <errno.h>
#include <sys/socket.h>

/* Read and thrown away before a refused connection is closed: bytes left unread would reset it, and
 * take the answer with them. */
#define DRAIN_MAX (256 * 1024)

struct connection {
	struct sc_gate gate;
	uint64_t began_ns; /* the request under way, CLOCK_MONOTONIC; 0 = none */
	uint64_t served;   /* requests that came out of the library */
	bool is_tcp, is_refused;
};

/* Static, because recv(2) has no room for an argument. */
static struct {
	struct connection *connections[SC_WIRE_FDS_MAX]; /* by descriptor */
	uint64_t refused[SC_WIRE_STATUSES_MAX];
} wire;

ssize_t sc_wire_recv(int fd, void *buf, size_t n, int flags) __asm__("recv");

static struct connection *find(int fd)
{
	return fd >= 0 && fd < SC_WIRE_FDS_MAX ? wire.connections[fd] : NULL;
}

int sc_wire_open(int fd, bool is_tcp)
{
	struct connection *c;

	if (fd < 0 || fd >= SC_WIRE_FDS_MAX)
		return -EMFILE;
	SC_ASSERT(!wire.connections[fd]);
	c = malloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	sc_gate_init(&c->gate);
	c->began_ns = sc_mono_ns(); /* who connects and says nothing has as long as who is slow */
	c->served = 0;
	c->is_tcp = is_tcp;
	c->is_refused = false;
	wire.connections[fd] = c;
	return 0;
}

void sc_wire_close(int fd)
{
	struct connection *c = find(fd);

	if (!c)
		return;
	wire.connections[fd] = NULL;
	free(c);
}

bool sc_wire_is_tcp(int fd)
{
	const struct connection *c = find(fd);

	return !c || c->is_tcp;
}

bool sc_wire_has_passed(int fd)
{
	struct connection *c = find(fd);

	return c && ++c->served <= c->gate.heads;
}

static const char *phrase(unsigned int status)
{
	static const struct {
		unsigned int status;
		const char *phrase;
	} phrases[] = {
		{400, "Bad Request"},
		{408, "Request Timeout"},
		{411, "Length Required"},
		{413, "Content Too Large"},
		{414, "URI Too Long"},
		{417, "Expectation Failed"},
		{431, "Request Header Fields Too Large"},
		{501, "Not Implemented"},
		{503, "Service Unavailable"},
		{505, "HTTP Version Not Supported"},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(phrases); i++)
		if (phrases[i].status == status)
			return phrases[i].phrase;
	return "Refused";
}

void sc_wire_refuse(int fd, unsigned int status, const char *why)
{
	char body[256], answer[512], drain[4096];
	int size = snprintf(body, sizeof(body), "{\"detail\":\"%s\"}", why);
	int n = snprintf(answer, sizeof(answer),
			 "HTTP/1.1 %u %s\r\nContent-Type: application/json\r\n"
			 "Content-Length: %d\r\nConnection: close\r\n\r\n%s",
			 status, phrase(status), size, body);

	SC_ASSERT(status < SC_WIRE_STATUSES_MAX);
	wire.refused[status]++;
	(void)send(fd, answer, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_WR);
	for (size_t got = 0; got < DRAIN_MAX;) {
		ssize_t r = recvfrom(fd, drain, sizeof(drain), MSG_DONTWAIT, NULL, NULL);

		if (r <= 0)
			break;
		got += (size_t)r;
	}
}

uint64_t sc_wire_refused(unsigned int status)
{
	return status < SC_WIRE_STATUSES_MAX ? wire.refused[status] : 0;
}

static void refuse(int fd, struct connection *c)
{
	if (c->is_refused)
		return;
	c->is_refused = true;
	sc_wire_refuse(fd, c->gate.status, c->gate.why);
}

void sc_wire_answered(int fd)
{
	struct connection *c = find(fd);
	char byte;

	if (!c || c->served < c->gate.heads)
		return;
	if (c->gate.status)
		refuse(fd, c);
	else if (recvfrom(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT, NULL, NULL) != 0)
		return;
	/* Wakes the library. It reads no more by itself: neither behind what was refused, nor the
	 * end of a connection that came together with its last request. */
	(void)shutdown(fd, SHUT_RD);
}

ssize_t sc_wire_recv(int fd, void *buf, size_t n, int flags)
{
	struct connection *c = find(fd);
	ssize_t got;
	size_t passed;

	if (!c)
		return recvfrom(fd, buf, n, flags, NULL, NULL);
	if (c->gate.status) {
		refuse(fd, c);
		return 0;
	}
	got = recvfrom(fd, buf, n, flags, NULL, NULL);
	if (got <= 0)
		return got;
	passed = sc_gate_feed(&c->gate, buf, (size_t)got);
	if (!c->gate.has_begun)
		c->began_ns = 0;
	else if (!c->began_ns)
		c->began_ns = sc_mono_ns();
	if (c->gate.status && passed == 0)
		refuse(fd, c);
	return (ssize_t)passed;
}

void sc_wire_expire(uint64_t mono_ns)
{
	for (int fd = 0; fd < SC_WIRE_FDS_MAX; fd++) {
		struct connection *c = wire.connections[fd];

		if (!c || c->is_refused || !c->began_ns ||
		    mono_ns - c->began_ns < SC_WIRE_REQUEST_NS)
			continue;
		c->gate.status = 408;
		c->gate.why = "a request takes 10 s at most";
		refuse(fd, c);
		(void)shutdown(fd, SHUT_RD);
	}
}
