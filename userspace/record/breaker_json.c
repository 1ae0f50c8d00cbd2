/* SPDX-License-Identifier: Apache-2.0 */
/* A breaker's transition as the journal has it, read back; it is written where the breaker is. */
#include <scram/breaker.h>

#include "base/str.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

/* A wait longer than any that can be configured (100 days) is damage. */
#define WAIT_NS_MAX (100ULL * 86400 * 1000000000)

struct reader {
	const json_t *object;
	bool is_bad;
};

static const char *read_text(struct reader *r, const char *key)
{
	const char *text = json_string_value(json_object_get(r->object, key));

	r->is_bad = r->is_bad || !text;
	return text ? text : "";
}

static uint64_t read_u64(struct reader *r, const char *key, uint64_t max)
{
	const json_t *v = json_object_get(r->object, key);
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || (uint64_t)n > max) {
		r->is_bad = true;
		return 0;
	}
	return (uint64_t)n;
}

static bool read_bool(struct reader *r, const char *key)
{
	const json_t *v = json_object_get(r->object, key);

	r->is_bad = r->is_bad || !json_is_boolean(v);
	return json_is_true(v);
}

static unsigned int read_word(struct reader *r, const char *key, int (*find)(const char *))
{
	int n = find(read_text(r, key));

	r->is_bad = r->is_bad || n < 0;
	return n < 0 ? 0 : (unsigned int)n;
}

/* What fits together: a state that waits says until when, and not for ever. */
static bool is_sound(const struct sc_breaker_record *r)
{
	const struct sc_breaker_transition *t = &r->transition;
	bool waits = t->to == SC_BREAKER_OPEN || t->to == SC_BREAKER_HALF_OPEN;
	bool is_held = t->to >= SC_BREAKER_FORCED_OPEN;
	bool is_ordered = r->order != SC_BREAKER_ORDER_NONE &&
			  r->order != SC_BREAKER_ORDER_METRICS_ONLY;

	if (is_held != is_ordered || !*r->component)
		return false;
	return !waits || (t->retry_ns >= t->at_ns && t->retry_ns - t->at_ns <= WAIT_NS_MAX);
}

int sc_breaker_record_parse(const char *json, size_t n, struct sc_breaker_record *out)
{
	json_t *root = json_loadb(json, n, JSON_REJECT_DUPLICATES, NULL);
	struct reader r = {.object = root, .is_bad = !json_is_object(root)};
	struct sc_breaker_record record = {0};
	struct sc_breaker_transition *t = &record.transition;

	if (!sc_strcopy(record.component, sizeof(record.component), read_text(&r, "component")))
		r.is_bad = true;
	t->from = (enum sc_breaker_state)read_word(&r, "from", sc_breaker_state_find);
	t->to = (enum sc_breaker_state)read_word(&r, "to", sc_breaker_state_find);
	t->reason = (enum sc_breaker_reason)read_word(&r, "reason", sc_breaker_reason_find);
	record.order = (enum sc_breaker_order)read_word(&r, "order", sc_breaker_order_find);
	t->is_dry_run = read_bool(&r, "dry_run");
	t->at_ns = read_u64(&r, "at_boottime_ns", INT64_MAX);
	t->retry_ns = read_u64(&r, "retry_boottime_ns", INT64_MAX);
	record.wait_ns = read_u64(&r, "wait_ns", WAIT_NS_MAX);
	record.attempt = (uint32_t)read_u64(&r, "attempt", UINT32_MAX);
	record.is_of_connects = read_bool(&r, "of_connects");
	json_decref(root);
	if (r.is_bad || !is_sound(&record))
		return -EINVAL;
	*out = record;
	return 0;
}
