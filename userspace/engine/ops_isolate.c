/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cutting by name: isolate finds or registers the condition that means the tenant, component or
 * cgroup, and fires it the way any other is fired; release of a group; orders to a breaker.
 */
#include "engine/ops.h"

#include "engine/components.h"

#include <errno.h>
#include <string.h>

/* What somebody wants cut. */
struct wish {
	enum sc_action_kind kind;
	enum sc_group_kind group_kind;
	const char *verb; /* of the command line */
	const char *name; /* of a declared group, or the path of a cgroup */
	bool is_path;
	enum sc_cut_mode mode; /* SC_CUT_NONE: whatever the condition says */
	uint64_t ttl_ns;       /* 0: likewise */
	bool is_forced;
};

static bool read_mode(struct sc_op_call *call, struct wish *w)
{
	const char *mode = sc_op_text(call, "mode");

	if (!mode)
		return call->exit == SC_EXIT_DONE;
	if (strcmp(mode, sc_cut_mode_name(SC_CUT_REFUSE_NEW)) == 0)
		w->mode = SC_CUT_REFUSE_NEW;
	else if (strcmp(mode, sc_cut_mode_name(SC_CUT_REFUSE_ALL)) == 0)
		w->mode = SC_CUT_REFUSE_ALL;
	if (w->kind == SC_ACTION_CIRCUIT_BREAK && w->mode != SC_CUT_NONE)
		return true;
	sc_op_fail(call, SC_EXIT_USAGE, "mode is %.32s; a component is broken with new or all",
		   mode);
	return false;
}

static bool read_wish(struct sc_op_call *call, struct wish *w)
{
	const char *kind = sc_op_need(call, "kind", "quarantine or break");
	const char *ttl = sc_op_text(call, "ttl");
	bool breaks = kind && strcmp(kind, "break") == 0;

	w->kind = breaks ? SC_ACTION_CIRCUIT_BREAK : SC_ACTION_QUARANTINE;
	w->group_kind = breaks ? SC_GROUP_COMPONENT : SC_GROUP_TENANT;
	w->verb = breaks ? "break" : "quarantine";
	w->name = sc_op_need(call, "name", "what to cut: a declared name, or a cgroup path");
	w->is_forced = sc_op_flag(call, "force");
	if (kind && strcmp(kind, w->verb) != 0)
		sc_op_fail(call, SC_EXIT_USAGE, "kind is %.32s; write quarantine or break", kind);
	else if (ttl && (sc_parse_duration(ttl, &w->ttl_ns) < 0 || w->ttl_ns == 0))
		sc_op_fail(call, SC_EXIT_USAGE, "ttl is %.32s; write a duration such as 15m", ttl);
	if (!w->name || call->exit != SC_EXIT_DONE)
		return false;
	w->is_path = w->name[0] == '/';
	return read_mode(call, w) && sc_op_is_signed(call);
}

static void tell_undeclared(struct sc_op_call *call, const struct wish *w)
{
	const char *kind = sc_group_kind_name(w->group_kind);
	struct sc_nearest nearest;

	sc_nearest_init(&nearest, w->name, strlen(w->name));
	for (uint32_t i = 0; i < call->e->n_groups; i++)
		if (call->e->groups[i]->kind == w->group_kind)
			sc_nearest_offer(&nearest, call->e->groups[i]->name);
	sc_op_fail(
		call, SC_EXIT_FAILED,
		"%s %.128s is not declared%s%s; declare it under %ss, or name a cgroup: scram %s "
		"/PATH",
		kind, w->name, nearest.best ? ", but there is " : "",
		nearest.best ? nearest.best : "", kind, w->verb);
}

/* A cgroup of a declared group cannot be cut alone: a fire on it means the group. */
static void check_path(struct sc_op_call *call, const struct wish *w)
{
	struct sc_engine *e = call->e;
	uint32_t slot;
	const struct sc_group *group;

	if (strpbrk(w->name, "*?")) {
		sc_op_fail(call, SC_EXIT_USAGE, "%s is a glob; name one cgroup", w->name);
		return;
	}
	slot = sc_engine_find_target(e, w->name);
	if (slot == SC_SLOT_NONE && !sc_engine_is_outside(e, w->name)) {
		sc_op_fail(call, SC_EXIT_FAILED,
			   "no such cgroup below the supervised root: %s; `scram signals` lists "
			   "them",
			   w->name);
		return;
	}
	group = slot == SC_SLOT_NONE ? NULL : sc_group_of_slot(e, w->group_kind, slot);
	if (group)
		sc_op_fail(call, SC_EXIT_USAGE,
			   "%s belongs to %s %s and is cut with all of it: scram %s %s", w->name,
			   sc_group_kind_name(w->group_kind), group->name, w->verb, group->name);
}

static bool is_same(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* True for a condition that does what is wished and nothing else, ttl aside. That of a breaker is
 * the breaker's own. */
static bool does(const struct sc_condition_spec *spec, const struct wish *w)
{
	const struct sc_action_spec *a = &spec->action;
	const char *name = w->kind == SC_ACTION_QUARANTINE ? a->tenant_id : a->component;

	if (strncmp(spec->id, SC_BREAKER_PREFIX, strlen(SC_BREAKER_PREFIX)) == 0)
		return false;
	if (a->kind != w->kind || spec->rungs || (w->mode != SC_CUT_NONE && a->mode != w->mode))
		return false;
	return w->is_path ? !name && is_same(spec->scope, w->name)
			  : !spec->scope && is_same(name, w->name);
}

static bool is_ours(const struct sc_condition *c, const char *own_id)
{
	return c->origin == SC_ORIGIN_RUNTIME && strcmp(c->spec->id, own_id) == 0;
}

/*
 * The first condition in id order that does it and is live, or is not; SC_NO_CONDITION = none. The
 * one that an earlier wish registered is live for whoever asks again, and made as asked then.
 */
static uint32_t find(const struct sc_engine *e, const struct wish *w, const char *own_id, bool live)
{
	for (size_t i = 0; i < sc_conditions_count(e->set); i++) {
		const struct sc_condition *c = sc_conditions_get(e->set, i);

		if (does(c->spec, w) && c->live == live && !(live && is_ours(c, own_id)))
			return (uint32_t)i;
	}
	return SC_NO_CONDITION;
}

/* quarantine-acme, break-checkout-all; never the id of a condition that does something else. */
static void make_id(const struct sc_engine *e, const struct wish *w, char id[])
{
	static const char by_hand[] = "-by-hand";
	struct sc_str text;
	int at;

	sc_str_init(&text, id, SC_CONDITION_ID_MAX + 1 - sizeof(by_hand));
	sc_str_addf(&text, "%s-", w->verb);
	sc_str_add_printable(&text, w->name, strlen(w->name));
	if (w->mode != SC_CUT_NONE)
		sc_str_addf(&text, "-%s", sc_cut_mode_name(w->mode));
	while (text.len && id[text.len - 1] == ' ')
		id[--text.len] = '\0';
	at = sc_registry_find(e->registry, id);
	if (at >= 0 && (sc_registry_get(e->registry, (size_t)at).origin == SC_ORIGIN_FILE ||
			!does(sc_registry_get(e->registry, (size_t)at).spec, w)))
		memcpy(id + text.len, by_hand, sizeof(by_hand));
}

/* The condition that is registered for the purpose; SC_NO_CONDITION with a failed call. `twin`
 * does the same with another ttl, or is NULL: what it asks of people is asked here too. */
static uint32_t add(struct sc_op_call *call, const struct wish *w, const char *id,
		    const struct sc_condition_spec *twin)
{
	const char *by = sc_op_text(call, "operator");
	_cleanup_str_ struct sc_str text;
	struct sc_condition_spec spec;
	char *name;
	int at;

	sc_str_init_heap(&text);
	sc_str_addf(&text, "made by `scram %s`", w->verb);
	sc_condition_spec_init(&spec);
	spec.id = strdup(id);
	spec.description = text.truncated ? NULL : strdup(text.data);
	spec.registered_by = strdup(by);
	spec.live = true;
	spec.ttl_ns = w->ttl_ns;
	spec.requires_two_person = twin && twin->requires_two_person;
	spec.action.kind = w->kind;
	if (w->kind == SC_ACTION_CIRCUIT_BREAK)
		spec.action.mode = w->mode != SC_CUT_NONE ? w->mode
				   : twin                 ? twin->action.mode
							  : SC_CUT_REFUSE_NEW; /* as in a file */
	name = strdup(w->name);
	if (w->is_path)
		spec.scope = name;
	else if (w->kind == SC_ACTION_QUARANTINE)
		spec.action.tenant_id = name;
	else
		spec.action.component = name;
	if (!spec.id || !spec.description || !spec.registered_by || !name)
		sc_op_fail(call, SC_EXIT_FAILED, "out of memory");
	else
		(void)sc_op_add_condition(call, &spec);
	sc_condition_spec_done(&spec);
	at = sc_conditions_find(call->e->set, id);
	return call->exit == SC_EXIT_DONE && at >= 0 ? (uint32_t)at : SC_NO_CONDITION;
}

/* A live condition before a dry-run, and one for the purpose where neither does exactly this. */
static uint32_t choose(struct sc_op_call *call, const struct wish *w)
{
	struct sc_engine *e = call->e;
	char id[SC_CONDITION_ID_MAX + 1];
	const struct sc_condition_spec *twin = NULL;
	uint32_t i;

	make_id(e, w, id);
	i = find(e, w, id, true);
	if (i == SC_NO_CONDITION) {
		i = find(e, w, id, false);
		if (i != SC_NO_CONDITION && !w->is_forced) {
			const char *dry = sc_conditions_get(e->set, i)->spec->id;

			sc_op_fail(call, SC_EXIT_FAILED,
				   "%s is a dry-run: nothing was cut. `scram promote %s` makes it "
				   "real, --force cuts for real this once",
				   dry, dry);
			return SC_NO_CONDITION;
		}
	}
	if (i != SC_NO_CONDITION)
		twin = sc_conditions_get(e->set, i)->spec;
	if (twin && (w->ttl_ns == 0 || twin->ttl_ns == w->ttl_ns))
		return i;
	return add(call, w, id, twin);
}

void sc_op_isolate(struct sc_op_call *call)
{
	struct wish w = {0};
	uint32_t condition;

	if (!read_wish(call, &w))
		return;
	if (w.is_path)
		check_path(call, &w);
	else if (!sc_group_find(call->e, w.group_kind, w.name))
		tell_undeclared(call, &w);
	if (call->exit != SC_EXIT_DONE)
		return;
	condition = choose(call, &w);
	if (condition != SC_NO_CONDITION)
		sc_op_fire_condition(call, condition, w.is_path ? w.name : NULL);
}

/* The group may be declared no more; the name of the cut tells what was meant. */
static const char alone[] = "cgroup ";

static bool is_alone(const struct sc_isolation *iso)
{
	return strncmp(iso->cut.name, alone, sizeof(alone) - 1) == 0;
}

/* A cut holds no more than the beginning of a very long name. */
static bool is_named(const struct sc_isolation *iso, const char *group)
{
	return strncmp(iso->cut.name, group, sizeof(iso->cut.name) - 1) == 0;
}

/* On a cgroup alone both kinds may stand side by side: only the kind that is named is released. */
static bool is_meant(const struct sc_isolation *iso, const char *group, const char *kind)
{
	size_t n = sizeof(alone) - 1;

	if (!iso->is_used)
		return false;
	if (strncmp(group, alone, n) != 0)
		return is_named(iso, group);
	if (kind && (iso->action == SC_ACTION_QUARANTINE) != (strcmp(kind, "quarantine") == 0))
		return false;
	return is_alone(iso) && strcmp(iso->lone_path, group + n) == 0;
}

/* Nothing there can be released now; what is being undone already is told, not waited for. */
static void tell_remaining(struct sc_op_call *call, unsigned int under_way)
{
	if (under_way)
		sc_op_fail(call, SC_EXIT_UNCONFIRMED,
			   "%u cut%s of it %s not undone yet; the agent goes on trying, see `scram "
			   "status`",
			   under_way, under_way == 1 ? "" : "s", under_way == 1 ? "is" : "are");
	sc_json_key(&call->json, "released");
	sc_json_array_begin(&call->json);
	sc_json_array_end(&call->json);
	if (!under_way)
		sc_json_member_text(&call->json, "note", "nothing of scram's stands there");
}

void sc_op_release_group(struct sc_op_call *call, const char *group)
{
	struct sc_engine *e = call->e;
	const char *by = sc_op_text(call, "operator");
	const char *kind = sc_op_text(call, "kind");
	unsigned int under_way = 0;

	if (call->exit != SC_EXIT_DONE)
		return;
	for (size_t i = 0; i < SC_ISOLATIONS_MAX; i++) {
		struct sc_isolation *iso = &e->isolations[i];

		if (!is_meant(iso, group, kind))
			continue;
		if (iso->is_release_due || iso->cut.mode == SC_CUT_NONE) {
			under_way++;
			continue;
		}
		call->is_deferred = true; /* sc_ops_fire_released answers */
		(void)sc_isolation_release(e, iso, by ? by : call->principal, call->to);
		return;
	}
	tell_remaining(call, under_way);
}

/* The name behind `tenant ` or `component `. */
static bool is_cut_of(const struct sc_isolation *iso, const char *name)
{
	char group[SC_CUT_NAME_MAX];

	if (!iso->is_used || is_alone(iso))
		return false;
	for (int kind = 0; kind < SC_GROUP_KIND_COUNT; kind++) {
		snprintf(group, sizeof(group), "%s %.128s",
			 sc_group_kind_name((enum sc_group_kind)kind), name);
		if (is_named(iso, group))
			return true;
	}
	return false;
}

bool sc_op_is_group(struct sc_engine *e, const char *name)
{
	for (size_t i = 0; i < SC_ISOLATIONS_MAX; i++)
		if (is_cut_of(&e->isolations[i], name))
			return true;
	return sc_group_find(e, SC_GROUP_TENANT, name) ||
	       sc_group_find(e, SC_GROUP_COMPONENT, name);
}

unsigned int sc_op_release_cuts(struct sc_op_call *call, const char *what, const char *by,
				struct sc_reply_to waiter)
{
	size_t len = strlen(what);
	unsigned int n = 0;

	for (size_t i = 0; i < SC_ISOLATIONS_MAX; i++) {
		struct sc_isolation *iso = &call->e->isolations[i];
		bool is_it = what[0] == '/' ? strcmp(iso->lone_path, what) == 0
					    : len >= 8 && strncmp(iso->cut.fire_id, what, len) == 0;

		is_it = is_it || is_cut_of(iso, what);

		if (!iso->is_used || iso->is_release_due || iso->cut.mode == SC_CUT_NONE || !is_it)
			continue;
		(void)sc_isolation_release(call->e, iso, by, n ? SC_REPLY_TO_NOBODY : waiter);
		n++;
	}
	return n;
}

/* Why sc_components_set_state did nothing. */
static void refuse_order(struct sc_op_call *call, int r, const char *component, const char *state)
{
	switch (-r) {
	case ENOENT:
		sc_op_fail(call, SC_EXIT_FAILED,
			   "component %.128s is not declared; `scram breaker` lists them",
			   component);
		return;
	case EINVAL:
		sc_op_fail(call, SC_EXIT_USAGE,
			   "%.32s is no state of a breaker; write forced-open, forced-closed, "
			   "disabled, metrics-only or auto",
			   state);
		return;
	case EOPNOTSUPP:
		sc_op_fail(call, SC_EXIT_FAILED,
			   "component %.128s has no breaker; declare one, or cut it by hand: "
			   "scram break %.128s",
			   component, component);
		return;
	case EPERM:
		sc_op_fail(call, SC_EXIT_VETOED,
			   "an interlock vetoed the cut; the last of `scram fires` says which");
		return;
	default:
		sc_op_fail(call, SC_EXIT_FAILED, "the breaker of %.128s was left as it is: %s",
			   component, strerror(-r));
		return;
	}
}

void sc_op_breaker(struct sc_op_call *call)
{
	const char *component = sc_op_need(call, "component", "the component whose breaker it is");
	const char *state = sc_op_need(call, "state", "what the breaker shall be");
	struct sc_breaker_wish wish = {.component = component, .state = state};
	int r;

	if (!component || !state || !sc_op_is_signed(call))
		return;
	wish.by = sc_op_text(call, "operator");
	wish.principal = call->principal;
	wish.reason = sc_op_text(call, "reason");
	r = sc_components_set_state(call->e, &wish);
	if (r < 0) {
		refuse_order(call, r, component, state);
		return;
	}
	sc_json_member_text(&call->json, "component", component);
	sc_json_member_text(&call->json, "state", state);
}
