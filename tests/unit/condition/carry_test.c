/* SPDX-License-Identifier: Apache-2.0 */
/* What a pair keeps and what it forgets: other targets, jumps of time, reloads, promotions, rungs.
 */
#include "unit/condition/world.h"

#include <criterion/criterion.h>

TestSuite(carry, .init = world_begin, .fini = world_end);

Test(carry, another_target_in_the_slot_begins_clear)
{
	uint32_t a = world_add("/w/a");

	world_put(world_spec("c"));
	world_build(0);
	world_say(a, SC_TRUE);
	world_tick(1);
	world_fire(0, a);
	sc_conditions_slot_reset(world.set, a);
	cr_assert_eq(world_phase(0, a), SC_PHASE_CLEAR);
	cr_assert_eq(sc_conditions_stats(world.set, 0).pairs, 0);
	cr_assert_eq(world_tick(1), 1, "another cgroup: its own fire");
	sc_conditions_settled(world.set, 0, a, world.now.mono_ns);
	cr_assert_eq(world_phase(0, a), SC_PHASE_RISING,
		     "an outcome of the old one does not latch the new");
}

Test(carry, a_jump_of_time_restarts_holds_and_keeps_fires)
{
	uint32_t a = world_add("/w/a"), b = world_add("/w/b");
	struct sc_condition_spec spec = world_spec("c");

	spec.hold_ns = 10 * S;
	world_put(spec);
	world_build(0);
	world_say(a, SC_TRUE);
	world_say(b, SC_TRUE);
	world_tick(1);
	world_fire(0, b);
	sc_conditions_restart_holds(world.set);
	cr_assert_eq(world_tick(3600), 0, "the hold began again");
	cr_assert_eq(world_phase(0, a), SC_PHASE_RISING);
	cr_assert_eq(world_phase(0, b), SC_PHASE_LATCHED);
	cr_assert_eq(world_tick(10), 1);
}

Test(carry, reload_carries_over_what_is_judged_as_before)
{
	uint32_t a = world_add("/w/a");
	struct sc_condition_spec changed;

	world_put(world_spec("kept"));
	world_put(world_spec("changed"));
	world_build(0);
	world_say(a, SC_TRUE);
	world_tick(1);
	world_fire(0, a);
	world_fire(1, a);
	changed = world_spec("changed");
	changed.min_samples = 2;
	world_put(changed);
	world_put(world_spec("added"));
	world_build(0);
	cr_assert_eq(sc_conditions_find(world.set, "added"), 0);
	cr_assert_eq(world_phase(2, a), SC_PHASE_LATCHED, "kept");
	cr_assert_gt(sc_conditions_pair(world.set, 2, a).fired_ns, 0);
	cr_assert_eq(world_phase(1, a), SC_PHASE_CLEAR, "changed: judged afresh");
	cr_assert_eq(sc_conditions_stats(world.set, 2).pairs, 1);
}

Test(carry, promoted_after_a_dry_run_fires_for_real_once_cooled)
{
	uint32_t a = world_add("/w/a");

	world_put(world_spec("c"));
	world_build(0);
	world_say(a, SC_TRUE);
	world_tick(1);
	world_fire(0, a);
	world_tick(1);
	cr_assert_eq(sc_registry_set_live(world.registry, "c", true, NULL), 1);
	world_build(0);
	cr_assert(sc_conditions_get(world.set, 0)->live);
	cr_assert_eq(world_tick(1), 0, "the cool-down holds across the promotion");
	cr_assert_eq(world_tick(60), 1);
}

Test(carry, the_ladder_asks_for_its_next_rung)
{
	uint32_t a = world_add("/w/a");
	struct sc_condition_spec spec = world_spec("c");

	spec.rungs = 2;
	spec.rung[0] = (struct sc_rung){SC_ACTION_FREEZE, 2 * S};
	spec.rung[1] = (struct sc_rung){SC_ACTION_PROCESS_EXIT, 0};
	world_put(spec);
	world_build(0);
	world_say(a, SC_TRUE);
	cr_assert_eq(world_tick(1), 1);
	cr_assert_eq(world.items[0].rung, 0);
	world_fire(0, a);
	cr_assert_eq(world_tick(1), 0);
	cr_assert_eq(world_tick(1), 1);
	cr_assert_eq(world.items[0].rung, 1);
	cr_assert_eq(sc_conditions_fired(world.set, 0, a, 1, world.now.mono_ns), 0);
	sc_conditions_settled(world.set, 0, a, world.now.mono_ns);
	cr_assert_eq(world_tick(100), 0);
}
