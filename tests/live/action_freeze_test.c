/* SPDX-License-Identifier: Apache-2.0 */
/* freeze on real cgroups: it stops, it goes on, and nothing stays frozen that scram froze. */
#include "live/action_drive.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define MS 1000000ULL

TestSuite(action_freeze, .init = sc_box_init, .fini = sc_box_fini, .timeout = 300);

static struct sc_action_request request_for(int cgroup_fd)
{
	return (struct sc_action_request){.kind = SC_ACTION_FREEZE,
					  .cgroup_id = sc_cgroup_id(cgroup_fd)};
}

static void expect(const struct sc_action_run *run, enum sc_action_outcome outcome)
{
	cr_assert_eq(run->outcome, outcome, "%s: %s", sc_action_outcome_name(run->outcome),
		     run->text);
}

static int64_t wish(int cgroup_fd)
{
	char text[4] = "";
	int fd = openat(cgroup_fd, "cgroup.freeze", 0);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	return n > 0 ? text[0] - '0' : -1;
}

static int count_up(void *arg)
{
	_Atomic uint64_t *turns = arg;

	alarm(30);
	while (atomic_fetch_add(turns, 1) < UINT64_MAX)
		continue;
	return 0;
}

static bool has_moved(void *arg)
{
	_Atomic uint64_t *turns = arg;

	return atomic_load(&turns[0]) > atomic_load(&turns[1]);
}

Test(action_freeze, stops_every_process_and_lets_it_go_on)
{
	_Atomic uint64_t *turns = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int web = sc_sandbox_mkdir(&sc_box, "web"), inner = sc_sandbox_mkdir(&sc_box, "web/inner");
	struct sc_action_request request = request_for(web);
	struct sc_action_run run = {0};

	sc_helper_call(inner, count_up, (void *)turns);
	for (int i = 0; i < 50; i++)
		sc_helper_sleep(web);
	cr_assert_eq(sc_wait_until(has_moved, (void *)turns, 30000), 0);
	cr_assert_eq(sc_live_act(&run, &request), 0);
	expect(&run, SC_ACTION_OUTCOME_FROZEN);
	cr_assert(run.has_frozen);
	cr_assert_eq(sc_cgroup_key(web, "cgroup.events", "frozen"), 1);
	atomic_store(&turns[1], atomic_load(&turns[0]));
	cr_assert_eq(sc_wait_until(has_moved, (void *)turns, 100), -ETIMEDOUT);
	cr_assert_eq(sc_live_release(&run, &request), 0);
	expect(&run, SC_ACTION_OUTCOME_THAWED);
	cr_assert_eq(sc_wait_until(has_moved, (void *)turns, 30000), 0);
	cr_assert_eq(sc_cgroup_count(web), 50);
}

Test(action_freeze, what_another_hand_froze_stays_frozen)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");
	struct sc_action_request request = request_for(web);
	struct sc_action_run run = {0};

	sc_helper_sleep(web);
	cr_assert_eq(sc_cgroup_write(web, "cgroup.freeze", "1"), 0);
	cr_assert_eq(sc_wait_frozen(web, true, 30000), 0);
	cr_assert_eq(sc_live_act(&run, &request), 0);
	expect(&run, SC_ACTION_OUTCOME_FROZEN);
	cr_assert_not(run.has_frozen);
	cr_assert_eq(wish(web), 1);
}

Test(action_freeze, task_that_will_not_freeze_is_named_and_the_table_thaws)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");
	struct sc_action_request request = request_for(web);
	struct sc_effector eff = sc_live_effector();
	struct sc_frozen table[4] = {0}, entry = {.cgroup_id = request.cgroup_id};
	struct sc_action_run run = {0};
	struct sc_dstate d;
	int r = sc_dstate_begin(&d, web);

	if (r < 0)
		cr_skip_test("no process can be held in state D here: %s", strerror(-r));
	sc_helper_sleep(web);
	request.deadline_ns = 200 * MS;
	cr_assert_eq(sc_live_act(&run, &request), 0);
	expect(&run, SC_ACTION_OUTCOME_PARTIAL);
	cr_assert_eq(run.left, 1);
	cr_assert_eq(run.left_members[0].pid, d.pid);
	cr_assert_eq(run.left_members[0].state, 'D');
	cr_assert(run.has_frozen);
	cr_assert_eq(sc_frozen_add(table, 4, &entry), 0);
	cr_assert_eq(sc_frozen_thaw_due(table, 4, UINT64_MAX, &eff), 0);
	cr_assert_eq(wish(web), 0);
	cr_assert_eq(sc_frozen_thaw_due(table, 4, UINT64_MAX, &eff), 0);
	sc_dstate_end(&d);
}

Test(action_freeze, ladder_of_freeze_then_kill_leaves_the_cgroup_usable)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");
	struct sc_action_request request = request_for(web);
	struct sc_action_run run = {0};
	pid_t pid;

	sc_helper_sleep(web);
	cr_assert_eq(sc_live_act(&run, &request), 0);
	expect(&run, SC_ACTION_OUTCOME_FROZEN);
	request.kind = SC_ACTION_PROCESS_EXIT;
	request.was_populated = request.thaws_after = true;
	cr_assert_eq(sc_live_act(&run, &request), 0);
	expect(&run, SC_ACTION_OUTCOME_EMPTIED);
	cr_assert(run.has_thawed);
	pid = sc_helper_call(
		web, count_up,
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	cr_assert_gt(pid, 0);
	cr_assert_eq(sc_wait_frozen(web, false, 30000), 0);
	cr_assert(sc_live_is_alive(pid));
}

Test(action_freeze, release_below_a_frozen_cgroup_says_so_and_takes_only_its_own_back)
{
	int web = sc_sandbox_mkdir(&sc_box, "web"), inner = sc_sandbox_mkdir(&sc_box, "web/inner");
	struct sc_action_request request = request_for(inner);
	struct sc_action_run run = {0};

	sc_helper_sleep(inner);
	cr_assert_eq(sc_live_act(&run, &request), 0);
	cr_assert_eq(sc_cgroup_write(web, "cgroup.freeze", "1"), 0);
	cr_assert_eq(sc_live_release(&run, &request), 0);
	expect(&run, SC_ACTION_OUTCOME_THAWED);
	cr_assert(strstr(run.text, "above is frozen"), "%s", run.text);
	cr_assert_eq(wish(inner), 0);
	cr_assert_eq(wish(web), 1);
}

Test(action_freeze, vanished_target_is_released_with_success)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");
	struct sc_action_request request = request_for(web);
	struct sc_effector eff = sc_live_effector();
	struct sc_frozen entry = {.cgroup_id = request.cgroup_id};
	struct sc_action_run run = {0};

	cr_assert_eq(sc_live_act(&run, &request), 0);
	cr_assert_eq(sc_sandbox_rmdir(&sc_box, "web"), 0);
	sc_sandbox_mkdir(&sc_box, "web");
	cr_assert_eq(sc_live_release(&run, &request), -ESTALE);
	expect(&run, SC_ACTION_OUTCOME_GONE);
	cr_assert_eq(sc_frozen_thaw(&entry, &eff), 0);
	cr_assert_eq(entry.cgroup_id, 0);
}
