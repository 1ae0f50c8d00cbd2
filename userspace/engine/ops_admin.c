/* SPDX-License-Identifier: Apache-2.0 */
/* The operations that change what may fire: arm, disarm, promote, demote, register, reload. */
#include "engine/ops.h"

#include "base/log.h"
#include "record/fold.h"

#include <string.h>

/*
 * {"operator":..., "reason":..., "principal":..., "id":...}: the body of such a record; id may be
 * NULL. False, with the call failed, when it cannot be written: nothing may be changed then.
 */
static bool write_body(struct sc_op_call *call, struct sc_str *out, const char *id, bool file_live)
{
	const char *operator_name = sc_op_text(call, "operator");
	const char *reason = sc_op_text(call, "reason");
	struct sc_json json;

	if (call->exit != SC_EXIT_DONE)
		return false;
	if ((reason && strlen(reason) >= SC_FIRE_REASON_MAX) ||
	    (operator_name && strlen(operator_name) >= SC_FIRE_OPERATOR_MAX)) {
		sc_op_fail(call, SC_EXIT_USAGE, "reason has at most %d bytes, operator %d",
			   SC_FIRE_REASON_MAX - 1, SC_FIRE_OPERATOR_MAX - 1);
		return false;
	}
	sc_json_init(&json, out);
	sc_json_object_begin(&json);
	if (id) {
		sc_json_member_text(&json, "id", id);
		sc_json_member_bool(&json, "file_live", file_live);
	}
	sc_json_member_text(&json, "operator", operator_name ? operator_name : call->principal);
	sc_json_member_text(&json, "reason", reason && reason[0] ? reason : "no reason given");
	sc_json_member_text(&json, "principal", call->principal);
	sc_json_object_end(&json);
	if (out->truncated)
		sc_op_fail(call, SC_EXIT_FAILED, "out of memory");
	return !out->truncated;
}

/* A person's change that cannot be recorded is refused. */
static bool can_record(struct sc_op_call *call)
{
	if (sc_journal_can_record(call->e->journal))
		return true;
	sc_op_fail(call, SC_EXIT_FAILED, "the journal cannot record it; see `scram doctor`");
	return false;
}

static bool record(struct sc_op_call *call, enum sc_record_kind kind, const char *body)
{
	return can_record(call) && sc_records_append(call->e, kind, body);
}

static void set_disarmed(struct sc_op_call *call, bool on)
{
	struct sc_engine *e = call->e;
	_cleanup_str_ struct sc_str body;

	sc_str_init_heap(&body);
	if (!write_body(call, &body, NULL, false))
		return;
	/* Stopping the stopper must work with a full disk too: it is loud instead. */
	if (!sc_records_append(e, on ? SC_RECORD_DISARM : SC_RECORD_ARM, body.data))
		sc_log_error("%s is in force, but not recorded", on ? "disarm" : "arm");
	sc_engine_take_switches(e);
	sc_log_warning("%s by uid %u: %s", on ? "disarmed" : "armed", call->who.uid,
		       on ? e->disarmed.reason : "automatic fires are possible again");
	sc_json_member_bool(&call->json, "disarmed", on);
}

/* In haste a reason is too much to ask for: stopping the stopper is one word. */
void sc_op_disarm(struct sc_op_call *call)
{
	set_disarmed(call, true);
}

void sc_op_arm(struct sc_op_call *call)
{
	if (call->e->forced_readonly) {
		sc_op_fail(call, SC_EXIT_VETOED,
			   "observe-only is forced at boot (SCRAM_FORCE_READONLY or the kernel "
			   "command line); nothing can arm it but a restart without");
		return;
	}
	set_disarmed(call, false);
}

static void set_live(struct sc_op_call *call, bool live)
{
	struct sc_engine *e = call->e;
	const char *id = sc_op_need(call, "id", "the condition");
	struct sc_registry *registry;
	_cleanup_str_ struct sc_str why, body;
	struct sc_diag diag = {0};
	int at, i, r;

	sc_str_init_heap(&why);
	sc_str_init_heap(&body);
	if (!id || !can_record(call))
		return;
	i = sc_conditions_find(e->set, id);
	if (live && i >= 0 && e->meta[i].why_not[0]) {
		sc_op_fail(call, SC_EXIT_FAILED, "%s cannot be armed: %s", id, e->meta[i].why_not);
		return;
	}
	registry = sc_registry_clone(e->registry);
	r = registry ? sc_registry_set_live(registry, id, live, &diag) : -ENOMEM;
	if (r < 0) {
		sc_registry_free(&registry);
		sc_op_fail(call, SC_EXIT_FAILED, "%s", diag.text[0] ? diag.text : strerror(-r));
		return;
	}
	at = sc_registry_find(registry, id);
	if (!write_body(call, &body, id, sc_registry_get(registry, (size_t)at).spec->live)) {
		sc_registry_free(&registry);
		return;
	}
	if (sc_engine_rebuild(e, registry, NULL, &why) < 0) {
		sc_op_fail(call, SC_EXIT_FAILED, "%s", why.data);
		return;
	}
	(void)record(call, live ? SC_RECORD_CONDITION_PROMOTED : SC_RECORD_CONDITION_DEMOTED,
		     body.data);
	sc_json_member_bool(&call->json, "changed", r == 1);
	sc_json_member_text(&call->json, "id", id);
	sc_json_member_bool(&call->json, "live", live);
}

void sc_op_promote(struct sc_op_call *call)
{
	set_live(call, true);
}

void sc_op_demote(struct sc_op_call *call)
{
	set_live(call, false);
}

/* What a start could not read back from the journal must not run now. */
static int check_recordable(const struct sc_condition_spec *spec, struct sc_diag *diag)
{
	_cleanup_str_ struct sc_str body;

	sc_str_init_heap(&body);
	sc_condition_spec_json(spec, &body);
	if (body.truncated)
		return -ENOMEM;
	if (body.len >= SC_FOLD_BODY_MAX)
		return sc_diag_set(diag, -E2BIG, 0, 0,
				   "%s has %zu bytes as JSON; a condition registered at run time "
				   "may have %d: put it into a file",
				   spec->id, body.len, SC_FOLD_BODY_MAX - 1);
	if (spec->notify.n)
		return sc_diag_set(diag, -EPERM, 0, 0,
				   "%s: who is notified is set in files only, because it may name "
				   "commands and secrets",
				   spec->id);
	return 0;
}

static int upsert(struct sc_registry *registry, const struct sc_condition_spec *spec,
		  struct sc_diag *diag)
{
	int r = check_recordable(spec, diag);

	return r < 0 ? r : sc_registry_upsert(registry, spec, diag);
}

/* Into a clone of the registry, one by one; 0 or -errno with the call failed. */
static int upsert_all(struct sc_op_call *call, struct sc_registry *registry, const json_t *list)
{
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		struct sc_condition_spec spec;
		struct sc_diag diag = {0};
		_cleanup_free_ char *json = json_dumps(item, JSON_COMPACT);
		int r = json ? sc_condition_spec_from_json(json, strlen(json), &spec, &diag)
			     : -ENOMEM;

		if (r == 0) {
			r = upsert(registry, &spec, &diag);
			sc_condition_spec_done(&spec);
		}
		if (r < 0) {
			sc_op_fail(call, SC_EXIT_FAILED, "condition %zu: %s", i + 1,
				   diag.text[0] ? diag.text : strerror(-r));
			return r;
		}
	}
	return 0;
}

static void record_registered(struct sc_op_call *call, const json_t *list)
{
	struct sc_engine *e = call->e;
	json_t *item;
	size_t i;

	sc_json_key(&call->json, "registered");
	sc_json_array_begin(&call->json);
	json_array_foreach (list, i, item) {
		const char *id = json_string_value(json_object_get(item, "id"));
		int at = sc_registry_find(e->registry, id);
		_cleanup_str_ struct sc_str body;

		sc_str_init_heap(&body);
		sc_condition_spec_json(sc_registry_get(e->registry, (size_t)at).spec, &body);
		if (record(call, SC_RECORD_CONDITION_REGISTERED, body.data))
			sc_json_text(&call->json, id);
	}
	sc_json_array_end(&call->json);
}

void sc_op_register(struct sc_op_call *call)
{
	const json_t *list = json_object_get(call->args, "conditions");
	struct sc_registry *registry;
	_cleanup_str_ struct sc_str why;

	sc_str_init_heap(&why);
	if (!json_is_array(list) || json_array_size(list) == 0) {
		sc_op_fail(call, SC_EXIT_USAGE, "conditions must be a list of at least one");
		return;
	}
	if (!can_record(call))
		return;
	registry = sc_registry_clone(call->e->registry);
	if (!registry || upsert_all(call, registry, list) < 0) {
		sc_registry_free(&registry);
		return;
	}
	if (sc_engine_rebuild(call->e, registry, NULL, &why) < 0)
		sc_op_fail(call, SC_EXIT_FAILED, "%s", why.data);
	else
		record_registered(call, list);
}

bool sc_op_add_condition(struct sc_op_call *call, const struct sc_condition_spec *spec)
{
	struct sc_registry *registry;
	_cleanup_str_ struct sc_str why, body;
	struct sc_diag diag = {0};
	const char *field;
	int r;

	sc_str_init_heap(&why);
	sc_str_init_heap(&body);
	if (!can_record(call))
		return false;
	registry = sc_registry_clone(call->e->registry);
	r = registry ? sc_condition_spec_check(spec, &field, &diag) : -ENOMEM;
	if (r == 0)
		r = upsert(registry, spec, &diag);
	if (r != 0) {
		sc_registry_free(&registry);
		if (r < 0)
			sc_op_fail(call, SC_EXIT_FAILED, "%s",
				   diag.text[0] ? diag.text : strerror(-r));
		return r > 0;
	}
	sc_condition_spec_json(spec, &body);
	if (sc_engine_rebuild(call->e, registry, NULL, &why) < 0)
		sc_op_fail(call, SC_EXIT_FAILED, "%s", why.data);
	else if (!record(call, SC_RECORD_CONDITION_REGISTERED, body.data))
		sc_op_fail(call, SC_EXIT_FAILED, "the journal cannot record it");
	return call->exit == SC_EXIT_DONE;
}

void sc_op_unregister(struct sc_op_call *call)
{
	struct sc_engine *e = call->e;
	const char *id = sc_op_need(call, "id", "the condition");
	struct sc_registry *registry;
	_cleanup_str_ struct sc_str why, body;
	struct sc_diag diag = {0};
	int r;

	sc_str_init_heap(&why);
	sc_str_init_heap(&body);
	if (!id || !can_record(call) || !write_body(call, &body, id, false))
		return;
	registry = sc_registry_clone(e->registry);
	r = registry ? sc_registry_delete(registry, id, &diag) : -ENOMEM;
	if (r <= 0) {
		sc_registry_free(&registry);
		if (r < 0)
			sc_op_fail(call, SC_EXIT_FAILED, "%s",
				   diag.text[0] ? diag.text : strerror(-r));
		else
			sc_op_fail(call, SC_EXIT_FAILED, "no such condition: %s", id);
		return;
	}
	if (sc_engine_rebuild(e, registry, NULL, &why) < 0) {
		sc_op_fail(call, SC_EXIT_FAILED, "%s", why.data);
		return;
	}
	(void)record(call, SC_RECORD_CONDITION_DELETED, body.data);
	sc_json_member_text(&call->json, "id", id);
	sc_json_member_bool(&call->json, "removed_from_memory", true);
}

void sc_op_reload(struct sc_op_call *call)
{
	_cleanup_str_ struct sc_str why;

	sc_str_init_heap(&why);
	if (sc_engine_load(call->e, &why) < 0) {
		sc_op_fail(call, SC_EXIT_FAILED, "refused, the running set stays:\n%s", why.data);
		return;
	}
	(void)sc_engine_arm_ticks(call->e);
	sc_json_member_text(&call->json, "digest", call->e->config.digest);
	sc_json_member_u64(&call->json, "conditions", sc_conditions_count(call->e->set));
}
