/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants and components: names for sets of targets, kept current by the plan's scopes. */
#include "engine/core.h"

#include "base/glob.h"

#include <string.h>

const char *sc_group_kind_name(enum sc_group_kind kind)
{
	static const char *const names[] = {"tenant", "component"};

	_Static_assert(SC_ARRAY_SIZE(names) == SC_GROUP_KIND_COUNT, "one name each");
	return names[kind];
}

static void group_free(struct sc_group *group)
{
	for (uint32_t i = 0; group->globs && i < group->n_globs; i++)
		free(group->globs[i]);
	free(group->globs);
	free(group->scopes);
	free(group);
}

struct sc_group *sc_group_ref(struct sc_group *group)
{
	if (group)
		group->refs++;
	return group;
}

void sc_group_unref(struct sc_group **group)
{
	struct sc_group *g = SC_TAKE_PTR(*group);

	if (g && --g->refs == 0)
		group_free(g);
}

static int group_new(struct sc_group **out, enum sc_group_kind kind, const char *name,
		     const struct sc_texts *globs, struct sc_plan *plan)
{
	struct sc_group *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->kind = kind;
	g->refs = 1;
	g->n_globs = (uint32_t)globs->n;
	g->globs = calloc(globs->n + 1, sizeof(*g->globs));
	g->scopes = calloc(globs->n + 1, sizeof(*g->scopes));
	sc_strcopy(g->name, sizeof(g->name), name);
	for (uint32_t i = 0; g->globs && g->scopes && i < g->n_globs; i++) {
		int scope = sc_plan_add_scope(plan, globs->item[i]);

		g->globs[i] = strdup(globs->item[i]);
		if (!g->globs[i] || scope < 0) {
			group_free(g);
			return scope < 0 ? scope : -ENOMEM;
		}
		g->scopes[i] = (uint32_t)scope;
	}
	if (!g->globs || !g->scopes) {
		group_free(g);
		return -ENOMEM;
	}
	*out = g;
	return 0;
}

void sc_groups_free(struct sc_group ***groups, uint32_t n)
{
	for (uint32_t i = 0; *groups && i < n; i++)
		sc_group_unref(&(*groups)[i]);
	free(*groups);
	*groups = NULL;
}

int sc_groups_new(struct sc_group ***out, uint32_t *n, const struct sc_config *config,
		  struct sc_plan *plan)
{
	struct sc_group **groups = calloc(config->tenant_count + config->component_count + 1,
					  sizeof(struct sc_group *));
	uint32_t made = 0;
	int r = groups ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < config->tenant_count; i++) {
		r = group_new(&groups[made], SC_GROUP_TENANT, config->tenants[i].name,
			      &config->tenants[i].cgroups, plan);
		made += r == 0;
	}
	for (size_t i = 0; r == 0 && i < config->component_count; i++) {
		r = group_new(&groups[made], SC_GROUP_COMPONENT, config->components[i].name,
			      &config->components[i].cgroups, plan);
		made += r == 0;
	}
	if (r < 0) {
		sc_groups_free(&groups, made);
		return r;
	}
	*out = groups;
	*n = made;
	return 0;
}

struct sc_group *sc_group_find(struct sc_engine *e, enum sc_group_kind kind, const char *name)
{
	for (uint32_t i = 0; i < e->n_groups; i++)
		if (e->groups[i]->kind == kind && strcmp(e->groups[i]->name, name) == 0)
			return e->groups[i];
	return NULL;
}

/* A declaration that a reload replaced has no scopes any more: its globs are matched. */
const char *sc_group_lacking(struct sc_engine *e, const struct sc_action_spec *action,
			     enum sc_action_kind kind)
{
	if (kind == SC_ACTION_QUARANTINE && action->tenant_id &&
	    !sc_group_find(e, SC_GROUP_TENANT, action->tenant_id))
		return "the tenant that it names is not declared";
	if (kind == SC_ACTION_CIRCUIT_BREAK && action->component &&
	    !sc_group_find(e, SC_GROUP_COMPONENT, action->component))
		return "the component that it names is not declared";
	return NULL;
}

bool sc_group_has(struct sc_engine *e, const struct sc_group *group, uint32_t slot)
{
	const struct sc_target *t = sc_targets_get(e->targets, slot);

	for (uint32_t i = 0; t && i < group->n_globs; i++)
		if (group->is_stale ? sc_glob_match(group->globs[i], t->path)
				    : sc_scope_has(sc_plan_scopes(e->plan), group->scopes[i], slot))
			return true;
	return false;
}

struct sc_group *sc_group_of_slot(struct sc_engine *e, enum sc_group_kind kind, uint32_t slot)
{
	const struct sc_target *t;

	for (; (t = sc_targets_get(e->targets, slot)); slot = t->parent)
		for (uint32_t i = 0; i < e->n_groups; i++)
			if (e->groups[i]->kind == kind && sc_group_has(e, e->groups[i], slot))
				return e->groups[i];
	return NULL;
}

static bool is_topmost(struct sc_engine *e, const struct sc_group *group, uint32_t slot)
{
	const struct sc_target *t = sc_targets_get(e->targets, slot);

	while (t && (t = sc_targets_get(e->targets, slot = t->parent)))
		if (sc_group_has(e, group, slot))
			return false;
	return true;
}

/* Earlier globs of the group have it: it was given with them. */
static bool is_counted(struct sc_engine *e, const struct sc_group *group, uint32_t glob,
		       uint32_t slot)
{
	for (uint32_t i = 0; i < glob; i++)
		if (sc_scope_has(sc_plan_scopes(e->plan), group->scopes[i], slot))
			return true;
	return false;
}

static uint32_t members_by_glob(struct sc_engine *e, const struct sc_group *group, uint32_t *slots,
				uint32_t max)
{
	uint32_t n = 0;

	for (uint32_t slot = 0; slot < sc_targets_end(e->targets); slot++) {
		if (!sc_group_has(e, group, slot) || !is_topmost(e, group, slot))
			continue;
		if (n < max)
			slots[n] = slot;
		n++;
	}
	return n;
}

uint32_t sc_group_members(struct sc_engine *e, const struct sc_group *group, uint32_t *slots,
			  uint32_t max)
{
	uint32_t chunk[64], n = 0, got;

	if (group->is_stale)
		return members_by_glob(e, group, slots, max);
	for (uint32_t i = 0; i < group->n_globs; i++) {
		uint32_t cursor = 0;

		while ((got = sc_scope_fill(sc_plan_scopes(e->plan), group->scopes[i], &cursor,
					    chunk, SC_ARRAY_SIZE(chunk)))) {
			for (uint32_t k = 0; k < got; k++) {
				if (is_counted(e, group, i, chunk[k]) ||
				    !is_topmost(e, group, chunk[k]))
					continue;
				if (n < max)
					slots[n] = chunk[k];
				n++;
			}
		}
	}
	return n;
}
