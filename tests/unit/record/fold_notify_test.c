/* SPDX-License-Identifier: Apache-2.0 */
/* What the journal knows of those who are told. */
#include "record/fold.h"

#include "base/mem.h"
#include "base/str.h"

#include <criterion/criterion.h>
#include <string.h>

#define NOW  "2030-01-01T00:00:00.000000Z"
#define FIRE "11111111-1111-4111-8111-111111111111"

static struct sc_fold *fold;

static void init(void)
{
	cr_assert_eq(sc_fold_new(&fold), 0);
}

static void fini(void)
{
	sc_fold_free(&fold);
}

TestSuite(fold_notify, .init = init, .fini = fini);

static void apply(enum sc_record_kind kind, const char *body)
{
	sc_fold_apply(fold, kind, body, strlen(body), NOW);
}

static uint64_t done(const char *name)
{
	const struct sc_fold_sink *s = sc_fold_sink_find(fold, name);

	return s ? s->done : UINT64_MAX;
}

Test(fold_notify, a_sink_goes_forward_only)
{
	apply(SC_RECORD_NOTIFY_SINK, "{\"sink\":\"a\",\"told\":true,\"from\":10}");
	apply(SC_RECORD_NOTIFY_SINK, "{\"sink\":\"b\",\"told\":true,\"from\":20}");
	cr_expect_eq(done("a"), 9);
	cr_expect_eq(done("b"), 19);
	apply(SC_RECORD_NOTIFY_OUTCOME, "{\"sink\":\"a\",\"seq\":12,\"ok\":true,\"fire\":null}");
	apply(SC_RECORD_NOTIFY_OUTCOME, "{\"sink\":\"a\",\"seq\":11,\"ok\":true,\"fire\":null}");
	cr_expect_eq(done("a"), 12);
	cr_expect_eq(done("b"), 19);
	/* For each of them: never back. */
	apply(SC_RECORD_NOTIFY_OUTCOME, "{\"sink\":null,\"seq\":15}");
	cr_expect_eq(done("a"), 15);
	cr_expect_eq(done("b"), 19);
	apply(SC_RECORD_NOTIFY_SINK, "{\"sink\":\"a\",\"told\":false,\"from\":0}");
	cr_expect_eq(done("a"), UINT64_MAX);
	cr_expect_eq(done("b"), 19);
	cr_expect_eq(sc_fold_refused(fold), 0);
}

Test(fold_notify, what_is_no_sink_is_refused)
{
	static const char *const bodies[] = {
		"{\"sink\":\"\",\"told\":true,\"from\":1}",
		"{\"sink\":7,\"told\":true,\"from\":1}",
		"{\"told\":true,\"from\":1}",
		"{\"sink\":\"a\",\"told\":true}",
		"{\"sink\":\"a\",\"told\":true,\"from\":-1}",
		"{\"sink\":\"0123456789012345678901234567890123456789\",\"told\":true,\"from\":1}",
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(bodies); i++)
		apply(SC_RECORD_NOTIFY_SINK, bodies[i]);
	cr_expect_eq(sc_fold_refused(fold), SC_ARRAY_SIZE(bodies));
	cr_expect_null(sc_fold_sink_at(fold, 0));
	for (int i = 0; i < SC_FOLD_SINKS_MAX + 1; i++) {
		char body[96];

		snprintf(body, sizeof(body), "{\"sink\":\"s%d\",\"told\":true,\"from\":1}", i);
		apply(SC_RECORD_NOTIFY_SINK, body);
	}
	cr_expect_eq(sc_fold_refused(fold), SC_ARRAY_SIZE(bodies) + 1, "one found no room");
}

Test(fold_notify, a_snapshot_keeps_how_far_each_was_told)
{
	struct sc_fold *next = NULL;
	char text[SC_RECORD_BODY_MAX];
	struct sc_str body;

	cr_assert_eq(sc_fold_new(&next), 0);
	apply(SC_RECORD_NOTIFY_SINK, "{\"sink\":\"a\",\"told\":true,\"from\":10}");
	apply(SC_RECORD_NOTIFY_SINK, "{\"sink\":\"b\",\"told\":true,\"from\":1}");
	apply(SC_RECORD_NOTIFY_OUTCOME, "{\"sink\":\"a\",\"seq\":77,\"ok\":true}");
	for (unsigned int part = 0;; part++) {
		char item[SC_RECORD_BODY_MAX + 64];

		sc_str_init(&body, text, sizeof(text));
		if (!sc_fold_snapshot(fold, part, &body))
			break;
		snprintf(item, sizeof(item), "{\"part\":%u,\"item\":%s}", part, text);
		sc_fold_apply(next, SC_RECORD_SNAPSHOT, item, strlen(item), NOW);
	}
	cr_expect_eq(sc_fold_refused(next), 0);
	cr_assert_not_null(sc_fold_sink_find(next, "a"));
	cr_assert_not_null(sc_fold_sink_find(next, "b"));
	cr_expect_eq(sc_fold_sink_find(next, "a")->done, 77);
	cr_expect_eq(sc_fold_sink_find(next, "b")->done, 0);
	sc_fold_free(&next);
}

Test(fold_notify, the_newest_outcomes_of_fires_are_remembered)
{
	const struct sc_fold_told *t;
	unsigned int n = 0;

	apply(SC_RECORD_NOTIFY_OUTCOME, "{\"sink\":\"a\",\"seq\":1,\"ok\":true,\"fire\":null}");
	cr_expect_null(sc_fold_told_at(fold, 0), "it was about no fire");
	for (int i = 0; i < SC_FOLD_TOLD_MAX + 10; i++) {
		char body[256];

		snprintf(body, sizeof(body),
			 "{\"sink\":\"a\",\"seq\":%d,\"kind\":\"fire.verified\",\"fire\":\"" FIRE
			 "\",\"ok\":%s,\"why\":%s}",
			 i, i % 2 ? "true" : "false", i % 2 ? "null" : "\"broken\"");
		apply(SC_RECORD_NOTIFY_OUTCOME, body);
	}
	for (; (t = sc_fold_told_at(fold, n)) != NULL; n++) {
		cr_assert_eq(t->seq, n + 10);
		cr_assert_eq(t->ok, n % 2 == 1);
		cr_assert_str_eq(t->why, t->ok ? "" : "broken");
		cr_assert_str_eq(t->fire, FIRE);
		cr_assert_str_eq(t->kind, "fire.verified");
		cr_assert_str_eq(t->at, NOW);
	}
	cr_expect_eq(n, SC_FOLD_TOLD_MAX);
}
