/* SPDX-License-Identifier: Apache-2.0 */
/* process-exit on real cgroups: what is killed, what is never hit, and what is reported. */
#include "live/action_drive.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define MS 1000000ULL

TestSuite(action_kill, .init = sc_box_init, .fini = sc_box_fini, .timeout = 300);

static struct sc_action_request request_for(int cgroup_fd)
{
	return (struct sc_action_request){
		.kind = SC_ACTION_PROCESS_EXIT,
		.cgroup_id = sc_cgroup_id(cgroup_fd),
		.scope_root_id = sc_cgroup_id(sc_box.dirfd),
		.was_populated = sc_cgroup_key(cgroup_fd, "cgroup.events", "populated") == 1,
	};
}

static void expect(const struct sc_action_run *run, enum sc_action_outcome outcome)
{
	cr_assert_eq(run->outcome, outcome, "%s: %s", sc_action_outcome_name(run->outcome),
		     run->text);
}

static void reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		continue;
}

Test(action_kill, empties_1_50_and_500_processes_and_no_neighbour)
{
	static const unsigned int sizes[] = {1, 50, 500};
	int beside = sc_sandbox_mkdir(&sc_box, "beside");
	pid_t innocent = sc_helper_sleep(beside);

	for (size_t i = 0; i < SC_ARRAY_SIZE(sizes); i++) {
		struct sc_action_run run = {0};
		struct sc_action_request request;
		char name[16];
		int web;

		snprintf(name, sizeof(name), "web%u", sizes[i]);
		web = sc_sandbox_mkdir(&sc_box, name);
		for (unsigned int n = 0; n < sizes[i]; n++)
			cr_assert_gt(sc_helper_sleep(web), 0);
		request = request_for(web);
		cr_assert_eq(sc_live_act(&run, &request), 0);
		expect(&run, SC_ACTION_OUTCOME_EMPTIED);
		cr_assert_eq(run.killed, sizes[i], "%s", run.text);
		cr_assert_eq(sc_cgroup_key(web, "cgroup.events", "populated"), 0);
		cr_assert(run.first_begin_ns <= run.first_end_ns);
		cr_assert(run.first_end_ns <= run.verified_ns);
		reap();
	}
	cr_assert(sc_live_is_alive(innocent));
}

Test(action_kill, reaches_every_descendant)
{
	char name[64] = "a";
	struct sc_action_request request;
	struct sc_action_run run = {0};
	int top = sc_sandbox_mkdir(&sc_box, name);

	for (int depth = 0; depth < 10; depth++) {
		int fd;

		snprintf(name + strlen(name), sizeof(name) - strlen(name), "/%d", depth);
		fd = sc_sandbox_mkdir(&sc_box, name);
		cr_assert_geq(fd, 0);
		cr_assert_gt(sc_helper_sleep(fd), 0);
		cr_assert_gt(sc_helper_sleep(fd), 0);
	}
	request = request_for(top);
	cr_assert_eq(sc_live_act(&run, &request), 0);
	expect(&run, SC_ACTION_OUTCOME_EMPTIED);
	cr_assert_eq(run.killed, 20);
}

Test(action_kill, frozen_target_dies_without_thaw_and_is_thawed_after_when_ours)
{
	for (int ours = 0; ours < 2; ours++) {
		struct sc_action_run run = {0};
		struct sc_action_request request;
		int web = sc_sandbox_mkdir(&sc_box, ours ? "ours" : "theirs");

		sc_helper_sleep(web);
		cr_assert_eq(sc_cgroup_write(web, "cgroup.freeze", "1"), 0);
		cr_assert_eq(sc_wait_frozen(web, true, 30000), 0);
		request = request_for(web);
		request.thaws_after = ours;
		cr_assert_eq(sc_live_act(&run, &request), 0);
		expect(&run, SC_ACTION_OUTCOME_EMPTIED);
		cr_assert_eq(run.has_thawed, ours);
		cr_assert_eq(sc_cgroup_key(web, "cgroup.events", "frozen"), !ours);
	}
}

static int move_to_threads(void *arg)
{
	const int *fd = arg;

	if (sc_cgroup_write(*fd, "cgroup.threads", "0") < 0)
		return 1;
	while (pause())
		continue;
	return 0;
}

static bool has_thread(void *arg)
{
	const int *fd = arg;
	char text[16] = "";
	int threads = openat(*fd, "cgroup.threads", 0);
	ssize_t n = read(threads, text, sizeof(text));

	close(threads);
	return n > 0;
}

Test(action_kill, threaded_target_dies_through_its_domain_inside_the_scope_only)
{
	struct sc_action_run run = {0};
	int web = sc_sandbox_mkdir(&sc_box, "web");
	int inner = sc_sandbox_mkdir(&sc_box, "web/inner");
	struct sc_action_request request;
	pid_t pid;

	cr_assert_eq(sc_cgroup_write(inner, "cgroup.type", "threaded"), 0);
	pid = sc_helper_call(web, move_to_threads, &inner);
	cr_assert_eq(sc_wait_until(has_thread, &inner, 30000), 0);

	request = request_for(inner);
	request.scope_root_id = request.cgroup_id;
	cr_assert_eq(sc_live_act(&run, &request), -EXDEV);
	expect(&run, SC_ACTION_OUTCOME_FAILED);
	cr_assert(sc_live_is_alive(pid));

	request.scope_root_id = sc_cgroup_id(web);
	cr_assert_eq(sc_live_act(&run, &request), 0);
	expect(&run, SC_ACTION_OUTCOME_EMPTIED);
	cr_assert_eq(run.acted_id, sc_cgroup_id(web));
	cr_assert_not(sc_live_is_alive(pid));
}

static int bomb(void *arg)
{
	_Atomic unsigned int *made = arg;

	alarm(5);
	while (atomic_fetch_add(made, 1) < 200) {
		if (fork() == 0)
			alarm(5);
		/* Deaths make room: it goes on forking until it is killed. */
		if (fork() == 0)
			_exit(0);
	}
	while (pause())
		continue;
	return 0;
}

Test(action_kill, fork_bomb_never_escapes)
{
	_Atomic unsigned int *made = mmap(NULL, sizeof(*made), PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	for (int round = 0; round < 30; round++) {
		struct sc_action_run run = {0};
		struct sc_action_request request;
		char name[16];
		int web;

		snprintf(name, sizeof(name), "bomb%d", round);
		web = sc_sandbox_mkdir(&sc_box, name);
		atomic_store(made, 0);
		cr_assert_gt(sc_helper_call(web, bomb, (void *)made), 0);
		while (atomic_load(made) < 1U + (unsigned int)round * 6)
			sched_yield();
		request = request_for(web);
		cr_assert_eq(sc_live_act(&run, &request), 0);
		expect(&run, SC_ACTION_OUTCOME_EMPTIED);
		cr_assert_eq(sc_cgroup_key(web, "cgroup.events", "populated"), 0);
		reap();
	}
}

Test(action_kill, vanished_target_is_success_and_says_gone)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");
	struct sc_action_request request = request_for(web);
	struct sc_effector eff = sc_live_effector();
	struct sc_action_run run = {0};

	cr_assert_eq(sc_action_prepare(&run, &request, &eff), 0);
	cr_assert_eq(sc_sandbox_rmdir(&sc_box, "web"), 0);
	sc_live_drive(&run, false);
	expect(&run, SC_ACTION_OUTCOME_GONE);
	cr_assert_eq(run.error, -ENODEV);

	cr_assert_eq(sc_live_act(&run, &request), -ESTALE);
	expect(&run, SC_ACTION_OUTCOME_GONE);
}

Test(action_kill, target_made_anew_under_its_path_is_never_hit)
{
	pid_t innocent = sc_helper_sleep(sc_box.dirfd);
	struct sc_effector eff = sc_live_effector();
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", innocent);
	for (int round = 0; round < 1000; round++) {
		struct sc_action_run run = {0};
		int web = sc_sandbox_mkdir(&sc_box, "web"), again;
		struct sc_action_request request = request_for(web);

		if (round % 2) /* odd: between prepare and apply; even: before prepare */
			cr_assert_eq(sc_action_prepare(&run, &request, &eff), 0);
		close(web);
		cr_assert_eq(sc_sandbox_rmdir(&sc_box, "web"), 0);
		again = sc_sandbox_mkdir(&sc_box, "web");
		cr_assert_eq(sc_cgroup_write(again, "cgroup.procs", pid), 0);
		if (round % 2)
			sc_live_drive(&run, false);
		else
			cr_assert_eq(sc_live_act(&run, &request), -ESTALE);
		expect(&run, SC_ACTION_OUTCOME_GONE);
		cr_assert(sc_live_is_alive(innocent), "hit in round %d", round);
		cr_assert_eq(sc_cgroup_count(again), 1);
		cr_assert_eq(sc_cgroup_write(sc_box.dirfd, "cgroup.procs", pid), 0);
		close(again);
		cr_assert_eq(sc_sandbox_rmdir(&sc_box, "web"), 0);
	}
}

Test(action_kill, process_in_uninterruptible_sleep_is_reported_by_name_and_state)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");
	struct sc_action_run run = {0};
	struct sc_action_request request;
	struct sc_dstate d;
	int r = sc_dstate_begin(&d, web);

	if (r < 0)
		cr_skip_test("no process can be held in state D here: %s", strerror(-r));
	sc_helper_sleep(web);
	request = request_for(web);
	request.deadline_ns = 350 * MS;
	cr_assert_eq(sc_live_act(&run, &request), 0);
	expect(&run, SC_ACTION_OUTCOME_PARTIAL);
	cr_assert_eq(run.left, 1);
	cr_assert_eq(run.killed, 1);
	cr_assert_eq(run.left_members[0].pid, d.pid);
	cr_assert_eq(run.left_members[0].state, 'D');
	cr_assert(strstr(run.text, " D"), "%s", run.text);
	cr_assert_geq(run.writes, 2);
	cr_assert_geq(run.verified_ns - run.first_begin_ns, 350 * MS);
	sc_dstate_end(&d);
	cr_assert_eq(sc_wait_populated(web, false, 30000), 0);
}

static int obey(void *arg)
{
	const int *fd = arg;
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (write(fd[1], "r", 1) != 1)
		return 1;
	sigwait(&set, &sig);
	return write(fd[1], "t", 1) == 1 ? 0 : 1;
}

static int disobey(void *arg)
{
	const int *fd = arg;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (write(fd[1], "r", 1) != 1)
		return 1;
	while (pause())
		continue;
	return 0;
}

Test(action_kill, grace_lets_handlers_run_and_ends_in_a_kill)
{
	for (int obeys = 0; obeys < 2; obeys++) {
		int web = sc_sandbox_mkdir(&sc_box, obeys ? "obeys" : "not"), fd[2];
		struct sc_action_run run = {0};
		struct sc_action_request request;
		char text[4] = "";
		pid_t pid;

		cr_assert_eq(pipe(fd), 0);
		pid = sc_helper_call(web, obeys ? obey : disobey, fd);
		cr_assert_eq(read(fd[0], text, 1), 1);
		request = request_for(web);
		request.grace_ns = obeys ? 20000 * MS : 100 * MS;
		cr_assert_eq(sc_live_act(&run, &request), 0);
		expect(&run, SC_ACTION_OUTCOME_EMPTIED);
		cr_assert_eq(run.terms, 1);
		cr_assert_eq(run.writes, obeys ? 0 : 1);
		close(fd[1]);
		cr_assert_eq(read(fd[0], text, 1), obeys, "the handler wrote");
		cr_assert_eq(sc_wait_child(pid, NULL, 30000), 0);
	}
}

Test(action_kill, zombies_of_a_lazy_parent_do_not_count)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");
	struct sc_action_request request;
	struct sc_action_run run = {0};
	pid_t pid = sc_helper_sleep(web);

	request = request_for(web);
	cr_assert_eq(sc_live_act(&run, &request), 0);
	expect(&run, SC_ACTION_OUTCOME_EMPTIED);
	cr_assert_eq(sc_wait_gone(pid, 30000), 0);
	cr_assert_eq(sc_live_state(pid), 'Z', "not reaped: this test is the lazy parent");

	request = request_for(web);
	cr_assert_eq(sc_live_act(&run, &request), 0);
	expect(&run, SC_ACTION_OUTCOME_EMPTIED);
	cr_assert(strstr(run.text, "was already empty"), "%s", run.text);
}

Test(action_kill, emptied_by_itself_after_the_decision_is_a_loud_failure)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");
	struct sc_action_request request = request_for(web);
	struct sc_action_run run = {0};

	request.was_populated = true;
	cr_assert_eq(sc_live_act(&run, &request), 0);
	expect(&run, SC_ACTION_OUTCOME_NOTHING);
}

Test(action_kill, member_that_walked_out_is_told_from_a_killed_one)
{
	int web = sc_sandbox_mkdir(&sc_box, "web"), beside = sc_sandbox_mkdir(&sc_box, "beside");
	struct sc_effector eff = sc_live_effector();
	struct sc_action_request request;
	struct sc_action_run run = {0};
	pid_t pid = sc_helper_sleep(web);
	char text[16];

	request = request_for(web);
	cr_assert_eq(sc_action_prepare(&run, &request, &eff), 0);
	snprintf(text, sizeof(text), "%d", pid);
	cr_assert_eq(sc_cgroup_write(beside, "cgroup.procs", text), 0);
	sc_live_drive(&run, false);
	expect(&run, SC_ACTION_OUTCOME_NOTHING);
	cr_assert_eq(run.escaped, 1);
	cr_assert(sc_live_is_alive(pid));
}
