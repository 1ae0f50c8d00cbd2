/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares what the kernel tells with what we would send: rules attribute by attribute, sets and
 * chains by what matters. Pure; what it is given may be anything.
 */
#include "sys/nft_impl.h"

#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

#define HEADER ((int)sizeof(struct nfgenmsg))

static const struct nla_policy expression_policy[NFTA_EXPR_MAX + 1] = {
	[NFTA_EXPR_NAME] = {.type = NLA_NUL_STRING},
	[NFTA_EXPR_DATA] = {.type = NLA_NESTED},
};
static const struct nla_policy counter_policy[NFTA_COUNTER_MAX + 1] = {
	[NFTA_COUNTER_BYTES] = {.type = NLA_U64},
	[NFTA_COUNTER_PACKETS] = {.type = NLA_U64},
};
static const struct nla_policy rule_policy[NFTA_RULE_MAX + 1] = {
	[NFTA_RULE_TABLE] = {.type = NLA_NUL_STRING},
	[NFTA_RULE_CHAIN] = {.type = NLA_NUL_STRING},
	[NFTA_RULE_EXPRESSIONS] = {.type = NLA_NESTED},
	[NFTA_RULE_USERDATA] = {.minlen = 1},
};

bool sc_nft_counter_parse(struct nlattr *expression, uint64_t *packets, uint64_t *bytes)
{
	struct nlattr *tb[NFTA_EXPR_MAX + 1], *counter[NFTA_COUNTER_MAX + 1];

	if (nla_parse_nested(tb, NFTA_EXPR_MAX, expression, expression_policy) < 0 ||
	    !tb[NFTA_EXPR_NAME] || !tb[NFTA_EXPR_DATA] ||
	    nla_strcmp(tb[NFTA_EXPR_NAME], "counter") != 0 ||
	    nla_parse_nested(counter, NFTA_COUNTER_MAX, tb[NFTA_EXPR_DATA], counter_policy) < 0 ||
	    !counter[NFTA_COUNTER_PACKETS] || !counter[NFTA_COUNTER_BYTES])
		return false;
	*packets = be64toh(nla_get_u64(counter[NFTA_COUNTER_PACKETS]));
	*bytes = be64toh(nla_get_u64(counter[NFTA_COUNTER_BYTES]));
	return true;
}

static bool is_attr_same(const struct nlattr *want, const struct nlattr *have);

/* Everything in want is in have; have may tell more. */
static bool has_all(const struct nlattr *want, const struct nlattr *have)
{
	const struct nlattr *attr;
	int left;

	nla_for_each_nested(attr, want, left)
	{
		const struct nlattr *same = nla_find(nla_data(have), nla_len(have), nla_type(attr));

		if (!same || !is_attr_same(attr, same))
			return false;
	}
	return true;
}

/* The expressions of data are nested two or three deep, and want is ours: this ends. */
static bool is_attr_same(const struct nlattr *want, const struct nlattr *have)
{
	if (nla_is_nested(want))
		return has_all(want, have);
	return nla_len(want) == nla_len(have) &&
	       !memcmp(nla_data(want), nla_data(have), (size_t)nla_len(want));
}

static bool is_expression_same(struct nlattr *want, struct nlattr *have)
{
	struct nlattr *w[NFTA_EXPR_MAX + 1], *h[NFTA_EXPR_MAX + 1];

	if (nla_parse_nested(w, NFTA_EXPR_MAX, want, expression_policy) < 0 ||
	    nla_parse_nested(h, NFTA_EXPR_MAX, have, expression_policy) < 0 || !w[NFTA_EXPR_NAME] ||
	    !h[NFTA_EXPR_NAME] ||
	    strcmp(nla_data(w[NFTA_EXPR_NAME]), nla_data(h[NFTA_EXPR_NAME])) != 0)
		return false;
	if (!w[NFTA_EXPR_DATA]) /* a counter: whatever it counts */
		return true;
	return h[NFTA_EXPR_DATA] && has_all(w[NFTA_EXPR_DATA], h[NFTA_EXPR_DATA]);
}

static bool has_same_expressions(struct nlattr *want, struct nlattr *have)
{
	struct nlattr *w = nla_data(want), *h = nla_data(have);
	int w_left = nla_len(want), h_left = nla_len(have);

	while (nla_ok(w, w_left) && nla_ok(h, h_left)) {
		if (!is_expression_same(w, h))
			return false;
		w = nla_next(w, &w_left);
		h = nla_next(h, &h_left);
	}
	return !nla_ok(w, w_left) && !nla_ok(h, h_left);
}

static bool parse_rule(const struct nlmsghdr *nlh, struct nlattr *tb[NFTA_RULE_MAX + 1])
{
	return (nlh->nlmsg_type & 0xff) == NFT_MSG_NEWRULE &&
	       nlmsg_parse((void *)nlh, HEADER, tb, NFTA_RULE_MAX, rule_policy) == 0 &&
	       tb[NFTA_RULE_TABLE] && tb[NFTA_RULE_CHAIN] && tb[NFTA_RULE_EXPRESSIONS];
}

bool sc_nft_rule_same(const struct nlmsghdr *want, const struct nlmsghdr *have)
{
	struct nlattr *w[NFTA_RULE_MAX + 1], *h[NFTA_RULE_MAX + 1];

	if (!parse_rule(want, w) || !parse_rule(have, h))
		return false;
	if (strcmp(nla_data(w[NFTA_RULE_TABLE]), nla_data(h[NFTA_RULE_TABLE])) != 0 ||
	    strcmp(nla_data(w[NFTA_RULE_CHAIN]), nla_data(h[NFTA_RULE_CHAIN])) != 0)
		return false;
	if (w[NFTA_RULE_USERDATA] &&
	    (!h[NFTA_RULE_USERDATA] || !is_attr_same(w[NFTA_RULE_USERDATA], h[NFTA_RULE_USERDATA])))
		return false;
	return has_same_expressions(w[NFTA_RULE_EXPRESSIONS], h[NFTA_RULE_EXPRESSIONS]);
}

const char *sc_nft_rule_chain(const struct nlmsghdr *rule)
{
	struct nlattr *tb[NFTA_RULE_MAX + 1];

	return parse_rule(rule, tb) ? nla_data(tb[NFTA_RULE_CHAIN]) : NULL;
}

const char *sc_nft_rule_comment(const struct nlmsghdr *rule)
{
	struct nlattr *tb[NFTA_RULE_MAX + 1];
	const char *data;
	size_t n;

	if (!parse_rule(rule, tb) || !tb[NFTA_RULE_USERDATA])
		return NULL;
	data = nla_data(tb[NFTA_RULE_USERDATA]);
	n = (size_t)nla_len(tb[NFTA_RULE_USERDATA]);
	/* TLV of nft(8): type 0 is a comment. */
	if (n < 3 || data[0] != 0 || (uint8_t)data[1] != n - 2 || data[n - 1] != '\0')
		return NULL;
	return data + 2;
}

bool sc_nft_rule_counter(const struct nlmsghdr *rule, uint64_t *packets)
{
	struct nlattr *tb[NFTA_RULE_MAX + 1], *attr;
	uint64_t bytes;
	int left;

	if (!parse_rule(rule, tb))
		return false;
	nla_for_each_nested(attr, tb[NFTA_RULE_EXPRESSIONS],
			    left) if (sc_nft_counter_parse(attr, packets, &bytes)) return true;
	return false;
}

static uint32_t u32_of(struct nlattr *const *tb, int attr, uint32_t absent)
{
	return tb[attr] ? ntohl(nla_get_u32(tb[attr])) : absent;
}

static bool is_gate_comment(const struct nlattr *data)
{
	static const char head[] = {SC_NFT_SET_COMMENT, sizeof(SC_NFT_COMMENT_GATE)};
	const char *at = nla_data(data);

	return nla_len(data) == sizeof(head) + sizeof(SC_NFT_COMMENT_GATE) &&
	       !memcmp(at, head, sizeof(head)) &&
	       !memcmp(at + sizeof(head), SC_NFT_COMMENT_GATE, sizeof(SC_NFT_COMMENT_GATE));
}

bool sc_nft_set_matches(const struct nlmsghdr *nlh, struct sc_nft_told *told)
{
	static const struct nla_policy policy[NFTA_SET_MAX + 1] = {
		[NFTA_SET_NAME] = {.type = NLA_NUL_STRING},
		[NFTA_SET_FLAGS] = {.type = NLA_U32},
		[NFTA_SET_KEY_LEN] = {.type = NLA_U32},
		[NFTA_SET_DATA_TYPE] = {.type = NLA_U32},
		[NFTA_SET_USERDATA] = {.minlen = 1},
		[NFTA_SET_EXPR] = {.type = NLA_NESTED},
	};
	struct nlattr *tb[NFTA_SET_MAX + 1];
	bool is_map;

	if ((nlh->nlmsg_type & 0xff) != NFT_MSG_NEWSET ||
	    nlmsg_parse((void *)nlh, HEADER, tb, NFTA_SET_MAX, policy) < 0 || !tb[NFTA_SET_NAME] ||
	    !sc_nft_set_parse(nla_data(tb[NFTA_SET_NAME]), &told->verdict, &told->way,
			      &told->level))
		return false;
	is_map = told->verdict == SC_NFT_TRY;
	told->has_gate = tb[NFTA_SET_USERDATA] && is_gate_comment(tb[NFTA_SET_USERDATA]);
	return u32_of(tb, NFTA_SET_FLAGS, 0) == (is_map ? NFT_SET_MAP : 0) &&
	       u32_of(tb, NFTA_SET_KEY_LEN, 0) == sizeof(uint64_t) &&
	       u32_of(tb, NFTA_SET_DATA_TYPE, 0) == (is_map ? NFT_DATA_VERDICT : 0) &&
	       tb[NFTA_SET_EXPR];
}

static bool is_hook(struct nlattr *hook, enum sc_nft_way way)
{
	static const struct nla_policy policy[NFTA_HOOK_MAX + 1] = {
		[NFTA_HOOK_HOOKNUM] = {.type = NLA_U32},
		[NFTA_HOOK_PRIORITY] = {.type = NLA_U32},
	};
	uint32_t number = way == SC_NFT_IN ? NF_INET_LOCAL_IN : NF_INET_LOCAL_OUT;
	struct nlattr *tb[NFTA_HOOK_MAX + 1];

	return nla_parse_nested(tb, NFTA_HOOK_MAX, hook, policy) == 0 &&
	       u32_of(tb, NFTA_HOOK_HOOKNUM, UINT32_MAX) == number &&
	       u32_of(tb, NFTA_HOOK_PRIORITY, 0) == (uint32_t)SC_NFT_PRIORITY;
}

static bool is_way(const char *name, const char *const names[SC_NFT_WAY_COUNT], uint32_t *way)
{
	for (*way = 0; *way < SC_NFT_WAY_COUNT; ++*way)
		if (!strcmp(name, names[*way]))
			return true;
	return false;
}

bool sc_nft_chain_matches(const struct nlmsghdr *nlh, const char *table, struct sc_nft_chain *chain)
{
	static const struct nla_policy policy[NFTA_CHAIN_MAX + 1] = {
		[NFTA_CHAIN_TABLE] = {.type = NLA_NUL_STRING},
		[NFTA_CHAIN_NAME] = {.type = NLA_NUL_STRING},
		[NFTA_CHAIN_HOOK] = {.type = NLA_NESTED},
		[NFTA_CHAIN_POLICY] = {.type = NLA_U32},
		[NFTA_CHAIN_TYPE] = {.type = NLA_NUL_STRING},
	};
	struct nlattr *tb[NFTA_CHAIN_MAX + 1];

	*chain = (struct sc_nft_chain){.kind = SC_NFT_CHAIN_OTHER_TABLE};
	if ((nlh->nlmsg_type & 0xff) != NFT_MSG_NEWCHAIN ||
	    nlmsg_parse((void *)nlh, HEADER, tb, NFTA_CHAIN_MAX, policy) < 0 ||
	    !tb[NFTA_CHAIN_TABLE] || !tb[NFTA_CHAIN_NAME])
		return false;
	if (strcmp(nla_data(tb[NFTA_CHAIN_TABLE]), table) != 0)
		return true;
	chain->name = nla_data(tb[NFTA_CHAIN_NAME]);
	if (is_way(chain->name, sc_nft_base_names, &chain->number)) {
		chain->kind = SC_NFT_CHAIN_BASE;
		return tb[NFTA_CHAIN_HOOK] && is_hook(tb[NFTA_CHAIN_HOOK], chain->number) &&
		       u32_of(tb, NFTA_CHAIN_POLICY, NF_ACCEPT) == NF_ACCEPT &&
		       tb[NFTA_CHAIN_TYPE] && !nla_strcmp(tb[NFTA_CHAIN_TYPE], "filter");
	}
	if (is_way(chain->name, sc_nft_opening_names, &chain->number))
		chain->kind = SC_NFT_CHAIN_OPENING;
	else if (!strcmp(chain->name, SC_NFT_CHAIN_REFUSE_ALL))
		chain->kind = SC_NFT_CHAIN_REFUSAL;
	else if (sc_nft_try_parse(chain->name, &chain->number))
		chain->kind = SC_NFT_CHAIN_TRIES;
	else
		return false;
	return !tb[NFTA_CHAIN_HOOK];
}

bool sc_nft_table_matches(const struct nlmsghdr *nlh)
{
	static const struct nla_policy policy[NFTA_TABLE_MAX + 1] = {
		[NFTA_TABLE_FLAGS] = {.type = NLA_U32},
	};
	struct nlattr *tb[NFTA_TABLE_MAX + 1];

	/* A dormant one lets everything pass. */
	return (nlh->nlmsg_type & 0xff) == NFT_MSG_NEWTABLE &&
	       nlmsg_parse((void *)nlh, HEADER, tb, NFTA_TABLE_MAX, policy) == 0 &&
	       !(u32_of(tb, NFTA_TABLE_FLAGS, 0) & NFT_TABLE_F_DORMANT);
}

bool sc_nft_generation_parse(const struct nlmsghdr *nlh, uint32_t *generation)
{
	static const struct nla_policy policy[NFTA_GEN_MAX + 1] = {
		[NFTA_GEN_ID] = {.type = NLA_U32},
	};
	struct nlattr *tb[NFTA_GEN_MAX + 1];

	if ((nlh->nlmsg_type & 0xff) != NFT_MSG_NEWGEN ||
	    nlmsg_parse((void *)nlh, HEADER, tb, NFTA_GEN_MAX, policy) < 0 || !tb[NFTA_GEN_ID])
		return false;
	*generation = ntohl(nla_get_u32(tb[NFTA_GEN_ID]));
	return true;
}
