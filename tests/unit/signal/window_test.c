/* SPDX-License-Identifier: Apache-2.0 */
#include "signal/window.h"
#include "unit/signal/model.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW (6 * SECOND)
#define BUCKET (WINDOW / SC_BUCKETS)

static uint32_t declare(struct model *w, enum sc_window_function function, enum sc_signal signal)
{
	int stream = sc_plan_add_stream(w->plan, function, signal, WINDOW);

	cr_assert_geq(stream, 0);
	return (uint32_t)stream;
}

static void start(struct model *w)
{
	cr_assert_eq(sc_plan_start(w->plan, NULL, NULL), 0);
}

static double at(struct model *w, uint32_t stream, uint32_t slot)
{
	return sc_plan_stream_value(w->plan, stream, slot);
}

Test(window, growth_begins_at_birth_or_at_the_seed)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	uint32_t increase = declare(w, SC_WINDOW_INCREASE, SC_SIG_proc_crashes);
	uint32_t rate = declare(w, SC_WINDOW_RATE, SC_SIG_proc_crashes);

	start(w);
	model_seeded(w, 0, 1);
	w->counts[0].proc_crashes = 100;
	model_tick(w, MS, 2);
	model_born(w, 1, 2);
	w->counts[1].proc_crashes = 3;
	w->counts[0].proc_crashes = 103;
	model_tick(w, MS, 2);
	cr_expect_eq(at(w, increase, 0), 3, "from its seed");
	cr_expect_eq(at(w, increase, 1), 3, "from 0");
	cr_expect_float_eq(at(w, rate, 1), 3 / 6.0, 1e-12, "not extrapolated over a life of 1 ms");
}

Test(window, growth_of_a_birth_before_the_history_counts_from_first_sight)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	uint32_t increase = declare(w, SC_WINDOW_INCREASE, SC_SIG_proc_crashes);

	start(w);
	model_born(w, 0, 1);
	w->counts[0].proc_crashes = 9;
	model_tick(w, BUCKET + 1, 1);
	cr_expect_eq(at(w, increase, 0), 0, "when these happened is not known");
}

Test(window, an_event_leaves_between_w_and_one_bucket_more)
{
	for (uint64_t phase = 0; phase < BUCKET; phase += BUCKET / 7) {
		_cleanup_model_ struct model *w = model_new(NULL);
		uint32_t increase = declare(w, SC_WINDOW_INCREASE, SC_SIG_proc_crashes);

		start(w);
		model_seeded(w, 0, 1);
		model_tick(w, phase + 1, 1);
		w->counts[0].proc_crashes++;
		model_tick(w, 1, 1);
		model_tick(w, WINDOW, 1);
		cr_expect_eq(at(w, increase, 0), 1, "phase %lu: still within W", phase);
		model_tick(w, BUCKET, 1);
		cr_expect_eq(at(w, increase, 0), 0, "phase %lu", phase);
		cr_expect_eq(sc_plan_stats(w->plan).blocks_used, 0, "flat again: given back");
	}
}

Test(window, gauges_are_unknown_until_their_window_was_seen)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	uint32_t streams[] = {declare(w, SC_WINDOW_AVG, SC_SIG_proc_alive),
			      declare(w, SC_WINDOW_MAX, SC_SIG_proc_alive),
			      declare(w, SC_WINDOW_MIN, SC_SIG_proc_alive)};

	start(w);
	model_seeded(w, 0, 1);
	w->counts[0].proc_alive = 4;
	model_tick(w, MS, 2);
	model_born(w, 1, 2);
	w->counts[1].proc_alive = 4;
	model_tick(w, MS, 2);
	for (size_t i = 0; i < SC_ARRAY_SIZE(streams); i++) {
		cr_expect(isnan(at(w, streams[i], 0)), "its past is not known");
		cr_expect_eq(at(w, streams[i], 1), 4, "its whole life is known");
	}
	model_tick(w, WINDOW - MS, 2);
	for (size_t i = 0; i < SC_ARRAY_SIZE(streams); i++)
		cr_expect_eq(at(w, streams[i], 0), 4);
}

Test(window, an_unknown_value_is_a_gap_and_not_a_zero)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	uint32_t lowest = declare(w, SC_WINDOW_MIN, SC_SIG_proc_alive);
	uint32_t average = declare(w, SC_WINDOW_AVG, SC_SIG_proc_alive);
	uint32_t increase = declare(w, SC_WINDOW_INCREASE, SC_SIG_proc_forks);

	start(w);
	model_tick(w, MS, 1);
	model_born(w, 0, 1);
	w->counts[0].proc_alive = 8;
	model_tick(w, MS, 1);
	model_tick(w, SECOND, 1);
	w->source.features = 0;
	model_tick(w, SECOND, 1);
	cr_expect(isnan(at(w, lowest, 0)));
	cr_expect(isnan(at(w, increase, 0)));
	w->source.features = UINT32_MAX;
	w->counts[0].proc_forks = 5;
	w->counts[0].proc_alive = 12;
	model_tick(w, SECOND, 1);
	cr_expect_eq(at(w, lowest, 0), 8, "the last value before the gap is within W");
	cr_expect_eq(at(w, average, 0), 8, "the gap weighs nothing");
	cr_expect_eq(at(w, increase, 0), 5, "a counter loses nothing");
	model_tick(w, WINDOW - SECOND, 1);
	cr_expect_eq(at(w, lowest, 0), 12);
}

Test(window, changes_and_age_follow_the_value)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	uint32_t changes = declare(w, SC_WINDOW_CHANGES, SC_SIG_proc_alive);
	uint32_t age = declare(w, SC_WINDOW_AGE, SC_SIG_proc_alive);

	start(w);
	model_seeded(w, 0, 1);
	w->counts[0].proc_alive = 1;
	model_tick(w, MS, 1);
	cr_expect_eq(at(w, changes, 0), 0, "the first value is no change");
	cr_expect_eq(at(w, age, 0), 0);
	model_tick(w, SECOND, 1);
	cr_expect_eq(at(w, age, 0), SECOND);
	for (int i = 0; i < 3; i++) {
		w->counts[0].proc_alive ^= 2;
		model_tick(w, SECOND, 1);
	}
	cr_expect_eq(at(w, changes, 0), 3);
	cr_expect_eq(at(w, age, 0), 0);
	model_tick(w, WINDOW + BUCKET, 1);
	cr_expect_eq(at(w, changes, 0), 0);
	cr_expect_eq(at(w, age, 0), WINDOW + BUCKET);
}

Test(window, age_of_a_value_that_never_moved_counts_from_birth)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	uint32_t age = declare(w, SC_WINDOW_AGE, SC_SIG_proc_exits);

	start(w);
	model_tick(w, MS, 1);
	model_born(w, 0, 1);
	model_tick(w, 5 * MS, 1);
	cr_expect_eq(at(w, age, 0), 5 * MS);
}

Test(window, without_a_free_block_the_window_is_unknown_until_w_has_passed)
{
	_cleanup_model_ struct model *w = model_new(&(struct sc_plan_limits){.blocks = 2});
	uint32_t increase = declare(w, SC_WINDOW_INCREASE, SC_SIG_proc_crashes);

	start(w);
	for (uint32_t slot = 0; slot < 3; slot++)
		model_seeded(w, slot, slot + 1);
	model_tick(w, MS, 3);
	for (uint32_t slot = 0; slot < 3; slot++)
		w->counts[slot].proc_crashes++;
	model_tick(w, MS, 3);
	cr_expect_eq(at(w, increase, 0), 1);
	cr_expect_eq(at(w, increase, 1), 1);
	cr_expect(isnan(at(w, increase, 2)), "never a number that is too low");
	cr_expect_eq(sc_plan_stats(w->plan).blocks_exhausted, 1);
	model_tick(w, WINDOW, 3);
	cr_expect(isnan(at(w, increase, 2)));
	model_tick(w, BUCKET + 1, 3);
	cr_expect_eq(at(w, increase, 2), 0, "what was lost has left the window");
	w->counts[2].proc_crashes++;
	model_tick(w, MS, 3);
	cr_expect_eq(at(w, increase, 2), 1);
}

Test(window, after_a_loss_a_block_is_complete_only_once_w_has_passed)
{
	_cleanup_model_ struct model *w = model_new(&(struct sc_plan_limits){.blocks = 1});
	uint32_t highest = declare(w, SC_WINDOW_MAX, SC_SIG_proc_alive);

	start(w);
	model_tick(w, MS, 2);
	model_born(w, 0, 1);
	model_born(w, 1, 2);
	model_tick(w, MS, 2);
	w->counts[0].proc_alive = w->counts[1].proc_alive = 9;
	model_tick(w, MS, 2);
	cr_expect(isnan(at(w, highest, 1)));
	w->nodes[0].cgroup_id = 0;
	w->counts[1].proc_alive = 2;
	model_tick(w, MS, 2);
	cr_expect(isnan(at(w, highest, 1)), "it was 9, which nobody remembers");
	model_tick(w, WINDOW - MS, 2);
	cr_expect(isnan(at(w, highest, 1)));
	model_tick(w, MS, 2);
	cr_expect_eq(at(w, highest, 1), 2);
}

Test(window, reset_forgets_everything_before_it)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	uint32_t increase = declare(w, SC_WINDOW_INCREASE, SC_SIG_proc_crashes);
	uint32_t highest = declare(w, SC_WINDOW_MAX, SC_SIG_proc_alive);

	start(w);
	model_tick(w, MS, 1);
	model_born(w, 0, 1);
	model_tick(w, MS, 1);
	w->counts[0].proc_crashes = 5;
	w->counts[0].proc_alive = 7;
	model_tick(w, SECOND, 1);
	cr_expect_eq(at(w, increase, 0), 5);
	sc_plan_reset_windows(w->plan);
	model_tick(w, SECOND, 1);
	cr_expect_eq(at(w, increase, 0), 0);
	cr_expect(isnan(at(w, highest, 0)));
	cr_expect_eq(sc_plan_stats(w->plan).blocks_used, 0);
	w->counts[0].proc_crashes++;
	model_tick(w, MS, 1);
	cr_expect_eq(at(w, increase, 0), 1);
}

Test(window, a_new_plan_adopts_equal_history_and_nothing_else)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	_cleanup_(sc_plan_free) struct sc_plan *old = NULL;
	uint32_t increase = declare(w, SC_WINDOW_INCREASE, SC_SIG_proc_crashes);
	int adopted, longer, adopted_highest;

	declare(w, SC_WINDOW_MAX, SC_SIG_proc_alive);
	start(w);
	model_seeded(w, 0, 1);
	w->counts[0].proc_alive = 3;
	model_tick(w, MS, 1);
	w->counts[0].proc_crashes = 5;
	w->counts[0].proc_alive = 1;
	model_tick(w, WINDOW - MS, 1);
	old = w->plan;
	w->plan = sc_plan_new(&(struct sc_plan_limits){.slots = MODEL_SLOTS});
	longer = sc_plan_add_stream(w->plan, SC_WINDOW_INCREASE, SC_SIG_proc_crashes, 2 * WINDOW);
	adopted = sc_plan_add_stream(w->plan, SC_WINDOW_RATE, SC_SIG_proc_crashes, WINDOW);
	adopted_highest = sc_plan_add_stream(w->plan, SC_WINDOW_MAX, SC_SIG_proc_alive, WINDOW);
	cr_assert_eq(sc_plan_start(w->plan, NULL, old), 0);
	cr_expect_float_eq(at(w, (uint32_t)adopted, 0), 5 / 6.0, 1e-12,
			   "known before its first tick");
	w->counts[0].proc_crashes = 6;
	model_tick(w, MS, 1);
	cr_expect_float_eq(at(w, (uint32_t)adopted, 0), 6 / 6.0, 1e-12);
	cr_expect_eq(at(w, (uint32_t)longer, 0), 1, "began with this plan");
	cr_expect_eq(at(w, (uint32_t)adopted_highest, 0), 3);
	cr_expect_eq(sc_plan_stream_value(old, increase, 0), 5, "the old plan is as it was");
}

Test(window, adoption_into_a_smaller_pool_is_unknown_and_counted)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	_cleanup_(sc_plan_free) struct sc_plan *old = NULL;
	uint32_t increase = declare(w, SC_WINDOW_INCREASE, SC_SIG_proc_crashes);

	start(w);
	model_seeded(w, 0, 1);
	model_seeded(w, 1, 2);
	model_tick(w, MS, 2);
	w->counts[0].proc_crashes = w->counts[1].proc_crashes = 5;
	model_tick(w, MS, 2);
	old = w->plan;
	w->plan = sc_plan_new(&(struct sc_plan_limits){.slots = MODEL_SLOTS, .blocks = 1});
	increase = declare(w, SC_WINDOW_INCREASE, SC_SIG_proc_crashes);
	cr_assert_eq(sc_plan_start(w->plan, NULL, old), 0);
	model_tick(w, MS, 2);
	cr_expect_eq(at(w, increase, 0), 5);
	cr_expect(isnan(at(w, increase, 1)));
	cr_expect_eq(sc_plan_stats(w->plan).blocks_exhausted, 1);
}

Test(window, one_value_of_the_host_takes_one_block)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	uint32_t highest = declare(w, SC_WINDOW_MAX, SC_SIG_agent_tick_us);

	start(w);
	for (uint32_t slot = 0; slot < 100; slot++)
		model_seeded(w, slot, slot + 1);
	model_tick(w, MS, 100);
	for (int i = 0; i < 80; i++) {
		w->source.agent[SC_SIG_agent_tick_us] = i % 7;
		model_tick(w, 100 * MS, 100);
	}
	cr_expect_eq(at(w, highest, 5), 6);
	cr_expect_eq(sc_plan_stats(w->plan).blocks_used, 1);
}

struct sample {
	uint64_t time;
	double value;
};

struct history_of_test {
	struct sample samples[8192];
	uint32_t n;
};

/* Growth of what was seen at or after `from`. */
static double exact_growth(const struct history_of_test *h, uint64_t from)
{
	double sum = 0;

	for (uint32_t i = 1; i < h->n; i++)
		if (h->samples[i].time >= from)
			sum += h->samples[i].value - h->samples[i - 1].value;
	return sum;
}

/* Extremes of the values that stood at some moment from `from` on. */
static void exact_extremes(const struct history_of_test *h, uint64_t from, double *lowest,
			   double *highest)
{
	*lowest = *highest = h->samples[h->n - 1].value;
	for (uint32_t i = h->n; i-- > 0;) {
		*lowest = fmin(*lowest, h->samples[i].value);
		*highest = fmax(*highest, h->samples[i].value);
		if (h->samples[i].time <= from)
			break;
	}
}

static double exact_mean(const struct history_of_test *h, uint64_t from)
{
	uint64_t now = h->samples[h->n - 1].time;
	double sum = 0;

	for (uint32_t i = h->n - 1; i-- > 0;) {
		uint64_t begin = SC_MAX(h->samples[i].time, from);

		sum += h->samples[i].value * (double)(h->samples[i + 1].time - begin);
		if (h->samples[i].time <= from)
			break;
	}
	return sum / (double)(now - from);
}

static void check_against_oracle(struct model *w, const struct history_of_test *counter,
				 const struct history_of_test *gauge,
				 const uint32_t streams[static 5])
{
	uint64_t now = w->now.mono_ns;
	double low_w, high_w, low_more, high_more, mean;

	cr_assert_geq(at(w, streams[0], 0), exact_growth(counter, now - WINDOW));
	cr_assert_leq(at(w, streams[0], 0), exact_growth(counter, now - WINDOW - BUCKET));
	exact_extremes(gauge, now - WINDOW, &low_w, &high_w);
	exact_extremes(gauge, now - WINDOW - BUCKET, &low_more, &high_more);
	cr_assert_geq(at(w, streams[1], 0), high_w);
	cr_assert_leq(at(w, streams[1], 0), high_more);
	cr_assert_leq(at(w, streams[2], 0), low_w);
	cr_assert_geq(at(w, streams[2], 0), low_more);
	/* One bucket more or less can shift the mean by at most its share of the spread. */
	mean = exact_mean(gauge, now - WINDOW);
	cr_assert_float_eq(at(w, streams[3], 0), mean, (high_more - low_more) / 60 + 1e-4);
}

static uint64_t below(unsigned int *random, uint64_t end)
{
	return (uint64_t)(unsigned int)rand_r(random) % end;
}

/* Random ticks, moves and long stillness, compared with the exact answers at each tick. */
Test(window, agrees_with_the_exact_answer_within_one_bucket)
{
	for (unsigned int seed = 1; seed <= 12; seed++) {
		_cleanup_model_ struct model *w = model_new(NULL);
		_cleanup_free_ struct history_of_test *counter = calloc(1, sizeof(*counter));
		_cleanup_free_ struct history_of_test *gauge = calloc(1, sizeof(*gauge));
		unsigned int random = seed;
		const uint32_t streams[] = {declare(w, SC_WINDOW_INCREASE, SC_SIG_proc_forks),
					    declare(w, SC_WINDOW_MAX, SC_SIG_proc_alive),
					    declare(w, SC_WINDOW_MIN, SC_SIG_proc_alive),
					    declare(w, SC_WINDOW_AVG, SC_SIG_proc_alive),
					    declare(w, SC_WINDOW_CHANGES, SC_SIG_proc_alive)};
		uint64_t begin;
		bool is_still = false;

		start(w);
		model_seeded(w, 0, 1);
		model_tick(w, below(&random, SECOND), 1);
		begin = w->now.mono_ns;
		for (uint32_t i = 0; i < 3000; i++) {
			uint64_t gap = below(&random, 150 * MS) + 1;

			if (rand_r(&random) % 50 == 0)
				is_still = !is_still;
			if (rand_r(&random) % 400 == 0)
				gap = below(&random, 2 * WINDOW);
			if (!is_still && rand_r(&random) % 3 == 0)
				w->counts[0].proc_forks += rand_r(&random) % 5;
			if (!is_still && rand_r(&random) % 3 == 0)
				w->counts[0].proc_alive = rand_r(&random) % 100;
			model_tick(w, gap, 1);
			counter->samples[counter->n++] = (struct sample){
				w->now.mono_ns, (double)w->counts[0].proc_forks};
			gauge->samples[gauge->n++] = (struct sample){
				w->now.mono_ns, (double)w->counts[0].proc_alive};
			if (w->now.mono_ns - begin > 2 * WINDOW)
				check_against_oracle(w, counter, gauge, streams);
		}
	}
}

#ifndef __SANITIZE_ADDRESS__
Test(allocations, are_counted)
{
	uint64_t before = allocations();
	char *volatile p = malloc(1);

	free(p);
	cr_expect_eq(allocations(), before + 2);
}
#endif

Test(window, ticks_do_not_allocate)
{
	_cleanup_model_ struct model *w = model_new(&(struct sc_plan_limits){.blocks = 500});
	uint64_t before;

	for (int f = 0; f < SC_WINDOW_FUNCTION_COUNT; f++)
		declare(w, (enum sc_window_function)f,
			f == SC_WINDOW_RATE || f == SC_WINDOW_INCREASE ? SC_SIG_proc_forks
								       : SC_SIG_proc_alive);
	cr_assert_geq(sc_plan_add_scope(w->plan, "/w/*"), 0);
	start(w);
	before = allocations();
	for (uint32_t i = 0; i < 300; i++) {
		uint32_t slot = i * 7 % 200;

		model_born(w, slot, i + 1);
		sc_plan_target_added(w->plan, slot, "/w/x");
		for (uint32_t s = 0; s < 200; s++) {
			w->counts[s].proc_forks += s;
			w->counts[s].proc_alive = (i * s) % 5;
		}
		model_tick(w, 100 * MS, 200);
		if (i % 50 == 49)
			sc_plan_reset_windows(w->plan);
		sc_plan_target_removed(w->plan, (i * 3) % 200);
	}
	cr_expect_eq(allocations(), before);
	cr_expect_gt(sc_plan_stats(w->plan).blocks_exhausted, 0,
		     "the pool was empty at times, too");
}
