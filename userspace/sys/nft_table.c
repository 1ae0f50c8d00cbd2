/* SPDX-License-Identifier: Apache-2.0 */
/* Tables, chains and sets as messages: what makes one table of another, in the order it must be. */
#include "sys/nft_impl.h"

#include <netinet/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <string.h>

/* nft(8) prints the path of the cgroup for a key of this type: TYPE_CGROUPV2 of its datatype.h. */
#define KEY_TYPE_CGROUP 46
#define TABLE_COMMENT   "what scram has cut from the network"
/* TLV of nft(8): type 0 is the comment of a table. */
#define USERDATA_COMMENT 0

const char *const sc_nft_base_names[] = {
	[SC_NFT_IN] = "input",
	[SC_NFT_OUT] = "output",
};
_Static_assert(SC_ARRAY_SIZE(sc_nft_base_names) == SC_NFT_WAY_COUNT, "one name per way");

const char *const sc_nft_opening_names[] = {
	[SC_NFT_IN] = "opening_in",
	[SC_NFT_OUT] = "opening_out",
};
_Static_assert(SC_ARRAY_SIZE(sc_nft_opening_names) == SC_NFT_WAY_COUNT, "one name per way");

static const char *const ways[] = {[SC_NFT_IN] = "in", [SC_NFT_OUT] = "out"};
_Static_assert(SC_ARRAY_SIZE(ways) == SC_NFT_WAY_COUNT, "one word per way");

static const char *const verdicts[] = {
	[SC_NFT_DROP] = "drop",
	[SC_NFT_REFUSE_ALL] = "all",
	[SC_NFT_REFUSE_NEW] = "new",
	[SC_NFT_TRY] = "try",
};
_Static_assert(SC_ARRAY_SIZE(verdicts) == SC_NFT_VERDICT_COUNT, "one word per verdict");

void sc_nft_set_name(char out[static SC_NFT_NAME_MAX], enum sc_nft_verdict verdict,
		     enum sc_nft_way way, uint32_t level)
{
	snprintf(out, SC_NFT_NAME_MAX, "%s_%s_%u", verdicts[verdict], ways[way], level);
}

void sc_nft_try_name(char out[static SC_NFT_NAME_MAX], uint32_t number)
{
	snprintf(out, SC_NFT_NAME_MAX, "try_%u", number);
}

bool sc_nft_set_parse(const char *name, enum sc_nft_verdict *verdict, enum sc_nft_way *way,
		      uint32_t *level)
{
	for (unsigned int v = 0; v < SC_NFT_VERDICT_COUNT; v++) {
		for (unsigned int w = 0; w < SC_NFT_WAY_COUNT; w++) {
			char same[SC_NFT_NAME_MAX], *end = NULL;
			unsigned long l = 0;
			size_t n;

			sc_nft_set_name(same, v, w, 0);
			n = strlen(same) - 1;
			if (!strncmp(name, same, n))
				l = strtoul(name + n, &end, 10);
			if (l < 1 || l > SC_NFT_LEVEL_MAX)
				continue;
			*verdict = v;
			*way = w;
			*level = (uint32_t)l;
			sc_nft_set_name(same, v, w, *level);
			return !strcmp(name, same);
		}
	}
	return false;
}

bool sc_nft_try_parse(const char *name, uint32_t *number)
{
	char same[SC_NFT_NAME_MAX];
	unsigned int n;

	if (sscanf(name, "try_%9u", &n) != 1 || n >= SC_NFT_TRIES_MAX)
		return false;
	sc_nft_try_name(same, n);
	if (strcmp(name, same) != 0)
		return false;
	*number = n;
	return true;
}

static void put_new_table(struct sc_nft_batch *b, const char *table)
{
	char comment[2 + sizeof(TABLE_COMMENT)] = {USERDATA_COMMENT, sizeof(TABLE_COMMENT)};

	memcpy(comment + 2, TABLE_COMMENT, sizeof(TABLE_COMMENT));
	sc_nft_message_begin(b, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
	sc_nft_put_text(b, NFTA_TABLE_NAME, table);
	sc_nft_put_bytes(b, NFTA_TABLE_USERDATA, comment, sizeof(comment));
	sc_nft_message_end(b);
}

void sc_nft_put_table_gone(struct sc_nft_batch *b, const char *table)
{
	sc_nft_message_begin(b, NFT_MSG_DELTABLE, 0);
	sc_nft_put_text(b, NFTA_TABLE_NAME, table);
	sc_nft_message_end(b);
}

static void put_chain(struct sc_nft_batch *b, const char *table, const char *name)
{
	sc_nft_message_begin(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL);
	sc_nft_put_text(b, NFTA_CHAIN_TABLE, table);
	sc_nft_put_text(b, NFTA_CHAIN_NAME, name);
	sc_nft_message_end(b);
}

static void put_chain_gone(struct sc_nft_batch *b, const char *table, const char *name)
{
	sc_nft_message_begin(b, NFT_MSG_DELCHAIN, 0);
	sc_nft_put_text(b, NFTA_CHAIN_TABLE, table);
	sc_nft_put_text(b, NFTA_CHAIN_NAME, name);
	sc_nft_message_end(b);
}

static void put_base_chain(struct sc_nft_batch *b, const char *table, enum sc_nft_way way)
{
	struct nlattr *hook;

	sc_nft_message_begin(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL);
	sc_nft_put_text(b, NFTA_CHAIN_TABLE, table);
	sc_nft_put_text(b, NFTA_CHAIN_NAME, sc_nft_base_names[way]);
	hook = sc_nft_nest(b, NFTA_CHAIN_HOOK);
	sc_nft_put_u32(b, NFTA_HOOK_HOOKNUM,
		       way == SC_NFT_IN ? NF_INET_LOCAL_IN : NF_INET_LOCAL_OUT);
	sc_nft_put_u32(b, NFTA_HOOK_PRIORITY, (uint32_t)SC_NFT_PRIORITY);
	sc_nft_nest_end(b, hook);
	sc_nft_put_text(b, NFTA_CHAIN_TYPE, "filter");
	sc_nft_put_u32(b, NFTA_CHAIN_POLICY, NF_ACCEPT);
	sc_nft_message_end(b);
}

static void put_rules_gone(struct sc_nft_batch *b, const char *table, const char *chain)
{
	sc_nft_message_begin(b, NFT_MSG_DELRULE, 0); /* without a handle: all of them */
	sc_nft_put_text(b, NFTA_RULE_TABLE, table);
	sc_nft_put_text(b, NFTA_RULE_CHAIN, chain);
	sc_nft_message_end(b);
}

static void put_set(struct sc_nft_batch *b, const char *table, const char *name, bool is_map,
		    bool is_left_to_gate)
{
	static const char comment[] = {SC_NFT_SET_COMMENT, sizeof(SC_NFT_COMMENT_GATE)};
	char data[sizeof(comment) + sizeof(SC_NFT_COMMENT_GATE)];
	struct nlattr *counter;

	sc_nft_message_begin(b, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL);
	sc_nft_put_text(b, NFTA_SET_TABLE, table);
	sc_nft_put_text(b, NFTA_SET_NAME, name);
	sc_nft_put_u32(b, NFTA_SET_ID, b->next); /* any that is not used twice */
	sc_nft_put_u32(b, NFTA_SET_KEY_TYPE, KEY_TYPE_CGROUP);
	sc_nft_put_u32(b, NFTA_SET_KEY_LEN, sizeof(uint64_t));
	if (is_map) {
		sc_nft_put_u32(b, NFTA_SET_FLAGS, NFT_SET_MAP);
		sc_nft_put_u32(b, NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT);
	}
	if (is_left_to_gate) {
		memcpy(data, comment, sizeof(comment));
		memcpy(data + sizeof(comment), SC_NFT_COMMENT_GATE, sizeof(SC_NFT_COMMENT_GATE));
		sc_nft_put_bytes(b, NFTA_SET_USERDATA, data, sizeof(data));
	}
	/* Each element counts by itself. */
	counter = sc_nft_nest(b, NFTA_SET_EXPR);
	sc_nft_put_text(b, NFTA_EXPR_NAME, "counter");
	sc_nft_nest_end(b, counter);
	sc_nft_message_end(b);
}

static void put_set_gone(struct sc_nft_batch *b, const char *table, const char *name)
{
	sc_nft_message_begin(b, NFT_MSG_DELSET, 0);
	sc_nft_put_text(b, NFTA_SET_TABLE, table);
	sc_nft_put_text(b, NFTA_SET_NAME, name);
	sc_nft_message_end(b);
}

/* The sets that `is` has and `was` has not, for both ways. */
static void put_sets(struct sc_nft_batch *b, const struct sc_nft_step *step,
		     enum sc_nft_verdict verdict)
{
	bool is_left_to_gate = verdict == SC_NFT_DROP && step->is->has_gate;
	uint32_t levels = step->is->levels[verdict] & ~step->was->levels[verdict];
	char name[SC_NFT_NAME_MAX];

	for (; levels; levels &= levels - 1) {
		for (unsigned int way = 0; way < SC_NFT_WAY_COUNT; way++) {
			sc_nft_set_name(name, verdict, way, (uint32_t)__builtin_ctz(levels));
			put_set(b, step->table, name, verdict == SC_NFT_TRY, is_left_to_gate);
		}
	}
}

static void put_sets_gone(struct sc_nft_batch *b, const struct sc_nft_step *step,
			  enum sc_nft_verdict verdict)
{
	uint32_t levels = step->was->levels[verdict] & ~step->is->levels[verdict];
	char name[SC_NFT_NAME_MAX];

	for (; levels; levels &= levels - 1) {
		for (unsigned int way = 0; way < SC_NFT_WAY_COUNT; way++) {
			sc_nft_set_name(name, verdict, way, (uint32_t)__builtin_ctz(levels));
			put_set_gone(b, step->table, name);
		}
	}
}

static void put_hooks(struct sc_nft_batch *b, const struct sc_nft_step *step)
{
	bool had = sc_nft_model_has_hooks(step->was), has = sc_nft_model_has_hooks(step->is);

	for (unsigned int way = 0; way < SC_NFT_WAY_COUNT; way++) {
		if (had)
			put_rules_gone(b, step->table, sc_nft_base_names[way]);
		put_rules_gone(b, step->table, sc_nft_opening_names[way]);
		if (had && !has)
			put_chain_gone(b, step->table, sc_nft_base_names[way]);
		else if (has && !had)
			put_base_chain(b, step->table, way);
	}
	sc_nft_put_rules_hooks(b, step->table, step->is);
}

static void put_tries(struct sc_nft_batch *b, const struct sc_nft_step *step)
{
	char chain[SC_NFT_NAME_MAX];

	for (uint32_t i = 0; i < SC_NFT_TRIES_MAX; i++) {
		const struct sc_nft_try *was = &step->was->tries[i], *is = &step->is->tries[i];

		if (!is->tries || (is->tries == was->tries && is->attempt == was->attempt))
			continue;
		sc_nft_try_name(chain, i);
		if (was->tries)
			put_rules_gone(b, step->table, chain);
		else
			put_chain(b, step->table, chain);
		sc_nft_put_rules_try(b, step->table, i, is);
	}
}

static void put_tries_gone(struct sc_nft_batch *b, const struct sc_nft_step *step)
{
	char chain[SC_NFT_NAME_MAX];

	for (uint32_t i = 0; i < SC_NFT_TRIES_MAX; i++) {
		if (!step->was->tries[i].tries || step->is->tries[i].tries)
			continue;
		sc_nft_try_name(chain, i);
		put_chain_gone(b, step->table, chain);
	}
}

/* What is referred to comes before what refers to it, and goes after. */
void sc_nft_put_step(struct sc_nft_batch *b, const struct sc_nft_step *step)
{
	const struct sc_nft_model *was = step->was, *is = step->is;
	bool has_same_hooks = was->has_gate == is->has_gate &&
			      !memcmp(was->levels, is->levels, sizeof(is->levels));

	put_tries(b, step);
	for (unsigned int v = 0; v < SC_NFT_VERDICT_COUNT; v++)
		put_sets(b, step, v);
	if (!has_same_hooks)
		put_hooks(b, step);
	sc_nft_put_elements(b, step->table, step->changes, false);
	sc_nft_put_elements(b, step->table, step->changes, true);
	for (unsigned int v = 0; v < SC_NFT_VERDICT_COUNT; v++)
		put_sets_gone(b, step, v);
	put_tries_gone(b, step);
}

/* An empty table, with the chains that are always there. */
void sc_nft_put_table(struct sc_nft_batch *b, const char *table, bool replaces)
{
	if (replaces)
		sc_nft_put_table_gone(b, table);
	put_new_table(b, table);
	put_chain(b, table, sc_nft_opening_names[SC_NFT_IN]);
	put_chain(b, table, sc_nft_opening_names[SC_NFT_OUT]);
	put_chain(b, table, SC_NFT_CHAIN_REFUSE_ALL);
	sc_nft_put_rules_refuse_all(b, table);
}
