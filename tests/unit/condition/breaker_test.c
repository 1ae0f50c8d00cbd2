/* SPDX-License-Identifier: Apache-2.0 */
/* The breaker as its table says it: step by step, every state with every input, and at random
 * against a second, naive one. */
#include <scram/breaker.h>

#include "base/clock.h"
#include "base/str.h"

#include <criterion/criterion.h>
#include <string.h>

#define S SC_NS_PER_S

static const struct sc_breaker_look nothing;
static const struct sc_breaker_look failure = {.failures = 1};
static const struct sc_breaker_look success = {.successes = 1, .tries = 1};
static const struct sc_breaker_look tried = {.tries = 1};

static struct sc_breaker_spec live_spec(void)
{
	struct sc_breaker_spec spec;

	sc_breaker_spec_init(&spec);
	spec.live = true;
	return spec;
}

/* One step, which must lead to that state. */
static struct sc_breaker_transition step(struct sc_breaker *b, const struct sc_breaker_spec *spec,
					 struct sc_breaker_look look, uint64_t at_s,
					 enum sc_breaker_state to)
{
	struct sc_breaker_transition t = {.reason = SC_BREAKER_REASON_COUNT};
	enum sc_breaker_state from = b->state;
	bool moved = sc_breaker_step(b, spec, &look, at_s * S, &t);

	cr_assert_eq(b->state, to, "at %lu s: %s, not %s", at_s, sc_breaker_state_name(b->state),
		     sc_breaker_state_name(to));
	cr_assert_eq(moved, from != to, "at %lu s", at_s);
	if (moved) {
		cr_assert_eq(t.from, from);
		cr_assert_eq(t.to, to);
		cr_assert_eq(t.at_ns, at_s * S);
		cr_assert_eq(t.retry_ns, b->until_ns);
	}
	return t;
}

/* A live breaker of default settings that opened at 100 s. */
static struct sc_breaker opened(const struct sc_breaker_spec *spec)
{
	struct sc_breaker b;

	sc_breaker_init(&b, 0);
	step(&b, spec, (struct sc_breaker_look){.failures = spec->failures}, 100, SC_BREAKER_OPEN);
	return b;
}

/* The same, half-open since 130 s. */
static struct sc_breaker half_opened(const struct sc_breaker_spec *spec)
{
	struct sc_breaker b = opened(spec);

	step(&b, spec, nothing, 130, SC_BREAKER_HALF_OPEN);
	return b;
}

Test(breaker, opens_at_the_fifth_failure_in_a_row)
{
	struct sc_breaker_spec spec = live_spec();
	struct sc_breaker_transition t;
	struct sc_breaker b;

	sc_breaker_init(&b, 0);
	for (uint64_t i = 1; i <= 4; i++)
		step(&b, &spec, failure, i * 1000, SC_BREAKER_CLOSED);
	t = step(&b, &spec, failure, 5000, SC_BREAKER_OPEN);
	cr_assert_eq(t.reason, SC_BREAKER_FAILURE_THRESHOLD);
	cr_assert_eq(t.retry_ns, 5030 * S);
	cr_assert_not(t.is_dry_run);
}

Test(breaker, a_success_resets_the_run)
{
	struct sc_breaker_spec spec = live_spec();
	struct sc_breaker b;

	sc_breaker_init(&b, 0);
	for (uint64_t i = 0; i < 100; i++)
		step(&b, &spec, i % 5 == 4 ? success : failure, i, SC_BREAKER_CLOSED);
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
	struct sc_breaker_spec spec = live_spec();

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct sc_breaker b;
		struct sc_breaker_look look = {.failures = cases[i].failures,
					       .successes = cases[i].successes};

		sc_breaker_init(&b, 0);
		for (uint32_t k = 0; k < cases[i].before; k++)
			step(&b, &spec, failure, k, SC_BREAKER_CLOSED);
		step(&b, &spec, look, 50, cases[i].opens ? SC_BREAKER_OPEN : SC_BREAKER_CLOSED);
		if (!cases[i].opens && cases[i].successes)
			cr_assert_eq(b.run, 0, "case %zu", i);
	}
}

Test(breaker, an_idle_open_breaker_goes_half_open_by_time_alone)
{
	struct sc_breaker_spec spec = live_spec();
	struct sc_breaker b = opened(&spec);
	struct sc_breaker_transition t;

	step(&b, &spec, nothing, 129, SC_BREAKER_OPEN);
	t = step(&b, &spec, nothing, 130, SC_BREAKER_HALF_OPEN);
	cr_assert_eq(t.reason, SC_BREAKER_COOLDOWN_ELAPSED);
	cr_assert_eq(t.retry_ns, 160 * S);
	cr_assert_eq(b.attempt, 1);
}

Test(breaker, nothing_seen_while_open_ends_the_wait)
{
	struct sc_breaker_spec spec = live_spec();
	struct sc_breaker b = opened(&spec);

	step(&b, &spec, success, 110, SC_BREAKER_OPEN);
	step(&b, &spec, failure, 120, SC_BREAKER_OPEN);
	step(&b, &spec, failure, 130, SC_BREAKER_HALF_OPEN);
}

Test(breaker, a_success_in_half_open_closes_and_forgets_the_waits)
{
	struct sc_breaker_spec spec = live_spec();
	struct sc_breaker b = half_opened(&spec);
	struct sc_breaker_transition t;

	step(&b, &spec, failure, 131, SC_BREAKER_OPEN);
	step(&b, &spec, nothing, 191, SC_BREAKER_HALF_OPEN);
	t = step(&b, &spec, success, 192, SC_BREAKER_CLOSED);
	cr_assert_eq(t.reason, SC_BREAKER_RECOVERED);
	cr_assert_eq(t.retry_ns, 0);
	t = step(&b, &spec, (struct sc_breaker_look){.failures = 5}, 200, SC_BREAKER_OPEN);
	cr_assert_eq(t.retry_ns, 230 * S);
}

Test(breaker, half_open_needs_as_many_successes_as_configured)
{
	struct sc_breaker_spec spec = live_spec();
	struct sc_breaker b;

	spec.successes = 3;
	b = half_opened(&spec);
	step(&b, &spec, success, 131, SC_BREAKER_HALF_OPEN);
	step(&b, &spec, success, 132, SC_BREAKER_HALF_OPEN);
	step(&b, &spec, success, 133, SC_BREAKER_CLOSED);
}

Test(breaker, each_half_open_that_fails_doubles_the_wait_up_to_its_bound)
{
	static const uint64_t waits[] = {60, 120, 240, 300, 300, 300};
	struct sc_breaker_spec spec = live_spec();
	struct sc_breaker b = half_opened(&spec);
	uint64_t now = 130;

	for (size_t i = 0; i < SC_ARRAY_SIZE(waits); i++) {
		struct sc_breaker_transition t = step(&b, &spec, failure, ++now, SC_BREAKER_OPEN);

		cr_assert_eq(t.reason, SC_BREAKER_HALF_OPEN_FAILED);
		cr_assert_eq(t.retry_ns, (now + waits[i]) * S, "the %zu. wait", i);
		step(&b, &spec, nothing, now + waits[i] - 1, SC_BREAKER_OPEN);
		now += waits[i];
		step(&b, &spec, nothing, now, SC_BREAKER_HALF_OPEN);
		cr_assert_eq(b.attempt, i + 2);
	}
}

Test(breaker, a_failure_wins_over_a_success_in_half_open)
{
	struct sc_breaker_spec spec = live_spec();
	struct sc_breaker b = half_opened(&spec);

	step(&b, &spec, (struct sc_breaker_look){.failures = 1, .successes = 9}, 131,
	     SC_BREAKER_OPEN);
}

Test(breaker, half_open_has_an_end)
{
	struct sc_breaker_spec spec = live_spec();
	struct sc_breaker b = half_opened(&spec);
	struct sc_breaker_transition t;

	/* Nothing was tried: as long again, no longer. */
	step(&b, &spec, nothing, 159, SC_BREAKER_HALF_OPEN);
	t = step(&b, &spec, nothing, 160, SC_BREAKER_OPEN);
	cr_assert_eq(t.reason, SC_BREAKER_HALF_OPEN_UNTRIED);
	cr_assert_eq(t.retry_ns, 190 * S);
	/* Let through, and never heard of again: a failure. */
	step(&b, &spec, nothing, 190, SC_BREAKER_HALF_OPEN);
	step(&b, &spec, tried, 200, SC_BREAKER_HALF_OPEN);
	t = step(&b, &spec, nothing, 220, SC_BREAKER_OPEN);
	cr_assert_eq(t.reason, SC_BREAKER_HALF_OPEN_FAILED);
	cr_assert_eq(t.retry_ns, 280 * S);
	/* The next half-open begins with nothing tried. */
	step(&b, &spec, nothing, 280, SC_BREAKER_HALF_OPEN);
	t = step(&b, &spec, nothing, 310, SC_BREAKER_OPEN);
	cr_assert_eq(t.reason, SC_BREAKER_HALF_OPEN_UNTRIED);
	cr_assert_eq(t.retry_ns, 370 * S);
}

Test(breaker, metrics_only_goes_through_all_states_and_cuts_nothing)
{
	struct sc_breaker_spec spec = live_spec();
	struct sc_breaker_transition t;
	struct sc_breaker b;

	spec.live = false;
	sc_breaker_init(&b, 0);
	t = step(&b, &spec, (struct sc_breaker_look){.failures = 5}, 1, SC_BREAKER_OPEN);
	cr_assert(t.is_dry_run);
	cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_NONE);
	t = step(&b, &spec, nothing, 31, SC_BREAKER_HALF_OPEN);
	cr_assert(t.is_dry_run);
	cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_NONE);
	t = step(&b, &spec, success, 32, SC_BREAKER_CLOSED);
	cr_assert(t.is_dry_run);
}

Test(breaker, cuts_as_its_state_says)
{
	static const enum sc_cut_mode modes[] = {SC_CUT_REFUSE_NEW, SC_CUT_REFUSE_ALL};

	for (size_t i = 0; i < SC_ARRAY_SIZE(modes); i++) {
		struct sc_breaker_spec spec = live_spec();
		struct sc_breaker b;

		spec.mode = modes[i];
		sc_breaker_init(&b, 0);
		cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_NONE);
		b = opened(&spec);
		cr_assert_eq(sc_breaker_cut(&b, &spec), modes[i]);
		b = half_opened(&spec);
		cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_TRY);
	}
}

/* What opened while nothing hung on it must not cut in the moment it is made live. */
Test(breaker, made_live_while_open_it_begins_anew)
{
	struct sc_breaker_spec spec = live_spec();
	struct sc_breaker_transition t;
	struct sc_breaker b;

	spec.live = false;
	b = opened(&spec);
	spec.live = true;
	cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_NONE);
	t = step(&b, &spec, failure, 101, SC_BREAKER_CLOSED);
	cr_assert_eq(t.reason, SC_BREAKER_OPERATOR);
	cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_NONE);
	cr_assert_eq(b.run, 0);
	step(&b, &spec, (struct sc_breaker_look){.failures = 5}, 102, SC_BREAKER_OPEN);
	cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_REFUSE_NEW);
	/* The other way the cut ends, and the states go on. */
	spec.live = false;
	step(&b, &spec, nothing, 103, SC_BREAKER_OPEN);
	cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_NONE);
}

/* ---- every state with every input ---- */

enum input {
	QUIET,
	FAIL,
	MANY_FAIL,
	SUCCEED,
	BOTH,
	TRY,
	OVER, /* time is over, nothing else */
	OVER_TRIED,
	OVER_FAILED,
	OVER_SUCCEEDED,
	INPUTS
};

static struct sc_breaker in_state(enum sc_breaker_state state, const struct sc_breaker_spec *spec)
{
	struct sc_breaker_transition t;
	struct sc_breaker b;

	sc_breaker_init(&b, 0);
	step(&b, spec, nothing, 1, SC_BREAKER_CLOSED);
	switch (state) {
	case SC_BREAKER_OPEN:
		return opened(spec);
	case SC_BREAKER_HALF_OPEN:
		return half_opened(spec);
	case SC_BREAKER_FORCED_OPEN:
		sc_breaker_order(&b, spec, SC_BREAKER_ORDER_FORCED_OPEN, 100 * S, &t);
		return b;
	case SC_BREAKER_FORCED_CLOSED:
		sc_breaker_order(&b, spec, SC_BREAKER_ORDER_FORCED_CLOSED, 100 * S, &t);
		return b;
	case SC_BREAKER_DISABLED:
		sc_breaker_order(&b, spec, SC_BREAKER_ORDER_DISABLED, 100 * S, &t);
		return b;
	case SC_BREAKER_CLOSED:
	case SC_BREAKER_STATE_COUNT:
		break;
	}
	return b;
}

#define C  SC_BREAKER_CLOSED
#define O  SC_BREAKER_OPEN
#define H  SC_BREAKER_HALF_OPEN
#define FO SC_BREAKER_FORCED_OPEN
#define FC SC_BREAKER_FORCED_CLOSED
#define D  SC_BREAKER_DISABLED

Test(breaker, every_state_answers_every_look)
{
	static const struct sc_breaker_look looks[INPUTS] = {
		[FAIL] = {1, 0, 0},        [MANY_FAIL] = {9, 0, 0},
		[SUCCEED] = {0, 1, 1},     [BOTH] = {9, 1, 2},
		[TRY] = {0, 0, 1},         [OVER_TRIED] = {0, 0, 1},
		[OVER_FAILED] = {1, 0, 1}, [OVER_SUCCEEDED] = {0, 1, 1},
	};
	/* clang-format off */
	static const enum sc_breaker_state to[SC_BREAKER_STATE_COUNT][INPUTS] = {
		/*	   QUIET FAIL MANY SUCC BOTH TRY OVER O_TRIED O_FAILED O_SUCC */
		[C]  = {C,  C,  O,  C,  O,  C,  C,  C,  C,  C},
		[O]  = {O,  O,  O,  O,  O,  O,  H,  H,  H,  H},
		[H]  = {H,  O,  O,  C,  O,  H,  O,  O,  O,  C},
		[FO] = {FO, FO, FO, FO, FO, FO, FO, FO, FO, FO},
		[FC] = {FC, FC, FC, FC, FC, FC, FC, FC, FC, FC},
		[D]  = {D,  D,  D,  D,  D,  D,  D,  D,  D,  D},
	};
	/* clang-format on */
	struct sc_breaker_spec spec = live_spec();

	for (unsigned int s = 0; s < SC_BREAKER_STATE_COUNT; s++) {
		for (unsigned int i = 0; i < INPUTS; i++) {
			struct sc_breaker b = in_state((enum sc_breaker_state)s, &spec);

			step(&b, &spec, looks[i], i >= OVER ? 100000 : 130 - (s == O), to[s][i]);
		}
	}
}

Test(breaker, every_state_takes_every_order)
{
	/* clang-format off */
	static const enum sc_breaker_state to[SC_BREAKER_STATE_COUNT][SC_BREAKER_ORDER_COUNT] = {
		/*     none, forced-open, forced-closed, disabled, metrics-only */
		[C]  = {C, FO, FC, D, C},
		[O]  = {O, FO, FC, D, O},
		[H]  = {H, FO, FC, D, H},
		[FO] = {C, FO, FC, D, C},
		[FC] = {C, FO, FC, D, C},
		[D]  = {C, FO, FC, D, C},
	};
	/* clang-format on */
	struct sc_breaker_spec spec = live_spec();

	for (unsigned int s = 0; s < SC_BREAKER_STATE_COUNT; s++) {
		for (unsigned int o = 0; o < SC_BREAKER_ORDER_COUNT; o++) {
			struct sc_breaker b = in_state((enum sc_breaker_state)s, &spec);
			struct sc_breaker_transition t = {.reason = SC_BREAKER_REASON_COUNT};
			bool is_new = b.order != (enum sc_breaker_order)o;

			cr_assert_eq(
				sc_breaker_order(&b, &spec, (enum sc_breaker_order)o, 140 * S, &t),
				is_new);
			cr_assert_eq(b.state, to[s][o], "%u with order %u", s, o);
			cr_assert_eq(t.reason,
				     is_new ? SC_BREAKER_OPERATOR : SC_BREAKER_REASON_COUNT);
			cr_assert(!is_new || (t.from == (enum sc_breaker_state)s &&
					      t.to == b.state && !t.is_dry_run));
			cr_assert_eq(sc_breaker_cut(&b, &spec) != SC_CUT_NONE,
				     b.state == FO || ((b.state == O || b.state == H) &&
						       b.order != SC_BREAKER_ORDER_METRICS_ONLY));
		}
	}
}

Test(breaker, forced_open_cuts_a_component_that_is_not_live)
{
	struct sc_breaker_spec spec = live_spec();
	struct sc_breaker_transition t;
	struct sc_breaker b;

	spec.live = false;
	sc_breaker_init(&b, 0);
	cr_assert(sc_breaker_order(&b, &spec, SC_BREAKER_ORDER_FORCED_OPEN, S, &t));
	cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_REFUSE_NEW);
	cr_assert_not(t.is_dry_run);
	cr_assert(sc_breaker_order(&b, &spec, SC_BREAKER_ORDER_NONE, 2 * S, &t));
	cr_assert_eq(b.state, SC_BREAKER_CLOSED);
	cr_assert_not(t.is_dry_run, "a cut was let go");
}

Test(breaker, taking_metrics_only_back_begins_anew)
{
	struct sc_breaker_spec spec = live_spec();
	struct sc_breaker b = opened(&spec);
	struct sc_breaker_transition t;

	cr_assert(sc_breaker_order(&b, &spec, SC_BREAKER_ORDER_METRICS_ONLY, 101 * S, &t));
	cr_assert_eq(t.from, t.to);
	cr_assert_eq(t.retry_ns, 130 * S);
	cr_assert_not(t.is_dry_run, "a cut was let go");
	cr_assert(sc_breaker_order(&b, &spec, SC_BREAKER_ORDER_NONE, 102 * S, &t));
	cr_assert_eq(b.state, SC_BREAKER_CLOSED);
	cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_NONE);
}

Test(breaker, forced_closed_counts_and_disabled_does_not)
{
	struct sc_breaker_counts counts = {.connects = 7, .connect_failures = 7};
	struct sc_breaker_spec spec = live_spec();
	struct sc_breaker b = in_state(FC, &spec);

	step(&b, &spec, sc_breaker_count(&b, &spec, &counts), 101, FC);
	cr_assert_eq(b.failures_seen, 7);
	cr_assert_eq(b.run, 7);
	b = in_state(D, &spec);
	step(&b, &spec, sc_breaker_count(&b, &spec, &counts), 101, D);
	cr_assert_eq(b.failures_seen, 0);
	cr_assert_eq(b.run, 0);
}

/* ---- at random ---- */

struct naive {
	const char *state;
	unsigned int run, got;
	bool tried;
	uint64_t since, wait; /* s */
};

static void naive_open(struct naive *n, uint64_t now, uint64_t wait)
{
	*n = (struct naive){.state = "open", .since = now, .wait = wait};
}

/* The breaker said again, as an operator would: defaults, one event a tick. */
static void naive_step(struct naive *n, char event, uint64_t now)
{
	if (!strcmp(n->state, "closed")) {
		n->run = event == 'f' ? n->run + 1 : event == 's' ? 0 : n->run;
		if (n->run == 5)
			naive_open(n, now, 30);
	} else if (!strcmp(n->state, "open")) {
		if (now >= n->since + n->wait)
			*n = (struct naive){.state = "half-open", .since = now, .wait = n->wait};
	} else if (event == 'f') {
		naive_open(n, now, n->wait * 2 > 300 ? 300 : n->wait * 2);
	} else if (event == 's') {
		*n = (struct naive){.state = "closed"};
	} else {
		n->tried = n->tried || event == 't';
		if (now >= n->since + 30)
			naive_open(n, now,
				   !n->tried           ? n->wait
				   : n->wait * 2 > 300 ? 300
						       : n->wait * 2);
	}
}

static uint32_t draw(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 16) % below;
}

Test(breaker, agrees_with_a_naive_one_on_random_walks)
{
	static const struct sc_breaker_look looks[128] = {
		['f'] = {1, 0, 0}, ['s'] = {0, 1, 1}, ['t'] = {0, 0, 1}};
	struct sc_breaker_spec spec = live_spec();
	unsigned int visits[SC_BREAKER_STATE_COUNT] = {0};

	for (uint32_t seed = 1; seed <= 200; seed++) {
		uint32_t dice = seed;
		struct naive n = {.state = "closed"};
		struct sc_breaker b;
		uint64_t now = 1;

		sc_breaker_init(&b, 0);
		for (int i = 0; i < 2000; i++) {
			/* Walks of different weather: from mostly well to mostly failing. */
			char event = draw(&dice, 200) < seed ? 'f' : "  st"[draw(&dice, 4)];
			struct sc_breaker_transition t;

			now += draw(&dice, 8) == 0 ? draw(&dice, 40) : 1;
			sc_breaker_step(&b, &spec, &looks[(int)event], now * S, &t);
			naive_step(&n, event, now);
			cr_assert_str_eq(sc_breaker_state_name(b.state), n.state,
					 "seed %u, step %d", seed, i);
			visits[b.state]++;
		}
	}
	cr_assert(visits[C] > 1000 && visits[O] > 1000 && visits[H] > 1000);
}

Test(breaker, is_never_stuck_open)
{
	struct sc_breaker_spec spec = live_spec();

	for (uint32_t seed = 1; seed <= 300; seed++) {
		uint32_t dice = seed;
		struct sc_breaker b;
		struct sc_breaker_transition t;
		uint64_t now = 1;

		sc_breaker_init(&b, 0);
		for (uint32_t i = 0; i < 100; i++) {
			struct sc_breaker_look look = {draw(&dice, 4), draw(&dice, 6) == 0,
						       draw(&dice, 2)};

			now += draw(&dice, 60);
			if (draw(&dice, 10) == 0)
				sc_breaker_order(
					&b, &spec,
					(enum sc_breaker_order)draw(&dice, SC_BREAKER_ORDER_COUNT),
					now * S, &t);
			sc_breaker_step(&b, &spec, &look, now * S, &t);
		}
		if (b.state == O) {
			sc_breaker_step(&b, &spec, &nothing, (now + 300) * S, &t);
			cr_assert_eq(b.state, H, "seed %u", seed);
			now += 300;
		}
		if (b.state == H) {
			sc_breaker_step(&b, &spec, &nothing, (now + 30) * S, &t);
			cr_assert_neq(b.state, H, "seed %u", seed);
		}
	}
}

Test(breaker, the_diagram_shows_every_state_and_reason)
{
	_cleanup_str_ struct sc_str text;

	sc_str_init_heap(&text);
	sc_breaker_print_diagram(&text);
	for (unsigned int s = 0; s < SC_BREAKER_STATE_COUNT; s++)
		cr_assert(strstr(text.data, sc_breaker_state_name((enum sc_breaker_state)s)));
	for (unsigned int r = 0; r < SC_BREAKER_REASON_COUNT; r++)
		cr_assert(strstr(text.data, sc_breaker_reason_name((enum sc_breaker_reason)r)));
	cr_assert(strstr(text.data, "open --> half_open: time over / cooldown_elapsed\n"), "%s",
		  text.data);
}
