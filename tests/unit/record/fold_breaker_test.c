/* SPDX-License-Identifier: Apache-2.0 */
/* The last transition of each breaker, over the journal and its snapshots. */
#include "base/clock.h"
#include "base/json.h"
#include "record/fold.h"

#include <criterion/criterion.h>
#include <string.h>

static struct sc_fold *fold, *copy;

static void set_up(void)
{
	cr_assert_eq(sc_fold_new(&fold), 0);
	cr_assert_eq(sc_fold_new(&copy), 0);
}

static void tear_down(void)
{
	sc_fold_free(&fold);
	sc_fold_free(&copy);
}

TestSuite(fold_breaker, .init = set_up, .fini = tear_down);

static struct sc_fold_breaker breaker_of(const char *component, enum sc_breaker_state to)
{
	struct sc_fold_breaker b = {
		.record = {.transition = {.from = SC_BREAKER_CLOSED,
					  .to = to,
					  .reason = SC_BREAKER_FAILURE_THRESHOLD,
					  .at_ns = 5 * SC_NS_PER_S,
					  .retry_ns = to == SC_BREAKER_OPEN ? 35 * SC_NS_PER_S : 0},
			   .attempt = 7,
			   .wait_ns = 30 * SC_NS_PER_S},
		.real_less_boot_ns = 1700000000 * (int64_t)SC_NS_PER_S,
	};

	sc_strcopy(b.record.component, sizeof(b.record.component), component);
	sc_strcopy(b.boot_id, sizeof(b.boot_id), "this boot");
	sc_strcopy(b.by, sizeof(b.by), "agent");
	return b;
}

static void apply(struct sc_fold *to, const struct sc_fold_breaker *b)
{
	char body[4096];
	struct sc_str text;

	sc_str_init(&text, body, sizeof(body));
	sc_fold_breaker_json(b, &text);
	cr_assert_not(text.truncated);
	sc_fold_apply(to, SC_RECORD_BREAKER_TRANSITION, body, text.len, "");
}

static void expect_same(const struct sc_fold_breaker *found, const struct sc_fold_breaker *want)
{
	cr_assert_not_null(found);
	cr_expect_str_eq(found->record.component, want->record.component);
	cr_expect_eq(found->record.transition.to, want->record.transition.to);
	cr_expect_eq(found->record.transition.at_ns, want->record.transition.at_ns);
	cr_expect_eq(found->record.transition.retry_ns, want->record.transition.retry_ns);
	cr_expect_eq(found->record.order, want->record.order);
	cr_expect_eq(found->record.attempt, want->record.attempt);
	cr_expect_eq(found->record.wait_ns, want->record.wait_ns);
	cr_expect_eq(found->real_less_boot_ns, want->real_less_boot_ns);
	cr_expect_str_eq(found->boot_id, want->boot_id);
	cr_expect_str_eq(found->by, want->by);
	cr_expect_str_eq(found->note, want->note);
}

Test(fold_breaker, a_record_is_read_back_as_it_was_written)
{
	struct sc_fold_breaker b = breaker_of("a \"quoted\" name", SC_BREAKER_OPEN);

	sc_strcopy(b.note, sizeof(b.note), "it \"body\": failed");
	apply(fold, &b);
	cr_expect_eq(sc_fold_refused(fold), 0);
	expect_same(sc_fold_breaker_find(fold, b.record.component), &b);
	cr_expect_null(sc_fold_breaker_find(fold, "another"));
}

Test(fold_breaker, the_texts_for_people_tell_the_time_of_the_transition)
{
	struct sc_fold_breaker b = breaker_of("a", SC_BREAKER_OPEN);
	char body[4096];
	struct sc_str text;

	sc_str_init(&text, body, sizeof(body));
	sc_fold_breaker_json(&b, &text);
	cr_expect(strstr(body, "\"at\":\"2023-11-14T22:13:25"), "%s", body);
	cr_expect(strstr(body, "\"retry_at\":\"2023-11-14T22:13:55"), "%s", body);
	cr_expect(strstr(body, "\"by\":\"agent\",\"note\":null,\"boot\":\"this boot\""), "%s",
		  body);
}

Test(fold_breaker, the_longest_texts_fit)
{
	struct sc_fold_breaker b = breaker_of("a", SC_BREAKER_OPEN);
	char body[SC_RECORD_BODY_MAX];
	struct sc_str text;

	memset(b.record.component, 1, sizeof(b.record.component) - 1);
	memset(b.boot_id, 1, sizeof(b.boot_id) - 1);
	memset(b.by, 1, sizeof(b.by) - 1);
	memset(b.note, 1, sizeof(b.note) - 1);
	sc_str_init(&text, body, sizeof(body));
	sc_fold_breaker_json(&b, &text);
	cr_expect_not(text.truncated);
	sc_fold_apply(fold, SC_RECORD_BREAKER_TRANSITION, body, text.len, "");
	expect_same(sc_fold_breaker_find(fold, b.record.component), &b);
}

Test(fold_breaker, only_the_last_transition_counts)
{
	struct sc_fold_breaker open = breaker_of("a", SC_BREAKER_OPEN);
	struct sc_fold_breaker closed = breaker_of("a", SC_BREAKER_CLOSED);

	apply(fold, &open);
	sc_fold_breaker(fold, &closed);
	expect_same(sc_fold_breaker_find(fold, "a"), &closed);
}

Test(fold_breaker, what_cannot_be_read_changes_nothing_and_is_counted)
{
	static const char *const bad[] = {
		"{}",
		"{\"component\":\"a\",\"to\":\"ajar\"}",
		"[]",
	};
	struct sc_fold_breaker b = breaker_of("a", SC_BREAKER_OPEN);

	apply(fold, &b);
	for (size_t i = 0; i < SC_ARRAY_SIZE(bad); i++) {
		sc_fold_apply(fold, SC_RECORD_BREAKER_TRANSITION, bad[i], strlen(bad[i]), "");
		cr_expect_eq(sc_fold_refused(fold), i + 1, "%s", bad[i]);
	}
	expect_same(sc_fold_breaker_find(fold, "a"), &b);
}

Test(fold_breaker, a_snapshot_brings_them_all_back)
{
	_cleanup_str_ struct sc_str item;
	_cleanup_str_ struct sc_str body;
	char name[16];

	for (int i = 0; i < 40; i++) {
		struct sc_fold_breaker b;

		snprintf(name, sizeof(name), "c%d", i);
		b = breaker_of(name, i % 2 ? SC_BREAKER_OPEN : SC_BREAKER_CLOSED);
		sc_fold_breaker(fold, &b);
	}
	sc_str_init_heap(&item);
	sc_str_init_heap(&body);
	for (unsigned int part = 0; sc_fold_snapshot(fold, part, &item); part++) {
		sc_str_reset(&body);
		sc_str_addf(&body, "{\"part\":%u,\"last\":false,\"item\":%s}", part, item.data);
		sc_fold_apply(copy, SC_RECORD_SNAPSHOT, body.data, body.len, "");
		sc_str_reset(&item);
	}
	cr_expect_eq(sc_fold_refused(copy), 0);
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		expect_same(sc_fold_breaker_find(copy, name), sc_fold_breaker_find(fold, name));
	}
}

Test(fold_breaker, a_full_table_gives_up_what_says_nothing)
{
	char name[16];
	struct sc_fold_breaker b;

	for (int i = 0; i < SC_FOLD_BREAKERS_MAX; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		b = breaker_of(name, i == 9 ? SC_BREAKER_CLOSED : SC_BREAKER_OPEN);
		sc_fold_breaker(fold, &b);
	}
	b = breaker_of("new", SC_BREAKER_OPEN);
	sc_fold_breaker(fold, &b);
	cr_expect_null(sc_fold_breaker_find(fold, "c9"));
	cr_expect_not_null(sc_fold_breaker_find(fold, "new"));
	cr_expect_eq(sc_fold_refused(fold), 0);
	b = breaker_of("newer", SC_BREAKER_OPEN);
	sc_fold_breaker(fold, &b);
	cr_expect_null(sc_fold_breaker_find(fold, "newer"));
	cr_expect_eq(sc_fold_refused(fold), 1);
}
