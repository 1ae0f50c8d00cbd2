/* SPDX-License-Identifier: Apache-2.0 */
/* freeze in the fake world, and the thaw on every exit path. */
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
	int workload, web;
};

static void setup(struct world *w)
{
	memset(w, 0, sizeof(*w));
	sc_fake_init(&w->fake);
	w->eff = sc_fake_effector(&w->fake);
	w->workload = sc_fake_add_cgroup(&w->fake, 0, 60);
	w->web = sc_fake_add_cgroup(&w->fake, w->workload, WEB_ID);
	sc_fake_add_members(&w->fake, w->web, 5);
	w->request = (struct sc_action_request){.kind = SC_ACTION_FREEZE, .cgroup_id = WEB_ID};
}

static void act(struct world *w, bool releases)
{
	if (sc_action_prepare(&w->run, &w->request, &w->eff) == 0)
		sc_fake_drive(&w->fake, &w->run, releases);
	sc_action_close(&w->run, &w->eff);
	cr_assert_eq(sc_fake_open_fds(&w->fake), 0);
}

static void expect(const struct world *w, enum sc_action_outcome outcome, const char *text)
{
	cr_assert_eq(w->run.outcome, outcome, "%s: %s", sc_action_outcome_name(w->run.outcome),
		     w->run.text);
	cr_assert(strstr(w->run.text, text), "'%s' lacks '%s'", w->run.text, text);
}

Test(freeze, freezes_and_thaws_verified)
{
	struct world w;

	setup(&w);
	act(&w, false);
	expect(&w, SC_ACTION_OUTCOME_FROZEN, "frozen");
	cr_assert(w.run.has_frozen);
	cr_assert(sc_fake_is_frozen(&w.fake, w.web));
	act(&w, true);
	expect(&w, SC_ACTION_OUTCOME_THAWED, "thawed");
	cr_assert_not(sc_fake_is_frozen(&w.fake, w.web));
	cr_assert_eq(sc_fake_alive(&w.fake, w.web), 5);
}

Test(freeze, twice_is_harmless_either_way)
{
	struct world w;

	setup(&w);
	act(&w, false);
	act(&w, false);
	expect(&w, SC_ACTION_OUTCOME_FROZEN, "already");
	cr_assert_not(w.run.has_frozen, "the first run holds it");
	cr_assert_eq(w.fake.freeze_writes, 1);
	act(&w, true);
	act(&w, true);
	expect(&w, SC_ACTION_OUTCOME_THAWED, "thawed");
	cr_assert_eq(w.fake.thaw_writes, 1);
}

Test(freeze, what_another_hand_froze_is_not_claimed)
{
	struct world w;

	setup(&w);
	w.fake.cgroups[w.web].wants_frozen = true;
	act(&w, false);
	expect(&w, SC_ACTION_OUTCOME_FROZEN, "another hand");
	cr_assert_not(w.run.has_frozen);
	cr_assert_eq(w.fake.freeze_writes, 0);
}

Test(freeze, what_holds_the_agent_or_pid_1_is_refused)
{
	struct world w;

	setup(&w);
	w.fake.cgroups[w.web].is_guarded = true;
	cr_assert_eq(sc_action_prepare(&w.run, &w.request, &w.eff), -EPERM);
	expect(&w, SC_ACTION_OUTCOME_FAILED, "refused");
	w.request.cgroup_id = 1;
	cr_assert_eq(sc_action_prepare(&w.run, &w.request, &w.eff), -EPERM);
	cr_assert_eq(w.fake.freeze_writes, 0);
}

Test(freeze, timeout_names_the_tasks_that_would_not_and_leaves_the_wish)
{
	struct world w;

	setup(&w);
	w.fake.members[3].is_unkillable = true;
	w.request.deadline_ns = 200 * MS;
	act(&w, false);
	expect(&w, SC_ACTION_OUTCOME_PARTIAL,
	       "not frozen in time; 1 left: 103 (fake) D in pipe_write");
	cr_assert(w.run.has_frozen, "the caller must enter it into its table");
	cr_assert(w.fake.cgroups[w.web].wants_frozen);
	cr_assert_eq(w.run.verified_ns - w.run.first_begin_ns, 200 * MS);
	act(&w, true);
	expect(&w, SC_ACTION_OUTCOME_THAWED, "thawed");
}

Test(freeze, release_below_a_frozen_ancestor_is_done_and_says_so)
{
	struct world w;

	setup(&w);
	act(&w, false);
	w.fake.cgroups[w.workload].wants_frozen = true;
	act(&w, true);
	expect(&w, SC_ACTION_OUTCOME_THAWED, "a cgroup above is frozen");
	cr_assert_not(w.fake.cgroups[w.web].wants_frozen);
	cr_assert(w.fake.cgroups[w.workload].wants_frozen, "not ours");
}

Test(freeze, vanished_target_is_success_either_way)
{
	for (int releases = 0; releases < 2; releases++) {
		struct world w;

		setup(&w);
		cr_assert_eq(sc_action_prepare(&w.run, &w.request, &w.eff), 0);
		w.fake.cgroups[w.web].exists = false;
		sc_fake_drive(&w.fake, &w.run, releases);
		expect(&w, SC_ACTION_OUTCOME_GONE, "gone");
		sc_action_close(&w.run, &w.eff);
		act(&w, releases);
		expect(&w, SC_ACTION_OUTCOME_GONE, "gone");
	}
}

Test(freeze, failed_write_is_tried_again_until_the_deadline)
{
	struct world w;

	setup(&w);
	w.fake.write_error = -EBUSY;
	w.fake.write_errors = 3;
	act(&w, false);
	expect(&w, SC_ACTION_OUTCOME_FROZEN, "frozen");
	cr_assert_eq(w.run.writes, 4);
	w.fake.write_error = -EBUSY;
	w.fake.write_errors = 3;
	act(&w, true);
	expect(&w, SC_ACTION_OUTCOME_THAWED, "thawed");
	cr_assert(w.run.has_thawed);

	setup(&w);
	w.fake.write_error = -EPERM;
	act(&w, false);
	expect(&w, SC_ACTION_OUTCOME_FAILED, "Operation not permitted");
	cr_assert_not(w.run.has_frozen);

	/* Not yet frozen, and the wish cannot be taken back: that is not thawed. */
	w.fake.members[0].is_unkillable = w.fake.cgroups[w.web].wants_frozen = true;
	act(&w, true);
	expect(&w, SC_ACTION_OUTCOME_FAILED, "Operation not permitted");
	cr_assert_not(w.run.has_thawed);
}

/* Whatever call fails on the way: what scram froze is in has_frozen, and the table's thaw undoes
 * it. */
Test(freeze, any_failing_call_leaves_nothing_frozen_behind)
{
	static const int errors[] = {-EIO, -EINTR, -ENOMEM, -EPERM, -ESTALE, -ENODEV, -EBUSY};

	for (size_t e = 0; e < SC_ARRAY_SIZE(errors) * 2; e++) {
		for (unsigned int n = 1;; n++) {
			struct sc_frozen table[2] = {0};
			struct world w;

			setup(&w);
			w.fake.fail_at = n;
			w.fake.fail_error = errors[e / 2];
			w.fake.fails_for_ever = e % 2;
			act(&w, false);
			cr_assert_neq(w.run.outcome, SC_ACTION_OUTCOME_NONE);
			if (w.run.outcome == SC_ACTION_OUTCOME_FROZEN)
				cr_assert(sc_fake_is_frozen(&w.fake, w.web));
			cr_assert_eq(w.run.has_frozen, w.fake.cgroups[w.web].wants_frozen);
			if (w.run.has_frozen)
				cr_assert_eq(
					sc_frozen_add(table, 2,
						      &(struct sc_frozen){.cgroup_id = WEB_ID}),
					0);
			if (w.fake.calls < n)
				break;
			w.fake.fail_at = 0;
			cr_assert_eq(sc_frozen_thaw_due(table, 2, UINT64_MAX, &w.eff), 0);
			cr_assert_not(w.fake.cgroups[w.web].wants_frozen);
			cr_assert_eq(sc_fake_open_fds(&w.fake), 0);
		}
	}
}

Test(frozen_table, enters_once_and_refuses_when_full)
{
	struct sc_frozen table[2] = {0};
	struct sc_frozen a = {.cgroup_id = 5, .fire_id = "a"},
			 again = {.cgroup_id = 5, .fire_id = "b"};

	cr_assert_eq(sc_frozen_add(table, 2, &a), 0);
	cr_assert_eq(sc_frozen_add(table, 2, &again), -EEXIST);
	cr_assert_str_eq(sc_frozen_find(table, 2, 5)->fire_id, "a");
	cr_assert_eq(sc_frozen_add(table, 2, &(struct sc_frozen){.cgroup_id = 6}), 0);
	cr_assert_eq(sc_frozen_add(table, 2, &(struct sc_frozen){.cgroup_id = 7}), -ENOSPC);
	cr_assert_null(sc_frozen_find(table, 2, 7));
}

Test(frozen_table, thaws_what_is_due_goes_on_after_failures_and_keeps_their_entries)
{
	struct sc_frozen table[4] = {
		{.cgroup_id = 60, .until_boot_ns = 100},
		{.cgroup_id = WEB_ID, .until_boot_ns = 200},
		{.cgroup_id = 999}, /* gone */
	};
	struct world w;

	setup(&w);
	w.fake.cgroups[w.web].wants_frozen = w.fake.cgroups[w.workload].wants_frozen = true;
	cr_assert_eq(sc_frozen_thaw_due(table, 4, 99, &w.eff), 0);
	cr_assert_eq(w.fake.thaw_writes, 0);
	cr_assert_eq(table[2].cgroup_id, 999, "without a ttl it is never due");
	cr_assert_eq(sc_frozen_thaw_due(table, 4, 100, &w.eff), 0);
	cr_assert_eq(table[0].cgroup_id, 0);
	cr_assert(w.fake.cgroups[w.web].wants_frozen);
	w.fake.write_error = -EIO;
	w.fake.write_errors = 1;
	table[0] = (struct sc_frozen){.cgroup_id = 60};
	cr_assert_eq(sc_frozen_thaw_due(table, 4, UINT64_MAX, &w.eff), 1);
	cr_assert_eq(table[0].cgroup_id, 60, "failed: kept for the next try");
	cr_assert_eq(table[1].cgroup_id, 0);
	cr_assert_eq(table[2].cgroup_id, 0, "gone counts as thawed");
	cr_assert_eq(sc_frozen_thaw_due(table, 4, UINT64_MAX, &w.eff), 0);
	cr_assert_eq(sc_fake_open_fds(&w.fake), 0);
}
