/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong while shipping, by class: since the start, and in the last ten minutes. */
#include "engine/store_impl.h"

#include "record/redact.h"

#include <inttypes.h>
#include <string.h>

#define MINUTE_NS (60 * SC_NS_PER_S)

struct class_row {
	const char *name; /* in messages and status */
	const char *words;
	enum sc_doctor_level level;
	const char *fix;
};

static const struct class_row rows[SC_STORE_CLASS_COUNT];

void sc_store_take_text(const char *text, char *out)
{
	struct sc_str s;

	sc_str_init(&s, out, SC_STORE_TEXT_MAX);
	if (text)
		sc_redact(&s, text);
}

uint64_t sc_store_take_number(const json_t *from, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(from, key));

	return n > 0 ? (uint64_t)n : 0;
}

/* Drops the minutes that are over. */
static void turn(struct sc_store_errors *c, uint64_t now_ns)
{
	uint64_t minute = now_ns / MINUTE_NS;

	if (minute - c->minute >= SC_STORE_BUCKETS) {
		memset(c->bucket, 0, sizeof(c->bucket));
		c->minute = minute;
	}
	while (c->minute < minute)
		c->bucket[++c->minute % SC_STORE_BUCKETS] = 0;
}

static uint64_t recent(struct sc_store_errors *c, uint64_t now_ns)
{
	uint64_t n = 0;

	turn(c, now_ns);
	for (int i = 0; i < SC_STORE_BUCKETS; i++)
		n += c->bucket[i];
	return n;
}

/* A worker that was started anew counts from 0 again. */
static void take_class(struct sc_store_errors *c, const json_t *from, uint64_t now_ns)
{
	uint64_t count = sc_store_take_number(from, "count");
	uint64_t more = count >= c->told ? count - c->told : count;

	c->told = count;
	if (more == 0)
		return;
	turn(c, now_ns);
	c->total += more;
	c->bucket[c->minute % SC_STORE_BUCKETS] += more;
	sc_store_take_text(json_string_value(json_object_get(from, "last")), c->last);
}

void sc_store_take_errors(struct sc_op_call *call)
{
	const json_t *errors = json_object_get(call->args, "errors");

	for (int i = 0; i < SC_STORE_CLASS_COUNT; i++)
		take_class(&call->e->store->errors[i], json_object_get(errors, rows[i].name),
			   call->e->now.mono_ns);
}

void sc_store_errors_json(struct sc_engine *e, struct sc_json *j)
{
	sc_json_key(j, "errors");
	sc_json_object_begin(j);
	for (int i = 0; i < SC_STORE_CLASS_COUNT; i++) {
		struct sc_store_errors *c = &e->store->errors[i];

		sc_json_key(j, rows[i].name);
		sc_json_object_begin(j);
		sc_json_member_u64(j, "count", c->total);
		sc_json_member_u64(j, "recent", recent(c, e->now.mono_ns));
		sc_json_member_text(j, "last", c->last[0] ? c->last : NULL);
		sc_json_object_end(j);
	}
	sc_json_object_end(j);
}

void sc_store_errors_doctor(struct sc_op_call *call)
{
	char text[SC_STORE_TEXT_MAX + 96];

	for (int i = 0; i < SC_STORE_CLASS_COUNT; i++) {
		struct sc_store_errors *c = &call->e->store->errors[i];
		uint64_t n = recent(c, call->e->now.mono_ns);

		if (n == 0)
			continue;
		snprintf(text, sizeof(text), "%" PRIu64 " in the last 10 minutes: %s", n, c->last);
		sc_doctor_add(call, rows[i].words, rows[i].level, text, rows[i].fix);
	}
}

static const struct class_row rows[SC_STORE_CLASS_COUNT] = {
	[SC_STORE_OUT_OF_WINDOW] = {"out_of_window", "store refused, out of window", SC_DOCTOR_RED,
				    "SELECT * FROM scram_verify(host) in the store: records before "
				    "these are missing there, or no partition takes their time"},
	[SC_STORE_MALFORMED] = {"malformed", "store refused, malformed", SC_DOCTOR_RED,
				"scram migrate, and read quarantine/*/reason.txt in the state "
				"directory"},
	[SC_STORE_TRANSIENT] = {"transient", "store errors, transient", SC_DOCTOR_YELLOW,
				"scram ping --store, with the agent's DATABASE_URL"},
};
