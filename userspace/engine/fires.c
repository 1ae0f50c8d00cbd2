/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fire under way: to the hand, back, verified, recorded. The loop looks at a fire when the hand
 * returns it, when the kernel says its target is empty, and when its own time has come.
 */
#include "engine/core.h"

#include "base/bell.h"
#include "base/log.h"
#include "engine/ops.h"

#include <string.h>
#include <sys/timerfd.h>

struct sc_active *sc_fires_free_place(struct sc_engine *e)
{
	for (size_t i = 0; i < SC_ACTIVE_MAX; i++) {
		struct sc_active *a = &e->active[i];

		if (a->stage != SC_ACTIVE_FREE)
			continue;
		*a = (struct sc_active){.waiter = SC_REPLY_TO_NOBODY};
		return a;
	}
	return NULL;
}

unsigned int sc_fires_free_places(const struct sc_engine *e)
{
	unsigned int n = 0;

	for (size_t i = 0; i < SC_ACTIVE_MAX; i++)
		n += e->active[i].stage == SC_ACTIVE_FREE;
	return n;
}

struct sc_active *sc_fires_find(struct sc_engine *e, const char *id_prefix)
{
	for (size_t i = 0; i < SC_ACTIVE_MAX; i++)
		if (e->active[i].stage != SC_ACTIVE_FREE &&
		    strncmp(e->active[i].fire.id, id_prefix, strlen(id_prefix)) == 0)
			return &e->active[i];
	return NULL;
}

static void to_hand(struct sc_engine *e, struct sc_active *a, enum sc_hand_verb verb)
{
	struct sc_hand_order order = {&a->run, verb, (uint32_t)(a - e->active)};

	a->stage = SC_ACTIVE_WITH_HAND;
	a->next_ns = e->now.mono_ns + SC_ACTION_STUCK_NS;
	sc_hand_order(&e->hand, &order);
	sc_fires_arm_timer(e);
}

/* A new UUID takes no part in an older record of the same table place. */
static void enter_frozen(struct sc_engine *e, struct sc_active *a)
{
	struct sc_frozen entry = {.cgroup_id = a->fire.cgroup_id,
				  .until_boot_ns = a->fire.expires_at_boot_ns};

	sc_strcopy(entry.fire_id, sizeof(entry.fire_id), a->fire.id);
	sc_strcopy(entry.path, sizeof(entry.path), a->fire.target);
	(void)sc_frozen_add(e->frozen, SC_ACTIVE_MAX, &entry);
}

void sc_fires_dispatch(struct sc_engine *e, struct sc_active *a)
{
	bool gone = a->run.phase == SC_RUN_DONE; /* it vanished before the action: success */

	if (gone) {
		a->stage = SC_ACTIVE_VERIFYING;
		a->next_ns = e->now.mono_ns;
		sc_fires_arm_timer(e);
		return;
	}
	/* From before the write on: a crash of ours between the two must not leave it frozen. */
	if (a->fire.action == SC_ACTION_FREEZE)
		enter_frozen(e, a);
	to_hand(e, a, SC_HAND_APPLY);
}

static enum sc_fire_outcome outcome_of(enum sc_action_outcome outcome)
{
	static const enum sc_fire_outcome map[] = {
		[SC_ACTION_OUTCOME_NONE] = SC_OUTCOME_NONE,
		[SC_ACTION_OUTCOME_EMPTIED] = SC_OUTCOME_EMPTIED,
		[SC_ACTION_OUTCOME_GONE] = SC_OUTCOME_GONE,
		[SC_ACTION_OUTCOME_FROZEN] = SC_OUTCOME_FROZEN,
		[SC_ACTION_OUTCOME_THAWED] = SC_OUTCOME_THAWED,
		[SC_ACTION_OUTCOME_ISOLATED] = SC_OUTCOME_ISOLATED,
		[SC_ACTION_OUTCOME_RESTORED] = SC_OUTCOME_NONE, /* of a release, which has none */
		[SC_ACTION_OUTCOME_READONLY] = SC_OUTCOME_READONLY,
		[SC_ACTION_OUTCOME_PARTIAL] = SC_OUTCOME_PARTIAL,
		[SC_ACTION_OUTCOME_NOTHING] = SC_OUTCOME_NOTHING,
		[SC_ACTION_OUTCOME_FAILED] = SC_OUTCOME_FAILED,
	};
	_Static_assert(SC_ARRAY_SIZE(map) == SC_ACTION_OUTCOME_COUNT, "one row each");

	return map[outcome];
}

static void copy_timing(struct sc_active *a)
{
	a->fire.timing.act_begin_ns = a->run.first_begin_ns;
	a->fire.timing.act_end_ns = a->run.first_end_ns;
	a->fire.timing.verified_ns = a->run.verified_ns;
	a->fire.killed = a->run.killed;
	a->fire.remaining = a->run.left;
}

static void log_outcome(const struct sc_fire *f)
{
	uint64_t empty_us = (f->timing.verified_ns - f->timing.decided_ns) / SC_NS_PER_US;

	if (f->state == SC_FIRE_VERIFIED &&
	    (sc_action_kind_cuts(f->action) || f->action == SC_ACTION_READONLY))
		sc_log_warning("fired: %s, %s on %s: %s (fire %s)", f->condition_id,
			       sc_action_kind_name(f->action), f->target, f->dispatch_result,
			       f->id);
	else if (f->state == SC_FIRE_VERIFIED)
		sc_log_warning("fired: %s, %s on %s: %s, %u processes, %llu us after the decision "
			       "(fire %s)",
			       f->condition_id, sc_action_kind_name(f->action), f->target,
			       sc_fire_outcome_name(f->outcome), f->killed,
			       (unsigned long long)empty_us, f->id);
	else
		sc_log_error("fire of %s, %s on %s: %s: %s (fire %s)", f->condition_id,
			     sc_action_kind_name(f->action), f->target,
			     sc_fire_outcome_name(f->outcome), f->error, f->id);
}

/* The outcome of the action itself; what stands afterwards is standing.c's. */
static void settle(struct sc_engine *e, struct sc_active *a)
{
	bool good = sc_action_outcome_is_success(a->run.outcome);
	int condition;

	copy_timing(a);
	a->fire.outcome = outcome_of(a->run.outcome);
	sc_strcopy(a->fire.dispatch_result, sizeof(a->fire.dispatch_result), a->run.text);
	if (!good)
		sc_strcopy(a->fire.error, sizeof(a->fire.error), a->run.text);
	/* A freeze that is applied again after a restart has its outcome on record already. */
	if (!sc_fire_is_closed(a->fire.state))
		(void)sc_records_fire(e, good ? SC_RECORD_FIRE_VERIFIED : SC_RECORD_FIRE_FAILED,
				      &a->fire);
	e->seal_due = true;
	condition = sc_conditions_find(e->set, a->fire.condition_id);
	if (condition >= 0)
		sc_conditions_settled(e->set, (size_t)condition, a->slot, e->now.mono_ns);
	log_outcome(&a->fire);
	sc_ops_fire_settled(e, a);
	sc_standing_settle(e, a);
}

/* Asks the action how the world looks, and does what it says. */
static void step(struct sc_engine *e, struct sc_active *a)
{
	uint64_t next = 0;

	e->now = sc_time_now();
	if (a->run.phase != SC_RUN_DONE) {
		switch (a->run.ops->verify(&a->run, &e->ports->effector, e->now.mono_ns, &next)) {
		case SC_STEP_AGAIN:
			a->stage = SC_ACTIVE_VERIFYING;
			a->next_ns = next;
			return;
		case SC_STEP_APPLY:
			to_hand(e, a, SC_HAND_APPLY);
			return;
		case SC_STEP_DONE:
		case SC_STEP_COUNT:
			break;
		}
	}
	a->stage = SC_ACTIVE_VERIFYING;
	if (a->is_releasing || a->is_rekilling || a->is_updating)
		sc_standing_settle(e, a);
	else
		settle(e, a);
}

void sc_fires_hand_done(struct sc_engine *e)
{
	uint32_t i;

	sc_bell_clear(e->hand.done_bell);
	while (sc_hand_take(&e->hand, &i)) {
		struct sc_active *a = &e->active[i];

		/* A rekill that a restart took up may have its outcome without ever having been
		 * dispatched. */
		if (!a->fire.dispatched && !sc_fire_is_closed(a->fire.state) &&
		    sc_action_is_applied(&a->run)) {
			a->fire.dispatched = true;
			copy_timing(a);
			(void)sc_records_fire(e, SC_RECORD_FIRE_DISPATCHED, &a->fire);
			sc_ops_fire_applied(e, a);
		}
		step(e, a);
	}
	sc_fires_arm_timer(e);
}

/* Beside a write that hangs behind the kernel's lock, the members are killed one by one. */
static void help_hand(struct sc_engine *e, struct sc_active *a)
{
	a->next_ns = e->now.mono_ns + SC_ACTION_STUCK_NS;
	if (a->fire.action != SC_ACTION_PROCESS_EXIT || a->is_releasing ||
	    !sc_action_is_stuck(&a->run, e->now.mono_ns))
		return;
	(void)sc_action_kill_members(&a->run, &e->ports->effector);
	if (!a->stuck_told)
		sc_log_warning(
			"the kill of %s is stuck behind the kernel; killing its members beside it",
			a->fire.target);
	a->stuck_told = true;
}

static void look(struct sc_engine *e, struct sc_active *a)
{
	switch (a->stage) {
	case SC_ACTIVE_WITH_HAND:
		help_hand(e, a);
		return;
	case SC_ACTIVE_VERIFYING:
		step(e, a);
		return;
	case SC_ACTIVE_STANDING:
		sc_standing_look(e, a);
		return;
	case SC_ACTIVE_FREE:
	case SC_ACTIVE_STAGE_COUNT:
		return;
	}
}

void sc_fires_look(struct sc_engine *e, uint32_t slot)
{
	e->now = sc_time_now();
	for (size_t i = 0; i < SC_ACTIVE_MAX; i++) {
		struct sc_active *a = &e->active[i];
		bool due = slot == SC_SLOT_NONE ? a->next_ns <= e->now.mono_ns : a->slot == slot;

		if (a->stage != SC_ACTIVE_FREE && due)
			look(e, a);
	}
	sc_fires_arm_timer(e);
}

void sc_fires_arm_timer(struct sc_engine *e)
{
	struct itimerspec spec = {0};
	uint64_t first = UINT64_MAX;

	for (size_t i = 0; i < SC_ACTIVE_MAX; i++)
		if (e->active[i].stage != SC_ACTIVE_FREE)
			first = SC_MIN(first, e->active[i].next_ns);
	if (first != UINT64_MAX) {
		first = SC_MAX(first, (uint64_t)1); /* 0 would disarm it */
		spec.it_value.tv_sec = (time_t)(first / SC_NS_PER_S);
		spec.it_value.tv_nsec = (long)(first % SC_NS_PER_S);
	}
	(void)timerfd_settime(e->look_timer.fd, TFD_TIMER_ABSTIME, &spec, NULL);
}
