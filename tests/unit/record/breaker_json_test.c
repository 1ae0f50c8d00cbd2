/* SPDX-License-Identifier: Apache-2.0 */
/* A breaker goes through the journal and a restart and is what it was. */
#include <scram/breaker.h>

#include "base/clock.h"
#include "base/str.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define S SC_NS_PER_S

static const struct sc_breaker_look nothing;
static struct sc_breaker_spec spec;

static void set_up(void)
{
	sc_breaker_spec_init(&spec);
	spec.live = true;
}

TestSuite(breaker_json, .init = set_up);

static struct sc_breaker_transition move(struct sc_breaker *b, struct sc_breaker_look look,
					 uint64_t at_s)
{
	struct sc_breaker_transition t;

	cr_assert(sc_breaker_step(b, &spec, &look, at_s * S, &t), "at %lu s", at_s);
	return t;
}

/* Out to JSON and back. */
static struct sc_breaker_record kept(const struct sc_breaker *b,
				     const struct sc_breaker_transition *t)
{
	struct sc_time now = {.boot_ns = t->at_ns, .real_ns = 1700000000000000000};
	struct sc_breaker_record record, back;
	_cleanup_str_ struct sc_str json;

	sc_str_init_heap(&json);
	sc_breaker_to_record(b, "web \"1\"", t, &record);
	sc_breaker_record_json(&record, &now, &json);
	memset(&back, 0xff, sizeof(back));
	cr_assert_eq(sc_breaker_record_parse(json.data, json.len, &back), 0, "%s", json.data);
	cr_assert_str_eq(back.component, "web \"1\"");
	cr_assert_eq(back.order, record.order);
	cr_assert_eq(back.attempt, record.attempt);
	cr_assert_eq(back.wait_ns, record.wait_ns);
	cr_assert_eq(back.is_of_connects, record.is_of_connects);
	cr_assert_eq(back.transition.from, t->from);
	cr_assert_eq(back.transition.to, t->to);
	cr_assert_eq(back.transition.reason, t->reason);
	cr_assert_eq(back.transition.is_dry_run, t->is_dry_run);
	cr_assert_eq(back.transition.at_ns, t->at_ns);
	cr_assert_eq(back.transition.retry_ns, t->retry_ns);
	return back;
}

/* A breaker whose third open, of 120 s, began at 192 s. */
static struct sc_breaker thrice_opened(struct sc_breaker_transition *t)
{
	struct sc_breaker b;

	sc_breaker_init(&b, 0);
	move(&b, (struct sc_breaker_look){.failures = 5}, 100);
	move(&b, nothing, 130);
	move(&b, (struct sc_breaker_look){.failures = 1}, 131);
	move(&b, nothing, 191);
	*t = move(&b, (struct sc_breaker_look){.failures = 1}, 192);
	return b;
}

Test(breaker_json, tells_people_when)
{
	struct sc_time now = {.boot_ns = 200 * S, .real_ns = 1700000000000000000};
	struct sc_breaker_transition t;
	struct sc_breaker_record record;
	struct sc_breaker b = thrice_opened(&t);
	_cleanup_str_ struct sc_str json;

	sc_str_init_heap(&json);
	sc_breaker_to_record(&b, "web", &t, &record);
	sc_breaker_record_json(&record, &now, &json);
	cr_assert_str_eq(json.data,
			 "{\"component\":\"web\",\"from\":\"half-open\",\"to\":\"open\","
			 "\"reason\":\"half_open_failed\",\"order\":\"none\",\"dry_run\":false,"
			 "\"at\":\"2023-11-14T22:13:12.000000Z\","
			 "\"retry_at\":\"2023-11-14T22:15:12.000000Z\","
			 "\"at_boottime_ns\":192000000000,\"retry_boottime_ns\":312000000000,"
			 "\"wait_ns\":120000000000,\"attempt\":2,\"of_connects\":false}");
}

Test(breaker_json, a_restart_within_the_boot_waits_the_rest)
{
	struct sc_breaker_transition t;
	struct sc_breaker b = thrice_opened(&t);
	struct sc_breaker_record record = kept(&b, &t);
	struct sc_breaker_look none = {0};

	sc_breaker_restore(&b, &record, true, 250 * S);
	cr_assert_eq(b.state, SC_BREAKER_OPEN);
	cr_assert_eq(b.until_ns, 312 * S);
	cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_REFUSE_NEW, "cut before the first tick");
	cr_assert_not(sc_breaker_step(&b, &spec, &none, 311 * S, &t));
	t = move(&b, nothing, 312);
	cr_assert_eq(t.to, SC_BREAKER_HALF_OPEN);
	cr_assert_eq(b.attempt, 3);
	/* The wait goes on doubling from where it was. */
	t = move(&b, (struct sc_breaker_look){.failures = 1}, 313);
	cr_assert_eq(t.retry_ns, (313 + 240) * S);
}

Test(breaker_json, a_restart_after_the_wait_goes_half_open_at_once)
{
	struct sc_breaker_transition t;
	struct sc_breaker b = thrice_opened(&t);
	struct sc_breaker_record record = kept(&b, &t);

	sc_breaker_restore(&b, &record, true, 5000 * S);
	t = move(&b, nothing, 5000);
	cr_assert_eq(t.reason, SC_BREAKER_COOLDOWN_ELAPSED);
}

Test(breaker_json, after_a_reboot_the_wait_is_over)
{
	struct sc_breaker_transition t;
	struct sc_breaker b = thrice_opened(&t);
	struct sc_breaker_record open = kept(&b, &t);
	struct sc_breaker_record half;

	t = move(&b, nothing, 312);
	half = kept(&b, &t);
	sc_breaker_restore(&b, &open, false, 20 * S);
	cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_REFUSE_NEW);
	t = move(&b, nothing, 20);
	cr_assert_eq(t.to, SC_BREAKER_HALF_OPEN);
	sc_breaker_restore(&b, &half, false, 20 * S);
	cr_assert_eq(b.state, SC_BREAKER_OPEN, "whom it let through is gone");
	t = move(&b, nothing, 20);
	cr_assert_eq(t.to, SC_BREAKER_HALF_OPEN);
	cr_assert_eq(b.wait_ns, 120 * S);
}

Test(breaker_json, half_open_keeps_its_end_and_its_allowance)
{
	struct sc_breaker_transition t;
	struct sc_breaker b = thrice_opened(&t);
	struct sc_breaker_record record;

	t = move(&b, nothing, 312);
	record = kept(&b, &t);
	sc_breaker_restore(&b, &record, true, 330 * S);
	cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_TRY);
	cr_assert_eq(b.attempt, 3, "a restart grants no new tries");
	cr_assert_eq(b.until_ns, 342 * S);
}

Test(breaker_json, an_order_survives_restart_and_reboot)
{
	for (unsigned int o = 1; o < SC_BREAKER_ORDER_COUNT; o++) {
		struct sc_breaker_transition t;
		struct sc_breaker_record record;
		struct sc_breaker b;
		enum sc_breaker_state state;
		enum sc_cut_mode cut;

		sc_breaker_init(&b, 0);
		sc_breaker_order(&b, &spec, (enum sc_breaker_order)o, 5 * S, &t);
		state = b.state;
		cut = sc_breaker_cut(&b, &spec);
		record = kept(&b, &t);
		for (int same = 0; same < 2; same++) {
			sc_breaker_restore(&b, &record, same, 7 * S);
			cr_assert_eq(b.state, state);
			cr_assert_eq(b.order, (enum sc_breaker_order)o);
			cr_assert_eq(sc_breaker_cut(&b, &spec), cut);
		}
	}
}

Test(breaker_json, what_opened_in_dry_run_does_not_cut_after_a_restart_that_made_it_live)
{
	struct sc_breaker_transition t;
	struct sc_breaker_record record;
	struct sc_breaker b;

	spec.live = false;
	sc_breaker_init(&b, 0);
	t = move(&b, (struct sc_breaker_look){.failures = 5}, 100);
	record = kept(&b, &t);
	spec.live = true;
	sc_breaker_restore(&b, &record, true, 101 * S);
	cr_assert_eq(sc_breaker_cut(&b, &spec), SC_CUT_NONE);
	t = move(&b, nothing, 102);
	cr_assert_eq(t.to, SC_BREAKER_CLOSED);
}

/* A record of a clock that was ahead must not make a longer wait than was meant. */
Test(breaker_json, a_wait_is_never_longer_than_it_was)
{
	struct sc_breaker_transition t;
	struct sc_breaker b = thrice_opened(&t);
	struct sc_breaker_record record = kept(&b, &t);

	sc_breaker_restore(&b, &record, true, 3 * S);
	cr_assert_eq(b.until_ns, (3 + 120) * S);
}

static const char good[] =
	"{\"component\":\"web\",\"from\":\"closed\",\"to\":\"open\",\"reason\":\"recovered\","
	"\"order\":\"none\",\"dry_run\":false,\"at_boottime_ns\":5,\"retry_boottime_ns\":9,"
	"\"wait_ns\":4,\"attempt\":0,\"of_connects\":true}";

Test(breaker_json, damaged_records_are_refused)
{
	/* What stands in `good`, and what it is replaced with. */
	static const char *const spoiled[][2] = {
		{"\"component\":\"web\"", "\"component\":\"\""},
		{"\"component\":\"web\"", "\"component\":7"},
		{"\"component\":\"web\",", ""},
		{"closed", "shut"},
		{"\"to\":\"open\"", "\"to\":\"ajar\""},
		{"\"to\":\"open\"", "\"to\":\"forced-open\""},
		{"\"order\":\"none\"", "\"order\":\"disabled\""},
		{"recovered", "tired"},
		{"none", "some"},
		{"false", "0"},
		{":5", ":-5"},
		{":5", ":10"},
		{":9", ":9223372036854775807"},
		{":9", ":1.5"},
		{":4", ":\"4\""},
		{"\"attempt\":0", "\"attempt\":4294967296"},
		{"true", "null"},
		{"{", "["},
		{"}", ""},
	};
	struct sc_breaker_record record, before;

	memset(&record, 0x5a, sizeof(record));
	before = record;
	for (size_t i = 0; i < SC_ARRAY_SIZE(spoiled); i++) {
		const char *at = strstr(good, spoiled[i][0]);
		char text[512];

		cr_assert_not_null(at, "%s", spoiled[i][0]);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - good), good, spoiled[i][1],
			 at + strlen(spoiled[i][0]));
		cr_assert_eq(sc_breaker_record_parse(text, strlen(text), &record), -EINVAL, "%s",
			     text);
		cr_assert_eq(memcmp(&record, &before, sizeof(record)), 0, "touched by %s", text);
	}
	for (size_t n = 0; n < sizeof(good) - 1; n++)
		cr_assert_eq(sc_breaker_record_parse(good, n, &record), -EINVAL, "%zu bytes", n);
	cr_assert_eq(sc_breaker_record_parse(good, sizeof(good) - 1, &record), 0);
}

Test(breaker_json, names_go_both_ways)
{
	for (int s = 0; s < SC_BREAKER_STATE_COUNT; s++)
		cr_assert_eq(sc_breaker_state_find(sc_breaker_state_name((enum sc_breaker_state)s)),
			     s);
	for (int o = 0; o < SC_BREAKER_ORDER_COUNT; o++)
		cr_assert_eq(sc_breaker_order_find(sc_breaker_order_name((enum sc_breaker_order)o)),
			     o);
	for (int r = 0; r < SC_BREAKER_REASON_COUNT; r++)
		cr_assert_eq(
			sc_breaker_reason_find(sc_breaker_reason_name((enum sc_breaker_reason)r)),
			r);
	cr_assert_eq(sc_breaker_state_find("ajar"), -ENOENT);
}
