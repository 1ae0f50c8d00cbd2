/* SPDX-License-Identifier: Apache-2.0 */
/* Components in a whole engine: counts, events, operators, reloads and restarts. */
#include "unit/engine/components_kit.h"

#include "base/str.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

TestSuite(components, .init = components_begin, .fini = components_end, .timeout = 300);

/* --- counts --- */

Test(components, a_cgroup_born_late_counts_from_its_birth)
{
	fail(7, 5);
	fake_make_cgroup(e, 7, 901, "/w/9-late");
	tick();
	cr_expect_eq(state_of("late"), SC_BREAKER_OPEN);
}

Test(components, the_last_counts_of_a_cgroup_that_went_are_taken_with_it)
{
	fake_make_cgroup(e, 7, 901, "/w/9-late");
	fail(7, 3);
	tick();
	cr_assert_eq(state_of("late"), SC_BREAKER_CLOSED);
	fail(7, 2);
	fake_remove_cgroup(e, 7);
	cr_expect_eq(watch("late")->members, 0);
	cr_expect_eq(state_of("late"), SC_BREAKER_OPEN);
}

Test(components, nothing_is_counted_twice_when_a_cgroup_goes)
{
	fake_make_cgroup(e, 7, 901, "/w/9-late");
	fail(7, 2);
	tick();
	fail(7, 2);
	fake_remove_cgroup(e, 7);
	tick();
	tick();
	cr_expect_eq(state_of("late"), SC_BREAKER_CLOSED);
	cr_expect_eq(watch("late")->breaker.run, 4);
}

Test(components, a_cgroup_that_takes_the_slot_of_another_begins_anew)
{
	fake_make_cgroup(e, 7, 901, "/w/9-late");
	fail(7, 3);
	tick();
	fake_world.counts[7].tcp_connects = fake_world.counts[7].tcp_connect_failures = 1;
	fake_make_cgroup(e, 7, 902, "/w/9-later");
	tick();
	cr_expect_eq(watch("late")->breaker.run, 4);
}

Test(components, a_cgroup_whose_birth_nobody_saw_begins_where_it_was)
{
	fail(7, 50);
	fake_world.named_id = 901;
	fake_world.named_path = "/w/9-found";
	fake_world.nodes[7] = (struct sc_node){
		.cgroup_id = 901, .parent_id = 1, .level = 1, .ancestors = 2, .ancestor = {7, 0}};
	for (int i = 0; i < 1000 && watch("late")->members == 0; i++) {
		tick();
		cr_assert_eq(sc_loop_once(&e->loop, 10), 0);
	}
	cr_assert_eq(watch("late")->members, 1);
	cr_expect_eq(watch("late")->breaker.run, 0);
	fail(7, 2);
	tick();
	cr_expect_eq(watch("late")->breaker.run, 2);
}

Test(components, what_was_before_it_was_declared_is_not_held_against_it)
{
	fake_make_cgroup(e, 7, 903, "/w/born");
	fail(7, 50);
	fail(2, 50);
	tick();
	cr_assert_eq(fake_engine_reload(e, "components:\n  fresh: {cgroups: [/w/2, /w/born], "
					   "breaker: {live: true}}\n"),
		     0);
	tick();
	cr_expect_eq(state_of("fresh"), SC_BREAKER_CLOSED);
	cr_expect_eq(watch("fresh")->breaker.run, 0);
	fail(2, 4);
	tick();
	cr_expect_eq(watch("fresh")->breaker.run, 4);
}

Test(components, the_counts_of_a_member_are_not_lost_in_a_reload)
{
	fail(4, 2);
	tick();
	fail(4, 2);
	cr_assert_eq(fake_engine_reload(e, components_yaml), 0);
	tick();
	cr_expect_eq(watch("shop")->breaker.run, 4);
}

Test(components, a_cgroup_of_two_components_counts_for_both)
{
	cr_assert_eq(fake_engine_reload(e, "components:\n"
					   "  one: {cgroups: [/w/2], breaker: {}}\n"
					   "  two: {cgroups: [/w/2, /w/3], breaker: {}}\n"),
		     0);
	tick();
	fail(2, 3);
	tick();
	cr_expect_eq(watch("one")->breaker.run, 3);
	cr_expect_eq(watch("two")->breaker.run, 3);
}

/* --- predicates that stand for the counters --- */

Test(components, a_failure_predicate_counts_one_for_each_tick_in_which_it_is_true)
{
	cr_assert_eq(fake_engine_reload(
			     e, "components:\n"
				"  shop: {cgroups: [/w/4], breaker: {live: true, failures: 3, "
				"failure: \"any(\\\"/w/4\\\", proc.crashes > 0)\"}}\n"),
		     0);
	tick();
	fail(4, 20);
	tick();
	cr_expect_eq(watch("shop")->breaker.run, 0, "the counters do not tell any more");
	fake_world.counts[4].proc_crashes = 1;
	tick();
	tick();
	cr_expect_eq(watch("shop")->breaker.run, 2);
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_OPEN);
	cr_expect(strstr(status_of("shop"), "true: any("), "%s", status_of("shop"));
}

Test(components, a_failure_predicate_that_does_not_compile_is_refused_and_the_old_set_stays)
{
	cr_expect_lt(fake_engine_reload(e, "components:\n"
					   "  shop: {cgroups: [/w/4], breaker: {failure: "
					   "\"nonsense\"}}\n"),
		     0);
	tick();
	cr_expect_eq(watch("late")->has_breaker, true);
}

/* --- health and events --- */

Test(components, a_death_is_told_and_makes_it_degraded)
{
	fake_world.counts[1].proc_unexpected_exits = 2;
	tick();
	cr_expect_eq(records(SC_RECORD_COMPONENT_EVENT,
			     "\"component\":\"plain\",\"event\":\"died-unexpectedly\",\"count\":2"),
		     1);
	cr_expect_eq(records(SC_RECORD_COMPONENT_EVENT, "health-changed"), 1);
	cr_expect(strstr(status_of("plain"), "\"health\":\"degraded\",\"healthy\":false"), "%s",
		  status_of("plain"));
	watch("plain")->state.died_ns -= SC_COMPONENT_DEATH_NS;
	tick();
	cr_expect(strstr(status_of("plain"), "\"health\":\"healthy\",\"healthy\":true"), "%s",
		  status_of("plain"));
}

Test(components, the_process_that_begins_after_a_death_is_told)
{
	fake_world.counts[1].proc_unexpected_exits = 1;
	tick();
	cr_expect_eq(records(SC_RECORD_COMPONENT_EVENT, "respawned"), 0);
	fake_world.counts[1].proc_forks = 1;
	tick();
	cr_expect_eq(records(SC_RECORD_COMPONENT_EVENT, "respawned"), 1);
	cr_expect(strstr(status_of("plain"), "\"deaths\":1,\"respawns\":1"), "%s",
		  status_of("plain"));
}

Test(components, deaths_without_end_are_few_records_and_none_is_left_out)
{
	for (int i = 0; i < 20; i++) {
		fake_world.counts[1].proc_unexpected_exits++;
		tick();
	}
	cr_expect_eq(records(SC_RECORD_COMPONENT_EVENT, "died-unexpectedly"), 1,
		     "all within a second");
	watch("plain")->next_told_ns[0] = 0; /* as if it was over */
	tick();
	cr_expect_eq(records(SC_RECORD_COMPONENT_EVENT, "\"count\":19"), 1);
	tick();
	cr_expect_eq(records(SC_RECORD_COMPONENT_EVENT, "died-unexpectedly"), 2);
}

Test(components, what_was_not_told_yet_is_told_at_the_end)
{
	fake_world.counts[1].proc_unexpected_exits = 1;
	tick();
	fake_world.counts[1].proc_unexpected_exits = 4;
	tick();
	sc_components_finish(e);
	cr_expect_eq(records(SC_RECORD_COMPONENT_EVENT, "\"count\":3"), 1);
}

Test(components, a_standing_freeze_holds_it)
{
	struct sc_fire_request rq = {.asker = SC_ASKER_MANUAL,
				     .slot = 1,
				     .fired_by = "ada",
				     .principal = "uid:0",
				     .reason = "a test",
				     .waiter = SC_REPLY_TO_NOBODY};

	cr_assert_eq(
		fake_engine_reload(e, "components:\n  plain: {cgroups: [/w/1]}\nconditions:\n"
				      "  - {id: hold, scope: \"/w/*\", live: true, action: {kind: "
				      "freeze}}\n"),
		0);
	rq.condition = (uint32_t)sc_conditions_find(e->set, "hold");
	cr_assert_eq(sc_engine_decide(e, &rq, NULL, NULL), SC_EXIT_DONE);
	fake_let_fires_settle(e);
	tick();
	cr_expect(strstr(status_of("plain"), "\"health\":\"scram\""), "%s", status_of("plain"));
}

/* --- operators --- */

Test(components, forced_open_cuts_until_it_is_taken_back)
{
	cr_assert_eq(order("shop", "forced-open"), 0);
	cr_assert_not_null(only_cut());
	cr_expect_str_eq(newest_fire()->fired_by, "ada");
	cr_expect_str_eq(newest_fire()->principal, "uid:7");
	cr_expect_str_eq(newest_fire()->reason, "a test");
	cr_expect_eq(order("shop", "forced-open"), 0, "it is so already");
	cr_expect_eq(sc_fold_fire_count(e->fold), 1);
	tick();
	cr_expect(strstr(status_of("shop"), "\"health\":\"scram\""), "%s", status_of("shop"));
	cr_assert_eq(order("shop", "auto"), 0);
	cr_expect_null(only_cut());
	cr_expect_eq(state_of("shop"), SC_BREAKER_CLOSED);
	cr_expect_str_eq(newest_fire()->released_by, "ada");
	cr_expect_eq(records(SC_RECORD_BREAKER_TRANSITION, "\"by\":\"ada\",\"note\":\"a test\""),
		     2);
}

Test(components, forced_open_cuts_a_breaker_that_is_metrics_only)
{
	cr_assert_eq(order("paper", "forced-open"), 0);
	cr_assert_not_null(only_cut());
	cr_expect_not(newest_fire()->dry_run);
	cr_assert_eq(order("paper", "metrics-only"), 0);
	cr_expect_null(only_cut());
}

Test(components, forced_closed_never_cuts)
{
	open_shop();
	cr_assert_eq(order("shop", "forced-closed"), 0);
	cr_expect_null(only_cut());
	fail(4, 20);
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_FORCED_CLOSED);
	cr_expect_eq(watch("shop")->breaker.run, 20);
	cr_expect_null(only_cut());
}

Test(components, disabled_does_nothing)
{
	cr_assert_eq(order("shop", "disabled"), 0);
	fail(4, 20);
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_DISABLED);
	cr_expect_eq(watch("shop")->breaker.run, 0);
}

Test(components, metrics_only_takes_the_cut_away_and_goes_on)
{
	open_shop();
	cr_assert_eq(order("shop", "metrics-only"), 0);
	cr_expect_null(only_cut());
	cr_expect_eq(state_of("shop"), SC_BREAKER_OPEN);
	end_wait("shop");
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_HALF_OPEN);
	cr_expect_null(only_cut());
}

Test(components, an_order_that_cannot_be_carried_out_changes_nothing)
{
	cr_expect_eq(order("nobody", "forced-open"), -ENOENT);
	cr_expect_eq(order("shop", "wide-open"), -EINVAL);
	cr_expect_eq(order("shop", "none"), -EINVAL);
	cr_expect_eq(order("plain", "forced-open"), -EOPNOTSUPP);
	e->disarmed.is_on = true;
	cr_expect_eq(order("shop", "forced-open"), -EPERM);
	cr_expect_eq(newest_fire()->state, SC_FIRE_VETOED);
	cr_expect_str_eq(newest_fire()->veto, "disarmed");
	cr_expect_eq(state_of("shop"), SC_BREAKER_CLOSED);
	cr_expect_null(only_cut());
	cr_expect_eq(records(SC_RECORD_BREAKER_TRANSITION, ""), 0);
}

/* --- the session blocker --- */

static void open_again(void)
{
	end_wait("shop");
	tick();
	end_wait("shop"); /* nothing was tried */
	tick();
	cr_assert_eq(state_of("shop"), SC_BREAKER_OPEN);
}

Test(components, the_third_opening_is_told_once_and_loudly)
{
	open_shop();
	open_again();
	cr_expect_eq(records(SC_RECORD_SESSION_BLOCKER, ""), 0);
	open_again();
	cr_expect_eq(records(SC_RECORD_SESSION_BLOCKER, e->components->blocker.session), 1);
	cr_expect(strstr(status_of("shop"),
			 "\"open_transitions\":3,\"session_blocker_emitted\":true"),
		  "%s", status_of("shop"));
	open_again();
	open_again();
	cr_expect_eq(records(SC_RECORD_SESSION_BLOCKER, ""), 1);
	cr_expect_eq(order("shop", "auto"), 0);
	cr_assert_eq(order("shop", "forced-closed"), 0);
	cr_expect(strstr(status_of("shop"),
			 "\"open_transitions\":0,\"session_blocker_emitted\":false"),
		  "%s", status_of("shop"));
}

/* --- reloads and restarts --- */

Test(components, a_reload_keeps_the_state_of_what_is_still_declared)
{
	open_shop();
	fail(6, 3);
	tick();
	cr_assert_eq(fake_engine_reload(e, components_yaml), 0);
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_OPEN);
	cr_assert_not_null(only_cut());
	cr_expect_eq(watch("paper")->breaker.run, 3);
	cr_expect(strstr(status_of("shop"), "\"open_transitions\":1"));
}

Test(components, a_reload_changes_what_a_standing_cut_is_like)
{
	open_shop();
	cr_assert_eq(fake_engine_reload(e, "components:\n"
					   "  shop: {cgroups: [/w/4, /w/5], breaker: {live: "
					   "true, mode: all}}\n"),
		     0);
	tick();
	cr_assert_not_null(only_cut());
	cr_expect_eq(only_cut()->gate.mode, SC_CUT_REFUSE_ALL);
}

Test(components, a_breaker_that_is_no_longer_live_cuts_no_more)
{
	open_shop();
	cr_assert_eq(fake_engine_reload(e, "components:\n"
					   "  shop: {cgroups: [/w/4, /w/5], breaker: {}}\n"),
		     0);
	tick();
	cr_expect_null(only_cut());
	cr_expect_str_eq(newest_fire()->released_by, "agent: its breaker cuts no more");
	cr_expect_eq(state_of("shop"), SC_BREAKER_OPEN);
}

Test(components, what_was_not_told_of_a_component_is_told_when_it_goes)
{
	fake_world.counts[1].proc_unexpected_exits = 1;
	tick();
	fake_world.counts[1].proc_unexpected_exits = 3;
	tick();
	cr_assert_eq(fake_engine_reload(e, "components:\n  shop: {cgroups: [/w/4]}\n"), 0);
	cr_expect_eq(records(SC_RECORD_COMPONENT_EVENT, "\"count\":2"), 1);
}

Test(components, a_breaker_that_is_declared_no_more_gives_back_what_it_cut)
{
	open_shop();
	cr_assert_eq(fake_engine_reload(e, "components:\n  shop: {cgroups: [/w/4, /w/5]}\n"), 0);
	tick();
	cr_expect_null(only_cut());
	tick();
	cr_expect(strstr(status_of("shop"), "\"circuit_state\":null"), "%s", status_of("shop"));
	cr_expect_eq(records(SC_RECORD_BREAKER_TRANSITION, "declared no more"), 1);
	cr_assert_eq(fake_engine_reload(e, components_yaml), 0);
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_CLOSED, "it begins anew");
}

Test(components, a_restart_goes_on_where_the_journal_left_it)
{
	char session[SC_SESSION_ID_MAX];
	uint64_t until;

	half_open_shop();
	fail(4, 1);
	sc_fake_traffic_lock(&fake_world.traffic);
	((struct sc_fake_cut *)only_cut())->counts.passed = 1;
	sc_fake_traffic_unlock(&fake_world.traffic);
	tick();
	cr_assert_eq(state_of("shop"), SC_BREAKER_OPEN);
	cr_assert_eq(order("paper", "disabled"), 0);
	until = watch("shop")->breaker.until_ns;
	sc_strcopy(session, sizeof(session), e->components->blocker.session);

	fake_engine_restart(&e);
	cr_expect_eq(state_of("shop"), SC_BREAKER_OPEN);
	cr_expect_eq(watch("shop")->breaker.until_ns, until);
	cr_expect_eq(watch("shop")->breaker.wait_ns, 2 * SC_BREAKER_OPEN_NS);
	cr_expect_eq(state_of("paper"), SC_BREAKER_DISABLED);
	cr_expect_str_neq(e->components->blocker.session, session);
	cr_expect(strstr(status_of("shop"), "\"open_transitions\":0"), "another session");
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_OPEN);
	cr_assert_not_null(only_cut());
	end_wait("shop");
	tick();
	cr_assert_not_null(only_cut());
	cr_expect_eq(only_cut()->gate.mode, SC_CUT_TRY);
	cr_expect_eq(only_cut()->attempt, 2);
}

static void forget_the_cut(void)
{
	struct sc_fire fire = *newest_fire();

	fire.released_at_ns = 1;
	sc_strcopy(fire.released_by, sizeof(fire.released_by), "eve");
	cr_assert(sc_records_fire(e, SC_RECORD_FIRE_RELEASED, &fire));
}

Test(components, a_cut_released_while_there_was_no_agent_stays_so)
{
	open_shop();
	forget_the_cut();
	fake_engine_restart(&e);
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_CLOSED);
	cr_expect_null(only_cut());
}

Test(components, what_an_operator_forced_open_is_cut_again_after_a_reboot)
{
	struct sc_fold_breaker known;

	cr_assert_eq(order("shop", "forced-open"), 0);
	forget_the_cut();
	known = *sc_fold_breaker_find(e->fold, "shop");
	sc_strcopy(known.boot_id, sizeof(known.boot_id), "another boot");
	cr_assert(sc_records_breaker(e, &known));
	fake_engine_restart(&e);
	cr_expect_null(only_cut());
	e->disarmed.is_on = true;
	tick();
	cr_expect_null(only_cut(), "through the same interlocks");
	e->disarmed.is_on = false;
	tick();
	cr_assert_not_null(only_cut());
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_FORCED_OPEN);
	cr_expect_eq(fires_in(SC_FIRE_VERIFIED), 1, "asked once");
}

Test(components, a_breaker_gone_from_the_file_over_a_restart_leaves_no_cut_behind)
{
	open_shop();
	fake_engine_rewrite("components:\n  shop: {cgroups: [/w/4, /w/5]}\n");
	fake_engine_restart(&e);
	tick();
	cr_expect_null(only_cut());
	cr_expect_eq(newest_fire()->state, SC_FIRE_RELEASED);
}

Test(components, secrets_in_what_failed_are_not_shown)
{
	sc_component_note_error(watch("shop"), "POST failed: password=%s", "hunter2");
	cr_expect(strstr(status_of("shop"), "[redacted]"), "%s", status_of("shop"));
	cr_expect_null(strstr(status_of("shop"), "hunter2"));
}
