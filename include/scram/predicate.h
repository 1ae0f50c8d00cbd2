/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Predicates: what an operator writes as `when`, compiled once to a flat program, evaluated over
 * columns of targets. The value is true, false or unknown (Kleene's logic): a missing or stale
 * number or answer and a division by zero make unknown; unknown never counts as true nor as false.
 */
#pragma once

#include "base/diag.h"
#include "base/str.h"

#include <scram/signal.h>
#include <scram/snapshot.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SC_PREDICATE_TEXT_MAX       4096 /* bytes of one predicate */
#define SC_PREDICATE_DEPTH_MAX      32   /* nesting of parentheses, calls and `not` */
#define SC_PREDICATE_NODES_MAX      256  /* operands and operators of one predicate */
#define SC_PREDICATE_AGGREGATES_MAX 16   /* count, sum, ... in one predicate */
#define SC_PREDICATE_OPERANDS_MAX   32   /* comparisons in one predicate */

/* What names in a predicate may refer to, and where its text stands in a file. */
struct sc_predicate_env {
	struct sc_plan *plan;      /* not started; signals, streams and globs are declared in it */
	const char *const *probes; /* declared probe names, in the order of struct sc_source */
	size_t probes_n;           /* at most SC_PROBES_MAX */
	unsigned int line;         /* of the first byte of the text; 0 is taken as 1 */
	unsigned int column;       /* of the first byte; 0 is taken as 1 */
};

/* "false", "true", "unknown". */
const char *sc_truth_name(enum sc_truth truth);

struct sc_predicate;

/*
 * Compiles text. On success *out is a new predicate that can be evaluated once env->plan has been
 * started, and that the caller frees. -EINVAL fills diag (may be NULL) with the place and "what;
 * hint"; -ENOMEM does not. *out is untouched on failure; what was declared in the plan until then
 * stays declared.
 */
int sc_predicate_compile(struct sc_predicate **out, const char *text,
			 const struct sc_predicate_env *env, struct sc_diag *diag);
/* *predicate is NULL afterwards; NULL is fine. */
void sc_predicate_free(struct sc_predicate **predicate);
#define _cleanup_predicate_ _cleanup_(sc_predicate_free)

/*
 * The truth at the plan's last tick for each of n slots, as enum sc_truth, one byte each. Works in
 * chunks of SC_CHUNK; slots in ascending order are fastest. Aggregates are computed at the first
 * call of a tick. Never allocates.
 */
void sc_predicate_eval(struct sc_predicate *predicate, struct sc_plan *plan, const uint32_t *slots,
		       uint32_t n, uint8_t *truth);

/* One comparison (or probe, or any/all) of a predicate with its numbers: evidence, and `scram why`.
 */
struct sc_operand {
	char text[96];     /* left side as written: increase(proc.crashes[1m]) */
	char op[4];        /* ">=", or "" where there is no comparison */
	double value;      /* left side; NaN = unknown; of a truth 0 or 1 */
	double threshold;  /* right side; NaN = unknown or none */
	double age_s;      /* of a probe's answer; NaN = none, and for all others */
	enum sc_unit unit; /* of both */
	enum sc_truth truth;
};

/* Fills at most max operands for one slot, in the order of the text; returns how many there are. */
size_t sc_predicate_operands(struct sc_predicate *predicate, struct sc_plan *plan, uint32_t slot,
			     struct sc_operand *out, size_t max);

/* All signals it mentions; a feature missing for one of them means "armed, cannot fire". */
struct sc_signal_set sc_predicate_signals(const struct sc_predicate *predicate);
/* True when its value may differ between targets: it mentions a cgroup's signal outside of
 * aggregates. */
bool sc_predicate_is_per_target(const struct sc_predicate *predicate);
/* True when it has aggregates: other targets than the one that is judged count too. */
bool sc_predicate_has_aggregates(const struct sc_predicate *predicate);
/* True when it asks a probe. */
bool sc_predicate_has_probe(const struct sc_predicate *predicate);
/* True when it asks the probe of that index of its environment. */
bool sc_predicate_asks(const struct sc_predicate *predicate, uint32_t probe);

/* Adds the condition in plain English words, without a full stop. */
void sc_predicate_describe(const struct sc_predicate *predicate, struct sc_str *out);

/* The functions of the language, in the order of the reference. */
struct sc_function_info {
	const char *name;
	const char *usage; /* increase(COUNTER[DURATION]) */
	const char *text;
};
size_t sc_functions_count(void);
struct sc_function_info sc_function_info(size_t i);
