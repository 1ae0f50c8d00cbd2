/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine keeps of those who are told: inside notify*.c. */
#pragma once

#include "engine/core.h"
#include "engine/notify.h"

#include "record/fold.h"

#define SC_SINK_TO_MAX 128

struct sc_notifier {
	char name[SC_SINK_NAME_MAX];
	char to[SC_SINK_TO_MAX];      /* for people: no path of a URL, it may hold a secret */
	const struct sc_notify *spec; /* of the running configuration */
	bool is_for_all;              /* of the whole file; else only of conditions */

	uint64_t delivered, failed, dropped;
	uint64_t waiting, took_us;       /* as last told */
	int64_t delivered_ns, failed_ns; /* CLOCK_REALTIME of the last of each; 0 = none yet */
	bool is_failing;                 /* the last one failed */
	char why[SC_SINK_WHY_MAX];       /* of the last failure */
	uint64_t untold;                 /* outcomes that are in no record */
	uint64_t failure_recorded_ns;    /* CLOCK_MONOTONIC; 0 = the last recorded one was good */
};

struct sc_notifier_list {
	struct sc_notifier item[SC_SINKS_MAX];
	unsigned int n;
};

struct sc_notifiers {
	struct sc_notifier_list now;
	struct sc_notifier_list former; /* while a configuration is taken */
	unsigned int left_out;          /* sinks that found no room */
	uint64_t first_seq;             /* of this life's first record */
	bool is_loaded;                 /* a configuration was taken */
	unsigned int budget;            /* outcomes that may be recorded now */
	uint64_t budget_ns;             /* CLOCK_MONOTONIC: up to when it was filled */
};

/* webhook, command, journal */
const char *sc_notifier_kind(const struct sc_notify *spec);
/* NULL: none has that name. */
struct sc_notifier *sc_notifiers_find(struct sc_notifier_list *list, const char *name);
