/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/api/histogram.h"

#include <criterion/criterion.h>
#include <string.h>

static void take(struct sc_histograms *h, const char *fires)
{
	json_t *list = json_loads(fires, 0, NULL);

	cr_assert_not_null(list);
	sc_histograms_take(h, list);
	json_decref(list);
}

static void says(const struct sc_histograms *h, const char *line)
{
	_cleanup_str_ struct sc_str out;

	sc_str_init_heap(&out);
	sc_histograms_write(h, &out);
	cr_assert_not_null(strstr(out.data, line), "%s is not in:\n%s", line, out.data);
}

#define FIRE(at)                                                                                  \
	"{\"detected_ns\":" at "0000000,\"decided_ns\":" at "0000000,\"intent_ns\":" at           \
	"0100000,\"act_begin_ns\":" at "0100000,\"act_end_ns\":" at "0200000,\"verified_ns\":" at \
	"2000000}"

Test(histogram, counts_each_fire_once_however_often_it_is_listed)
{
	struct sc_histograms *h = sc_histograms_new(0);

	take(h, "[" FIRE("1") "]");
	take(h, "[" FIRE("2") "," FIRE("1") "]");
	take(h, "[" FIRE("2") "," FIRE("1") "]");
	says(h, "scram_fire_stage_seconds_count{stage=\"total\"} 2\n");
	says(h, "scram_fire_stage_seconds_bucket{stage=\"total\",le=\"0.001\"} 0\n");
	says(h, "scram_fire_stage_seconds_bucket{stage=\"total\",le=\"0.005\"} 2\n");
	says(h, "scram_fire_stage_seconds_bucket{stage=\"record\",le=\"0.0001\"} 2\n");
	sc_histograms_free(&h);
}

Test(histogram, leaves_out_what_was_before_its_time_or_has_no_outcome)
{
	struct sc_histograms *h = sc_histograms_new(15000000);

	take(h, "[{\"detected_ns\":30000000,\"verified_ns\":0}," FIRE("2") "," FIRE("1") "]");
	says(h, "scram_fire_stage_seconds_count{stage=\"total\"} 1\n");
	says(h, "le=\"5.0\"} 1\n");
	sc_histograms_free(&h);
}
