/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical JSON of a spec: what the journal keeps and the listings show. */
#include <scram/condition.h>

#include "base/json.h"

/* "1m30s" and its like; the longest is under 40 characters. */
#define DURATION_TEXT_MAX 64

static void member_duration(struct sc_json *j, const char *key, uint64_t ns)
{
	char buf[DURATION_TEXT_MAX];
	struct sc_str text;

	sc_str_init(&text, buf, sizeof(buf));
	sc_condition_duration(&text, ns);
	sc_json_member_text(j, key, buf);
}

static void member_given_text(struct sc_json *j, const char *key, const char *text)
{
	if (text)
		sc_json_member_text(j, key, text);
}

static void member_action(struct sc_json *j, const struct sc_action_spec *action)
{
	sc_json_key(j, "action");
	sc_json_object_begin(j);
	sc_json_member_text(j, "kind", sc_action_kind_name(action->kind));
	sc_json_key(j, "config");
	sc_json_object_begin(j);
	if (action->code != SC_CODE_NONE)
		sc_json_member_i64(j, "code", action->code);
	if (action->mode != SC_CUT_NONE)
		sc_json_member_text(j, "mode", sc_cut_mode_name(action->mode));
	member_given_text(j, "component", action->component);
	member_given_text(j, "tenant_id", action->tenant_id);
	member_given_text(j, "checkpoint_id", action->checkpoint_id);
	member_given_text(j, "target", action->target);
	if (action->kind == SC_ACTION_PROCESS_EXIT) {
		member_duration(j, "grace", action->grace_ns);
		sc_json_member_bool(j, "rekill", action->rekill);
	}
	sc_json_object_end(j);
	sc_json_object_end(j);
}

static void member_ladder(struct sc_json *j, const struct sc_condition_spec *spec)
{
	if (spec->rungs == 0)
		return;
	sc_json_key(j, "escalate");
	sc_json_array_begin(j);
	for (uint32_t i = 0; i < spec->rungs; i++) {
		sc_json_object_begin(j);
		sc_json_member_text(j, "kind", sc_action_kind_name(spec->rung[i].kind));
		if (spec->rung[i].dwell_ns)
			member_duration(j, "dwell", spec->rung[i].dwell_ns);
		sc_json_object_end(j);
	}
	sc_json_array_end(j);
}

void sc_condition_spec_json(const struct sc_condition_spec *spec, struct sc_str *out)
{
	struct sc_json j;

	sc_json_init(&j, out);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "id", spec->id);
	member_given_text(&j, "description", spec->description);
	member_action(&j, &spec->action);
	sc_json_member_bool(&j, "auto_fire", spec->auto_fire);
	sc_json_member_bool(&j, "requires_two_person", spec->requires_two_person);
	sc_json_member_bool(&j, "live", spec->live);
	member_given_text(&j, "registered_by", spec->registered_by);
	member_given_text(&j, "scope", spec->scope);
	member_given_text(&j, "when", spec->when);
	member_duration(&j, "hold", spec->hold_ns);
	sc_json_member_u64(&j, "min_samples", spec->min_samples);
	member_duration(&j, "clear_for", spec->clear_for_ns);
	member_duration(&j, "cooldown", spec->cooldown_ns);
	if (spec->max_targets)
		sc_json_member_u64(&j, "max_targets", spec->max_targets);
	if (spec->ttl_ns)
		member_duration(&j, "ttl", spec->ttl_ns);
	else
		sc_json_member_text(&j, "ttl", "none");
	member_ladder(&j, spec);
	sc_json_member_text(&j, "on_unknown", sc_on_unknown_name(spec->on_unknown));
	if (spec->notify.n) {
		sc_json_key(&j, "notify");
		sc_notify_list_json(&spec->notify, &j);
	}
	sc_json_object_end(&j);
}
