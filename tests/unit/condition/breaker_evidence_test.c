/* SPDX-License-Identifier: Apache-2.0 */
/* What counters mean: scram's own refusals are never taken for the component's failures. */
#include <scram/breaker.h>

#include "base/clock.h"
#include "base/mem.h"

#include <criterion/criterion.h>

#define S SC_NS_PER_S

static struct sc_breaker_spec spec;

static void set_up(void)
{
	sc_breaker_spec_init(&spec);
	spec.live = true;
}

TestSuite(breaker_evidence, .init = set_up);

static void move(struct sc_breaker *b, struct sc_breaker_look look, uint64_t at_s,
		 enum sc_breaker_state to)
{
	struct sc_breaker_transition t;

	sc_breaker_step(b, &spec, &look, at_s * S, &t);
	cr_assert_eq(b->state, to);
}

/* Half-open at 31 s, after a run of connections or of deaths. */
static struct sc_breaker half_opened(bool is_of_connects)
{
	struct sc_breaker_counts counts = {.connects = is_of_connects ? 5 : 0,
					   .connect_failures = is_of_connects ? 5 : 0,
					   .unexpected_exits = is_of_connects ? 0 : 5};
	struct sc_breaker b;

	sc_breaker_init(&b, 0);
	move(&b, sc_breaker_count(&b, &spec, &counts), 1, SC_BREAKER_OPEN);
	move(&b, (struct sc_breaker_look){0}, 31, SC_BREAKER_HALF_OPEN);
	return b;
}

static void expect(struct sc_breaker_look look, uint32_t failures, uint32_t successes, size_t which)
{
	cr_assert_eq(look.failures, failures, "case %zu: %u failures", which, look.failures);
	cr_assert_eq(look.successes, successes, "case %zu: %u successes", which, look.successes);
}

Test(breaker_evidence, closed_counts_what_the_component_did)
{
	static const struct {
		struct sc_breaker_counts counts;
		uint32_t failures, successes;
	} cases[] = {
		{{0}, 0, 0},
		{{.connects = 4, .connect_successes = 3, .connect_failures = 1}, 1, 3},
		{{.unexpected_exits = 2}, 2, 0},
		{{.accepts = 9}, 0, 9},
		/* Serving well says nothing of connections to outside that fail. */
		{{.accepts = 9, .connects = 1, .connect_failures = 1}, 1, 0},
		{{.accepts = 9, .unexpected_exits = 1}, 1, 9},
		{{.connect_failures = UINT64_MAX / 2}, UINT32_MAX, 0},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct sc_breaker b;

		sc_breaker_init(&b, 0);
		expect(sc_breaker_count(&b, &spec, &cases[i].counts), cases[i].failures,
		       cases[i].successes, i);
	}
}

/* A server that accepts its clients between two failing connects to its database still opens. */
Test(breaker_evidence, accepting_ends_a_run_of_deaths_and_not_one_of_connections)
{
	struct sc_breaker_counts accepts = {.accepts = 3};
	struct sc_breaker_counts refused = {.connects = 1, .connect_failures = 1};
	struct sc_breaker_counts death = {.unexpected_exits = 1};
	struct sc_breaker b;

	sc_breaker_init(&b, 0);
	for (uint64_t i = 1; i <= 20; i++) {
		move(&b, sc_breaker_count(&b, &spec, &death), i, SC_BREAKER_CLOSED);
		move(&b, sc_breaker_count(&b, &spec, &accepts), i, SC_BREAKER_CLOSED);
	}
	for (uint64_t i = 21; i <= 24; i++) {
		move(&b, sc_breaker_count(&b, &spec, &refused), i, SC_BREAKER_CLOSED);
		move(&b, sc_breaker_count(&b, &spec, &accepts), i, SC_BREAKER_CLOSED);
	}
	move(&b, sc_breaker_count(&b, &spec, &refused), 25, SC_BREAKER_OPEN);
}

Test(breaker_evidence, a_connection_that_succeeds_ends_every_run)
{
	struct sc_breaker_counts refused = {.connects = 1, .connect_failures = 1};
	struct sc_breaker_counts connected = {.connects = 1, .connect_successes = 1};
	struct sc_breaker_counts accepts = {.accepts = 1};
	struct sc_breaker b;

	sc_breaker_init(&b, 0);
	for (uint64_t i = 1; i <= 4; i++)
		move(&b, sc_breaker_count(&b, &spec, &refused), i, SC_BREAKER_CLOSED);
	move(&b, sc_breaker_count(&b, &spec, &connected), 5, SC_BREAKER_CLOSED);
	cr_assert_eq(b.run, 0);
	/* What is accepted is worth something again. */
	expect(sc_breaker_count(&b, &spec, &accepts), 0, 1, 0);
}

Test(breaker_evidence, open_takes_no_failure_for_the_components_own)
{
	struct sc_breaker_counts counts = {.connects = 50,
					   .connect_failures = 50,
					   .connect_successes = 1,
					   .unexpected_exits = 2};
	struct sc_breaker_counts death = {.unexpected_exits = 5};
	struct sc_breaker b;

	sc_breaker_init(&b, 0);
	move(&b, sc_breaker_count(&b, &spec, &death), 1, SC_BREAKER_OPEN);
	expect(sc_breaker_count(&b, &spec, &counts), 0, 0, 0);
	cr_assert_eq(b.exits_seen, 7, "deaths are shown even then");
	cr_assert_eq(b.failures_seen, 5);
}

Test(breaker_evidence, half_open_counts_only_failures_of_what_was_let_through)
{
	static const struct {
		struct sc_breaker_counts counts; /* since the half-open began */
		uint32_t failures, successes;
	} cases[] = {
		/* All refused, nothing let through: no evidence. */
		{{.connects = 40, .connect_failures = 40}, 0, 0},
		{{.connects = 40, .connect_failures = 38}, 0, 0},
		/* Three let through: their failures stand out. */
		{{.connects = 40, .connect_failures = 40, .tries = 3}, 3, 0},
		{{.connects = 40, .connect_failures = 37, .tries = 3}, 0, 0},
		{{.connects = 40, .connect_failures = 39, .connect_successes = 1, .tries = 3},
		 2,
		 1},
		{{.connects = 40, .connect_failures = 37, .connect_successes = 3, .tries = 3},
		 0,
		 3},
		{{.connects = 1, .connect_failures = 1, .tries = 1}, 1, 0},
		/* Counts read while they move. */
		{{.connects = 1, .connect_failures = 0, .tries = 3}, 0, 0},
		{{.connects = 0, .connect_failures = 1, .tries = 0}, 1, 0},
		/* Tries that came from outside let nothing out. */
		{{.connects = 5, .connect_failures = 5, .accepts = 3, .tries = 3}, 0, 0},
		{{.connects = 5, .connect_failures = 5, .accepts = 2, .tries = 3}, 1, 0},
		/* A death is a failure whatever is refused. */
		{{.connects = 9, .connect_failures = 9, .unexpected_exits = 1}, 1, 0},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct sc_breaker b = half_opened(true);

		expect(sc_breaker_count(&b, &spec, &cases[i].counts), cases[i].failures,
		       cases[i].successes, i);
	}
}

Test(breaker_evidence, a_connect_refused_over_the_edge_of_a_tick_is_no_failure)
{
	struct sc_breaker_counts begun = {.connects = 10};
	struct sc_breaker_counts ended = {.connect_failures = 10};
	struct sc_breaker_counts again = {.connects = 1, .connect_failures = 1, .tries = 1};
	struct sc_breaker_counts nothing = {0};
	struct sc_breaker b = half_opened(true);

	expect(sc_breaker_count(&b, &spec, &begun), 0, 0, 0);
	expect(sc_breaker_count(&b, &spec, &ended), 0, 0, 1);
	expect(sc_breaker_count(&b, &spec, &again), 1, 0, 2);
	expect(sc_breaker_count(&b, &spec, &nothing), 0, 0, 3); /* told once */
}

Test(breaker_evidence, metrics_only_refuses_nothing_so_every_failure_counts)
{
	struct sc_breaker_counts counts = {.connects = 4, .connect_failures = 4};
	struct sc_breaker b;

	spec.live = false;
	b = half_opened(true);
	expect(sc_breaker_count(&b, &spec, &counts), 4, 0, 0);
}

/* A component whose clients take all tries before it can make a connection of its own must not
 * stay open for ever: nothing failed, and it served. */
Test(breaker_evidence, what_was_accepted_speaks_for_it_when_nothing_else_does)
{
	struct sc_breaker_counts served = {
		.connects = 3, .connect_failures = 3, .accepts = 3, .tries = 3};
	struct sc_breaker b = half_opened(true);

	move(&b, sc_breaker_count(&b, &spec, &served), 32, SC_BREAKER_HALF_OPEN);
	move(&b, (struct sc_breaker_look){0}, 61, SC_BREAKER_CLOSED);
	/* After a run of deaths it speaks at once. */
	b = half_opened(false);
	served.connects = served.connect_failures = 0;
	move(&b, sc_breaker_count(&b, &spec, &served), 32, SC_BREAKER_CLOSED);
}

Test(breaker_evidence, refused_connections_are_not_tries)
{
	struct sc_breaker_counts refused = {.connects = 40, .connect_failures = 40};
	struct sc_breaker_counts one = {.connects = 1, .connect_successes = 1, .tries = 1};
	struct sc_breaker_counts nothing = {0};
	struct sc_breaker b = half_opened(true);

	cr_assert_eq(sc_breaker_count(&b, &spec, &refused).tries, 0);
	cr_assert_eq(sc_breaker_count(&b, &spec, &one).tries, 1);
	cr_assert_eq(sc_breaker_count(&b, &spec, &nothing).tries, 0, "told once");
	expect(sc_breaker_count(&b, &spec, &one), 0, 1, 0);
	expect(sc_breaker_count(&b, &spec, &nothing), 0, 0, 1);
}

Test(breaker_evidence, each_half_open_is_judged_by_itself)
{
	struct sc_breaker_counts failed = {.connects = 9, .connect_failures = 9, .tries = 3};
	struct sc_breaker_counts again = {.connects = 9, .connect_failures = 7, .tries = 1};
	struct sc_breaker b = half_opened(true);

	move(&b, sc_breaker_count(&b, &spec, &failed), 32, SC_BREAKER_OPEN);
	move(&b, (struct sc_breaker_look){0}, 92, SC_BREAKER_HALF_OPEN);
	/* One let through and one refused are under way: no failure, neither of now nor of then. */
	expect(sc_breaker_count(&b, &spec, &again), 0, 0, 0);
	again = (struct sc_breaker_counts){.connect_failures = 2};
	expect(sc_breaker_count(&b, &spec, &again), 1, 0, 1);
}

Test(breaker_evidence, once_closed_the_old_run_is_forgotten)
{
	struct sc_breaker_counts connected = {.connects = 1, .connect_successes = 1, .tries = 1};
	struct sc_breaker_counts accepts = {.accepts = 1};
	struct sc_breaker b = half_opened(true);

	move(&b, sc_breaker_count(&b, &spec, &connected), 32, SC_BREAKER_CLOSED);
	expect(sc_breaker_count(&b, &spec, &accepts), 0, 1, 0);
}

Test(breaker_evidence, predicates_stand_for_the_counters_but_for_failures_in_half_open)
{
	const struct sc_breaker_look counted = {.failures = 7, .successes = 9, .tries = 2};
	const bool yes = true, no = false;
	struct sc_breaker closed, half = half_opened(true);

	sc_breaker_init(&closed, 0);
	expect(sc_breaker_judge(&closed, counted, NULL, NULL), 7, 9, 0);
	expect(sc_breaker_judge(&closed, counted, &yes, NULL), 1, 9, 1);
	expect(sc_breaker_judge(&closed, counted, &no, &yes), 0, 1, 2);
	expect(sc_breaker_judge(&half, counted, &yes, &no), 7, 0, 3);
	expect(sc_breaker_judge(&half, (struct sc_breaker_look){.tries = 2}, &yes, &yes), 0, 1, 4);
	cr_assert_eq(sc_breaker_judge(&half, counted, &yes, &yes).tries, 2);
}

static uint32_t draw(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525u + 1013904223u;
	return (*seed >> 16) % below;
}

/* One half-open of a busy component: what is refused ends at once or in the next tick, what is let
 * through after some ticks. Too few failures may be told while something is under way; never too
 * many, and all of them in the end. */
Test(breaker_evidence, never_tells_more_failures_than_there_were)
{
	for (uint32_t seed = 1; seed <= 500; seed++) {
		uint32_t dice = seed, tries = 3, under_way = 0, late = 0;
		uint32_t real = 0, told = 0;
		struct sc_breaker b = half_opened(true);

		for (int tick = 0; tick < 60; tick++) {
			uint32_t begun = tick < 50 ? draw(&dice, 6) : 0;
			uint32_t room = draw(&dice, SC_MIN(tries, 2u) + 1);
			uint32_t through = SC_MIN(begun, room);
			uint32_t ended = draw(&dice, under_way + 1);
			uint32_t refused = begun - through;
			uint32_t over = draw(&dice, refused + 1);
			struct sc_breaker_counts c = {.connects = begun, .tries = through};

			tries -= through;
			ended = tick < 50 ? ended : under_way;
			for (uint32_t i = 0; i < ended; i++) {
				bool fails = draw(&dice, 2);

				c.connect_failures += fails;
				c.connect_successes += !fails;
				real += fails;
			}
			c.connect_failures += late + refused - over;
			late = over;
			under_way = under_way - ended + through;
			told += sc_breaker_count(&b, &spec, &c).failures;
			cr_assert_leq(told, real, "seed %u, tick %d", seed, tick);
		}
		cr_assert_eq(told, real, "seed %u", seed);
	}
}
