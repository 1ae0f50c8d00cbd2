/* SPDX-License-Identifier: Apache-2.0 */
/*
 * History: what one signal did within the last W, for each slot.
 *
 * W is kept in SC_BUCKETS buckets of W / SC_BUCKETS beside the one being filled, so a window looks
 * back between W and W + W/60. Buckets stand in blocks of a fixed pool. A slot has a block only
 * while its value moves: from the first change until W after the last one; otherwise the answer
 * follows from the value itself. When the pool is empty the window of that slot is unknown until W
 * has passed.
 *
 * Gauges are kept with 24 significant bits, counters exactly (up to 2^32 - 1 within one bucket).
 */
#pragma once

#include <scram/snapshot.h>

#include <stddef.h>

#define SC_BUCKETS 60

/* In place of a block's number: the value moved and no block was free. */
#define SC_BLOCK_LOST UINT32_MAX

/* A time that is to be the one of the next tick. */
#define SC_TIME_PENDING UINT64_MAX

union sc_cell {
	uint32_t n; /* growth, or number of changes */
	float f;    /* highest value or mean; NaN = nothing known in this bucket */
};

struct sc_block {
	uint64_t bucket;   /* number of the bucket being filled: time / bucket_ns */
	uint64_t moved;    /* number of the bucket in which the value last changed */
	uint64_t since_ns; /* what was before is not known; 0 = all is known */
	union {
		uint64_t total; /* over cells and current */
		double sum;     /* of the known means in cells */
		float best;     /* over cells and current */
	};
	double integral;   /* of the bucket being filled: value times ns */
	uint64_t known_ns; /* ns of the bucket being filled with a known value */
	uint32_t known;    /* known means in cells */
	uint32_t next;     /* in the list of free blocks */
	union sc_cell current;
	union sc_cell cells[SC_BUCKETS]; /* bucket b stands at b % SC_BUCKETS */
} __attribute__((aligned(64)));
_Static_assert(offsetof(struct sc_block, cells) <= 64,
	       "most ticks touch one cache line of a block");

struct sc_pool {
	struct sc_block *blocks; /* 0 is not used, so that 0 means none */
	uint32_t max;
	uint32_t fresh; /* blocks from here on were never taken: their pages are untouched */
	uint32_t free;
	uint32_t used;
	uint64_t exhausted;
};

enum sc_history_kind {
	SC_HISTORY_GROWTH,
	SC_HISTORY_CHANGES,
	SC_HISTORY_MEAN,
	SC_HISTORY_HIGHEST,
	SC_HISTORY_LOWEST,
	SC_HISTORY_AGE,
	SC_HISTORY_KIND_COUNT
};

struct sc_history {
	enum sc_history_kind kind;
	enum sc_signal signal;
	uint64_t window_ns;
	uint64_t bucket_ns;
	uint64_t since_ns; /* kept from here on */
	uint64_t lost_ns;  /* when a block was last missing */
	uint64_t bucket;   /* number of the bucket of the tick being fed */
	uint32_t *blocks;  /* by slot; 0 = the value stands still */
	double *values;    /* by slot: the answer at the last tick */
	uint64_t *changed; /* by slot, SC_HISTORY_AGE only; 0 = never seen */
	int next;          /* next history of the same signal; -1 = none */
};

/* What is known about a slot's target besides its values. */
struct sc_slot_state {
	uint64_t cgroup_id; /* 0 = none */
	uint64_t born_ns;   /* 0 = its birth was not seen */
	uint64_t since_ns;  /* first tick */
};

/* New values of one signal for n slots. */
struct sc_feed {
	const uint32_t *slots;
	uint32_t n;
	uint64_t now_ns;
	const double *fresh;     /* by position in slots */
	const double *before;    /* by slot: value of the last tick; NaN = was unknown */
	const double *last;      /* by slot: last known value; NaN = none */
	const uint64_t *seen_ns; /* by slot: when that was */
	const struct sc_slot_state *states;
	struct sc_pool *pool;
};

/* Takes the values in and sets history->values of these slots. */
void sc_history_feed(struct sc_history *history, const struct sc_feed *feed);

/* Forgets one slot; its answer is unknown until the next feed. */
void sc_history_forget(struct sc_history *history, struct sc_pool *pool, uint32_t slot);

/* Copies one slot from the history of another plan. */
void sc_history_adopt(struct sc_history *history, struct sc_pool *pool,
		      const struct sc_history *from, const struct sc_pool *from_pool,
		      uint32_t slot);

/* -ENOMEM, or 0 with a pool of max blocks. */
int sc_pool_init(struct sc_pool *pool, uint32_t max);
void sc_pool_done(struct sc_pool *pool);
/* All blocks are free again. */
void sc_pool_reset(struct sc_pool *pool);
