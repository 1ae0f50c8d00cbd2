/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a worker over processes that the test plays. */
#include "engine/workers_impl.h"
#include "unit/engine/fake_ports.h"

#include "base/clock.h"
#include "base/io.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

static const char conditions[] =
	"conditions:\n"
	"  - {id: hold, description: t, scope: \"/w/*\", action: {kind: freeze}, live: true, "
	"registered_by: t}\n";

static struct sc_engine *e;
static _Atomic unsigned int n_started;
static unsigned int n_killed, n_reaped;

/* epoll takes no such descriptor. */
static int start_unwatchable(void *ctx, struct sc_program *program)
{
	(void)ctx;
	n_started++;
	program->pid = 1 << 22; /* one above what the kernel gives */
	program->pidfd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	return program->pidfd < 0 ? -errno : 0;
}

static int reap(void *ctx, int pidfd, int *status)
{
	(void)ctx;
	(void)pidfd;
	if (n_killed == n_reaped)
		return 0;
	n_reaped = n_killed;
	*status = SIGKILL;
	return 1;
}

static int send_signal(void *ctx, int pidfd, int signo)
{
	(void)ctx;
	(void)pidfd;
	n_killed += signo == SIGKILL;
	return 0;
}

static void set_up(void)
{
	cr_assert_eq(setenv("DATABASE_URL", "postgresql://", 1), 0);
	e = fake_engine_start(conditions);
	fake_world.ports.processes = (struct sc_process_port){
		.start = start_unwatchable,
		.reap = reap,
		.signal = send_signal,
	};
	e->changes.conditions++; /* who is wanted is found anew */
}

static void tear_down(void)
{
	fake_engine_stop(&e);
}

TestSuite(workers, .init = set_up, .fini = tear_down, .timeout = 300);

Test(workers, one_whose_end_cannot_be_watched_is_ended_and_started_again)
{
	const struct sc_worker *w = &e->workers->worker[SC_WORKER_SHIP];
	uint64_t end_ns = sc_mono_ns() + 120 * SC_NS_PER_S;

	while (w->restarts < 2 && sc_mono_ns() < end_ns) {
		sc_workers_look(e);
		cr_assert_eq(sc_loop_once(&e->loop, 10), 0);
	}
	cr_expect_geq(w->restarts, 2, "in state %d", w->state);
	cr_expect_str_eq(w->why, "its end cannot be watched");
	cr_expect_geq(n_started, 2);
}
