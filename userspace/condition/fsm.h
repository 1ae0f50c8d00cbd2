/* SPDX-License-Identifier: Apache-2.0 */
/* The state machine of one condition and target, without the storage of it. Inside the condition
 * room only. */
#pragma once

#include <scram/condition.h>
#include <scram/predicate.h>

/* The first three are the truth values, so that a tick feeds them as they are. */
enum sc_fsm_input {
	SC_FSM_FALSE = SC_FALSE,
	SC_FSM_TRUE = SC_TRUE,
	SC_FSM_UNKNOWN = SC_UNKNOWN,
	SC_FSM_FIRE,   /* a fire was recorded */
	SC_FSM_SETTLE, /* its outcome is known */
	SC_FSM_INPUT_COUNT
};

struct sc_pair {
	uint64_t since_ns; /* true since (rising), else when the phase began */
	uint64_t clear_ns; /* false since, while latched and `clearing` */
	uint64_t fired_ns; /* the last fire */
	uint32_t samples;
	uint32_t veto;
	uint32_t next; /* of the free list; 0 = end */
	uint8_t phase; /* enum sc_phase */
	uint8_t rung;  /* of the last fire */
	uint8_t clearing;
};

/* Feeds one input; true when the pair is due for a fire. A pair that ends in `clear` can be given
 * back. */
bool sc_fsm_step(struct sc_pair *pair, const struct sc_condition_spec *spec,
		 enum sc_fsm_input input, uint64_t now_ns);
