/* SPDX-License-Identifier: Apache-2.0 */
/* From terms to instructions. */
#include "predicate/program.h"

#include "signal/plan.h"

#include <errno.h>
#include <string.h>

/* Each term makes at most one instruction, and aggregates' bodies stand apart. */
#define CODE_MAX SC_PREDICATE_NODES_MAX

struct emitter {
	struct sc_predicate *predicate;
	struct sc_terms *terms;
	unsigned int numbers; /* on the stack now */
	unsigned int truths;
	bool in_body; /* of an aggregate: no operands for evidence */
};

static int emit_term(struct emitter *e, uint16_t index);

static int push(struct emitter *e, unsigned int *stack, const struct sc_term *term)
{
	if (++*stack > SC_SCRATCH_COLUMNS)
		return sc_terms_fail(e->terms, term->from,
				     "too many values at once; use fewer parentheses");
	return 0;
}

static int emit(struct emitter *e, struct sc_instruction instruction)
{
	SC_ASSERT(e->predicate->code_n < CODE_MAX);
	e->predicate->code[e->predicate->code_n++] = instruction;
	return 0;
}

/* The leaf's number in the evidence. */
static int note_operand(struct emitter *e, uint16_t index)
{
	struct sc_predicate *p = e->predicate;

	if (e->in_body)
		return -1;
	if (p->operands_n == SC_PREDICATE_OPERANDS_MAX)
		return sc_terms_fail(e->terms, e->terms->terms[index].from,
				     "more than %d comparisons; split the condition",
				     SC_PREDICATE_OPERANDS_MAX);
	p->operands[p->operands_n] = index;
	return (int)p->operands_n++;
}

static int add_aggregate(struct emitter *e, uint16_t index)
{
	struct sc_predicate *p = e->predicate;
	const struct sc_term *term = &e->terms->terms[index];

	if (p->aggregates_n == SC_PREDICATE_AGGREGATES_MAX)
		return sc_terms_fail(e->terms, term->from,
				     "more than %d aggregates; split the condition",
				     SC_PREDICATE_AGGREGATES_MAX);
	p->aggregates[p->aggregates_n] = (struct sc_aggregate){
		.function = term->function,
		.scope = term->index,
		.term = index,
	};
	return (int)p->aggregates_n++;
}

static int emit_leaf(struct emitter *e, const struct sc_term *term, uint16_t index)
{
	struct sc_instruction i = {.operand = -1, .index = term->index, .number = term->number};
	bool is_evidence = term->is_truth && term->kind != SC_TERM_TRUTH;
	int operand = is_evidence ? note_operand(e, index) : -1;
	int aggregate = term->kind == SC_TERM_AGGREGATE ? add_aggregate(e, index) : 0;

	if (e->terms->error || push(e, term->is_truth ? &e->truths : &e->numbers, term) < 0)
		return -EINVAL;
	i.operand = (int16_t)operand;
	switch ((int)term->kind) {
	case SC_TERM_NUMBER:
		i.op = SC_OP_NUMBER;
		break;
	case SC_TERM_TRUTH:
		i.op = SC_OP_TRUTH;
		break;
	case SC_TERM_SIGNAL:
		i.op = SC_OP_SIGNAL;
		i.index = term->signal;
		break;
	case SC_TERM_STREAM:
		i.op = SC_OP_STREAM;
		break;
	case SC_TERM_AGGREGATE:
		i.op = term->is_truth ? SC_OP_AGGREGATE_TRUTH : SC_OP_AGGREGATE;
		i.index = (uint32_t)aggregate;
		break;
	default:
		SC_ASSERT(term->kind == SC_TERM_PROBE);
		i.op = SC_OP_PROBE;
		break;
	}
	return emit(e, i);
}

static int emit_compare(struct emitter *e, const struct sc_term *term, uint16_t index)
{
	const struct sc_term *l = &e->terms->terms[term->left];
	const struct sc_term *r = &e->terms->terms[term->right];
	struct sc_instruction i = {.op = SC_OP_COMPARE, .compare = (uint8_t)term->kind};
	unsigned int numbers = e->numbers;
	int aggregate;

	i.operand = (int16_t)note_operand(e, index);
	if (r->kind == SC_TERM_NUMBER && (l->kind == SC_TERM_SIGNAL || l->kind == SC_TERM_STREAM)) {
		i.op = l->kind == SC_TERM_SIGNAL ? SC_OP_COMPARE_SIGNAL : SC_OP_COMPARE_STREAM;
		i.index = l->kind == SC_TERM_SIGNAL ? l->signal : l->index;
		i.number = r->number;
	} else if (l->kind == SC_TERM_AGGREGATE) {
		aggregate = add_aggregate(e, term->left);
		if (aggregate < 0 || emit_term(e, term->right) < 0)
			return -EINVAL;
		i.op = SC_OP_COMPARE_BOUNDS;
		i.index = (uint32_t)aggregate;
	} else if (emit_term(e, term->left) < 0 || emit_term(e, term->right) < 0) {
		return -EINVAL;
	}
	e->numbers = numbers;
	if (e->terms->error || push(e, &e->truths, term) < 0)
		return -EINVAL;
	return emit(e, i);
}

static const uint8_t op_of_term[SC_TERM_KIND_COUNT] = {
	[SC_TERM_NEGATE] = SC_OP_NEGATE,
	[SC_TERM_ADD] = SC_OP_ADD,
	[SC_TERM_SUBTRACT] = SC_OP_SUBTRACT,
	[SC_TERM_MULTIPLY] = SC_OP_MULTIPLY,
	[SC_TERM_DIVIDE] = SC_OP_DIVIDE,
	[SC_TERM_AND] = SC_OP_AND,
	[SC_TERM_OR] = SC_OP_OR,
	[SC_TERM_NOT] = SC_OP_NOT,
};

static int emit_term(struct emitter *e, uint16_t index)
{
	const struct sc_term *term = &e->terms->terms[index];
	unsigned int *stack = term->is_truth ? &e->truths : &e->numbers;

	if (term->kind <= SC_TERM_PROBE)
		return emit_leaf(e, term, index);
	if (sc_term_is_compare(term->kind))
		return emit_compare(e, term, index);
	if (emit_term(e, term->left) < 0)
		return -EINVAL;
	if (term->kind != SC_TERM_NOT && term->kind != SC_TERM_NEGATE) {
		if (emit_term(e, term->right) < 0)
			return -EINVAL;
		--*stack;
	}
	return emit(e, (struct sc_instruction){.op = op_of_term[term->kind], .operand = -1});
}

static int emit_all(struct emitter *e)
{
	struct sc_predicate *p = e->predicate;

	if (emit_term(e, p->root) < 0)
		return -EINVAL;
	p->main = (struct sc_range){.from = 0, .to = p->code_n};
	e->in_body = true;
	for (uint32_t i = 0; i < p->aggregates_n; i++) {
		e->numbers = 0;
		e->truths = 0;
		p->aggregates[i].code.from = p->code_n;
		if (emit_term(e, e->terms->terms[p->aggregates[i].term].left) < 0)
			return -EINVAL;
		p->aggregates[i].code.to = p->code_n;
	}
	return 0;
}

int sc_program_emit(struct sc_predicate *predicate, struct sc_terms *terms)
{
	struct emitter e = {.predicate = predicate, .terms = terms};
	size_t aggregates = SC_PREDICATE_AGGREGATES_MAX;

	predicate->code = calloc(CODE_MAX, sizeof(*predicate->code));
	predicate->aggregates = calloc(aggregates, sizeof(*predicate->aggregates));
	if (!predicate->code || !predicate->aggregates)
		return -ENOMEM;
	return emit_all(&e);
}
