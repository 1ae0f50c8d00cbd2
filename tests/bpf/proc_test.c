/* SPDX-License-Identifier: Apache-2.0 */
/* Family `proc` against real processes: each is counted exactly once, whatever way it lives and
 * dies. */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

TestSuite(proc, .init = kit_init, .fini = kit_fini, .timeout = 600);

static void no_core(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
}

static int fork_many(void *arg)
{
	int n = *(int *)arg;

	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 99;
		if (pid == 0)
			_exit(i % 3 == 0 ? 7 : 0);
		if (waitpid(pid, NULL, 0) != pid)
			return 98;
	}
	return 0;
}

Test(proc, counts_short_processes_exactly)
{
	int n = kit_times(3000), web = kit_mkdir("web"), inner = kit_mkdir("web/inner");
	struct kit_proc want = {.forks = n + 1, .exits = n + 1, .failures = n / 3};

	kit_need(SC_BPF_PROC);
	cr_assert_eq(kit_run(inner, fork_many, &n), 0);
	kit_expect_proc(inner, &want);
	kit_expect_proc(web, &want);
	kit_expect_proc(sc_box.dirfd, &want);
}

#define RACERS 8

static pthread_barrier_t start_line;

static void *race_to_exit(void *arg)
{
	(void)arg;
	pthread_barrier_wait(&start_line);
	syscall(SYS_exit, 0); /* this thread only */
	return NULL;
}

/* All threads, the leader too, leave at once, so that several see the process dead. */
static int die_in_a_race(void)
{
	pthread_t thread;

	pthread_barrier_init(&start_line, NULL, RACERS);
	for (int i = 1; i < RACERS; i++)
		if (pthread_create(&thread, NULL, race_to_exit, NULL))
			return 1;
	race_to_exit(NULL);
	return 1;
}

static int race_many(void *arg)
{
	int n = *(int *)arg, status;

	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(die_in_a_race());
		if (waitpid(pid, &status, 0) != pid || status)
			return 1;
	}
	return 0;
}

Test(proc, counts_a_process_once_when_its_threads_race_to_exit)
{
	int n = kit_times(500), web = kit_mkdir("web");

	cr_assert_eq(kit_run(web, race_many, &n), 0);
	kit_expect_proc(web, &(struct kit_proc){.forks = n + 1, .exits = n + 1});
}

static int race_in_parallel(void *arg)
{
	pid_t pids[4];
	int status, bad = 0;

	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(race_many(arg));
	}
	for (int i = 0; i < 4; i++)
		bad |= waitpid(pids[i], &status, 0) != pids[i] || status;
	return bad;
}

Test(proc, counts_once_when_racing_processes_share_the_cpus)
{
	int n = kit_times(150), web = kit_mkdir("web");

	cr_assert_eq(kit_run(web, race_in_parallel, &n), 0);
	kit_expect_proc(web, &(struct kit_proc){.forks = 4 * n + 5, .exits = 4 * n + 5});
}

static void *exec_true(void *arg)
{
	(void)arg;
	execl("/bin/true", "true", (char *)NULL);
	_exit(1);
}

static int exec_from_threads(void *arg)
{
	int n = *(int *)arg, status;
	pthread_t thread;

	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			pthread_create(&thread, NULL, exec_true, NULL);
			for (;;)
				pause();
		}
		if (waitpid(pid, &status, 0) != pid || status)
			return 1;
	}
	return 0;
}

Test(proc, an_exec_by_a_thread_is_no_exit)
{
	int n = kit_times(100), web = kit_mkdir("web");

	cr_assert_eq(kit_run(web, exec_from_threads, &n), 0);
	kit_expect_proc(web, &(struct kit_proc){.forks = n + 1, .execs = n, .exits = n + 1});
}

static int spawn_many(void *arg)
{
	int n = *(int *)arg, status;
	char *argv[] = {"true", NULL}, *env[] = {NULL};
	pid_t pid;

	for (int i = 0; i < n; i++) {
		if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, env))
			return 1;
		if (waitpid(pid, &status, 0) != pid || status)
			return 2;
	}
	return 0;
}

Test(proc, counts_spawned_programs)
{
	int n = kit_times(100), web = kit_mkdir("web");

	cr_assert_eq(kit_run(web, spawn_many, &n), 0);
	kit_expect_proc(web, &(struct kit_proc){.forks = n + 1, .execs = n, .exits = n + 1});
}

static int threads_only(void *arg)
{
	pthread_t threads[16];

	pthread_barrier_init(&start_line, NULL, 1);
	for (unsigned int i = 0; i < SC_ARRAY_SIZE(threads); i++)
		if (pthread_create(&threads[i], NULL, race_to_exit, NULL))
			return 1;
	for (unsigned int i = 0; i < SC_ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], arg);
	return 0;
}

Test(proc, threads_are_no_processes)
{
	int web = kit_mkdir("web");

	cr_assert_eq(kit_run(web, threads_only, NULL), 0);
	kit_expect_proc(web, &(struct kit_proc){.forks = 1, .exits = 1});
}

struct death {
	int signal; /* 0: exits with status */
	int status;
	struct kit_proc inside; /* what its death adds when its parent lives in the cgroup */
	__s64 unexpected_outside;
};

static const struct death deaths[] = {
	{0, 0, {0}, 0},
	{0, 1, {.failures = 1}, 1},
	{0, 255, {.failures = 1}, 1},
	{SIGTERM, 0, {0}, 0},
	{SIGKILL, 0, {.kills = 1, .unexpected = 1}, 1},
	{SIGSEGV, 0, {.crashes = 1, .unexpected = 1}, 1},
	{SIGABRT, 0, {.crashes = 1, .unexpected = 1}, 1},
	{SIGBUS, 0, {.crashes = 1, .unexpected = 1}, 1},
	{SIGILL, 0, {.crashes = 1, .unexpected = 1}, 1},
	{SIGFPE, 0, {.crashes = 1, .unexpected = 1}, 1},
	{SIGSYS, 0, {.crashes = 1, .unexpected = 1}, 1},
	{SIGTRAP, 0, {.crashes = 1, .unexpected = 1}, 1},
	{SIGQUIT, 0, {0}, 0},
	{SIGHUP, 0, {0}, 0},
};

static int die(void *arg)
{
	const struct death *d = arg;

	no_core();
	if (!d->signal)
		_exit(d->status);
	sigaction(d->signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
	kill(getpid(), d->signal);
	pause();
	return 0;
}

static int die_below(void *arg)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(die(arg));
	return waitpid(pid, NULL, 0) != pid;
}

Test(proc, tells_how_a_process_died)
{
	for (unsigned int i = 0; i < SC_ARRAY_SIZE(deaths); i++) {
		struct death d = deaths[i];
		struct kit_proc want = d.inside;
		int in, out;
		char name[16];

		snprintf(name, sizeof(name), "in-%u", i);
		in = kit_mkdir(name);
		cr_assert_eq(kit_run(in, die_below, &d), 0);
		want.forks = want.exits = 2;
		kit_expect_proc(in, &want);
		snprintf(name, sizeof(name), "out-%u", i);
		out = kit_mkdir(name);
		kit_run(out, die, &d);
		want.forks = want.exits = 1;
		want.unexpected = d.unexpected_outside;
		kit_expect_proc(out, &want);
		close(in);
		close(out);
	}
}

static int orphan_fails(void *arg)
{
	int *gate = arg;
	char byte;

	if (fork() == 0) {
		close(gate[1]);
		/* Until the parent is gone and this process belongs to somebody outside. */
		(void)!read(gate[0], &byte, 1);
		_exit(3);
	}
	return 0;
}

Test(proc, the_failure_of_an_orphan_is_unexpected)
{
	int web = kit_mkdir("web"), gate[2];

	cr_assert_eq(pipe2(gate, O_CLOEXEC), 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	cr_assert_eq(kit_run(web, orphan_fails, gate), 0);
	kit_expect_proc(web, &(struct kit_proc){.forks = 2, .exits = 1, .alive = 1});
	close(gate[1]);
	cr_assert_gt(waitpid(-1, NULL, 0), 0);
	kit_expect_proc(web,
			&(struct kit_proc){.forks = 2, .exits = 2, .failures = 1, .unexpected = 1});
}

static int fail_in(void *arg)
{
	int below = *(int *)arg, status;
	pid_t pid = sc_helper_call(below, die, (void *)&deaths[1]);

	return waitpid(pid, &status, 0) != pid;
}

Test(proc, a_parent_above_is_outside_and_one_below_is_not)
{
	int web = kit_mkdir("web"), inner = kit_mkdir("web/inner");

	/* The parent in web/inner, its failing child in web: the parent is not outside of web. */
	cr_assert_eq(kit_run(inner, fail_in, &web), 0);
	kit_expect_proc(web, &(struct kit_proc){.forks = 2, .exits = 2, .failures = 1});
	kit_expect_proc(inner, &(struct kit_proc){.forks = 1, .exits = 1});
	/* The other way round it is; and the parent's numbers include its subtree's. */
	cr_assert_eq(kit_run(web, fail_in, &inner), 0);
	kit_expect_proc(inner,
			&(struct kit_proc){.forks = 2, .exits = 2, .failures = 1, .unexpected = 1});
	kit_expect_proc(web,
			&(struct kit_proc){.forks = 4, .exits = 4, .failures = 2, .unexpected = 1});
}

Test(proc, deaths_are_expected_while_scram_kills)
{
	int web = kit_mkdir("web"), inner = kit_mkdir("web/inner");
	uint64_t id = sc_cgroup_id(web), attempts;
	struct sc_wake wakes[32];
	struct death d = {.signal = SIGKILL};

	while (sc_bpf_drain(kit.bpf, wakes, SC_ARRAY_SIZE(wakes)) > 0)
		;
	cr_assert_eq(sc_bpf_set_killing(kit.bpf, kit_slot(web), id + 1, true), -ESTALE);
	cr_assert_eq(sc_bpf_set_killing(kit.bpf, kit_slot(web), id, true), 0);
	attempts = kit.view.stats->wake_attempts;
	kit_run(inner, die, &d);
	kit_run(web, die, (void *)&deaths[1]);
	kit_expect_proc(web, &(struct kit_proc){.forks = 2, .exits = 2, .kills = 1, .failures = 1});
	for (int n; (n = sc_bpf_drain(kit.bpf, wakes, SC_ARRAY_SIZE(wakes))) > 0;)
		for (int i = 0; i < n; i++)
			cr_expect_eq(wakes[i].kind, SC_WAKE_EMPTY);
	cr_expect_gt(kit.view.stats->wake_attempts, attempts);
	cr_assert_eq(sc_bpf_set_killing(kit.bpf, kit_slot(web), id, false), 0);
	kit_run(inner, die, &d);
	kit_expect_proc(inner,
			&(struct kit_proc){.forks = 2, .exits = 2, .kills = 2, .unexpected = 1});
}

Test(proc, alive_moves_with_the_process)
{
	int a = kit_mkdir("a"), b = kit_mkdir("b"), deep = kit_mkdir("b/deep");
	int outside = openat(sc_box.dirfd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pid_t pid = sc_helper_sleep(a);

	kit_expect_proc(a, &(struct kit_proc){.forks = 1, .alive = 1});
	kit_move(deep, pid);
	kit_expect_proc(a, &(struct kit_proc){.forks = 1});
	kit_expect_proc(deep, &(struct kit_proc){.alive = 1});
	kit_expect_proc(b, &(struct kit_proc){.alive = 1});
	kit_expect_proc(sc_box.dirfd, &(struct kit_proc){.forks = 1, .alive = 1});
	kit_move(b, pid);
	kit_expect_proc(deep, &(struct kit_proc){0});
	kit_expect_proc(b, &(struct kit_proc){.alive = 1});
	kit_move(outside, pid);
	kit_expect_proc(b, &(struct kit_proc){0});
	kit_expect_proc(sc_box.dirfd, &(struct kit_proc){.forks = 1});
	kit_move(deep, pid);
	kit_expect_proc(b, &(struct kit_proc){.alive = 1});
	kill(pid, SIGKILL);
	cr_assert_eq(sc_wait_child(pid, NULL, 30000), 0);
	kit_expect_proc(deep, &(struct kit_proc){.exits = 1, .kills = 1, .unexpected = 1});
	kit_expect_proc(a, &(struct kit_proc){.forks = 1});
	close(outside);
}

static int move_about(void *arg)
{
	int *fds = arg;

	for (int i = 0; i < 200; i++) {
		int err = sc_cgroup_write(fds[i % 2], "cgroup.procs", "0");

		if (err)
			return 1;
		if (i % 10 == 0 && fork() == 0)
			_exit(0);
	}
	while (waitpid(-1, NULL, 0) > 0)
		;
	return 0;
}

Test(proc, processes_that_move_while_others_end_leave_nothing_behind)
{
	int fds[2] = {kit_mkdir("a"), kit_mkdir("b")};
	pid_t pids[6];

	for (unsigned int i = 0; i < SC_ARRAY_SIZE(pids); i++)
		pids[i] = sc_helper_call(fds[0], move_about, fds);
	for (unsigned int i = 0; i < SC_ARRAY_SIZE(pids); i++)
		cr_assert_eq(sc_wait_child(pids[i], NULL, 60000), 0);
	kit_expect_proc(sc_box.dirfd, &(struct kit_proc){.forks = 6 * 21, .exits = 6 * 21});
	kit_wait_count(kit_counts(fds[0]), proc_alive, 0);
	kit_wait_count(kit_counts(fds[1]), proc_alive, 0);
	kit_wait_count(kit_counts(fds[0]), proc_zombies, 0);
	kit_wait_count(kit_counts(fds[1]), proc_zombies, 0);
}

Test(proc, a_zombie_is_one_until_it_is_reaped)
{
	int web = kit_mkdir("web");
	pid_t pid = sc_helper_sleep(web);

	kill(pid, SIGTERM);
	cr_assert_eq(sc_wait_gone(pid, 30000), 0);
	kit_expect_proc(web, &(struct kit_proc){.forks = 1, .exits = 1, .zombies = 1});
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	kit_expect_proc(web, &(struct kit_proc){.forks = 1, .exits = 1});
}

static int reads_nothing(void *arg)
{
	char byte;

	return read(*(int *)arg, &byte, 1) < 0;
}

Test(proc, a_full_table_still_counts_exits)
{
	int web, gate[2], n = 40;
	pid_t pids[40];

	sc_bpf_close(&kit.bpf);
	kit_open(&(struct sc_bpf_options){.slots = 8, .processes = 16});
	web = kit_mkdir("web");
	cr_assert_eq(pipe2(gate, O_CLOEXEC), 0);
	for (int i = 0; i < n; i++)
		cr_assert_gt(pids[i] = sc_helper_call(web, reads_nothing, &gate[0]), 0);
	cr_expect_eq(kit_counts(web)->proc_forks, n);
	cr_expect_eq(kit_counts(web)->proc_alive, 16);
	cr_expect_eq(kit.view.stats->processes_full, (__u64)n - 16);
	for (int i = 0; i < n; i++) {
		kill(pids[i], SIGKILL);
		cr_assert_eq(sc_wait_child(pids[i], NULL, 30000), 0);
	}
	cr_expect_eq(kit_counts(web)->proc_exits, n);
	kit_wait_count(kit_counts(web), proc_alive, 0);
	kit_wait_count(kit_counts(web), proc_zombies, 0);
	close(gate[0]);
	close(gate[1]);
}
