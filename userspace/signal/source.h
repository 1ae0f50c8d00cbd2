/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one signal of many slots out of the maps: the only code that knows where each number
 * stands. */
#pragma once

#include <scram/snapshot.h>

/* One read of one signal. */
struct sc_column_read {
	const struct sc_source *source;
	const struct sc_time *now;
	const double *before; /* by slot: values of the last tick; NULL = none */
	const bool *used;     /* by position: the slot holds a cgroup; NULL: look into the nodes */
};

/*
 * Writes the value of `signal` for each of n slots to out[0 .. n-1]; NaN = unknown. A signal of the
 * host has the same value for each.
 */
void sc_source_read(const struct sc_column_read *read, enum sc_signal signal, const uint32_t *slots,
		    uint32_t n, double *out);
