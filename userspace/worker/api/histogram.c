/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/api/histogram.h"

struct stage {
	const char *name;
	const char *from, *to; /* members of a fire, CLOCK_MONOTONIC */
};

static const double bounds[] = {0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5};
#define BUCKETS (SC_ARRAY_SIZE(bounds) + 1)

static const struct stage stages[] = {
	{"decide", "detected_ns", "decided_ns"}, {"record", "decided_ns", "intent_ns"},
	{"begin", "intent_ns", "act_begin_ns"},  {"act", "act_begin_ns", "act_end_ns"},
	{"verify", "act_end_ns", "verified_ns"}, {"total", "detected_ns", "verified_ns"},
};

struct histogram {
	uint64_t counts[BUCKETS];
	double sum;
};

struct sc_histograms {
	uint64_t verified_ns; /* of the latest fire that is counted */
	struct histogram of[SC_ARRAY_SIZE(stages)];
};

struct sc_histograms *sc_histograms_new(uint64_t since_ns)
{
	struct sc_histograms *h = calloc(1, sizeof(*h));

	if (h)
		h->verified_ns = since_ns;
	return h;
}

void sc_histograms_free(struct sc_histograms **h)
{
	free(*h);
	*h = NULL;
}

static uint64_t time_of(const json_t *fire, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(fire, key));
}

static void count(struct histogram *of, double seconds)
{
	size_t i = 0;

	while (i < SC_ARRAY_SIZE(bounds) && seconds > bounds[i])
		i++;
	of->counts[i]++;
	of->sum += seconds;
}

void sc_histograms_take(struct sc_histograms *h, const json_t *fires)
{
	uint64_t latest_ns = h->verified_ns;
	const json_t *fire;
	size_t i;

	json_array_foreach (fires, i, fire) {
		uint64_t verified_ns = time_of(fire, "verified_ns");

		/* The core tells all fires as of one moment: what comes later is verified later. */
		if (verified_ns <= h->verified_ns)
			continue;
		latest_ns = SC_MAX(latest_ns, verified_ns);
		for (size_t k = 0; k < SC_ARRAY_SIZE(stages); k++) {
			uint64_t from = time_of(fire, stages[k].from);
			uint64_t to = time_of(fire, stages[k].to);

			if (from && to >= from)
				count(&h->of[k], (double)(to - from) / 1e9);
		}
	}
	h->verified_ns = latest_ns;
}

void sc_histograms_write(const struct sc_histograms *h, struct sc_str *out)
{
	static const char name[] = "scram_fire_stage_seconds";

	sc_str_addf(out,
		    "# TYPE %s histogram\n# UNIT %s seconds\n"
		    "# HELP %s From one stage of a fire to the next.\n",
		    name, name, name);
	for (size_t k = 0; k < SC_ARRAY_SIZE(stages); k++) {
		uint64_t sum = 0;

		for (size_t i = 0; i < BUCKETS; i++) {
			sum += h->of[k].counts[i];
			sc_str_addf(out, "%s_bucket{stage=\"%s\",le=\"", name, stages[k].name);
			if (i < SC_ARRAY_SIZE(bounds))
				sc_str_addf(out, bounds[i] < 1 ? "%g" : "%.1f", bounds[i]);
			else
				sc_str_add(out, "+Inf");
			sc_str_addf(out, "\"} %llu\n", (unsigned long long)sum);
		}
		sc_str_addf(out, "%s_count{stage=\"%s\"} %llu\n%s_sum{stage=\"%s\"} %.17g\n", name,
			    stages[k].name, (unsigned long long)sum, name, stages[k].name,
			    h->of[k].sum);
	}
}
