/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads from the kernel what the table holds, as a model. Anything that is not as we make it is
 * damage: then the table will be replaced, so it is enough to notice the first.
 */
#include "sys/nft_impl.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdarg.h>
#include <string.h>

/* Looks while others keep changing rules; a busy host changes them some times a second. */
#define LOOKS_MAX 16
#define SEEN_MIN  1024

struct learner {
	struct sc_nft *nft;
	struct sc_nft_model *m;
	char *text; /* the first damage */
	uint32_t generation;
	bool has_base[SC_NFT_WAY_COUNT], has_opening[SC_NFT_WAY_COUNT], has_refusal;
	uint32_t gates[2]; /* sets of SC_NFT_DROP with false, with true */
	uint32_t n_tries;  /* chains of tries */
	uint32_t levels[SC_NFT_VERDICT_COUNT][SC_NFT_WAY_COUNT];
	struct sc_nft_heap rules;
	uint32_t n_rules;
	struct sc_nft_seen *seen;
	uint32_t n_seen, cap_seen;
};

static void damage(struct learner *l, const char *fmt, ...) _printf_(2, 3);
static void damage(struct learner *l, const char *fmt, ...)
{
	va_list args;

	if (l->m->is_damaged)
		return;
	l->m->is_damaged = true;
	va_start(args, fmt);
	vsnprintf(l->text, SC_DIAG_TEXT_MAX, fmt, args);
	va_end(args);
}

typedef int take_fn(void *arg, const struct nlmsghdr *nlh, int error);

/* Sends what is in the batch. -EINTR when the rules changed meanwhile. */
static int ask(struct learner *l, enum sc_nft_exchange what, take_fn *take, struct sc_diag *diag)
{
	struct sc_nft_reply reply = {.what = what, .take = take, .arg = l};
	int r;

	if (what == SC_NFT_QUESTIONS)
		sc_nft_batch_ack(&l->nft->batch);
	r = sc_nft_exchange(&l->nft->socket, &l->nft->batch, &reply);
	if (r < 0)
		return sc_diag_set(diag, r, 0, 0, "%s", reply.text);
	return reply.is_interrupted ? -EINTR : 0;
}

static int take_table(void *arg, const struct nlmsghdr *nlh, int error)
{
	struct learner *l = arg;

	if (error)
		return error == -ENOENT ? 0 : error;
	if (sc_nft_generation_parse(nlh, &l->generation))
		return 0;
	l->m->has_table = true;
	if (!sc_nft_table_matches(nlh))
		damage(l, "the table is switched off");
	return 0;
}

static int ask_table(struct learner *l, struct sc_diag *diag)
{
	struct sc_nft_batch *b = &l->nft->batch;

	sc_nft_batch_reset(b);
	sc_nft_message_begin(b, NFT_MSG_GETTABLE, 0);
	sc_nft_put_text(b, NFTA_TABLE_NAME, l->nft->table);
	sc_nft_message_end(b);
	sc_nft_message_begin(b, NFT_MSG_GETGEN, 0);
	sc_nft_message_end(b);
	return ask(l, SC_NFT_QUESTIONS, take_table, diag);
}

static int take_chain(void *arg, const struct nlmsghdr *nlh, int error)
{
	struct learner *l = arg;
	struct sc_nft_chain chain;
	(void)error;

	if (!sc_nft_chain_matches(nlh, l->nft->table, &chain))
		damage(l, "chain %s is not ours, or not as we make it",
		       chain.name ? chain.name : "?");
	else if (chain.kind == SC_NFT_CHAIN_BASE)
		l->has_base[chain.number] = true;
	else if (chain.kind == SC_NFT_CHAIN_OPENING)
		l->has_opening[chain.number] = true;
	else if (chain.kind == SC_NFT_CHAIN_REFUSAL)
		l->has_refusal = true;
	else if (chain.kind == SC_NFT_CHAIN_TRIES)
		l->n_tries++;
	return 0;
}

static int ask_chains(struct learner *l, struct sc_diag *diag)
{
	struct sc_nft_batch *b = &l->nft->batch;

	sc_nft_batch_reset(b);
	sc_nft_message_begin(b, NFT_MSG_GETCHAIN, NLM_F_DUMP);
	sc_nft_message_end(b);
	return ask(l, SC_NFT_DUMP, take_chain, diag);
}

static int take_set(void *arg, const struct nlmsghdr *nlh, int error)
{
	struct learner *l = arg;
	struct sc_nft_told told;
	(void)error;

	if (!sc_nft_set_matches(nlh, &told)) {
		damage(l, "a set or map is not ours, or not as we make it");
		return 0;
	}
	l->levels[told.verdict][told.way] |= 1U << told.level;
	if (told.verdict == SC_NFT_DROP)
		l->gates[told.has_gate]++;
	return 0;
}

static int ask_sets(struct learner *l, struct sc_diag *diag)
{
	struct sc_nft_batch *b = &l->nft->batch;
	int r;

	sc_nft_batch_reset(b);
	sc_nft_message_begin(b, NFT_MSG_GETSET, NLM_F_DUMP);
	sc_nft_put_text(b, NFTA_SET_TABLE, l->nft->table);
	sc_nft_message_end(b);
	r = ask(l, SC_NFT_DUMP, take_set, diag);
	for (unsigned int v = 0; v < SC_NFT_VERDICT_COUNT; v++) {
		l->m->levels[v] = l->levels[v][SC_NFT_IN];
		if (l->levels[v][SC_NFT_IN] != l->levels[v][SC_NFT_OUT])
			damage(l, "a set is there for one direction only");
	}
	l->m->has_gate = l->gates[true] > 0;
	if (l->gates[true] && l->gates[false])
		damage(l, "some sets are left to the gate and some are not");
	return r;
}

/* What cannot be known from the names of chains and sets is told by rules. */
static int take_rule(void *arg, const struct nlmsghdr *nlh, int error)
{
	struct learner *l = arg;
	const char *chain = sc_nft_rule_chain(nlh), *comment = sc_nft_rule_comment(nlh);
	uint32_t number;
	(void)error;

	if (!chain) {
		damage(l, "a rule cannot be read");
		return 0;
	}
	if (comment && sc_nft_try_parse(chain, &number) &&
	    sc_nft_try_comment_parse(comment, &l->m->tries[number]))
		(void)sc_nft_rule_counter(nlh, &l->m->tries[number].passed);
	l->n_rules++;
	return sc_nft_heap_add(&l->rules, nlh);
}

static const struct nlmsghdr *next_message(const struct nlmsghdr *nlh)
{
	return (const void *)((const char *)nlh + NLMSG_ALIGN(nlh->nlmsg_len));
}

/* The first rule of that chain at or after `from`, then from the beginning; NULL. */
static const struct nlmsghdr *first_of(const struct sc_nft_heap *rules, const char *chain,
				       const struct nlmsghdr *from)
{
	const struct nlmsghdr *begin = (const void *)rules->data;
	const struct nlmsghdr *end = (const void *)(rules->data + rules->len);

	for (const struct nlmsghdr *r = from; r < end; r = next_message(r))
		if (!strcmp(sc_nft_rule_chain(r), chain))
			return r;
	for (const struct nlmsghdr *r = begin; r < from; r = next_message(r))
		if (!strcmp(sc_nft_rule_chain(r), chain))
			return r;
	return NULL;
}

/*
 * Each rule as it shall be has its like, and none is left over. The kernel tells the rules of a
 * chain one after another in their order, and chains in the order they were made.
 */
static void compare_rules(struct learner *l)
{
	const struct sc_nft_batch *e = &l->nft->expected;
	const struct nlmsghdr *want_end = (const void *)(e->data + e->len);
	const struct nlmsghdr *end = (const void *)(l->rules.data + l->rules.len);
	const struct nlmsghdr *have = (const void *)l->rules.data;
	const char *last = "";
	uint32_t n = 0;

	for (const struct nlmsghdr *want = (const void *)e->data; want < want_end;
	     want = next_message(want), n++) {
		const char *chain = sc_nft_rule_chain(want);

		if (strcmp(chain, last) != 0)
			have = first_of(&l->rules, chain, have);
		if (!have || have >= end || !sc_nft_rule_same(want, have)) {
			damage(l, "the rules of chain %s are not as we make them", chain);
			return;
		}
		have = next_message(have);
		last = chain;
	}
	if (n != l->n_rules)
		damage(l, "there are rules that are not ours");
}

static void expect_chains(struct learner *l)
{
	bool has_hooks = sc_nft_model_has_hooks(l->m), is_same = l->has_refusal;

	for (unsigned int way = 0; way < SC_NFT_WAY_COUNT; way++)
		is_same = is_same && l->has_base[way] == has_hooks && l->has_opening[way];
	if (!is_same)
		damage(l, "a chain is missing or too much");
}

static void expect_rules(struct learner *l)
{
	struct sc_nft_batch *e = &l->nft->expected;
	uint32_t n = 0;

	sc_nft_batch_reset(e);
	sc_nft_put_rules_hooks(e, l->nft->table, l->m);
	sc_nft_put_rules_refuse_all(e, l->nft->table);
	for (uint32_t i = 0; i < SC_NFT_TRIES_MAX; i++) {
		if (!l->m->tries[i].tries)
			continue;
		sc_nft_put_rules_try(e, l->nft->table, i, &l->m->tries[i]);
		n++;
	}
	if (n != l->n_tries)
		damage(l, "a chain of tries does not say what it allows");
}

static int ask_rules(struct learner *l, struct sc_diag *diag)
{
	struct sc_nft_batch *b = &l->nft->batch;
	int r;

	sc_nft_batch_reset(b);
	sc_nft_message_begin(b, NFT_MSG_GETRULE, NLM_F_DUMP);
	sc_nft_put_text(b, NFTA_RULE_TABLE, l->nft->table);
	sc_nft_message_end(b);
	r = ask(l, SC_NFT_DUMP, take_rule, diag);
	if (r < 0)
		return r;
	expect_chains(l);
	expect_rules(l);
	if (!l->nft->expected.error)
		compare_rules(l);
	return l->nft->expected.error;
}

static int see(void *arg, const struct sc_nft_seen *seen)
{
	struct learner *l = arg;

	if (l->n_seen == l->cap_seen) {
		uint32_t cap = SC_MAX(2 * l->cap_seen, (uint32_t)SEEN_MIN);
		struct sc_nft_seen *more = realloc(l->seen, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->seen = more;
		l->cap_seen = cap;
	}
	l->seen[l->n_seen++] = *seen;
	return 0;
}

static int take_elements(void *arg, const struct nlmsghdr *nlh, int error)
{
	struct learner *l = arg;
	int r = sc_nft_elements_parse(nlh, see, l);
	(void)error;

	if (r != -EBADMSG)
		return r;
	damage(l, "an element is not as we make it");
	return 0;
}

static int ask_elements(struct learner *l, struct sc_diag *diag)
{
	struct sc_nft_batch *b = &l->nft->batch;
	char set[SC_NFT_NAME_MAX];
	int r = 0;

	for (unsigned int i = 0; i < SC_NFT_VERDICT_COUNT * SC_NFT_WAY_COUNT; i++) {
		unsigned int v = i / SC_NFT_WAY_COUNT, way = i % SC_NFT_WAY_COUNT;

		for (uint32_t levels = l->levels[v][way]; levels && r == 0; levels &= levels - 1) {
			sc_nft_set_name(set, v, way, (uint32_t)__builtin_ctz(levels));
			sc_nft_batch_reset(b);
			sc_nft_message_begin(b, NFT_MSG_GETSETELEM, NLM_F_DUMP);
			sc_nft_put_text(b, NFTA_SET_ELEM_LIST_TABLE, l->nft->table);
			sc_nft_put_text(b, NFTA_SET_ELEM_LIST_SET, set);
			sc_nft_message_end(b);
			r = ask(l, SC_NFT_DUMP, take_elements, diag);
		}
	}
	return r;
}

static int by_cgroup(const void *a, const void *b)
{
	const struct sc_nft_seen *x = a, *y = b;

	if (x->cgroup_id != y->cgroup_id)
		return x->cgroup_id < y->cgroup_id ? -1 : 1;
	return (int)x->way - (int)y->way;
}

/* Makes elements of pairs: one seen for each way, in the same kind of set. */
static int join_ways(struct learner *l)
{
	struct sc_nft_model *m = l->m;
	uint32_t i = 0;
	int r = sc_nft_model_reserve(m, l->n_seen);

	if (r < 0)
		return r;
	if (l->n_seen)
		qsort(l->seen, l->n_seen, sizeof(*l->seen), by_cgroup);
	for (; i + 1 < l->n_seen; i += 2) {
		const struct sc_nft_seen *in = &l->seen[i], *out = in + 1;
		const struct sc_nft_try *try = &m->tries[in->number];

		if (in->cgroup_id != out->cgroup_id || in->way == out->way ||
		    in->verdict != out->verdict || in->level != out->level ||
		    in->number != out->number ||
		    (m->n && m->elements[m->n - 1].cgroup_id == in->cgroup_id))
			break;
		m->counts[m->n] = (struct sc_nft_counts){
			in->packets, in->bytes, out->packets, out->bytes,
			in->verdict == SC_NFT_TRY ? try->passed : 0};
		m->elements[m->n++] = (struct sc_nft_element){in->cgroup_id, in->level,
							      in->verdict,   in->number,
							      try->tries,    try->attempt};
	}
	if (i < l->n_seen)
		damage(l, "cgroup %llu is not cut once for each direction",
		       (unsigned long long)l->seen[i].cgroup_id);
	return 0;
}

/* One look. -EINTR when the rules changed meanwhile. */
static int look(struct learner *l, struct sc_diag *diag)
{
	uint32_t generation;
	int r;

	l->m->has_table = l->m->is_damaged = l->m->has_gate = false;
	l->m->n = 0;
	memset(l->m->levels, 0, sizeof(l->m->levels));
	memset(l->m->tries, 0, sizeof(l->m->tries));
	memset(l->levels, 0, sizeof(l->levels));
	memset(l->has_base, 0, sizeof(l->has_base));
	memset(l->has_opening, 0, sizeof(l->has_opening));
	memset(l->gates, 0, sizeof(l->gates));
	l->has_refusal = false;
	l->rules.len = 0;
	l->n_rules = l->n_tries = 0;
	l->n_seen = 0;
	l->text[0] = '\0';
	r = ask_table(l, diag);
	if (r < 0 || !l->m->has_table)
		return r;
	generation = l->generation;
	r = ask_chains(l, diag);
	if (!r)
		r = ask_sets(l, diag);
	if (!r)
		r = ask_rules(l, diag);
	if (!r)
		r = ask_elements(l, diag);
	if (!r)
		r = join_ways(l);
	if (!r)
		r = ask_table(l, diag);
	if (!r && generation != l->generation)
		r = -EINTR;
	return r;
}

int sc_nft_learn(struct sc_nft *nft, char text[static SC_DIAG_TEXT_MAX], struct sc_diag *diag)
{
	struct learner l = {.nft = nft, .m = &nft->now, .text = text};
	int r = -EINTR;

	nft->is_known = false;
	for (int i = 0; r == -EINTR && i < LOOKS_MAX; i++)
		r = look(&l, diag);
	free(l.rules.data);
	free(l.seen);
	if (r == -EINTR)
		return sc_diag_set(diag, -EBUSY, 0, 0, "nf_tables is changed faster than read");
	/* A set that was deleted between two dumps, and the like. */
	if (r < 0)
		return r;
	nft->is_known = true;
	nft->generation = l.generation;
	return 0;
}
