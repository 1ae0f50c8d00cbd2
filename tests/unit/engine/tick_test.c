/* SPDX-License-Identifier: Apache-2.0 */
/* The tick of a whole engine over a world in memory. */
#include "unit/engine/fake_ports.h"

#include "record/fold.h"

#include <criterion/criterion.h>
#include <string.h>

static const char crash_loop[] =
	"conditions:\n"
	"  - {id: crash, description: t, scope: \"/w/*\", when: \"increase(proc.crashes[60s]) >= "
	"3\", "
	"action: {kind: process-exit}, auto_fire: true, live: true, registered_by: t}\n";

static struct sc_engine *e;

static void tear_down(void)
{
	if (e)
		fake_engine_stop(&e);
}

TestSuite(tick, .fini = tear_down, .timeout = 300);

static void crash(uint32_t slot, int times)
{
	fake_world.counts[slot].proc_crashes += times;
	fake_world.counts[0].proc_crashes += times;
}

static unsigned int fires_in_state(enum sc_fire_state state)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < sc_fold_fire_count(e->fold); i++)
		n += sc_fold_fire_at(e->fold, i)->state == state;
	return n;
}

Test(tick, nothing_is_allocated_neither_when_quiet_nor_when_it_fires)
{
	uint64_t before;

	e = fake_engine_start(crash_loop);
	sc_engine_tick_full(e);
	before = fake_allocations();
	for (int i = 0; i < 100; i++)
		sc_engine_tick_full(e);
	cr_expect_eq(fake_allocations() - before, 0, "quiet ticks");

	crash(2, 3);
	before = fake_allocations();
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	sc_engine_tick_full(e);
	cr_expect_eq(fake_allocations() - before, 0, "a tick that fires, and the fire");
	cr_assert_eq(fires_in_state(SC_FIRE_VERIFIED), 1);
	cr_assert_eq(fake_world.fake.kill_writes, 1);
}

Test(tick, an_early_tick_judges_the_cgroup_that_the_kernel_named_and_allocates_nothing)
{
	uint64_t before;

	e = fake_engine_start(crash_loop);
	sc_engine_tick_full(e);
	crash(3, 3);
	fake_world.wakes[0] = (struct sc_wake){
		.time_ns = sc_mono_ns(), .cgroup_id = 103, .slot = 3, .kind = SC_WAKE_CRASH};
	fake_world.n_wakes = 1;
	before = fake_allocations();
	sc_engine_tick_early(e);
	fake_let_fires_settle(e);
	cr_expect_eq(fake_allocations() - before, 0);
	cr_assert_eq(fires_in_state(SC_FIRE_VERIFIED), 1);
	cr_assert_str_eq(sc_fold_fire_at(e->fold, 0)->target, "/w/3");
}

Test(tick, a_storm_of_wake_records_is_left_to_the_next_full_tick)
{
	e = fake_engine_start(crash_loop);
	sc_engine_tick_full(e);
	for (int i = 0; i < 200; i++) {
		fake_world.wakes[0] = (struct sc_wake){.slot = 4, .kind = SC_WAKE_CRASH};
		fake_world.n_wakes = 1;
		sc_engine_tick_early(e);
	}
	cr_expect_eq(e->ticks.early, 100);
	cr_expect_eq(e->early_wakes_dropped, 100);
	crash(4, 3);
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	cr_assert_eq(fires_in_state(SC_FIRE_VERIFIED), 1, "nothing is missed");
}

Test(tick, the_whole_host_going_bad_at_once_is_a_bad_sensor)
{
	e = fake_engine_start(crash_loop);
	sc_engine_tick_full(e);
	for (uint32_t slot = 1; slot <= FAKE_TARGETS; slot++)
		crash(slot, 3);
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	cr_assert_eq(fires_in_state(SC_FIRE_VERIFIED), 0);
	cr_assert_eq(fake_world.fake.kill_writes, 0);
	cr_assert_eq(fires_in_state(SC_FIRE_VETOED), FAKE_TARGETS);
}

Test(tick, a_target_replaced_between_two_ticks_is_another_target)
{
	e = fake_engine_start(crash_loop);
	sc_engine_tick_full(e);
	crash(2, 3);
	/* The cgroup goes and another takes its slot before the tick sees the crashes. */
	fake_world.nodes[2].cgroup_id = 999;
	fake_world.nodes[2].flags = SC_NODE_BORN;
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	cr_assert_eq(fake_world.fake.kill_writes, 0);
}

Test(tick, a_jump_of_the_clock_begins_the_windows_anew_and_a_grace)
{
	e = fake_engine_start(crash_loop);
	sc_engine_tick_full(e);
	crash(2, 2);
	sc_engine_tick_full(e);
	e->last_tick.boot_ns -= 5 * SC_NS_PER_S; /* as if BOOTTIME had gained 5 s: a suspend */
	sc_engine_tick_full(e);
	crash(2, 1);
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	cr_expect_eq(fake_world.fake.kill_writes, 0, "two of the three were before the suspend");
	crash(2, 3);
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	cr_expect_eq(fake_world.fake.kill_writes, 0, "within the grace after it");
	cr_expect_eq(fires_in_state(SC_FIRE_VETOED), 1);
	cr_assert_str_eq(sc_fold_fire_at(e->fold, 0)->veto, "resume-grace");
}

/* As BPF does it: the node and those above it. */
static void lose_event(uint32_t slot)
{
	const struct sc_node *node = &fake_world.nodes[slot];

	for (uint32_t i = 0; i < node->ancestors; i++) {
		fake_world.nodes[node->ancestor[i]].lost++;
		fake_world.nodes[node->ancestor[i]].lost_ns = sc_mono_ns();
	}
}

Test(tick, lost_counts_veto_what_rests_on_them)
{
	e = fake_engine_start(crash_loop);
	sc_engine_tick_full(e);
	lose_event(2);
	crash(2, 3);
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	cr_expect_eq(fake_world.fake.kill_writes, 0);
	cr_assert_eq(fires_in_state(SC_FIRE_VETOED), 1);
	cr_assert_str_eq(sc_fold_fire_at(e->fold, 0)->veto, "source-health");
}

Test(tick, lost_counts_of_one_do_not_veto_fires_on_others)
{
	e = fake_engine_start(crash_loop);
	sc_engine_tick_full(e);
	lose_event(3);
	crash(2, 3);
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	cr_expect_eq(fires_in_state(SC_FIRE_VERIFIED), 1);
}

Test(tick, lost_counts_of_one_veto_what_looks_at_all)
{
	e = fake_engine_start("conditions:\n"
			      "  - {id: many, description: t, scope: \"/w/*\", when: "
			      "\"increase(proc.crashes[60s]) >= 3 and count(\\\"/w/*\\\", "
			      "increase(proc.crashes[60s]) > 0) < 2\", action: {kind: "
			      "process-exit}, auto_fire: true, live: true, registered_by: t}\n");
	sc_engine_tick_full(e);
	lose_event(3);
	crash(2, 3);
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	cr_expect_eq(fake_world.fake.kill_writes, 0);
	cr_assert_eq(fires_in_state(SC_FIRE_VETOED), 1);
	cr_assert_str_eq(sc_fold_fire_at(e->fold, 0)->veto, "source-health");
}

Test(tick, a_loss_is_held_against_the_evidence_for_a_whole_window)
{
	e = fake_engine_start(crash_loop);
	sc_engine_tick_full(e);
	lose_event(2);
	fake_world.nodes[2].lost_ns -= 59 * SC_NS_PER_S;
	crash(2, 3);
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	cr_expect_eq(fake_world.fake.kill_writes, 0);

	fake_world.nodes[2].lost_ns -= 2 * SC_NS_PER_S;
	sc_engine_tick_full(e);
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	cr_expect_eq(fake_world.fake.kill_writes, 1);
}

static void press(uint32_t slot)
{
	uint64_t now = sc_mono_ns();

	fake_world.kernel[slot] = (struct sc_kernel){
		.pass_ns = now,
		.psi_updated_ns = now,
		.flags = SC_KERNEL_PSI,
		.psi_some[SC_PSI_CPU].avg = {50 * SC_PSI_PERCENT},
	};
}

Test(tick, lost_counts_do_not_veto_what_rests_on_the_kernels_own_numbers)
{
	e = fake_engine_start(
		"conditions:\n"
		"  - {id: press, description: t, scope: \"/w/*\", when: \"psi.cpu.some.avg10 > "
		"10%\", action: {kind: process-exit}, auto_fire: true, live: true, "
		"registered_by: t}\n");
	sc_engine_tick_full(e);
	lose_event(2);
	press(2);
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	cr_assert_eq(fires_in_state(SC_FIRE_VERIFIED), 1);
}

static const char two_persons[] =
	"conditions:\n"
	"  - {id: two, description: t, scope: \"/w/*\", when: \"increase(proc.crashes[60s]) >= "
	"3\", "
	"requires_two_person: true, action: {kind: process-exit}, auto_fire: true, live: true, "
	"registered_by: t}\n";

/* A12 */
Test(tick, a_fire_that_waits_for_a_second_person_times_out)
{
	e = fake_engine_start(two_persons);
	sc_engine_tick_full(e);
	crash(2, 3);
	sc_engine_tick_full(e);
	cr_assert_eq(sc_pending_count(e), 1);
	e->now = sc_time_now();
	e->now.boot_ns += SC_PENDING_TTL_NS - SC_NS_PER_S;
	sc_pending_expire(e);
	cr_expect_eq(sc_pending_count(e), 1, "not before its time");
	e->now = sc_time_now();
	e->now.boot_ns += SC_PENDING_TTL_NS + SC_NS_PER_S;
	sc_pending_expire(e);
	cr_expect_eq(sc_pending_count(e), 0);
	cr_assert_eq(fires_in_state(SC_FIRE_TIMED_OUT), 1);
	cr_assert_eq(fake_world.fake.kill_writes, 0);
}

static void many_wide_conditions(struct sc_str *yaml)
{
	sc_str_add(yaml, "limits: {irreversible_fires: 1000}\nconditions:\n");
	for (int i = 0; i < 100; i++)
		sc_str_addf(yaml,
			    "  - {id: c%02d, description: t, scope: \"/w/*\", "
			    "when: \"increase(proc.crashes[60s]) >= 3\", auto_fire: true, "
			    "action: {kind: process-exit}, registered_by: t}\n",
			    i);
}

Test(tick, decisions_of_one_tick_are_bounded_and_every_condition_gets_its_turn)
{
	struct sc_str yaml;

	sc_str_init_heap(&yaml);
	many_wide_conditions(&yaml);
	e = fake_engine_start(yaml.data);
	sc_str_done(&yaml);
	sc_engine_tick_full(e);
	for (uint32_t slot = 1; slot <= FAKE_TARGETS; slot++)
		crash(slot, 3);
	sc_engine_tick_full(e);
	cr_assert_eq(e->vetoes_total, SC_DECISIONS_MAX, "a majority is sick: all are vetoed");
	cr_assert_gt(e->decisions_put_off, 0);
	for (int i = 0; i < 100; i++)
		sc_engine_tick_full(e);
	cr_assert_eq(e->vetoes_total, 100 * FAKE_TARGETS, "told once each, none forgotten");
}
