/* SPDX-License-Identifier: Apache-2.0 */
/* Pressure averages, decayed as the kernel does: kernel/sched/psi.c, calc_avgs() and
 * psi_avgs_work(). */
#pragma once

#include <stdint.h>

enum sc_psi_average { SC_PSI_AVG10, SC_PSI_AVG60, SC_PSI_AVG300, SC_PSI_AVERAGE_COUNT };

/*
 * When the averages of one cgroup were last updated, told on CLOCK_MONOTONIC. The kernel stamps
 * them with sched_clock, which NTP does not slew: after weeks of uptime the two differ by seconds,
 * so only a change of the stamp is trusted. All zero = nothing seen yet.
 */
struct sc_psi_clock {
	uint64_t stamp_ns;   /* psi_updated_ns as last seen */
	uint64_t updated_ns; /* CLOCK_MONOTONIC */
};

/* Takes note of a stamp read by the pass that ended at pass_ns. */
void sc_psi_clock_see(struct sc_psi_clock *clock, uint64_t stamp_ns, uint64_t pass_ns);

/* Periods of no activity that passed since the last update: what the kernel would fill in with
 * zeroes. */
uint64_t sc_psi_periods_missed(uint64_t updated_ns, uint64_t now_ns);

/* The average (kernel fixed point) as a ratio 0..1 after so many idle periods. */
double sc_psi_decay(uint64_t average, enum sc_psi_average which, uint64_t periods);
