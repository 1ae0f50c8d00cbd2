/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a plan, for the rooms signal and predicate. */
#pragma once

#include "signal/source.h"
#include "signal/window.h"

#include <scram/snapshot.h>

/* Columns of SC_CHUNK that an evaluation may use at once. */
#define SC_SCRATCH_COLUMNS 32

struct sc_plan_signal {
	enum sc_signal signal;
	bool is_host;      /* one value, kept at slot limits.slots */
	int histories;     /* first in plan->histories; -1 = none */
	double *values;    /* by slot */
	double *last;      /* by slot, last known value; NULL without histories */
	uint64_t *seen_ns; /* by slot, when that was; NULL without histories */
};

struct sc_plan_stream {
	enum sc_window_function function;
	enum sc_signal signal;
	uint64_t window_ns;
	int history;
	double scale; /* value of the stream = value of the history times this */
};

/* A probe's answer at the last tick. */
struct sc_plan_probe {
	enum sc_truth truth;
	uint64_t age_ns; /* UINT64_MAX = none */
};
#define SC_PLAN_PROBE_NONE ((struct sc_plan_probe){SC_UNKNOWN, UINT64_MAX})

struct sc_plan {
	struct sc_plan_limits limits;
	bool started;
	uint64_t tick;
	int signal_index[SC_SIGNAL_COUNT]; /* into signals; -1 = not declared */
	struct sc_plan_signal signals[SC_SIGNAL_COUNT];
	uint32_t signals_n;
	struct sc_history *histories;
	uint32_t histories_n;
	struct sc_plan_stream *streams;
	uint32_t streams_n;
	struct sc_scopes *scopes;
	struct sc_plan_probe *probes; /* by index */
	uint32_t probes_n;            /* behind the highest that is asked */
	struct sc_slot_state *states; /* by slot, one more for the host */
	struct sc_pool pool;
	double *scratch_numbers; /* SC_SCRATCH_COLUMNS times SC_CHUNK */
	uint8_t *scratch_truths;
	uint64_t backwards;
	uint64_t replaced;
	size_t bytes;
};

/* A column of values as an evaluation reads it. */
struct sc_column {
	const double *values;
	double scale;
	bool is_host; /* the one value of all slots is *values */
};

/* The columns of what was declared; the plan is started. */
struct sc_column sc_plan_signal_column(const struct sc_plan *plan, enum sc_signal signal);
struct sc_column sc_plan_stream_column(const struct sc_plan *plan, uint32_t stream);

/* Forgets values and windows of one slot. */
void sc_plan_forget_slot(struct sc_plan *plan, uint32_t slot);
