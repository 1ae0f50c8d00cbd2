/* SPDX-License-Identifier: Apache-2.0 */
/* Components over reloads: the watches of a configuration made, swapped in, and given up. */
#include "engine/components_impl.h"

#include "base/io.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>

/* --- the conditions of breakers --- */

/* In whose name a breaker cuts: no predicate, because the breaker itself judges, and none of the
 * waits of a condition, because it has its own. */
static int fill_condition(const struct sc_component *c, struct sc_condition_spec *spec,
			  struct sc_str *text)
{
	char id[SC_FIRE_CONDITION_MAX];
	char description[SC_CONDITION_TEXT_MAX];

	if ((size_t)snprintf(id, sizeof(id), SC_BREAKER_PREFIX "%s", c->name) >= sizeof(id)) {
		sc_str_addf(text, "component %s has a breaker and a name too long for one\n",
			    c->name);
		return -E2BIG;
	}
	snprintf(description, sizeof(description), "the breaker of component %s", c->name);
	sc_condition_spec_init(spec);
	spec->id = strdup(id);
	spec->description = strdup(description);
	spec->registered_by = strdup(SC_PRINCIPAL_AGENT);
	spec->action.kind = SC_ACTION_CIRCUIT_BREAK;
	spec->action.component = strdup(c->name);
	spec->action.mode = c->breaker.mode;
	spec->live = c->breaker.live;
	spec->cooldown_ns = 0;
	spec->clear_for_ns = 0;
	return spec->id && spec->description && spec->registered_by && spec->action.component
		       ? 0
		       : -ENOMEM;
}

void sc_components_conditions_done(const struct sc_config *config, struct sc_condition_spec **specs,
				   size_t n)
{
	for (size_t i = config->condition_count; *specs && i < n; i++)
		sc_condition_spec_done(&(*specs)[i]);
	free(*specs);
	*specs = NULL;
}

int sc_components_conditions(const struct sc_config *config, struct sc_condition_spec **out,
			     size_t *n, struct sc_str *text)
{
	size_t made = config->condition_count;
	struct sc_condition_spec *specs = calloc(made + config->component_count + 1,
						 sizeof(*specs));
	int r = specs ? 0 : -ENOMEM;

	if (specs && made)
		memcpy(specs, config->conditions, made * sizeof(*specs));
	for (size_t i = 0; r == 0 && i < config->component_count; i++) {
		if (!config->components[i].has_breaker)
			continue;
		r = fill_condition(&config->components[i], &specs[made], text);
		made++;
	}
	if (r < 0) {
		sc_components_conditions_done(config, &specs, made);
		return r;
	}
	*out = specs;
	*n = made;
	return 0;
}

/* --- watches --- */

void sc_component_watches_done(struct sc_component_watches *set)
{
	for (uint32_t i = 0; i < set->n; i++) {
		sc_predicate_free(&set->watch[i].failure);
		sc_predicate_free(&set->watch[i].success);
		sc_group_unref(&set->watch[i].group);
	}
	free(set->watch);
	*set = (struct sc_component_watches){0};
}

static int compile(struct sc_predicate **out, const char *text, const struct sc_predicate_env *env,
		   struct sc_diag *diag)
{
	return text ? sc_predicate_compile(out, text, env, diag) : 0;
}

static int fill_watch(struct sc_component_watch *w, const struct sc_component *c,
		      const struct sc_predicate_env *env, struct sc_str *text)
{
	struct sc_diag diag = {.text = "out of memory"};
	int r;

	sc_strcopy(w->name, sizeof(w->name), c->name);
	w->has_breaker = c->has_breaker;
	if (!c->has_breaker)
		return 0;
	w->spec = c->breaker;
	snprintf(w->condition_id, sizeof(w->condition_id), SC_BREAKER_PREFIX "%.*s",
		 (int)(sizeof(w->condition_id) - sizeof(SC_BREAKER_PREFIX)), c->name);
	sc_strcopy(w->failure_text, sizeof(w->failure_text), c->failure ? c->failure : "");
	r = compile(&w->failure, c->failure, env, &diag);
	if (r == 0)
		r = compile(&w->success, c->success, env, &diag);
	if (r < 0)
		sc_str_addf(text, "component %s: what tells its breaker: %s\n", c->name, diag.text);
	return r;
}

/* Room that outlives a configuration. */
static int take_room(struct sc_engine *e, const struct sc_config *config)
{
	char session[SC_UUID_TEXT_MAX];

	if (!e->components) {
		e->components = calloc(1, sizeof(*e->components));
		if (!e->components)
			return -ENOMEM;
		e->components->look = 1;
		sc_uuid(session);
		sc_session_blocker_begin(&e->components->blocker, session);
	}
	if (!e->components->seen && config->component_count)
		e->components->seen = calloc(e->ports->kernel.slots, sizeof(*e->components->seen));
	return e->components->seen || !config->component_count ? 0 : -ENOMEM;
}

int sc_components_build(struct sc_engine *e, const struct sc_config *config,
			const struct sc_predicate_env *env, struct sc_component_watches *out,
			struct sc_str *text)
{
	_cleanup_(sc_component_watches_done) struct sc_component_watches set = {0};
	int r = take_room(e, config);

	if (r < 0)
		return r;
	set.watch = calloc(config->component_count + 1, sizeof(*set.watch));
	if (!set.watch)
		return -ENOMEM;
	for (size_t i = 0; i < config->component_count; i++) {
		set.n++;
		r = fill_watch(&set.watch[i], &config->components[i], env, text);
		if (r < 0)
			return r;
	}
	*out = set;
	set = (struct sc_component_watches){0};
	return 0;
}

/* --- swapped in --- */

/* What was not looked at by the last tick has counted for itself since whenever. */
static void begin_counting(struct sc_engine *e)
{
	struct sc_components *s = e->components;

	for (uint32_t slot = 0; s->seen && slot < sc_targets_end(e->targets); slot++) {
		const struct sc_target *t = sc_targets_get(e->targets, slot);

		if (t && (s->seen[slot].cgroup_id != t->cgroup_id || s->seen[slot].look != s->look))
			sc_component_begin_counting(e, slot, t->cgroup_id);
	}
}

/* The state of a component that is still declared; its predicates, spec and group are new. */
static void keep(struct sc_component_watch *w, const struct sc_component_watch *old)
{
	struct sc_component_watch fresh = *w;

	*w = *old;
	w->group = fresh.group;
	w->spec = fresh.spec;
	w->failure = fresh.failure;
	w->success = fresh.success;
	memcpy(w->failure_text, fresh.failure_text, sizeof(w->failure_text));
}

static const struct sc_component_watch *find(const struct sc_component_watches *set,
					     const char *name)
{
	for (uint32_t i = 0; i < set->n; i++)
		if (strcmp(set->watch[i].name, name) == 0)
			return &set->watch[i];
	return NULL;
}

/* It goes through its states all the same: an unexpected exit is a failure too. */
static void warn_of_blindness(const struct sc_engine *e, const struct sc_component_watch *w)
{
	if (!w->failure && !(e->ports->kernel.features & SC_FEATURE_BIT(SC_FEATURE_TCP)))
		sc_log_warning("component %s: its breaker sees no connections on this host, the "
			       "signals of tcp are unknown; only unexpected exits open it",
			       w->name);
}

static void enter(struct sc_engine *e, struct sc_component_watch *w,
		  const struct sc_component_watches *old)
{
	const struct sc_component_watch *before = find(old, w->name);
	int condition;

	w->group = sc_group_ref(sc_group_find(e, SC_GROUP_COMPONENT, w->name));
	SC_ASSERT(w->group);
	if (before && before->has_breaker == w->has_breaker)
		keep(w, before);
	else if (before)
		w->state = before->state;
	w->holder_cuts = UINT32_MAX; /* to be found anew */
	if (!w->has_breaker)
		return;
	condition = sc_conditions_find(e->set, w->condition_id);
	w->spec.live = condition >= 0 && sc_conditions_get(e->set, (size_t)condition)->live;
	if (before && before->has_breaker)
		return;
	sc_component_restore(e, w);
	warn_of_blindness(e, w);
}

/* The component, or its breaker, is declared no more. */
static void leave(struct sc_engine *e, struct sc_component_watch *old,
		  const struct sc_component_watches *fresh)
{
	const struct sc_component_watch *next = find(fresh, old->name);

	if (old->has_breaker && !(next && next->has_breaker))
		sc_component_give_up(e, old);
	if (!next)
		sc_component_tell_events(e, old, 0, 0, true);
}

void sc_components_swap(struct sc_engine *e, struct sc_component_watches *fresh)
{
	struct sc_components *s = e->components;
	struct sc_component_watches old = s->set;

	for (uint32_t i = 0; i < old.n; i++)
		leave(e, &old.watch[i], fresh);
	s->set = *fresh;
	*fresh = (struct sc_component_watches){0};
	for (uint32_t i = 0; i < s->set.n; i++)
		enter(e, &s->set.watch[i], &old);
	begin_counting(e);
	s->are_strays_due = true;
	sc_component_watches_done(&old);
}
