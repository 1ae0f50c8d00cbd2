/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker that misbehaves, as its environment says (DATABASE_URL, which the agent passes on to the
 * ship worker alone): what a worker that was taken over could try. It knows just enough of the
 * protocol.
 */
#include "bound.h"

#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define LINK 3
#define MIB  (1024UL * 1024)

static void send_text(const char *text)
{
	uint32_t n = (uint32_t)strlen(text);
	unsigned char head[4] = {(unsigned char)n, (unsigned char)(n >> 8),
				 (unsigned char)(n >> 16), (unsigned char)(n >> 24)};

	(void)!send(LINK, head, sizeof(head), MSG_NOSIGNAL);
	(void)!send(LINK, text, n, MSG_NOSIGNAL);
}

/* Takes what comes for so long, whatever it is; ends with the agent. */
static void read_for(int ms)
{
	static char buf[65536];
	struct pollfd p = {.fd = LINK, .events = POLLIN};

	while (poll(&p, 1, ms) > 0)
		if (recv(LINK, buf, sizeof(buf), 0) <= 0)
			_exit(0);
}

static void wait_for_ever(void)
{
	for (;;)
		pause();
}

/* Requests without end, as many at a time as the socket takes; replies are read and dropped. */
static void flood(void)
{
	static const char one[] = "\x13\0\0\0{\"op\":\"ship.state\"}";
	static char many[(sizeof(one) - 1) * 256], buf[65536];
	struct pollfd p = {.fd = LINK, .events = POLLIN | POLLOUT};
	size_t at = 0;

	for (size_t i = 0; i < sizeof(many); i++)
		many[i] = one[i % (sizeof(one) - 1)];
	while (poll(&p, 1, -1) > 0) {
		ssize_t n;

		if (p.revents & POLLIN && recv(LINK, buf, sizeof(buf), MSG_DONTWAIT) == 0)
			_exit(0);
		if (!(p.revents & POLLOUT))
			continue;
		n = send(LINK, many + at, sizeof(many) - at, MSG_DONTWAIT | MSG_NOSIGNAL);
		at = n > 0 ? (at + (size_t)n) % sizeof(many) : at;
	}
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* How many `changed` come in a second, in its exit status: counted over at least one second, and
 * over more where little comes, as the host may be busy. */
static void count(void)
{
	static char buf[1 << 20];
	struct pollfd p = {.fd = LINK, .events = POLLIN};
	long begin = now_ms(), passed = 0, n = 0;
	size_t have = 0, seen = 0;

	alarm(60);
	while (passed < 1000 || (n < 10 && passed < 20000)) {
		ssize_t got = poll(&p, 1, 10) > 0
				      ? recv(LINK, buf + have, sizeof(buf) - 1 - have, 0)
				      : 0;

		have += got > 0 ? (size_t)got : 0;
		for (; seen + 9 < have; seen++)
			n += memcmp(buf + seen, "\"changed\"", 9) == 0;
		passed = now_ms() - begin;
	}
	n = n * 1000 / passed;
	_exit(n < 100 ? (int)n : 100);
}

/* How much memory it gets, in its `ready`. */
static void grow(void)
{
	char text[128];
	unsigned long mib = 0;

	while (mib < 1024) {
		char *p = malloc(MIB);

		if (!p)
			break;
		memset(p, 1, MIB);
		mib++;
	}
	snprintf(text, sizeof(text), "{\"op\":\"ready\",\"detail\":\"%lu MiB\"}", mib);
	send_text(text);
}

int main(void)
{
	const char *mode = getenv("DATABASE_URL");
	static const struct {
		const char *mode, *text;
	} says[] = {
		{"fires", "{\"op\":\"fire\",\"id\":\"x\",\"principal\":\"token:x\"}"},
		{"ready-twice", "{\"op\":\"ready\"}"},
		{"garbage", "{\"op\":"},
		{"array", "[1]"},
		{"liar", "{\"op\":\"ship.state\",\"principal\":\"uid:0\"}"},
	};

	if (!mode || strcmp(mode, "quits") == 0)
		return 7;
	if (strcmp(mode, "grows") == 0) {
		grow();
		wait_for_ever();
	}
	if (strcmp(mode, "early") == 0)
		send_text("{\"op\":\"status\"}");
	send_text("{\"op\":\"ready\"}");
	if (strcmp(mode, "counts") == 0)
		count();
	read_for(100); /* the answer; `changed` of a quiet agent comes once a second */
	for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++)
		if (strcmp(mode, says[i].mode) == 0)
			send_text(says[i].text);
	if (strcmp(mode, "huge") == 0)
		(void)!send(LINK, "\xff\xff\xff\xff", 4, MSG_NOSIGNAL);
	if (strcmp(mode, "half") == 0)
		(void)!send(LINK, "\x10\0\0\0{\"op\"", 9, MSG_NOSIGNAL);
	if (strcmp(mode, "floods") == 0)
		flood();
	if (strcmp(mode, "deaf") == 0)
		wait_for_ever();
	read_for(-1);
	return 0;
}
