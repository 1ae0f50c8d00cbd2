/* SPDX-License-Identifier: Apache-2.0 */
/* Reads what nf_tables answers. No system call here: what it is fed may be anything. */
#include "sys/nft_impl.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

/* What was refused, for people. */
static const char *const request_names[] = {
	[NFT_MSG_NEWTABLE] = "a new table",         [NFT_MSG_GETTABLE] = "a look at a table",
	[NFT_MSG_DELTABLE] = "deleting a table",    [NFT_MSG_NEWCHAIN] = "a new chain",
	[NFT_MSG_GETCHAIN] = "a look at chains",    [NFT_MSG_DELCHAIN] = "deleting a chain",
	[NFT_MSG_NEWRULE] = "a new rule",           [NFT_MSG_GETRULE] = "a look at rules",
	[NFT_MSG_DELRULE] = "deleting rules",       [NFT_MSG_NEWSET] = "a new set",
	[NFT_MSG_GETSET] = "a look at sets",        [NFT_MSG_DELSET] = "deleting a set",
	[NFT_MSG_NEWSETELEM] = "new elements",      [NFT_MSG_GETSETELEM] = "a look at elements",
	[NFT_MSG_DELSETELEM] = "deleting elements",
};

static const char *request_name(uint16_t type)
{
	unsigned int i = type & 0xff;

	if (type >> 8 == NFNL_SUBSYS_NFTABLES && i < SC_ARRAY_SIZE(request_names) &&
	    request_names[i])
		return request_names[i];
	return "the transaction";
}

/* The kernel's own words about an error: extended acknowledgement, Documentation/userspace-api/
 * netlink/intro.rst. NULL when it has none. *offset is of the attribute it means, 0 = none. */
static const char *extended_text(const struct nlmsghdr *nlh, uint32_t *offset)
{
	static const struct nla_policy policy[NLMSGERR_ATTR_MAX + 1] = {
		[NLMSGERR_ATTR_MSG] = {.type = NLA_STRING},
		[NLMSGERR_ATTR_OFFS] = {.type = NLA_U32},
	};
	const struct nlmsgerr *e = NLMSG_DATA(nlh);
	struct nlattr *tb[NLMSGERR_ATTR_MAX + 1];
	const char *text;
	size_t skip = sizeof(*e);

	*offset = 0;
	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return NULL;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED) && e->msg.nlmsg_len > sizeof(e->msg))
		skip += NLMSG_ALIGN(e->msg.nlmsg_len - sizeof(e->msg));
	if (NLMSG_HDRLEN + skip > nlh->nlmsg_len)
		return NULL;
	if (nla_parse(tb, NLMSGERR_ATTR_MAX, (void *)((const char *)e + skip),
		      (int)(nlh->nlmsg_len - NLMSG_HDRLEN - skip), policy) < 0)
		return NULL;
	if (tb[NLMSGERR_ATTR_OFFS])
		*offset = nla_get_u32(tb[NLMSGERR_ATTR_OFFS]);
	if (!tb[NLMSGERR_ATTR_MSG])
		return NULL;
	text = nla_data(tb[NLMSGERR_ATTR_MSG]);
	return memchr(text, '\0', (size_t)nla_len(tb[NLMSGERR_ATTR_MSG])) ? text : NULL;
}

static void fail(struct sc_nft_reply *r, int error, const char *text)
{
	if (r->error)
		return;
	r->error = error;
	snprintf(r->text, sizeof(r->text), "%s", text);
}

static void fail_as_told(struct sc_nft_reply *r, const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *e = NLMSG_DATA(nlh);
	uint32_t offset;
	const char *words = extended_text(nlh, &offset);
	char where[48] = "";

	if (r->error)
		return;
	r->error = e->error;
	if (offset)
		snprintf(where, sizeof(where), ", at byte %u of the message", offset);
	snprintf(r->text, sizeof(r->text), "nf_tables refuses %s: %s%s%s%s%s",
		 request_name(e->msg.nlmsg_type), strerror(-e->error), words ? " (" : "",
		 words ? words : "", words ? ")" : "", where);
}

static int give(struct sc_nft_reply *r, const struct nlmsghdr *nlh, int error)
{
	return r->take ? r->take(r->arg, nlh, error) : 0;
}

static void feed_error(struct sc_nft_reply *r, const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *e = NLMSG_DATA(nlh);
	int error = 0;

	if (nlh->nlmsg_len < NLMSG_LENGTH(sizeof(*e)) || e->error > 0) {
		fail(r, -EBADMSG, "nf_tables answers with a garbled message");
		r->is_done = true;
		return;
	}
	if (e->error && r->what != SC_NFT_QUESTIONS)
		fail_as_told(r, nlh);
	else if (e->error)
		error = give(r, nlh, e->error);
	if (error < 0)
		fail(r, error, "");
	/* An error of its first message ends a transaction, unless that was the commit's: then the
	 * other answers follow, and are skipped by their numbers next time. */
	r->is_done = r->what == SC_NFT_DUMP || nlh->nlmsg_seq == r->last ||
		     (r->what == SC_NFT_TRANSACTION && e->error && nlh->nlmsg_seq == r->first);
}

static void feed_dump_end(struct sc_nft_reply *r, const struct nlmsghdr *nlh)
{
	int error = 0;

	if (nlh->nlmsg_len >= NLMSG_LENGTH(sizeof(error)))
		memcpy(&error, NLMSG_DATA(nlh), sizeof(error));
	if (error < 0)
		fail(r, error, strerror(-error));
	r->is_done = true;
}

static void feed_one(struct sc_nft_reply *r, const struct nlmsghdr *nlh)
{
	int error;

	if (nlh->nlmsg_seq - r->first > r->last - r->first || nlh->nlmsg_type == NLMSG_NOOP)
		return;
	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		r->is_interrupted = true;
	if (nlh->nlmsg_type == NLMSG_ERROR) {
		feed_error(r, nlh);
	} else if (nlh->nlmsg_type == NLMSG_DONE) {
		feed_dump_end(r, nlh);
	} else if (nlh->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES ||
		   nlh->nlmsg_len < NLMSG_LENGTH(sizeof(struct nfgenmsg))) {
		fail(r, -EBADMSG, "nf_tables answers with a message of another kind");
	} else {
		error = give(r, nlh, 0);
		if (error < 0)
			fail(r, error, "nf_tables answers with something unknown");
	}
}

void sc_nft_reply_feed(struct sc_nft_reply *r, const void *data, size_t n)
{
	struct nlmsghdr *nlh = (void *)data;
	int left = (int)n;

	for (; !r->is_done && nlmsg_ok(nlh, left); nlh = nlmsg_next(nlh, &left))
		feed_one(r, nlh);
	if (!r->is_done && left > 0) {
		fail(r, -EBADMSG, "nf_tables answers with a message that is cut off");
		r->is_done = r->what != SC_NFT_DUMP; /* a dump has to be read to its end */
	}
}

int sc_nft_heap_add(struct sc_nft_heap *h, const struct nlmsghdr *nlh)
{
	size_t size = NLMSG_ALIGN(nlh->nlmsg_len);

	if (h->len + size > h->cap) {
		size_t cap = 2 * (h->cap + size);
		char *data = realloc(h->data, cap);

		if (!data)
			return -ENOMEM;
		h->data = data;
		h->cap = cap;
	}
	memcpy(h->data + h->len, nlh, nlh->nlmsg_len);
	h->len += size;
	return 0;
}
