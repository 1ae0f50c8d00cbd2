/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"

#include <scram/fire.h>
#include <scram/journal.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

#define ID "0b4c6a0e-8a9e-4a6e-9d2a-5f8a3c1d7e60"

static struct sc_fire full_fire(void)
{
	return (struct sc_fire){
		.id = ID,
		.condition_id = "crash-loop",
		.state = SC_FIRE_DISPATCHED,
		.action = SC_ACTION_FREEZE,
		.cgroup_id = 4711,
		.target = "/workload/web",
		.boot_id = "11111111-1111-4111-8111-111111111111",
		.fired_at_ns = 1700000000123456000,
		.fired_at_mono_ns = 1,
		.fired_at_boot_ns = 2,
		.fired_by = "auto",
		.principal = "agent",
		.reason = "crashes",
		.evidence = "{\"proc.crashes\":0.1,\"more\":[{\"a\":\"}\\\"\"}]}",
		.dry_run = true,
		.forced = true,
		.dispatched = true,
		.dispatch_result = "frozen",
		.error = "none of note",
		.two_person = SC_TWO_PERSON_APPROVED,
		.second_operator = "second",
		.second_at_ns = 1700000001000000000,
		.veto = "cooldown",
		.outcome = SC_OUTCOME_FROZEN,
		.killed = 3,
		.remaining = 1,
		.rekill = true,
		.rekills = 7,
		.timing = {11, 12, 13, 14, 15, 16},
		.undo = "{\"cgroup.freeze\":\"0\"}",
		.expires_at_boot_ns = 99,
		.released_at_ns = 1700000002000000000,
		.released_by = "ops",
		.rung = 2,
		.supersedes = ID,
	};
}

static void write_fire(struct sc_str *out, const struct sc_fire *fire, enum sc_fire_detail detail)
{
	struct sc_json j;

	sc_json_init(&j, out);
	sc_fire_json(&j, fire, detail);
}

Test(fire, reads_back_what_it_wrote)
{
	struct sc_fire fire = full_fire();
	struct sc_fire back = {0};
	_cleanup_str_ struct sc_str first;
	_cleanup_str_ struct sc_str second;

	sc_str_init_heap(&first);
	sc_str_init_heap(&second);
	write_fire(&first, &fire, SC_FIRE_FULL);
	cr_assert_eq(sc_fire_parse(first.data, first.len, &back), 0);
	write_fire(&second, &back, SC_FIRE_FULL);
	cr_expect_str_eq(second.data, first.data);
	cr_expect_str_eq(back.evidence, fire.evidence, "byte by byte");
	cr_expect_eq(back.fired_at_ns, fire.fired_at_ns);
	cr_expect_eq(memcmp(&back.timing, &fire.timing, sizeof(fire.timing)), 0);
	cr_expect_eq(back.outcome, fire.outcome);
	cr_expect_eq(back.cgroup_id, fire.cgroup_id);
	cr_expect_str_eq(back.undo, fire.undo);
}

Test(fire, has_the_fields_of_the_http_api)
{
	static const char *const names[] = {
		"id",
		"condition_id",
		"fired_at",
		"fired_by",
		"reason",
		"state_snapshot",
		"dispatched",
		"dispatch_result",
		"second_operator",
		"second_at",
		"two_person_status",
	};
	struct sc_fire fire = {.id = ID, .fired_by = "auto"};
	_cleanup_str_ struct sc_str s;
	json_t *root;

	sc_str_init_heap(&s);
	write_fire(&s, &fire, SC_FIRE_FULL);
	root = json_loads(s.data, JSON_REJECT_DUPLICATES, NULL);
	cr_assert_not_null(root);
	for (size_t i = 0; i < SC_ARRAY_SIZE(names); i++)
		cr_expect_not_null(json_object_get(root, names[i]), "%s", names[i]);
	cr_expect(json_is_false(json_object_get(root, "dispatched")), "never null");
	cr_expect_str_eq(json_string_value(json_object_get(root, "two_person_status")),
			 "not-required");
	json_decref(root);
	sc_str_reset(&s);
	write_fire(&s, &fire, SC_FIRE_NO_EVIDENCE);
	cr_expect_null(strstr(s.data, "state_snapshot"));
}

/* Clients of the original service take it for a string; a fire by itself gives none. */
Test(fire, has_a_reason_that_is_never_null)
{
	static const char old[] = "{\"id\":\"" ID "\",\"reason\":null}";
	struct sc_fire fire = {.id = ID, .reason = "r"};
	_cleanup_str_ struct sc_str s;

	sc_str_init_heap(&s);
	cr_assert_eq(sc_fire_parse(old, sizeof(old) - 1, &fire), 0, "a journal of before");
	cr_expect_str_empty(fire.reason);
	write_fire(&s, &fire, SC_FIRE_FULL);
	cr_expect_not_null(strstr(s.data, "\"reason\":\"\""), "%s", s.data);
}

/* A5 */
Test(fire, a_later_record_keeps_the_evidence_of_an_earlier_one)
{
	struct sc_fire fire = full_fire();
	struct sc_fire back = full_fire();
	_cleanup_str_ struct sc_str s;

	sc_str_init_heap(&s);
	fire.state = SC_FIRE_VERIFIED;
	fire.evidence[0] = '\0';
	write_fire(&s, &fire, SC_FIRE_NO_EVIDENCE);
	cr_assert_eq(sc_fire_parse(s.data, s.len, &back), 0);
	cr_expect_eq(back.state, SC_FIRE_VERIFIED);
	cr_expect_str_eq(back.evidence, full_fire().evidence);
}

Test(fire, the_most_hostile_one_fits_a_record)
{
	struct sc_fire fire = full_fire();
	_cleanup_str_ struct sc_str s;

	memset(fire.target, 0xff, sizeof(fire.target) - 1);
	memset(fire.reason, 1, sizeof(fire.reason) - 1);
	memset(fire.condition_id, 0xff, sizeof(fire.condition_id) - 1);
	memset(fire.fired_by, 0xff, sizeof(fire.fired_by) - 1);
	memset(fire.principal, 'x', sizeof(fire.principal) - 1);
	memset(fire.dispatch_result, 'x', sizeof(fire.dispatch_result) - 1);
	memset(fire.error, 'x', sizeof(fire.error) - 1);
	memset(fire.second_operator, 0xff, sizeof(fire.second_operator) - 1);
	memset(fire.released_by, 0xff, sizeof(fire.released_by) - 1);
	memset(fire.evidence, 'x', sizeof(fire.evidence) - 1);
	memcpy(fire.evidence, "{\"x\":\"", 6);
	memcpy(fire.evidence + sizeof(fire.evidence) - 3, "\"}", 3);
	sc_str_init_heap(&s);
	write_fire(&s, &fire, SC_FIRE_FULL);
	cr_expect_leq(s.len, SC_RECORD_BODY_MAX);
	cr_expect_eq(sc_fire_parse(s.data, s.len, &fire), 0, "and it can be read back");
}

Test(fire, refuses_what_is_no_fire_and_changes_nothing)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{\"id\":1}",
		"{\"id\":\"a\",\"id\":\"b\"}",
		"{\"state\":\"exploded\"}",
		"{\"action\":\"shrug\"}",
		"{\"killed\":-1}",
		"{\"killed\":4294967296}",
		"{\"dispatched\":null}",
		"{\"fired_at\":\"yesterday\"}",
		"{\"fired_at\":5}",
		"{\"fired_at\":\"3024-01-01T00:00:00.000000Z\"}",
		"{\"state_snapshot\":\"text\"}",
		"{ \"state_snapshot\" : {} }",
		"{\"undo\":[1]}",
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(bad); i++) {
		struct sc_fire fire = full_fire();
		struct sc_fire before = fire;

		cr_expect_eq(sc_fire_parse(bad[i], strlen(bad[i]), &fire), -EBADMSG, "%s", bad[i]);
		cr_expect_eq(memcmp(&fire, &before, sizeof(fire)), 0, "%s", bad[i]);
	}
}

Test(fire, lives_by_its_table)
{
	static const struct {
		enum sc_fire_state from;
		enum sc_record_kind kind;
		int to;
	} cases[] = {
		{SC_FIRE_NEW, SC_RECORD_FIRE_INTENT, SC_FIRE_INTENT},
		{SC_FIRE_NEW, SC_RECORD_FIRE_VETOED, SC_FIRE_VETOED},
		{SC_FIRE_NEW, SC_RECORD_FIRE_DRY_RUN, SC_FIRE_DRY_RUN},
		{SC_FIRE_NEW, SC_RECORD_FIRE_PENDING, SC_FIRE_PENDING},
		{SC_FIRE_NEW, SC_RECORD_FIRE_DISPATCHED, -EINVAL}, /* no effect before its intent */
		{SC_FIRE_PENDING, SC_RECORD_FIRE_INTENT, -EINVAL}, /* pending never dispatches */
		{SC_FIRE_PENDING, SC_RECORD_FIRE_APPROVED, SC_FIRE_APPROVED},
		{SC_FIRE_PENDING, SC_RECORD_FIRE_TIMED_OUT, SC_FIRE_TIMED_OUT},
		{SC_FIRE_APPROVED, SC_RECORD_FIRE_INTENT, SC_FIRE_INTENT},
		{SC_FIRE_APPROVED, SC_RECORD_FIRE_VETOED, SC_FIRE_VETOED},
		{SC_FIRE_INTENT, SC_RECORD_FIRE_DISPATCHED, SC_FIRE_DISPATCHED},
		{SC_FIRE_INTENT, SC_RECORD_FIRE_FAILED, SC_FIRE_FAILED},
		{SC_FIRE_DISPATCHED, SC_RECORD_FIRE_VERIFIED, SC_FIRE_VERIFIED},
		{SC_FIRE_VERIFIED, SC_RECORD_FIRE_INTENT, -EINVAL}, /* nothing is fired twice */
		{SC_FIRE_VERIFIED, SC_RECORD_FIRE_REKILLED, SC_FIRE_VERIFIED},
		{SC_FIRE_VERIFIED, SC_RECORD_FIRE_RELEASED, SC_FIRE_RELEASED},
		{SC_FIRE_FAILED, SC_RECORD_FIRE_RELEASED, SC_FIRE_RELEASED},
	};
	static const enum sc_fire_state terminal[] = {
		SC_FIRE_RELEASED,  SC_FIRE_VETOED,  SC_FIRE_REJECTED,
		SC_FIRE_TIMED_OUT, SC_FIRE_DRY_RUN,
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++)
		cr_expect_eq(sc_fire_next(cases[i].from, cases[i].kind), cases[i].to, "%s + %s",
			     sc_fire_state_name(cases[i].from), sc_record_kind_name(cases[i].kind));
	for (size_t i = 0; i < SC_ARRAY_SIZE(terminal); i++) {
		cr_expect(sc_fire_is_closed(terminal[i]));
		for (int k = 0; k < SC_RECORD_KIND_COUNT; k++)
			cr_expect_eq(sc_fire_next(terminal[i], (unsigned int)k), -EINVAL);
	}
}

Test(fire, names_lead_back_to_their_values)
{
	for (int i = 0; i < SC_FIRE_STATE_COUNT; i++)
		cr_expect_eq(sc_fire_state_find(sc_fire_state_name((enum sc_fire_state)i)), i);
	for (int i = 0; i < SC_TWO_PERSON_COUNT; i++)
		cr_expect_eq(sc_two_person_find(sc_two_person_name((enum sc_two_person)i)), i);
	for (int i = 0; i < SC_OUTCOME_COUNT; i++)
		cr_expect_eq(sc_fire_outcome_find(sc_fire_outcome_name((enum sc_fire_outcome)i)),
			     i);
	for (int i = 0; i < SC_RECORD_KIND_COUNT; i++)
		cr_expect_eq(sc_record_kind_find(sc_record_kind_name((enum sc_record_kind)i)), i);
	cr_expect_eq(sc_record_kind_find("nothing"), -ENOENT);
}
