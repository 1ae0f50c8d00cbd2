/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/refusals.h"

#include "engine/ops.h"

#include <string.h>

#define PERIOD_NS (60 * SC_NS_PER_S)
#define COUNT_MAX 1000000 /* in one message of a worker */

static const char others[] = "\"channel\":\"any\",\"who\":\"others\",\"what\":\"requests\","
			     "\"status\":null,\"why\":\"too many kinds to be told apart\"";

void sc_refusals_init(struct sc_engine *e)
{
	sc_tally_init(&e->refusals, PERIOD_NS, others);
}

/* The members of the record but for the count. */
static void write_key(struct sc_str *out, const struct sc_refusal *r)
{
	struct sc_json j;

	sc_json_init(&j, out);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "channel", r->channel);
	sc_json_member_text(&j, "who", r->who);
	sc_json_member_text(&j, "what", r->what);
	sc_json_key(&j, "status");
	if (r->status)
		sc_json_u64(&j, r->status);
	else
		sc_json_null(&j);
	sc_json_member_text(&j, "why", r->why);
}

void sc_refusals_note(struct sc_engine *e, const struct sc_refusal *refusal)
{
	char key[SC_TALLY_KEY_MAX];
	struct sc_str text;

	e->refused += refusal->count;
	sc_str_init(&text, key, sizeof(key));
	write_key(&text, refusal);
	/* Without the bracket that opens it. */
	sc_tally_add(&e->refusals, text.truncated ? NULL : key + 1, refusal->count, e->now.mono_ns);
	sc_refusals_keep(e, false);
}

void sc_refusals_keep(struct sc_engine *e, bool is_end)
{
	uint64_t now_ns = is_end ? UINT64_MAX : e->now.mono_ns, count;
	const char *key;

	while ((key = sc_tally_take(&e->refusals, now_ns, &count))) {
		char body[SC_TALLY_KEY_MAX + 64];

		snprintf(body, sizeof(body), "{%s,\"count\":%llu}", key, (unsigned long long)count);
		(void)sc_records_append(e, SC_RECORD_REQUEST_REFUSED, body);
	}
}

/* {"channel", "who", "what", "why", "status", "count"}: what the api worker refused by itself. */
void sc_op_refused(struct sc_op_call *call)
{
	json_int_t status = json_integer_value(json_object_get(call->args, "status"));
	json_int_t count = json_integer_value(json_object_get(call->args, "count"));
	struct sc_refusal r = {
		.channel = sc_op_need(call, "channel", "where it was asked"),
		.who = sc_op_need(call, "who", "who asked"),
		.what = sc_op_need(call, "what", "what was asked"),
		.why = sc_op_need(call, "why", "why it was refused"),
	};

	if (call->exit != SC_EXIT_DONE)
		return;
	if (status < 400 || status > 599 || count < 1 || count > COUNT_MAX) {
		sc_op_fail(call, SC_EXIT_USAGE, "status and count are no numbers of refusals");
		return;
	}
	r.status = (unsigned int)status;
	r.count = (uint64_t)count;
	sc_refusals_note(call->e, &r);
}
