/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts that stand: a group of cgroups that is kept from the network until it is released. Unlike a
 * kill, a cut is a standing wish. What it shall be is computed here from the targets that there
 * are; the hand makes the world so, again whenever members come, the world was changed by somebody
 * else, or a breaker wants another mode. One change of a cut is under way at a time.
 */
#include "engine/components.h"

#include "base/glob.h"
#include "base/log.h"
#include "engine/ops.h"
#include "record/fold.h"

#include <string.h>

/* A change that failed is tried again after this. */
#define RETRY_NS SC_NS_PER_S
/* Cgroups that are gone stay cut, because their sockets may live on elsewhere: so many of them. */
#define GONE_MAX 256

struct sc_group *sc_isolation_group(struct sc_engine *e, const struct sc_action_spec *action,
				    enum sc_action_kind kind, uint32_t slot)
{
	switch (kind) {
	case SC_ACTION_QUARANTINE:
		return action->tenant_id ? sc_group_find(e, SC_GROUP_TENANT, action->tenant_id)
					 : sc_group_of_slot(e, SC_GROUP_TENANT, slot);
	case SC_ACTION_CIRCUIT_BREAK:
		return action->component ? sc_group_find(e, SC_GROUP_COMPONENT, action->component)
					 : sc_group_of_slot(e, SC_GROUP_COMPONENT, slot);
	case SC_ACTION_REFUSE_NEW: /* a rung: of the matched cgroup alone */
	case SC_ACTION_PROCESS_EXIT:
	case SC_ACTION_READONLY:
	case SC_ACTION_ROLLBACK:
	case SC_ACTION_FREEZE:
	case SC_ACTION_KIND_COUNT:
		return NULL;
	}
	return NULL;
}

const char *sc_isolation_protected_by(struct sc_engine *e, const struct sc_group *group,
				      uint32_t slot, char *buf, size_t size)
{
	uint32_t slots[SC_CUT_MEMBERS_MAX];
	uint32_t n;

	if (!group)
		return sc_engine_protected_by(e, slot, buf, size);
	n = sc_group_members(e, group, slots, SC_CUT_MEMBERS_MAX);
	for (uint32_t i = 0; i < SC_MIN(n, (uint32_t)SC_CUT_MEMBERS_MAX); i++) {
		const char *by = sc_engine_protected_by(e, slots[i], buf, size);

		if (by)
			return by;
	}
	return NULL;
}

enum sc_cut_mode sc_isolation_mode(const struct sc_action_spec *action, enum sc_action_kind kind)
{
	if (kind == SC_ACTION_QUARANTINE)
		return SC_CUT_DROP;
	return kind == SC_ACTION_CIRCUIT_BREAK && action->mode == SC_CUT_REFUSE_ALL
		       ? SC_CUT_REFUSE_ALL
		       : SC_CUT_REFUSE_NEW;
}

/* --- what the cut shall be --- */

static bool has_member(const struct sc_cut_member *members, uint32_t n, uint64_t id)
{
	for (uint32_t i = 0; i < n; i++)
		if (members[i].cgroup_id == id)
			return true;
	return false;
}

static void sort_members(struct sc_cut_member *members, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++) {
		struct sc_cut_member m = members[i];
		uint32_t k = i;

		for (; k > 0 && members[k - 1].cgroup_id > m.cgroup_id; k--)
			members[k] = members[k - 1];
		members[k] = m;
	}
}

static uint32_t find_members(struct sc_engine *e, const struct sc_isolation *iso, uint32_t *slots)
{
	uint32_t n;

	if (iso->group) {
		n = sc_group_members(e, iso->group, slots, SC_CUT_MEMBERS_MAX);
		return SC_MIN(n, (uint32_t)SC_CUT_MEMBERS_MAX);
	}
	if (iso->cut.is_kept)
		return 0;
	slots[0] = iso->slot;
	return sc_targets_get(e->targets, iso->slot) &&
	       strcmp(sc_targets_get(e->targets, iso->slot)->path, iso->lone_path) == 0;
}

/* The members that there are now, and the gone ones of before. */
static void fill_members(struct sc_engine *e, struct sc_isolation *iso)
{
	struct sc_cut_member old[GONE_MAX];
	uint32_t slots[SC_CUT_MEMBERS_MAX];
	uint32_t n_old = 0, n = find_members(e, iso, slots);

	for (uint32_t i = iso->cut.n_members; i-- > 0 && n_old < GONE_MAX;)
		if (sc_targets_find_id(e->targets, iso->members[i].cgroup_id) == SC_SLOT_NONE)
			old[n_old++] = iso->members[i];
	for (uint32_t i = 0; i < n; i++) {
		const struct sc_target *t = sc_targets_get(e->targets, slots[i]);

		iso->members[i] = (struct sc_cut_member){t->cgroup_id, t->level};
	}
	for (uint32_t i = 0; i < n_old && n < SC_CUT_MEMBERS_MAX; i++)
		if (!has_member(iso->members, n, old[i].cgroup_id))
			iso->members[n++] = old[i];
	sort_members(iso->members, n);
	iso->cut.members = iso->members;
	iso->cut.n_members = n;
}

void sc_isolation_fill_cut(struct sc_engine *e, struct sc_isolation *iso)
{
	SC_ASSERT(!iso->is_busy);
	iso->cut.mode = iso->mode;
	iso->cut.is_kept = iso->cut.is_kept && !iso->group;
	iso->cut.globs = iso->group ? (const char *const *)iso->group->globs : iso->lone_globs;
	iso->cut.n_globs = iso->group ? iso->group->n_globs : iso->lone_globs[0] != NULL;
	fill_members(e, iso);
	iso->is_dirty = false;
}

/* --- places --- */

static struct sc_isolation *take_place(struct sc_engine *e, uint32_t i)
{
	struct sc_isolation *iso = &e->isolations[i];

	*iso = (struct sc_isolation){
		.is_used = true,
		.members = e->isolation_room + (size_t)i * SC_CUT_MEMBERS_MAX,
		.cut = {.number = i},
		.waiter = SC_REPLY_TO_NOBODY,
	};
	e->n_isolations++;
	return iso;
}

/* A place whose number the gate of a predecessor uses for another fire is not taken. */
static bool is_found(const struct sc_engine *e, uint32_t number)
{
	for (uint32_t i = 0; i < e->n_found; i++)
		if (e->found[i].number == number)
			return true;
	return false;
}

struct sc_isolation *sc_isolation_place(struct sc_engine *e, const char *fire_id)
{
	for (uint32_t i = 0; i < e->n_found; i++)
		if (strcmp(e->found[i].fire_id, fire_id) == 0 &&
		    e->found[i].number < SC_ISOLATIONS_MAX &&
		    !e->isolations[e->found[i].number].is_used)
			return take_place(e, e->found[i].number);
	for (uint32_t i = 0; i < SC_ISOLATIONS_MAX; i++)
		if (!e->isolations[i].is_used && !is_found(e, i))
			return take_place(e, i);
	return NULL;
}

void sc_isolation_abandon(struct sc_engine *e, struct sc_isolation *iso)
{
	sc_group_unref(&iso->group);
	sc_group_unref(&iso->old_group);
	iso->is_used = false;
	e->n_isolations--;
	sc_statefile_touch(&e->statefile, e->now.mono_ns);
}

struct sc_isolation *sc_isolation_find(struct sc_engine *e, const char *fire_id)
{
	for (uint32_t i = 0; e->n_isolations && i < SC_ISOLATIONS_MAX; i++)
		if (e->isolations[i].is_used && strcmp(e->isolations[i].cut.fire_id, fire_id) == 0)
			return &e->isolations[i];
	return NULL;
}

/* The parts that a fire tells, new or taken up. A path that reads as a glob is not one. */
void sc_isolation_fill_place(struct sc_isolation *iso, const struct sc_fire *fire,
			     struct sc_group *group)
{
	iso->group = sc_group_ref(group);
	iso->action = fire->action;
	iso->rung = fire->rung;
	iso->since_ns = fire->fired_at_ns;
	iso->until_boot_ns = fire->expires_at_boot_ns;
	iso->lone_id = fire->cgroup_id;
	sc_strcopy(iso->lone_path, sizeof(iso->lone_path), fire->target);
	iso->lone_globs[0] = fire->group[0] || strpbrk(iso->lone_path, "*?") ? NULL
									     : iso->lone_path;
	sc_strcopy(iso->condition_id, sizeof(iso->condition_id), fire->condition_id);
	sc_strcopy(iso->by, sizeof(iso->by), fire->fired_by);
	sc_strcopy(iso->cut.fire_id, sizeof(iso->cut.fire_id), fire->id);
	if (fire->group[0])
		sc_strcopy(iso->cut.name, sizeof(iso->cut.name), fire->group);
	else
		snprintf(iso->cut.name, sizeof(iso->cut.name), "cgroup %.120s", fire->target);
}

struct sc_isolation *sc_isolation_begin(struct sc_engine *e, const struct sc_condition *c,
					const struct sc_fire *fire, uint32_t slot,
					char why[static SC_ACTION_TEXT_MAX])
{
	const struct sc_action_spec *action = &c->spec->action;
	struct sc_group *group = sc_isolation_group(e, action, fire->action, slot);
	struct sc_isolation *iso;

	sc_isolations_arm(e);
	if (e->traffic_why[0]) {
		sc_strcopy(why, SC_ACTION_TEXT_MAX, e->traffic_why);
		return NULL;
	}
	if (group && sc_group_members(e, group, NULL, 0) > SC_CUT_MEMBERS_MAX) {
		snprintf(why, SC_ACTION_TEXT_MAX,
			 "%s has more than %d cgroups; name the ones above them", group->name,
			 SC_CUT_MEMBERS_MAX);
		return NULL;
	}
	iso = sc_isolation_place(e, fire->id);
	if (!iso) {
		snprintf(why, SC_ACTION_TEXT_MAX, "%d cuts stand already; release some",
			 SC_ISOLATIONS_MAX);
		return NULL;
	}
	sc_isolation_fill_place(iso, fire, group);
	iso->slot = slot;
	iso->mode = sc_isolation_mode(action, fire->action);
	iso->ends_when_clear = fire->rung + 1 < c->spec->rungs;
	sc_isolation_fill_cut(e, iso);
	return iso;
}

/* --- changes --- */

/* Hands the cut over as it is now, for a change of what stands. */
static void change(struct sc_engine *e, struct sc_isolation *iso, bool is_release)
{
	struct sc_active *a = sc_fires_free_place(e);
	struct sc_action_request request = {.kind = iso->action, .cut = &iso->cut};
	bool ambiguous;
	const struct sc_fire *fire = sc_fold_fire_find(e->fold, iso->cut.fire_id, &ambiguous);

	if (!a) { /* tried again at the next look */
		iso->is_dirty = iso->is_dirty || !is_release;
		iso->is_release_due = iso->is_release_due || is_release;
		return;
	}
	if (fire)
		a->fire = *fire;
	a->isolation = iso;
	a->slot = iso->slot;
	a->is_releasing = is_release;
	a->is_updating = !is_release;
	a->waiter = iso->waiter;
	iso->waiter = SC_REPLY_TO_NOBODY;
	(void)sc_action_prepare(&a->run, &request, &e->ports->effector);
	iso->is_busy = true;
	e->cut_changes++;
	sc_fires_dispatch(e, a);
}

int sc_isolation_release(struct sc_engine *e, struct sc_isolation *iso, const char *by,
			 struct sc_reply_to waiter)
{
	e->now = sc_time_now();
	sc_strcopy(iso->released_by, sizeof(iso->released_by), by);
	iso->waiter = waiter;
	iso->is_release_due = true;
	if (iso->is_busy)
		return -EBUSY;
	iso->is_release_due = false;
	iso->cut.mode = SC_CUT_NONE;
	iso->cut.globs = NULL; /* a reload may have freed them since they were computed */
	iso->cut.n_globs = 0;
	change(e, iso, true);
	return 0;
}

void sc_isolation_set_mode(struct sc_engine *e, struct sc_isolation *iso, enum sc_cut_mode mode,
			   uint32_t tries)
{
	iso->mode = mode;
	iso->tries = tries;
	iso->attempt += mode == SC_CUT_TRY;
	iso->is_dirty = true;
	iso->next_ns = 0;
	sc_isolations_look(e);
}

/* --- outcomes --- */

/* A condition that cuts the same group once more replaces its older cut. */
static void release_older(struct sc_engine *e, const struct sc_isolation *by)
{
	char text[SC_FIRE_OPERATOR_MAX];

	snprintf(text, sizeof(text), "agent: fire %s replaces it", by->cut.fire_id);
	for (uint32_t i = 0; i < SC_ISOLATIONS_MAX; i++) {
		struct sc_isolation *iso = &e->isolations[i];

		if (iso->is_used && iso->stands && iso != by && !iso->is_release_due &&
		    iso->cut.mode != SC_CUT_NONE && iso->rung == by->rung &&
		    strcmp(iso->condition_id, by->condition_id) == 0 &&
		    strcmp(iso->cut.name, by->cut.name) == 0)
			(void)sc_isolation_release(e, iso, text, SC_REPLY_TO_NOBODY);
	}
}

static void after_first(struct sc_engine *e, struct sc_active *a)
{
	struct sc_isolation *iso = a->isolation;

	iso->namespaces = a->run.cut.namespaces;
	iso->stands = sc_fire_is_standing(&a->fire);
	if (!iso->stands) { /* what may hold of it is taken back */
		iso->is_release_due = true;
		sc_strcopy(iso->released_by, sizeof(iso->released_by), "agent");
		return;
	}
	if (a->run.outcome == SC_ACTION_OUTCOME_PARTIAL) {
		iso->is_dirty = true;
		iso->next_ns = e->now.mono_ns + RETRY_NS;
	}
	release_older(e, iso);
	sc_components_cut_changed(e, iso);
}

static void after_update(struct sc_engine *e, struct sc_active *a)
{
	struct sc_isolation *iso = a->isolation;
	uint64_t leak_ns = a->run.first_end_ns - iso->late_born_ns;

	iso->namespaces = a->run.cut.namespaces;
	if (iso->late_born_ns && a->run.first_end_ns > iso->late_born_ns) {
		sc_log_warning("%s: a cgroup made later was cut %llu us after its birth",
			       iso->cut.name, (unsigned long long)(leak_ns / SC_NS_PER_US));
		sc_records_fact(e,
				"%s (fire %s): a cgroup made later was cut %llu us after its "
				"birth; its path is matched by the agent, not by the kernel",
				iso->cut.name, iso->cut.fire_id,
				(unsigned long long)(leak_ns / SC_NS_PER_US));
	}
	iso->late_born_ns = 0;
	if (a->run.outcome == SC_ACTION_OUTCOME_ISOLATED) {
		iso->is_failing = false;
		return;
	}
	if (!iso->is_failing)
		sc_log_error("%s (fire %s) does not hold as it should: %s; it is tried again",
			     iso->cut.name, iso->cut.fire_id, a->run.text);
	iso->is_failing = true;
	iso->is_dirty = true;
	iso->next_ns = e->now.mono_ns + RETRY_NS;
}

static void after_release(struct sc_engine *e, struct sc_active *a)
{
	struct sc_isolation *iso = a->isolation;

	if (a->run.outcome != SC_ACTION_OUTCOME_RESTORED) {
		sc_log_error("release of %s (fire %s): %s; it is tried again", iso->cut.name,
			     iso->cut.fire_id, a->run.text);
		sc_ops_fire_released(e, a, a->run.text);
		iso->is_release_due = true;
		iso->next_ns = e->now.mono_ns + RETRY_NS;
		return;
	}
	if (iso->stands)
		sc_standing_record_release(e, &a->fire, iso->released_by, "no longer cut");
	sc_ops_fire_released(e, a, NULL);
	iso->stands = false;
	sc_components_cut_changed(e, iso);
	sc_isolation_abandon(e, iso);
}

void sc_isolation_settle(struct sc_engine *e, struct sc_active *a)
{
	a->isolation->is_busy = false;
	sc_group_unref(&a->isolation->old_group);
	e->cut_changes++;
	if (a->is_releasing)
		after_release(e, a);
	else if (a->is_updating)
		after_update(e, a);
	else
		after_first(e, a);
	sc_action_close(&a->run, &e->ports->effector);
	a->stage = SC_ACTIVE_FREE;
	a->isolation = NULL;
	sc_statefile_touch(&e->statefile, e->now.mono_ns);
	sc_isolations_look(e);
}

/* --- what happens while it stands --- */

/* A rung that is not the last ends with its condition, as a freeze does. */
static bool has_cleared(struct sc_engine *e, const struct sc_isolation *iso)
{
	int i = sc_conditions_find(e->set, iso->condition_id);
	const struct sc_target *t = sc_targets_get(e->targets, iso->slot);
	enum sc_phase phase;

	if (!iso->ends_when_clear)
		return false;
	if (i < 0 || !t || t->cgroup_id != iso->lone_id)
		return true;
	phase = sc_conditions_pair(e->set, (size_t)i, iso->slot).phase;
	return phase == SC_PHASE_CLEAR || phase == SC_PHASE_COOLDOWN;
}

static void look_at(struct sc_engine *e, struct sc_isolation *iso)
{
	char by[SC_FIRE_OPERATOR_MAX];

	sc_strcopy(by, sizeof(by), iso->released_by);
	if (iso->is_busy || iso->next_ns > e->now.mono_ns)
		return;
	if (iso->is_release_due)
		(void)sc_isolation_release(e, iso, by, iso->waiter);
	else if (iso->until_boot_ns && e->now.boot_ns >= iso->until_boot_ns)
		(void)sc_isolation_release(e, iso, "agent: its ttl ended", SC_REPLY_TO_NOBODY);
	else if (has_cleared(e, iso))
		(void)sc_isolation_release(e, iso, "agent: its condition cleared",
					   SC_REPLY_TO_NOBODY);
	else if (iso->is_dirty && iso->stands) {
		sc_isolation_fill_cut(e, iso);
		iso->cut.tries = iso->tries;
		iso->cut.attempt = iso->attempt;
		change(e, iso, false);
	}
}

void sc_isolations_look(struct sc_engine *e)
{
	if (e->n_isolations == 0 || e->stopping)
		return;
	for (uint32_t i = 0; i < SC_ISOLATIONS_MAX; i++)
		if (e->isolations[i].is_used)
			look_at(e, &e->isolations[i]);
	sc_fires_arm_timer(e);
}

static bool is_member(struct sc_engine *e, struct sc_isolation *iso, uint32_t slot)
{
	const struct sc_target *t = sc_targets_get(e->targets, slot);

	if (iso->group)
		return sc_group_has(e, iso->group, slot);
	if (strcmp(t->path, iso->lone_path) != 0)
		return false;
	iso->slot = slot;
	return true;
}

void sc_isolations_target_added(struct sc_engine *e, uint32_t slot)
{
	const struct sc_target *t = sc_targets_get(e->targets, slot);
	const struct sc_traffic *traffic = e->ports->effector.traffic;

	for (uint32_t i = 0; e->n_isolations && i < SC_ISOLATIONS_MAX; i++) {
		struct sc_isolation *iso = &e->isolations[i];

		if (!iso->is_used || !is_member(e, iso, slot))
			continue;
		iso->is_dirty = true;
		iso->next_ns = 0;
		if (traffic && iso->mode != SC_CUT_NONE && t->flags & SC_TARGET_BORN &&
		    !traffic->ops->is_gated(traffic->ctx, iso->cut.number, t->cgroup_id) &&
		    (!iso->late_born_ns || t->born_ns < iso->late_born_ns))
			iso->late_born_ns = t->born_ns;
	}
	sc_isolations_look(e);
}
