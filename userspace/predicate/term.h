/* SPDX-License-Identifier: Apache-2.0 */
/* The terms of a predicate: its syntax tree, checked and folded while it is read. */
#pragma once

#include "predicate/functions.h"

#include <scram/predicate.h>

enum sc_term_kind {
	SC_TERM_NUMBER,
	SC_TERM_TRUTH, /* the number 0 or 1; only folding makes one */
	SC_TERM_SIGNAL,
	SC_TERM_STREAM,
	SC_TERM_AGGREGATE,
	SC_TERM_PROBE,
	SC_TERM_NEGATE,
	SC_TERM_ADD,
	SC_TERM_SUBTRACT,
	SC_TERM_MULTIPLY,
	SC_TERM_DIVIDE,
	SC_TERM_LT,
	SC_TERM_LE,
	SC_TERM_GT,
	SC_TERM_GE,
	SC_TERM_EQ,
	SC_TERM_NE,
	SC_TERM_AND,
	SC_TERM_OR,
	SC_TERM_NOT,
	SC_TERM_KIND_COUNT
};

struct sc_term {
	enum sc_term_kind kind;
	enum sc_unit unit;
	bool is_truth; /* else a number */
	bool is_bare;  /* a literal without a unit */
	uint16_t from; /* bytes of the text */
	uint16_t to;
	uint16_t left; /* terms; the only operand stands left */
	uint16_t right;
	uint32_t index; /* stream, scope or probe */
	enum sc_signal signal;
	double number; /* value; of a stream its window in ns */
	const struct sc_function *function;
};

struct sc_terms {
	const char *text;
	size_t text_len;
	const struct sc_predicate_env *env;
	struct sc_diag *diag;
	struct sc_term terms[SC_PREDICATE_NODES_MAX];
	uint16_t n;
	int error; /* of the first fault; 0 = none */
};

static inline bool sc_term_is_compare(enum sc_term_kind kind)
{
	return kind >= SC_TERM_LT && kind <= SC_TERM_NE;
}

static inline bool sc_term_is_constant(const struct sc_term *term)
{
	return term->kind == SC_TERM_NUMBER || term->kind == SC_TERM_TRUTH;
}

/* Reads the whole text into terms. Returns the root, a truth that is not constant, or -EINVAL /
 * -ENOMEM. */
int sc_terms_parse(struct sc_terms *terms);

/* Fills the diag with the place of byte `at`; returns -EINVAL. Only the first fault is kept. */
int sc_terms_fail(struct sc_terms *terms, size_t at, const char *fmt, ...) _printf_(3, 4);

/* A new term over the bytes from..to, or -EINVAL when there are too many. */
int sc_terms_add(struct sc_terms *terms, const struct sc_term *term);

/* left OP right, OP standing at byte `at`: types and units checked, constants folded. */
int sc_terms_binary(struct sc_terms *terms, enum sc_term_kind kind, int left, int right, size_t at);

/* `not` or `-` before an operand. */
int sc_terms_unary(struct sc_terms *terms, enum sc_term_kind kind, int operand, size_t at);

/* The unit in words: "a size", "a share", ... */
const char *sc_unit_words(enum sc_unit unit);
