/* SPDX-License-Identifier: Apache-2.0 */
/* The breaker's table: every state with every input, at random against a second, naive breaker, and
 * as a diagram. */
#include "unit/condition/breaker_kit.h"

#include "base/clock.h"
#include "base/str.h"

#include <criterion/criterion.h>
#include <string.h>

#define S SC_NS_PER_S

static const struct sc_breaker_look nothing;

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
	breaker_step(&b, spec, nothing, 1, SC_BREAKER_CLOSED);
	switch (state) {
	case SC_BREAKER_OPEN:
		return breaker_opened(spec);
	case SC_BREAKER_HALF_OPEN:
		return breaker_half_opened(spec);
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

Test(breaker_table, every_state_answers_every_look)
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
	struct sc_breaker_spec spec = breaker_live_spec();

	for (unsigned int s = 0; s < SC_BREAKER_STATE_COUNT; s++) {
		for (unsigned int i = 0; i < INPUTS; i++) {
			struct sc_breaker b = in_state((enum sc_breaker_state)s, &spec);

			breaker_step(&b, &spec, looks[i], i >= OVER ? 100000 : 130 - (s == O),
				     to[s][i]);
		}
	}
}

Test(breaker_table, every_state_takes_every_order)
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
	struct sc_breaker_spec spec = breaker_live_spec();

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

Test(breaker_table, forced_open_cuts_a_component_that_is_not_live)
{
	struct sc_breaker_spec spec = breaker_live_spec();
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

Test(breaker_table, taking_metrics_only_back_begins_anew)
{
	struct sc_breaker_spec spec = breaker_live_spec();
	struct sc_breaker b = breaker_opened(&spec);
	struct sc_breaker_transition t;

	cr_assert(sc_breaker_order(&b, &spec, SC_BREAKER_ORDER_METRICS_ONLY, 101 * S, &t));
	cr_assert_eq(t.from, t.to);
	cr_assert_eq(t.retry_ns, 130 * S);
	cr_assert_not(t.is_dry_run, "a cut was let go");
	cr_assert(sc_breaker_order(&b, &spec, SC_BREAKER_ORDER_NONE, 102 * S, &t));
	cr_assert_eq(b.state, SC_BREAKER_CLOSED);
	cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_NONE);
}

Test(breaker_table, forced_closed_counts_and_disabled_does_not)
{
	struct sc_breaker_counts counts = {.connects = 7, .connect_failures = 7};
	struct sc_breaker_spec spec = breaker_live_spec();
	struct sc_breaker b = in_state(FC, &spec);

	breaker_step(&b, &spec, sc_breaker_count(&b, &spec, &counts), 101, FC);
	cr_assert_eq(b.failures_seen, 7);
	cr_assert_eq(b.run, 7);
	b = in_state(D, &spec);
	breaker_step(&b, &spec, sc_breaker_count(&b, &spec, &counts), 101, D);
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

Test(breaker_table, agrees_with_a_naive_one_on_random_walks)
{
	static const struct sc_breaker_look looks[128] = {
		['f'] = {1, 0, 0}, ['s'] = {0, 1, 1}, ['t'] = {0, 0, 1}};
	struct sc_breaker_spec spec = breaker_live_spec();
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

Test(breaker_table, is_never_stuck_open)
{
	struct sc_breaker_spec spec = breaker_live_spec();

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

Test(breaker_table, the_diagram_shows_every_state_and_reason)
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
