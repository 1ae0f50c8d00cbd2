/* SPDX-License-Identifier: Apache-2.0 */
/* What a start takes up from the fires before it: here the same engine reconciles again. */
#include "unit/engine/fake_ports.h"

#include "base/io.h"
#include "record/fold.h"

#include <criterion/criterion.h>
#include <string.h>

static const char conditions[] =
	"conditions:\n"
	"  - {id: crash, description: t, scope: \"/w/*\", when: \"increase(proc.crashes[60s]) >= "
	"3\", cooldown: 1h, max_targets: 6, "
	"action: {kind: process-exit}, auto_fire: true, live: true, registered_by: t}\n"
	"  - {id: hold, description: t, scope: \"/w/*\", action: {kind: freeze}, live: true, "
	"registered_by: t}\n";

static struct sc_engine *e;

static void set_up(void)
{
	e = fake_engine_start(conditions);
	sc_engine_tick_full(e);
}

static void tear_down(void)
{
	fake_engine_stop(&e);
}

TestSuite(restart, .init = set_up, .fini = tear_down, .timeout = 300);

static void crash(uint32_t slot)
{
	fake_world.counts[slot].proc_crashes += 3;
	fake_world.counts[0].proc_crashes += 3;
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
}

/* What a new process does not have any more. */
static void forget(void)
{
	memset(e->recent, 0, sizeof(e->recent));
	for (uint32_t slot = 0; slot < FAKE_SLOTS; slot++)
		sc_conditions_slot_reset(e->set, slot);
	cr_assert_eq(sc_engine_reconcile(e), 0);
}

/* As a predecessor has left it, of this boot, decided long ago. */
static struct sc_fire left_behind(enum sc_action_kind kind, enum sc_fire_state state)
{
	struct sc_fire fire = {.condition_id = "crash",
			       .action = kind,
			       .state = state,
			       .cgroup_id = 102,
			       .target = "/w/2",
			       .principal = "agent",
			       .fired_at_mono_ns = 1,
			       .fired_at_boot_ns = 1};

	sc_uuid(fire.id);
	sc_strcopy(fire.boot_id, sizeof(fire.boot_id), e->boot_id);
	return fire;
}

static const struct sc_fire *newest(void)
{
	return sc_fold_fire_at(e->fold, 0);
}

Test(restart, the_cool_down_goes_on)
{
	crash(2);
	cr_assert_eq(fake_world.fake.kill_writes, 1);
	forget();
	crash(2);
	cr_expect_eq(fake_world.fake.kill_writes, 1);
	cr_expect_str_eq(newest()->veto, "cooldown");
}

Test(restart, the_limit_of_irreversible_fires_goes_on)
{
	crash(1);
	crash(2);
	crash(3);
	cr_assert_eq(fake_world.fake.kill_writes, 3);
	memset(fake_world.counts, 0, sizeof(fake_world.counts));
	sc_plan_reset_windows(e->plan); /* no majority is sick any more */
	sc_engine_tick_full(e);
	forget();
	crash(4);
	cr_expect_eq(fake_world.fake.kill_writes, 3);
	cr_expect_str_eq(newest()->veto, "blast-radius");
}

/* The predecessor died between the intent and its dispatch; the target was empty at this start. */
Test(restart, a_rekill_that_was_never_dispatched_is_kept_and_kills_what_comes_back)
{
	struct sc_fire fire = left_behind(SC_ACTION_PROCESS_EXIT, SC_FIRE_INTENT);

	fire.rekill = true;
	sc_fold_fire(e->fold, &fire);
	for (int i = 0; i < SC_FAKE_MEMBERS_MAX; i++)
		fake_world.fake.members[i].is_alive = false;
	fake_world.counts[2].proc_alive = 0;
	forget();
	cr_assert_eq(newest()->outcome, SC_OUTCOME_EMPTIED);
	cr_assert_eq(fake_world.fake.kill_writes, 0);

	sc_fake_add_members(&fake_world.fake, 2, 1);
	fake_world.counts[2].proc_alive = 1;
	e->active[0].next_ns = 0;
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	cr_expect_eq(fake_world.fake.kill_writes, 1);
	cr_expect_eq(newest()->rekills, 1);
	cr_expect_eq(newest()->state, SC_FIRE_VERIFIED);
}

Test(restart, what_was_left_to_an_operator_is_not_killed_by_a_later_start)
{
	struct sc_fire fire = left_behind(SC_ACTION_PROCESS_EXIT, SC_FIRE_FAILED);

	fire.rekill = true;
	fire.outcome = SC_OUTCOME_NEEDS_OPERATOR;
	sc_fold_fire(e->fold, &fire);
	forget();
	sc_engine_tick_full(e);
	fake_let_fires_settle(e);
	cr_expect_eq(fake_world.fake.kill_writes, 0);
}

Test(restart, what_another_hand_froze_is_never_thawed)
{
	struct sc_fire_request rq = {
		.condition = (uint32_t)sc_conditions_find(e->set, "hold"),
		.slot = 2,
		.asker = SC_ASKER_MANUAL,
		.fired_by = "t",
		.principal = "uid:0",
		.reason = "t",
		.waiter = SC_REPLY_TO_NOBODY,
	};

	fake_world.fake.cgroups[2].wants_frozen = true;
	cr_assert_eq(sc_engine_decide(e, &rq, NULL, NULL), SC_EXIT_DONE);
	fake_let_fires_settle(e);
	cr_expect_eq(newest()->state, SC_FIRE_RELEASED, "nothing of ours stands");
	forget();
	fake_let_fires_settle(e);
	cr_expect_eq(fake_world.fake.thaw_writes, 0);
	cr_expect(fake_world.fake.cgroups[2].wants_frozen);
}

Test(restart, an_agent_that_stops_begins_nothing_new)
{
	fake_world.counts[2].proc_crashes += 3;
	fake_world.wakes[0] = (struct sc_wake){
		.time_ns = sc_mono_ns(), .cgroup_id = 102, .slot = 2, .kind = SC_WAKE_CRASH};
	fake_world.n_wakes = 1;
	e->stopping = true;
	sc_engine_tick_early(e);
	fake_let_fires_settle(e);
	cr_expect_eq(fake_world.fake.kill_writes, 0);
}
