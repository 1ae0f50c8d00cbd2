/* SPDX-License-Identifier: Apache-2.0 */
#include "predicate/program.h"

#include "signal/plan.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static const char *const truth_names[] = {
	[SC_FALSE] = "false", [SC_TRUE] = "true", [SC_UNKNOWN] = "unknown"};
_Static_assert(SC_ARRAY_SIZE(truth_names) == SC_TRUTH_COUNT, "a name for each truth");

const char *sc_truth_name(enum sc_truth truth)
{
	SC_ASSERT((unsigned int)truth < SC_TRUTH_COUNT);
	return truth_names[truth];
}

void sc_predicate_free(struct sc_predicate **predicate)
{
	struct sc_predicate *p = SC_TAKE_PTR(*predicate);

	if (!p)
		return;
	free(p->text);
	free(p->terms);
	free(p->code);
	free(p->aggregates);
	free(p);
}

/* Gives back what the code did not need: there may be a thousand conditions. */
static void shrink(struct sc_predicate *p)
{
	void *code = realloc(p->code, p->code_n * sizeof(*p->code));
	void *aggregates = NULL;

	if (code)
		p->code = code;
	if (p->aggregates_n)
		aggregates = realloc(p->aggregates, p->aggregates_n * sizeof(*p->aggregates));
	else
		free(SC_TAKE_PTR(p->aggregates));
	if (aggregates)
		p->aggregates = aggregates;
}

static int keep_terms(struct sc_predicate *p, const struct sc_terms *terms, int root)
{
	p->root = (uint16_t)root;
	p->terms_n = terms->n;
	p->terms = malloc(terms->n * sizeof(*p->terms));
	p->text = strndup(terms->text, terms->text_len);
	if (!p->terms || !p->text)
		return -ENOMEM;
	memcpy(p->terms, terms->terms, terms->n * sizeof(*p->terms));
	return 0;
}

static int compile(struct sc_predicate *p, struct sc_terms *terms)
{
	int root, r;

	if (terms->text_len > SC_PREDICATE_TEXT_MAX)
		return sc_terms_fail(terms, 0, "longer than %d bytes; split the condition",
				     SC_PREDICATE_TEXT_MAX);
	root = sc_terms_parse(terms);
	if (root < 0)
		return terms->error ? terms->error : root;
	r = keep_terms(p, terms, root);
	if (r < 0)
		return r;
	return sc_program_emit(p, terms);
}

int sc_predicate_compile(struct sc_predicate **out, const char *text,
			 const struct sc_predicate_env *env, struct sc_diag *diag)
{
	_cleanup_predicate_ struct sc_predicate *p = calloc(1, sizeof(*p));
	_cleanup_free_ struct sc_terms *terms = calloc(1, sizeof(*terms));
	int r;

	if (!p || !terms)
		return -ENOMEM;
	terms->text = text;
	terms->text_len = strnlen(text, SC_PREDICATE_TEXT_MAX + 1);
	terms->env = env;
	terms->diag = diag;
	p->plan = env->plan;
	r = compile(p, terms);
	if (r < 0)
		return r;
	shrink(p);
	*out = SC_TAKE_PTR(p);
	return 0;
}

void sc_predicate_eval(struct sc_predicate *predicate, struct sc_plan *plan, const uint32_t *slots,
		       uint32_t n, uint8_t *truth)
{
	SC_ASSERT(plan == predicate->plan && plan->started);
	sc_program_gather(predicate, plan);
	for (uint32_t at = 0; at < n; at += SC_CHUNK) {
		const struct sc_run run = {.predicate = predicate,
					   .plan = plan,
					   .slots = slots + at,
					   .n = SC_MIN(n - at, (uint32_t)SC_CHUNK)};

		sc_program_run(&run, truth + at, NULL);
	}
}

/* The term as written, each run of white space as one space. */
static void copy_text(const struct sc_predicate *p, const struct sc_term *term, char *out,
		      size_t size)
{
	struct sc_str text;
	bool was_space = false;

	sc_str_init(&text, out, size);
	for (size_t i = term->from; i < term->to; i++) {
		bool is_space = strchr(" \t\r\n", p->text[i]) != NULL;

		if (!is_space)
			sc_str_add_printable(&text, p->text + i, 1);
		else if (!was_space)
			sc_str_add(&text, " ");
		was_space = is_space;
	}
	if (text.truncated && size >= 4)
		memcpy(out + size - 4, "...", 4);
}

static const char *compare_text(enum sc_term_kind kind)
{
	static const char *const texts[] = {"<", "<=", ">", ">=", "==", "!="};

	return sc_term_is_compare(kind) ? texts[kind - SC_TERM_LT] : "";
}

static void fill_operand(const struct sc_predicate *p, uint32_t i, const struct sc_trace *trace,
			 struct sc_operand *out)
{
	const struct sc_term *term = &p->terms[p->operands[i]];
	const struct sc_term *shown = term;

	*out = (struct sc_operand){
		.value = trace->value[i],
		.threshold = trace->threshold[i],
		.age_s = NAN,
		.truth = (enum sc_truth)trace->truth[i],
	};
	sc_strcopy(out->op, sizeof(out->op), compare_text(term->kind));
	if (term->kind == SC_TERM_PROBE) {
		uint64_t age_ns = sc_plan_probe_age_ns(p->plan, term->index);

		out->age_s = age_ns == UINT64_MAX ? NAN : (double)age_ns / 1e9;
	}
	if (sc_term_is_compare(term->kind)) {
		shown = &p->terms[term->left];
		out->unit = shown->unit == SC_UNIT_NONE ? p->terms[term->right].unit : shown->unit;
	}
	copy_text(p, shown, out->text, sizeof(out->text));
}

size_t sc_predicate_operands(struct sc_predicate *predicate, struct sc_plan *plan, uint32_t slot,
			     struct sc_operand *out, size_t max)
{
	const struct sc_run run = {.predicate = predicate, .plan = plan, .slots = &slot, .n = 1};
	struct sc_trace trace = {0};
	uint8_t truth;

	SC_ASSERT(plan == predicate->plan && plan->started);
	sc_program_gather(predicate, plan);
	sc_program_run(&run, &truth, &trace);
	for (uint32_t i = 0; i < predicate->operands_n && i < max; i++)
		fill_operand(predicate, i, &trace, &out[i]);
	return predicate->operands_n;
}

/* Only what the code reads: a term that folding dropped asks for nothing. */
struct sc_signal_set sc_predicate_signals(const struct sc_predicate *predicate)
{
	struct sc_signal_set set = {0};

	for (uint32_t i = 0; i < predicate->code_n; i++) {
		const struct sc_instruction *code = &predicate->code[i];

		if (code->op == SC_OP_SIGNAL || code->op == SC_OP_COMPARE_SIGNAL)
			sc_signal_set_add(&set, (enum sc_signal)code->index);
		else if (code->op == SC_OP_STREAM || code->op == SC_OP_COMPARE_STREAM)
			sc_signal_set_add(&set, predicate->plan->streams[code->index].signal);
	}
	return set;
}

bool sc_predicate_is_per_target(const struct sc_predicate *predicate)
{
	for (uint32_t i = predicate->main.from; i < predicate->main.to; i++) {
		const struct sc_instruction *code = &predicate->code[i];
		enum sc_signal signal;

		if (code->op == SC_OP_SIGNAL || code->op == SC_OP_COMPARE_SIGNAL)
			signal = (enum sc_signal)code->index;
		else if (code->op == SC_OP_STREAM || code->op == SC_OP_COMPARE_STREAM)
			signal = predicate->plan->streams[code->index].signal;
		else
			continue;
		if (sc_signal_info(signal)->source != SC_SOURCE_AGENT)
			return true;
	}
	return false;
}

bool sc_predicate_has_aggregates(const struct sc_predicate *predicate)
{
	return predicate->aggregates_n > 0;
}

bool sc_predicate_has_probe(const struct sc_predicate *predicate)
{
	for (uint32_t i = 0; i < predicate->code_n; i++)
		if (predicate->code[i].op == SC_OP_PROBE)
			return true;
	return false;
}

bool sc_predicate_asks(const struct sc_predicate *predicate, uint32_t probe)
{
	for (uint32_t i = 0; i < predicate->code_n; i++)
		if (predicate->code[i].op == SC_OP_PROBE && predicate->code[i].index == probe)
			return true;
	return false;
}
