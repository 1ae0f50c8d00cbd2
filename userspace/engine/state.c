/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent is now: the answer to status, and the state file that speaks when the agent is
 * dead. */
#include "engine/notify.h"
#include "engine/ops.h"
#include "engine/probes.h"
#include "engine/store.h"
#include "engine/workers.h"

#include "engine/components.h"

#include "version.h"
#include "record/fold.h"

#include <string.h>

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static uint32_t percentile(const uint32_t *samples, uint32_t n, unsigned int percent)
{
	uint32_t sorted[SC_TICK_SAMPLES];

	if (n == 0)
		return 0;
	memcpy(sorted, samples, n * sizeof(*samples));
	qsort(sorted, n, sizeof(*sorted), compare_u32);
	return sorted[(size_t)(n - 1) * percent / 100];
}

static void add_time(struct sc_json *j, const char *key, int64_t real_ns)
{
	char text[SC_TIME_TEXT_MAX];

	if (real_ns)
		sc_time_text(real_ns, text);
	sc_json_member_text(j, key, real_ns ? text : NULL);
}

static void add_tick(struct sc_engine *e, struct sc_json *j)
{
	const struct sc_tick_stats *t = &e->ticks;
	uint32_t n = SC_MIN(t->samples, (uint32_t)SC_TICK_SAMPLES);

	sc_json_key(j, "tick");
	sc_json_object_begin(j);
	sc_json_member_double(j, "interval_ms", (double)e->interval_ns / 1e6);
	sc_json_member_u64(j, "count", t->full);
	sc_json_member_u64(j, "early", t->early);
	sc_json_member_u64(j, "last_us", t->last_us);
	sc_json_member_u64(j, "p50_us", percentile(t->sample_us, n, 50));
	sc_json_member_u64(j, "p99_us", percentile(t->sample_us, n, 99));
	sc_json_member_u64(j, "late_p50_us", percentile(t->sample_late_us, n, 50));
	sc_json_member_u64(j, "late_p99_us", percentile(t->sample_late_us, n, 99));
	sc_json_member_u64(j, "overruns", t->overruns);
	sc_json_member_u64(j, "collector_pass_us", atomic_load(&e->collector.pass_us));
	sc_json_object_end(j);
}

static void add_conditions(struct sc_engine *e, struct sc_json *j)
{
	size_t n = sc_conditions_count(e->set);
	uint64_t live = 0, armed = 0;

	sc_json_key(j, "conditions");
	sc_json_object_begin(j);
	sc_json_member_u64(j, "registered", n);
	sc_json_key(j, "cannot_fire");
	sc_json_array_begin(j);
	for (size_t i = 0; i < n; i++) {
		const struct sc_condition *c = sc_conditions_get(e->set, i);

		live += c->live;
		armed += strcmp(sc_op_armed(e, i), "armed") == 0;
		if (!c->live || !e->meta[i].why_not[0])
			continue;
		sc_json_object_begin(j);
		sc_json_member_text(j, "id", c->spec->id);
		sc_json_member_text(j, "reason", e->meta[i].why_not);
		sc_json_object_end(j);
	}
	sc_json_array_end(j);
	sc_json_member_u64(j, "live", live);
	sc_json_member_u64(j, "armed", armed);
	sc_json_object_end(j);
}

static void add_features(struct sc_engine *e, struct sc_json *j)
{
	sc_json_key(j, "features");
	sc_json_array_begin(j);
	for (size_t i = 0; i < e->ports->n_features; i++) {
		sc_json_object_begin(j);
		sc_json_member_text(j, "name", e->ports->features[i].name);
		sc_json_member_bool(j, "attached", e->ports->features[i].attached);
		sc_json_member_text(j, "reason", e->ports->features[i].reason);
		sc_json_object_end(j);
	}
	sc_json_array_end(j);
}

static void add_journal(struct sc_engine *e, struct sc_json *j)
{
	struct sc_journal_stats s;

	sc_journal_stats(e->journal, &s);
	sc_json_key(j, "journal");
	sc_json_object_begin(j);
	sc_json_member_u64(j, "seq", s.seq);
	sc_json_member_u64(j, "durable_seq", s.durable_seq);
	sc_json_member_u64(j, "sealed_seq", s.sealed_seq);
	sc_json_member_bool(j, "broken", s.broken);
	sc_json_member_u64(j, "failures", e->journal_failures + s.sync_errors);
	sc_json_member_u64(j, "held", s.held);
	sc_json_member_u64(j, "lost", s.lost);
	sc_json_member_text(j, "key_id", sc_journal_key_id(e->journal));
	sc_json_object_end(j);
}

static void add_disarmed(struct sc_engine *e, struct sc_json *j)
{
	sc_json_key(j, "disarmed");
	if (!e->disarmed.is_on) {
		sc_json_null(j);
		return;
	}
	sc_json_object_begin(j);
	sc_json_member_bool(j, "active", true);
	sc_json_member_text(j, "reason", e->disarmed.reason);
	sc_json_member_text(j, "operator", e->disarmed.operator_name);
	sc_json_member_text(j, "since", e->disarmed.since);
	sc_json_object_end(j);
}

static void add_active(struct sc_engine *e, struct sc_json *j)
{
	sc_json_key(j, "active");
	sc_json_array_begin(j);
	for (size_t i = 0; i < SC_ACTIVE_MAX; i++) {
		const struct sc_active *a = &e->active[i];
		const struct sc_fire *f = &a->fire;
		uint64_t left = f->expires_at_boot_ns > e->now.boot_ns
					? f->expires_at_boot_ns - e->now.boot_ns
					: 0;

		if (a->stage == SC_ACTIVE_FREE)
			continue;
		sc_json_object_begin(j);
		sc_json_member_text(j, "fire_id", f->id);
		sc_json_member_text(j, "condition_id", f->condition_id);
		sc_json_member_text(j, "action",
				    f->rekill ? "rekill" : sc_action_kind_name(f->action));
		sc_json_member_text(j, "target", f->target);
		sc_json_member_text(j, "by", f->fired_by);
		sc_json_member_bool(j, "standing", a->stage == SC_ACTIVE_STANDING);
		add_time(j, "since", f->fired_at_ns);
		add_time(j, "expires", left ? e->now.real_ns + (int64_t)left : 0);
		sc_json_object_end(j);
	}
	sc_json_array_end(j);
}

static void add_lost(struct sc_engine *e, struct sc_json *j)
{
	const volatile struct sc_stats *s = e->ports->kernel.stats;
	struct sc_plan_stats plan = sc_plan_stats(e->plan);

	sc_json_key(j, "lost");
	sc_json_object_begin(j);
	sc_json_member_u64(j, "wake_records", s->wake_lost);
	sc_json_member_u64(j, "early_ticks_skipped", e->early_wakes_dropped);
	sc_json_member_u64(j, "decisions_put_off", e->decisions_put_off);
	sc_json_member_u64(j, "slots_exhausted", s->slots_exhausted);
	sc_json_member_u64(j, "too_deep", s->too_deep);
	sc_json_member_u64(j, "ids_full", s->ids_full);
	sc_json_member_u64(j, "processes_full", s->processes_full);
	sc_json_member_u64(j, "processes_swept", s->processes_swept);
	sc_json_member_u64(j, "connects_full", s->connects_full);
	sc_json_member_u64(j, "window_blocks_exhausted", plan.blocks_exhausted);
	sc_json_member_u64(j, "counters_backwards", plan.backwards);
	sc_json_member_u64(j, "collector_failures", atomic_load(&e->collector.pass_failures));
	sc_json_member_u64(j, "predicate_overruns", e->predicate_overruns);
	sc_json_member_u64(j, "control_refused", e->control.refused);
	sc_json_object_end(j);
}

static void add_warnings(struct sc_engine *e, struct sc_json *j)
{
	char text[256];

	sc_json_key(j, "warnings");
	sc_json_array_begin(j);
	for (size_t i = 0; i < sc_conditions_count(e->set); i++) {
		struct sc_condition_stats s = sc_conditions_stats(e->set, i);

		if (!s.unknown_raised)
			continue;
		snprintf(text, sizeof(text),
			 "%s%s is unknown on %u of %u targets: it cannot fire there",
			 s.alarm ? "ALARM: " : "", sc_conditions_get(e->set, i)->spec->id,
			 s.targets_unknown, s.targets);
		sc_json_text(j, text);
	}
	if (atomic_load(&e->syncer.state_error) < 0)
		sc_json_text(j, "the state file cannot be written");
	sc_json_array_end(j);
}

static const char *state_name(const struct sc_engine *e)
{
	if (e->stopping)
		return "stopped";
	if (!e->ready || !sc_workers_are_ready(e))
		return "starting";
	if (e->forced_readonly)
		return "observe-only";
	if (e->disarmed.is_on)
		return "disarmed";
	return e->draining ? "draining" : "ready";
}

static void add_members(struct sc_engine *e, struct sc_json *j)
{
	const struct sc_fire *last = sc_fold_fire_at(e->fold, 0);

	sc_json_member_bool(j, "ready", e->ready && !e->stopping && sc_workers_are_ready(e));
	sc_json_member_text(j, "state", state_name(e));
	sc_json_member_text(j, "halt",
			    e->forced_readonly  ? "observe-only is forced at boot"
			    : e->disarmed.is_on ? e->disarmed.reason
						: NULL);
	sc_json_member_text(j, "version", SC_VERSION);
	sc_json_member_text(j, "commit", SC_COMMIT);
	sc_json_member_i64(j, "pid", getpid());
	sc_json_member_text(j, "host", sc_journal_host_id(e->journal));
	sc_json_member_text(j, "boot", e->boot_id);
	add_time(j, "written_at", e->now.real_ns);
	sc_json_member_double(j, "uptime_s", (double)(e->now.mono_ns - e->started_ns) / 1e9);
	sc_json_member_text(j, "cgroup_root", e->ports->cgroup_root_path);
	sc_json_member_u64(j, "targets", sc_targets_count(e->targets));
	sc_json_member_u64(j, "slots_free", e->ports->kernel.slots - sc_targets_count(e->targets));
	sc_json_member_u64(j, "fires", e->fires_total);
	sc_json_member_u64(j, "vetoes", e->vetoes_total);
	sc_json_member_u64(j, "requests_refused", e->refused);
	sc_json_member_text(j, "config_digest", e->config.digest);
	add_tick(e, j);
	add_conditions(e, j);
	add_features(e, j);
	add_journal(e, j);
	add_disarmed(e, j);
	add_active(e, j);
	sc_isolations_json(e, j);
	sc_readonly_json(e, j);
	sc_components_json(e, j);
	sc_workers_json(e, j);
	sc_probes_json(e, j);
	sc_app_json(&e->app, j);
	sc_store_json(e, j);
	sc_notifiers_json(e, j);
	add_lost(e, j);
	add_warnings(e, j);
	sc_json_key(j, "last_fire");
	if (last)
		sc_fire_json(j, last, SC_FIRE_NO_EVIDENCE);
	else
		sc_json_null(j);
}

void sc_op_status(struct sc_op_call *call)
{
	add_members(call->e, &call->json);
}

void sc_op_ping(struct sc_op_call *call)
{
	sc_json_member_i64(&call->json, "pid", getpid());
	sc_json_member_text(&call->json, "version", SC_VERSION);
	sc_json_member_text(&call->json, "commit", SC_COMMIT);
}

static void write_state(struct sc_engine *e, char *room)
{
	struct sc_str text;
	struct sc_json json;

	sc_str_init(&text, room, SC_STATEFILE_BYTES_MAX);
	sc_json_init(&json, &text);
	sc_json_object_begin(&json);
	add_members(e, &json);
	sc_json_object_end(&json);
	sc_str_add(&text, "\n");
	sc_statefile_written(&e->statefile, e->now.mono_ns);
	if (!text.truncated)
		sc_syncer_state_send(&e->syncer, text.len);
}

void sc_state_keep(struct sc_engine *e, bool now)
{
	char *room = sc_syncer_state_room(&e->syncer);

	if (room && (now || sc_statefile_is_due(&e->statefile, e->now.mono_ns)))
		write_state(e, room);
}
