/* SPDX-License-Identifier: Apache-2.0 */
/* Builds messages for nf_tables, many in one buffer. Knows nothing of cgroups and verdicts. */
#include "sys/nft_impl.h"

#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>
#include <sys/socket.h>

/* The longest message: a list of elements, which as an attribute ends at 64 KiB. */
#define MESSAGE_MAX (72 * 1024)
/* At first, and more than a message; the largest table we make takes 1 MiB. */
#define BATCH_MIN (128 * 1024)

int sc_nft_batch_init(struct sc_nft_batch *b)
{
	*b = (struct sc_nft_batch){.first = 1, .next = 1, .cap = BATCH_MIN};
	b->one = nlmsg_alloc_size(MESSAGE_MAX);
	b->data = malloc(b->cap);
	return b->one && b->data ? 0 : -ENOMEM;
}

void sc_nft_batch_done(struct sc_nft_batch *b)
{
	nlmsg_free(b->one);
	free(b->data);
	b->one = NULL;
	b->data = NULL;
}

void sc_nft_batch_reset(struct sc_nft_batch *b)
{
	b->first = b->next;
	b->len = 0;
	b->last = 0;
	b->error = 0;
}

/* Begins a message of any nfnetlink subsystem in b->one. */
static void begin(struct sc_nft_batch *b, int type, unsigned int flags,
		  const struct nfgenmsg *header)
{
	struct nlmsghdr *nlh = nlmsg_hdr(b->one);

	nlh->nlmsg_len = NLMSG_HDRLEN; /* whatever the buffer held before */
	nlh = nlmsg_put(b->one, 0, b->next++, type, 0, (int)flags | NLM_F_REQUEST);
	if (!nlh || nlmsg_append(b->one, (void *)header, sizeof(*header), NLMSG_ALIGNTO) < 0)
		b->error = -ENOMEM;
}

void sc_nft_message_begin(struct sc_nft_batch *b, unsigned int type, unsigned int flags)
{
	struct nfgenmsg header = {.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0};

	begin(b, (int)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, &header);
}

void sc_nft_message_end(struct sc_nft_batch *b)
{
	const struct nlmsghdr *nlh = nlmsg_hdr(b->one);
	size_t size = NLMSG_ALIGN(nlh->nlmsg_len);

	if (b->error)
		return;
	if (b->len + size > b->cap) {
		char *data = realloc(b->data, 2 * b->cap);

		if (!data) {
			b->error = -ENOMEM;
			return;
		}
		b->data = data;
		b->cap *= 2;
	}
	memset(b->data + b->len + nlh->nlmsg_len, 0, size - nlh->nlmsg_len);
	memcpy(b->data + b->len, nlh, nlh->nlmsg_len);
	b->last = b->len;
	b->len += size;
}

static const struct nfgenmsg bounds = {.version = NFNETLINK_V0};

void sc_nft_transaction_begin(struct sc_nft_batch *b, uint32_t generation)
{
	struct nfgenmsg header = bounds;

	header.res_id = htons(NFNL_SUBSYS_NFTABLES);
	begin(b, NFNL_MSG_BATCH_BEGIN, 0, &header);
	if (generation)
		sc_nft_put_u32(b, NFNL_BATCH_GENID, generation);
	sc_nft_message_end(b);
}

void sc_nft_batch_ack(struct sc_nft_batch *b)
{
	struct nlmsghdr *nlh = (void *)(b->data + b->last);

	if (b->len)
		nlh->nlmsg_flags |= NLM_F_ACK;
}

void sc_nft_transaction_end(struct sc_nft_batch *b, bool is_commit)
{
	struct nfgenmsg header = bounds;
	size_t last = b->last;

	sc_nft_batch_ack(b);
	if (!is_commit)
		return;
	header.res_id = htons(NFNL_SUBSYS_NFTABLES);
	begin(b, NFNL_MSG_BATCH_END, 0, &header);
	sc_nft_message_end(b);
	b->last = last; /* kernels before 6.10 do not acknowledge the end */
}

static void keep(struct sc_nft_batch *b, int r)
{
	if (r < 0 && !b->error)
		b->error = -EMSGSIZE;
}

void sc_nft_put_u32(struct sc_nft_batch *b, int attr, uint32_t v)
{
	keep(b, nla_put_u32(b->one, attr, htonl(v)));
}

void sc_nft_put_u64(struct sc_nft_batch *b, int attr, uint64_t v)
{
	keep(b, nla_put_u64(b->one, attr, htobe64(v)));
}

void sc_nft_put_text(struct sc_nft_batch *b, int attr, const char *text)
{
	keep(b, nla_put_string(b->one, attr, text));
}

void sc_nft_put_bytes(struct sc_nft_batch *b, int attr, const void *data, size_t n)
{
	keep(b, nla_put(b->one, attr, (int)n, data));
}

struct nlattr *sc_nft_nest(struct sc_nft_batch *b, int attr)
{
	struct nlattr *nest = nla_nest_start(b->one, attr);

	keep(b, nest ? 0 : -1);
	return nest;
}

void sc_nft_nest_end(struct sc_nft_batch *b, struct nlattr *nest)
{
	if (nest)
		keep(b, nla_nest_end(b->one, nest));
}
