/* SPDX-License-Identifier: Apache-2.0 */
/* Types, units and constants: what may be combined with what, and what it gives. */
#include "predicate/term.h"

#include <errno.h>
#include <stdarg.h>
#include <math.h>

static const char *const unit_words[] = {
	[SC_UNIT_NONE] = "a plain number", [SC_UNIT_NS] = "a duration", [SC_UNIT_BYTES] = "a size",
	[SC_UNIT_RATIO] = "a share",       [SC_UNIT_COUNT] = "a count",
};

static const char *const unit_examples[] = {
	[SC_UNIT_NONE] = "3",    [SC_UNIT_NS] = "30s",  [SC_UNIT_BYTES] = "64MiB",
	[SC_UNIT_RATIO] = "40%", [SC_UNIT_COUNT] = "3",
};

const char *sc_unit_words(enum sc_unit unit)
{
	return unit_words[unit];
}

int sc_terms_fail(struct sc_terms *terms, size_t at, const char *fmt, ...)
{
	char text[SC_DIAG_TEXT_MAX];
	unsigned int line = terms->env->line ? terms->env->line : 1;
	unsigned int column = terms->env->column ? terms->env->column : 1;
	va_list ap;

	if (terms->error)
		return terms->error;
	terms->error = -EINVAL;
	for (size_t i = 0; i < at && i < terms->text_len; i++) {
		column++;
		if (terms->text[i] != '\n')
			continue;
		line++;
		column = 1;
	}
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return sc_diag_set(terms->diag, -EINVAL, line, column, "%s", text);
}

int sc_terms_add(struct sc_terms *terms, const struct sc_term *term)
{
	if (terms->n == SC_PREDICATE_NODES_MAX)
		return sc_terms_fail(terms, term->from,
				     "more than %d operands and operators; split the condition",
				     SC_PREDICATE_NODES_MAX);
	terms->terms[terms->n] = *term;
	return terms->n++;
}

static bool is_dimensionless(enum sc_unit unit)
{
	return unit == SC_UNIT_NONE || unit == SC_UNIT_COUNT || unit == SC_UNIT_RATIO;
}

/*
 * Can a and b be compared or added? Equal units can. A literal without a unit goes with counts, as
 * 0 with everything, and below 1 with a share; a quotient, which has no unit either, goes with
 * counts and shares.
 */
static bool units_agree(const struct sc_term *a, const struct sc_term *b)
{
	const struct sc_term *plain = a->unit == SC_UNIT_NONE ? a : b;
	const struct sc_term *other = plain == a ? b : a;

	if (a->unit == b->unit)
		return true;
	if (plain->unit != SC_UNIT_NONE)
		return false;
	if (other->unit == SC_UNIT_COUNT)
		return true;
	if (!plain->is_bare)
		return other->unit == SC_UNIT_RATIO;
	return plain->number == 0 || (other->unit == SC_UNIT_RATIO && fabs(plain->number) < 1);
}

static int check_units(struct sc_terms *terms, const struct sc_term *l, const struct sc_term *r,
		       const char *what, size_t at)
{
	const struct sc_term *plain = l->is_bare ? l : r;
	const struct sc_term *other = plain == l ? r : l;

	if (units_agree(l, r))
		return 0;
	if (plain->is_bare)
		return sc_terms_fail(terms, plain->from,
				     "%s needs its unit here; write it as in %s",
				     unit_words[SC_UNIT_NONE], unit_examples[other->unit]);
	return sc_terms_fail(terms, at, "cannot %s %s and %s; both sides need the same unit", what,
			     unit_words[l->unit], unit_words[r->unit]);
}

static int product_unit(struct sc_terms *terms, const struct sc_term *l, const struct sc_term *r,
			size_t at, enum sc_unit *unit)
{
	if (!is_dimensionless(l->unit) && !is_dimensionless(r->unit))
		return sc_terms_fail(terms, at,
				     "cannot multiply %s by %s; one side must be a number or share",
				     unit_words[l->unit], unit_words[r->unit]);
	if (!is_dimensionless(l->unit))
		*unit = l->unit;
	else if (!is_dimensionless(r->unit))
		*unit = r->unit;
	else if (l->unit == SC_UNIT_COUNT || r->unit == SC_UNIT_COUNT)
		*unit = SC_UNIT_COUNT;
	else
		*unit = l->unit == SC_UNIT_NONE ? r->unit : l->unit;
	return 0;
}

static int quotient_unit(struct sc_terms *terms, const struct sc_term *l, const struct sc_term *r,
			 size_t at, enum sc_unit *unit)
{
	if (r->kind == SC_TERM_NUMBER && r->number == 0)
		return sc_terms_fail(terms, r->from, "division by 0; it would always be unknown");
	if (l->unit == r->unit)
		*unit = SC_UNIT_NONE;
	else if (is_dimensionless(r->unit))
		*unit = l->unit;
	else
		return sc_terms_fail(terms, at,
				     "cannot divide %s by %s; divide by the same unit or a number",
				     unit_words[l->unit], unit_words[r->unit]);
	return 0;
}

static int arithmetic_unit(struct sc_terms *terms, const struct sc_term *result, size_t at,
			   enum sc_unit *unit)
{
	const struct sc_term *l = &terms->terms[result->left];
	const struct sc_term *r = &terms->terms[result->right];

	if (result->kind == SC_TERM_MULTIPLY)
		return product_unit(terms, l, r, at, unit);
	if (result->kind == SC_TERM_DIVIDE)
		return quotient_unit(terms, l, r, at, unit);
	*unit = l->unit == SC_UNIT_NONE ? r->unit : l->unit;
	return check_units(terms, l, r, result->kind == SC_TERM_ADD ? "add" : "subtract", at);
}

static double fold_numbers(enum sc_term_kind kind, double a, double b)
{
	switch ((int)kind) {
	case SC_TERM_ADD:
		return a + b;
	case SC_TERM_SUBTRACT:
		return a - b;
	case SC_TERM_MULTIPLY:
		return a * b;
	case SC_TERM_DIVIDE:
		return a / b;
	case SC_TERM_LT:
		return a < b;
	case SC_TERM_LE:
		return a <= b;
	case SC_TERM_GT:
		return a > b;
	case SC_TERM_GE:
		return a >= b;
	case SC_TERM_EQ:
		return a == b;
	default:
		SC_ASSERT(kind == SC_TERM_NE);
		return a != b;
	}
}

static enum sc_term_kind mirrored(enum sc_term_kind kind)
{
	switch ((int)kind) {
	case SC_TERM_LT:
		return SC_TERM_GT;
	case SC_TERM_LE:
		return SC_TERM_GE;
	case SC_TERM_GT:
		return SC_TERM_LT;
	case SC_TERM_GE:
		return SC_TERM_LE;
	default:
		return kind;
	}
}

/* Evidence reads "value, operator, threshold": the constant goes right, and a lone aggregate left.
 */
static void put_threshold_right(const struct sc_terms *terms, struct sc_term *compare)
{
	const struct sc_term *l = &terms->terms[compare->left];
	const struct sc_term *r = &terms->terms[compare->right];
	uint16_t left = compare->left;

	if (l->kind == SC_TERM_AGGREGATE ||
	    (l->kind != SC_TERM_NUMBER && r->kind != SC_TERM_AGGREGATE))
		return;
	compare->kind = mirrored(compare->kind);
	compare->left = compare->right;
	compare->right = left;
}

static int add_folded(struct sc_terms *terms, struct sc_term *result)
{
	const struct sc_term *l = &terms->terms[result->left];
	const struct sc_term *r = &terms->terms[result->right];

	if (l->kind == SC_TERM_NUMBER && r->kind == SC_TERM_NUMBER) {
		result->number = fold_numbers(result->kind, l->number, r->number);
		result->kind = result->is_truth ? SC_TERM_TRUTH : SC_TERM_NUMBER;
		result->is_bare = !result->is_truth && l->is_bare && r->is_bare;
		if (!isfinite(result->number))
			return sc_terms_fail(terms, result->from, "this number is too large");
	}
	if (sc_term_is_compare(result->kind))
		put_threshold_right(terms, result);
	return sc_terms_add(terms, result);
}

/* One side is constant: it decides, or it says nothing. */
static int fold_logic(const struct sc_terms *terms, enum sc_term_kind kind, int left, int right)
{
	const struct sc_term *l = &terms->terms[left];
	bool l_is_constant = l->kind == SC_TERM_TRUTH;
	bool decides = kind == SC_TERM_OR;
	int constant = l_is_constant ? left : right;

	if (!l_is_constant && terms->terms[right].kind != SC_TERM_TRUTH)
		return -ENOENT;
	if ((terms->terms[constant].number != 0) == decides)
		return constant;
	return l_is_constant ? right : left;
}

int sc_terms_binary(struct sc_terms *terms, enum sc_term_kind kind, int left, int right, size_t at)
{
	const struct sc_term *l = &terms->terms[left];
	const struct sc_term *r = &terms->terms[right];
	bool wants_truth = kind == SC_TERM_AND || kind == SC_TERM_OR;
	struct sc_term result = {
		.kind = kind,
		.is_truth = wants_truth || sc_term_is_compare(kind),
		.from = l->from,
		.to = r->to,
		.left = (uint16_t)left,
		.right = (uint16_t)right,
	};
	int folded;

	for (int side = 0; side < 2; side++) {
		const struct sc_term *operand = side ? r : l;

		if (operand->is_truth == wants_truth)
			continue;
		return sc_terms_fail(
			terms, operand->from,
			wants_truth ? "this is a number, not a condition; compare it, as in > 0"
				    : "this is a condition, not a number; join conditions with "
				      "and, or");
	}
	if (wants_truth) {
		folded = fold_logic(terms, kind, left, right);
		return folded >= 0 ? folded : sc_terms_add(terms, &result);
	}
	if (sc_term_is_compare(kind)) {
		if (check_units(terms, l, r, "compare", at) < 0)
			return -EINVAL;
	} else if (arithmetic_unit(terms, &result, at, &result.unit) < 0) {
		return -EINVAL;
	}
	return add_folded(terms, &result);
}

int sc_terms_unary(struct sc_terms *terms, enum sc_term_kind kind, int operand, size_t at)
{
	const struct sc_term *inner = &terms->terms[operand];
	struct sc_term result = *inner;

	if (inner->is_truth != (kind == SC_TERM_NOT))
		return sc_terms_fail(
			terms, inner->from,
			kind == SC_TERM_NOT
				? "this is a number, not a condition; compare it, as in > 0"
				: "this is a condition, not a number; write `not` to negate it");
	result.from = (uint16_t)at;
	if (sc_term_is_constant(inner)) {
		result.number = kind == SC_TERM_NOT ? inner->number == 0 : -inner->number;
		return sc_terms_add(terms, &result);
	}
	result.kind = kind;
	result.is_bare = false;
	result.left = (uint16_t)operand;
	return sc_terms_add(terms, &result);
}
