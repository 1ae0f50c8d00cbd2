/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The snapshot: the values of the signals of all targets at one tick, and the windows over them.
 *
 * A plan is what one running set of conditions needs: the signals, the windowed streams and the
 * globs its predicates mention. Predicates declare while they compile; sc_plan_start allocates
 * everything; after that nothing is allocated. Between two ticks the values do not change. NaN is
 * "unknown" everywhere.
 *
 * All functions belong to one thread. Only the memory that struct sc_source points to is written by
 * others.
 */
#pragma once

#include "base/clock.h"
#include "base/diag.h"

#include <scram/abi.h>
#include <scram/app.h>
#include <scram/signal.h>
#include <scram/target.h>

#include <stdbool.h>
#include <stdint.h>

/* Kleene's truth values: of predicates, and of what probes answer. */
enum sc_truth { SC_FALSE, SC_TRUE, SC_UNKNOWN, SC_TRUTH_COUNT };

/* What a probe, a program or a server that knows what no signal tells, last answered. */
struct sc_probe_answer {
	enum sc_truth truth;
	uint64_t at_ns;    /* CLOCK_MONOTONIC of the answer; 0 = never */
	uint64_t valid_ns; /* an answer older than this is unknown */
};

/* Targets handled at once: columns of this length stay in the first-level cache. */
#define SC_CHUNK 256

#define SC_PROBES_MAX 256

/*
 * Where the numbers come from: memory that BPF programs write while it is read. Filled by the
 * caller before each tick. Entries are read field by field, each without tearing; two fields of one
 * entry may be of different moments.
 */
struct sc_source {
	const struct sc_node *nodes;
	const struct sc_counts *counts;
	const struct sc_kernel *kernel;
	const struct sc_tasks *tasks;
	uint32_t slots;           /* entries that may be read in each array */
	uint32_t features;        /* SC_FEATURE_BIT of what is attached */
	uint64_t kernel_stale_ns; /* an entry of `kernel` older than this is unknown */
	uint64_t tasks_pass;      /* number of the last finished pass over the tasks; 0 = none */
	uint64_t tasks_pass_ns;   /* CLOCK_MONOTONIC of its end */
	uint64_t tasks_stale_ns;  /* a pass older than this is unknown */
	const struct sc_app_entry *app; /* by slot; NULL = programs cannot report */
	uint64_t app_heard_ns; /* CLOCK_MONOTONIC when all reports had been taken; 0 = never */
	uint64_t app_since_ns; /* begin of the time without a gap in that */
	double agent[SC_SIGNAL_COUNT]; /* by signal; only those of SC_SOURCE_AGENT are looked at */
	const struct sc_probe_answer *probes; /* in the order of struct sc_predicate_env */
	uint32_t probes_n;                    /* one that is not here is unknown */
};

#define SC_KERNEL_STALE_NS (2 * SC_NS_PER_S) /* twenty passes of 100 ms */
#define SC_TASKS_STALE_NS  (5 * SC_NS_PER_S) /* five passes of 1 s */

/*
 * The value of one signal of one slot, read now: for people who ask about signals that no condition
 * uses. NaN when it is unknown.
 */
double sc_source_value(const struct sc_source *source, const struct sc_time *now, uint32_t slot,
		       enum sc_signal signal);

/* How old the value of this signal is, in ns; UINT64_MAX when it was never read. Counts are always
 * 0. */
uint64_t sc_source_age_ns(const struct sc_source *source, const struct sc_time *now, uint32_t slot,
			  enum sc_signal signal);

/* Limits of a plan; 0 takes the default. */
struct sc_plan_limits {
	uint32_t slots;     /* 16384 */
	uint32_t histories; /* different (signal, kind, window): 64 */
	uint32_t streams;   /* different (function, signal, window): 128 */
	uint32_t scopes;    /* different globs: 256 */
	uint32_t blocks; /* histories that move at one time, over all targets: 65536 of 320 bytes */
};

/*
 * What a stream computes over the last `window` of a signal. A window W looks back at least W and
 * at most W + W/60 + one tick: history is kept in 60 buckets, and what happened between two ticks
 * is dated at the later one.
 */
enum sc_window_function {
	SC_WINDOW_RATE,     /* increase per second of W; never extrapolated */
	SC_WINDOW_INCREASE, /* growth of a counter. A cgroup whose birth was seen begins at 0,
			     * others at the value first seen */
	SC_WINDOW_AVG, /* time-weighted average of a gauge, each value held until the next tick */
	SC_WINDOW_MAX,
	SC_WINDOW_MIN,
	SC_WINDOW_CHANGES, /* how often the value differed from one tick to the next */
	SC_WINDOW_AGE,     /* ns since the value last changed, or since it was first seen (birth, if
			    * that     was seen); takes no window */
	SC_WINDOW_FUNCTION_COUNT
};

#define SC_WINDOW_MIN_NS (100 * SC_NS_PER_MS)
#define SC_WINDOW_MAX_NS (7 * 24 * 3600 * SC_NS_PER_S)

struct sc_plan;

/* An empty plan. NULL when memory is short. */
struct sc_plan *sc_plan_new(const struct sc_plan_limits *limits);
/* *plan is NULL afterwards; NULL is fine. Predicates compiled into it must not be evaluated any
 * more. */
void sc_plan_free(struct sc_plan **plan);

/*
 * Declarations, before sc_plan_start. Each returns the number of what it declared, the same for
 * equal arguments, or -ENOSPC when a limit is reached (-ENOMEM, -EINVAL for a bad glob or window).
 */
int sc_plan_add_signal(struct sc_plan *plan, enum sc_signal signal);
int sc_plan_add_stream(struct sc_plan *plan, enum sc_window_function function,
		       enum sc_signal signal, uint64_t window_ns);
int sc_plan_add_scope(struct sc_plan *plan, const char *glob);
/* Likewise; of a probe the number is the index given, below SC_PROBES_MAX. */
int sc_plan_add_probe(struct sc_plan *plan, uint32_t probe);

/*
 * Ends the declarations and allocates all that ticks will need. History that `old` (may be NULL;
 * started; same number of slots) keeps for equal (signal, window) is copied. Targets (may be NULL)
 * fill the scopes. 0 or -ENOMEM; on failure the plan can only be freed. `old` is not changed and
 * stays usable.
 */
int sc_plan_start(struct sc_plan *plan, const struct sc_targets *targets,
		  const struct sc_plan *old);

/* Keep scopes and values current. A removed slot's values are unknown at once. */
void sc_plan_target_added(struct sc_plan *plan, uint32_t slot, const char *path);
void sc_plan_target_removed(struct sc_plan *plan, uint32_t slot);

/*
 * One tick: reads the needed signals of the n slots (each below the limit; any order, no slot
 * twice) and moves their windows on to `now`, which never goes backwards. Other slots keep their
 * values. A slot whose cgroup id is another one than before begins anew; a counter that goes
 * backwards begins anew and is counted.
 */
void sc_plan_tick(struct sc_plan *plan, const struct sc_source *source, const struct sc_time *now,
		  const uint32_t *slots, uint32_t n);

/* Forgets all history, keeping nothing from before a suspend: the next tick begins every window. */
void sc_plan_reset_windows(struct sc_plan *plan);

/* Grows by one with each tick; aggregates are computed once per value of it. */
uint64_t sc_plan_tick_number(const struct sc_plan *plan);

/* Values at the last tick; NaN is unknown, also for a slot out of range or a signal not declared.
 */
double sc_plan_signal_value(const struct sc_plan *plan, enum sc_signal signal, uint32_t slot);
double sc_plan_stream_value(const struct sc_plan *plan, uint32_t stream, uint32_t slot);
/* What that probe had answered at the last tick. */
enum sc_truth sc_plan_probe_truth(const struct sc_plan *plan, uint32_t probe);
/* How old that answer was then, in ns, also when it counts no more; UINT64_MAX = there is none. */
uint64_t sc_plan_probe_age_ns(const struct sc_plan *plan, uint32_t probe);

const struct sc_scopes *sc_plan_scopes(const struct sc_plan *plan);
struct sc_signal_set sc_plan_signals(const struct sc_plan *plan);

/* What could not be done as asked, since start. Shown, never silent. */
struct sc_plan_stats {
	uint64_t backwards;        /* counters that went backwards under the same cgroup id */
	uint64_t replaced;         /* slots found with another cgroup id */
	uint64_t blocks_exhausted; /* times a window became unknown because the pool was empty */
	uint32_t blocks_used;
	uint32_t blocks_max;
	uint32_t signals;
	uint32_t streams;
	uint32_t histories;
	size_t bytes; /* allocated for this plan; the pool's pages count, touched or not */
};

struct sc_plan_stats sc_plan_stats(const struct sc_plan *plan);

/*
 * True when time jumped between two ticks: BOOTTIME gained more than 1 s over MONOTONIC (a
 * suspend), one of them went backwards, or more than gap_max_ns of MONOTONIC passed. Windows are to
 * be reset then.
 */
bool sc_time_jumped(const struct sc_time *before, const struct sc_time *now, uint64_t gap_max_ns);
