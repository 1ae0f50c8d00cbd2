/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the store share: store.c, store_errors.c, quarantine.c. */
#pragma once

#include "engine/store.h"

#include "engine/core.h"
#include "engine/ops.h"

#include <stdbool.h>
#include <stdint.h>

#define SC_STORE_TEXT_MAX  512
#define SC_STORE_RECENT_NS (600 * SC_NS_PER_S)
/* Put aside within an hour, and lying there together: a store that refuses everything, or a worker
 * that lies, shall not fill the disk. A record and its reason take at most 24 KiB of it. */
#define SC_QUARANTINE_HOUR_MAX 256
#define SC_QUARANTINE_MAX      4096

/* What went wrong while shipping, the more actionable first. */
enum sc_store_class {
	SC_STORE_OUT_OF_WINDOW, /* refused: the store takes nothing of that time or place */
	SC_STORE_MALFORMED,     /* refused: it will never take these data */
	SC_STORE_TRANSIENT,     /* the store or the way to it */
	SC_STORE_CLASS_COUNT
};

#define SC_STORE_BUCKETS 10 /* of a minute each */

struct sc_store_errors {
	uint64_t told;                     /* by the worker that runs, as it counts */
	uint64_t total;                    /* since the start of the agent */
	uint64_t bucket[SC_STORE_BUCKETS]; /* a ring of minutes */
	uint64_t minute;                   /* of the newest bucket */
	char last[SC_STORE_TEXT_MAX];      /* the words of the last one */
};

/* One record to be put aside, or with seq 0 the sweep of old ones. */
struct sc_quarantine_job {
	struct sc_sync_job job;
	struct sc_engine *engine;
	struct sc_reply_to to;
	uint64_t seq;
	char record[SC_RECORD_BYTES_MAX];
	char reason[SC_STORE_TEXT_MAX];
	long keep_s; /* 0 = for ever */
	int result;
	unsigned int removed;
};

struct sc_quarantine {
	struct sc_quarantine_job put, sweep;
	uint64_t swept_ns;
	uint64_t hour_ns; /* begin of the hour that in_hour is of */
	unsigned int in_hour;
	uint64_t refused;    /* records that found no room there; they stay in the journal */
	uint64_t refused_ns; /* the last one; 0 = none */
	uint64_t told_ns;    /* of that, to people and the journal */
};

struct sc_store {
	struct sc_quarantine quarantine;
	struct sc_store_errors errors[SC_STORE_CLASS_COUNT];
	bool is_on;    /* a store is named */
	bool is_known; /* the worker has reported, or has gone: it is connected or it is not */
	bool is_connected;
	uint64_t shipped, transient, refused;
	uint64_t down_ns;                /* CLOCK_MONOTONIC: since when it is not connected */
	uint64_t failed_ns;              /* the last transient failure; 0 = none */
	uint64_t refused_ns;             /* likewise of a refusal */
	uint64_t fork_told_ns;           /* 0 = never */
	char failure[SC_STORE_TEXT_MAX]; /* the last one; empty = none since it connected */
	char fork[SC_STORE_TEXT_MAX];    /* store and journal do not agree; empty = they do */
};

void sc_quarantine_init(struct sc_engine *e, struct sc_quarantine *q);
/* Removes what is older than it is kept; at most once an hour, else does nothing. */
void sc_quarantine_sweep(struct sc_engine *e);
/* Adds `store quarantine` to doctor, where it refuses records. */
void sc_quarantine_doctor(struct sc_op_call *call);

/* Takes the members `errors` of what the ship worker tells. */
void sc_store_take_errors(struct sc_op_call *call);
/* Adds the member `errors`, by class. */
void sc_store_errors_json(struct sc_engine *e, struct sc_json *j);
/* Adds a finding for each class that has been seen in the last ten minutes. */
void sc_store_errors_doctor(struct sc_op_call *call);
/* The member of that name, 0 where it is none. */
uint64_t sc_store_take_number(const json_t *from, const char *key);
/* A text of the call, without secrets, cut to SC_STORE_TEXT_MAX; empty where there is none. */
void sc_store_take_text(const char *text, char *out);
