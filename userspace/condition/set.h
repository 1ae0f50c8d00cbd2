/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a running set, for the files of the condition room only. */
#pragma once

#include "condition/fsm.h"

#define SC_PAIRS_DEFAULT 16384u
#define SC_PAIRS_MAX     65534u /* a pair is named by 16 bits, and 0 is none */
#define SC_UNKNOWN_MAX   255u

/*
 * The pairs of one condition by slot: 3 bytes each, so that 100 conditions over 16,384 slots
 * hold 4.7 MiB. Only a pair that is not in `clear` takes a record of the pool.
 */
struct sc_condition_state {
	uint16_t *pair;   /* index into the pool; 0 = clear */
	uint8_t *unknown; /* consecutive unknown ticks, up to SC_UNKNOWN_MAX */
	uint32_t pairs;   /* not 0 in `pair` */
	uint32_t resume;  /* the slot that found no room for its candidate: the next tick begins
			     there */
	struct sc_condition_stats stats;
};

struct sc_conditions {
	struct sc_plan *plan;
	struct sc_condition *condition;
	struct sc_condition_spec *spec;
	struct sc_predicate **predicate;
	struct sc_condition_state *state;
	size_t n;
	uint32_t slots;
	uint32_t root;
	struct sc_pair *pool; /* [0] is never used */
	uint32_t pool_size;
	uint32_t free; /* first of the free list; 0 = empty */
};

/* The record of a pair, or NULL in `clear`. */
struct sc_pair *sc_pair_get(const struct sc_conditions *set, size_t i, uint32_t slot);
/* The same, taking a record where there is none; NULL when the pool is empty (counted) or the
 * condition is not evaluated. */
struct sc_pair *sc_pair_take(struct sc_conditions *set, size_t i, uint32_t slot);
void sc_pair_give_back(struct sc_conditions *set, size_t i, uint32_t slot);
