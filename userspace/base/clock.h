/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three clocks, read together. Decisions rest on mono_ns (the clock of bpf_ktime_get_ns),
 * expiry on boot_ns (counts suspend), and real_ns is a label for people only. clock_gettime(2).
 */
#pragma once

#include <stdint.h>

#define SC_NS_PER_US 1000ULL
#define SC_NS_PER_MS 1000000ULL
#define SC_NS_PER_S  1000000000ULL

struct sc_time {
	uint64_t mono_ns;
	uint64_t boot_ns;
	int64_t real_ns; /* since 1970-01-01T00:00:00Z */
};

#define SC_TIME_TEXT_MAX 32

/* Reads the clocks; the only place that does. */
struct sc_time sc_time_now(void);
uint64_t sc_mono_ns(void);

/* Writes real_ns as RFC 3339 in UTC with microseconds into out. */
void sc_time_text(int64_t real_ns, char out[static SC_TIME_TEXT_MAX]);
