/* SPDX-License-Identifier: Apache-2.0 */
/* The flat program of a predicate: instructions for a machine with a stack of numbers and one of
 * truths. */
#pragma once

#include "predicate/term.h"

enum sc_op {
	SC_OP_SIGNAL,    /* push the values of a signal */
	SC_OP_STREAM,    /* push the values of a stream */
	SC_OP_NUMBER,    /* push a constant */
	SC_OP_AGGREGATE, /* push an aggregate's number; unknown unless its bounds are equal */
	SC_OP_NEGATE,
	SC_OP_ADD,
	SC_OP_SUBTRACT,
	SC_OP_MULTIPLY,
	SC_OP_DIVIDE,
	SC_OP_COMPARE,         /* pop two numbers, push a truth */
	SC_OP_COMPARE_SIGNAL,  /* a signal with a constant, in one go */
	SC_OP_COMPARE_STREAM,  /* a stream with a constant, in one go */
	SC_OP_COMPARE_BOUNDS,  /* an aggregate's bounds with the number popped */
	SC_OP_TRUTH,           /* push a constant truth */
	SC_OP_AGGREGATE_TRUTH, /* push the truth of any or all */
	SC_OP_PROBE,           /* push what a probe answered */
	SC_OP_AND,
	SC_OP_OR,
	SC_OP_NOT,
	SC_OP_COUNT
};

struct sc_instruction {
	uint8_t op;      /* enum sc_op */
	uint8_t compare; /* enum sc_term_kind: SC_TERM_LT ... SC_TERM_NE */
	int16_t operand; /* number of the leaf for evidence; -1 = none */
	uint32_t index;  /* signal, stream, aggregate or probe */
	double number;
};

struct sc_range {
	uint32_t from;
	uint32_t to; /* behind the last */
};

struct sc_aggregate {
	const struct sc_function *function;
	uint32_t scope;
	uint16_t term;
	struct sc_range code;
	struct sc_bounds bounds; /* at tick `tick` of the plan */
};

struct sc_predicate {
	const struct sc_plan *plan; /* it was compiled for this one */
	char *text;
	struct sc_term *terms;
	uint16_t terms_n;
	uint16_t root;
	struct sc_instruction *code;
	uint32_t code_n;
	struct sc_range main;
	struct sc_aggregate *aggregates;
	uint32_t aggregates_n;
	uint64_t tick; /* of the plan when the aggregates were computed; 0 = never */
	uint16_t operands[SC_PREDICATE_OPERANDS_MAX]; /* terms, in the order of the text */
	uint32_t operands_n;
};

/* Writes code, aggregates and operands for predicate->terms. 0, -EINVAL with the diag of terms,
 * -ENOMEM. */
int sc_program_emit(struct sc_predicate *predicate, struct sc_terms *terms);

/* What the leaves of the main program were, when one slot is evaluated. */
struct sc_trace {
	double value[SC_PREDICATE_OPERANDS_MAX];
	double threshold[SC_PREDICATE_OPERANDS_MAX];
	uint8_t truth[SC_PREDICATE_OPERANDS_MAX];
};

/* Computes the aggregates unless that was done since the plan's last tick. */
void sc_program_gather(struct sc_predicate *predicate, struct sc_plan *plan);

/* What one run is about; n <= SC_CHUNK. */
struct sc_run {
	const struct sc_predicate *predicate;
	struct sc_plan *plan;
	const uint32_t *slots;
	uint32_t n;
};

/* Runs the main program and writes n truths; trace (may be NULL) only with n == 1. */
void sc_program_run(const struct sc_run *run, uint8_t *truth, struct sc_trace *trace);
