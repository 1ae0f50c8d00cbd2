/* SPDX-License-Identifier: Apache-2.0 */
/* The cuts of breakers among those that stand, and who else holds a component. */
#include "engine/components_impl.h"

#include "base/log.h"

#include <string.h>

static bool is_on_its_way_out(const struct sc_isolation *iso)
{
	return iso->is_release_due || iso->cut.mode == SC_CUT_NONE;
}

static bool is_of_breaker(const struct sc_isolation *iso)
{
	return strncmp(iso->condition_id, SC_BREAKER_PREFIX, strlen(SC_BREAKER_PREFIX)) == 0;
}

static struct sc_component_watch *owner_of(struct sc_engine *e, const struct sc_isolation *iso)
{
	struct sc_component_watch *w =
		is_of_breaker(iso)
			? sc_component_find(e, iso->condition_id + strlen(SC_BREAKER_PREFIX))
			: NULL;

	return w && w->has_breaker ? w : NULL;
}

static void release_stray(struct sc_engine *e, struct sc_isolation *iso)
{
	sc_log_warning("%s is cut by a breaker that is declared no more (fire %s): released",
		       iso->cut.name, iso->cut.fire_id);
	(void)sc_isolation_release(e, iso, SC_PRINCIPAL_AGENT ": its breaker is declared no more",
				   SC_REPLY_TO_NOBODY);
}

void sc_components_find_cuts(struct sc_engine *e)
{
	struct sc_components *s = e->components;
	bool are_strays_due = s->are_strays_due;

	s->are_strays_due = false;
	for (uint32_t i = 0; i < s->set.n; i++)
		s->set.watch[i].cut = NULL;
	for (uint32_t i = 0; e->n_isolations && i < SC_ISOLATIONS_MAX; i++) {
		struct sc_isolation *iso = &e->isolations[i];
		struct sc_component_watch *w;

		if (!iso->is_used || is_on_its_way_out(iso))
			continue;
		w = owner_of(e, iso);
		if (!w && are_strays_due && is_of_breaker(iso))
			release_stray(e, iso);
		/* Two for a moment, when a new one replaces the old. */
		if (w && (!w->cut || w->cut->since_ns < iso->since_ns))
			w->cut = iso;
	}
}

/* --- what the breaker's own is like --- */

void sc_component_hold(struct sc_engine *e, struct sc_component_watch *w, const char *released_by)
{
	enum sc_cut_mode mode = sc_breaker_cut(&w->breaker, &w->spec);
	struct sc_isolation *cut = w->cut;

	if (!cut)
		return;
	if (mode == SC_CUT_NONE) {
		w->cut = NULL;
		w->cut_fire_id[0] = '\0';
		(void)sc_isolation_release(e, cut, released_by, SC_REPLY_TO_NOBODY);
		return;
	}
	if (cut->mode == mode && (mode != SC_CUT_TRY || w->cut_attempt == w->breaker.attempt))
		return;
	w->cut_attempt = w->breaker.attempt;
	w->passed = 0;
	/* Numbered by the breaker, which knows of those before a restart: set_mode adds one. */
	if (mode == SC_CUT_TRY)
		cut->attempt = w->breaker.attempt - 1;
	sc_isolation_set_mode(e, cut, mode, mode == SC_CUT_TRY ? w->spec.tries : 0);
}

uint64_t sc_component_tries(struct sc_engine *e, struct sc_component_watch *w,
			    const struct sc_breaker_counts *grown)
{
	const struct sc_traffic *traffic = e->ports->effector.traffic;
	struct sc_cut_counts counts = {0};
	uint64_t passed;

	if (w->breaker.state != SC_BREAKER_HALF_OPEN)
		return 0;
	if (!w->cut || !traffic) /* nothing is refused */
		return grown->connects + grown->accepts;
	/* Until the cut is what it shall be, nothing is let through, and the count is of before. */
	if (w->cut->is_busy || w->cut->is_dirty || w->cut->cut.mode != SC_CUT_TRY)
		return 0;
	traffic->ops->count(traffic->ctx, w->cut->cut.number, &counts);
	passed = counts.passed > w->passed ? counts.passed - w->passed : 0;
	w->passed = SC_MAX(w->passed, counts.passed);
	return passed;
}

/* --- others --- */

static bool is_at_or_below(struct sc_engine *e, uint32_t slot, uint32_t above)
{
	const struct sc_target *t;

	for (; (t = sc_targets_get(e->targets, slot)); slot = t->parent)
		if (slot == above)
			return true;
	return false;
}

static bool is_in_group(struct sc_engine *e, uint32_t slot, const struct sc_group *group)
{
	const struct sc_target *t;

	for (; (t = sc_targets_get(e->targets, slot)); slot = t->parent)
		if (sc_group_has(e, group, slot))
			return true;
	return false;
}

/* True when one of the members is cut by it, itself or through what is above it. */
static bool reaches(struct sc_engine *e, const struct sc_isolation *iso, const uint32_t *members,
		    uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (iso->group ? is_in_group(e, members[i], iso->group)
			       : is_at_or_below(e, members[i], iso->slot))
			return true;
	return false;
}

static void find_cut(struct sc_engine *e, struct sc_component_watch *w, const uint32_t *members,
		     uint32_t n)
{
	w->holder = (struct sc_component_holder){0};
	for (uint32_t i = 0; e->n_isolations && i < SC_ISOLATIONS_MAX; i++) {
		const struct sc_isolation *iso = &e->isolations[i];
		bool is_break;

		if (!iso->is_used || owner_of(e, iso) == w)
			continue;
		is_break = iso->group && iso->group->kind == SC_GROUP_COMPONENT &&
			   strcmp(iso->group->name, w->name) == 0;
		if (!is_break && !reaches(e, iso, members, n))
			continue;
		w->holder.is_cut_off = true;
		w->holder.is_break = w->holder.is_break || is_break;
		if (!w->holder.fire_id[0] || is_break)
			sc_strcopy(w->holder.fire_id, sizeof(w->holder.fire_id), iso->cut.fire_id);
	}
}

/* A rekill or a freeze of a member, or of what is above it. */
static bool is_killed_by(struct sc_engine *e, const struct sc_active *a, const uint32_t *members,
			 uint32_t n)
{
	if (a->stage != SC_ACTIVE_STANDING || a->isolation)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (is_at_or_below(e, members[i], a->slot))
			return true;
	return false;
}

void sc_component_find_holder(struct sc_engine *e, struct sc_component_watch *w,
			      const uint32_t *members, uint32_t n)
{
	if (w->holder_changes != e->cut_changes || e->n_isolations != w->holder_cuts ||
	    n != w->holder_members) {
		find_cut(e, w, members, n);
		w->holder_changes = e->cut_changes;
		w->holder_cuts = e->n_isolations;
		w->holder_members = n;
	}
	w->killed_by[0] = '\0';
	for (uint32_t i = 0; i < SC_ACTIVE_MAX && !w->killed_by[0]; i++)
		if (is_killed_by(e, &e->active[i], members, n))
			sc_strcopy(w->killed_by, sizeof(w->killed_by), e->active[i].fire.id);
}

void sc_components_cut_changed(struct sc_engine *e, const struct sc_isolation *iso)
{
	(void)iso;
	for (uint32_t i = 0; e->components && i < e->components->set.n; i++)
		e->components->set.watch[i].holder_cuts = UINT32_MAX;
}
