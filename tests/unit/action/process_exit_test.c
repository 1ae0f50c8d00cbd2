/* SPDX-License-Identifier: Apache-2.0 */
/* process-exit in the fake world: every way a kill can end, and every call that can fail on the
 * way. */
#include "harness/fake_effector.h"

#include "base/mem.h"

#include <criterion/criterion.h>

#define WEB_ID 70
#define MS     1000000ULL

struct world {
	struct sc_fake fake;
	struct sc_effector eff;
	struct sc_action_run run;
	struct sc_action_request request;
	int web; /* the target, /workload/web */
};

static void setup(struct world *w, unsigned int members)
{
	int workload;

	memset(w, 0, sizeof(*w));
	sc_fake_init(&w->fake);
	w->eff = sc_fake_effector(&w->fake);
	workload = sc_fake_add_cgroup(&w->fake, 0, 60);
	w->web = sc_fake_add_cgroup(&w->fake, workload, WEB_ID);
	if (members)
		sc_fake_add_members(&w->fake, w->web, members);
	w->request = (struct sc_action_request){.kind = SC_ACTION_PROCESS_EXIT,
						.cgroup_id = WEB_ID,
						.scope_root_id = 60,
						.was_populated = members > 0};
}

static int prepare(struct world *w)
{
	return sc_action_prepare(&w->run, &w->request, &w->eff);
}

/* The whole run; afterwards nothing is held, and no mark is left. */
static void fire(struct world *w)
{
	if (prepare(w) == 0)
		sc_fake_drive(&w->fake, &w->run, false);
	sc_action_close(&w->run, &w->eff);
	cr_assert_eq(sc_fake_open_fds(&w->fake), 0);
	cr_assert_eq(w->fake.marks, w->fake.unmarks);
}

static void expect(const struct world *w, enum sc_action_outcome outcome, const char *text)
{
	cr_assert_eq(w->run.outcome, outcome, "%s: %s", sc_action_outcome_name(w->run.outcome),
		     w->run.text);
	cr_assert(strstr(w->run.text, text), "'%s' lacks '%s'", w->run.text, text);
}

Test(process_exit, kill_empties_the_cgroup_and_counts)
{
	static const unsigned int sizes[] = {1, 2, 50, 500, 1024, 1100};

	for (size_t i = 0; i < SC_ARRAY_SIZE(sizes); i++) {
		struct world w;

		setup(&w, sizes[i]);
		fire(&w);
		expect(&w, SC_ACTION_OUTCOME_EMPTIED, sizes[i] > 1024 ? "killed over " : "killed ");
		cr_assert_eq(w.run.killed, SC_MIN(sizes[i], 1024U));
		cr_assert_eq(w.run.writes, 1);
		cr_assert_eq(w.fake.sigkills, 0);
		cr_assert_eq(sc_fake_alive(&w.fake, 0), 0);
	}
}

Test(process_exit, kill_reaches_descendants_and_no_sibling)
{
	struct world w;
	int below, beside;

	setup(&w, 2);
	below = sc_fake_add_cgroup(&w.fake, w.web, 71);
	beside = sc_fake_add_cgroup(&w.fake, 1, 72);
	sc_fake_add_members(&w.fake, below, 3);
	sc_fake_add_members(&w.fake, beside, 4);
	fire(&w);
	expect(&w, SC_ACTION_OUTCOME_EMPTIED, "killed 5");
	cr_assert_eq(sc_fake_alive(&w.fake, beside), 4);
}

Test(process_exit, times_are_those_of_the_first_write_and_of_the_sight)
{
	struct world w;

	setup(&w, 1);
	w.fake.kills_nothing = 1;
	fire(&w);
	cr_assert_eq(w.run.prepared_ns, 1000 * MS);
	cr_assert_eq(w.run.first_begin_ns, 1000 * MS);
	cr_assert_eq(w.run.first_end_ns, 1000 * MS);
	cr_assert_eq(w.run.verified_ns, 1100 * MS);
}

Test(process_exit, is_written_again_while_not_empty_ever_more_rarely)
{
	struct world w;

	setup(&w, 3);
	w.fake.kills_nothing = 3;
	fire(&w);
	expect(&w, SC_ACTION_OUTCOME_EMPTIED, "kill writes 4");
	/* 100 + 200 + 400 ms after the first */
	cr_assert_eq(w.run.verified_ns - w.run.first_begin_ns, 700 * MS);
}

Test(process_exit, deadline_names_who_is_left)
{
	struct world w;
	int first;

	setup(&w, 10);
	first = sc_fake_add_members(&w.fake, w.web, 2);
	w.fake.members[first].is_unkillable = w.fake.members[first + 1].is_unkillable = true;
	w.request.deadline_ns = 300 * MS;
	fire(&w);
	expect(&w, SC_ACTION_OUTCOME_PARTIAL,
	       "2 left: 110 (fake) D in pipe_write, 111 (fake) D in pipe_write");
	cr_assert_eq(w.run.killed, 10);
	cr_assert_eq(w.run.left, 2);
	cr_assert_eq(w.run.left_described, 2);
	cr_assert_eq(w.run.left_members[1].pid, 111);
	cr_assert_eq(w.run.verified_ns - w.run.first_begin_ns, 300 * MS);
	cr_assert_eq(w.run.writes, 2);
}

Test(process_exit, more_left_than_can_be_described_is_counted)
{
	struct world w;

	setup(&w, 40);
	for (int i = 0; i < 40; i++)
		w.fake.members[i].is_unkillable = true;
	fire(&w);
	expect(&w, SC_ACTION_OUTCOME_PARTIAL, "40 left");
	cr_assert_eq(w.run.left_described, SC_ACTION_LEFT_MAX);
	cr_assert_eq(w.run.killed, 0);
}

Test(process_exit, vanished_target_is_success_at_every_step)
{
	struct world w;
	uint64_t next_ns;

	setup(&w, 1);
	w.fake.cgroups[w.web].exists = false;
	cr_assert_eq(prepare(&w), -ESTALE);
	expect(&w, SC_ACTION_OUTCOME_GONE, "gone");
	cr_assert_eq(w.run.phase, SC_RUN_DONE);
	cr_assert_eq(sc_fake_open_fds(&w.fake), 0);

	setup(&w, 1);
	cr_assert_eq(prepare(&w), 0);
	w.fake.cgroups[w.web].exists = false;
	w.run.ops->apply(&w.run, &w.eff);
	cr_assert_eq(w.run.error, -ENODEV);
	cr_assert_eq(w.run.ops->verify(&w.run, &w.eff, w.fake.now_ns, &next_ns), SC_STEP_DONE);
	expect(&w, SC_ACTION_OUTCOME_GONE, "gone");
	cr_assert_eq(w.run.killed, 0, "nothing of it was scram's doing");
}

Test(process_exit, target_made_anew_under_the_same_path_is_never_hit)
{
	struct world w;
	int again;

	setup(&w, 1);
	cr_assert_eq(prepare(&w), 0);
	w.fake.cgroups[w.web].exists = false;
	w.fake.members[0].is_alive = false;
	again = sc_fake_add_cgroup(&w.fake, 1, WEB_ID + 1);
	sc_fake_add_members(&w.fake, again, 5);
	sc_fake_drive(&w.fake, &w.run, false);
	expect(&w, SC_ACTION_OUTCOME_GONE, "gone");
	cr_assert_eq(sc_fake_alive(&w.fake, again), 5);
}

Test(process_exit, killing_nothing_is_a_failure_unless_it_was_empty_before)
{
	struct world w;

	setup(&w, 0);
	fire(&w);
	expect(&w, SC_ACTION_OUTCOME_EMPTIED, "was already empty");
	cr_assert_eq(w.run.killed, 0);

	setup(&w, 0);
	w.request.was_populated = true;
	fire(&w);
	expect(&w, SC_ACTION_OUTCOME_NOTHING, "killed 0 processes");
	cr_assert_not(sc_action_outcome_is_success(w.run.outcome));
}

Test(process_exit, members_that_walked_out_are_not_counted_as_killed)
{
	struct world w;
	int beside;

	setup(&w, 3);
	beside = sc_fake_add_cgroup(&w.fake, 1, 72);
	cr_assert_eq(prepare(&w), 0);
	for (int i = 0; i < 3; i++)
		w.fake.members[i].cgroup = beside;
	sc_fake_drive(&w.fake, &w.run, false);
	expect(&w, SC_ACTION_OUTCOME_NOTHING, "left the cgroup and live on");
	cr_assert_eq(w.run.escaped, 3);
	cr_assert_eq(sc_fake_alive(&w.fake, beside), 3, "what is outside is not touched");

	setup(&w, 3);
	beside = sc_fake_add_cgroup(&w.fake, 1, 72);
	cr_assert_eq(prepare(&w), 0);
	w.fake.members[0].cgroup = beside;
	sc_fake_drive(&w.fake, &w.run, false);
	expect(&w, SC_ACTION_OUTCOME_EMPTIED, "killed 2");
	cr_assert_eq(w.run.escaped, 1);
}

Test(process_exit, who_came_after_prepare_is_killed_and_no_failure)
{
	struct world w;

	setup(&w, 0);
	w.request.was_populated = true;
	cr_assert_eq(prepare(&w), 0);
	sc_fake_add_members(&w.fake, w.web, 2);
	sc_fake_drive(&w.fake, &w.run, false);
	expect(&w, SC_ACTION_OUTCOME_EMPTIED, "emptied");
	cr_assert_eq(sc_fake_alive(&w.fake, w.web), 0);
}

Test(process_exit, grace_ends_early_when_all_obey)
{
	struct world w;

	setup(&w, 5);
	w.request.grace_ns = 5000 * MS;
	fire(&w);
	expect(&w, SC_ACTION_OUTCOME_EMPTIED, "SIGTERMs 5");
	cr_assert_eq(w.run.writes, 0);
	cr_assert_eq(w.run.killed, 5);
}

Test(process_exit, grace_is_followed_by_the_kill)
{
	struct world w;

	setup(&w, 5);
	w.fake.members[2].ignores_term = true;
	w.request.grace_ns = 250 * MS;
	fire(&w);
	expect(&w, SC_ACTION_OUTCOME_EMPTIED, "killed 5");
	cr_assert_eq(w.run.terms, 5);
	cr_assert_eq(w.run.writes, 1);
	cr_assert_eq(w.run.first_begin_ns - w.run.prepared_ns, 250 * MS);
}

Test(process_exit, threaded_target_is_killed_through_its_domain_inside_the_scope_only)
{
	static const struct {
		uint64_t scope_root_id;
		int result;
		uint64_t acted_id;
	} cases[] = {
		/* scope above the domain, at it, below it, at the target, none */
		{60, 0, WEB_ID}, {WEB_ID, 0, WEB_ID}, {71, -EXDEV, 0},
		{72, -EXDEV, 0}, {0, -EXDEV, 0},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct world w;
		int upper, lower;

		setup(&w, 1);
		upper = sc_fake_add_cgroup(&w.fake, w.web, 71);
		lower = sc_fake_add_cgroup(&w.fake, upper, 72);
		w.fake.cgroups[w.web].type = SC_CGROUP_DOMAIN_THREADED;
		w.fake.cgroups[upper].type = w.fake.cgroups[lower].type = SC_CGROUP_THREADED;
		w.request.cgroup_id = 72;
		w.request.scope_root_id = cases[i].scope_root_id;
		cr_assert_eq(prepare(&w), cases[i].result);
		if (cases[i].result < 0) {
			expect(&w, SC_ACTION_OUTCOME_FAILED, "threaded");
			cr_assert_eq(sc_fake_alive(&w.fake, w.web), 1);
			continue;
		}
		cr_assert_eq(w.run.acted_id, cases[i].acted_id);
		sc_fake_drive(&w.fake, &w.run, false);
		expect(&w, SC_ACTION_OUTCOME_EMPTIED, "killed 1");
	}
}

Test(process_exit, what_holds_the_agent_is_refused_also_as_a_domain)
{
	struct world w;
	int lower;

	setup(&w, 1);
	w.fake.cgroups[w.web].is_guarded = true;
	cr_assert_eq(prepare(&w), -EPERM);
	expect(&w, SC_ACTION_OUTCOME_FAILED, "refused");

	setup(&w, 1);
	lower = sc_fake_add_cgroup(&w.fake, w.web, 71);
	w.fake.cgroups[lower].type = SC_CGROUP_THREADED;
	w.fake.cgroups[w.web].is_guarded = true;
	w.request.cgroup_id = 71;
	cr_assert_eq(prepare(&w), -EPERM);
	cr_assert_eq(sc_fake_open_fds(&w.fake), 0);
	cr_assert_eq(sc_fake_alive(&w.fake, 0), 1);
}

Test(process_exit, refused_write_falls_back_to_single_kills)
{
	static const int errors[] = {-EOPNOTSUPP, -EBUSY, -EPERM, -EIO, -ENOMEM, -EINTR};

	for (size_t i = 0; i < SC_ARRAY_SIZE(errors); i++) {
		struct world w;

		setup(&w, 300);
		w.fake.write_error = errors[i];
		fire(&w);
		expect(&w, SC_ACTION_OUTCOME_EMPTIED, "pidfd kills 300");
		cr_assert_eq(w.run.error, errors[i]);
		cr_assert_eq(w.run.writes_ok, 0);
	}
}

Test(process_exit, interrupted_write_is_repeated_at_once)
{
	struct world w;

	setup(&w, 1);
	w.fake.write_error = -EINTR;
	w.fake.write_errors = 2;
	fire(&w);
	expect(&w, SC_ACTION_OUTCOME_EMPTIED, "pidfd kills 0");
	cr_assert_eq(w.run.writes, 1);
	cr_assert_eq(w.run.verified_ns, w.run.first_begin_ns);
}

Test(process_exit, refused_write_and_nobody_to_signal_is_a_failure)
{
	struct world w;

	setup(&w, 1);
	w.fake.members[0].is_protected = true;
	w.fake.write_error = -EPERM;
	fire(&w);
	expect(&w, SC_ACTION_OUTCOME_FAILED, "Operation not permitted");
	cr_assert_eq(w.fake.sigkills, 0);
}

/* What the loop does while the hand hangs in its write: nothing for 10 ms, then single kills. */
static void loop_beside_the_hand(struct sc_fake *fake, void *arg)
{
	struct world *w = arg;

	if (w->run.pidfd_kills)
		return;
	cr_assert_not(sc_action_is_stuck(&w->run, fake->now_ns));
	fake->now_ns += 10 * MS;
	cr_assert_not(sc_action_is_stuck(&w->run, fake->now_ns));
	fake->now_ns += 1;
	cr_assert(sc_action_is_stuck(&w->run, fake->now_ns));
	cr_assert_eq(sc_action_kill_members(&w->run, &w->eff), SC_ACTION_BATCH_MAX);
	cr_assert_eq(sc_action_kill_members(&w->run, &w->eff), 72);
	cr_assert_eq(sc_action_kill_members(&w->run, &w->eff), 0);
	fake->now_ns += 100 * MS;
}

Test(process_exit, members_are_killed_singly_beside_a_stuck_write)
{
	struct world w;

	setup(&w, 200);
	w.fake.during_write = loop_beside_the_hand;
	w.fake.during_write_arg = &w;
	fire(&w);
	expect(&w, SC_ACTION_OUTCOME_EMPTIED, "pidfd kills 200");
	cr_assert_not(sc_action_is_stuck(&w.run, w.fake.now_ns));
	cr_assert_eq(w.run.first_end_ns - w.run.first_begin_ns, 110 * MS + 1);
}

Test(process_exit, members_that_cannot_die_hold_up_no_other_batch)
{
	struct world w;

	setup(&w, 300);
	for (int i = 0; i < 200; i++)
		w.fake.members[i].is_unkillable = true;
	cr_assert_eq(prepare(&w), 0);
	for (int i = 0; i < 6; i++)
		sc_action_kill_members(&w.run, &w.eff);
	cr_assert_eq(sc_fake_alive(&w.fake, w.web), 200);
	sc_action_close(&w.run, &w.eff);
}

Test(process_exit, frozen_target_is_killed_first_and_thawed_after)
{
	struct world w;

	setup(&w, 2);
	w.fake.cgroups[w.web].wants_frozen = true;
	w.request.thaws_after = true;
	fire(&w);
	expect(&w, SC_ACTION_OUTCOME_EMPTIED, "killed 2");
	cr_assert(w.run.has_thawed);
	cr_assert_not(w.fake.cgroups[w.web].wants_frozen);
	cr_assert_eq(w.fake.thaw_writes, 1);

	setup(&w, 2); /* frozen by another hand: not ours to thaw */
	w.fake.cgroups[w.web].wants_frozen = true;
	fire(&w);
	expect(&w, SC_ACTION_OUTCOME_EMPTIED, "killed 2");
	cr_assert(w.fake.cgroups[w.web].wants_frozen);
}

Test(process_exit, partial_kill_is_thawed_and_a_failed_one_stays_frozen)
{
	struct world w;

	setup(&w, 2);
	w.fake.cgroups[w.web].wants_frozen = true;
	w.fake.members[0].is_unkillable = true;
	w.request.thaws_after = true;
	fire(&w);
	expect(&w, SC_ACTION_OUTCOME_PARTIAL, "1 left");
	cr_assert_not(w.fake.cgroups[w.web].wants_frozen);

	setup(&w, 1);
	w.fake.cgroups[w.web].wants_frozen = true;
	w.fake.members[0].is_protected = true;
	w.request.thaws_after = true;
	cr_assert_eq(prepare(&w), 0);
	w.fake.cgroups[w.web].type = SC_CGROUP_THREADED; /* refuses cgroup.kill from now on */
	sc_fake_drive(&w.fake, &w.run, false);
	expect(&w, SC_ACTION_OUTCOME_FAILED, "not supported");
	cr_assert(w.fake.cgroups[w.web].wants_frozen, "nothing died: let it not run again");
}

Test(process_exit, deaths_are_marked_as_scrams_own_from_first_act_to_close)
{
	struct world w;

	setup(&w, 1);
	cr_assert_eq(prepare(&w), 0);
	cr_assert_eq(w.fake.marks, 0, "nothing is marked before the intent is recorded");
	w.run.ops->apply(&w.run, &w.eff);
	cr_assert_eq(w.fake.marks, 1);
	cr_assert_eq(w.fake.unmarks, 0);
	sc_action_close(&w.run, &w.eff);
	sc_action_close(&w.run, &w.eff);
	cr_assert_eq(w.fake.unmarks, 1);
}

Test(process_exit, any_failing_call_leaves_nothing_held_and_no_false_success)
{
	static const int errors[] = {-EIO,   -EINTR,  -ENOMEM, -EMFILE,
				     -EPERM, -ESTALE, -ENODEV, -EBUSY};
	unsigned int sites = 0;

	for (size_t e = 0; e < SC_ARRAY_SIZE(errors) * 2; e++) {
		for (unsigned int n = 1;; n++) {
			struct world w;

			setup(&w, 20);
			w.fake.cgroups[w.web].wants_frozen = true;
			w.request.grace_ns = 20 * MS;
			w.request.thaws_after = true;
			w.fake.members[3].ignores_term = true;
			w.fake.fail_at = n;
			w.fake.fail_error = errors[e / 2];
			w.fake.fails_for_ever = e % 2;
			fire(&w);
			cr_assert_neq(w.run.outcome, SC_ACTION_OUTCOME_NONE);
			cr_assert(w.run.text[0] != '\0');
			if (w.run.outcome == SC_ACTION_OUTCOME_EMPTIED)
				cr_assert_eq(sc_fake_alive(&w.fake, w.web), 0);
			if (w.run.has_thawed)
				cr_assert_not(w.fake.cgroups[w.web].wants_frozen);
			if (w.fake.calls < n)
				break;
			sites++;
		}
	}
	cr_assert_gt(sites, 200);
}
