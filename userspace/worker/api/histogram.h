/* SPDX-License-Identifier: Apache-2.0 */
/* How long the stages of fires took, counted over the fires that were verified since the start. */
#pragma once

#include "base/str.h"

#include <jansson.h>
#include <stdint.h>

struct sc_histograms;

/* Fires verified before since_ns (CLOCK_MONOTONIC) are not counted. NULL when out of memory. */
struct sc_histograms *sc_histograms_new(uint64_t since_ns);
void sc_histograms_free(struct sc_histograms **h);

/* Counts what is new in the list of fires, newest first, as the core tells it. */
void sc_histograms_take(struct sc_histograms *h, const json_t *fires);
/* One family of OpenMetrics, scram_fire_stage_seconds. */
void sc_histograms_write(const struct sc_histograms *h, struct sc_str *out);
