/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/common/link.h"
#include "worker/common/sandbox.h"
#include "worker/probe/prober.h"

#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

/* A program may close its input before it has read it, a server its connection. */
static void ignore_broken_pipes(void)
{
	struct sigaction action = {.sa_handler = SIG_IGN};

	sigaction(SIGPIPE, &action, NULL);
}

static int serve(struct sc_link *link, const struct sc_link_message *hello)
{
	static struct sc_prober prober;
	int r = sc_prober_init(&prober, link, hello);

	if (r < 0)
		return r;
	r = sc_sandbox_enter(SC_SANDBOX_RUN);
	if (r == 0)
		r = sc_link_ready(link, prober.execs.cgroup_fd >= 0
						? "each program in a cgroup of its own"
						: "programs have no cgroup of their own");
	if (r == 0)
		r = sc_prober_run(&prober);
	sc_prober_done(&prober);
	return r;
}

int main(void)
{
	_cleanup_link_message_ struct sc_link_message hello = {.fd = -1};
	struct sc_link link;
	int r;

	ignore_broken_pipes();
	r = sc_link_open(&link, &hello);
	if (r < 0) {
		sc_log_error("scram-probe is started by scram run: %s", strerror(-r));
		return 1;
	}
	r = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? serve(&link, &hello) : -ENOMEM;
	if (r < 0)
		sc_log_error("scram-probe ends: %s", strerror(-r));
	curl_global_cleanup();
	sc_link_close(&link);
	return r < 0 ? 1 : 0;
}
