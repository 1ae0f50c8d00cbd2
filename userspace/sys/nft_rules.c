/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules, as `nft list` prints them; for output likewise:
 *
 *	chain input {
 *		socket cgroupv2 level 2 @drop_in_2 drop
 *		socket cgroupv2 level 3 @all_in_3 jump refuse_all
 *		tcp flags syn / fin,syn,rst,ack jump opening_in
 *	}
 *	chain opening_in {
 *		socket cgroupv2 level 3 @new_in_3 reject with tcp reset
 *		socket cgroupv2 level 3 vmap @try_in_3
 *	}
 *
 * To find a packet's socket and cgroup takes 50 to 100 ns and is done for every packet of the host,
 * so there are only rules for what is in use: most packets of a host that refuses new connections
 * are seen by one comparison, and those of a host that has a gate to drop what it drops by no rule
 * at all. Where other rules are in use too, what is left to the gate is accepted ahead of them: no
 * weaker rule shall answer what the gate lets vanish.
 *
 * New connections are told by the packet alone: to ask conntrack would switch it on for the host.
 */
#include "sys/nft_impl.h"

#include "base/str.h"

#include <netinet/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

/* RFC 9293, 3.1 */
#define TCP_FLAGS_OFFSET 13
#define TCP_FIN          0x01
#define TCP_SYN          0x02
#define TCP_RST          0x04
#define TCP_ACK          0x10
#define TCP_FLAGS_OPEN   (TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK) /* of which SYN alone opens */
/* The slowest rate there is: beyond the allowance one more passes in a week. */
#define WEEK_S 604800
/* TLV of nft(8): type 0 is the comment of a rule. */
#define USERDATA_COMMENT 0
#define COMMENT_MAX      64

static struct nlattr *rule_begin(struct sc_nft_batch *b, const char *table, const char *chain)
{
	sc_nft_message_begin(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
	sc_nft_put_text(b, NFTA_RULE_TABLE, table);
	sc_nft_put_text(b, NFTA_RULE_CHAIN, chain);
	return sc_nft_nest(b, NFTA_RULE_EXPRESSIONS);
}

static void rule_end(struct sc_nft_batch *b, struct nlattr *expressions, const char *comment)
{
	char data[2 + COMMENT_MAX] = {USERDATA_COMMENT};

	sc_nft_nest_end(b, expressions);
	if (comment) {
		(void)sc_strcopy(data + 2, COMMENT_MAX, comment);
		data[1] = (char)(strlen(data + 2) + 1);
		sc_nft_put_bytes(b, NFTA_RULE_USERDATA, data, 2 + (size_t)data[1]);
	}
	sc_nft_message_end(b);
}

struct expression {
	struct nlattr *outer, *data;
};

static struct expression expression_begin(struct sc_nft_batch *b, const char *name)
{
	struct expression e = {.outer = sc_nft_nest(b, NFTA_LIST_ELEM)};

	sc_nft_put_text(b, NFTA_EXPR_NAME, name);
	e.data = sc_nft_nest(b, NFTA_EXPR_DATA);
	return e;
}

static void expression_end(struct sc_nft_batch *b, struct expression e)
{
	sc_nft_nest_end(b, e.data);
	sc_nft_nest_end(b, e.outer);
}

static void put_value(struct sc_nft_batch *b, int attr, const void *data, size_t n)
{
	struct nlattr *nest = sc_nft_nest(b, attr);

	sc_nft_put_bytes(b, NFTA_DATA_VALUE, data, n);
	sc_nft_nest_end(b, nest);
}

static void put_compare(struct sc_nft_batch *b, enum nft_cmp_ops op, uint8_t value)
{
	struct expression e = expression_begin(b, "cmp");

	sc_nft_put_u32(b, NFTA_CMP_SREG, NFT_REG_1);
	sc_nft_put_u32(b, NFTA_CMP_OP, op);
	put_value(b, NFTA_CMP_DATA, &value, sizeof(value));
	expression_end(b, e);
}

static void put_is_tcp(struct sc_nft_batch *b)
{
	struct expression e = expression_begin(b, "meta");

	sc_nft_put_u32(b, NFTA_META_KEY, NFT_META_L4PROTO);
	sc_nft_put_u32(b, NFTA_META_DREG, NFT_REG_1);
	expression_end(b, e);
	put_compare(b, NFT_CMP_EQ, IPPROTO_TCP);
}

/* Compares those flags of the TCP header that are in mask with value. */
static void put_tcp_flags(struct sc_nft_batch *b, uint8_t mask, enum nft_cmp_ops op, uint8_t value)
{
	uint8_t zero = 0;
	struct expression e;

	put_is_tcp(b);
	e = expression_begin(b, "payload");
	sc_nft_put_u32(b, NFTA_PAYLOAD_DREG, NFT_REG_1);
	sc_nft_put_u32(b, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER);
	sc_nft_put_u32(b, NFTA_PAYLOAD_OFFSET, TCP_FLAGS_OFFSET);
	sc_nft_put_u32(b, NFTA_PAYLOAD_LEN, 1);
	expression_end(b, e);
	e = expression_begin(b, "bitwise");
	sc_nft_put_u32(b, NFTA_BITWISE_SREG, NFT_REG_1);
	sc_nft_put_u32(b, NFTA_BITWISE_DREG, NFT_REG_1);
	sc_nft_put_u32(b, NFTA_BITWISE_LEN, 1);
	put_value(b, NFTA_BITWISE_MASK, &mask, 1);
	put_value(b, NFTA_BITWISE_XOR, &zero, 1);
	expression_end(b, e);
	put_compare(b, op, value);
}

/* The ancestor at that level of the cgroup whose socket the packet is from or to. */
static void put_cgroup(struct sc_nft_batch *b, uint32_t level)
{
	struct expression e = expression_begin(b, "socket");

	sc_nft_put_u32(b, NFTA_SOCKET_KEY, NFT_SOCKET_CGROUPV2);
	sc_nft_put_u32(b, NFTA_SOCKET_DREG, NFT_REG_1);
	sc_nft_put_u32(b, NFTA_SOCKET_LEVEL, level);
	expression_end(b, e);
}

static void put_lookup(struct sc_nft_batch *b, const char *set, bool is_map)
{
	struct expression e = expression_begin(b, "lookup");

	sc_nft_put_text(b, NFTA_LOOKUP_SET, set);
	sc_nft_put_u32(b, NFTA_LOOKUP_SREG, NFT_REG_1);
	if (is_map)
		sc_nft_put_u32(b, NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
	expression_end(b, e);
}

/* chain: NULL unless code jumps. */
static void put_verdict(struct sc_nft_batch *b, int code, const char *chain)
{
	struct expression e = expression_begin(b, "immediate");
	struct nlattr *data, *verdict;

	sc_nft_put_u32(b, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	data = sc_nft_nest(b, NFTA_IMMEDIATE_DATA);
	verdict = sc_nft_nest(b, NFTA_DATA_VERDICT);
	sc_nft_put_u32(b, NFTA_VERDICT_CODE, (uint32_t)code);
	if (chain)
		sc_nft_put_text(b, NFTA_VERDICT_CHAIN, chain);
	sc_nft_nest_end(b, verdict);
	sc_nft_nest_end(b, data);
	expression_end(b, e);
}

static void put_reset(struct sc_nft_batch *b)
{
	struct expression e = expression_begin(b, "reject");

	sc_nft_put_u32(b, NFTA_REJECT_TYPE, NFT_REJECT_TCP_RST);
	expression_end(b, e);
}

static void put_prohibited(struct sc_nft_batch *b)
{
	uint8_t code = NFT_REJECT_ICMPX_ADMIN_PROHIBITED;
	struct expression e = expression_begin(b, "reject");

	sc_nft_put_u32(b, NFTA_REJECT_TYPE, NFT_REJECT_ICMPX_UNREACH);
	sc_nft_put_bytes(b, NFTA_REJECT_ICMP_CODE, &code, sizeof(code));
	expression_end(b, e);
}

static void put_counter(struct sc_nft_batch *b)
{
	struct nlattr *e = sc_nft_nest(b, NFTA_LIST_ELEM);

	sc_nft_put_text(b, NFTA_EXPR_NAME, "counter");
	sc_nft_nest_end(b, e);
}

static void put_limit(struct sc_nft_batch *b, uint32_t burst)
{
	struct expression e = expression_begin(b, "limit");

	sc_nft_put_u64(b, NFTA_LIMIT_RATE, 1);
	sc_nft_put_u64(b, NFTA_LIMIT_UNIT, WEEK_S);
	sc_nft_put_u32(b, NFTA_LIMIT_BURST, burst);
	sc_nft_put_u32(b, NFTA_LIMIT_TYPE, NFT_LIMIT_PKTS);
	expression_end(b, e);
}

/* One chain being filled. */
struct place {
	const char *table, *chain;
	enum sc_nft_way way;
};

/* What becomes of a packet, beside what a map says. */
static void put_end(struct sc_nft_batch *b, enum sc_nft_verdict verdict, bool has_gate)
{
	if (verdict == SC_NFT_REFUSE_ALL)
		put_verdict(b, NFT_JUMP, SC_NFT_CHAIN_REFUSE_ALL);
	else if (verdict == SC_NFT_REFUSE_NEW)
		put_reset(b);
	else if (verdict == SC_NFT_DROP)
		put_verdict(b, has_gate ? NF_ACCEPT : NF_DROP, NULL);
}

static void put_rules_of_sets(struct sc_nft_batch *b, const struct place *p,
			      enum sc_nft_verdict verdict, const struct sc_nft_model *is)
{
	bool is_left_to_gate = verdict == SC_NFT_DROP && is->has_gate;
	char set[SC_NFT_NAME_MAX];

	for (uint32_t levels = is->levels[verdict]; levels; levels &= levels - 1) {
		uint32_t level = (uint32_t)__builtin_ctz(levels);
		struct nlattr *rule = rule_begin(b, p->table, p->chain);

		sc_nft_set_name(set, verdict, p->way, level);
		put_cgroup(b, level);
		put_lookup(b, set, verdict == SC_NFT_TRY);
		put_end(b, verdict, is->has_gate);
		rule_end(b, rule, is_left_to_gate ? SC_NFT_COMMENT_GATE : NULL);
	}
}

static void put_rules_base(struct sc_nft_batch *b, const struct place *p,
			   const struct sc_nft_model *is)
{
	struct nlattr *rule;

	if (!is->has_gate || is->levels[SC_NFT_REFUSE_ALL])
		put_rules_of_sets(b, p, SC_NFT_DROP, is);
	put_rules_of_sets(b, p, SC_NFT_REFUSE_ALL, is);
	if (!is->levels[SC_NFT_REFUSE_NEW] && !is->levels[SC_NFT_TRY])
		return;
	rule = rule_begin(b, p->table, p->chain);
	put_tcp_flags(b, TCP_FLAGS_OPEN, NFT_CMP_EQ, TCP_SYN);
	put_verdict(b, NFT_JUMP, sc_nft_opening_names[p->way]);
	rule_end(b, rule, NULL);
}

static void put_rules_opening(struct sc_nft_batch *b, const struct place *p,
			      const struct sc_nft_model *is)
{
	if (!is->levels[SC_NFT_REFUSE_NEW] && !is->levels[SC_NFT_TRY])
		return;
	if (is->has_gate && !is->levels[SC_NFT_REFUSE_ALL])
		put_rules_of_sets(b, p, SC_NFT_DROP, is);
	put_rules_of_sets(b, p, SC_NFT_REFUSE_NEW, is);
	put_rules_of_sets(b, p, SC_NFT_TRY, is);
}

void sc_nft_put_rules_hooks(struct sc_nft_batch *b, const char *table,
			    const struct sc_nft_model *is)
{
	for (unsigned int way = 0; way < SC_NFT_WAY_COUNT; way++) {
		struct place base = {table, sc_nft_base_names[way], way};
		struct place opening = {table, sc_nft_opening_names[way], way};

		if (sc_nft_model_has_hooks(is))
			put_rules_base(b, &base, is);
		put_rules_opening(b, &opening, is);
	}
}

void sc_nft_put_rules_refuse_all(struct sc_nft_batch *b, const char *table)
{
	struct nlattr *rule = rule_begin(b, table, SC_NFT_CHAIN_REFUSE_ALL);

	/* Our own answer comes by here on its way to a socket of the cgroup. */
	put_tcp_flags(b, TCP_RST, NFT_CMP_NEQ, 0);
	put_verdict(b, NFT_RETURN, NULL);
	rule_end(b, rule, "a reset is never answered");
	rule = rule_begin(b, table, SC_NFT_CHAIN_REFUSE_ALL);
	put_is_tcp(b);
	put_reset(b);
	rule_end(b, rule, NULL);
	rule = rule_begin(b, table, SC_NFT_CHAIN_REFUSE_ALL);
	put_prohibited(b);
	rule_end(b, rule, NULL);
}

static void write_comment(char out[static COMMENT_MAX], const struct sc_nft_try *try)
{
	snprintf(out, COMMENT_MAX, "attempt %u: lets %u through", try->attempt, try->tries);
}

void sc_nft_put_rules_try(struct sc_nft_batch *b, const char *table, uint32_t number,
			  const struct sc_nft_try *try)
{
	char chain[SC_NFT_NAME_MAX], comment[COMMENT_MAX];
	struct nlattr *rule;

	sc_nft_try_name(chain, number);
	write_comment(comment, try);
	rule = rule_begin(b, table, chain);
	put_limit(b, try->tries);
	put_counter(b);
	put_verdict(b, NFT_RETURN, NULL);
	rule_end(b, rule, comment);
	rule = rule_begin(b, table, chain);
	put_reset(b);
	rule_end(b, rule, NULL);
}

bool sc_nft_try_comment_parse(const char *comment, struct sc_nft_try *try)
{
	struct sc_nft_try t = {0};
	char same[COMMENT_MAX];

	if (sscanf(comment, "attempt %10u: lets %10u through", &t.attempt, &t.tries) != 2)
		return false;
	write_comment(same, &t);
	if (strcmp(comment, same) != 0)
		return false;
	*try = t;
	return true;
}
