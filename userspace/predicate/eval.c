/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine: every instruction works on whole columns of up to SC_CHUNK targets, so that its cost
 * is paid once for all of them. Nothing here allocates or recurses.
 */
#include "predicate/program.h"

#include "signal/plan.h"

#include <math.h>
#include <string.h>

struct machine {
	const struct sc_predicate *predicate;
	struct sc_plan *plan;
	const uint32_t *slots;
	uint32_t n;
	bool is_run; /* the slots follow each other: columns are read straight */
	unsigned int numbers;
	unsigned int truths;
};

static double *number_at(const struct machine *m, unsigned int depth)
{
	return m->plan->scratch_numbers + (size_t)depth * SC_CHUNK;
}

static uint8_t *truth_at(const struct machine *m, unsigned int depth)
{
	return m->plan->scratch_truths + (size_t)depth * SC_CHUNK;
}

static void load_column(const struct machine *m, struct sc_column column, double *restrict out)
{
	if (column.is_host) {
		for (uint32_t i = 0; i < m->n; i++)
			out[i] = *column.values * column.scale;
	} else if (m->is_run) {
		const double *values = column.values + m->slots[0];

		for (uint32_t i = 0; i < m->n; i++)
			out[i] = values[i] * column.scale;
	} else {
		for (uint32_t i = 0; i < m->n; i++)
			out[i] = column.values[m->slots[i]] * column.scale;
	}
}

static void fill_number(double *out, uint32_t n, double number)
{
	for (uint32_t i = 0; i < n; i++)
		out[i] = number;
}

/*
 * Two numbers at a time in the vectors of every x86-64, because the compiler does not narrow from
 * doubles to bytes by itself: 0.4 ns for a comparison instead of 0.9.
 */
typedef double number_pair __attribute__((vector_size(16)));
typedef int64_t mask_pair __attribute__((vector_size(16)));

/* The truths of a comparison, while they are as wide as the numbers. */
union wide_truths {
	mask_pair pairs[SC_CHUNK / 2];
	int64_t lanes[SC_CHUNK];
};

/* What is compared: a column, scaled, with another one or with a constant. */
struct comparison {
	enum sc_term_kind kind;
	uint32_t n;
	const double *left; /* may be read up to an even length */
	double scale;
	const double *right; /* likewise; NULL: the constant */
	double constant;
};

/* A comparison is true (1) or false (0); with NaN on a side it is unknown (2). The masks are 0 or
 * -1. */
#define COMPARE_COLUMNS(relation)                                                             \
	do {                                                                                  \
		for (uint32_t i = 0; i < n; i += 2) {                                         \
			number_pair x = (number_pair){a[i], a[i + 1]} * scale;                \
			number_pair y = b ? (number_pair){b[i], b[i + 1]} : constant;         \
			wide.pairs[i / 2] = ((relation)&1) | ((x != x) & 2) | ((y != y) & 2); \
		}                                                                             \
	} while (0)

static void compare_columns(const struct comparison *c, uint8_t *restrict out)
{
	union wide_truths wide;
	const double *a = c->left, *b = c->right;
	const number_pair constant = {c->constant, c->constant};
	const double scale = c->scale;
	const uint32_t n = c->n;

	switch ((int)c->kind) {
	case SC_TERM_LT:
		COMPARE_COLUMNS(x < y);
		break;
	case SC_TERM_LE:
		COMPARE_COLUMNS(x <= y);
		break;
	case SC_TERM_GT:
		COMPARE_COLUMNS(x > y);
		break;
	case SC_TERM_GE:
		COMPARE_COLUMNS(x >= y);
		break;
	case SC_TERM_EQ:
		COMPARE_COLUMNS(x == y);
		break;
	default:
		SC_ASSERT(c->kind == SC_TERM_NE);
		COMPARE_COLUMNS((x < y) | (x > y));
		break;
	}
	for (uint32_t i = 0; i < n; i++)
		out[i] = (uint8_t)wide.lanes[i];
}

/* Certain when it holds, or fails, at both ends of the bounds. */
static uint8_t compare_bounds(enum sc_term_kind kind, struct sc_bounds b, double y)
{
	double x[2] = {b.lowest, b.highest};
	uint8_t truth[2];

	compare_columns(
		&(const struct comparison){
			.kind = kind, .n = 2, .left = x, .scale = 1, .constant = y},
		truth);
	if (b.lowest == b.highest)
		return truth[0];
	/* Between two ends that both differ from y, y may still lie. */
	if (kind == SC_TERM_EQ && truth[0] == SC_FALSE && truth[1] == SC_FALSE)
		return y > b.lowest && y < b.highest ? SC_UNKNOWN : SC_FALSE;
	if (kind == SC_TERM_NE && truth[0] == SC_TRUE && truth[1] == SC_TRUE)
		return y > b.lowest && y < b.highest ? SC_UNKNOWN : SC_TRUE;
	return truth[0] == truth[1] ? truth[0] : SC_UNKNOWN;
}

static void arithmetic(uint8_t op, uint32_t n, double *restrict a, const double *restrict b)
{
	switch (op) {
	case SC_OP_ADD:
		for (uint32_t i = 0; i < n; i++)
			a[i] += b[i];
		break;
	case SC_OP_SUBTRACT:
		for (uint32_t i = 0; i < n; i++)
			a[i] -= b[i];
		break;
	case SC_OP_MULTIPLY:
		for (uint32_t i = 0; i < n; i++)
			a[i] *= b[i];
		break;
	default:
		SC_ASSERT(op == SC_OP_DIVIDE);
		for (uint32_t i = 0; i < n; i++)
			a[i] = b[i] == 0 ? NAN : a[i] / b[i];
		break;
	}
}

/*
 * Kleene's logic on false 0, true 1, unknown 2: `surely` is the bit of true, `maybe` that of true
 * or unknown.
 */
static void logic(uint8_t op, uint32_t n, uint8_t *restrict a, const uint8_t *restrict b)
{
	for (uint32_t i = 0; i < n; i++) {
		uint8_t maybe_a = (uint8_t)((a[i] | a[i] >> 1) & 1);
		uint8_t maybe_b = (uint8_t)((b[i] | b[i] >> 1) & 1);
		uint8_t surely = (op == SC_OP_AND ? a[i] & b[i] : a[i] | b[i]) & 1;
		uint8_t maybe = op == SC_OP_AND ? maybe_a & maybe_b : maybe_a | maybe_b;

		a[i] = (uint8_t)(surely | (maybe & ~surely) << 1);
	}
}

static void negate(uint32_t n, uint8_t *a)
{
	for (uint32_t i = 0; i < n; i++)
		a[i] = a[i] == SC_UNKNOWN ? SC_UNKNOWN : !a[i];
}

static uint8_t bounds_truth(struct sc_bounds b)
{
	if (b.lowest != b.highest) /* NaN, too */
		return SC_UNKNOWN;
	return b.lowest != 0;
}

static void push_number(struct machine *m, const struct sc_instruction *i)
{
	const struct sc_bounds *bounds;
	double *out = number_at(m, m->numbers++);

	switch (i->op) {
	case SC_OP_SIGNAL:
		load_column(m, sc_plan_signal_column(m->plan, (enum sc_signal)i->index), out);
		break;
	case SC_OP_STREAM:
		load_column(m, sc_plan_stream_column(m->plan, i->index), out);
		break;
	case SC_OP_NUMBER:
		fill_number(out, m->n, i->number);
		break;
	default:
		SC_ASSERT(i->op == SC_OP_AGGREGATE);
		bounds = &m->predicate->aggregates[i->index].bounds;
		fill_number(out, m->n, bounds->lowest == bounds->highest ? bounds->lowest : NAN);
		break;
	}
}

static void trace_leaf(struct sc_trace *trace, const struct sc_instruction *i, double value,
		       double threshold, uint8_t truth)
{
	if (!trace || i->operand < 0)
		return;
	trace->value[i->operand] = value;
	trace->threshold[i->operand] = threshold;
	trace->truth[i->operand] = truth;
}

static void push_bounds(struct machine *m, const struct sc_instruction *i, struct sc_trace *trace)
{
	struct sc_bounds bounds = m->predicate->aggregates[i->index].bounds;
	const double *right = number_at(m, --m->numbers);
	uint8_t *out = truth_at(m, m->truths++);

	for (uint32_t k = 0; k < m->n; k++)
		out[k] = compare_bounds((enum sc_term_kind)i->compare, bounds, right[k]);
	trace_leaf(trace, i, bounds.lowest == bounds.highest ? bounds.lowest : NAN, right[0],
		   out[0]);
}

static void push_compare(struct machine *m, const struct sc_instruction *i, struct sc_trace *trace)
{
	struct comparison c = {.kind = (enum sc_term_kind)i->compare,
			       .n = m->n,
			       .scale = 1,
			       .constant = i->number};
	uint8_t *out = truth_at(m, m->truths++);
	struct sc_column column;
	double *loaded;

	if (i->op == SC_OP_COMPARE) {
		m->numbers -= 2;
		c.left = number_at(m, m->numbers);
		c.right = number_at(m, m->numbers + 1);
	} else {
		column = i->op == SC_OP_COMPARE_SIGNAL
				 ? sc_plan_signal_column(m->plan, (enum sc_signal)i->index)
				 : sc_plan_stream_column(m->plan, i->index);
		if (m->is_run && !column.is_host) {
			/* Columns have an entry behind the last slot: an odd length is no harm. */
			c.left = column.values + m->slots[0];
			c.scale = column.scale;
		} else {
			/* No number is on the stack where a condition begins. */
			loaded = number_at(m, m->numbers);
			load_column(m, column, loaded);
			c.left = loaded;
		}
	}
	compare_columns(&c, out);
	trace_leaf(trace, i, c.left[0] * c.scale, c.right ? c.right[0] : c.constant, out[0]);
}

static void push_truth(struct machine *m, const struct sc_instruction *i, struct sc_trace *trace)
{
	uint8_t truth;

	if (i->op == SC_OP_TRUTH)
		truth = i->number != 0;
	else if (i->op == SC_OP_PROBE)
		truth = (uint8_t)sc_plan_probe_truth(m->plan, i->index);
	else
		truth = bounds_truth(m->predicate->aggregates[i->index].bounds);
	memset(truth_at(m, m->truths++), truth, m->n);
	trace_leaf(trace, i, truth == SC_UNKNOWN ? NAN : truth, NAN, truth);
}

static void step(struct machine *m, const struct sc_instruction *i, struct sc_trace *trace)
{
	switch ((enum sc_op)i->op) {
	case SC_OP_SIGNAL:
	case SC_OP_STREAM:
	case SC_OP_NUMBER:
	case SC_OP_AGGREGATE:
		push_number(m, i);
		break;
	case SC_OP_NEGATE:
		for (uint32_t k = 0; k < m->n; k++)
			number_at(m, m->numbers - 1)[k] *= -1;
		break;
	case SC_OP_ADD:
	case SC_OP_SUBTRACT:
	case SC_OP_MULTIPLY:
	case SC_OP_DIVIDE:
		m->numbers--;
		arithmetic(i->op, m->n, number_at(m, m->numbers - 1), number_at(m, m->numbers));
		break;
	case SC_OP_COMPARE:
	case SC_OP_COMPARE_SIGNAL:
	case SC_OP_COMPARE_STREAM:
		push_compare(m, i, trace);
		break;
	case SC_OP_COMPARE_BOUNDS:
		push_bounds(m, i, trace);
		break;
	case SC_OP_TRUTH:
	case SC_OP_AGGREGATE_TRUTH:
	case SC_OP_PROBE:
		push_truth(m, i, trace);
		break;
	case SC_OP_AND:
	case SC_OP_OR:
		m->truths--;
		logic(i->op, m->n, truth_at(m, m->truths - 1), truth_at(m, m->truths));
		break;
	case SC_OP_NOT:
		negate(m->n, truth_at(m, m->truths - 1));
		break;
	case SC_OP_COUNT:
		SC_ASSERT(!"an instruction");
	}
}

static struct machine machine_for(const struct sc_run *run)
{
	const uint32_t *slots = run->slots;
	const uint32_t n = run->n;
	struct machine m = {.predicate = run->predicate, .plan = run->plan, .slots = slots, .n = n};
	uint32_t broken = 0;

	for (uint32_t i = 0; i < n; i++)
		broken |= slots[i] ^ (slots[0] + i);
	m.is_run = broken == 0;
	for (uint32_t i = m.is_run ? n - 1 : 0; i < n; i++)
		SC_ASSERT(slots[i] < run->plan->limits.slots);
	return m;
}

static void run_range(struct machine *m, struct sc_range range, struct sc_trace *trace)
{
	m->numbers = 0;
	m->truths = 0;
	for (uint32_t i = range.from; i < range.to; i++)
		step(m, &m->predicate->code[i], trace);
}

static void gather_chunk(struct sc_gather *g, const struct machine *m, bool takes_truth)
{
	const double *numbers = number_at(m, 0);
	const uint8_t *truths = truth_at(m, 0);

	g->members += m->n;
	for (uint32_t i = 0; takes_truth && i < m->n; i++) {
		g->trues += truths[i] == SC_TRUE;
		g->unknowns += truths[i] == SC_UNKNOWN;
	}
	for (uint32_t i = 0; !takes_truth && i < m->n; i++) {
		if (isnan(numbers[i])) {
			g->unknowns++;
			continue;
		}
		g->sum += numbers[i];
		g->highest = SC_MAX(g->highest, numbers[i]);
		g->lowest = SC_MIN(g->lowest, numbers[i]);
	}
}

void sc_program_gather(struct sc_predicate *predicate, struct sc_plan *plan)
{
	if (predicate->tick == plan->tick && plan->tick != 0)
		return;
	for (uint32_t i = 0; i < predicate->aggregates_n; i++) {
		struct sc_aggregate *a = &predicate->aggregates[i];
		struct sc_gather gather = {.highest = -INFINITY, .lowest = INFINITY};
		uint32_t slots[SC_CHUNK];
		uint32_t cursor = 0;
		uint32_t n;

		while ((n = sc_scope_fill(plan->scopes, a->scope, &cursor, slots, SC_CHUNK)) > 0) {
			struct machine m = machine_for(&(const struct sc_run){
				.predicate = predicate, .plan = plan, .slots = slots, .n = n});

			run_range(&m, a->code, NULL);
			gather_chunk(&gather, &m, a->function->takes_truth);
		}
		a->bounds = a->function->answer(&gather);
	}
	predicate->tick = plan->tick;
}

void sc_program_run(const struct sc_run *run, uint8_t *truth, struct sc_trace *trace)
{
	struct machine m = machine_for(run);

	SC_ASSERT(run->n > 0 && run->n <= SC_CHUNK && (!trace || run->n == 1));
	run_range(&m, run->predicate->main, trace);
	SC_ASSERT(m.truths == 1 && m.numbers == 0);
	memcpy(truth, truth_at(&m, 0), run->n);
}
