/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What outlasts its fire: a freeze, or a tree that is read-only, until it is released, its ttl ends
 * or its condition clears; a rekill until it is released. And the undo of each. A freeze is thawed
 * on every way out of the agent.
 */
#include "engine/core.h"

#include "base/log.h"
#include "engine/ops.h"
#include "record/fold.h"

#include <string.h>

/* How often a standing fire is looked at when nothing wakes it: its ttl, condition and target. */
#define LOOK_INTERVAL_NS        (100 * SC_NS_PER_MS)
#define REKILL_TOLD_INTERVAL_NS SC_NS_PER_S

/* What another fire froze is that one's to thaw. */
static void forget_frozen(struct sc_engine *e, const struct sc_fire *fire)
{
	struct sc_frozen *entry = sc_frozen_find(e->frozen, SC_ACTIVE_MAX, fire->cgroup_id);

	if (entry && strcmp(entry->fire_id, fire->id) == 0)
		*entry = (struct sc_frozen){0};
}

static void free_place(struct sc_engine *e, struct sc_active *a)
{
	sc_action_close(&a->run, &e->ports->effector);
	a->stage = SC_ACTIVE_FREE;
}

static void stand(struct sc_engine *e, struct sc_active *a)
{
	/* Descriptors are opened anew, by id, when something is to be done again. */
	sc_action_close(&a->run, &e->ports->effector);
	a->stage = SC_ACTIVE_STANDING;
	a->next_ns = e->now.mono_ns + LOOK_INTERVAL_NS;
	a->is_releasing = false;
	a->is_rekilling = false;
	a->is_updating = false;
}

void sc_standing_record_release(struct sc_engine *e, struct sc_fire *fire, const char *by,
				const char *how)
{
	fire->released_at_ns = e->now.real_ns;
	sc_strcopy(fire->released_by, sizeof(fire->released_by), by);
	sc_strcopy(fire->dispatch_result, sizeof(fire->dispatch_result), how);
	(void)sc_records_fire(e, SC_RECORD_FIRE_RELEASED, fire);
	e->seal_due = true;
	sc_log_info("released: fire %s on %s, by %s: %s", fire->id, fire->target, by, how);
}

/* The kill thawed what the rung before had frozen, or there is nothing left to thaw. */
static void release_superseded(struct sc_engine *e, const struct sc_active *killer)
{
	struct sc_isolation *cut = sc_isolation_find(e, killer->fire.supersedes);

	if (cut)
		(void)sc_isolation_release(e, cut, "agent: the next rung emptied it",
					   SC_REPLY_TO_NOBODY);
	for (size_t i = 0; i < SC_ACTIVE_MAX; i++) {
		struct sc_active *a = &e->active[i];

		if (a->stage != SC_ACTIVE_STANDING || killer->fire.supersedes[0] == '\0' ||
		    strcmp(a->fire.id, killer->fire.supersedes) != 0)
			continue;
		sc_standing_record_release(e, &a->fire, "agent",
					   "the next rung emptied and thawed it");
		forget_frozen(e, &a->fire);
		free_place(e, a);
	}
}

static void after_release(struct sc_engine *e, struct sc_active *a)
{
	bool good = a->run.outcome == SC_ACTION_OUTCOME_THAWED ||
		    a->run.outcome == SC_ACTION_OUTCOME_RESTORED ||
		    a->run.outcome == SC_ACTION_OUTCOME_GONE;

	if (!good) {
		sc_log_error("release of fire %s on %s: %s; it is tried again", a->fire.id,
			     a->fire.target, a->run.text);
		sc_ops_fire_released(e, a, a->run.text);
		stand(e, a);
		a->is_release_due = true;
		return;
	}
	forget_frozen(e, &a->fire);
	sc_standing_record_release(e, &a->fire, a->released_by,
				   a->run.outcome == SC_ACTION_OUTCOME_GONE ? "the cgroup is gone"
				   : a->fire.action == SC_ACTION_READONLY   ? a->run.text
									    : "thawed");
	sc_ops_fire_released(e, a, NULL);
	free_place(e, a);
}

/* A supervisor that restarts at once is killed ten times a second; the record counts, once a
 * second. */
static void after_rekill(struct sc_engine *e, struct sc_active *a)
{
	bool tell = a->rekill_told_ns == 0 ||
		    e->now.mono_ns - a->rekill_told_ns >= REKILL_TOLD_INTERVAL_NS;

	a->fire.rekills = a->rekill.rekills;
	sc_fold_fire(e->fold, &a->fire);
	if (tell) {
		(void)sc_records_fire(e, SC_RECORD_FIRE_REKILLED, &a->fire);
		sc_log_warning("killed again: %s (%u times, fire %s): %s", a->fire.target,
			       a->fire.rekills, a->fire.id, sc_action_outcome_name(a->run.outcome));
		a->rekill_told_ns = e->now.mono_ns;
	}
	stand(e, a);
}

void sc_standing_settle(struct sc_engine *e, struct sc_active *a)
{
	bool is_gone = a->run.outcome == SC_ACTION_OUTCOME_GONE;

	if (a->isolation) {
		sc_isolation_settle(e, a);
		return;
	}
	if (a->is_releasing) {
		after_release(e, a);
		return;
	}
	if (a->is_rekilling) {
		after_rekill(e, a);
		return;
	}
	if (a->is_updating) {
		sc_readonly_kept(e, a);
		stand(e, a);
		return;
	}
	if (a->fire.action == SC_ACTION_PROCESS_EXIT && (is_gone || a->run.left == 0))
		release_superseded(e, a);
	if (a->fire.action == SC_ACTION_READONLY && sc_fire_is_standing(&a->fire)) {
		sc_readonly_kept(e, a);
		stand(e, a);
		return;
	}
	if (a->fire.action == SC_ACTION_FREEZE && !is_gone && a->run.has_frozen) {
		stand(e, a);
		return;
	}
	if (a->fire.action == SC_ACTION_FREEZE)
		forget_frozen(e, &a->fire);
	if (a->fire.rekill && !is_gone) {
		a->rekill = (struct sc_standing){.cgroup_id = a->fire.cgroup_id};
		stand(e, a);
		return;
	}
	/* What does not stand here must not stand in the journal either: the next start would undo
	 * what is not ours. */
	if (sc_fire_is_standing(&a->fire))
		sc_standing_record_release(e, &a->fire, "agent",
					   "was frozen by another hand: left as it is");
	free_place(e, a);
}

static bool act_again(struct sc_engine *e, struct sc_active *a, enum sc_hand_verb verb)
{
	struct sc_action_request request = {.kind = a->fire.action, .cgroup_id = a->fire.cgroup_id};
	struct sc_hand_order order = {&a->run, verb, (uint32_t)(a - e->active)};

	if (a->fire.action == SC_ACTION_READONLY)
		request.readonly = sc_readonly_wish(e, a);
	if (sc_action_prepare(&a->run, &request, &e->ports->effector) < 0) {
		a->stage = SC_ACTIVE_VERIFYING;
		sc_standing_settle(e, a);
		return false;
	}
	if (a->fire.action == SC_ACTION_FREEZE)
		a->run.has_frozen = true; /* by this fire, before this run was prepared */
	a->stage = SC_ACTIVE_WITH_HAND;
	a->next_ns = e->now.mono_ns + SC_ACTION_STUCK_NS;
	sc_hand_order(&e->hand, &order);
	return true;
}

int sc_standing_release(struct sc_engine *e, struct sc_active *a, const char *by)
{
	if (a->stage != SC_ACTIVE_STANDING && !a->is_updating)
		return -EBUSY;
	e->now = sc_time_now();
	sc_strcopy(a->released_by, sizeof(a->released_by), by);
	if (a->is_updating) { /* it follows what the hand is about */
		a->is_release_due = true;
		return 0;
	}
	if (a->fire.action == SC_ACTION_FREEZE || a->fire.action == SC_ACTION_READONLY) {
		a->is_releasing = true;
		(void)act_again(e, a, SC_HAND_RELEASE);
		sc_fires_arm_timer(e);
		return 0;
	}
	sc_standing_record_release(e, &a->fire, by, "no longer killed when it re-populates");
	sc_ops_fire_released(e, a, NULL);
	free_place(e, a);
	return 0;
}

/* Not the last rung, and its condition is no longer true: the ladder ends here. */
static bool has_cleared(struct sc_engine *e, const struct sc_active *a)
{
	int i = sc_conditions_find(e->set, a->fire.condition_id);
	enum sc_phase phase;

	if (!a->ends_when_clear)
		return false;
	if (i < 0)
		return true;
	phase = sc_conditions_pair(e->set, (size_t)i, a->slot).phase;
	return phase == SC_PHASE_CLEAR || phase == SC_PHASE_COOLDOWN;
}

static void look_at_reversible(struct sc_engine *e, struct sc_active *a)
{
	const struct sc_target *target = sc_targets_get(e->targets, a->slot);
	char by[SC_FIRE_OPERATOR_MAX];

	sc_strcopy(by, sizeof(by), a->released_by);
	if (a->is_release_due)
		(void)sc_standing_release(e, a, by);
	else if (a->fire.expires_at_boot_ns && e->now.boot_ns >= a->fire.expires_at_boot_ns)
		(void)sc_standing_release(e, a, "agent: its ttl ended");
	else if (has_cleared(e, a))
		(void)sc_standing_release(e, a, "agent: its condition cleared");
	else if (!target || target->cgroup_id != a->fire.cgroup_id)
		(void)sc_standing_release(e, a, "agent: its target is gone");
	else if (a->fire.action == SC_ACTION_READONLY && sc_readonly_is_due(e)) {
		a->is_updating = true;
		(void)act_again(e, a, SC_HAND_APPLY);
	}
}

static void look_at_rekill(struct sc_engine *e, struct sc_active *a)
{
	const struct sc_target *target = sc_targets_get(e->targets, a->slot);
	bool exists = target && target->cgroup_id == a->fire.cgroup_id;
	bool populated = exists && e->ports->kernel.counts[a->slot].proc_alive > 0;

	switch (sc_standing_judge(&a->rekill, exists, populated, e->now.mono_ns)) {
	case SC_STANDING_WAIT:
		return;
	case SC_STANDING_KILL:
		a->is_rekilling = true;
		(void)act_again(e, a, SC_HAND_APPLY);
		return;
	case SC_STANDING_END:
	case SC_STANDING_STEP_COUNT:
		sc_standing_record_release(e, &a->fire, "agent", "its target is gone");
		free_place(e, a);
		return;
	}
}

void sc_standing_look(struct sc_engine *e, struct sc_active *a)
{
	a->next_ns = e->now.mono_ns + LOOK_INTERVAL_NS;
	if (a->fire.action == SC_ACTION_FREEZE || a->fire.action == SC_ACTION_READONLY)
		look_at_reversible(e, a);
	else
		look_at_rekill(e, a);
}

/*
 * On the way out: a freeze whose ttl has not ended stays, the journal knows it and the next start
 * takes it up; everything else is thawed here, with no thread left to do it.
 */
void sc_standing_thaw_all(struct sc_engine *e)
{
	e->now = sc_time_now();
	for (size_t i = 0; i < SC_ACTIVE_MAX; i++) {
		struct sc_active *a = &e->active[i];
		struct sc_frozen *entry;

		if (a->stage == SC_ACTIVE_FREE || a->fire.action != SC_ACTION_FREEZE)
			continue;
		if (a->fire.expires_at_boot_ns > e->now.boot_ns)
			continue;
		entry = sc_frozen_find(e->frozen, SC_ACTIVE_MAX, a->fire.cgroup_id);
		if (entry && sc_frozen_thaw(entry, &e->ports->effector) < 0)
			sc_log_error("cannot thaw %s (fire %s)", a->fire.target, a->fire.id);
		else if (sc_fire_next(a->fire.state, SC_RECORD_FIRE_RELEASED) >= 0)
			sc_standing_record_release(e, &a->fire, "agent", "thawed: the agent stops");
		free_place(e, a);
	}
}
