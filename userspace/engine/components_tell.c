/* SPDX-License-Identifier: Apache-2.0 */
/* What is recorded, logged and shown of components. */
#include "engine/components_impl.h"

#include "base/json.h"
#include "base/log.h"
#include "record/redact.h"

#include <stdarg.h>
#include <string.h>

#define BODY_MAX 2048 /* a name of 128 bytes, each six in JSON, and some numbers */

enum event_index { EVENT_DIED, EVENT_RESPAWNED, EVENT_HEALTH, EVENT_COUNT };

static const char *const event_names[] = {"died-unexpectedly", "respawned", "health-changed"};
_Static_assert(SC_ARRAY_SIZE(event_names) == EVENT_COUNT && EVENT_COUNT == SC_COMPONENT_EVENTS,
	       "one name each");

void sc_component_note_error(struct sc_component_watch *w, const char *fmt, ...)
{
	char raw[SC_COMPONENT_ERROR_MAX];
	struct sc_str clean;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	sc_str_init(&clean, w->last_error, sizeof(w->last_error));
	sc_redact(&clean, raw);
}

void sc_component_evidence(const struct sc_component_watch *w, struct sc_str *out)
{
	const struct sc_breaker *b = &w->breaker;
	struct sc_json j;

	sc_json_init(&j, out);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "component", w->name);
	sc_json_member_text(&j, "state", sc_breaker_state_name(b->state));
	sc_json_member_u64(&j, "failures_in_a_row", b->run);
	sc_json_member_u64(&j, "failures_to_open", w->spec.failures);
	sc_json_member_u64(&j, "failures_seen", b->failures_seen);
	sc_json_member_u64(&j, "successes_seen", b->successes_seen);
	sc_json_member_u64(&j, "unexpected_exits", b->exits_seen);
	sc_json_member_u64(&j, "members", w->members);
	sc_json_member_text(&j, "last_error", w->last_error);
	sc_json_object_end(&j);
}

/* --- transitions --- */

/* The one loud event of a breaker that opens again and again. */
static void tell_blocker(struct sc_engine *e, const struct sc_component_watch *w)
{
	const struct sc_session_blocker *s = &e->components->blocker;
	char body[BODY_MAX];
	struct sc_str text;
	struct sc_json j;

	sc_log_error("session blocker: the breaker of %s opened %d times without closing once: %s",
		     w->name, SC_SESSION_BLOCKER_OPENS, w->last_error);
	sc_str_init(&text, body, sizeof(body));
	sc_json_init(&j, &text);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "component", w->name);
	sc_json_member_text(&j, "session", s->session);
	sc_json_member_u64(&j, "opens", SC_SESSION_BLOCKER_OPENS);
	sc_json_member_text(&j, "last_error", w->last_error);
	sc_json_object_end(&j);
	SC_ASSERT(!text.truncated);
	(void)sc_records_append(e, SC_RECORD_SESSION_BLOCKER, body);
}

void sc_component_tell_transition(struct sc_engine *e, struct sc_component_watch *w,
				  const struct sc_breaker_transition *t, const char *by,
				  const char *note)
{
	struct sc_fold_breaker record = {
		.real_less_boot_ns = e->now.real_ns - (int64_t)e->now.boot_ns,
	};
	bool is_loud = sc_session_blocker_note(&e->components->blocker, w->name, t);
	struct sc_str clean;

	sc_breaker_to_record(&w->breaker, w->name, t, &record.record);
	sc_strcopy(record.boot_id, sizeof(record.boot_id), e->boot_id);
	sc_strcopy(record.by, sizeof(record.by), by);
	sc_str_init(&clean, record.note, sizeof(record.note));
	sc_redact(&clean, note);
	(void)sc_records_breaker(e, &record);
	sc_log(t->to == SC_BREAKER_CLOSED ? SC_LOG_INFO : SC_LOG_WARNING,
	       "breaker of %s: %s -> %s, %s, order %s, by %s%s", w->name,
	       sc_breaker_state_name(t->from), sc_breaker_state_name(t->to),
	       sc_breaker_reason_name(t->reason), sc_breaker_order_name(w->breaker.order), by,
	       t->is_dry_run ? " (metrics-only: nothing is cut)" : "");
	if (is_loud)
		tell_blocker(e, w);
}

/* --- events --- */

static void append_event(struct sc_engine *e, const struct sc_component_watch *w, const char *event,
			 uint64_t count)
{
	char body[BODY_MAX];
	struct sc_str text;
	struct sc_json j;

	sc_str_init(&text, body, sizeof(body));
	sc_json_init(&j, &text);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "component", w->name);
	sc_json_member_text(&j, "event", event);
	sc_json_member_u64(&j, "count", count);
	sc_json_member_text(&j, "health", sc_component_health_name(w->state.health));
	sc_json_object_end(&j);
	SC_ASSERT(!text.truncated);
	(void)sc_records_append(e, SC_RECORD_COMPONENT_EVENT, body);
	sc_log_info("component %s: %s (%llu), %s", w->name, event, (unsigned long long)count,
		    sc_component_health_name(w->state.health));
}

/* One record a second of each event: those that came meanwhile are in its count. */
static void tell(struct sc_engine *e, struct sc_component_watch *w, enum event_index i,
		 bool is_last)
{
	if (w->untold[i] == 0 || (!is_last && e->now.mono_ns < w->next_told_ns[i]))
		return;
	append_event(e, w, event_names[i], w->untold[i]);
	w->untold[i] = 0;
	w->next_told_ns[i] = e->now.mono_ns + SC_COMPONENT_TOLD_NS;
}

void sc_component_tell_events(struct sc_engine *e, struct sc_component_watch *w,
			      unsigned int events, uint64_t deaths, bool is_last)
{
	w->untold[EVENT_DIED] += deaths;
	w->untold[EVENT_RESPAWNED] += (events & SC_COMPONENT_RESPAWNED) != 0;
	w->untold[EVENT_HEALTH] += (events & SC_COMPONENT_HEALTH_CHANGED) != 0;
	for (unsigned int i = 0; i < EVENT_COUNT; i++)
		tell(e, w, (enum event_index)i, is_last);
}

/* --- status --- */

static void add_time(struct sc_json *j, const char *key, const struct sc_engine *e,
		     uint64_t boot_ns)
{
	char text[SC_TIME_TEXT_MAX];

	sc_time_text(e->now.real_ns + (int64_t)(boot_ns - e->now.boot_ns), text);
	sc_json_member_text(j, key, boot_ns ? text : NULL);
}

/* A cut by another hand is what forced-open means to who looks. NULL: no breaker, no cut. */
static const char *circuit_state(const struct sc_component_watch *w)
{
	if (w->holder.is_break)
		return sc_breaker_state_name(SC_BREAKER_FORCED_OPEN);
	return w->has_breaker ? sc_breaker_state_name(w->breaker.state) : NULL;
}

static const char *isolated_by(const struct sc_component_watch *w)
{
	if (w->holder.fire_id[0])
		return w->holder.fire_id;
	return w->cut ? w->cut_fire_id : NULL;
}

static const char *mode_of(const struct sc_component_watch *w)
{
	enum sc_breaker_order order = w->breaker.order;

	if (!w->has_breaker)
		return NULL;
	if (order != SC_BREAKER_ORDER_NONE)
		return sc_breaker_order_name(order);
	return w->spec.live ? "auto" : sc_breaker_order_name(SC_BREAKER_ORDER_METRICS_ONLY);
}

static void add_component(struct sc_engine *e, const struct sc_component_watch *w,
			  struct sc_json *j)
{
	const struct sc_session_blocker_entry *entry = sc_session_blocker_find(
		&e->components->blocker, w->name);

	sc_json_object_begin(j);
	sc_json_member_text(j, "name", w->name);
	sc_json_member_text(j, "health", sc_component_health_name(w->state.health));
	sc_json_member_bool(j, "healthy", w->state.health == SC_COMPONENT_HEALTHY);
	sc_json_member_text(j, "circuit_state", circuit_state(w));
	sc_json_member_text(j, "breaker", mode_of(w));
	add_time(j, "retry_at", e, w->has_breaker ? w->breaker.until_ns : 0);
	sc_json_member_text(j, "last_error", w->last_error[0] ? w->last_error : NULL);
	sc_json_member_u64(j, "open_transitions", entry ? entry->opens : 0);
	sc_json_member_bool(j, "session_blocker_emitted", entry && entry->is_emitted);
	sc_json_member_text(j, "isolated_by", isolated_by(w));
	sc_json_member_u64(j, "members", w->members);
	sc_json_member_u64(j, "failures_in_a_row", w->breaker.run);
	sc_json_member_u64(j, "deaths", w->state.deaths);
	sc_json_member_u64(j, "respawns", w->state.respawns);
	sc_json_object_end(j);
}

void sc_components_json(struct sc_engine *e, struct sc_json *j)
{
	const struct sc_components *s = e->components;

	sc_json_member_text(j, "session", s ? s->blocker.session : NULL);
	sc_json_key(j, "components");
	sc_json_array_begin(j);
	for (uint32_t i = 0; s && i < s->set.n; i++)
		add_component(e, &s->set.watch[i], j);
	sc_json_array_end(j);
}
