/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a dead predecessor left: fires whose intent has no outcome, freezes and rekills that stand.
 * The journal says what was meant, the host what is; record/recovery.c decides. Nothing is fired
 * twice.
 */
#include "engine/core.h"

#include "base/log.h"
#include "record/fold.h"
#include "record/recovery.h"

#include <string.h>

static int read_facts(struct sc_engine *e, const struct sc_fire *fire,
		      struct sc_recovery_facts *facts)
{
	struct sc_action_facts seen = {0};
	const struct sc_action_ops *ops = sc_action_ops_of(fire->action);
	bool same_boot = strcmp(fire->boot_id, e->boot_id) == 0;
	int r = 0;

	if (same_boot && ops->reconcile)
		r = ops->reconcile(fire->cgroup_id, &e->ports->effector, fire->fired_at_boot_ns,
				   &seen);
	*facts = (struct sc_recovery_facts){
		.boot_id = e->boot_id,
		.now_boot_ns = e->now.boot_ns,
		.exists = seen.exists,
		.members = seen.members,
		.youngest_start_ns = seen.is_members_all && seen.members == seen.members_older
					     ? 0
					     : UINT64_MAX,
		.is_frozen = seen.wants_frozen,
	};
	return r;
}

/* The effect of a closed fire no longer stands. */
static void record_over(struct sc_engine *e, struct sc_fire *fire, const char *how)
{
	fire->released_at_ns = e->now.real_ns;
	sc_strcopy(fire->released_by, sizeof(fire->released_by), "agent: reconciled at start");
	sc_strcopy(fire->dispatch_result, sizeof(fire->dispatch_result), how);
	(void)sc_records_fire(e, SC_RECORD_FIRE_RELEASED, fire);
}

/* An open fire gets the outcome that was found; what only stood is over. */
static void close_fire(struct sc_engine *e, struct sc_fire *fire, enum sc_fire_outcome outcome,
		       const char *error)
{
	bool good = !error;

	if (sc_fire_is_closed(fire->state)) {
		record_over(e, fire, error ? error : sc_fire_outcome_name(outcome));
		return;
	}
	fire->outcome = outcome;
	sc_strcopy(fire->error, sizeof(fire->error), error ? error : "");
	sc_strcopy(fire->dispatch_result, sizeof(fire->dispatch_result), "found by the next start");
	(void)sc_records_fire(e, good ? SC_RECORD_FIRE_VERIFIED : SC_RECORD_FIRE_FAILED, fire);
}

static struct sc_active *adopt(struct sc_engine *e, const struct sc_fire *fire)
{
	struct sc_active *a = sc_fires_free_place(e);

	if (!a) {
		sc_log_error("no place to take up fire %s on %s; release it by hand", fire->id,
			     fire->target);
		return NULL;
	}
	a->fire = *fire;
	a->slot = sc_targets_find_id(e->targets, fire->cgroup_id);
	if (sc_action_kind_cuts(fire->action))
		a->isolation = sc_isolation_adopt(e, fire);
	a->ends_when_clear =
		false; /* its condition begins afresh: only its ttl or a person ends it */
	return a;
}

static void act(struct sc_engine *e, const struct sc_fire *fire, struct sc_fire *closed)
{
	struct sc_action_request request = {.kind = fire->action,
					    .cgroup_id = fire->cgroup_id,
					    .scope_root_id = fire->cgroup_id,
					    .was_populated = true};
	struct sc_active *a = adopt(e, fire);

	if (!a || (sc_action_kind_cuts(fire->action) && !a->isolation))
		return;
	if (a->isolation) {
		sc_isolation_fill_cut(e, a->isolation);
		a->isolation->is_busy = true;
		request.cut = &a->isolation->cut;
	}
	if (fire->action == SC_ACTION_READONLY)
		request.readonly = sc_readonly_wish(e, a);
	if (sc_action_prepare(&a->run, &request, &e->ports->effector) < 0 &&
	    a->run.outcome != SC_ACTION_OUTCOME_GONE) {
		close_fire(e, closed, SC_OUTCOME_FAILED, a->run.text);
		sc_action_close(&a->run, &e->ports->effector);
		if (a->isolation)
			sc_isolation_abandon(e, a->isolation);
		a->stage = SC_ACTIVE_FREE;
		return;
	}
	sc_fires_dispatch(e, a);
}

static void stand(struct sc_engine *e, const struct sc_fire *fire)
{
	struct sc_active *a = adopt(e, fire);
	struct sc_frozen entry = {.cgroup_id = fire->cgroup_id,
				  .until_boot_ns = fire->expires_at_boot_ns};

	if (!a)
		return;
	a->stage = SC_ACTIVE_STANDING;
	a->rekill = (struct sc_standing){.cgroup_id = fire->cgroup_id, .rekills = fire->rekills};
	if (fire->action != SC_ACTION_FREEZE)
		return;
	sc_strcopy(entry.fire_id, sizeof(entry.fire_id), fire->id);
	sc_strcopy(entry.path, sizeof(entry.path), fire->target);
	(void)sc_frozen_add(e->frozen, SC_ACTIVE_MAX, &entry);
}

static void thaw(struct sc_engine *e, struct sc_fire *fire)
{
	struct sc_frozen entry = {.cgroup_id = fire->cgroup_id};
	int r = sc_frozen_thaw(&entry, &e->ports->effector);

	if (r < 0) {
		sc_log_error("cannot thaw %s (fire %s): %s", fire->target, fire->id, strerror(-r));
		stand(e, fire);
		return;
	}
	record_over(e, fire, "thawed");
}

/* Its time ended while no agent was there to see it. */
static void restore(struct sc_engine *e, struct sc_fire *fire)
{
	struct sc_isolation *iso;

	if (!sc_fire_is_closed(fire->state))
		close_fire(e, fire, SC_OUTCOME_FAILED, "its ttl ended before it was verified");
	iso = sc_isolation_adopt(e, fire);
	if (iso)
		(void)sc_isolation_release(e, iso, "agent: its ttl ended", SC_REPLY_TO_NOBODY);
}

/* The same of a tree that is read-only: the first look releases it. */
static void restore_writable(struct sc_engine *e, struct sc_fire *fire)
{
	if (!sc_fire_is_closed(fire->state))
		close_fire(e, fire, SC_OUTCOME_FAILED, "its ttl ended before it was verified");
	stand(e, fire);
}

static void apply_decision(struct sc_engine *e, enum sc_recovery decision, struct sc_fire *fire)
{
	switch (decision) {
	case SC_RECOVERY_FINISH_KILL:
	case SC_RECOVERY_FREEZE:
	case SC_RECOVERY_CUT:
		act(e, fire, fire);
		return;
	case SC_RECOVERY_KEEP_CUT:
		if (fire->action == SC_ACTION_READONLY)
			stand(e, fire); /* and told again at the first look */
		else
			(void)sc_isolation_adopt(e, fire);
		return;
	case SC_RECOVERY_RESTORE:
		if (fire->action == SC_ACTION_READONLY)
			restore_writable(e, fire);
		else
			restore(e, fire);
		return;
	case SC_RECOVERY_KEEP_KILLING:
	case SC_RECOVERY_KEEP_FROZEN:
		stand(e, fire);
		return;
	case SC_RECOVERY_EMPTY:
		close_fire(e, fire, SC_OUTCOME_EMPTIED, NULL);
		if (sc_fire_is_standing(fire)) /* killed again when it re-populates */
			stand(e, fire);
		return;
	case SC_RECOVERY_GONE:
		close_fire(e, fire, SC_OUTCOME_GONE, NULL);
		return;
	case SC_RECOVERY_NEEDS_OPERATOR:
		close_fire(e, fire, SC_OUTCOME_NEEDS_OPERATOR,
			   "processes younger than the intent are in the target: not touched");
		return;
	case SC_RECOVERY_THAW:
		thaw(e, fire);
		return;
	case SC_RECOVERY_STALE_BOOT:
		close_fire(e, fire, SC_OUTCOME_STALE_BOOT, "its intent is of another boot");
		return;
	case SC_RECOVERY_NONE:
	case SC_RECOVERY_COUNT:
		return;
	}
}

/* A restart forgives nothing: what fired before it counts for the limits and the cool-down. What
 * recovery left to people is judged afresh. */
static void remember_fires(struct sc_engine *e)
{
	for (unsigned int i = sc_fold_fire_count(e->fold); i-- > 0;) {
		const struct sc_fire *fire = sc_fold_fire_at(e->fold, i);

		if (strcmp(fire->boot_id, e->boot_id) == 0 && fire->state != SC_FIRE_VETOED &&
		    fire->outcome != SC_OUTCOME_NEEDS_OPERATOR)
			sc_engine_remember_fire(e, fire);
	}
}

int sc_engine_reconcile(struct sc_engine *e)
{
	unsigned int n = sc_fold_fire_count(e->fold);
	struct sc_fire *copy = malloc(sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	e->now = sc_time_now();
	for (unsigned int i = 0; i < n; i++) {
		struct sc_recovery_facts facts;
		enum sc_recovery decision;
		int r;

		*copy = *sc_fold_fire_at(e->fold, i);
		if (sc_fire_is_closed(copy->state) && !sc_fire_is_standing(copy))
			continue;
		r = read_facts(e, copy, &facts);
		if (r < 0) {
			sc_log_error("cannot look at %s (fire %s): %s", copy->target, copy->id,
				     strerror(-r));
			continue;
		}
		decision = sc_recovery_decide(copy, &facts);
		if (decision == SC_RECOVERY_NONE)
			continue;
		sc_log_warning("found fire %s of %s on %s, %s: %s", copy->id, copy->condition_id,
			       copy->target, sc_fire_state_name(copy->state),
			       sc_recovery_name(decision));
		apply_decision(e, decision, copy);
	}
	free(copy);
	remember_fires(e);
	sc_isolations_clear_unknown(e);
	sc_readonly_clear_unknown(e);
	sc_pending_expire(e);
	return 0;
}
