/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include "base/mem.h"

#include <time.h>

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts;

	SC_ASSERT(clock_gettime(id, &ts) == 0);
	return (uint64_t)ts.tv_sec * SC_NS_PER_S + (uint64_t)ts.tv_nsec;
}

struct sc_time sc_time_now(void)
{
	return (struct sc_time){
		.mono_ns = read_clock(CLOCK_MONOTONIC),
		.boot_ns = read_clock(CLOCK_BOOTTIME),
		.real_ns = (int64_t)read_clock(CLOCK_REALTIME),
	};
}

uint64_t sc_mono_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

void sc_time_text(int64_t real_ns, char out[static SC_TIME_TEXT_MAX])
{
	time_t s = (time_t)(real_ns / (int64_t)SC_NS_PER_S);
	unsigned int us = (unsigned int)(real_ns % (int64_t)SC_NS_PER_S / 1000);
	struct tm tm;
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(out, SC_TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, SC_TIME_TEXT_MAX - n, ".%06uZ", us);
}
