/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running agent notices by itself: what is sick is killed, what is well is not touched, and
 * once is once.
 */
#include "live/engine_kit.h"

#include "base/clock.h"

#include <signal.h>
#include <string.h>

TestSuite(engine_detect, .init = sc_kit_init, .fini = sc_kit_fini, .timeout = 300);

#define KILL "action: {kind: process-exit}, auto_fire: true, live: true"

static const char CRASH_LOOP[] = "conditions:\n"
				 "  - {id: crash-loop, scope: \"@ROOT@/*\", when: "
				 "\"increase(proc.crashes[60s]) >= 3\", " KILL "}\n";
static const char CROWD[] = "conditions:\n"
			    "  - {id: crowd, scope: \"@ROOT@/*\", when: \"proc.alive >= 2\", " KILL
			    "}\n";

Test(engine_detect, crash_loop_is_killed_and_its_neighbour_is_untouched)
{
	static const char *const args[] = {"60", "20", NULL};
	int web = sc_kit_mkdir("web"), calm = sc_kit_mkdir("calm");
	pid_t bystander = sc_kit_sleeper(calm), looper;
	json_t *fire;

	sc_kit_start(CRASH_LOOP);
	looper = sc_kit_program(web, "crash-looper", args);
	sc_kit_wait("crash-loop", "outcome", "emptied", 1);
	cr_expect_eq(sc_wait_child(looper, NULL, SC_KIT_EVENT_MS), 0);
	cr_expect_eq(sc_wait_populated(web, false, 30000), 0);
	sc_kit_expect_untouched(bystander, calm);
	fire = sc_kit_get("crash-loop", NULL, NULL, 0);
	cr_expect_str_eq(sc_kit_text(fire, "target"), sc_kit_path("web"));
	cr_expect_eq(sc_kit_number(fire, "cgroup_id"), sc_cgroup_id(web));
	cr_expect_str_eq(sc_kit_text(fire, "fired_by"), "auto");
	cr_expect_geq(sc_kit_number(fire, "killed"), 1);
	cr_expect_eq(sc_kit_count("crash-loop", "target", sc_kit_path("calm")), 0);
	json_decref(fire);
}

/* A5 */
Test(engine_detect, fire_carries_the_values_that_made_it_and_its_times_in_order)
{
	static const char *const steps[] = {"detected_ns",  "decided_ns", "intent_ns",
					    "act_begin_ns", "act_end_ns", "verified_ns"};
	int web = sc_kit_mkdir("web");
	json_t *fire, *operand;
	uint64_t before = 1;

	sc_kit_start(CROWD);
	sc_kit_sleeper(web);
	sc_kit_sleeper(web);
	sc_kit_wait("crowd", "outcome", "emptied", 1);
	fire = sc_kit_get("crowd", NULL, NULL, 0);
	operand = json_array_get(
		json_object_get(json_object_get(fire, "state_snapshot"), "operands"), 0);
	cr_expect_str_eq(sc_kit_text(operand, "text"), "proc.alive");
	cr_expect_eq(json_number_value(json_object_get(operand, "value")), 2.0);
	cr_expect_eq(json_number_value(json_object_get(operand, "threshold")), 2.0);
	cr_expect_str_eq(sc_kit_text(operand, "truth"), "true");
	for (size_t i = 0; i < SC_ARRAY_SIZE(steps); i++) {
		cr_expect_geq(sc_kit_number(fire, steps[i]), before, "%s", steps[i]);
		before = sc_kit_number(fire, steps[i]);
	}
	json_decref(fire);
}

Test(engine_detect, fork_bomb_is_killed_whole)
{
	static const char *const args[] = {"400", "30", NULL};
	int bomb = sc_kit_mkdir("bomb"), calm = sc_kit_mkdir("calm");
	pid_t bystander = sc_kit_sleeper(calm);
	json_t *fire;

	sc_kit_start("conditions:\n"
		     "  - {id: bomb, scope: \"@ROOT@/*\", when: \"proc.alive >= 100 and "
		     "increase(proc.forks[10s]) >= 100\", " KILL "}\n");
	sc_kit_program(bomb, "forkbomb", args);
	sc_kit_wait("bomb", "outcome", "emptied", 1);
	cr_expect_eq(sc_cgroup_key(bomb, "cgroup.events", "populated"), 0);
	cr_expect_eq(sc_cgroup_count(bomb), 0);
	sc_kit_expect_untouched(bystander, calm);
	fire = sc_kit_get("bomb", NULL, NULL, 0);
	cr_expect_geq(sc_kit_number(fire, "killed"), 100);
	cr_expect_eq(sc_kit_number(fire, "remaining"), 0);
	json_decref(fire);
}

Test(engine_detect, nothing_fires_within_the_startup_grace)
{
	int web = sc_kit_mkdir("web");
	json_t *fire, *veto;

	sc_kit_sleeper(web);
	sc_kit_sleeper(web);
	sc_kit_start(CROWD);
	sc_kit_wait("crowd", "outcome", "emptied", 1);
	fire = sc_kit_get("crowd", "outcome", "emptied", 0);
	veto = sc_kit_get("crowd", "veto", "startup-grace", 0);
	/* True from the first tick on, which comes well within the two seconds; less so on a busy
	 * host. */
	cr_expect_geq(sc_kit_number(fire, "decided_ns"),
		      sc_kit_number(veto, "decided_ns") + 100 * SC_NS_PER_MS);
	/* One record of the veto, not one for every tick of the grace. */
	cr_expect_eq(sc_kit_count("crowd", "state", "vetoed"), 1);
	json_decref(fire);
	json_decref(veto);
}

/* A3, A13 */
Test(engine_detect, dry_run_records_all_and_touches_nothing)
{
	int web = sc_kit_mkdir("web");
	pid_t first = sc_kit_sleeper(web), second = sc_kit_sleeper(web);
	json_t *fire, *next;

	sc_kit_start(
		"conditions:\n"
		"  - {id: crowd, scope: \"@ROOT@/*\", when: \"proc.alive >= 2\", cooldown: 1s, "
		"action: {kind: process-exit}, auto_fire: true}\n");
	sc_kit_wait("crowd", "state", "dry-run", 1);
	fire = sc_kit_get("crowd", "state", "dry-run", 0);
	cr_expect(json_is_true(json_object_get(fire, "dry_run")));
	cr_expect(json_is_false(json_object_get(fire, "dispatched")));
	cr_expect(json_is_object(json_object_get(fire, "state_snapshot")));
	cr_expect_eq(sc_kit_number(fire, "act_begin_ns"), 0);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	cr_expect_str_eq(sc_kit_state("crowd", "web"), "latched");
	cr_expect_eq(sc_kit_count("crowd", "state", "dry-run"), 1);
	sc_kit_expect_untouched(first, web);
	sc_kit_expect_untouched(second, web);

	/* The cool-down runs as a live one's does. */
	sc_kit_end(second);
	sc_kit_wait_ticks(3);
	second = sc_kit_sleeper(web);
	sc_kit_wait("crowd", "state", "dry-run", 2);
	next = sc_kit_get("crowd", "state", "dry-run", 0);
	cr_expect_geq(sc_kit_number(next, "decided_ns") - sc_kit_number(fire, "decided_ns"),
		      SC_NS_PER_S);
	sc_kit_expect_untouched(first, web);
	sc_kit_expect_untouched(second, web);
	json_decref(fire);
	json_decref(next);
}

Test(engine_detect, condition_that_stays_true_fires_once)
{
	int web = sc_kit_mkdir("web");
	pid_t later;

	sc_kit_start("conditions:\n"
		     "  - {id: crash-loop, scope: \"@ROOT@/*\", when: "
		     "\"increase(proc.crashes[60s]) >= 3\", cooldown: 0s, max_targets: 10, " KILL
		     "}\n");
	sc_kit_sleeper(web);
	sc_kit_crash(web, 3);
	sc_kit_wait("crash-loop", "outcome", "emptied", 1);
	later = sc_kit_joiner(web);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	cr_expect_eq(sc_kit_count("crash-loop", "state", "verified"), 1);
	cr_expect_str_eq(sc_kit_state("crash-loop", "web"), "latched");
	sc_kit_expect_untouched(later, web);
}

Test(engine_detect, condition_fires_again_after_it_cleared_and_cooled)
{
	int web = sc_kit_mkdir("web");

	sc_kit_start("conditions:\n"
		     "  - {id: crowd, scope: \"@ROOT@/*\", when: \"proc.alive >= 2\", cooldown: "
		     "100ms, " KILL "}\n");
	for (unsigned int n = 1; n <= 3; n++) {
		sc_kit_joiner(web);
		sc_kit_joiner(web);
		sc_kit_wait("crowd", "outcome", "emptied", n);
		cr_expect_eq(sc_wait_populated(web, false, 30000), 0);
		sc_kit_wait_state("crowd", "web", "clear");
	}
}

Test(engine_detect, fires_only_after_it_held)
{
	int web = sc_kit_mkdir("web");
	uint64_t true_since;
	json_t *fire;
	pid_t second;

	sc_kit_start(
		"conditions:\n"
		"  - {id: crowd, scope: \"@ROOT@/*\", when: \"proc.alive >= 2\", hold: 3s, " KILL
		"}\n");
	sc_kit_wait_grace();
	sc_kit_sleeper(web);
	second = sc_kit_sleeper(web);
	sc_kit_wait_state("crowd", "web", "rising");
	sc_kit_end(second);
	sc_kit_wait_state("crowd", "web", "clear");
	sc_kit_wait_ticks(200); /* longer than the hold */
	cr_expect_eq(sc_kit_count("crowd", NULL, NULL), 0);
	cr_expect_eq(sc_cgroup_count(web), 1);

	true_since = sc_mono_ns();
	sc_kit_sleeper(web);
	sc_kit_wait("crowd", "outcome", "emptied", 1);
	fire = sc_kit_get("crowd", NULL, NULL, 0);
	cr_expect_geq(sc_kit_number(fire, "decided_ns"), true_since + 3 * SC_NS_PER_S);
	json_decref(fire);
}

Test(engine_detect, each_cgroup_of_the_scope_is_judged_by_itself)
{
	int sick = sc_kit_mkdir("sick"), near = sc_kit_mkdir("near"), deep;
	pid_t well = sc_kit_sleeper(near), below;

	deep = sc_kit_mkdir("near/deep");
	below = sc_kit_sleeper(deep);
	sc_kit_start("conditions:\n"
		     "  - {id: crash-loop, scope: \"@ROOT@/*\", when: "
		     "\"increase(proc.crashes[60s]) >= 3\", max_targets: 10, " KILL "}\n");
	sc_kit_crash(near, 2);
	sc_kit_sleeper(sick);
	sc_kit_crash(sick, 3);
	sc_kit_wait("crash-loop", "outcome", "emptied", 1);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	cr_expect_eq(sc_kit_count("crash-loop", "state", "verified"), 1);
	sc_kit_expect_untouched(well, near);
	/* A crash below counts for the cgroup above: two and one are three. */
	sc_kit_crash(deep, 1);
	sc_kit_wait("crash-loop", "outcome", "emptied", 2);
	cr_expect_not(sc_live_is_alive(well));
	cr_expect_not(sc_live_is_alive(below));
}

Test(engine_detect, cgroup_made_while_it_runs_is_a_target_from_its_first_crash_on)
{
	int late;

	sc_kit_start(CRASH_LOOP);
	sc_kit_wait_grace();
	late = sc_kit_mkdir("late");
	sc_kit_sleeper(late);
	sc_kit_crash(late, 3);
	sc_kit_wait("crash-loop", "outcome", "emptied", 1);
	cr_expect_eq(sc_wait_populated(late, false, 30000), 0);
}

Test(engine_detect, aggregate_over_many_acts_on_its_one_target)
{
	int one = sc_kit_mkdir("one"), two = sc_kit_mkdir("two"), gate = sc_kit_mkdir("gate");
	pid_t in_one = sc_kit_sleeper(one), in_two = sc_kit_sleeper(two);

	sc_kit_start("conditions:\n"
		     "  - {id: wide, when: \"count(\\\"@ROOT@/*\\\", increase(proc.crashes[60s]) > "
		     "0) >= 2\", action: {kind: process-exit, config: {target: \"@ROOT@/gate\"}}, "
		     "auto_fire: true, live: true}\n");
	sc_kit_sleeper(gate);
	sc_kit_wait_grace();
	sc_kit_crash(one, 5);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	cr_expect_eq(sc_kit_count("wide", NULL, NULL), 0);
	sc_kit_crash(two, 1);
	sc_kit_wait("wide", "outcome", "emptied", 1);
	cr_expect_eq(sc_wait_populated(gate, false, 30000), 0);
	sc_kit_expect_untouched(in_one, one);
	sc_kit_expect_untouched(in_two, two);
}

Test(engine_detect, unknown_never_fires_and_is_raised)
{
	int web = sc_kit_mkdir("web");
	pid_t pid = sc_kit_sleeper(web);
	json_t *condition;

	sc_kit_start("missing_signals: allow\n"
		     "conditions:\n"
		     "  - {id: silent, scope: \"@ROOT@/*\", when: \"app.heartbeat_age > 1s or "
		     "app.queue_depth >= 0\", on_unknown: alarm, " KILL "}\n");
	sc_kit_wait_grace();
	sc_kit_wait_ticks(60);
	condition = sc_kit_condition("silent");
	cr_expect_eq(sc_kit_number(condition, "unknown"), 1);
	cr_expect_eq(sc_kit_number(condition, "true_now"), 0);
	json_decref(condition);
	cr_expect_eq(sc_kit_count("silent", NULL, NULL), 0);
	sc_kit_expect("status --json", 0, "ALARM: silent is unknown on 1 of 1 targets");
	sc_kit_expect("doctor", 1, "unknown on 1 of 1 targets");
	sc_kit_expect_untouched(pid, web);
}
