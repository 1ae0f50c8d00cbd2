/* SPDX-License-Identifier: Apache-2.0 */
/* The breaker's words, its defaults, and its state as it goes into the journal and comes back. */
#include <scram/breaker.h>

#include "base/clock.h"
#include "base/json.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static const char *const states[] = {
	[SC_BREAKER_CLOSED] = "closed",
	[SC_BREAKER_OPEN] = "open",
	[SC_BREAKER_HALF_OPEN] = "half-open",
	[SC_BREAKER_FORCED_OPEN] = "forced-open",
	[SC_BREAKER_FORCED_CLOSED] = "forced-closed",
	[SC_BREAKER_DISABLED] = "disabled",
};
static_assert(SC_ARRAY_SIZE(states) == SC_BREAKER_STATE_COUNT, "one name each");

static const char *const orders[] = {
	[SC_BREAKER_ORDER_NONE] = "none",
	[SC_BREAKER_ORDER_FORCED_OPEN] = "forced-open",
	[SC_BREAKER_ORDER_FORCED_CLOSED] = "forced-closed",
	[SC_BREAKER_ORDER_DISABLED] = "disabled",
	[SC_BREAKER_ORDER_METRICS_ONLY] = "metrics-only",
};
static_assert(SC_ARRAY_SIZE(orders) == SC_BREAKER_ORDER_COUNT, "one name each");

static const char *const reasons[] = {
	[SC_BREAKER_FAILURE_THRESHOLD] = "failure_threshold",
	[SC_BREAKER_COOLDOWN_ELAPSED] = "cooldown_elapsed",
	[SC_BREAKER_RECOVERED] = "recovered",
	[SC_BREAKER_HALF_OPEN_FAILED] = "half_open_failed",
	[SC_BREAKER_HALF_OPEN_UNTRIED] = "half_open_untried",
	[SC_BREAKER_OPERATOR] = "operator",
};
static_assert(SC_ARRAY_SIZE(reasons) == SC_BREAKER_REASON_COUNT, "one name each");

static int find(const char *name, const char *const *names, int n)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(name, names[i]))
			return i;
	return -ENOENT;
}

const char *sc_breaker_state_name(enum sc_breaker_state state)
{
	SC_ASSERT((unsigned int)state < SC_BREAKER_STATE_COUNT);
	return states[state];
}

const char *sc_breaker_order_name(enum sc_breaker_order order)
{
	SC_ASSERT((unsigned int)order < SC_BREAKER_ORDER_COUNT);
	return orders[order];
}

const char *sc_breaker_reason_name(enum sc_breaker_reason reason)
{
	SC_ASSERT((unsigned int)reason < SC_BREAKER_REASON_COUNT);
	return reasons[reason];
}

int sc_breaker_state_find(const char *name)
{
	return find(name, states, SC_BREAKER_STATE_COUNT);
}

int sc_breaker_order_find(const char *name)
{
	return find(name, orders, SC_BREAKER_ORDER_COUNT);
}

int sc_breaker_reason_find(const char *name)
{
	return find(name, reasons, SC_BREAKER_REASON_COUNT);
}

void sc_breaker_spec_init(struct sc_breaker_spec *spec)
{
	*spec = (struct sc_breaker_spec){
		.mode = SC_CUT_REFUSE_NEW,
		.failures = SC_BREAKER_FAILURES,
		.tries = SC_BREAKER_TRIES,
		.successes = SC_BREAKER_SUCCESSES,
		.open_ns = SC_BREAKER_OPEN_NS,
		.open_max_ns = SC_BREAKER_OPEN_MAX_NS,
		.half_open_ns = SC_BREAKER_HALF_OPEN_NS,
	};
}

void sc_breaker_init(struct sc_breaker *b, uint64_t now_ns)
{
	*b = (struct sc_breaker){.since_ns = now_ns};
}

void sc_breaker_to_record(const struct sc_breaker *b, const char *component,
			  const struct sc_breaker_transition *t, struct sc_breaker_record *out)
{
	*out = (struct sc_breaker_record){
		.transition = *t,
		.order = b->order,
		.attempt = b->attempt,
		.wait_ns = b->wait_ns,
		.is_of_connects = b->is_of_connects,
	};
	sc_strcopy(out->component, sizeof(out->component), component);
}

static void member_time(struct sc_json *j, const char *key, uint64_t boot_ns,
			const struct sc_time *now)
{
	char text[SC_TIME_TEXT_MAX];

	sc_time_text(now->real_ns + (int64_t)(boot_ns - now->boot_ns), text);
	sc_json_member_text(j, key, text);
}

void sc_breaker_record_json(const struct sc_breaker_record *r, const struct sc_time *now,
			    struct sc_str *out)
{
	const struct sc_breaker_transition *t = &r->transition;
	struct sc_json j;

	sc_json_init(&j, out);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "component", r->component);
	sc_json_member_text(&j, "from", sc_breaker_state_name(t->from));
	sc_json_member_text(&j, "to", sc_breaker_state_name(t->to));
	sc_json_member_text(&j, "reason", sc_breaker_reason_name(t->reason));
	sc_json_member_text(&j, "order", sc_breaker_order_name(r->order));
	sc_json_member_bool(&j, "dry_run", t->is_dry_run);
	member_time(&j, "at", t->at_ns, now);
	if (t->retry_ns)
		member_time(&j, "retry_at", t->retry_ns, now);
	sc_json_member_u64(&j, "at_boottime_ns", t->at_ns);
	sc_json_member_u64(&j, "retry_boottime_ns", t->retry_ns);
	sc_json_member_u64(&j, "wait_ns", r->wait_ns);
	sc_json_member_u64(&j, "attempt", r->attempt);
	sc_json_member_bool(&j, "of_connects", r->is_of_connects);
	sc_json_object_end(&j);
}

void sc_breaker_restore(struct sc_breaker *b, const struct sc_breaker_record *r, bool is_same_boot,
			uint64_t now_ns)
{
	const struct sc_breaker_transition *t = &r->transition;
	uint64_t span = t->retry_ns - t->at_ns;

	*b = (struct sc_breaker){
		.state = t->to,
		.order = r->order,
		.attempt = r->attempt,
		.wait_ns = r->wait_ns,
		.is_of_connects = r->is_of_connects,
		.acts = r->order == SC_BREAKER_ORDER_NONE
				? !t->is_dry_run
				: r->order != SC_BREAKER_ORDER_METRICS_ONLY,
		.since_ns = is_same_boot ? SC_MIN(t->at_ns, now_ns) : now_ns,
	};
	if (b->state != SC_BREAKER_OPEN && b->state != SC_BREAKER_HALF_OPEN)
		return;
	b->until_ns = now_ns;
	if (!is_same_boot)
		b->state = SC_BREAKER_OPEN;
	else if (t->retry_ns > now_ns) /* never longer than the whole wait was */
		b->until_ns += SC_MIN(t->retry_ns - now_ns, span);
}
