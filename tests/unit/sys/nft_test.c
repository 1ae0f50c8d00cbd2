/* SPDX-License-Identifier: Apache-2.0 */
/* The table as a function of what is wanted, as messages, and as the kernel tells it: without one.
 */
#include "sys/nft_impl.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#define TABLE "scram"

static struct sc_nft_model was, is;
static struct sc_nft_changes changes;
static struct sc_nft_batch batch;

static void init(void)
{
	cr_assert_eq(sc_nft_batch_init(&batch), 0);
}

static void fini(void)
{
	sc_nft_batch_done(&batch);
	sc_nft_changes_done(&changes);
	sc_nft_model_done(&was);
	sc_nft_model_done(&is);
}

TestSuite(nft_model, .init = init, .fini = fini);

static const struct sc_nft_element one_of_each[] = {
	{.cgroup_id = 10, .level = 1, .verdict = SC_NFT_DROP},
	{.cgroup_id = 20, .level = 2, .verdict = SC_NFT_REFUSE_ALL},
	{.cgroup_id = 30, .level = 3, .verdict = SC_NFT_REFUSE_NEW},
	{.cgroup_id = 40, .level = 31, .verdict = SC_NFT_TRY, .number = 7, .tries = 3},
	{.cgroup_id = 50, .level = 3, .verdict = SC_NFT_TRY, .number = 7, .tries = 3},
	{.cgroup_id = 60, .level = 3, .verdict = SC_NFT_TRY, .number = 1023, .tries = 10000},
};
static const struct sc_nft_want each = {one_of_each, SC_ARRAY_SIZE(one_of_each), true};

Test(nft_model, is_what_is_wanted)
{
	cr_assert_eq(sc_nft_model_of(&is, &each, NULL), 0);
	cr_expect_eq(is.n, each.n);
	cr_expect_eq(is.levels[SC_NFT_DROP], 1U << 1);
	cr_expect_eq(is.levels[SC_NFT_REFUSE_ALL], 1U << 2);
	cr_expect_eq(is.levels[SC_NFT_REFUSE_NEW], 1U << 3);
	cr_expect_eq(is.levels[SC_NFT_TRY], 1U << 31 | 1U << 3);
	cr_expect_eq(is.tries[7].tries, 3);
	cr_expect_eq(is.tries[1023].tries, 10000);
	cr_expect(is.has_gate);
}

Test(nft_model, a_gate_without_anything_to_drop_is_not_told)
{
	struct sc_nft_want w = {one_of_each + 1, 2, true};

	cr_assert_eq(sc_nft_model_of(&is, &w, NULL), 0);
	cr_expect_not(is.has_gate);
}

Test(nft_model, refuses_what_cannot_be)
{
	static const struct {
		struct sc_nft_element e[2];
		const char *word;
	} cases[] = {
		{{{.cgroup_id = 2, .level = 1}, {.cgroup_id = 1, .level = 1}}, "ascending"},
		{{{.cgroup_id = 2, .level = 1}, {.cgroup_id = 2, .level = 2}}, "ascending"},
		{{{.cgroup_id = 1, .level = 0}, {.cgroup_id = 2, .level = 1}}, "level 0"},
		{{{.cgroup_id = 1, .level = 1}, {.cgroup_id = 2, .level = 32}}, "level 32"},
		{{{.cgroup_id = 1, .level = 1, .verdict = SC_NFT_VERDICT_COUNT},
		  {.cgroup_id = 2, .level = 1}},
		 "verdict"},
		{{{.cgroup_id = 1, .level = 1, .verdict = SC_NFT_TRY},
		  {.cgroup_id = 2, .level = 1}},
		 "0 tries"},
		{{{.cgroup_id = 1, .level = 1, .verdict = SC_NFT_TRY, .tries = 10001},
		  {.cgroup_id = 2, .level = 1}},
		 "10001 tries"},
		{{{.cgroup_id = 1, .level = 1, .verdict = SC_NFT_TRY, .tries = 1, .number = 1024},
		  {.cgroup_id = 2, .level = 1}},
		 "number 1024"},
		{{{.cgroup_id = 1, .level = 1, .verdict = SC_NFT_TRY, .tries = 1},
		  {.cgroup_id = 2, .level = 1, .verdict = SC_NFT_TRY, .tries = 2}},
		 "different"},
		{{{.cgroup_id = 1, .level = 1, .verdict = SC_NFT_TRY, .tries = 1},
		  {.cgroup_id = 2, .level = 1, .verdict = SC_NFT_TRY, .tries = 1, .attempt = 1}},
		 "different"},
	};
	struct sc_nft_want many = {one_of_each, SC_NFT_ELEMENTS_MAX + 1, false};
	struct sc_diag diag;

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct sc_nft_want w = {cases[i].e, 2, false};

		cr_expect_eq(sc_nft_model_of(&is, &w, &diag), -EINVAL, "case %zu", i);
		cr_expect(strstr(diag.text, cases[i].word), "case %zu: %s", i, diag.text);
	}
	cr_expect_eq(sc_nft_model_of(&is, &many, &diag), -EINVAL);
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 16;
}

static uint32_t random_elements(struct sc_nft_element *e, uint32_t max, uint32_t *state)
{
	uint32_t n = 0;

	for (uint64_t id = 1; id <= max; id++)
		if (next_random(state) % 3)
			e[n++] = (struct sc_nft_element){.cgroup_id = id,
							 .level = 1 + next_random(state) % 2,
							 .verdict = next_random(state) % 4,
							 .number = next_random(state) % 2,
							 .tries = 2};
	return n;
}

static const struct sc_nft_element *find(const struct sc_nft_model *m, uint64_t id)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (m->elements[i].cgroup_id == id)
			return &m->elements[i];
	return NULL;
}

/* Every cgroup by itself, against the walk through both lists. */
Test(nft_model, changes_are_those_that_a_naive_look_finds)
{
	static struct sc_nft_element a[64], b[64];
	uint32_t state = 1;

	for (int round = 0; round < 300; round++) {
		struct sc_nft_want wa = {a, random_elements(a, 64, &state), false};
		struct sc_nft_want wb = {b, random_elements(b, 64, &state), false};
		uint32_t n = 0;

		cr_assert_eq(sc_nft_model_of(&was, &wa, NULL), 0);
		cr_assert_eq(sc_nft_model_of(&is, &wb, NULL), 0);
		cr_assert_eq(sc_nft_changes_between(&changes, &was, &is), 0);
		for (uint64_t id = 1; id <= 64; id++) {
			const struct sc_nft_element *old = find(&was, id), *new = find(&is, id);

			if ((!old && !new) || (old && new &&sc_nft_element_same(old, new)))
				continue;
			cr_assert_lt(n, changes.n);
			cr_assert_eq(changes.list[n].was, old);
			cr_assert_eq(changes.list[n].is, new);
			n++;
		}
		cr_assert_eq(n, changes.n);
	}
}

Test(nft_model, structure_changes_with_levels_gate_and_allowances_only)
{
	struct sc_nft_element e[SC_ARRAY_SIZE(one_of_each)];
	struct sc_nft_want w = {e, SC_ARRAY_SIZE(e), true};

	memcpy(e, one_of_each, sizeof(e));
	cr_assert_eq(sc_nft_model_of(&was, &each, NULL), 0);
#define STRUCTURE_CHANGES()                                                   \
	({                                                                    \
		cr_assert_eq(sc_nft_model_of(&is, &w, NULL), 0);              \
		cr_assert_eq(sc_nft_changes_between(&changes, &was, &is), 0); \
		memcpy(e, one_of_each, sizeof(e));                            \
		changes.has_structure;                                        \
	})
	cr_expect_not(STRUCTURE_CHANGES());
	e[4].verdict = SC_NFT_REFUSE_NEW;
	e[4].level = 3;
	e[5].level = 3;
	cr_expect_not(STRUCTURE_CHANGES());
	e[0].level = 4;
	cr_expect(STRUCTURE_CHANGES());
	e[5].tries = 9;
	cr_expect(STRUCTURE_CHANGES());
	e[5].attempt = 1;
	cr_expect(STRUCTURE_CHANGES());
	e[5].verdict = SC_NFT_REFUSE_NEW;
	cr_expect(STRUCTURE_CHANGES());
	w.has_gate = false;
	cr_expect(STRUCTURE_CHANGES());
#undef STRUCTURE_CHANGES
}

Test(nft_model, names_of_sets_and_chains_are_read_back_and_no_others)
{
	static const char *const others[] = {
		"",           "drop",       "drop_in",    "drop_in_",
		"drop_in_0",  "drop_in_32", "drop_in_x",  "drop_in_01",
		"drop_in_1x", "drop_in_1_", "Drop_in_1",  "drop_by_1",
		"cut_in_1",   "drop_in_-1", "drop_in_ 1", "drop_in_4294967297",
	};
	static const char *const other_tries[] = {"",       "try_",    "try_1024",
						  "try_01", "try_-1",  "try_1x",
						  "try_ 1", "tries_1", "try_99999999999"};
	char name[SC_NFT_NAME_MAX];
	enum sc_nft_verdict verdict;
	enum sc_nft_way way;
	uint32_t level, number;

	for (unsigned int v = 0; v < SC_NFT_VERDICT_COUNT; v++) {
		for (unsigned int i = 2; i < 2 * (SC_NFT_LEVEL_MAX + 1); i++) {
			sc_nft_set_name(name, v, i % 2, i / 2);
			cr_assert(sc_nft_set_parse(name, &verdict, &way, &level), "%s", name);
			cr_assert(verdict == v && way == i % 2 && level == i / 2, "%s", name);
		}
	}
	for (size_t i = 0; i < SC_ARRAY_SIZE(others); i++)
		cr_expect_not(sc_nft_set_parse(others[i], &verdict, &way, &level), "%s", others[i]);
	for (uint32_t i = 0; i < SC_NFT_TRIES_MAX; i++) {
		sc_nft_try_name(name, i);
		cr_assert(sc_nft_try_parse(name, &number) && number == i, "%s", name);
	}
	for (size_t i = 0; i < SC_ARRAY_SIZE(other_tries); i++)
		cr_expect_not(sc_nft_try_parse(other_tries[i], &number), "%s", other_tries[i]);
}

Test(nft_model, comments_of_tries_are_read_back_and_no_others)
{
	static const char *const others[] = {
		"",
		"attempt",
		"attempt 1",
		"attempt 1: lets 2",
		"attempt 1: lets 2 through it",
		"attempt x: lets 2 through",
		"the gate behind drops it",
	};
	struct sc_nft_try try = {0};

	cr_expect(sc_nft_try_comment_parse("attempt 4: lets 25 through", &try));
	cr_expect(try.attempt == 4 && try.tries == 25);
	cr_expect(sc_nft_try_comment_parse("attempt 4294967295: lets 1 through", &try));
	cr_expect_eq(try.attempt, UINT32_MAX);
	for (size_t i = 0; i < SC_ARRAY_SIZE(others); i++)
		cr_expect_not(sc_nft_try_comment_parse(others[i], &try), "%s", others[i]);
	cr_expect(try.attempt == UINT32_MAX && try.tries == 1);
}

static struct nlmsghdr *first(void)
{
	return (void *)batch.data;
}

static struct nlmsghdr *next(const struct nlmsghdr *nlh)
{
	return (void *)((const char *)nlh + NLMSG_ALIGN(nlh->nlmsg_len));
}

static bool is_end(const struct nlmsghdr *nlh)
{
	return (const char *)nlh >= batch.data + batch.len;
}

static void put_all_rules(void)
{
	cr_assert_eq(sc_nft_model_of(&is, &each, NULL), 0);
	sc_nft_batch_reset(&batch);
	sc_nft_put_rules_hooks(&batch, TABLE, &is);
	sc_nft_put_rules_refuse_all(&batch, TABLE);
	sc_nft_put_rules_try(&batch, TABLE, 7, &is.tries[7]);
	cr_assert_eq(batch.error, 0);
}

Test(nft_model, rules_are_like_themselves_and_like_no_other)
{
	unsigned int n = 0;

	put_all_rules();
	for (struct nlmsghdr *a = first(); !is_end(a); a = next(a), n++)
		for (struct nlmsghdr *b = first(); !is_end(b); b = next(b))
			cr_expect_eq(sc_nft_rule_same(a, b), a == b);
	/* Two ways with five sets and a jump, three refusals, two of tries. */
	cr_expect_eq(n, 2 * (5 + 1) + 3 + 2);
}

/* Everything counts but the header and what is only padding between attributes. */
Test(nft_model, a_rule_with_one_bit_turned_is_another_or_none)
{
	static char spoilt[1024];
	unsigned int same = 0, n = 0;

	put_all_rules();
	for (struct nlmsghdr *a = first(); !is_end(a); a = next(a)) {
		struct nlmsghdr *b = (void *)spoilt;

		cr_assert_leq(a->nlmsg_len, sizeof(spoilt));
		for (size_t i = NLMSG_LENGTH(sizeof(struct nfgenmsg)); i < a->nlmsg_len; i++) {
			memcpy(spoilt, a, a->nlmsg_len);
			spoilt[i] ^= 1;
			same += sc_nft_rule_same(a, b);
			n++;
		}
	}
	/* Padding is up to three bytes behind each name, code, mask and comment. */
	cr_expect_lt(same, n / 8, "%u of %u", same, n);
}

Test(nft_model, a_rule_that_is_cut_off_is_none)
{
	static char cut[1024];

	put_all_rules();
	for (struct nlmsghdr *a = first(); !is_end(a); a = next(a)) {
		for (uint32_t len = sizeof(struct nlmsghdr); len < a->nlmsg_len - 4; len++) {
			struct nlmsghdr *b = (void *)cut;

			memcpy(cut, a, len);
			b->nlmsg_len = len;
			cr_assert_not(sc_nft_rule_same(a, b), "%u of %u bytes", len, a->nlmsg_len);
		}
	}
}

struct seen_list {
	struct sc_nft_seen seen[16];
	uint32_t n;
};

static int see(void *arg, const struct sc_nft_seen *seen)
{
	struct seen_list *list = arg;

	cr_assert_lt(list->n, SC_ARRAY_SIZE(list->seen));
	list->seen[list->n++] = *seen;
	return 0;
}

static void put_all_elements(void)
{
	static const struct sc_nft_want none;

	cr_assert_eq(sc_nft_model_of(&was, &none, NULL), 0);
	cr_assert_eq(sc_nft_model_of(&is, &each, NULL), 0);
	cr_assert_eq(sc_nft_changes_between(&changes, &was, &is), 0);
	sc_nft_batch_reset(&batch);
	sc_nft_put_elements(&batch, TABLE, &changes, true);
	cr_assert_eq(batch.error, 0);
}

/* What is sent has the form of what is answered. */
Test(nft_model, elements_are_read_back_as_they_were_written)
{
	struct seen_list list = {0};

	put_all_elements();
	for (struct nlmsghdr *nlh = first(); !is_end(nlh); nlh = next(nlh))
		cr_assert_eq(sc_nft_elements_parse(nlh, see, &list), 0);
	cr_assert_eq(list.n, 2 * each.n);
	for (uint32_t i = 0; i < list.n; i++) {
		const struct sc_nft_element *e = find(&is, list.seen[i].cgroup_id);

		cr_assert(e);
		cr_expect_eq(list.seen[i].level, e->level);
		cr_expect_eq(list.seen[i].verdict, e->verdict);
		cr_expect_eq(list.seen[i].number, e->number);
	}
}

Test(nft_model, spoilt_elements_are_refused_or_others_but_never_read_past)
{
	put_all_elements();
	for (struct nlmsghdr *a = first(); !is_end(a); a = next(a)) {
		/* Of just the size, so that the sanitizer sees a byte read too far. */
		char *spoilt = malloc(a->nlmsg_len);

		for (uint32_t len = sizeof(struct nlmsghdr); len < a->nlmsg_len; len++) {
			struct seen_list list = {0};

			memcpy(spoilt, a, len);
			((struct nlmsghdr *)spoilt)->nlmsg_len = len;
			sc_nft_elements_parse((void *)spoilt, see, &list);
			cr_assert_leq(list.n, 2);
		}
		for (uint32_t i = sizeof(struct nlmsghdr); i < a->nlmsg_len; i++) {
			struct seen_list list = {0};

			memcpy(spoilt, a, a->nlmsg_len);
			spoilt[i] = (char)~spoilt[i];
			sc_nft_elements_parse((void *)spoilt, see, &list);
			cr_assert_leq(list.n, 2);
		}
		free(spoilt);
	}
}

Test(nft_model, elements_of_one_set_are_split_into_messages_that_fit)
{
	static struct sc_nft_element many[SC_NFT_ELEMENTS_MAX];
	static const struct sc_nft_want none;
	struct sc_nft_want w = {many, SC_NFT_ELEMENTS_MAX, false};
	unsigned int n = 0;

	for (uint32_t i = 0; i < w.n; i++)
		many[i] = (struct sc_nft_element){.cgroup_id = i + 1,
						  .level = 2,
						  .verdict = SC_NFT_TRY,
						  .number = 1000,
						  .tries = 1};
	cr_assert_eq(sc_nft_model_of(&was, &none, NULL), 0);
	cr_assert_eq(sc_nft_model_of(&is, &w, NULL), 0);
	cr_assert_eq(sc_nft_changes_between(&changes, &was, &is), 0);
	sc_nft_batch_reset(&batch);
	sc_nft_put_elements(&batch, TABLE, &changes, true);
	cr_assert_eq(batch.error, 0);
	for (struct nlmsghdr *nlh = first(); !is_end(nlh); nlh = next(nlh)) {
		cr_assert_leq(nlh->nlmsg_len, 64 * 1024);
		n++;
	}
	cr_expect_eq(n, 2 * 33, "33 times 500 and a few, both ways");
}

Test(nft_model, numbers_of_messages_go_on_and_the_last_is_acknowledged)
{
	struct nlmsghdr *nlh;
	uint32_t n = 0, expected;

	sc_nft_batch_reset(&batch);
	expected = batch.next;
	sc_nft_transaction_begin(&batch, 77);
	sc_nft_put_table(&batch, TABLE, true);
	sc_nft_transaction_end(&batch, true);
	for (nlh = first(); !is_end(nlh); nlh = next(nlh), n++) {
		bool is_last = is_end(next(next(nlh))) && !is_end(next(nlh));

		cr_expect_eq(nlh->nlmsg_seq, expected + n);
		cr_expect_eq(!!(nlh->nlmsg_flags & NLM_F_ACK), is_last, "message %u", n);
	}
	cr_expect_eq(first()->nlmsg_type, NFNL_MSG_BATCH_BEGIN);
	sc_nft_batch_reset(&batch);
	sc_nft_message_begin(&batch, NFT_MSG_GETGEN, 0);
	sc_nft_message_end(&batch);
	cr_expect_eq(first()->nlmsg_seq, expected + n);
}

Test(nft_model, what_does_not_fit_is_an_error_that_stays)
{
	static char much[80 * 1024];

	sc_nft_batch_reset(&batch);
	sc_nft_message_begin(&batch, NFT_MSG_NEWRULE, 0);
	sc_nft_put_bytes(&batch, NFTA_RULE_USERDATA, much, sizeof(much));
	sc_nft_put_u32(&batch, NFTA_RULE_POSITION_ID, 1);
	sc_nft_message_end(&batch);
	cr_expect_lt(batch.error, 0);
	cr_expect_eq(batch.len, 0);
}
