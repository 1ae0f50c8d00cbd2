/* SPDX-License-Identifier: Apache-2.0 */
/* Elements of the sets as messages, there and back. */
#include "sys/nft_impl.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

/* In one message: the list is one attribute, which ends at 64 KiB; one takes at most 72 bytes. */
#define ELEMENTS_PER_MESSAGE 500

/* Elements of one set, a message begun when the first is there. */
struct list {
	struct sc_nft_batch *b;
	const char *table;
	char set[SC_NFT_NAME_MAX];
	unsigned int type, flags;
	struct nlattr *nest;
	uint32_t n;
};

static void list_end(struct list *list)
{
	if (!list->n)
		return;
	sc_nft_nest_end(list->b, list->nest);
	sc_nft_message_end(list->b);
	list->n = 0;
}

static void put_jump(struct sc_nft_batch *b, uint32_t number)
{
	char chain[SC_NFT_NAME_MAX];
	struct nlattr *data = sc_nft_nest(b, NFTA_SET_ELEM_DATA);
	struct nlattr *verdict = sc_nft_nest(b, NFTA_DATA_VERDICT);

	sc_nft_try_name(chain, number);
	sc_nft_put_u32(b, NFTA_VERDICT_CODE, (uint32_t)NFT_JUMP);
	sc_nft_put_text(b, NFTA_VERDICT_CHAIN, chain);
	sc_nft_nest_end(b, verdict);
	sc_nft_nest_end(b, data);
}

static void list_add(struct list *list, const struct sc_nft_element *e)
{
	struct sc_nft_batch *b = list->b;
	struct nlattr *outer, *key;

	if (list->n == ELEMENTS_PER_MESSAGE)
		list_end(list);
	if (!list->n) {
		sc_nft_message_begin(b, list->type, list->flags);
		sc_nft_put_text(b, NFTA_SET_ELEM_LIST_TABLE, list->table);
		sc_nft_put_text(b, NFTA_SET_ELEM_LIST_SET, list->set);
		list->nest = sc_nft_nest(b, NFTA_SET_ELEM_LIST_ELEMENTS);
	}
	list->n++;
	outer = sc_nft_nest(b, NFTA_LIST_ELEM);
	key = sc_nft_nest(b, NFTA_SET_ELEM_KEY);
	sc_nft_put_bytes(b, NFTA_DATA_VALUE, &e->cgroup_id, sizeof(e->cgroup_id));
	sc_nft_nest_end(b, key);
	if (list->type == NFT_MSG_NEWSETELEM && e->verdict == SC_NFT_TRY)
		put_jump(b, e->number);
	sc_nft_nest_end(b, outer);
}

/* Which sets the change touches: a bit for each level, by verdict. */
static void find_levels(const struct sc_nft_changes *c, bool is_new,
			uint32_t levels[SC_NFT_VERDICT_COUNT])
{
	memset(levels, 0, SC_NFT_VERDICT_COUNT * sizeof(*levels));
	for (uint32_t i = 0; i < c->n; i++) {
		const struct sc_nft_element *e = is_new ? c->list[i].is : c->list[i].was;

		if (e)
			levels[e->verdict] |= 1U << e->level;
	}
}

static void put_elements_of(struct list *list, const struct sc_nft_changes *c,
			    enum sc_nft_verdict verdict, uint32_t level)
{
	for (uint32_t i = 0; i < c->n; i++) {
		const struct sc_nft_element *e = list->type == NFT_MSG_NEWSETELEM ? c->list[i].is
										  : c->list[i].was;

		if (e && e->verdict == verdict && e->level == level)
			list_add(list, e);
	}
	list_end(list);
}

void sc_nft_put_elements(struct sc_nft_batch *b, const char *table,
			 const struct sc_nft_changes *changes, bool is_new)
{
	struct list list = {
		.b = b,
		.table = table,
		.type = is_new ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
		.flags = is_new ? NLM_F_CREATE | NLM_F_EXCL : 0,
	};
	uint32_t levels[SC_NFT_VERDICT_COUNT];

	find_levels(changes, is_new, levels);
	for (unsigned int v = 0; v < SC_NFT_VERDICT_COUNT; v++) {
		for (; levels[v]; levels[v] &= levels[v] - 1) {
			uint32_t level = (uint32_t)__builtin_ctz(levels[v]);

			for (unsigned int way = 0; way < SC_NFT_WAY_COUNT; way++) {
				sc_nft_set_name(list.set, v, way, level);
				put_elements_of(&list, changes, v, level);
			}
		}
	}
}

void sc_nft_put_element_question(struct sc_nft_batch *b, const char *table,
				 const struct sc_nft_element *e, enum sc_nft_way way)
{
	struct list list = {.b = b, .table = table, .type = NFT_MSG_GETSETELEM};

	sc_nft_set_name(list.set, e->verdict, way, e->level);
	list_add(&list, e);
	list_end(&list);
}

static const struct nla_policy list_policy[NFTA_SET_ELEM_LIST_MAX + 1] = {
	[NFTA_SET_ELEM_LIST_SET] = {.type = NLA_NUL_STRING},
	[NFTA_SET_ELEM_LIST_ELEMENTS] = {.type = NLA_NESTED},
};
static const struct nla_policy element_policy[NFTA_SET_ELEM_MAX + 1] = {
	[NFTA_SET_ELEM_KEY] = {.type = NLA_NESTED},
	[NFTA_SET_ELEM_DATA] = {.type = NLA_NESTED},
	[NFTA_SET_ELEM_EXPR] = {.type = NLA_NESTED},
};
static const struct nla_policy data_policy[NFTA_DATA_MAX + 1] = {
	[NFTA_DATA_VALUE] = {.minlen = sizeof(uint64_t), .maxlen = sizeof(uint64_t)},
	[NFTA_DATA_VERDICT] = {.type = NLA_NESTED},
};
static const struct nla_policy verdict_policy[NFTA_VERDICT_MAX + 1] = {
	[NFTA_VERDICT_CODE] = {.type = NLA_U32},
	[NFTA_VERDICT_CHAIN] = {.type = NLA_NUL_STRING},
};

static int parse_jump(struct nlattr *data, uint32_t *number)
{
	struct nlattr *tb[NFTA_DATA_MAX + 1], *verdict[NFTA_VERDICT_MAX + 1];

	if (!data || nla_parse_nested(tb, NFTA_DATA_MAX, data, data_policy) < 0 ||
	    !tb[NFTA_DATA_VERDICT] ||
	    nla_parse_nested(verdict, NFTA_VERDICT_MAX, tb[NFTA_DATA_VERDICT], verdict_policy) <
		    0 ||
	    !verdict[NFTA_VERDICT_CODE] || !verdict[NFTA_VERDICT_CHAIN])
		return -EBADMSG;
	if ((int)ntohl(nla_get_u32(verdict[NFTA_VERDICT_CODE])) != NFT_JUMP)
		return -EBADMSG;
	return sc_nft_try_parse(nla_data(verdict[NFTA_VERDICT_CHAIN]), number) ? 0 : -EBADMSG;
}

static int parse_element(struct nlattr *attr, struct sc_nft_seen *seen)
{
	struct nlattr *tb[NFTA_SET_ELEM_MAX + 1], *key[NFTA_DATA_MAX + 1];

	if (nla_parse_nested(tb, NFTA_SET_ELEM_MAX, attr, element_policy) < 0 ||
	    !tb[NFTA_SET_ELEM_KEY] ||
	    nla_parse_nested(key, NFTA_DATA_MAX, tb[NFTA_SET_ELEM_KEY], data_policy) < 0 ||
	    !key[NFTA_DATA_VALUE])
		return -EBADMSG;
	memcpy(&seen->cgroup_id, nla_data(key[NFTA_DATA_VALUE]), sizeof(seen->cgroup_id));
	seen->packets = seen->bytes = 0;
	if (tb[NFTA_SET_ELEM_EXPR])
		sc_nft_counter_parse(tb[NFTA_SET_ELEM_EXPR], &seen->packets, &seen->bytes);
	seen->number = 0;
	return seen->verdict == SC_NFT_TRY ? parse_jump(tb[NFTA_SET_ELEM_DATA], &seen->number) : 0;
}

int sc_nft_elements_parse(const struct nlmsghdr *nlh,
			  int (*fn)(void *arg, const struct sc_nft_seen *seen), void *arg)
{
	struct nlattr *tb[NFTA_SET_ELEM_LIST_MAX + 1], *attr;
	struct sc_nft_seen seen;
	int left, r = 0;

	if ((nlh->nlmsg_type & 0xff) != NFT_MSG_NEWSETELEM ||
	    nlmsg_parse((struct nlmsghdr *)nlh, sizeof(struct nfgenmsg), tb, NFTA_SET_ELEM_LIST_MAX,
			list_policy) < 0 ||
	    !tb[NFTA_SET_ELEM_LIST_SET] ||
	    !sc_nft_set_parse(nla_data(tb[NFTA_SET_ELEM_LIST_SET]), &seen.verdict, &seen.way,
			      &seen.level))
		return -EBADMSG;
	if (!tb[NFTA_SET_ELEM_LIST_ELEMENTS])
		return 0; /* an empty set */
	nla_for_each_nested(attr, tb[NFTA_SET_ELEM_LIST_ELEMENTS], left)
	{
		r = parse_element(attr, &seen);
		if (r == 0)
			r = fn(arg, &seen);
		if (r < 0)
			break;
	}
	return r;
}
