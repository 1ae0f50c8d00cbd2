/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"
#include "base/str.h"
#include "record/fold.h"
#include "unit/record/fixture.h"

#include <criterion/criterion.h>
#include <string.h>

static struct sc_fold *fold_new(void)
{
	struct sc_fold *fold = NULL;

	cr_assert_eq(sc_fold_new(&fold), 0);
	return fold;
}

static void apply(struct sc_fold *fold, enum sc_record_kind kind, const char *body)
{
	sc_fold_apply(fold, kind, body, strlen(body), "2026-01-01T00:00:00.000000Z");
}

static struct sc_fire fire_of(unsigned int n, enum sc_fire_state state)
{
	struct sc_fire fire = {.state = state, .fired_by = "auto", .target = "/workload/web"};

	snprintf(fire.id, sizeof(fire.id), "%08x-0000-4000-8000-000000000000", n);
	snprintf(fire.condition_id, sizeof(fire.condition_id), "c%u", n);
	return fire;
}

static void append_fire(struct sc_journal *j, enum sc_record_kind kind, const struct sc_fire *fire)
{
	struct sc_time now = time_at(1);
	_cleanup_str_ struct sc_str s;
	struct sc_json w;

	sc_str_init_heap(&s);
	sc_json_init(&w, &s);
	sc_fire_json(&w, fire, SC_FIRE_FULL);
	cr_assert_eq(sc_journal_append(j, &now, kind, s.data, NULL), 0);
}

Test(fold, knows_what_people_did_to_conditions)
{
	struct sc_fold *fold = fold_new();
	const struct sc_fold_condition *c;

	apply(fold, SC_RECORD_CONDITION_REGISTERED, "{\"id\":\"a\",\"live\":false}");
	apply(fold, SC_RECORD_CONDITION_REGISTERED, "{\"id\":\"b\"}");
	apply(fold, SC_RECORD_CONDITION_PROMOTED, "{\"id\":\"a\"}");
	apply(fold, SC_RECORD_CONDITION_DEMOTED, "{\"id\":\"from-file\",\"file_live\":true}");
	apply(fold, SC_RECORD_CONDITION_DELETED, "{\"id\":\"b\"}");
	apply(fold, SC_RECORD_CONDITION_DELETED, "{\"id\":\"never-there\"}");
	cr_expect_eq(sc_fold_condition_count(fold), 2);
	c = sc_fold_condition_find(fold, "a");
	cr_assert_not_null(c);
	cr_expect(c->has_live && c->live);
	cr_expect_str_eq(c->body, "{\"id\":\"a\",\"live\":false}");
	c = sc_fold_condition_find(fold, "from-file");
	cr_assert_not_null(c);
	cr_expect(c->has_live && !c->live && c->file_live);
	cr_expect_str_eq(c->body, "");
	cr_expect_null(sc_fold_condition_find(fold, "b"));
	apply(fold, SC_RECORD_CONDITION_REGISTERED, "{\"id\":\"a\",\"live\":true}");
	cr_expect_not(sc_fold_condition_find(fold, "a")->has_live, "registered anew");
	cr_expect_eq(sc_fold_refused(fold), 0);
	sc_fold_free(&fold);
}

Test(fold, knows_whether_it_is_disarmed_or_draining)
{
	struct sc_fold *fold = fold_new();

	apply(fold, SC_RECORD_DISARM, "{\"reason\":\"maintenance\",\"operator\":\"ops\"}");
	cr_expect(sc_fold_disarmed(fold)->is_on);
	cr_expect_str_eq(sc_fold_disarmed(fold)->reason, "maintenance");
	cr_expect_str_eq(sc_fold_disarmed(fold)->operator_name, "ops");
	cr_expect_str_eq(sc_fold_disarmed(fold)->since, "2026-01-01T00:00:00.000000Z");
	apply(fold, SC_RECORD_ARM, "{}");
	cr_expect_not(sc_fold_disarmed(fold)->is_on);
	apply(fold, SC_RECORD_DRAIN, "{\"action\":\"begin\"}");
	cr_expect(sc_fold_draining(fold)->is_on);
	apply(fold, SC_RECORD_DRAIN, "{\"action\":\"cancel\"}");
	cr_expect_not(sc_fold_draining(fold)->is_on);
	apply(fold, SC_RECORD_AGENT_STARTED, "{}");
	cr_expect_eq(sc_fold_starts(fold), 1);
	cr_expect_not(sc_fold_stopped_cleanly(fold));
	apply(fold, SC_RECORD_AGENT_STOPPED, "{}");
	cr_expect(sc_fold_stopped_cleanly(fold));
	sc_fold_free(&fold);
}

Test(fold, passes_over_and_counts_what_it_cannot_read)
{
	static const struct {
		enum sc_record_kind kind;
		const char *body;
	} bad[] = {
		{SC_RECORD_FIRE_INTENT, "{}"},
		{SC_RECORD_FIRE_INTENT, "{\"id\":\"x\",\"state\":\"?\"}"},
		{SC_RECORD_CONDITION_PROMOTED, "{\"id\":5}"},
		{SC_RECORD_CONDITION_DELETED, "{}"},
		{SC_RECORD_DRAIN, "{}"},
		{SC_RECORD_SNAPSHOT, "{\"part\":0,\"last\":false,\"item\":{\"of\":\"moon\"}}"},
		{SC_RECORD_SNAPSHOT, "{}"},
		{SC_RECORD_DISARM, "not json"},
	};
	struct sc_fold *fold = fold_new();

	for (size_t i = 0; i < SC_ARRAY_SIZE(bad); i++) {
		apply(fold, bad[i].kind, bad[i].body);
		cr_expect_eq(sc_fold_refused(fold), i + 1, "%s", bad[i].body);
	}
	apply(fold, SC_RECORD_FACT, "{}");
	sc_fold_apply(fold, SC_RECORD_KIND_COUNT, "{}", 2, "");
	cr_expect_eq(sc_fold_refused(fold), SC_ARRAY_SIZE(bad));
	cr_expect_eq(sc_fold_fire_count(fold), 0);
	sc_fold_free(&fold);
}

Test(fold, forgets_the_oldest_closed_fire_and_never_an_open_one)
{
	struct sc_fold *fold = fold_new();
	struct sc_fire open = fire_of(0, SC_FIRE_INTENT);
	bool ambiguous = true;

	sc_fold_fire(fold, &open);
	for (unsigned int n = 1; n <= 2 * SC_FOLD_FIRES_RECENT; n++) {
		struct sc_fire fire = fire_of(n, SC_FIRE_VERIFIED);

		sc_fold_fire(fold, &fire);
	}
	cr_expect_eq(sc_fold_fire_count(fold), SC_FOLD_FIRES_RECENT);
	cr_expect_str_eq(sc_fold_fire_at(fold, 0)->condition_id, "c2048");
	cr_expect_str_eq(sc_fold_fire_at(fold, SC_FOLD_FIRES_RECENT - 1)->condition_id, "c0");
	cr_expect_null(sc_fold_fire_at(fold, SC_FOLD_FIRES_RECENT));
	cr_assert_not_null(sc_fold_fire_find(fold, open.id, &ambiguous));
	cr_expect_null(sc_fold_fire_find(fold, "00000001-", &ambiguous), "long forgotten");
	cr_expect_null(sc_fold_fire_find(fold, "0000", &ambiguous));
	cr_expect(ambiguous);
	sc_fold_free(&fold);
}

Test(fold, holds_so_many_open_fires_and_counts_the_rest)
{
	struct sc_fold *fold = fold_new();

	for (unsigned int n = 0; n < SC_FOLD_FIRES_MAX + 3; n++) {
		struct sc_fire fire = fire_of(n, SC_FIRE_PENDING);

		sc_fold_fire(fold, &fire);
	}
	cr_expect_eq(sc_fold_fire_count(fold), SC_FOLD_FIRES_MAX);
	cr_expect_eq(sc_fold_refused(fold), 3);
	sc_fold_free(&fold);
}

/* The parts of a fold's snapshot, as bodies of records. */
static void copy_by_snapshot(struct sc_fold *from, struct sc_fold *to)
{
	_cleanup_str_ struct sc_str item;
	_cleanup_str_ struct sc_str body;

	sc_str_init_heap(&item);
	sc_str_init_heap(&body);
	for (unsigned int part = 0; sc_fold_snapshot(from, part, &item); part++) {
		sc_str_reset(&body);
		sc_str_addf(&body, "{\"part\":%u,\"last\":false,\"item\":", part);
		sc_str_add(&body, item.data);
		sc_str_add(&body, "}");
		sc_fold_apply(to, SC_RECORD_SNAPSHOT, body.data, body.len, "");
		sc_str_reset(&item);
	}
	cr_expect_eq(sc_fold_refused(to), 0);
}

Test(fold, a_snapshot_brings_back_what_still_matters)
{
	struct sc_fold *fold = fold_new();
	struct sc_fold *copy = fold_new();
	struct sc_fire open = fire_of(1, SC_FIRE_PENDING);
	struct sc_fire over = fire_of(2, SC_FIRE_VETOED);
	struct sc_fire standing = fire_of(3, SC_FIRE_VERIFIED);
	bool ambiguous;

	standing.rekill = true;
	snprintf(open.evidence, sizeof(open.evidence), "{\"\\\"body\\\":\":0.1}");
	sc_fold_fire(fold, &open);
	sc_fold_fire(fold, &over);
	sc_fold_fire(fold, &standing);
	apply(fold, SC_RECORD_CONDITION_REGISTERED,
	      "{\"id\":\"a\",\"when\":\"x \\\"body\\\": 1\"}");
	apply(fold, SC_RECORD_CONDITION_PROMOTED, "{\"id\":\"a\",\"file_live\":false}");
	apply(fold, SC_RECORD_CONDITION_DEMOTED, "{\"id\":\"\\\"body\\\":\",\"file_live\":true}");
	apply(fold, SC_RECORD_DISARM, "{\"reason\":\"r\",\"operator\":\"o\"}");
	apply(fold, SC_RECORD_AGENT_STARTED, "{}");
	apply(fold, SC_RECORD_CONFIG_LOADED, "{\"digest\":\"abc\"}");
	copy_by_snapshot(fold, copy);

	cr_expect_eq(sc_fold_fire_count(copy), 2);
	cr_assert_not_null(sc_fold_fire_find(copy, open.id, &ambiguous));
	cr_expect_str_eq(sc_fold_fire_find(copy, open.id, &ambiguous)->evidence, open.evidence);
	cr_assert_not_null(sc_fold_fire_find(copy, standing.id, &ambiguous));
	cr_expect(sc_fold_fire_find(copy, standing.id, &ambiguous)->rekill);
	cr_expect_eq(sc_fold_condition_count(copy), 2);
	cr_assert_not_null(sc_fold_condition_find(copy, "a"));
	cr_expect_str_eq(sc_fold_condition_find(copy, "a")->body,
			 sc_fold_condition_find(fold, "a")->body);
	cr_expect(sc_fold_condition_find(copy, "a")->live);
	cr_assert_not_null(sc_fold_condition_find(copy, "\"body\":"));
	cr_expect(sc_fold_condition_find(copy, "\"body\":")->file_live);
	cr_expect(sc_fold_disarmed(copy)->is_on);
	cr_expect_str_eq(sc_fold_disarmed(copy)->since, sc_fold_disarmed(fold)->since);
	cr_expect_eq(sc_fold_starts(copy), 1);
	cr_expect_str_eq(sc_fold_config_digest(copy), "abc");
	sc_fold_free(&copy);
	sc_fold_free(&fold);
}

Test(fold, survives_any_number_of_rotations)
{
	_cleanup_place_ struct place p = place_new();
	struct sc_journal *j = journal_at(p.dir);
	struct sc_fold *live = fold_new();
	struct sc_fold *replayed = fold_new();
	struct sc_fire pending = fire_of(1, SC_FIRE_PENDING);
	struct sc_journal_stats stats;
	bool ambiguous;

	sc_journal_set_snapshot(j, sc_fold_snapshot, live);
	append_fire(j, SC_RECORD_FIRE_PENDING, &pending);
	sc_fold_fire(live, &pending);
	for (unsigned int n = 2; sc_journal_stats(j, &stats), stats.segment < 5; n++) {
		struct sc_fire fire = fire_of(n, SC_FIRE_VETOED);

		append_fire(j, SC_RECORD_FIRE_VETOED, &fire);
		sc_fold_fire(live, &fire);
		cr_assert_eq(sc_journal_sync(j), 0);
	}
	sc_journal_close(&j);
	cr_assert_eq(sc_journal_replay(p.dir, 0, sc_fold_record, replayed), 0);
	cr_expect_eq(sc_fold_refused(replayed), 0);
	cr_expect_lt(sc_fold_fire_count(replayed), sc_fold_fire_count(live));
	cr_assert_not_null(sc_fold_fire_find(replayed, pending.id, &ambiguous));
	cr_expect_eq(sc_fold_fire_find(replayed, pending.id, &ambiguous)->state, SC_FIRE_PENDING);
	sc_fold_free(&replayed);
	sc_fold_free(&live);
}
