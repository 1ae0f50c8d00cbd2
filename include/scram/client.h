/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * For programs that scram supervises: tells the agent that one is alive and what it is doing, so
 * that conditions can speak of app.heartbeat_age, app.queue_depth, app.session_age and
 * app.gauge_1 to app.gauge_8 of its cgroup. This header is all there is; C11, nothing to link.
 *
 *	struct scram_client scram;
 *
 *	scram_client_open(&scram, NULL);
 *	for (;;) {
 *		serve_one_request();
 *		scram_client_heartbeat(&scram);
 *	}
 *
 * No call waits, raises a signal or prints. All are harmless when no agent runs, and go through
 * again once one does; what they return may be ignored: 0, or -errno (-ENOENT and -ECONNREFUSED: no
 * agent; -EAGAIN: it has more to read than it can, report again later). The agent learns from the
 * kernel which cgroup a report comes from: nobody reports for another. It takes 50 reports a second
 * of one cgroup. A client belongs to one thread, or is locked by its user.
 */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SCRAM_CLIENT_SOCKET "/run/scram/notify.sock"

struct scram_client {
	int fd;
	struct sockaddr_un agent;
};

/*
 * path is the agent's notify socket; NULL is the one that the environment's SCRAM_NOTIFY_SOCKET
 * names, or else SCRAM_CLIENT_SOCKET. After a failure the other calls return -EBADF.
 */
static inline int scram_client_open(struct scram_client *c, const char *path)
{
	size_t n;

	memset(c, 0, sizeof(*c));
	c->fd = -1;
	c->agent.sun_family = AF_UNIX;
	if (!path)
		path = getenv("SCRAM_NOTIFY_SOCKET");
	if (!path || !path[0])
		path = SCRAM_CLIENT_SOCKET;
	n = strlen(path);
	if (n >= sizeof(c->agent.sun_path))
		return -ENAMETOOLONG;
	memcpy(c->agent.sun_path, path, n + 1);
	c->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return c->fd < 0 ? -errno : 0;
}

static inline void scram_client_close(struct scram_client *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
}

/* One or more lines KEY=VALUE at once, at most 512 bytes, for instance
 * "HEARTBEAT=1\nQUEUE_DEPTH=17". The agent takes all of it or, when a line is wrong, nothing. */
static inline int scram_client_report(struct scram_client *c, const char *lines)
{
	ssize_t n;

	if (c->fd < 0)
		return -EBADF;
	/* Named anew each time: the socket of an agent that was restarted is another one. */
	n = sendto(c->fd, lines, strlen(lines), MSG_DONTWAIT | MSG_NOSIGNAL,
		   (const struct sockaddr *)&c->agent, sizeof(c->agent));
	return n < 0 ? -errno : 0;
}

/* It is alive and gets on: to be called from where the work is done, not from a timer. */
static inline int scram_client_heartbeat(struct scram_client *c)
{
	return scram_client_report(c, "HEARTBEAT=1");
}

/* Which session, run or job it works on: 1 to 64 of A-Z a-z 0-9 . _ : - */
static inline int scram_client_session(struct scram_client *c, const char *id)
{
	char line[80];
	int n = snprintf(line, sizeof(line), "SESSION=%s", id);

	return n < 0 || (size_t)n >= sizeof(line) ? -EINVAL : scram_client_report(c, line);
}

static inline int scram_client_number_(struct scram_client *c, const char *key, double value)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "%s=%.15g", key, value);

	if (n < 0 || (size_t)n >= sizeof(line) || value - value != 0)
		return -EINVAL;
	/* Some locales write another decimal point. */
	for (char *at = strchr(line, '=') + 1; *at; at++)
		if (!strchr("0123456789+-e", *at))
			*at = '.';
	return scram_client_report(c, line);
}

/* Work that waits; not negative. */
static inline int scram_client_queue_depth(struct scram_client *c, double depth)
{
	return depth < 0 ? -EINVAL : scram_client_number_(c, "QUEUE_DEPTH", depth);
}

/* A number of its own, which conditions know as app.gauge_1 to app.gauge_8. Finite. */
static inline int scram_client_gauge(struct scram_client *c, unsigned int number, double value)
{
	char key[] = "GAUGE_0";

	if (number < 1 || number > 8)
		return -EINVAL;
	key[sizeof(key) - 2] = (char)('0' + number);
	return scram_client_number_(c, key, value);
}
