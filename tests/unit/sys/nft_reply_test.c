/* SPDX-License-Identifier: Apache-2.0 */
/* What netlink may answer, in every order and in every state of decay. */
#include "sys/nft_impl.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>

#define ATTR_HEADER sizeof(struct nlattr)
#define FIRST       100 /* sequence numbers of the request: 100 to 103 */
#define LAST        103

enum kind {
	ACK,
	ERR,
	DATA,
	END,
	NOOP,
	OTHER_DATA,
	SHORT_ERR,
	POSITIVE_ERR,
	SHORT_DATA,
	KIND_COUNT
};

/* One message of the answer. */
struct said {
	enum kind kind;
	uint32_t seq;
	int error;
	uint16_t flags;
};

static size_t put(char *to, const struct said *s)
{
	struct nlmsghdr *nlh = (void *)to;
	struct nlmsgerr e = {.error = s->kind == ACK ? 0 : s->error,
			     .msg = {.nlmsg_len = 20,
				     .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE}};
	struct nfgenmsg header = {0};
	size_t n = 0;
	const void *body = &e;

	*nlh = (struct nlmsghdr){.nlmsg_seq = s->seq, .nlmsg_flags = s->flags | NLM_F_CAPPED};
	switch (s->kind) {
	case ACK:
	case ERR:
	case POSITIVE_ERR:
		nlh->nlmsg_type = NLMSG_ERROR;
		n = sizeof(e);
		break;
	case SHORT_ERR:
		nlh->nlmsg_type = NLMSG_ERROR;
		n = sizeof(e) - 1;
		break;
	case END:
		nlh->nlmsg_type = NLMSG_DONE;
		body = &s->error;
		n = sizeof(s->error);
		break;
	case NOOP:
		nlh->nlmsg_type = NLMSG_NOOP;
		break;
	case OTHER_DATA:
		nlh->nlmsg_type = 0x1234;
		body = &header;
		n = sizeof(header);
		break;
	case DATA:
	case SHORT_DATA:
	case KIND_COUNT:
		nlh->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN;
		body = &header;
		n = sizeof(header) - (s->kind == SHORT_DATA);
		break;
	}
	nlh->nlmsg_len = (uint32_t)NLMSG_LENGTH(n);
	memcpy(NLMSG_DATA(nlh), body, n);
	return NLMSG_ALIGN(nlh->nlmsg_len);
}

struct taken {
	unsigned int data, errors;
	int answer;
};

static int take(void *arg, const struct nlmsghdr *nlh, int error)
{
	struct taken *t = arg;

	(void)nlh;
	t->data += !error;
	t->errors += error != 0;
	return t->answer;
}

#define SAID_MAX 6

struct reply_case {
	const char *name;
	enum sc_nft_exchange what;
	struct said said[SAID_MAX]; /* ends at seq 0 */
	bool is_done;
	int error;
	unsigned int data, errors; /* given to take */
	int answer;                /* of take */
};

#define SAID(k, s, e)                                 \
	{                                             \
		.kind = (k), .seq = (s), .error = (e) \
	}

static const struct reply_case cases[] = {
	{.name = "acknowledged",
	 .what = SC_NFT_TRANSACTION,
	 .said = {SAID(ACK, LAST, 0)},
	 .is_done = true},
	{.name = "nothing yet", .what = SC_NFT_TRANSACTION},
	{.name = "not the last", .what = SC_NFT_TRANSACTION, .said = {SAID(ACK, FIRST + 1, 0)}},
	{.name = "refused",
	 .what = SC_NFT_TRANSACTION,
	 .said = {SAID(ERR, FIRST + 1, -ENOENT), SAID(ACK, LAST, 0)},
	 .is_done = true,
	 .error = -ENOENT},
	{.name = "the first refusal counts",
	 .what = SC_NFT_TRANSACTION,
	 .said = {SAID(ERR, FIRST + 1, -ENOENT), SAID(ERR, FIRST + 2, -EEXIST), SAID(ACK, LAST, 0)},
	 .is_done = true,
	 .error = -ENOENT},
	{.name = "the last refused",
	 .what = SC_NFT_TRANSACTION,
	 .said = {SAID(ERR, LAST, -EBUSY)},
	 .is_done = true,
	 .error = -EBUSY},
	{.name = "refused as a whole",
	 .what = SC_NFT_TRANSACTION,
	 .said = {SAID(ERR, FIRST, -EPERM)},
	 .is_done = true,
	 .error = -EPERM},
	{.name = "a stale generation",
	 .what = SC_NFT_TRANSACTION,
	 .said = {SAID(ERR, FIRST, -ERESTART)},
	 .is_done = true,
	 .error = -ERESTART},
	{.name = "commit failed",
	 .what = SC_NFT_TRANSACTION,
	 .said = {SAID(ERR, FIRST, -ENOMEM), SAID(ACK, LAST, 0)},
	 .is_done = true,
	 .error = -ENOMEM},
	{.name = "an old answer first",
	 .what = SC_NFT_TRANSACTION,
	 .said = {SAID(ERR, FIRST - 1, -EIO), SAID(ACK, LAST, 0)},
	 .is_done = true},
	{.name = "a future answer",
	 .what = SC_NFT_TRANSACTION,
	 .said = {SAID(ERR, LAST + 1, -EIO), SAID(ACK, LAST, 0)},
	 .is_done = true},
	{.name = "an event",
	 .what = SC_NFT_TRANSACTION,
	 .said = {SAID(DATA, 7, 0), SAID(ACK, LAST, 0)},
	 .is_done = true},
	{.name = "nothing meant",
	 .what = SC_NFT_TRANSACTION,
	 .said = {SAID(NOOP, FIRST, 0), SAID(ACK, LAST, 0)},
	 .is_done = true},
	{.name = "an error cut off",
	 .what = SC_NFT_TRANSACTION,
	 .said = {SAID(SHORT_ERR, LAST, 0)},
	 .is_done = true,
	 .error = -EBADMSG},
	{.name = "an error that is none",
	 .what = SC_NFT_TRANSACTION,
	 .said = {SAID(POSITIVE_ERR, LAST, 5)},
	 .is_done = true,
	 .error = -EBADMSG},
	{.name = "of another kind",
	 .what = SC_NFT_TRANSACTION,
	 .said = {SAID(OTHER_DATA, LAST, 0), SAID(ACK, LAST, 0)},
	 .is_done = true,
	 .error = -EBADMSG},
	{.name = "a refusal after the end counts no more",
	 .what = SC_NFT_TRANSACTION,
	 .said = {SAID(ACK, LAST, 0), SAID(ERR, FIRST + 1, -EIO)},
	 .is_done = true},
	{.name = "answers",
	 .what = SC_NFT_QUESTIONS,
	 .said = {SAID(DATA, FIRST, 0), SAID(DATA, LAST, 0), SAID(ACK, LAST, 0)},
	 .is_done = true,
	 .data = 2},
	{.name = "an error is an answer",
	 .what = SC_NFT_QUESTIONS,
	 .said = {SAID(ERR, FIRST, -ENOENT), SAID(DATA, LAST, 0), SAID(ACK, LAST, 0)},
	 .is_done = true,
	 .data = 1,
	 .errors = 1},
	{.name = "the last question's error ends it",
	 .what = SC_NFT_QUESTIONS,
	 .said = {SAID(ERR, LAST, -ENOENT)},
	 .is_done = true,
	 .errors = 1},
	{.name = "who asks may refuse",
	 .what = SC_NFT_QUESTIONS,
	 .said = {SAID(DATA, FIRST, 0), SAID(ACK, LAST, 0)},
	 .is_done = true,
	 .error = -EILSEQ,
	 .data = 1,
	 .answer = -EILSEQ},
	{.name = "and an error too",
	 .what = SC_NFT_QUESTIONS,
	 .said = {SAID(ERR, FIRST, -EIO), SAID(ACK, LAST, 0)},
	 .is_done = true,
	 .error = -EIO,
	 .errors = 1,
	 .answer = -EIO},
	{.name = "an answer cut off",
	 .what = SC_NFT_QUESTIONS,
	 .said = {SAID(SHORT_DATA, FIRST, 0), SAID(ACK, LAST, 0)},
	 .is_done = true,
	 .error = -EBADMSG},
	{.name = "answers without an end",
	 .what = SC_NFT_QUESTIONS,
	 .said = {SAID(DATA, FIRST, 0)},
	 .data = 1},
	{.name = "a dump",
	 .what = SC_NFT_DUMP,
	 .said = {SAID(DATA, LAST, 0), SAID(DATA, LAST, 0), SAID(END, LAST, 0)},
	 .is_done = true,
	 .data = 2},
	{.name = "an empty dump",
	 .what = SC_NFT_DUMP,
	 .said = {SAID(END, LAST, 0)},
	 .is_done = true},
	{.name = "a dump refused",
	 .what = SC_NFT_DUMP,
	 .said = {SAID(ERR, LAST, -ENOENT)},
	 .is_done = true,
	 .error = -ENOENT},
	{.name = "a dump that fails",
	 .what = SC_NFT_DUMP,
	 .said = {SAID(DATA, LAST, 0), SAID(END, LAST, -EINTR)},
	 .is_done = true,
	 .error = -EINTR,
	 .data = 1},
	{.name = "a dump without an end",
	 .what = SC_NFT_DUMP,
	 .said = {SAID(DATA, LAST, 0)},
	 .data = 1},
	{.name = "another dump's end",
	 .what = SC_NFT_DUMP,
	 .said = {SAID(END, FIRST - 1, 0), SAID(DATA, LAST, 0)},
	 .data = 1},
	{.name = "a dump is read to its end whatever it says",
	 .what = SC_NFT_DUMP,
	 .said = {SAID(DATA, LAST, 0), SAID(DATA, LAST, 0), SAID(END, LAST, 0)},
	 .is_done = true,
	 .error = -EILSEQ,
	 .data = 2,
	 .answer = -EILSEQ},
	{.name = "a garbled dump",
	 .what = SC_NFT_DUMP,
	 .said = {SAID(SHORT_DATA, LAST, 0), SAID(END, LAST, 0)},
	 .is_done = true,
	 .error = -EBADMSG},
};

static size_t put_all(char *to, const struct said *said)
{
	size_t n = 0;

	for (size_t i = 0; i < SAID_MAX && said[i].seq; i++)
		n += put(to + n, &said[i]);
	return n;
}

static void expect(const struct reply_case *c, const struct sc_nft_reply *r, const struct taken *t)
{
	cr_expect_eq(r->is_done, c->is_done, "%s", c->name);
	cr_expect_eq(r->error, c->error, "%s: %d", c->name, r->error);
	cr_expect_eq(t->data, c->data, "%s: %u answers", c->name, t->data);
	cr_expect_eq(t->errors, c->errors, "%s: %u errors", c->name, t->errors);
}

Test(nft_reply, is_understood)
{
	_Alignas(8) char buf[512];

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		const struct reply_case *c = &cases[i];
		struct taken t = {.answer = c->answer};
		struct sc_nft_reply r = {
			.what = c->what, .first = FIRST, .last = LAST, .take = take, .arg = &t};

		sc_nft_reply_feed(&r, buf, put_all(buf, c->said));
		expect(c, &r, &t);
	}
}

Test(nft_reply, is_understood_the_same_in_pieces)
{
	_Alignas(8) char buf[512];

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		const struct reply_case *c = &cases[i];
		struct taken t = {.answer = c->answer};
		struct sc_nft_reply r = {
			.what = c->what, .first = FIRST, .last = LAST, .take = take, .arg = &t};

		for (size_t k = 0; k < SAID_MAX && c->said[k].seq && !r.is_done; k++)
			sc_nft_reply_feed(&r, buf, put(buf, &c->said[k]));
		expect(c, &r, &t);
	}
}

/* Every shorter piece of every answer, in memory of just that size. */
Test(nft_reply, that_is_cut_off_is_never_read_past)
{
	_Alignas(8) char buf[512];

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		size_t whole = put_all(buf, cases[i].said);

		for (size_t n = 1; n < whole; n++) {
			struct taken t = {0};
			struct sc_nft_reply r = {.what = cases[i].what,
						 .first = FIRST,
						 .last = LAST,
						 .take = take,
						 .arg = &t};
			char *piece = malloc(n);

			memcpy(piece, buf, n);
			sc_nft_reply_feed(&r, piece, n);
			free(piece);
			cr_expect(r.is_done || r.error || n % 4 == 0, "%s: %zu of %zu",
				  cases[i].name, n, whole);
		}
	}
}

Test(nft_reply, numbers_may_run_over)
{
	_Alignas(8) char buf[128];
	struct said last = SAID(ACK, 1, 0), old = SAID(ERR, UINT32_MAX - 3, -EIO);
	struct sc_nft_reply r = {.what = SC_NFT_TRANSACTION, .first = UINT32_MAX - 2, .last = 1};

	sc_nft_reply_feed(&r, buf, put(buf, &old));
	cr_expect_not(r.is_done);
	sc_nft_reply_feed(&r, buf, put(buf, &last));
	cr_expect(r.is_done && !r.error);
}

Test(nft_reply, a_dump_tells_when_it_was_interrupted)
{
	_Alignas(8) char buf[128];
	struct said end = {END, LAST, 0, NLM_F_DUMP_INTR};
	struct sc_nft_reply r = {.what = SC_NFT_DUMP, .first = FIRST, .last = LAST};

	sc_nft_reply_feed(&r, buf, put(buf, &end));
	cr_expect(r.is_done && r.is_interrupted);
}

/* An error with the kernel's words: NLMSGERR_ATTR_MSG and NLMSGERR_ATTR_OFFS behind it. */
static size_t put_words(char *to, const char *words, uint32_t offset)
{
	struct said said = {ERR, LAST, -EINVAL, NLM_F_ACK_TLVS};
	struct nlmsghdr *nlh = (void *)to;
	size_t n = put(to, &said), text = strlen(words) + 1;
	struct nlattr attr = {.nla_len = (uint16_t)(ATTR_HEADER + text),
			      .nla_type = NLMSGERR_ATTR_MSG};
	struct nlattr offs = {.nla_len = ATTR_HEADER + 4, .nla_type = NLMSGERR_ATTR_OFFS};

	memcpy(to + n, &attr, sizeof(attr));
	memcpy(to + n + ATTR_HEADER, words, text);
	n += NLMSG_ALIGN(attr.nla_len);
	memcpy(to + n, &offs, sizeof(offs));
	memcpy(to + n + ATTR_HEADER, &offset, sizeof(offset));
	n += offs.nla_len;
	nlh->nlmsg_len = (uint32_t)n;
	return n;
}

Test(nft_reply, refusals_are_told_in_the_kernels_words)
{
	_Alignas(8) char buf[512];
	struct sc_nft_reply r = {.what = SC_NFT_TRANSACTION, .first = FIRST, .last = LAST};

	sc_nft_reply_feed(&r, buf, put_words(buf, "chain is busy", 44));
	cr_expect_eq(r.error, -EINVAL);
	cr_expect_str_eq(r.text, "nf_tables refuses a new rule: Invalid argument (chain is busy), "
				 "at byte 44 of the message");
}

Test(nft_reply, words_that_are_spoilt_are_left_out)
{
	_Alignas(8) char buf[512];
	size_t whole = put_words(buf, "chain is busy", 44);

	for (size_t i = NLMSG_LENGTH(sizeof(struct nlmsgerr)); i < whole; i++) {
		struct sc_nft_reply r = {.what = SC_NFT_TRANSACTION, .first = FIRST, .last = LAST};
		char *spoilt = malloc(whole);

		memcpy(spoilt, buf, whole);
		spoilt[i] = (char)~spoilt[i];
		sc_nft_reply_feed(&r, spoilt, whole);
		cr_expect_eq(r.error, -EINVAL);
		cr_expect_eq(memcmp(r.text, "nf_tables refuses a new rule", 28), 0);
		free(spoilt);
	}
}

Test(nft_reply, copies_are_kept_one_after_another)
{
	_Alignas(8) char buf[128];
	struct said said = SAID(DATA, FIRST, 0);
	struct sc_nft_heap heap = {0};
	size_t n = put(buf, &said);

	for (int i = 0; i < 1000; i++)
		cr_assert_eq(sc_nft_heap_add(&heap, (void *)buf), 0);
	cr_assert_eq(heap.len, 1000 * n);
	for (size_t i = 0; i < 1000; i++)
		cr_assert_eq(memcmp(heap.data + i * n, buf, n), 0);
	free(heap.data);
}
