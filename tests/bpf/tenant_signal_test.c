/* SPDX-License-Identifier: Apache-2.0 */
/* Family `tenant`: signals between processes in the cgroups of two tenants. */
#include "tenants.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

TestSuite(tenant_signal, .init = tenants_init, .fini = tenants_fini, .timeout = 300);

#define SIGNALS 20 /* below the least limit of queued ones */

enum { BLOCKED, IGNORED };

struct receiver {
	pid_t pid;
	int ready[2];
	int how;
};

/* Real-time signals queue up; what is blocked is delivered as far as the sender is concerned. */
static int receive(void *arg)
{
	struct receiver *r = arg;
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	if (r->how == IGNORED) {
		sigdelset(&all, SIGRTMIN);
		sigprocmask(SIG_SETMASK, &all, NULL);
		sigaction(SIGRTMIN, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
	}
	if (write(r->ready[1], "x", 1) != 1)
		return 1;
	for (;;)
		pause();
}

static pid_t receiver_in(int cgroup_fd, int how)
{
	struct receiver r = {.how = how};
	char byte;

	cr_assert_eq(pipe2(r.ready, O_CLOEXEC), 0);
	r.pid = sc_helper_call(cgroup_fd, receive, &r);
	cr_assert_gt(r.pid, 0);
	cr_assert_eq(read(r.ready[0], &byte, 1), 1);
	close(r.ready[0]);
	close(r.ready[1]);
	return r.pid;
}

struct sender {
	pid_t to;
	int sig;
	int (*send)(pid_t to, int sig);
	int times;
};

static int send_kill(pid_t to, int sig)
{
	return kill(to, sig);
}

static int send_queue(pid_t to, int sig)
{
	return sigqueue(to, sig, (union sigval){.sival_int = 1});
}

static int send_thread(pid_t to, int sig)
{
	return (int)syscall(SYS_tgkill, to, to, sig);
}

static int send_pidfd(pid_t to, int sig)
{
	int fd = (int)syscall(SYS_pidfd_open, to, 0);
	int r = (int)syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0);

	close(fd);
	return r;
}

static int send_all(void *arg)
{
	const struct sender *s = arg;

	for (int i = 0; i < s->times; i++)
		if (s->send(s->to, s->sig))
			return 1;
	return 0;
}

static void *in_thread(void *arg)
{
	return (void *)(long)send_all(arg);
}

static int send_from_thread(void *arg)
{
	pthread_t thread;
	void *failed = (void *)1;

	if (!pthread_create(&thread, NULL, in_thread, arg))
		pthread_join(thread, &failed);
	return failed != NULL;
}

static void expect_signals(__s64 want, const char *what)
{
	cr_expect_eq(kit_counts(at.deep)->tenant_cross_signals, want, "%s: %lld, not %lld", what,
		     kit_counts(at.deep)->tenant_cross_signals, want);
	cr_expect_eq(kit_counts(at.acme)->tenant_cross_signals, want, "%s", what);
	cr_expect_eq(kit_root_counts()->tenant_cross_signals, want, "%s", what);
	cr_expect_eq(kit_counts(at.other)->tenant_cross_signals, 0, "%s", what);
}

Test(tenant_signal, signals_to_another_tenants_process_count_however_they_are_sent)
{
	static const struct {
		const char *name;
		int (*send)(pid_t to, int sig);
		int (*run)(void *arg);
	} cases[] = {
		{"kill", send_kill, send_all},
		{"sigqueue", send_queue, send_all},
		{"tgkill", send_thread, send_all},
		{"pidfd", send_pidfd, send_all},
		{"from a thread", send_kill, send_from_thread},
	};
	__s64 sent = 0;

	kit_need(SC_BPF_TENANT);
	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct sender s = {.to = receiver_in(at.other, BLOCKED),
				   .sig = SIGRTMIN,
				   .send = cases[i].send,
				   .times = SIGNALS};

		cr_assert_eq(kit_run(at.deep, cases[i].run, &s), 0, "%s", cases[i].name);
		sent += SIGNALS;
		expect_signals(sent, cases[i].name);
	}
}

Test(tenant_signal, a_kill_that_ends_the_process_counts)
{
	struct sender s = {sc_helper_sleep(at.other), SIGKILL, send_kill, 1};

	cr_assert_eq(kit_run(at.deep, send_all, &s), 0);
	cr_assert_eq(sc_wait_child(s.to, NULL, 30000), 0);
	expect_signals(1, "SIGKILL");
}

Test(tenant_signal, signals_within_a_tenant_or_with_nobody_or_undelivered_do_not_count)
{
	const struct {
		const char *what;
		int from, to, how, sig, times;
	} cases[] = {
		{"to the same tenant", at.deep, at.acme, BLOCKED, SIGRTMIN, 3},
		{"to nobody's", at.deep, at.nobody, BLOCKED, SIGRTMIN, 3},
		{"from nobody's", at.nobody, at.other, BLOCKED, SIGRTMIN, 3},
		{"from outside", at.home, at.other, BLOCKED, SIGRTMIN, 3},
		{"ignored", at.deep, at.other, IGNORED, SIGRTMIN, 3},
		{"a child's end", at.deep, at.other, BLOCKED, SIGCHLD, 1},
		{"whether it exists", at.deep, at.other, BLOCKED, 0, 3},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct sender s = {receiver_in(cases[i].to, cases[i].how), cases[i].sig, send_kill,
				   cases[i].times};

		cr_assert_eq(kit_run(cases[i].from, send_all, &s), 0, "%s", cases[i].what);
		expect_signals(0, cases[i].what);
	}
}

Test(tenant_signal, a_signal_that_is_pending_already_counts_once)
{
	struct sender s = {receiver_in(at.other, BLOCKED), SIGUSR1, send_kill, 5};

	cr_assert_eq(kit_run(at.deep, send_all, &s), 0);
	expect_signals(1, "SIGUSR1");
}

static int raise_to_itself(void *arg)
{
	(void)arg;
	sigaction(SIGUSR1, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
	return raise(SIGUSR1) || raise(SIGCONT);
}

Test(tenant_signal, signals_to_itself_do_not_count)
{
	cr_assert_eq(kit_run(at.deep, raise_to_itself, NULL), 0);
	expect_signals(0, "raise");
}

static int pin_here(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	return sched_setaffinity(0, sizeof(one), &one);
}

static int spin(void *arg)
{
	(void)arg;
	if (pin_here())
		return 1;
	for (volatile int i = 0;; i++)
		continue;
}

/* Takes so many signals of an own timer, on the processor where somebody else spins. */
static int take_timer(void *arg)
{
	const struct itimerspec every = {{0, 1000000}, {0, 1000000}};
	struct sigevent to = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
	sigset_t set;
	timer_t timer;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (pin_here() || timer_create(CLOCK_MONOTONIC, &to, &timer) ||
	    timer_settime(timer, 0, &every, NULL))
		return 1;
	for (int i = 0; i < *(int *)arg; i++)
		if (sigwaitinfo(&set, NULL) < 0)
			return 2;
	return 0;
}

Test(tenant_signal, a_timer_that_expires_while_another_tenant_runs_does_not_count)
{
	int n = kit_times(100);
	pid_t spinner = sc_helper_call(at.deep, spin, NULL);

	cr_assert_gt(spinner, 0);
	cr_assert_eq(kit_run(at.other, take_timer, &n), 0);
	kill(spinner, SIGKILL);
	expect_signals(0, "timers");
}

/* A parent in one tenant, its child in another, which asks to be told of the parent's death. */
static int die_before_child(void *arg)
{
	int gate[2];
	pid_t pid;
	char byte;

	(void)arg;
	if (pipe(gate))
		return 1;
	pid = fork();
	if (pid == 0) {
		sigset_t set;

		sigfillset(&set);
		sigprocmask(SIG_SETMASK, &set, NULL);
		if (sc_cgroup_write(at.other, "cgroup.procs", "0"))
			_exit(1);
		prctl(PR_SET_PDEATHSIG, SIGUSR1);
		if (write(gate[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	return read(gate[0], &byte, 1) != 1;
}

Test(tenant_signal, a_signal_that_a_child_asked_for_at_its_parents_death_does_not_count)
{
	cr_assert_eq(kit_run(at.deep, die_before_child, NULL), 0);
	expect_signals(0, "PR_SET_PDEATHSIG");
}
