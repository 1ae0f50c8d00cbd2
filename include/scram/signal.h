/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signals: named numbers about one cgroup, its subtree included, or about the host. The list is
 * signals.def; this is its face in C.
 */
#pragma once

#include "base/units.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sc_signal {
#define SC_SIGNAL(symbol, name, source, type, unit, text) SC_SIG_##symbol,
#include <scram/signals.def>
#undef SC_SIGNAL
	SC_SIGNAL_COUNT
};

/* Where a signal comes from; see signals.def. */
enum sc_signal_source {
	SC_SOURCE_COUNTS,
	SC_SOURCE_KERNEL,
	SC_SOURCE_TASKS,
	SC_SOURCE_AGENT,
	SC_SOURCE_APP,
	SC_SIGNAL_SOURCE_COUNT
};

enum sc_signal_type { SC_TYPE_COUNTER, SC_TYPE_GAUGE, SC_SIGNAL_TYPE_COUNT };

/* Parts of the agent that may be missing on a host; without its feature a signal is unknown. */
enum sc_feature {
	SC_FEATURE_AGENT, /* the agent itself: always there */
	SC_FEATURE_PROC,
	SC_FEATURE_OOM,
	SC_FEATURE_TCP,
	SC_FEATURE_TENANT,
	SC_FEATURE_CGROUP_ITER,
	SC_FEATURE_TASK_ITER,
	SC_FEATURE_MEMORY, /* the controller, on cgroup v2 */
	SC_FEATURE_PIDS,   /* likewise */
	SC_FEATURE_APP,
	SC_FEATURE_PSI,
	SC_FEATURE_CPU, /* the controller; time used is known without it */
	SC_FEATURE_IO,  /* the controller, and the iterator that reads it */
	SC_FEATURE_COUNT
};

#define SC_FEATURE_BIT(f) (1U << (f))

struct sc_signal_info {
	const char *name; /* proc.crashes */
	const char *text; /* one line for the reference */
	enum sc_signal_source source;
	enum sc_signal_type type;
	enum sc_unit unit;
	enum sc_feature feature;
};

/* A set of signals; all zero is the empty set. */
struct sc_signal_set {
	uint64_t bits[(SC_SIGNAL_COUNT + 63) / 64];
};

static inline void sc_signal_set_add(struct sc_signal_set *set, enum sc_signal s)
{
	set->bits[s / 64] |= 1ULL << (s % 64);
}

static inline bool sc_signal_set_has(const struct sc_signal_set *set, enum sc_signal s)
{
	return set->bits[s / 64] >> (s % 64) & 1;
}

/* What is known about s. Never NULL; valid for ever. */
const struct sc_signal_info *sc_signal_info(enum sc_signal s);

/* The signal of exactly this name of len bytes, or -ENOENT. */
int sc_signal_find(const char *name, size_t len);

/* The name nearest to a wrong one, for "did you mean"; NULL when nothing is near. */
const char *sc_signal_nearest(const char *name, size_t len);

/* The features (bits) without which some signal of the set is unknown. */
uint32_t sc_signal_set_features(const struct sc_signal_set *set);

/* "proc", "oom", ...: the name of a feature as doctor and status show it. */
const char *sc_feature_name(enum sc_feature f);
