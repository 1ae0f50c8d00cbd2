/* SPDX-License-Identifier: Apache-2.0 */
/* What a record is told as. */
#include "worker/probe/notify_event.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

static const struct sc_notify_origin origin = {.host = "22222222-2222-4222-8222-222222222222",
					       .hostname = "node-1",
					       .version = "9.9",
					       .commit = "abc"};

#define FIRE "11111111-1111-4111-8111-111111111111"

static int make(enum sc_record_kind kind, const char *body, struct sc_notification **out)
{
	const struct sc_record record = {.seq = 7,
					 .kind = kind,
					 .time = "2030-01-01T00:00:00.000000Z",
					 .body = body,
					 .body_len = strlen(body)};

	return sc_notification_new(&origin, &record, out);
}

static const char *text(const json_t *object, const char *key)
{
	const char *t = json_string_value(json_object_get(object, key));

	return t ? t : "";
}

Test(notify_event, a_fire_is_told_with_what_matters_and_without_its_evidence)
{
	_cleanup_(sc_notification_unref) struct sc_notification *n = NULL;
	const json_t *fire;
	json_t *body;

	cr_assert_eq(make(SC_RECORD_FIRE_VERIFIED,
			  "{\"id\":\"" FIRE "\",\"condition_id\":\"crash-loop\","
			  "\"target\":\"/w/a\",\"action\":\"process-exit\",\"outcome\":\"emptied\","
			  "\"fired_by\":\"auto\",\"principal\":\"agent\",\"reason\":\"why not\","
			  "\"dry_run\":false,\"killed\":3,\"state_snapshot\":{\"big\":1}}",
			  &n),
		     1);
	cr_expect_str_eq(n->fields.fire, FIRE);
	cr_expect_str_eq(n->condition_id, "crash-loop");
	cr_expect_str_eq(n->text, "node-1: scram acted on /w/a: crash-loop, process-exit, emptied; "
				  "by auto; why not");
	body = json_loadb(n->body, n->size, JSON_REJECT_DUPLICATES, NULL);
	cr_assert(body);
	fire = json_object_get(body, "fire");
	cr_expect_str_eq(text(body, "host"), origin.host);
	cr_expect_str_eq(text(body, "kind"), "fire.verified");
	cr_expect_str_eq(text(body, "message"), "fire-verified");
	cr_expect_str_eq(text(body, "message_id"), n->message->id);
	cr_expect_eq(json_integer_value(json_object_get(body, "seq")), 7);
	cr_expect_str_eq(text(fire, "id"), FIRE);
	cr_expect_eq(json_integer_value(json_object_get(fire, "killed")), 3);
	cr_expect_null(json_object_get(fire, "state_snapshot"));
	json_decref(body);
}

Test(notify_event, hostile_names_are_printable_everywhere)
{
	_cleanup_(sc_notification_unref) struct sc_notification *n = NULL;

	cr_assert_eq(make(SC_RECORD_FIRE_DRY_RUN,
			  "{\"id\":\"" FIRE "\",\"condition_id\":\"c\","
			  "\"target\":\"/w/\\nMESSAGE=x\\u001b[31m\\u202e\\\"\","
			  "\"reason\":\"a\\r\\nb\",\"dry_run\":true}",
			  &n),
		     1);
	cr_expect_str_eq(n->fields.target, "/w/\\x0aMESSAGE=x\\x1b[31m\\xe2\\x80\\xae\"");
	cr_expect_str_eq(n->fields.reason, "a\\x0d\\x0ab");
	cr_expect(n->fields.is_dry_run);
	for (const char *c = n->text; *c; c++)
		cr_expect(*c >= 0x20 && *c < 0x7f, "byte %02x", (unsigned char)*c);
	for (size_t i = 0; i < n->size; i++)
		cr_expect((unsigned char)n->body[i] >= 0x20 && n->body[i] != 0x7f);
}

Test(notify_event, only_what_is_worth_it_is_told)
{
	static const struct {
		enum sc_record_kind kind;
		const char *body;
		int r;
		const char *message;
	} rows[] = {
		{SC_RECORD_FIRE_INTENT, "{}", 0, NULL},
		{SC_RECORD_FIRE_DISPATCHED, "{}", 0, NULL},
		{SC_RECORD_SEAL, "{}", 0, NULL},
		{SC_RECORD_SNAPSHOT, "{}", 0, NULL},
		{SC_RECORD_COMPONENT_EVENT, "{}", 0, NULL},
		/* Never of a notification. */
		{SC_RECORD_NOTIFY_OUTCOME, "{}", 0, NULL},
		{SC_RECORD_NOTIFY_SINK, "{}", 0, NULL},
		{SC_RECORD_KIND_COUNT, "{}", 0, NULL},
		{SC_RECORD_NOTIFY_TEST, "{}", 1, "notify-test"},
		{SC_RECORD_FIRE_VETOED, "{}", 1, "fire-vetoed"},
		{SC_RECORD_DISARM, "{\"operator\":\"o\",\"reason\":\"r\"}", 1, "disarmed"},
		{SC_RECORD_BREAKER_TRANSITION, "{\"component\":\"c\",\"to\":\"open\"}", 1,
		 "breaker-open"},
		{SC_RECORD_BREAKER_TRANSITION, "{\"component\":\"c\",\"to\":\"closed\"}", 1,
		 "breaker-closed"},
		{SC_RECORD_BREAKER_TRANSITION, "{\"component\":\"c\",\"to\":\"half-open\"}", 0,
		 NULL},
		{SC_RECORD_BREAKER_TRANSITION, "{}", 0, NULL},
		{SC_RECORD_DISARM, "[]", -EBADMSG, NULL},
		{SC_RECORD_DISARM, "{\"a\":1", -EBADMSG, NULL},
		{SC_RECORD_DISARM, "{\"a\":1,\"a\":2}", -EBADMSG, NULL},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		struct sc_notification *n = NULL;

		cr_expect_eq(make(rows[i].kind, rows[i].body, &n), rows[i].r, "row %zu", i);
		cr_assert_eq(n != NULL, rows[i].r == 1, "row %zu", i);
		if (n)
			cr_expect_str_eq(n->message->name, rows[i].message);
		sc_notification_unref(&n);
	}
}

Test(notify_event, every_message_has_an_id_of_its_own)
{
	char seen[64][SC_MESSAGE_ID_MAX];
	size_t n = 0;

	for (int k = 0; k < SC_RECORD_KIND_COUNT; k++) {
		const struct sc_message *m = sc_message_of((enum sc_record_kind)k, NULL);

		if (!m)
			continue;
		cr_expect_eq(strlen(m->id), 32);
		cr_expect_eq(strspn(m->id, "0123456789abcdef"), 32);
		for (size_t i = 0; i < n; i++)
			cr_expect_str_neq(seen[i], m->id);
		snprintf(seen[n++], sizeof(seen[0]), "%s", m->id);
	}
	cr_expect_gt(n, 15);
}
