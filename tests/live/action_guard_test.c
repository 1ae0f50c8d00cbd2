/* SPDX-License-Identifier: Apache-2.0 */
/* Whom the actions never touch, the kills by pidfd, the standing intent, and the facts for
 * recovery. */
#include "live/action_drive.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

TestSuite(action_guard, .init = sc_box_init, .fini = sc_box_fini, .timeout = 300);

static uint64_t root_id(void)
{
	struct sc_effector eff = sc_live_effector();
	int fd = eff.ops->open_cgroup(eff.ctx, sc_cgroup_id(sc_box.dirfd));
	int up = eff.ops->open_parent(eff.ctx, fd);
	uint64_t id = sc_cgroup_id(up);

	close(fd);
	close(up);
	return id;
}

Test(action_guard, pid_1_the_agent_and_kernel_threads_are_never_signalled)
{
	struct sc_effector eff = sc_live_effector();
	int root = eff.ops->open_cgroup(eff.ctx, root_id());
	/* All of them are members of the root here; 2 is kthreadd where this pid namespace has it.
	 */
	const pid_t pids[] = {1, getpid(), 0, -5, kill(2, 0) == 0 ? 2 : 1};

	cr_assert_eq(eff.ops->signal_members(eff.ctx, root, pids, SC_ARRAY_SIZE(pids), 0), 0);
	close(root);
}

Test(action_guard, only_who_is_inside_now_is_signalled)
{
	struct sc_effector eff = sc_live_effector();
	int web = sc_sandbox_mkdir(&sc_box, "web"), inner = sc_sandbox_mkdir(&sc_box, "web/inner");
	int beside = sc_sandbox_mkdir(&sc_box, "beside");
	pid_t in = sc_helper_sleep(inner), out = sc_helper_sleep(beside),
	      dead = sc_helper_sleep(web);
	const pid_t pids[] = {in, out, dead};
	char text[16];

	kill(dead, SIGKILL);
	cr_assert_eq(sc_wait_child(dead, NULL, 30000), 0);
	cr_assert_eq(eff.ops->signal_members(eff.ctx, web, pids, 3, 0), 1, "in alone");
	cr_assert_eq(eff.ops->signal_members(eff.ctx, beside, pids, 3, 0), 1, "out alone");
	snprintf(text, sizeof(text), "%d", in);
	cr_assert_eq(sc_cgroup_write(beside, "cgroup.procs", text), 0);
	cr_assert_eq(eff.ops->signal_members(eff.ctx, web, pids, 3, SIGKILL), 0, "in has left");
	cr_assert(sc_live_is_alive(in) && sc_live_is_alive(out));
}

/* Runs inside sandbox/agent/inner: 0 when each cgroup above is refused and the one beside is not.
 */
static int prepare_above(void *arg)
{
	static const enum sc_action_kind kinds[] = {SC_ACTION_PROCESS_EXIT, SC_ACTION_FREEZE};
	struct sc_effector eff = sc_live_effector();
	const uint64_t *ids = arg;

	for (size_t k = 0; k < SC_ARRAY_SIZE(kinds); k++) {
		for (int i = 0; i < 4; i++) {
			struct sc_action_request request = {.kind = kinds[k], .cgroup_id = ids[i]};
			struct sc_action_run run = {0};
			int want = i < 3 ? -EPERM : 0;

			if (sc_action_prepare(&run, &request, &eff) != want)
				return 1 + i;
			sc_action_close(&run, &eff);
		}
	}
	return 0;
}

Test(action_guard, own_cgroup_and_every_ancestor_are_refused)
{
	int agent = sc_sandbox_mkdir(&sc_box, "agent");
	int inner = sc_sandbox_mkdir(&sc_box, "agent/inner");
	int beside = sc_sandbox_mkdir(&sc_box, "agent/beside");
	uint64_t ids[] = {sc_cgroup_id(inner), sc_cgroup_id(agent), sc_cgroup_id(sc_box.dirfd),
			  sc_cgroup_id(beside)};
	int status = -1;
	pid_t pid;

	pid = sc_helper_call(inner, prepare_above, ids);
	cr_assert_eq(sc_wait_child(pid, &status, 30000), 0);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
}

Test(action_guard, root_of_the_hierarchy_is_refused)
{
	struct sc_action_request request = {.kind = SC_ACTION_FREEZE, .cgroup_id = root_id()};
	struct sc_action_run run = {0};

	cr_assert_eq(sc_live_act(&run, &request), -EPERM);
	request.kind = SC_ACTION_PROCESS_EXIT;
	cr_assert_eq(sc_live_act(&run, &request), -EPERM);
	cr_assert_eq(run.outcome, SC_ACTION_OUTCOME_FAILED);
}

Test(action_guard, members_are_killed_by_pidfd_beside_a_write)
{
	int web = sc_sandbox_mkdir(&sc_box, "web"), inner = sc_sandbox_mkdir(&sc_box, "web/inner");
	struct sc_action_request request = {.kind = SC_ACTION_PROCESS_EXIT};
	struct sc_effector eff = sc_live_effector();
	struct sc_action_run run = {0};

	for (int i = 0; i < 50; i++) {
		sc_helper_sleep(web);
		sc_helper_sleep(inner);
	}
	request.cgroup_id = sc_cgroup_id(web);
	cr_assert_eq(sc_action_prepare(&run, &request, &eff), 0);
	cr_assert_eq(run.members, 100);
	cr_assert_eq(sc_action_kill_members(&run, &eff), 100);
	cr_assert_eq(sc_wait_populated(web, false, 30000), 0);
	cr_assert_eq(sc_action_kill_members(&run, &eff), 0);
	sc_live_drive(&run, false);
	cr_assert_eq(run.outcome, SC_ACTION_OUTCOME_EMPTIED, "%s", run.text);
}

struct supervisor {
	int cgroup_fd;
};

/* Outside the target: starts its child again as soon as it dies. */
static int supervise(void *arg)
{
	const struct supervisor *s = arg;

	alarm(20);
	for (;;) {
		pid_t pid = sc_helper_sleep(s->cgroup_fd);

		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			return 1;
	}
}

Test(action_guard, rekill_goes_on_until_released_and_only_for_that_id)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");
	struct supervisor supervisor = {.cgroup_fd = web};
	struct sc_standing standing = {.cgroup_id = sc_cgroup_id(web)};
	struct sc_action_request request = {.kind = SC_ACTION_PROCESS_EXIT,
					    .cgroup_id = standing.cgroup_id};
	pid_t pid = sc_helper_call(sc_box.dirfd, supervise, &supervisor);

	/* A child born during the kill may die of it: seen populated, and empty again at the
	 * judgement. */
	while (standing.rekills < 20) {
		struct sc_action_run run = {0};
		bool populated;

		cr_assert_eq(sc_wait_populated(web, true, 30000), 0);
		populated = sc_cgroup_key(web, "cgroup.events", "populated") == 1;
		if (sc_standing_judge(&standing, true, populated, sc_mono_ns()) == SC_STANDING_KILL)
			cr_assert_eq(sc_live_act(&run, &request), 0);
	}
	cr_assert(sc_live_is_alive(pid), "the supervisor is outside");
	standing.is_released = true;
	cr_assert_eq(sc_wait_populated(web, true, 30000), 0);
	cr_assert_eq(sc_standing_judge(&standing, true, true, sc_mono_ns()), SC_STANDING_END);
	kill(pid, SIGKILL);
}

Test(action_guard, recovery_sees_which_members_are_older_than_the_intent)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");
	struct sc_effector eff = sc_live_effector();
	struct sc_action_facts facts;
	uint64_t intent_ns;

	sc_helper_sleep(web);
	/* Starts are told in steps of 10 ms; three of them lie between the two processes. */
	intent_ns = sc_time_now().boot_ns + 15 * SC_NS_PER_MS;
	while (sc_time_now().boot_ns < intent_ns + 15 * SC_NS_PER_MS)
		sched_yield();
	sc_helper_sleep(web);
	cr_assert_eq(sc_action_ops_of(SC_ACTION_PROCESS_EXIT)
			     ->reconcile(sc_cgroup_id(web), &eff, intent_ns, &facts),
		     0);
	cr_assert_eq(facts.members, 2);
	cr_assert_eq(facts.members_older, 1);
	cr_assert(facts.exists && facts.populated && !facts.frozen && facts.is_members_all);
}
