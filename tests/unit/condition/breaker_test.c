/* SPDX-License-Identifier: Apache-2.0 */
/* What the breaker does, step by step. */
#include "unit/condition/breaker_kit.h"

#include "base/clock.h"
#include "base/mem.h"

#include <criterion/criterion.h>

#define S SC_NS_PER_S

static const struct sc_breaker_look nothing;
static const struct sc_breaker_look failure = {.failures = 1};
static const struct sc_breaker_look success = {.successes = 1, .tries = 1};
static const struct sc_breaker_look tried = {.tries = 1};

Test(breaker, opens_at_the_fifth_failure_in_a_row)
{
	struct sc_breaker_spec spec = breaker_live_spec();
	struct sc_breaker_transition t;
	struct sc_breaker b;

	sc_breaker_init(&b, 0);
	for (uint64_t i = 1; i <= 4; i++)
		breaker_step(&b, &spec, failure, i * 1000, SC_BREAKER_CLOSED);
	t = breaker_step(&b, &spec, failure, 5000, SC_BREAKER_OPEN);
	cr_assert_eq(t.reason, SC_BREAKER_FAILURE_THRESHOLD);
	cr_assert_eq(t.retry_ns, 5030 * S);
	cr_assert_not(t.is_dry_run);
}

Test(breaker, a_success_resets_the_run)
{
	struct sc_breaker_spec spec = breaker_live_spec();
	struct sc_breaker b;

	sc_breaker_init(&b, 0);
	for (uint64_t i = 0; i < 100; i++)
		breaker_step(&b, &spec, i % 5 == 4 ? success : failure, i, SC_BREAKER_CLOSED);
}

/* The order within a tick is not known: it opens when even the kindest order has such a run. */
Test(breaker, a_mixed_tick_opens_only_what_every_order_would)
{
	static const struct {
		uint32_t before, failures, successes;
		bool opens;
	} cases[] = {
		{0, 4, 0, false},
		{0, 5, 0, true},
		{4, 0, 0, false},
		{4, 1, 0, true},
		{0, 8, 1, false},
		{0, 9, 1, true},
		{4, 4, 1, false},
		{4, 5, 1, true},
		{0, 99, 24, false},
		{0, 101, 24, true},
		{0, 4000000000u, 4000000000u, false},
		{4, UINT32_MAX, 0, true},
	};
	struct sc_breaker_spec spec = breaker_live_spec();

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct sc_breaker b;
		struct sc_breaker_look look = {.failures = cases[i].failures,
					       .successes = cases[i].successes};

		sc_breaker_init(&b, 0);
		for (uint32_t k = 0; k < cases[i].before; k++)
			breaker_step(&b, &spec, failure, k, SC_BREAKER_CLOSED);
		breaker_step(&b, &spec, look, 50,
			     cases[i].opens ? SC_BREAKER_OPEN : SC_BREAKER_CLOSED);
		if (!cases[i].opens && cases[i].successes)
			cr_assert_eq(b.run, 0, "case %zu", i);
	}
}

Test(breaker, an_idle_open_breaker_goes_half_open_by_time_alone)
{
	struct sc_breaker_spec spec = breaker_live_spec();
	struct sc_breaker b = breaker_opened(&spec);
	struct sc_breaker_transition t;

	breaker_step(&b, &spec, nothing, 129, SC_BREAKER_OPEN);
	t = breaker_step(&b, &spec, nothing, 130, SC_BREAKER_HALF_OPEN);
	cr_assert_eq(t.reason, SC_BREAKER_COOLDOWN_ELAPSED);
	cr_assert_eq(t.retry_ns, 160 * S);
	cr_assert_eq(b.attempt, 1);
}

Test(breaker, nothing_seen_while_open_ends_the_wait)
{
	struct sc_breaker_spec spec = breaker_live_spec();
	struct sc_breaker b = breaker_opened(&spec);

	breaker_step(&b, &spec, success, 110, SC_BREAKER_OPEN);
	breaker_step(&b, &spec, failure, 120, SC_BREAKER_OPEN);
	breaker_step(&b, &spec, failure, 130, SC_BREAKER_HALF_OPEN);
}

Test(breaker, a_success_in_half_open_closes_and_forgets_the_waits)
{
	struct sc_breaker_spec spec = breaker_live_spec();
	struct sc_breaker b = breaker_half_opened(&spec);
	struct sc_breaker_transition t;

	breaker_step(&b, &spec, failure, 131, SC_BREAKER_OPEN);
	breaker_step(&b, &spec, nothing, 191, SC_BREAKER_HALF_OPEN);
	t = breaker_step(&b, &spec, success, 192, SC_BREAKER_CLOSED);
	cr_assert_eq(t.reason, SC_BREAKER_RECOVERED);
	cr_assert_eq(t.retry_ns, 0);
	t = breaker_step(&b, &spec, (struct sc_breaker_look){.failures = 5}, 200, SC_BREAKER_OPEN);
	cr_assert_eq(t.retry_ns, 230 * S);
}

Test(breaker, half_open_needs_as_many_successes_as_configured)
{
	struct sc_breaker_spec spec = breaker_live_spec();
	struct sc_breaker b;

	spec.successes = 3;
	b = breaker_half_opened(&spec);
	breaker_step(&b, &spec, success, 131, SC_BREAKER_HALF_OPEN);
	breaker_step(&b, &spec, success, 132, SC_BREAKER_HALF_OPEN);
	breaker_step(&b, &spec, success, 133, SC_BREAKER_CLOSED);
}

Test(breaker, each_half_open_that_fails_doubles_the_wait_up_to_its_bound)
{
	static const uint64_t waits[] = {60, 120, 240, 300, 300, 300};
	struct sc_breaker_spec spec = breaker_live_spec();
	struct sc_breaker b = breaker_half_opened(&spec);
	uint64_t now = 130;

	for (size_t i = 0; i < SC_ARRAY_SIZE(waits); i++) {
		struct sc_breaker_transition t = breaker_step(&b, &spec, failure, ++now,
							      SC_BREAKER_OPEN);

		cr_assert_eq(t.reason, SC_BREAKER_HALF_OPEN_FAILED);
		cr_assert_eq(t.retry_ns, (now + waits[i]) * S, "the %zu. wait", i);
		breaker_step(&b, &spec, nothing, now + waits[i] - 1, SC_BREAKER_OPEN);
		now += waits[i];
		breaker_step(&b, &spec, nothing, now, SC_BREAKER_HALF_OPEN);
		cr_assert_eq(b.attempt, i + 2);
	}
}

Test(breaker, a_failure_wins_over_a_success_in_half_open)
{
	struct sc_breaker_spec spec = breaker_live_spec();
	struct sc_breaker b = breaker_half_opened(&spec);

	breaker_step(&b, &spec, (struct sc_breaker_look){.failures = 1, .successes = 9}, 131,
		     SC_BREAKER_OPEN);
}

Test(breaker, half_open_has_an_end)
{
	struct sc_breaker_spec spec = breaker_live_spec();
	struct sc_breaker b = breaker_half_opened(&spec);
	struct sc_breaker_transition t;

	/* Nothing was tried: as long again, no longer. */
	breaker_step(&b, &spec, nothing, 159, SC_BREAKER_HALF_OPEN);
	t = breaker_step(&b, &spec, nothing, 160, SC_BREAKER_OPEN);
	cr_assert_eq(t.reason, SC_BREAKER_HALF_OPEN_UNTRIED);
	cr_assert_eq(t.retry_ns, 190 * S);
	/* Let through, and never heard of again: a failure. */
	breaker_step(&b, &spec, nothing, 190, SC_BREAKER_HALF_OPEN);
	breaker_step(&b, &spec, tried, 200, SC_BREAKER_HALF_OPEN);
	t = breaker_step(&b, &spec, nothing, 220, SC_BREAKER_OPEN);
	cr_assert_eq(t.reason, SC_BREAKER_HALF_OPEN_FAILED);
	cr_assert_eq(t.retry_ns, 280 * S);
	/* The next half-open begins with nothing tried. */
	breaker_step(&b, &spec, nothing, 280, SC_BREAKER_HALF_OPEN);
	t = breaker_step(&b, &spec, nothing, 310, SC_BREAKER_OPEN);
	cr_assert_eq(t.reason, SC_BREAKER_HALF_OPEN_UNTRIED);
	cr_assert_eq(t.retry_ns, 370 * S);
}

Test(breaker, metrics_only_goes_through_all_states_and_cuts_nothing)
{
	struct sc_breaker_spec spec = breaker_live_spec();
	struct sc_breaker_transition t;
	struct sc_breaker b;

	spec.live = false;
	sc_breaker_init(&b, 0);
	t = breaker_step(&b, &spec, (struct sc_breaker_look){.failures = 5}, 1, SC_BREAKER_OPEN);
	cr_assert(t.is_dry_run);
	cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_NONE);
	t = breaker_step(&b, &spec, nothing, 31, SC_BREAKER_HALF_OPEN);
	cr_assert(t.is_dry_run);
	cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_NONE);
	t = breaker_step(&b, &spec, success, 32, SC_BREAKER_CLOSED);
	cr_assert(t.is_dry_run);
}

Test(breaker, cuts_as_its_state_says)
{
	static const enum sc_cut_mode modes[] = {SC_CUT_REFUSE_NEW, SC_CUT_REFUSE_ALL};

	for (size_t i = 0; i < SC_ARRAY_SIZE(modes); i++) {
		struct sc_breaker_spec spec = breaker_live_spec();
		struct sc_breaker b;

		spec.mode = modes[i];
		sc_breaker_init(&b, 0);
		cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_NONE);
		b = breaker_opened(&spec);
		cr_assert_eq(sc_breaker_cut(&b, &spec), modes[i]);
		b = breaker_half_opened(&spec);
		cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_TRY);
	}
}

/* What opened while nothing hung on it must not cut in the moment it is made live. */
Test(breaker, made_live_while_open_it_begins_anew)
{
	struct sc_breaker_spec spec = breaker_live_spec();
	struct sc_breaker_transition t;
	struct sc_breaker b;

	spec.live = false;
	b = breaker_opened(&spec);
	spec.live = true;
	cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_NONE);
	t = breaker_step(&b, &spec, failure, 101, SC_BREAKER_CLOSED);
	cr_assert_eq(t.reason, SC_BREAKER_OPERATOR);
	cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_NONE);
	cr_assert_eq(b.run, 0);
	breaker_step(&b, &spec, (struct sc_breaker_look){.failures = 5}, 102, SC_BREAKER_OPEN);
	cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_REFUSE_NEW);
	/* The other way the cut ends, and the states go on. */
	spec.live = false;
	breaker_step(&b, &spec, nothing, 103, SC_BREAKER_OPEN);
	cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_NONE);
}
