/* SPDX-License-Identifier: Apache-2.0 */
/* A condition in plain English, from its terms. */
#include "predicate/program.h"

#include <string.h>

struct describer {
	const struct sc_predicate *predicate;
	struct sc_str *out;
};

static void describe(const struct describer *d, uint16_t index);

static const char *words_between(enum sc_term_kind kind)
{
	static const char *const words[SC_TERM_KIND_COUNT] = {
		[SC_TERM_ADD] = " plus ",        [SC_TERM_SUBTRACT] = " minus ",
		[SC_TERM_MULTIPLY] = " times ",  [SC_TERM_DIVIDE] = " divided by ",
		[SC_TERM_LT] = " is less than ", [SC_TERM_LE] = " is at most ",
		[SC_TERM_GT] = " is more than ", [SC_TERM_GE] = " is at least ",
		[SC_TERM_EQ] = " is equal to ",  [SC_TERM_NE] = " is not equal to ",
		[SC_TERM_AND] = " and ",         [SC_TERM_OR] = " or ",
	};

	return words[kind];
}

/* The text between the quotes of a string argument. */
static void describe_string(const struct describer *d, const struct sc_term *term)
{
	const char *text = d->predicate->text;
	const char *begin = memchr(text + term->from, '"', (size_t)(term->to - term->from));
	const char *end = begin ? strchr(begin + 1, '"') : NULL;

	if (end)
		sc_str_add_printable(d->out, begin + 1, (size_t)(end - begin - 1));
}

/* The words of the function, its arguments put in. */
static void describe_call(const struct describer *d, const struct sc_term *term)
{
	for (const char *w = term->function->words; *w; w++) {
		if (*w != '@' && *w != '#')
			sc_str_addn(d->out, w, 1);
		else if (term->kind == SC_TERM_STREAM && *w == '@')
			sc_str_add(d->out, sc_signal_info(term->signal)->name);
		else if (term->kind == SC_TERM_STREAM)
			sc_format_quantity(d->out, term->number, SC_UNIT_NS);
		else if (*w == '@')
			describe_string(d, term);
		else
			describe(d, term->left);
	}
}

/* How firmly a phrase holds together; one of any or all would swallow the words that follow it. */
static int binding(const struct sc_term *term)
{
	enum sc_term_kind kind = term->kind;

	if (kind == SC_TERM_AGGREGATE && term->is_truth)
		return 0;
	if (kind == SC_TERM_OR)
		return 1;
	if (kind == SC_TERM_AND)
		return 2;
	if (kind == SC_TERM_NOT)
		return 3;
	if (sc_term_is_compare(kind))
		return 4;
	if (kind == SC_TERM_ADD || kind == SC_TERM_SUBTRACT)
		return 5;
	return kind == SC_TERM_MULTIPLY || kind == SC_TERM_DIVIDE ? 6 : 7;
}

/* In parentheses where the sentence would otherwise read differently. */
static void describe_inner(const struct describer *d, uint16_t index, int outer)
{
	bool is_enclosed = binding(&d->predicate->terms[index]) < outer;

	if (is_enclosed)
		sc_str_add(d->out, "(");
	describe(d, index);
	if (is_enclosed)
		sc_str_add(d->out, ")");
}

static void describe(const struct describer *d, uint16_t index)
{
	const struct sc_term *term = &d->predicate->terms[index];

	switch (term->kind) {
	case SC_TERM_NUMBER:
		sc_format_quantity(d->out, term->number, term->unit);
		return;
	case SC_TERM_TRUTH:
		sc_str_add(d->out, term->number != 0 ? "always" : "never");
		return;
	case SC_TERM_SIGNAL:
		sc_str_add(d->out, sc_signal_info(term->signal)->name);
		return;
	case SC_TERM_STREAM:
	case SC_TERM_AGGREGATE:
	case SC_TERM_PROBE:
		describe_call(d, term);
		return;
	case SC_TERM_NEGATE:
	case SC_TERM_NOT:
		sc_str_add(d->out, term->kind == SC_TERM_NOT ? "not (" : "minus (");
		describe(d, term->left);
		sc_str_add(d->out, ")");
		return;
	case SC_TERM_ADD:
	case SC_TERM_SUBTRACT:
	case SC_TERM_MULTIPLY:
	case SC_TERM_DIVIDE:
	case SC_TERM_LT:
	case SC_TERM_LE:
	case SC_TERM_GT:
	case SC_TERM_GE:
	case SC_TERM_EQ:
	case SC_TERM_NE:
	case SC_TERM_AND:
	case SC_TERM_OR:
		describe_inner(d, term->left, binding(term));
		sc_str_add(d->out, words_between(term->kind));
		describe_inner(d, term->right, binding(term) + 1);
		return;
	case SC_TERM_KIND_COUNT:
		break;
	}
	SC_ASSERT(!"a term");
}

void sc_predicate_describe(const struct sc_predicate *predicate, struct sc_str *out)
{
	const struct describer d = {.predicate = predicate, .out = out};

	describe(&d, predicate->root);
}
