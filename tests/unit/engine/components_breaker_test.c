/* SPDX-License-Identifier: Apache-2.0 */
/* The breaker of a component in a whole engine: when it cuts, and what its cut is like. */
#include "unit/engine/components_kit.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

TestSuite(breaker_engine, .init = components_begin, .fini = components_end, .timeout = 300);

Test(breaker_engine, opens_after_five_failures_in_a_row_of_all_its_cgroups_together)
{
	fail(4, 2);
	tick();
	fail(5, 2);
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_CLOSED);
	cr_expect_null(only_cut());
	fail(4, 1);
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_OPEN);
	cr_assert_not_null(only_cut());
	cr_expect_eq(only_cut()->gate.mode, SC_CUT_REFUSE_NEW);
	cr_expect_eq(only_cut()->n_members, 2);
	cr_expect_str_eq(only_cut()->gate.name, "component shop");
	cr_expect_eq(records(SC_RECORD_BREAKER_TRANSITION, "\"to\":\"open\""), 1);
	cr_expect_eq(records(SC_RECORD_BREAKER_TRANSITION, "\"reason\":\"failure_threshold\""), 1);
}

Test(breaker_engine, opening_is_a_fire_like_any_other)
{
	open_shop();
	cr_expect_str_eq(newest_fire()->condition_id, "breaker:shop");
	cr_expect_str_eq(newest_fire()->fired_by, "auto");
	cr_expect_str_eq(newest_fire()->principal, "agent");
	cr_expect_str_eq(newest_fire()->group, "component shop");
	cr_expect_eq(newest_fire()->state, SC_FIRE_VERIFIED);
	cr_expect(strstr(newest_fire()->evidence, "\"failures_in_a_row\":5"), "%s",
		  newest_fire()->evidence);
	cr_expect(strstr(newest_fire()->reason, "failure_threshold: 5 connects failed"), "%s",
		  newest_fire()->reason);
}

Test(breaker_engine, a_success_ends_the_run)
{
	fail(4, 4);
	tick();
	succeed(5, 1);
	tick();
	fail(4, 4);
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_CLOSED);
	cr_expect_eq(watch("shop")->breaker.run, 4);
}

Test(breaker_engine, unexpected_exits_are_failures_too)
{
	fake_world.counts[5].proc_unexpected_exits = 5;
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_OPEN);
}

Test(breaker_engine, a_veto_keeps_it_closed_and_it_asks_again)
{
	e->disarmed.is_on = true;
	fail(4, 5);
	for (int i = 0; i < 5; i++)
		tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_CLOSED);
	cr_expect_eq(fires_in(SC_FIRE_VETOED), 1, "told once for each reason");
	cr_expect_null(only_cut());
	cr_expect_eq(records(SC_RECORD_BREAKER_TRANSITION, "shop"), 0);
	cr_expect(strstr(status_of("shop"), "may not open: disarmed"), "%s", status_of("shop"));

	e->disarmed.is_on = false;
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_OPEN);
	cr_assert_not_null(only_cut());
}

Test(breaker_engine, counts_that_were_lost_in_its_cgroups_veto_it_and_others_do_not)
{
	fake_world.nodes[1].lost = fake_world.nodes[0].lost = 1;
	fake_world.nodes[1].lost_ns = fake_world.nodes[0].lost_ns = sc_mono_ns();
	open_shop();
	cr_assert_eq(order("shop", "forced-closed"), 0);
	cr_assert_eq(order("shop", "auto"), 0);
	fake_let_fires_settle(e);
	fake_world.nodes[5].lost = 1;
	fake_world.nodes[5].lost_ns = sc_mono_ns();
	fail(4, 5);
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_CLOSED);
	cr_expect_str_eq(newest_fire()->veto, "source-health");
}

Test(breaker_engine, a_vetoed_run_is_forgotten_when_connections_succeed_again)
{
	e->disarmed.is_on = true;
	fail(4, 5);
	tick();
	succeed(4, 1);
	tick();
	e->disarmed.is_on = false;
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_CLOSED);
}

/* Opens shop, whose cut does not come about. */
static void open_without_cut(void)
{
	fake_world.traffic.gate_fails = 1000;
	fake_world.traffic.gate_error = -EIO;
	fake_world.traffic.rules_fails = 1000;
	fake_world.traffic.rules_error = -EIO;
	fail(4, 5);
	tick();
	cr_expect_eq(fires_in(SC_FIRE_FAILED), 1);
	fake_world.traffic.gate_fails = fake_world.traffic.rules_fails = 0;
	e->isolations[0].next_ns = 0;
	tick();
	tick();
	cr_assert_eq(state_of("shop"), SC_BREAKER_OPEN);
	cr_assert_null(only_cut());
}

Test(breaker_engine, a_cut_that_cannot_be_made_leaves_it_open_and_says_why)
{
	open_without_cut();
	cr_expect_eq(watch("shop")->breaker.order, SC_BREAKER_ORDER_NONE);
	cr_expect(strstr(status_of("shop"), "told to fail"), "%s", status_of("shop"));
}

Test(breaker_engine, failures_of_its_own_making_do_not_count_while_open)
{
	open_shop();
	fail(4, 50);
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_OPEN);
	cr_expect_eq(watch("shop")->breaker.failures_seen, 5);
}

Test(breaker_engine, time_alone_lets_some_connections_through)
{
	half_open_shop();
	cr_expect_eq(only_cut()->gate.tries, SC_BREAKER_TRIES);
	cr_expect_eq(only_cut()->rules.mode, SC_CUT_TRY);
	cr_expect_eq(fires_in(SC_FIRE_VERIFIED), 1, "no other fire");
}

static void let_through(int n)
{
	sc_fake_traffic_lock(&fake_world.traffic);
	((struct sc_fake_cut *)only_cut())->counts.passed += (uint64_t)n;
	sc_fake_traffic_unlock(&fake_world.traffic);
}

Test(breaker_engine, a_success_of_what_was_let_through_closes_it_and_takes_the_cut_away)
{
	half_open_shop();
	let_through(1);
	succeed(4, 1);
	fail(4, 7); /* refused by scram */
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_CLOSED);
	cr_expect_eq(sc_fake_traffic_gated(&fake_world.traffic), 0);
	cr_expect_eq(newest_fire()->state, SC_FIRE_RELEASED);
	cr_expect_str_eq(newest_fire()->released_by, "agent: recovered");
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_CLOSED);
	cr_expect_eq(records(SC_RECORD_BREAKER_TRANSITION, "\"reason\":\"recovered\""), 1);
}

Test(breaker_engine, what_scram_refuses_in_half_open_is_no_failure_and_what_it_let_through_is)
{
	half_open_shop();
	fail(4, 10);
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_HALF_OPEN);
	let_through(1);
	fail(4, 1);
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_OPEN);
	cr_expect_eq(watch("shop")->breaker.wait_ns, 2 * SC_BREAKER_OPEN_NS);
	cr_assert_not_null(only_cut());
	cr_expect_eq(only_cut()->gate.mode, SC_CUT_REFUSE_NEW);
	cr_expect_eq(sc_fold_fire_count(e->fold), 1, "the same cut, stronger again");
}

Test(breaker_engine, half_open_without_a_cut_every_failure_is_real)
{
	open_without_cut();
	end_wait("shop");
	tick();
	cr_assert_eq(state_of("shop"), SC_BREAKER_HALF_OPEN);
	fail(4, 1);
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_OPEN);
	cr_assert_not_null(only_cut(), "and the cut is asked for again");
}

Test(breaker_engine, what_was_let_through_counts_once)
{
	half_open_shop();
	let_through(1);
	fake_world.counts[4].tcp_connects++; /* under way */
	tick();
	tick();
	tick();
	fail(4, 2);
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_HALF_OPEN);
}

Test(breaker_engine, another_half_open_has_an_allowance_of_its_own)
{
	uint32_t attempt;

	half_open_shop();
	attempt = only_cut()->attempt;
	let_through(3);
	fail(4, 3);
	tick();
	cr_assert_eq(state_of("shop"), SC_BREAKER_OPEN);
	sc_fake_traffic_lock(&fake_world.traffic);
	((struct sc_fake_cut *)only_cut())->counts.passed = 0;
	sc_fake_traffic_unlock(&fake_world.traffic);
	end_wait("shop");
	tick();
	cr_assert_eq(state_of("shop"), SC_BREAKER_HALF_OPEN);
	cr_expect_neq(only_cut()->attempt, attempt);
	let_through(1);
	fail(4, 1);
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_OPEN, "the one of this attempt failed");
}

Test(breaker_engine, the_allowance_of_before_does_not_count_until_the_new_one_holds)
{
	half_open_shop();
	let_through(3);
	fail(4, 3);
	tick();
	cr_assert_eq(state_of("shop"), SC_BREAKER_OPEN);
	end_wait("shop");
	sc_engine_tick_full(e); /* ordered; the loop has not heard from the hand */
	cr_assert_eq(state_of("shop"), SC_BREAKER_HALF_OPEN);
	fail(4, 3);
	sc_engine_tick_full(e);
	cr_expect_eq(state_of("shop"), SC_BREAKER_HALF_OPEN, "those were refused");
	fake_let_fires_settle(e);
}

Test(breaker_engine, metrics_only_goes_through_its_states_and_never_cuts)
{
	fail(6, 5);
	tick();
	cr_expect_eq(state_of("paper"), SC_BREAKER_OPEN);
	cr_expect_eq(newest_fire()->state, SC_FIRE_DRY_RUN);
	end_wait("paper");
	tick();
	cr_expect_eq(state_of("paper"), SC_BREAKER_HALF_OPEN);
	fail(6, 1);
	tick();
	cr_expect_eq(state_of("paper"), SC_BREAKER_OPEN, "nothing is refused: it failed by itself");
	end_wait("paper");
	tick();
	succeed(6, 1);
	tick();
	cr_expect_eq(state_of("paper"), SC_BREAKER_CLOSED);
	cr_expect_eq(fake_world.traffic.gate_sets, 0);
	cr_expect_eq(fires_in(SC_FIRE_DRY_RUN), 2, "one for each opening");
	cr_expect_eq(records(SC_RECORD_BREAKER_TRANSITION, "\"dry_run\":true"), 5);
	cr_expect(strstr(status_of("paper"), "\"breaker\":\"metrics-only\""));
}

Test(breaker_engine, made_live_by_a_promotion_it_cuts)
{
	struct sc_registry *registry = sc_registry_clone(e->registry);
	struct sc_diag diag;
	_cleanup_str_ struct sc_str why;

	sc_str_init_heap(&why);
	cr_assert_eq(sc_registry_set_live(registry, "breaker:paper", true, &diag), 1);
	cr_assert_eq(sc_engine_rebuild(e, registry, NULL, &why), 0);
	fail(6, 5);
	tick();
	cr_expect_eq(state_of("paper"), SC_BREAKER_OPEN);
	cr_assert_not_null(only_cut());
}

Test(breaker_engine, a_release_by_a_person_closes_it)
{
	open_shop();
	(void)sc_isolation_release(e, &e->isolations[0], "eve", SC_REPLY_TO_NOBODY);
	fake_let_fires_settle(e);
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_CLOSED);
	cr_expect_eq(records(SC_RECORD_BREAKER_TRANSITION, "\"by\":\"eve\""), 1);
	open_shop();
	cr_assert_not_null(only_cut(), "it goes on by itself");
}

static void fire_by_hand(const char *condition)
{
	struct sc_fire_request rq = {
		.condition = (uint32_t)sc_conditions_find(e->set, condition),
		.asker = SC_ASKER_MANUAL,
		.fired_by = "ada",
		.principal = "uid:0",
		.reason = "a test",
		.waiter = SC_REPLY_TO_NOBODY,
	};

	cr_assert_eq(sc_engine_decide(e, &rq, NULL, NULL), SC_EXIT_DONE);
	fake_let_fires_settle(e);
}

Test(breaker_engine, its_condition_fired_by_hand_is_an_order)
{
	fire_by_hand("breaker:shop");
	tick();
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_FORCED_OPEN);
	cr_assert_not_null(only_cut());
	cr_assert_eq(order("shop", "auto"), 0);
	fake_let_fires_settle(e);
	cr_expect_eq(state_of("shop"), SC_BREAKER_CLOSED);
	cr_expect_null(only_cut());
}

Test(breaker_engine, its_condition_fired_by_hand_while_it_is_open_stays_until_taken_back)
{
	open_shop();
	fire_by_hand("breaker:shop");
	tick();
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_FORCED_OPEN);
	cr_assert_not_null(only_cut(), "the older one is replaced");
}

Test(breaker_engine, a_cut_by_another_fire_shows_as_forced_open_and_is_no_evidence)
{
	fire_by_hand("break-shop");
	tick();
	cr_expect(strstr(status_of("shop"), "\"circuit_state\":\"forced-open\""), "%s",
		  status_of("shop"));
	cr_expect(strstr(status_of("shop"), newest_fire()->id));
	cr_expect(strstr(status_of("shop"), "\"health\":\"scram\""));
	fail(4, 20);
	tick();
	cr_expect_eq(state_of("shop"), SC_BREAKER_CLOSED);
	(void)sc_isolation_release(e, &e->isolations[0], "eve", SC_REPLY_TO_NOBODY);
	fake_let_fires_settle(e);
	tick();
	cr_expect(strstr(status_of("shop"), "\"circuit_state\":\"closed\""), "%s",
		  status_of("shop"));
}

Test(breaker_engine, ticks_and_transitions_allocate_nothing)
{
	uint64_t before;

	tick();
	before = fake_allocations();
	open_shop();
	end_wait("shop");
	tick();
	fake_world.counts[4].proc_unexpected_exits++;
	tick();
	cr_expect_eq(fake_allocations() - before, 0);
}
