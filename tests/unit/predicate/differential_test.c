/* SPDX-License-Identifier: Apache-2.0 */
/* Random conditions, evaluated by walking their tree one target at a time: the machine must agree.
 */
#include "unit/signal/model.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TARGETS    300
#define CONDITIONS 3000
#define NODES      64

enum kind {
	NUMBER,
	SIGNAL,
	SUM,
	MINUS,
	TIMES,
	OVER,
	LESS,
	AT_LEAST,
	SAME,
	OTHER,
	BOTH,
	EITHER,
	INVERSE,
	HOW_MANY
};

struct node {
	enum kind kind;
	int left, right;
	double number;
	int signal;
};

struct tree {
	struct node nodes[NODES];
	int n;
	unsigned int random;
	bool in_aggregate;
};

static const struct {
	const char *name;
	enum sc_signal signal;
} leaves[] = {
	{"proc.alive", SC_SIG_proc_alive},
	{"proc.zombies", SC_SIG_proc_zombies},
	{"proc.forks", SC_SIG_proc_forks},
	{"pids.current", SC_SIG_pids_current},
};

static int below(struct tree *t, int end)
{
	return (int)((unsigned int)rand_r(&t->random) % (unsigned int)end);
}

static int grow_number(struct tree *t, int depth);

static int grow_truth(struct tree *t, int depth)
{
	struct node node = {.kind = (enum kind)(LESS + below(t, 4))};
	int i = t->n++;

	if (depth > 0 && below(t, 2)) {
		node.kind = (enum kind)(BOTH + below(t, 3));
		node.left = grow_truth(t, depth - 1);
		if (node.kind != INVERSE)
			node.right = grow_truth(t, depth - 1);
	} else {
		node.left = grow_number(t, depth - 1);
		node.right = grow_number(t, depth - 1);
	}
	t->nodes[i] = node;
	return i;
}

static int grow_number(struct tree *t, int depth)
{
	struct node node = {.kind = below(t, 3) ? SIGNAL : NUMBER};
	int i = t->n++;

	node.number = below(t, 6);
	node.signal = below(t, (int)SC_ARRAY_SIZE(leaves));
	if (depth > 0 && below(t, 8) == 0 && !t->in_aggregate) {
		node.kind = HOW_MANY;
		t->in_aggregate = true;
		node.left = grow_truth(t, 1);
		t->in_aggregate = false;
	} else if (depth > 0 && below(t, 2)) {
		node.kind = (enum kind)(SUM + below(t, 4));
		node.left = grow_number(t, depth - 1);
		node.right = grow_number(t, depth - 1);
	}
	t->nodes[i] = node;
	return i;
}

static void print(const struct tree *t, int i, struct sc_str *out)
{
	static const char *const words[] = {
		[SUM] = "+",       [MINUS] = "-", [TIMES] = "*",  [OVER] = "/",   [LESS] = "<",
		[AT_LEAST] = ">=", [SAME] = "==", [OTHER] = "!=", [BOTH] = "and", [EITHER] = "or",
	};
	const struct node *node = &t->nodes[i];

	if (node->kind == NUMBER) {
		sc_str_addf(out, "%g", node->number);
		return;
	}
	if (node->kind == SIGNAL) {
		sc_str_add(out, leaves[node->signal].name);
		return;
	}
	sc_str_add(out, node->kind == HOW_MANY  ? "count(\"/w/*\", "
			: node->kind == INVERSE ? "(not "
						: "(");
	print(t, node->left, out);
	if (node->kind != HOW_MANY && node->kind != INVERSE) {
		sc_str_addf(out, " %s ", words[node->kind]);
		print(t, node->right, out);
	}
	sc_str_add(out, ")");
}

/* An interval, because unknown members make a count uncertain where it stands alone in a
 * comparison. */
struct range {
	double low, high;
};

static enum sc_truth walk_truth(const struct tree *t, int i, struct model *w, uint32_t slot);

static struct range walk_number(const struct tree *t, int i, struct model *w, uint32_t slot)
{
	const struct node *node = &t->nodes[i];
	struct range r = {node->number, node->number};
	double a, b;

	if (node->kind == NUMBER)
		return r;
	if (node->kind == SIGNAL) {
		r.low = r.high = sc_source_value(&w->source, &w->now, slot,
						 leaves[node->signal].signal);
		return r;
	}
	if (node->kind == HOW_MANY) {
		r.low = r.high = 0;
		for (uint32_t member = 0; member < TARGETS; member += 3) {
			enum sc_truth truth = walk_truth(t, node->left, w, member);

			r.low += truth == SC_TRUE;
			r.high += truth != SC_FALSE;
		}
		return r;
	}
	r = walk_number(t, node->left, w, slot);
	a = r.low == r.high ? r.low : NAN;
	r = walk_number(t, node->right, w, slot);
	b = r.low == r.high ? r.low : NAN;
	a = node->kind == SUM     ? a + b
	    : node->kind == MINUS ? a - b
	    : node->kind == TIMES ? a * b
	    : b == 0              ? NAN
				  : a / b;
	return (struct range){a, a};
}

static bool holds(enum kind kind, double a, double b)
{
	return kind == LESS ? a < b : kind == AT_LEAST ? a >= b : kind == SAME ? a == b : a != b;
}

/*
 * Tries every value that the count may have. That counts are whole is not used for equality:
 * between its bounds it may be anything.
 */
static enum sc_truth compare(enum kind kind, struct range a, struct range b)
{
	bool some = false, all = true;
	bool is_certain = a.low == a.high && b.low == b.high;

	if (isnan(a.low) || isnan(b.low))
		return SC_UNKNOWN;
	if (kind >= SAME && !is_certain && a.low <= b.high && b.low <= a.high)
		return SC_UNKNOWN;
	for (double x = a.low; x <= a.high; x++)
		for (double y = b.low; y <= b.high; y++) {
			bool h = holds(kind, x, y);

			some |= h;
			all &= h;
		}
	return all ? SC_TRUE : some ? SC_UNKNOWN : SC_FALSE;
}

static enum sc_truth walk_truth(const struct tree *t, int i, struct model *w, uint32_t slot)
{
	const struct node *node = &t->nodes[i];
	enum sc_truth a, b;

	if (node->kind >= LESS && node->kind <= OTHER)
		return compare(node->kind, walk_number(t, node->left, w, slot),
			       walk_number(t, node->right, w, slot));
	a = walk_truth(t, node->left, w, slot);
	if (node->kind == INVERSE)
		return a == SC_UNKNOWN ? SC_UNKNOWN : a == SC_TRUE ? SC_FALSE : SC_TRUE;
	b = walk_truth(t, node->right, w, slot);
	if (node->kind == BOTH)
		return a == SC_FALSE || b == SC_FALSE ? SC_FALSE
		       : a == SC_TRUE && b == SC_TRUE ? SC_TRUE
						      : SC_UNKNOWN;
	return a == SC_TRUE || b == SC_TRUE     ? SC_TRUE
	       : a == SC_FALSE && b == SC_FALSE ? SC_FALSE
						: SC_UNKNOWN;
}

static void fill_world(struct model *w, unsigned int *random)
{
	for (uint32_t slot = 0; slot < TARGETS; slot++) {
		struct sc_kernel *k = &w->kernel[slot];

		if (rand_r(random) % 10 == 0)
			continue;
		model_seeded(w, slot, slot + 1);
		w->counts[slot].proc_alive = rand_r(random) % 6;
		w->counts[slot].proc_zombies = rand_r(random) % 4;
		w->counts[slot].proc_forks = rand_r(random) % 6;
		if (rand_r(random) % 4 == 0)
			continue;
		k->pass_ns = w->now.mono_ns;
		k->flags = SC_KERNEL_PIDS;
		k->pids_current = (unsigned int)rand_r(random) % 5;
	}
}

/* Both sides uncertain: the machine may say unknown where the walk, which tries all pairs, knows.
 */
static bool may_differ(const char *text, enum sc_truth machine)
{
	const char *first = strstr(text, "count(");

	return machine == SC_UNKNOWN && first && strstr(first + 1, "count(");
}

Test(differential, the_machine_agrees_with_a_walk_of_the_tree)
{
	unsigned int compared = 0, seen[SC_TRUTH_COUNT] = {0};

	for (unsigned int round = 1; round <= CONDITIONS; round++) {
		_cleanup_model_ struct model *w = NULL;
		_cleanup_predicate_ struct sc_predicate *p = NULL;
		struct tree t = {.random = round};
		struct sc_predicate_env env;
		struct sc_diag diag = {0};
		uint8_t truth[TARGETS];
		char text[2048];
		struct sc_str out;

		grow_truth(&t, 3);
		sc_str_init(&out, text, sizeof(text));
		print(&t, 0, &out);
		w = model_new(&(struct sc_plan_limits){.blocks = 1});
		env = (struct sc_predicate_env){.plan = w->plan};
		if (sc_predicate_compile(&p, text, &env, &diag) < 0) {
			cr_assert(strstr(diag.text, "always") ||
					  strstr(diag.text, "division by 0") ||
					  strstr(diag.text, "needs its unit") ||
					  strstr(diag.text, "cannot"),
				  "%s: %s", text, diag.text);
			continue;
		}
		cr_assert_eq(sc_plan_start(w->plan, NULL, NULL), 0);
		for (uint32_t slot = 0; slot < TARGETS; slot += 3)
			sc_plan_target_added(w->plan, slot, "/w/x");
		fill_world(w, &t.random);
		model_tick(w, MS, TARGETS);
		sc_predicate_eval(p, w->plan, w->slots, TARGETS, truth);
		for (uint32_t slot = 0; slot < TARGETS; slot += 7) {
			enum sc_truth expected = walk_truth(&t, 0, w, slot);

			seen[truth[slot]]++;
			if (truth[slot] != (uint8_t)expected &&
			    may_differ(text, (enum sc_truth)truth[slot]))
				continue;
			cr_assert_eq(truth[slot], expected, "slot %u of %s: %s, expected %s", slot,
				     text, sc_truth_name((enum sc_truth)truth[slot]),
				     sc_truth_name(expected));
		}
		compared++;
	}
	cr_expect_gt(compared, CONDITIONS / 2);
	cr_expect(seen[SC_TRUE] > 1000 && seen[SC_FALSE] > 1000 && seen[SC_UNKNOWN] > 1000);
}
