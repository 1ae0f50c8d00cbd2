/* SPDX-License-Identifier: Apache-2.0 */
/* The state machine as its table says it, step by step under a clock of the test's own. */
#include "condition/fsm.h"

#include <criterion/criterion.h>
#include <string.h>

#define S SC_NS_PER_S

struct step {
	enum sc_fsm_input input;
	uint64_t at_s;
	enum sc_phase phase;
	bool due;
};

static void run(const struct sc_condition_spec *spec, const struct step *steps, size_t n)
{
	struct sc_pair pair = {0};

	for (size_t i = 0; i < n; i++) {
		bool due = sc_fsm_step(&pair, spec, steps[i].input, steps[i].at_s * S);

		cr_assert_eq(pair.phase, steps[i].phase, "step %zu: %s, not %s", i,
			     sc_phase_name((enum sc_phase)pair.phase),
			     sc_phase_name(steps[i].phase));
		cr_assert_eq(due, steps[i].due, "step %zu: due is %d", i, due);
	}
}

#define RUN(spec, ...)                                \
	run(spec, (const struct step[]){__VA_ARGS__}, \
	    SC_ARRAY_SIZE(((const struct step[]){__VA_ARGS__})))

static struct sc_condition_spec plain(void)
{
	struct sc_condition_spec spec;

	sc_condition_spec_init(&spec);
	spec.cooldown_ns = 60 * S;
	return spec;
}

Test(fsm, fires_at_once_without_hold)
{
	struct sc_condition_spec spec = plain();

	RUN(&spec, {SC_FSM_FALSE, 10, SC_PHASE_CLEAR, false},
	    {SC_FSM_TRUE, 11, SC_PHASE_RISING, true});
}

Test(fsm, fires_only_after_hold)
{
	struct sc_condition_spec spec = plain();

	spec.hold_ns = 5 * S;
	RUN(&spec, {SC_FSM_TRUE, 10, SC_PHASE_RISING, false},
	    {SC_FSM_TRUE, 14, SC_PHASE_RISING, false}, {SC_FSM_TRUE, 15, SC_PHASE_RISING, true});
}

Test(fsm, fires_only_after_min_samples)
{
	struct sc_condition_spec spec = plain();

	spec.min_samples = 3;
	RUN(&spec, {SC_FSM_TRUE, 10, SC_PHASE_RISING, false},
	    {SC_FSM_TRUE, 11, SC_PHASE_RISING, false}, {SC_FSM_TRUE, 12, SC_PHASE_RISING, true});
}

Test(fsm, false_or_unknown_begins_the_hold_anew)
{
	static const enum sc_fsm_input breaks[] = {SC_FSM_FALSE, SC_FSM_UNKNOWN};
	struct sc_condition_spec spec = plain();

	spec.hold_ns = 5 * S;
	spec.min_samples = 2;
	for (size_t i = 0; i < SC_ARRAY_SIZE(breaks); i++)
		RUN(&spec, {SC_FSM_TRUE, 10, SC_PHASE_RISING, false},
		    {breaks[i], 12, SC_PHASE_CLEAR, false},
		    {SC_FSM_TRUE, 14, SC_PHASE_RISING, false},
		    {SC_FSM_TRUE, 18, SC_PHASE_RISING, false},
		    {SC_FSM_TRUE, 19, SC_PHASE_RISING, true});
}

Test(fsm, stays_due_until_it_is_answered)
{
	struct sc_condition_spec spec = plain();

	RUN(&spec, {SC_FSM_TRUE, 10, SC_PHASE_RISING, true},
	    {SC_FSM_TRUE, 11, SC_PHASE_RISING, true}, {SC_FSM_FALSE, 12, SC_PHASE_CLEAR, false});
}

Test(fsm, waits_for_the_outcome_whatever_the_predicate_says)
{
	struct sc_condition_spec spec = plain();

	RUN(&spec, {SC_FSM_TRUE, 10, SC_PHASE_RISING, true},
	    {SC_FSM_FIRE, 10, SC_PHASE_FIRED, false}, {SC_FSM_TRUE, 100, SC_PHASE_FIRED, false},
	    {SC_FSM_FALSE, 200, SC_PHASE_FIRED, false},
	    {SC_FSM_SETTLE, 201, SC_PHASE_LATCHED, false});
}

Test(fsm, fires_once_per_latch)
{
	struct sc_condition_spec spec = plain();

	RUN(&spec, {SC_FSM_TRUE, 10, SC_PHASE_RISING, true},
	    {SC_FSM_FIRE, 10, SC_PHASE_FIRED, false}, {SC_FSM_SETTLE, 11, SC_PHASE_LATCHED, false},
	    {SC_FSM_TRUE, 500, SC_PHASE_LATCHED, false},
	    {SC_FSM_UNKNOWN, 501, SC_PHASE_LATCHED, false},
	    {SC_FSM_TRUE, 9000, SC_PHASE_LATCHED, false});
}

Test(fsm, clears_only_after_clear_for_of_known_false)
{
	struct sc_condition_spec spec = plain();

	spec.clear_for_ns = 10 * S;
	spec.cooldown_ns = 1000 * S;
	RUN(&spec, {SC_FSM_TRUE, 10, SC_PHASE_RISING, true},
	    {SC_FSM_FIRE, 10, SC_PHASE_FIRED, false}, {SC_FSM_SETTLE, 11, SC_PHASE_LATCHED, false},
	    {SC_FSM_FALSE, 20, SC_PHASE_LATCHED, false},
	    {SC_FSM_UNKNOWN, 25, SC_PHASE_LATCHED, false},
	    {SC_FSM_FALSE, 31, SC_PHASE_LATCHED, false}, {SC_FSM_TRUE, 35, SC_PHASE_LATCHED, false},
	    {SC_FSM_FALSE, 40, SC_PHASE_LATCHED, false},
	    {SC_FSM_FALSE, 49, SC_PHASE_LATCHED, false},
	    {SC_FSM_FALSE, 50, SC_PHASE_COOLDOWN, false});
}

Test(fsm, does_not_fire_in_cooldown_and_fires_after_it)
{
	struct sc_condition_spec spec = plain();

	RUN(&spec, {SC_FSM_TRUE, 10, SC_PHASE_RISING, true},
	    {SC_FSM_FIRE, 10, SC_PHASE_FIRED, false}, {SC_FSM_SETTLE, 11, SC_PHASE_LATCHED, false},
	    {SC_FSM_FALSE, 12, SC_PHASE_COOLDOWN, false},
	    {SC_FSM_TRUE, 13, SC_PHASE_COOLDOWN, false},
	    {SC_FSM_TRUE, 69, SC_PHASE_COOLDOWN, false}, {SC_FSM_TRUE, 70, SC_PHASE_RISING, true});
}

Test(fsm, without_cooldown_goes_back_to_clear)
{
	struct sc_condition_spec spec = plain();

	spec.cooldown_ns = 0;
	RUN(&spec, {SC_FSM_TRUE, 10, SC_PHASE_RISING, true},
	    {SC_FSM_FIRE, 10, SC_PHASE_FIRED, false}, {SC_FSM_SETTLE, 11, SC_PHASE_LATCHED, false},
	    {SC_FSM_FALSE, 12, SC_PHASE_CLEAR, false});
}

Test(fsm, climbs_the_ladder_while_it_stays_true)
{
	struct sc_condition_spec spec = plain();
	struct sc_pair pair = {0};

	spec.rungs = 2;
	spec.rung[0] = (struct sc_rung){SC_ACTION_FREEZE, 2 * S};
	spec.rung[1] = (struct sc_rung){SC_ACTION_PROCESS_EXIT, 0};
	cr_assert(sc_fsm_step(&pair, &spec, SC_FSM_TRUE, 10 * S));
	sc_fsm_step(&pair, &spec, SC_FSM_FIRE, 10 * S);
	cr_assert_not(sc_fsm_step(&pair, &spec, SC_FSM_TRUE, 20 * S),
		      "no next rung before the outcome");
	sc_fsm_step(&pair, &spec, SC_FSM_SETTLE, 20 * S);
	cr_assert(sc_fsm_step(&pair, &spec, SC_FSM_TRUE, 20 * S), "the dwell counts from the fire");
	sc_fsm_step(&pair, &spec, SC_FSM_FIRE, 20 * S);
	pair.rung = 1;
	sc_fsm_step(&pair, &spec, SC_FSM_SETTLE, 21 * S);
	cr_assert_not(sc_fsm_step(&pair, &spec, SC_FSM_TRUE, 100 * S), "there is no third rung");
}

Test(fsm, does_not_climb_before_the_dwell_or_when_unknown)
{
	struct sc_condition_spec spec = plain();

	spec.rungs = 2;
	spec.rung[0] = (struct sc_rung){SC_ACTION_FREEZE, 5 * S};
	spec.rung[1] = (struct sc_rung){SC_ACTION_PROCESS_EXIT, 0};
	RUN(&spec, {SC_FSM_TRUE, 10, SC_PHASE_RISING, true},
	    {SC_FSM_FIRE, 10, SC_PHASE_FIRED, false}, {SC_FSM_SETTLE, 11, SC_PHASE_LATCHED, false},
	    {SC_FSM_TRUE, 14, SC_PHASE_LATCHED, false},
	    {SC_FSM_UNKNOWN, 16, SC_PHASE_LATCHED, false},
	    {SC_FSM_TRUE, 17, SC_PHASE_LATCHED, true});
}

Test(fsm, a_clock_that_went_back_neither_holds_nor_cools)
{
	struct sc_condition_spec spec = plain();

	spec.hold_ns = 5 * S;
	RUN(&spec, {SC_FSM_TRUE, 100, SC_PHASE_RISING, false},
	    {SC_FSM_TRUE, 50, SC_PHASE_RISING, false}, {SC_FSM_FIRE, 100, SC_PHASE_FIRED, false},
	    {SC_FSM_SETTLE, 100, SC_PHASE_LATCHED, false},
	    {SC_FSM_FALSE, 101, SC_PHASE_COOLDOWN, false},
	    {SC_FSM_FALSE, 1, SC_PHASE_COOLDOWN, false});
}

Test(fsm, no_sequence_of_truths_fires_twice_without_clearing)
{
	struct sc_condition_spec spec = plain();
	uint32_t seed = 1;

	spec.hold_ns = 2 * S;
	spec.clear_for_ns = 3 * S;
	spec.cooldown_ns = 7 * S;
	for (unsigned int round = 0; round < 2000; round++) {
		struct sc_pair pair = {0};
		uint64_t last_fire = 0;
		uint64_t false_run = 100;

		for (uint64_t now = 100; now < 160; now++) {
			enum sc_fsm_input input;

			seed = seed * 1664525u + 1013904223u;
			input = (enum sc_fsm_input)((seed >> 16) % 3);
			false_run = input == SC_FSM_FALSE ? false_run + 1 : 0;
			if (!sc_fsm_step(&pair, &spec, input, now * S))
				continue;
			cr_assert(!last_fire || now - last_fire >= 7, "fired after %lu s",
				  now - last_fire);
			sc_fsm_step(&pair, &spec, SC_FSM_FIRE, now * S);
			sc_fsm_step(&pair, &spec, SC_FSM_SETTLE, now * S);
			last_fire = now;
		}
	}
}

Test(fsm, the_diagram_shows_every_phase)
{
	_cleanup_str_ struct sc_str text;

	sc_str_init_heap(&text);
	sc_fsm_print_diagram(&text);
	cr_assert(strstr(text.data, "stateDiagram-v2"));
	for (unsigned int p = 0; p < SC_PHASE_COUNT; p++)
		cr_assert(strstr(text.data, sc_phase_name((enum sc_phase)p)));
	cr_assert(strstr(text.data, "rising --> fired: fire recorded\n"), "%s", text.data);
}
