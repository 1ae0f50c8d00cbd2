/* SPDX-License-Identifier: Apache-2.0 */
#include "predicate/functions.h"

#include "base/mem.h"
#include "base/str.h"

#include <scram/predicate.h>

#include <math.h>
#include <string.h>

static const struct sc_function functions[14];

static struct sc_bounds between(double lowest, double highest)
{
	return (struct sc_bounds){.lowest = lowest, .highest = highest};
}

static struct sc_bounds answer_count(const struct sc_gather *g)
{
	return between(g->trues, (double)g->trues + g->unknowns);
}

static struct sc_bounds answer_any(const struct sc_gather *g)
{
	return between(g->trues > 0, g->trues + g->unknowns > 0);
}

/* Of an empty set nothing is said: an emergency stop must not act because nothing is there. */
static struct sc_bounds answer_all(const struct sc_gather *g)
{
	if (g->members == 0)
		return between(NAN, NAN);
	return between(g->trues == g->members, g->trues + g->unknowns == g->members);
}

static struct sc_bounds answer_sum(const struct sc_gather *g)
{
	return g->unknowns ? between(NAN, NAN) : between(g->sum, g->sum);
}

static struct sc_bounds answer_max(const struct sc_gather *g)
{
	if (g->members == 0)
		return between(NAN, NAN);
	return between(g->highest, g->unknowns ? INFINITY : g->highest);
}

static struct sc_bounds answer_min(const struct sc_gather *g)
{
	if (g->members == 0)
		return between(NAN, NAN);
	return between(g->unknowns ? -INFINITY : g->lowest, g->lowest);
}

const struct sc_function *sc_function_find(const char *name, size_t len)
{
	for (size_t i = 0; i < SC_ARRAY_SIZE(functions); i++)
		if (strlen(functions[i].name) == len && memcmp(functions[i].name, name, len) == 0)
			return &functions[i];
	return NULL;
}

const char *sc_function_nearest(const char *name, size_t len)
{
	struct sc_nearest nearest;

	sc_nearest_init(&nearest, name, len);
	for (size_t i = 0; i < SC_ARRAY_SIZE(functions); i++)
		sc_nearest_offer(&nearest, functions[i].name);
	return nearest.best;
}

size_t sc_functions_count(void)
{
	return SC_ARRAY_SIZE(functions);
}

struct sc_function_info sc_function_info(size_t i)
{
	SC_ASSERT(i < SC_ARRAY_SIZE(functions));
	return (struct sc_function_info){
		.name = functions[i].name,
		.usage = functions[i].usage,
		.text = functions[i].text,
	};
}

#define HINT_GAUGE   "it is a gauge; use avg_over, max_over, min_over or changes"
#define HINT_COUNTER "it is a counter; use rate or increase"

static const struct sc_function functions[] = {
	{
		.name = "rate",
		.usage = "rate(COUNTER[DURATION])",
		.text = "growth per second over the window; growth divided by the window, never "
			"extrapolated",
		.words = "the growth per second of @ over #",
		.form = SC_FORM_WINDOW,
		.window = SC_WINDOW_RATE,
		.takes_counter = true,
		.hint = HINT_GAUGE,
	},
	{
		.name = "increase",
		.usage = "increase(COUNTER[DURATION])",
		.text = "growth over the window; a cgroup seen being born begins at 0",
		.words = "the increase of @ over #",
		.form = SC_FORM_WINDOW,
		.window = SC_WINDOW_INCREASE,
		.takes_counter = true,
		.hint = HINT_GAUGE,
	},
	{
		.name = "avg_over",
		.usage = "avg_over(GAUGE[DURATION])",
		.text = "average over the window, weighted by time; unknown until the window has "
			"been seen whole",
		.words = "the average of @ over #",
		.form = SC_FORM_WINDOW,
		.window = SC_WINDOW_AVG,
		.takes_gauge = true,
		.hint = HINT_COUNTER,
	},
	{
		.name = "max_over",
		.usage = "max_over(GAUGE[DURATION])",
		.text = "highest value in the window; unknown until the window has been seen whole",
		.words = "the highest value of @ over #",
		.form = SC_FORM_WINDOW,
		.window = SC_WINDOW_MAX,
		.takes_gauge = true,
		.hint = HINT_COUNTER,
	},
	{
		.name = "min_over",
		.usage = "min_over(GAUGE[DURATION])",
		.text = "lowest value in the window; unknown until the window has been seen whole",
		.words = "the lowest value of @ over #",
		.form = SC_FORM_WINDOW,
		.window = SC_WINDOW_MIN,
		.takes_gauge = true,
		.hint = HINT_COUNTER,
	},
	{
		.name = "changes",
		.usage = "changes(SIGNAL[DURATION])",
		.text = "how often the value differed from one tick to the next within the window",
		.words = "the number of changes of @ over #",
		.form = SC_FORM_WINDOW,
		.window = SC_WINDOW_CHANGES,
		.takes_counter = true,
		.takes_gauge = true,
	},
	{
		.name = "age",
		.usage = "age(SIGNAL)",
		.text = "time since the value last changed, or since it was first seen",
		.words = "the time since @ last changed",
		.form = SC_FORM_SIGNAL,
		.window = SC_WINDOW_AGE,
		.takes_counter = true,
		.takes_gauge = true,
	},
	{
		.name = "count",
		.usage = "count(\"GLOB\", CONDITION)",
		.text = "how many matching cgroups fulfil the condition; of no cgroups 0",
		.words = "the number of cgroups matching @ where #",
		.form = SC_FORM_AGGREGATE,
		.takes_truth = true,
		.gives_count = true,
		.answer = answer_count,
	},
	{
		.name = "sum",
		.usage = "sum(\"GLOB\", NUMBER)",
		.text = "sum over the matching cgroups; of no cgroups 0; unknown if one is",
		.words = "the sum over the cgroups matching @ of #",
		.form = SC_FORM_AGGREGATE,
		.answer = answer_sum,
	},
	{
		.name = "max",
		.usage = "max(\"GLOB\", NUMBER)",
		.text = "highest of the matching cgroups; of no cgroups unknown",
		.words = "the highest among the cgroups matching @ of #",
		.form = SC_FORM_AGGREGATE,
		.answer = answer_max,
	},
	{
		.name = "min",
		.usage = "min(\"GLOB\", NUMBER)",
		.text = "lowest of the matching cgroups; of no cgroups unknown",
		.words = "the lowest among the cgroups matching @ of #",
		.form = SC_FORM_AGGREGATE,
		.answer = answer_min,
	},
	{
		.name = "any",
		.usage = "any(\"GLOB\", CONDITION)",
		.text = "some matching cgroup fulfils the condition; of no cgroups false",
		.words = "for some cgroup matching @, #",
		.form = SC_FORM_AGGREGATE,
		.takes_truth = true,
		.gives_truth = true,
		.answer = answer_any,
	},
	{
		.name = "all",
		.usage = "all(\"GLOB\", CONDITION)",
		.text = "every matching cgroup fulfils the condition; of no cgroups unknown",
		.words = "for every cgroup matching @, #",
		.form = SC_FORM_AGGREGATE,
		.takes_truth = true,
		.gives_truth = true,
		.answer = answer_all,
	},
	{
		.name = "probe",
		.usage = "probe(\"NAME\")",
		.text = "what the declared probe last answered; unknown without a recent answer",
		.words = "the probe @ says yes",
		.form = SC_FORM_PROBE,
	},
};
