/* SPDX-License-Identifier: Apache-2.0 */
/* scram notify KEY=VALUE...: a report for the cgroup it is called in, through the socket that
 * programs use. */
#include "base/clock.h"
#include "cli/ask.h"
#include "engine/app_message.h"

#include <scram/client.h>

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/time.h>

/* A shell can wait for room that a program at its work cannot wait for. */
#define PATIENCE_S 2

static int send_waiting(const struct scram_client *c, const struct sc_str *lines)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	ssize_t n;

	(void)setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	n = sendto(c->fd, lines->data, lines->len, MSG_NOSIGNAL, (const struct sockaddr *)&c->agent,
		   sizeof(c->agent));
	return n < 0 ? -errno : 0;
}

/* Kernels before 6.16 tell the agent of a sender only while it lives. A datagram socket has no
 * event for "it was read". */
static bool wait_until_taken(const struct scram_client *c)
{
	uint64_t deadline_ns = sc_mono_ns() + PATIENCE_S * SC_NS_PER_S;
	int waiting = 0;

	while (ioctl(c->fd, SIOCOUTQ, &waiting) == 0 && waiting > 0) {
		if (sc_mono_ns() > deadline_ns)
			return false;
		(void)poll(NULL, 0, 1);
	}
	return true;
}

static int send_report(const struct sc_args *args, struct scram_client *c,
		       const struct sc_str *lines)
{
	int r = send_waiting(c, lines);

	if (r == -ENOENT || r == -ECONNREFUSED)
		return sc_complain(args, SC_EXIT_UNREACHABLE, "no agent listens at %s",
				   c->agent.sun_path);
	if (r < 0)
		return sc_complain(args, SC_EXIT_FAILED, "%s: %s", c->agent.sun_path, strerror(-r));
	if (!wait_until_taken(c))
		return sc_complain(args, SC_EXIT_FAILED,
				   "%s: the agent has not taken it within %d s", c->agent.sun_path,
				   PATIENCE_S);
	return SC_EXIT_DONE;
}

int sc_verb_notify(const struct sc_args *args)
{
	_cleanup_(scram_client_close) struct scram_client client = {.fd = -1};
	_cleanup_str_ struct sc_str lines = {0}, path = {0};
	struct sc_app_message message;
	int r;

	sc_str_init_heap(&lines);
	sc_str_init_heap(&path);
	for (unsigned int i = 0; i < args->operand_count; i++)
		sc_str_addf(&lines, "%s\n", args->operands[i]);
	sc_str_addf(&path, "%s/notify.sock", args->run_dir);
	if (sc_app_message_parse(lines.data, lines.len, &message) < 0)
		return sc_complain(
			args, SC_EXIT_USAGE,
			"the agent would not take this: each key once of HEARTBEAT=1, "
			"SESSION=ID, QUEUE_DEPTH=NUMBER, GAUGE_1=NUMBER to GAUGE_8=NUMBER");
	r = scram_client_open(&client, path.data);
	if (r < 0)
		return sc_complain(args, SC_EXIT_FAILED, "%s: %s", path.data, strerror(-r));
	return send_report(args, &client, &lines);
}
