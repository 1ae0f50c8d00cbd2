/* SPDX-License-Identifier: Apache-2.0 */
/* fire and release: the operations that act, or undo. */
#include "engine/ops.h"

#include "base/glob.h"
#include "record/fold.h"

#include <stdint.h>
#include <string.h>

#define SNAPSHOT_LEVELS_MAX 32
/* A request with the key of an earlier one is a try of the same, within this. */
#define KEY_NS (24 * 3600 * (int64_t)SC_NS_PER_S)

static void write_fire(struct sc_op_call *call, const struct sc_fire *fire)
{
	char descriptor[SC_FIRE_RESULT_MAX + 64];
	const char *what = fire->error[0] ? fire->error : fire->dispatch_result;

	snprintf(descriptor, sizeof(descriptor), "%s%s%s", sc_fire_state_name(fire->state),
		 what[0] ? ": " : "", what);
	sc_json_member_text(&call->json, "fire_id", fire->id);
	sc_json_member_bool(&call->json, "dispatched", fire->dispatched);
	sc_json_member_text(&call->json, "dispatch_descriptor", descriptor);
	sc_json_member_text(&call->json, "outcome", sc_fire_outcome_name(fire->outcome));
	sc_json_member_text(&call->json, "target", fire->target);
	sc_json_member_text(&call->json, "veto", fire->veto[0] ? fire->veto : NULL);
	sc_json_key(&call->json, "fire");
	sc_fire_json(&call->json, fire, SC_FIRE_FULL);
}

static void write_verdict(struct sc_op_call *call, const struct sc_verdict *verdict)
{
	sc_json_key(&call->json, "interlocks");
	sc_json_array_begin(&call->json);
	for (int i = 0; i < SC_INTERLOCK_COUNT; i++) {
		const struct sc_interlock_reason *r = &verdict->reason[i];

		if (!r->asked)
			continue;
		sc_json_object_begin(&call->json);
		sc_json_member_text(&call->json, "name",
				    sc_interlock_name((enum sc_interlock_id)i));
		sc_json_member_bool(&call->json, "veto",
				    r->answer != SC_ANSWER_PASS && !r->overridden);
		sc_json_member_text(&call->json, "text", r->text);
		sc_json_object_end(&call->json);
	}
	sc_json_array_end(&call->json);
}

/* All supervised cgroups, where nothing else is named. */
static bool is_global(const struct sc_condition_spec *spec)
{
	return !spec->scope && spec->action.kind == SC_ACTION_READONLY;
}

/* A cut that names its group acts on all of it, wherever that is. */
static bool is_of_group(const struct sc_condition_spec *spec)
{
	return !spec->scope && (spec->action.tenant_id || spec->action.component);
}

/* A request by hand may name a target only where the condition leaves it open. NULL: all of a
 * group, or nothing, which is a fire that fails: somebody wanted it, and that is recorded. */
static const char *find_path(struct sc_op_call *call, struct sc_fire_request *rq, const char *given)
{
	const struct sc_condition_spec *spec = sc_conditions_get(call->e->set, rq->condition)->spec;
	const char *path = given ? given : spec->action.target;

	if (!path && is_of_group(spec))
		rq->impossible = sc_group_lacking(call->e, &spec->action, spec->action.kind);
	if (!path && call->e->meta[rq->condition].why_not[0])
		rq->impossible = call->e->meta[rq->condition].why_not;
	else if (!path && !is_of_group(spec) && spec->scope)
		sc_op_fail(call, SC_EXIT_USAGE,
			   "%s needs a target inside its scope %s; name one with --target, as in "
			   "/proc/PID/cgroup",
			   spec->id, spec->scope);
	else if (!path && !is_of_group(spec) && !is_global(spec))
		rq->impossible = "it needs a target, and has neither a scope nor one of its own; "
				 "name one with --target, as in /proc/PID/cgroup";
	else if (path && is_of_group(spec))
		sc_op_fail(
			call, SC_EXIT_USAGE, "%s acts on all of %s; leave --target out", spec->id,
			spec->action.tenant_id ? spec->action.tenant_id : spec->action.component);
	else if (spec->scope && !sc_glob_match(spec->scope, path))
		sc_op_fail(call, SC_EXIT_USAGE, "%s is outside the scope of %s: %s", path, spec->id,
			   spec->scope);
	else if (spec->action.target && strcmp(spec->action.target, path) != 0)
		sc_op_fail(call, SC_EXIT_USAGE, "%s acts on %s alone", spec->id,
			   spec->action.target);
	return path;
}

/* The target that a request by hand means; a failed call where it means none. */
static void find_target(struct sc_op_call *call, struct sc_fire_request *rq, const char *given)
{
	const char *path = find_path(call, rq, given);

	rq->slot = SC_SLOT_NONE;
	if (call->exit != SC_EXIT_DONE || rq->impossible)
		return;
	/* Where it is judged when it fires by itself. */
	rq->slot = path ? sc_engine_find_target(call->e, path) : call->e->ports->kernel.root_slot;
	if (rq->slot == SC_SLOT_NONE && sc_engine_is_outside(call->e, path))
		rq->outside = path; /* vetoed, and recorded */
	else if (rq->slot == SC_SLOT_NONE)
		sc_op_fail(
			call, SC_EXIT_FAILED,
			"no such cgroup below the supervised root: %s; `scram signals` lists them",
			path);
}

static void explain(struct sc_op_call *call, int exit, const struct sc_fire *fire)
{
	switch ((enum sc_exit)exit) {
	case SC_EXIT_VETOED:
		sc_op_fail(call, SC_EXIT_VETOED, "vetoed by %s: %s", fire->veto,
			   fire->dispatch_result);
		return;
	case SC_EXIT_PENDING:
		sc_op_fail(call, SC_EXIT_PENDING,
			   "pending: it needs a second person, and approvals are not built yet; "
			   "it is recorded and will not be dispatched");
		return;
	case SC_EXIT_DONE:
	case SC_EXIT_FAILED:
	case SC_EXIT_USAGE:
	case SC_EXIT_UNREACHABLE:
	case SC_EXIT_UNCONFIRMED:
		sc_op_fail(call, (enum sc_exit)exit, "%s", fire->error);
		return;
	}
}

bool sc_op_is_signed(struct sc_op_call *call)
{
	const char *reason = sc_op_need(call, "reason", "why, for the journal");
	const char *operator_name = sc_op_need(call, "operator", "who fires, for the journal");

	if (!reason || !operator_name)
		return false;
	if (strlen(reason) < SC_FIRE_REASON_MAX && strlen(operator_name) < SC_FIRE_OPERATOR_MAX)
		return true;
	sc_op_fail(call, SC_EXIT_USAGE, "reason has at most %d bytes, operator %d",
		   SC_FIRE_REASON_MAX - 1, SC_FIRE_OPERATOR_MAX - 1);
	return false;
}

/* The record holds it some levels deeper than it came, and its readers have a bound of their own: a
 * record that nobody can read must not be written. */
static bool nests_too_deep(const json_t *value, unsigned int levels)
{
	json_t *object = (json_t *)(uintptr_t)value, *item;
	const char *key;
	size_t i;

	if (!json_is_object(value) && !json_is_array(value))
		return false;
	if (levels == 0)
		return true;
	json_object_foreach (object, key, item)
		if (nests_too_deep(item, levels - 1))
			return true;
	json_array_foreach (value, i, item)
		if (nests_too_deep(item, levels - 1))
			return true;
	return false;
}

/* What the asker saw, in place of what the agent sees; NULL = nothing was given. False when it
 * cannot be recorded whole, with the call failed. */
static bool take_snapshot(struct sc_op_call *call, char **text)
{
	const json_t *given = json_object_get(call->args, "state_snapshot");

	if (!given || json_is_null(given))
		return true;
	if (nests_too_deep(given, SNAPSHOT_LEVELS_MAX)) {
		sc_op_fail(call, SC_EXIT_USAGE, "state_snapshot has more than %d levels",
			   SNAPSHOT_LEVELS_MAX);
		return false;
	}
	*text = json_is_object(given) ? json_dumps(given, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	if (*text && strlen(*text) < SC_FIRE_EVIDENCE_MAX)
		return true;
	sc_op_fail(call, SC_EXIT_USAGE, "state_snapshot must be an object of at most %d bytes",
		   SC_FIRE_EVIDENCE_MAX - 1);
	return false;
}

void sc_op_fire_condition(struct sc_op_call *call, uint32_t condition, const char *path)
{
	struct sc_engine *e = call->e;
	_cleanup_free_ char *snapshot = NULL;
	struct sc_verdict verdict;
	struct sc_fire fire;
	struct sc_fire_request rq;
	int exit;

	if (!sc_op_is_signed(call) || !take_snapshot(call, &snapshot))
		return;
	rq = (struct sc_fire_request){
		.condition = condition,
		.asker = SC_ASKER_MANUAL,
		.forced = sc_op_flag(call, "force"),
		.fired_by = sc_op_text(call, "operator"),
		.principal = call->principal,
		.reason = sc_op_text(call, "reason"),
		.key = sc_op_text(call, "key"),
		.evidence = snapshot,
		.waiter = call->to,
		.waits_for_outcome = sc_op_flag(call, "wait"),
	};
	find_target(call, &rq, path);
	if (call->exit != SC_EXIT_DONE)
		return;
	exit = sc_engine_decide(e, &rq, &fire, &verdict);
	if (exit == SC_EXIT_DONE && !fire.dry_run) {
		call->is_deferred = true; /* sc_ops_fire_applied or _settled answers */
		return;
	}
	write_fire(call, &fire);
	write_verdict(call, &verdict);
	if (exit != SC_EXIT_DONE)
		explain(call, exit, &fire);
}

/* Answers whoever waits for this fire. */
static void answer(struct sc_engine *e, struct sc_active *a, enum sc_exit exit, const char *error)
{
	struct sc_op_call call = {.e = e, .to = a->waiter, .exit = exit};

	a->waiter = SC_REPLY_TO_NOBODY;
	if (call.to.place >= SC_CONTROL_PLACES)
		return;
	sc_str_init_heap(&call.reply);
	sc_json_init(&call.json, &call.reply);
	sc_json_object_begin(&call.json);
	write_fire(&call, &a->fire);
	sc_json_key(&call.json, "released");
	sc_json_array_begin(&call.json);
	if (a->fire.released_at_ns)
		sc_fire_json(&call.json, &a->fire, SC_FIRE_NO_EVIDENCE);
	sc_json_array_end(&call.json);
	sc_json_member_u64(&call.json, "exit", exit);
	sc_json_member_text(&call.json, "error", error && error[0] ? error : NULL);
	sc_json_object_end(&call.json);
	sc_control_reply(&e->control, call.to, &call.reply);
}

/* --- the same request again --- */

static const struct sc_fire *find_by_key(const struct sc_engine *e, const char *key)
{
	const struct sc_fire *fire;

	for (unsigned int i = 0; (fire = sc_fold_fire_at(e->fold, i)); i++)
		if (strncmp(fire->key, key, SC_FIRE_KEY_HALF) == 0 &&
		    e->now.real_ns - fire->fired_at_ns < KEY_NS)
			return fire;
	return NULL;
}

static enum sc_exit exit_of(const struct sc_fire *fire)
{
	if (fire->state == SC_FIRE_VETOED)
		return SC_EXIT_VETOED;
	if (fire->state == SC_FIRE_PENDING)
		return SC_EXIT_PENDING;
	if (fire->state == SC_FIRE_FAILED)
		return fire->dispatched ? SC_EXIT_UNCONFIRMED : SC_EXIT_FAILED;
	return SC_EXIT_DONE;
}

/* Tells of the fire as it is now. While it is on its way the asker takes the place of the one
 * before, who is gone: a worker that was started again asks for a client that tries again. */
static void repeat(struct sc_op_call *call, const struct sc_fire *fire)
{
	struct sc_active *a = sc_fires_find(call->e, fire->id);
	enum sc_exit exit = exit_of(fire);

	if (a && fire->state == SC_FIRE_INTENT) {
		answer(call->e, a, SC_EXIT_FAILED, "it was asked for again");
		a->waiter = call->to;
		call->is_deferred = true;
		return;
	}
	write_fire(call, fire);
	sc_json_member_bool(&call->json, "repeated", true);
	if (exit != SC_EXIT_DONE)
		explain(call, exit, fire);
}

/* True when the call is over: its key has made a fire before, or is none. */
static bool is_repeated(struct sc_op_call *call)
{
	const char *key = sc_op_text(call, "key");
	const struct sc_fire *fire;

	if (!key)
		return call->exit != SC_EXIT_DONE;
	if (strlen(key) != SC_FIRE_KEY_MAX - 1) {
		sc_op_fail(call, SC_EXIT_USAGE, "key must have %d characters", SC_FIRE_KEY_MAX - 1);
		return true;
	}
	fire = find_by_key(call->e, key);
	if (!fire)
		return false;
	if (strcmp(fire->key, key) == 0)
		repeat(call, fire);
	else
		sc_op_fail(call, SC_EXIT_USAGE,
			   "this Idempotency-Key was used for another request");
	return true;
}

void sc_op_fire(struct sc_op_call *call)
{
	const char *path;
	int condition;

	if (is_repeated(call))
		return;
	condition = sc_op_condition(call, "id");
	path = sc_op_text(call, "target");
	if (call->exit == SC_EXIT_DONE)
		sc_op_fire_condition(call, (uint32_t)condition, path);
}

void sc_ops_fire_applied(struct sc_engine *e, struct sc_active *a)
{
	if (!a->waits_for_outcome)
		answer(e, a, SC_EXIT_DONE, NULL);
}

void sc_ops_fire_settled(struct sc_engine *e, struct sc_active *a)
{
	bool good = a->fire.state == SC_FIRE_VERIFIED;

	answer(e, a, good ? SC_EXIT_DONE : SC_EXIT_UNCONFIRMED, good ? NULL : a->fire.error);
}

void sc_ops_fire_released(struct sc_engine *e, struct sc_active *a, const char *error)
{
	answer(e, a, error ? SC_EXIT_FAILED : SC_EXIT_DONE, error);
}

/* True for the fire of that id or prefix, and for every fire on the cgroup of that path. By its id
 * too: a fire holds no more than the beginning of a very long path. */
static bool is_meant(const struct sc_engine *e, const struct sc_active *a, const char *what)
{
	const struct sc_target *t;

	/* A change of a cut is no fire of its own. */
	if (a->stage == SC_ACTIVE_FREE || (a->isolation && (a->is_updating || a->is_releasing)))
		return false;
	if (what[0] == '/') {
		t = sc_targets_get(e->targets, sc_targets_find_path(e->targets, what));
		return strcmp(a->fire.target, what) == 0 ||
		       (t && t->cgroup_id == a->fire.cgroup_id);
	}
	return strlen(what) >= 8 && strncmp(a->fire.id, what, strlen(what)) == 0;
}

/* What stands, a freeze first: its undo takes longest and gives the answer. Without such, what is
 * under way; NULL = neither. */
static struct sc_active *find_standing(struct sc_engine *e, const char *what)
{
	struct sc_active *found = NULL;

	for (size_t i = 0; i < SC_ACTIVE_MAX; i++) {
		struct sc_active *a = &e->active[i];

		if (!is_meant(e, a, what))
			continue;
		if ((a->stage == SC_ACTIVE_STANDING || a->is_updating) &&
		    (a->fire.action == SC_ACTION_FREEZE || a->fire.action == SC_ACTION_READONLY))
			return a;
		if (!found || a->stage == SC_ACTIVE_STANDING)
			found = a;
	}
	return found;
}

/* Releasing twice is harmless: what is released already, or never stood, is told as such. */
static void tell_not_standing(struct sc_op_call *call, const char *what)
{
	bool ambiguous = false;
	bool is_name = what[0] == '/' || sc_op_is_group(call->e, what);
	const struct sc_fire *fire = is_name ? NULL
					     : sc_fold_fire_find(call->e->fold, what, &ambiguous);

	if (ambiguous) {
		sc_op_fail(call, SC_EXIT_USAGE, "more than one fire begins with %s", what);
		return;
	}
	if (!fire && !is_name) {
		sc_op_fail(call, SC_EXIT_FAILED, "no such fire: %s; `scram fires` lists them",
			   what);
		return;
	}
	sc_json_key(&call->json, "released");
	sc_json_array_begin(&call->json);
	sc_json_array_end(&call->json);
	sc_json_member_text(&call->json, "note", "nothing of scram's stands there");
}

void sc_op_release(struct sc_op_call *call)
{
	const char *group = sc_op_text(call, "group");
	const char *what = group ? NULL
				 : sc_op_need(call, "what",
					      "a fire, a cgroup, or the name of what is cut");
	const char *by = sc_op_text(call, "operator");
	struct sc_active *a;

	if (group && call->exit == SC_EXIT_DONE)
		sc_op_release_group(call, group);
	if (!what || call->exit != SC_EXIT_DONE)
		return;
	by = by ? by : call->principal;
	a = find_standing(call->e, what);
	if (sc_op_release_cuts(call, what, by, a ? SC_REPLY_TO_NOBODY : call->to) && !a) {
		call->is_deferred = true; /* sc_ops_fire_released answers */
		return;
	}
	if (!a) {
		tell_not_standing(call, what);
		return;
	}
	if (a->stage != SC_ACTIVE_STANDING && !a->is_updating) {
		sc_op_fail(call, SC_EXIT_FAILED, "fire %s is under way; try again", a->fire.id);
		return;
	}
	for (size_t i = 0; i < SC_ACTIVE_MAX; i++)
		if (&call->e->active[i] != a && is_meant(call->e, &call->e->active[i], what))
			(void)sc_standing_release(call->e, &call->e->active[i], by);
	call->is_deferred = true; /* sc_ops_fire_released answers */
	a->waiter = call->to;
	(void)sc_standing_release(call->e, a, by);
}
