/* SPDX-License-Identifier: Apache-2.0 */
/* Pressure averages, decayed as the kernel does: kernel/sched/psi.c, calc_avgs() and
 * psi_avgs_work(). */
#pragma once

#include <stdint.h>

enum sc_psi_average { SC_PSI_AVG10, SC_PSI_AVG60, SC_PSI_AVG300, SC_PSI_AVERAGE_COUNT };

/* Periods of no activity that passed since the last update: what the kernel would fill in with
 * zeroes. */
uint64_t sc_psi_periods_missed(uint64_t updated_ns, uint64_t now_ns);

/* The average (kernel fixed point) as a ratio 0..1 after so many idle periods. */
double sc_psi_decay(uint64_t average, enum sc_psi_average which, uint64_t periods);
