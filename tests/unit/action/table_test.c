/* SPDX-License-Identifier: Apache-2.0 */
/* The table of kinds, the refusals, the standing intent and the facts for recovery. */
#include "harness/fake_effector.h"

#include "base/mem.h"

#include <criterion/criterion.h>

#define MS 1000000ULL

Test(action_table, every_kind_has_a_whole_row_and_a_name_that_finds_it)
{
	for (int k = 0; k < SC_ACTION_KIND_COUNT; k++) {
		const struct sc_action_ops *ops = sc_action_ops_of((enum sc_action_kind)k);

		cr_assert_eq(ops->kind, k);
		cr_assert(ops->text && ops->prepare && ops->apply && ops->verify && ops->reconcile);
		cr_assert_eq(sc_action_kind_find(sc_action_kind_name((enum sc_action_kind)k)), k);
		cr_assert_eq(ops->release != NULL, ops->is_reversible && ops->is_available);
	}
	cr_assert_eq(sc_action_kind_find("reboot"), -ENOENT);
	cr_assert_eq(sc_action_kind_find(""), -ENOENT);
}

Test(action_table, names_are_those_of_the_contract)
{
	static const char *const names[] = {
		"process-exit",    "circuit-break-component", "tenant-quarantine",
		"global-readonly", "rollback-to-checkpoint",  "freeze",
		"refuse-new"};

	_Static_assert(SC_ARRAY_SIZE(names) == SC_ACTION_KIND_COUNT, "one each");

	for (int k = 0; k < SC_ACTION_KIND_COUNT; k++)
		cr_assert_str_eq(sc_action_kind_name((enum sc_action_kind)k), names[k]);
}

/* A2 */
Test(action_table, kinds_not_built_refuse_and_touch_nothing)
{
	for (int k = 0; k < SC_ACTION_KIND_COUNT; k++) {
		struct sc_action_request request = {.kind = (enum sc_action_kind)k,
						    .cgroup_id = 70};
		struct sc_action_run run = {0};
		struct sc_effector eff;
		struct sc_fake fake;

		if (sc_action_ops_of(request.kind)->is_available)
			continue;
		sc_fake_init(&fake);
		eff = sc_fake_effector(&fake);
		sc_fake_add_members(&fake, sc_fake_add_cgroup(&fake, 0, 70), 3);
		cr_assert_eq(sc_action_prepare(&run, &request, &eff), -EOPNOTSUPP);
		cr_assert_eq(run.outcome, SC_ACTION_OUTCOME_FAILED);
		cr_assert(strstr(run.text, "not available on this host: "), "%s", run.text);
		cr_assert_eq(fake.calls, 0);
		cr_assert_eq(sc_fake_alive(&fake, 0), 3);
	}
}

Test(action_table, kernel_without_cgroup_kill_is_said_so)
{
	struct sc_action_request request = {.kind = SC_ACTION_PROCESS_EXIT, .cgroup_id = 70};
	struct sc_action_run run = {0};
	struct sc_effector eff;
	struct sc_fake fake;

	sc_fake_init(&fake);
	eff = sc_fake_effector(&fake);
	fake.cgroups[sc_fake_add_cgroup(&fake, 0, 70)].lacks_kill = true;
	cr_assert_eq(sc_action_prepare(&run, &request, &eff), -EOPNOTSUPP);
	cr_assert_str_eq(run.text, "not available on this host: the kernel has no cgroup.kill");
	cr_assert_eq(sc_fake_open_fds(&fake), 0);
}

Test(action_run, close_is_harmless_on_a_zeroed_run_and_when_repeated)
{
	struct sc_action_run run = {0};
	struct sc_effector eff;
	struct sc_fake fake;

	sc_fake_init(&fake);
	eff = sc_fake_effector(&fake);
	sc_action_close(&run, &eff);
	sc_action_close(&run, &eff);
	cr_assert_eq(fake.unmarks, 0);
}

Test(standing, kills_again_what_repopulates_until_released_or_gone)
{
	static const struct {
		bool exists, populated, is_released;
		enum sc_standing_step step;
		uint32_t rekills;
	} cases[] = {
		{true, false, false, SC_STANDING_WAIT, 0},
		{true, true, false, SC_STANDING_KILL, 1},
		{true, true, false, SC_STANDING_KILL, 2},
		{true, false, false, SC_STANDING_WAIT, 2},
		{true, true, true, SC_STANDING_END, 2},
		{false, false, false, SC_STANDING_END, 2},
		{false, true, false, SC_STANDING_END, 2},
	};
	struct sc_standing standing = {.cgroup_id = 70};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		standing.is_released = cases[i].is_released;
		cr_assert_eq(sc_standing_judge(&standing, cases[i].exists, cases[i].populated, i),
			     cases[i].step, "case %zu", i);
		cr_assert_eq(standing.rekills, cases[i].rekills, "case %zu", i);
	}
	cr_assert_eq(standing.last_ns, 2);
}

Test(reconcile, members_count_as_older_only_when_surely_so)
{
	static const struct {
		uint64_t start_boot_ns;
		bool is_older;
	} cases[] = {
		{500 * MS, true},  {990 * MS, true}, /* shown as 990: began before 1000 */
		{991 * MS, false}, {1000 * MS, false}, {2000 * MS, false}, {0, false}, /* unknown */
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct sc_action_facts facts;
		struct sc_effector eff;
		struct sc_fake fake;
		int first;

		sc_fake_init(&fake);
		eff = sc_fake_effector(&fake);
		first = sc_fake_add_members(&fake, sc_fake_add_cgroup(&fake, 0, 70), 1);
		fake.members[first].start_boot_ns = cases[i].start_boot_ns;
		cr_assert_eq(sc_action_ops_of(SC_ACTION_PROCESS_EXIT)
				     ->reconcile(70, &eff, 1000 * MS, &facts),
			     0);
		cr_assert(facts.exists && facts.populated && facts.is_members_all);
		cr_assert_eq(facts.members, 1);
		cr_assert_eq(facts.members_older, cases[i].is_older, "case %zu", i);
		cr_assert_eq(sc_fake_open_fds(&fake), 0);
	}
}

Test(reconcile, vanished_target_is_a_fact_and_an_error_is_none)
{
	struct sc_action_facts facts = {.exists = true};
	struct sc_effector eff;
	struct sc_fake fake;

	sc_fake_init(&fake);
	eff = sc_fake_effector(&fake);
	cr_assert_eq(sc_action_ops_of(SC_ACTION_FREEZE)->reconcile(70, &eff, 1, &facts), 0);
	cr_assert_not(facts.exists);

	sc_fake_add_cgroup(&fake, 0, 70);
	fake.cgroups[1].wants_frozen = true;
	cr_assert_eq(sc_action_ops_of(SC_ACTION_FREEZE)->reconcile(70, &eff, 1, &facts), 0);
	cr_assert(facts.exists && facts.wants_frozen && facts.frozen && !facts.populated);

	for (unsigned int n = 1; n <= 5; n++) {
		facts.members = 77;
		fake.calls = 0;
		fake.fail_at = n;
		fake.fail_error = -EIO;
		cr_assert_eq(sc_action_ops_of(SC_ACTION_FREEZE)->reconcile(70, &eff, 1, &facts),
			     -EIO);
		cr_assert_eq(facts.members, 77, "untouched on failure");
		cr_assert_eq(sc_fake_open_fds(&fake), 0);
	}
}
