/* SPDX-License-Identifier: Apache-2.0 */
/* Died, came back, is well: what a component's counters tell its watchers. */
#include <scram/breaker.h>

#include "base/clock.h"
#include "base/mem.h"

#include <criterion/criterion.h>

#define S       SC_NS_PER_S
#define DIED    SC_COMPONENT_DIED
#define BACK    SC_COMPONENT_RESPAWNED
#define CHANGED SC_COMPONENT_HEALTH_CHANGED

struct look {
	uint64_t at_s;
	struct sc_component_sight sight;
	unsigned int events;
	enum sc_component_health health;
};

static void run(const struct look *looks, size_t n)
{
	struct sc_component_state c = {0};

	for (size_t i = 0; i < n; i++) {
		unsigned int events = sc_component_look(&c, &looks[i].sight, looks[i].at_s * S);

		cr_assert_eq(events, looks[i].events, "look %zu: events %#x", i, events);
		cr_assert_eq(c.health, looks[i].health, "look %zu: %s", i,
			     sc_component_health_name(c.health));
	}
}

#define RUN(...) \
	run((const struct look[]){__VA_ARGS__}, SC_ARRAY_SIZE(((const struct look[]){__VA_ARGS__})))

#define ALIVE(n) .sight = {.alive = (n)}

Test(component, its_first_start_is_no_event)
{
	RUN({0, .sight = {0}}, {1, .sight = {.alive = 3, .starts = 4}}, {2, ALIVE(3)});
}

Test(component, death_of_one_of_many_and_the_process_that_follows_it)
{
	RUN({1, ALIVE(4)},
	    {2, .sight = {.alive = 3, .unexpected_exits = 1}, .events = DIED | CHANGED,
	     SC_COMPONENT_DEGRADED},
	    {3, ALIVE(3), .health = SC_COMPONENT_DEGRADED},
	    {4, .sight = {.alive = 4, .starts = 1}, .events = BACK, SC_COMPONENT_DEGRADED},
	    {5, .sight = {.alive = 5, .starts = 1}, .health = SC_COMPONENT_DEGRADED});
}

Test(component, death_and_return_within_one_tick_are_both_told)
{
	RUN({1, ALIVE(1)}, {2, .sight = {.alive = 1, .unexpected_exits = 1, .starts = 2},
			    .events = DIED | BACK | CHANGED, SC_COMPONENT_DEGRADED});
}

Test(component, return_after_an_orderly_end_is_a_respawn_and_no_death)
{
	RUN({1, ALIVE(2)}, {2, ALIVE(0)}, {3, ALIVE(0)},
	    /* Put there from outside: nothing forked or executed inside. */
	    {4, ALIVE(1), .events = BACK}, {5, ALIVE(1)});
}

Test(component, each_death_is_told_and_a_loop_of_them_each_time)
{
	RUN({1, ALIVE(1)},
	    {2, .sight = {.unexpected_exits = 1}, .events = DIED | CHANGED, SC_COMPONENT_DEGRADED},
	    {3, .sight = {.alive = 1, .starts = 1}, .events = BACK, SC_COMPONENT_DEGRADED},
	    {4, .sight = {.unexpected_exits = 1}, .events = DIED, SC_COMPONENT_DEGRADED},
	    {5, .sight = {.unexpected_exits = 2}, .events = DIED, SC_COMPONENT_DEGRADED},
	    {6, .sight = {.alive = 1, .starts = 1}, .events = BACK, SC_COMPONENT_DEGRADED});
}

Test(component, is_degraded_for_a_minute_after_a_death)
{
	RUN({1, ALIVE(1)},
	    {10, .sight = {.alive = 1, .unexpected_exits = 1}, .events = DIED | CHANGED,
	     SC_COMPONENT_DEGRADED},
	    {69, ALIVE(1), .health = SC_COMPONENT_DEGRADED}, {70, ALIVE(1), .events = CHANGED},
	    {71, ALIVE(1)});
}

Test(component, follows_its_breaker)
{
	static const struct {
		enum sc_breaker_state state;
		enum sc_component_health health;
	} cases[] = {
		{SC_BREAKER_CLOSED, SC_COMPONENT_HEALTHY},
		{SC_BREAKER_OPEN, SC_COMPONENT_DEGRADED},
		{SC_BREAKER_HALF_OPEN, SC_COMPONENT_DEGRADED},
		{SC_BREAKER_FORCED_CLOSED, SC_COMPONENT_HEALTHY},
		{SC_BREAKER_DISABLED, SC_COMPONENT_HEALTHY},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct sc_component_state c = {0};
		struct sc_component_sight sight = {.alive = 1, .breaker = cases[i].state};

		sc_component_look(&c, &sight, S);
		cr_assert_eq(c.health, cases[i].health, "%zu", i);
	}
}

Test(component, what_scram_holds_is_scram_whatever_else_it_is)
{
	RUN({1, ALIVE(1)},
	    {2, .sight = {.unexpected_exits = 1, .breaker = SC_BREAKER_OPEN, .is_held = true},
	     .events = DIED | CHANGED, SC_COMPONENT_SCRAM},
	    {3, .sight = {.is_held = true}, .health = SC_COMPONENT_SCRAM},
	    {4, .sight = {0}, .events = CHANGED, SC_COMPONENT_DEGRADED},
	    {62, .sight = {0}, .events = CHANGED});
}

/* A kill of scram's is no unexpected exit, so it shows as held and empty, not as a death. */
Test(component, killed_by_scram_it_does_not_die_unexpectedly)
{
	RUN({1, ALIVE(3)}, {2, .sight = {.is_held = true}, .events = CHANGED, SC_COMPONENT_SCRAM},
	    {3, .sight = {0}, .events = CHANGED});
}

Test(component, counts_for_display)
{
	struct sc_component_state c = {0};
	struct sc_component_sight alive = {.alive = 2, .starts = 2};
	struct sc_component_sight dead = {.alive = 0, .unexpected_exits = 2};

	sc_component_look(&c, &alive, 1);
	sc_component_look(&c, &dead, 2);
	sc_component_look(&c, &alive, 3);
	cr_assert_eq(c.deaths, 2);
	cr_assert_eq(c.respawns, 1);
	cr_assert_eq(c.died_ns, 2);
}
