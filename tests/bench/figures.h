/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmarks of the parts share: quantiles of samples, and the processor time used. */
#pragma once

#include <stdlib.h>
#include <time.h>

/* Of this process, all its threads. */
static inline double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static inline int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sorts the n values; q of 0.5 is the median, of 1 the greatest. */
static inline double quantile(double *values, unsigned int n, double q)
{
	qsort(values, n, sizeof(*values), by_value);
	return values[(unsigned int)((double)(n - 1) * q)];
}
