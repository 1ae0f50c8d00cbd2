/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar, one function per line of it:
 *
 *   condition  = conjunction { "or" conjunction }
 *   conjunction = negation { "and" negation }
 *   negation   = "not" negation | comparison
 *   comparison = sum [ ("<" | "<=" | ">" | ">=" | "==" | "!=") sum ]
 *   sum        = product { ("+" | "-") product }
 *   product    = unary { ("*" | "/") unary }
 *   unary      = "-" unary | primary
 *   primary    = number | signal | "(" condition ")" | function "(" arguments ")"
 */
#include "predicate/lex.h"
#include "predicate/term.h"

#include <errno.h>
#include <string.h>

#define GLOB_MAX 256

struct parser {
	struct sc_terms *terms;
	struct sc_token token; /* the next one, not taken yet */
	size_t at;             /* behind it */
	unsigned int depth;
	bool in_aggregate;
};

static int parse_condition(struct parser *p);

/* Takes the current token; the next becomes current. */
static int take(struct parser *p)
{
	const char *why = NULL;
	int r = sc_lex(p->terms->text, p->terms->text_len, &p->at, &p->token, &why);

	return r < 0 ? sc_terms_fail(p->terms, p->token.from, "%s", why) : 0;
}

static int fail_here(struct parser *p, const char *what)
{
	int len = (int)SC_MIN(p->token.to - p->token.from, (size_t)40);

	if (p->token.kind == SC_TOKEN_END)
		return sc_terms_fail(p->terms, p->token.from, "the text ends here; %s", what);
	return sc_terms_fail(p->terms, p->token.from, "unexpected `%.*s`; %s", len,
			     p->terms->text + p->token.from, what);
}

static int expect(struct parser *p, enum sc_token_kind kind, const char *what)
{
	return p->token.kind == kind ? take(p) : fail_here(p, what);
}

static int enter(struct parser *p)
{
	if (++p->depth > SC_PREDICATE_DEPTH_MAX)
		return sc_terms_fail(p->terms, p->token.from,
				     "nested deeper than %d; split the condition",
				     SC_PREDICATE_DEPTH_MAX);
	return 0;
}

static int unknown_name(struct parser *p, const struct sc_token *name, bool is_function)
{
	const char *text = p->terms->text + name->from;
	size_t len = name->to - name->from;
	const char *near = is_function ? sc_function_nearest(text, len) : NULL;
	int shown = (int)SC_MIN(len, (size_t)64);

	if (!near)
		near = sc_signal_nearest(text, len);
	if (!near)
		near = sc_function_nearest(text, len);
	if (near)
		return sc_terms_fail(p->terms, name->from, "unknown %s `%.*s`; did you mean %s?",
				     is_function ? "function" : "signal", shown, text, near);
	return sc_terms_fail(p->terms, name->from,
			     "unknown %s `%.*s`; `scram reference %s` lists them",
			     is_function ? "function" : "signal", shown, text,
			     is_function ? "functions" : "signals");
}

/* Takes the name of a signal, the current token. */
static int take_signal(struct parser *p)
{
	struct sc_token name = p->token;
	int signal;

	if (name.kind != SC_TOKEN_NAME)
		return fail_here(p, "the name of a signal belongs here, such as proc.crashes");
	signal = sc_signal_find(p->terms->text + name.from, name.to - name.from);
	if (signal < 0)
		return unknown_name(p, &name, false);
	return take(p) < 0 ? -EINVAL : signal;
}

/* Takes "[60s]" and sets the window; `end` is the byte behind it. */
static int take_window(struct parser *p, const struct sc_function *f, uint64_t *window_ns)
{
	struct sc_token number;

	if (p->token.kind != SC_TOKEN_LEFT_SQUARE)
		return sc_terms_fail(p->terms, p->token.from, "%s needs a window; write %s",
				     f->name, f->usage);
	if (take(p) < 0)
		return -EINVAL;
	number = p->token;
	if (number.kind != SC_TOKEN_NUMBER || number.unit != SC_UNIT_NS)
		return fail_here(p, "a window is a duration, such as 60s");
	if (number.number < (double)SC_WINDOW_MIN_NS || number.number > (double)SC_WINDOW_MAX_NS)
		return sc_terms_fail(p->terms, number.from,
				     "a window of this length; it must be from 100ms to 7d");
	*window_ns = (uint64_t)number.number;
	if (take(p) < 0)
		return -EINVAL;
	return expect(p, SC_TOKEN_RIGHT_SQUARE, "close the window with ]");
}

static int declare_stream(struct parser *p, const struct sc_function *f, size_t at,
			  struct sc_term *term)
{
	uint64_t window_ns = (uint64_t)term->number;
	int stream = sc_plan_add_stream(p->terms->env->plan, f->window, term->signal, window_ns);

	if (stream == -ENOSPC)
		return sc_terms_fail(
			p->terms, at,
			"too many different windows in all conditions; use the same lengths");
	SC_ASSERT(stream >= 0);
	term->index = (uint32_t)stream;
	return 0;
}

/* The arguments of a window function, from behind its parenthesis on. */
static int parse_stream(struct parser *p, const struct sc_function *f, struct sc_term *term)
{
	size_t at = p->token.from;
	const struct sc_signal_info *info;
	uint64_t window_ns = 0;
	int signal = take_signal(p);

	if (signal < 0)
		return signal;
	info = sc_signal_info((enum sc_signal)signal);
	if (!(info->type == SC_TYPE_COUNTER ? f->takes_counter : f->takes_gauge))
		return sc_terms_fail(p->terms, at, "%s does not take %s; %s", f->name, info->name,
				     f->hint);
	if (f->form == SC_FORM_WINDOW && take_window(p, f, &window_ns) < 0)
		return -EINVAL;
	if (f->form == SC_FORM_SIGNAL && p->token.kind == SC_TOKEN_LEFT_SQUARE)
		return fail_here(p, "age takes no window; write age(SIGNAL)");
	term->kind = SC_TERM_STREAM;
	term->signal = (enum sc_signal)signal;
	term->number = (double)window_ns;
	term->unit = info->unit;
	if (f->window == SC_WINDOW_CHANGES)
		term->unit = SC_UNIT_COUNT;
	if (f->window == SC_WINDOW_AGE)
		term->unit = SC_UNIT_NS;
	return declare_stream(p, f, at, term);
}

/* Copies the string token without its quotes. */
static int take_string(struct parser *p, char *out, size_t size, const char *what)
{
	size_t len = p->token.to - p->token.from;

	if (p->token.kind != SC_TOKEN_STRING)
		return fail_here(p, what);
	if (len < 3 || len - 2 >= size)
		return sc_terms_fail(p->terms, p->token.from,
				     "this string is %s; at most %zu bytes",
				     len < 3 ? "empty" : "too long", size - 1);
	memcpy(out, p->terms->text + p->token.from + 1, len - 2);
	out[len - 2] = '\0';
	if (memchr(out, '\0', len - 2))
		return sc_terms_fail(p->terms, p->token.from, "a NUL byte in a string; remove it");
	return take(p);
}

static int declare_scope(struct parser *p, const char *glob, size_t at)
{
	int scope = sc_plan_add_scope(p->terms->env->plan, glob);

	if (scope == -EINVAL)
		return sc_terms_fail(
			p->terms, at,
			"not a glob over cgroup paths; it begins with / as in \"/workload/*\"");
	if (scope == -ENOSPC)
		return sc_terms_fail(p->terms, at, "too many different globs in all conditions");
	if (scope == -ENOMEM)
		p->terms->error = -ENOMEM;
	return scope;
}

static int parse_aggregate(struct parser *p, const struct sc_function *f, struct sc_term *term)
{
	char glob[GLOB_MAX];
	size_t at = p->token.from;
	int scope, body;

	if (p->in_aggregate)
		return sc_terms_fail(p->terms, term->from,
				     "%s inside of an aggregate; they do not nest", f->name);
	if (take_string(p, glob, sizeof(glob), "a glob in double quotes belongs here") < 0)
		return -EINVAL;
	scope = declare_scope(p, glob, at);
	if (scope < 0)
		return scope;
	if (expect(p, SC_TOKEN_COMMA, "a comma and an expression belong after the glob") < 0)
		return -EINVAL;
	at = p->token.from;
	p->in_aggregate = true;
	body = parse_condition(p);
	p->in_aggregate = false;
	if (body < 0)
		return body;
	if (p->terms->terms[body].is_truth != f->takes_truth)
		return sc_terms_fail(p->terms, at, "%s takes a %s; write %s", f->name,
				     f->takes_truth ? "condition" : "number", f->usage);
	term->kind = SC_TERM_AGGREGATE;
	term->left = (uint16_t)body;
	term->index = (uint32_t)scope;
	term->is_truth = f->gives_truth;
	term->unit = f->gives_count ? SC_UNIT_COUNT : p->terms->terms[body].unit;
	return 0;
}

static int parse_probe(struct parser *p, struct sc_term *term)
{
	const struct sc_predicate_env *env = p->terms->env;
	char name[GLOB_MAX];
	size_t at = p->token.from;

	if (p->in_aggregate)
		return sc_terms_fail(
			p->terms, term->from,
			"a probe inside of an aggregate; it answers for the whole host");
	if (take_string(p, name, sizeof(name),
			"the name of a probe in double quotes belongs here") < 0)
		return -EINVAL;
	for (size_t i = 0; i < env->probes_n; i++) {
		if (strcmp(env->probes[i], name) != 0)
			continue;
		if (sc_plan_add_probe(env->plan, (uint32_t)i) < 0)
			return sc_terms_fail(p->terms, at, "more than %d probes", SC_PROBES_MAX);
		term->kind = SC_TERM_PROBE;
		term->index = (uint32_t)i;
		term->is_truth = true;
		return 0;
	}
	return sc_terms_fail(p->terms, at, "unknown probe `%s`; declare it under probes:", name);
}

static int parse_call(struct parser *p, const struct sc_token *name)
{
	const struct sc_function *f = sc_function_find(p->terms->text + name->from,
						       name->to - name->from);
	struct sc_term term = {.from = (uint16_t)name->from, .function = f};
	int r;

	if (!f)
		return unknown_name(p, name, true);
	if (enter(p) < 0 || take(p) < 0)
		return -EINVAL;
	if (f->form == SC_FORM_AGGREGATE)
		r = parse_aggregate(p, f, &term);
	else if (f->form == SC_FORM_PROBE)
		r = parse_probe(p, &term);
	else
		r = parse_stream(p, f, &term);
	if (r < 0)
		return r;
	p->depth--;
	term.to = (uint16_t)p->token.to;
	if (expect(p, SC_TOKEN_RIGHT, "close the arguments with )") < 0)
		return -EINVAL;
	return sc_terms_add(p->terms, &term);
}

static int parse_name(struct parser *p)
{
	struct sc_token name = p->token;
	const char *text = p->terms->text + name.from;
	struct sc_term term = {
		.kind = SC_TERM_SIGNAL, .from = (uint16_t)name.from, .to = (uint16_t)name.to};
	const struct sc_function *f;
	int signal;

	if (take(p) < 0)
		return -EINVAL;
	if (p->token.kind == SC_TOKEN_LEFT)
		return parse_call(p, &name);
	signal = sc_signal_find(text, name.to - name.from);
	if (signal < 0) {
		f = sc_function_find(text, name.to - name.from);
		if (f)
			return sc_terms_fail(p->terms, name.from, "%s is a function; write %s",
					     f->name, f->usage);
		return unknown_name(p, &name, false);
	}
	if (p->token.kind == SC_TOKEN_LEFT_SQUARE)
		return fail_here(
			p,
			"a window belongs inside of a function, as in increase(proc.crashes[60s])");
	term.signal = (enum sc_signal)signal;
	term.unit = sc_signal_info(term.signal)->unit;
	sc_plan_add_signal(p->terms->env->plan, term.signal);
	return sc_terms_add(p->terms, &term);
}

static int parse_primary(struct parser *p)
{
	struct sc_term number = {.kind = SC_TERM_NUMBER,
				 .from = (uint16_t)p->token.from,
				 .to = (uint16_t)p->token.to,
				 .number = p->token.number,
				 .unit = p->token.unit,
				 .is_bare = p->token.unit == SC_UNIT_NONE};
	int inner;

	if (p->token.kind == SC_TOKEN_NAME)
		return parse_name(p);
	if (p->token.kind == SC_TOKEN_NUMBER)
		return take(p) < 0 ? -EINVAL : sc_terms_add(p->terms, &number);
	if (p->token.kind != SC_TOKEN_LEFT)
		return fail_here(p, "a signal, a number, a function or ( belongs here");
	if (enter(p) < 0 || take(p) < 0)
		return -EINVAL;
	inner = parse_condition(p);
	if (inner < 0)
		return inner;
	p->depth--;
	p->terms->terms[inner].from = number.from;
	p->terms->terms[inner].to = (uint16_t)p->token.to;
	return expect(p, SC_TOKEN_RIGHT, "close the parenthesis with )") < 0 ? -EINVAL : inner;
}

static int parse_unary(struct parser *p)
{
	size_t at = p->token.from;
	int operand;

	if (p->token.kind != SC_TOKEN_MINUS)
		return parse_primary(p);
	if (enter(p) < 0 || take(p) < 0)
		return -EINVAL;
	operand = parse_unary(p);
	p->depth--;
	return operand < 0 ? operand : sc_terms_unary(p->terms, SC_TERM_NEGATE, operand, at);
}

/* operand { OP operand }, where a token first .. last is OP and means the terms from `kind` on. */
struct level {
	int (*operand)(struct parser *p);
	enum sc_token_kind first;
	enum sc_token_kind last;
	enum sc_term_kind kind;
	bool once; /* comparisons do not chain */
};

static int parse_level(struct parser *p, const struct level *level)
{
	int left = level->operand(p);

	for (unsigned int n = 0; left >= 0; n++) {
		enum sc_token_kind token = p->token.kind;
		size_t at = p->token.from;
		int right;

		if (token < level->first || token > level->last)
			break;
		if (n == 1 && level->once)
			return fail_here(p, "comparisons do not chain; join two with and");
		if (take(p) < 0)
			return -EINVAL;
		right = level->operand(p);
		if (right < 0)
			return right;
		left = sc_terms_binary(
			p->terms,
			(enum sc_term_kind)((int)level->kind + (int)token - (int)level->first),
			left, right, at);
	}
	return left;
}

static int parse_product(struct parser *p)
{
	return parse_level(p, &(const struct level){.operand = parse_unary,
						    .first = SC_TOKEN_STAR,
						    .last = SC_TOKEN_SLASH,
						    .kind = SC_TERM_MULTIPLY});
}

static int parse_sum(struct parser *p)
{
	return parse_level(p, &(const struct level){.operand = parse_product,
						    .first = SC_TOKEN_PLUS,
						    .last = SC_TOKEN_MINUS,
						    .kind = SC_TERM_ADD});
}

static int parse_comparison(struct parser *p)
{
	return parse_level(p, &(const struct level){.operand = parse_sum,
						    .first = SC_TOKEN_LT,
						    .last = SC_TOKEN_NE,
						    .kind = SC_TERM_LT,
						    .once = true});
}

static int parse_negation(struct parser *p)
{
	size_t at = p->token.from;
	int operand;

	if (p->token.kind != SC_TOKEN_NOT)
		return parse_comparison(p);
	if (enter(p) < 0 || take(p) < 0)
		return -EINVAL;
	operand = parse_negation(p);
	p->depth--;
	return operand < 0 ? operand : sc_terms_unary(p->terms, SC_TERM_NOT, operand, at);
}

static int parse_conjunction(struct parser *p)
{
	return parse_level(p, &(const struct level){.operand = parse_negation,
						    .first = SC_TOKEN_AND,
						    .last = SC_TOKEN_AND,
						    .kind = SC_TERM_AND});
}

static int parse_condition(struct parser *p)
{
	return parse_level(p, &(const struct level){.operand = parse_conjunction,
						    .first = SC_TOKEN_OR,
						    .last = SC_TOKEN_OR,
						    .kind = SC_TERM_OR});
}

int sc_terms_parse(struct sc_terms *terms)
{
	struct parser p = {.terms = terms};
	int root;

	if (take(&p) < 0)
		return -EINVAL;
	if (p.token.kind == SC_TOKEN_END)
		return sc_terms_fail(terms, 0,
				     "the condition is empty; leave `when` out for manual only");
	root = parse_condition(&p);
	if (root < 0)
		return root;
	if (p.token.kind != SC_TOKEN_END)
		return fail_here(&p, "an operator or the end belongs here");
	if (!terms->terms[root].is_truth)
		return sc_terms_fail(terms, terms->terms[root].from,
				     "this is a number, not a condition; compare it, as in > 0");
	if (terms->terms[root].kind == SC_TERM_TRUTH)
		return sc_terms_fail(terms, 0,
				     "this is always %s; a condition must depend on a signal",
				     terms->terms[root].number != 0 ? "true" : "false");
	return root;
}
