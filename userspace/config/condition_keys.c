/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of a condition, in a file and in the body of a registration. */
#include "config/keys.h"

#include <errno.h>
#include <string.h>

/* The kind of an action or a rung. */
static void read_kind(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
		      void *field)
{
	_cleanup_free_ char *name = NULL;
	const char *names[SC_ACTION_KIND_COUNT];
	char buf[SC_DIAG_TEXT_MAX];
	struct sc_str text;
	int kind;

	sc_read_text(r, v, key, &name);
	if (!name)
		return;
	kind = sc_action_kind_find(name);
	if (kind >= 0) {
		*(enum sc_action_kind *)field = (enum sc_action_kind)kind;
		return;
	}
	for (int k = 0; k < SC_ACTION_KIND_COUNT; k++)
		names[k] = sc_action_kind_name((enum sc_action_kind)k);
	sc_str_init(&text, buf, sizeof(buf));
	sc_str_addf(&text, "unknown action kind %.48s", name);
	sc_hint(&text, name, names, SC_ACTION_KIND_COUNT);
	sc_fault(r, v, "%s", buf);
}

static void read_action_config(struct sc_reader *r, const struct sc_value *v,
			       const struct sc_key *key, void *field)
{
	(void)key;
	sc_keys_read(r, v, &sc_action_config_keys, field, false);
}

static void read_action(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
			void *field)
{
	(void)key;
	sc_keys_read(r, v, &sc_action_keys, field, false);
}

static void read_ladder(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
			void *field)
{
	struct sc_condition_spec *spec = field;

	if (v->kind != SC_VALUE_LIST || v->n == 0 || v->n > SC_CONDITION_RUNGS_MAX) {
		sc_fault(
			r, v,
			"%s is not a list of 1 to %d rungs; write [{kind: freeze, dwell: 2s}, ...]",
			key->name, SC_CONDITION_RUNGS_MAX);
		return;
	}
	for (size_t i = 0; i < v->n; i++)
		sc_keys_read(r, &v->item[i], &sc_rung_keys, &spec->rung[i], false);
	spec->rungs = (uint32_t)v->n;
}

static void read_on_unknown(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
			    void *field)
{
	_cleanup_free_ char *name = NULL;

	sc_read_text(r, v, key, &name);
	for (unsigned int k = 0; name && k < SC_ON_UNKNOWN_COUNT; k++) {
		if (strcmp(name, sc_on_unknown_name((enum sc_on_unknown)k)) != 0)
			continue;
		*(enum sc_on_unknown *)field = (enum sc_on_unknown)k;
		return;
	}
	if (name)
		sc_fault(r, v, "on_unknown is %.48s; write ignore or alarm", name);
}

/* The place of the key that a check names, or of the nearest mapping around it that there is. */
static const struct sc_value *place_of(const struct sc_value *condition, const char *field)
{
	const struct sc_value *at = sc_value_find(condition, field);
	const struct sc_value *config = sc_value_find(condition, "action.config");

	if (at)
		return at;
	return config && !strncmp(field, "action", 6) ? config : condition;
}

void sc_condition_read(struct sc_reader *r, const struct sc_value *value,
		       struct sc_condition_spec *spec)
{
	size_t faults = r->faults->n;
	const char *field = NULL;
	const struct sc_value *two_person;
	struct sc_diag diag;

	sc_keys_read(r, value, &sc_condition_keys, spec, false);
	spec->line = value->line;
	if (r->faults->n > faults)
		return; /* what is missing or wrong has been said; what follows from it is noise */
	two_person = sc_value_find(value, "requires_two_person");
	if (!two_person || two_person->style == SC_SCALAR_NULL)
		spec->requires_two_person = spec->action.kind == SC_ACTION_READONLY;
	if (spec->action.kind == SC_ACTION_CIRCUIT_BREAK && spec->action.mode == SC_CUT_NONE)
		spec->action.mode = SC_CUT_REFUSE_NEW;
	if (sc_condition_spec_check(spec, &field, &diag))
		sc_fault(r, place_of(value, field), "%s", diag.text);
}

#define SPEC(member) offsetof(struct sc_condition_spec, member)

/* clang-format off */
static const struct sc_key condition_keys[] = {
	{.name = "id", .read = sc_read_text, .offset = SPEC(id), .is_required = true, .type = "text", .text = "its name, unique on the host: 1 to 128 printable characters"},
	{.name = "description", .read = sc_read_text, .offset = SPEC(description), .type = "text", .text = "what it means, for people"},
	{.name = "scope", .read = sc_read_text, .offset = SPEC(scope), .type = "glob", .fallback = "judged once, for the host", .text = "cgroup paths as in /proc/PID/cgroup; each match is judged by itself"},
	{.name = "when", .read = sc_read_text, .offset = SPEC(when), .type = "predicate", .fallback = "manual only", .text = "must be true for an automatic fire"},
	{.name = "hold", .read = sc_read_duration, .offset = SPEC(hold_ns), .type = "duration", .fallback = "0s", .text = "how long it must have been true"},
	{.name = "min_samples", .read = sc_read_number, .offset = SPEC(min_samples), .min = 1, .max = SC_CONDITION_SAMPLES_MAX, .type = "number", .fallback = "1", .text = "how many evaluations in a row must find it true"},
	{.name = "clear_for", .read = sc_read_duration, .offset = SPEC(clear_for_ns), .type = "duration", .fallback = "0s", .text = "how long it must be false until it may fire again"},
	{.name = "cooldown", .read = sc_read_duration, .offset = SPEC(cooldown_ns), .type = "duration", .fallback = "60s", .text = "least time between two fires on one target"},
	{.name = "max_targets", .read = sc_read_number, .offset = SPEC(max_targets), .min = 1, .max = SC_CONDITION_TARGETS_MAX, .type = "number", .fallback = "the greater of 1 and 10 % of those in scope", .text = "how many targets it may affect"},
	{.name = "ttl", .read = sc_read_duration_or_none, .offset = SPEC(ttl_ns), .type = "duration or none", .fallback = "none", .text = "a reversible action is released after so long"},
	{.name = "escalate", .read = read_ladder, .offset = 0, .type = "list of rungs", .fallback = "the action alone", .text = "what is done one after the other while it stays true"},
	{.name = "on_unknown", .read = read_on_unknown, .offset = SPEC(on_unknown), .type = "ignore or alarm", .fallback = "ignore", .text = "what a predicate that stays unknown does; it never fires"},
	{.name = "action", .read = read_action, .offset = SPEC(action), .is_required = true, .type = "mapping", .text = "what a fire does"},
	{.name = "auto_fire", .read = sc_read_bool, .offset = SPEC(auto_fire), .type = "true or false", .fallback = "false", .text = "whether it fires by itself"},
	{.name = "requires_two_person", .read = sc_read_bool, .offset = SPEC(requires_two_person), .type = "true or false", .fallback = "false; true for global-readonly", .text = "whether a second person must approve"},
	{.name = "live", .read = sc_read_bool, .offset = SPEC(live), .type = "true or false", .fallback = "false", .text = "false: everything but the action (dry-run)"},
	{.name = "registered_by", .read = sc_read_text, .offset = SPEC(registered_by), .type = "text", .text = "who answers for it"},
	{.name = "notify", .read = sc_read_notify, .offset = SPEC(notify), .type = "list of notifiers", .text = "who else is told of its fires"},
};

static const struct sc_key action_keys[] = {
	{.name = "kind", .read = read_kind, .offset = offsetof(struct sc_action_spec, kind), .is_required = true, .type = "action kind", .text = "process-exit, circuit-break-component, tenant-quarantine, global-readonly, rollback-to-checkpoint, freeze or refuse-new"},
	{.name = "config", .read = read_action_config, .offset = 0, .type = "mapping", .text = "what the kind needs"},
};

#define CONFIG(member) offsetof(struct sc_action_spec, member)

static const struct sc_key action_config_keys[] = {
	{.name = "code", .read = sc_read_int, .offset = CONFIG(code), .min = 0, .max = 255, .type = "number", .text = "process-exit: the exit status to record"},
	{.name = "component", .read = sc_read_text, .offset = CONFIG(component), .type = "text", .fallback = "beside a scope: that of the matched cgroup, or that cgroup alone", .text = "circuit-break-component: a declared component"},
	{.name = "mode", .read = sc_read_cut_mode, .offset = CONFIG(mode), .type = "new or all", .fallback = "new", .text = "circuit-break-component: refuse new TCP connections, or all traffic"},
	{.name = "tenant_id", .read = sc_read_text, .offset = CONFIG(tenant_id), .type = "text", .fallback = "beside a scope: that of the matched cgroup, or that cgroup alone", .text = "tenant-quarantine: a declared tenant"},
	{.name = "checkpoint_id", .read = sc_read_text, .offset = CONFIG(checkpoint_id), .type = "text", .text = "rollback-to-checkpoint: the checkpoint"},
	{.name = "target", .read = sc_read_text, .offset = CONFIG(target), .type = "path", .text = "the cgroup to act on where there is no scope"},
	{.name = "grace", .read = sc_read_duration, .offset = CONFIG(grace_ns), .type = "duration", .fallback = "0s", .text = "process-exit: time between SIGTERM and the kill"},
	{.name = "rekill", .read = sc_read_bool, .offset = CONFIG(rekill), .type = "true or false", .fallback = "false", .text = "process-exit: kill again what populates the cgroup, until released"},
};

static const struct sc_key rung_keys[] = {
	{.name = "kind", .read = read_kind, .offset = offsetof(struct sc_rung, kind), .is_required = true, .type = "action kind", .text = "freeze, refuse-new or process-exit"},
	{.name = "dwell", .read = sc_read_duration, .offset = offsetof(struct sc_rung, dwell_ns), .type = "duration", .fallback = "none on the last rung", .text = "time until the next rung"},
};
/* clang-format on */

const struct sc_key_table sc_rung_keys = {"a rung", rung_keys, SC_ARRAY_SIZE(rung_keys)};
const struct sc_key_table sc_action_config_keys = {"an action's config", action_config_keys,
						   SC_ARRAY_SIZE(action_config_keys)};
const struct sc_key_table sc_action_keys = {"an action", action_keys, SC_ARRAY_SIZE(action_keys)};
const struct sc_key_table sc_condition_keys = {"a condition", condition_keys,
					       SC_ARRAY_SIZE(condition_keys)};
