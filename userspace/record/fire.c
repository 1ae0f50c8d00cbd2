/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a fire: which record leads from which state to which. */
#include <scram/fire.h>
#include <scram/journal.h>

#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define BIT(state) (1U << SC_FIRE_##state)

/* A record of this kind may come in these states, and leads to that one. */
static const struct {
	enum sc_record_kind kind;
	unsigned int from;
	enum sc_fire_state to;
} steps[] = {
	{SC_RECORD_FIRE_VETOED, BIT(NEW) | BIT(PENDING) | BIT(APPROVED), SC_FIRE_VETOED},
	{SC_RECORD_FIRE_DRY_RUN, BIT(NEW) | BIT(APPROVED), SC_FIRE_DRY_RUN},
	{SC_RECORD_FIRE_PENDING, BIT(NEW), SC_FIRE_PENDING},
	{SC_RECORD_FIRE_APPROVED, BIT(PENDING), SC_FIRE_APPROVED},
	{SC_RECORD_FIRE_REJECTED, BIT(PENDING), SC_FIRE_REJECTED},
	{SC_RECORD_FIRE_TIMED_OUT, BIT(PENDING), SC_FIRE_TIMED_OUT},
	{SC_RECORD_FIRE_INTENT, BIT(NEW) | BIT(APPROVED), SC_FIRE_INTENT},
	{SC_RECORD_FIRE_DISPATCHED, BIT(INTENT), SC_FIRE_DISPATCHED},
	/* From INTENT: the predecessor died in between, and recovery saw the effect or could not.
	 */
	{SC_RECORD_FIRE_VERIFIED, BIT(INTENT) | BIT(DISPATCHED), SC_FIRE_VERIFIED},
	{SC_RECORD_FIRE_FAILED, BIT(INTENT) | BIT(DISPATCHED), SC_FIRE_FAILED},
	/* What re-populated the target was killed again: the outcome stays. */
	{SC_RECORD_FIRE_REKILLED, BIT(VERIFIED), SC_FIRE_VERIFIED},
	{SC_RECORD_FIRE_REKILLED, BIT(FAILED), SC_FIRE_FAILED},
	{SC_RECORD_FIRE_RELEASED, BIT(INTENT) | BIT(DISPATCHED) | BIT(VERIFIED) | BIT(FAILED),
	 SC_FIRE_RELEASED},
};

static const char *const state_names[] = {
	[SC_FIRE_NEW] = "new",
	[SC_FIRE_PENDING] = "pending",
	[SC_FIRE_APPROVED] = "approved",
	[SC_FIRE_INTENT] = "intent",
	[SC_FIRE_DISPATCHED] = "dispatched",
	[SC_FIRE_VERIFIED] = "verified",
	[SC_FIRE_FAILED] = "failed",
	[SC_FIRE_RELEASED] = "released",
	[SC_FIRE_VETOED] = "vetoed",
	[SC_FIRE_REJECTED] = "rejected",
	[SC_FIRE_TIMED_OUT] = "timed-out",
	[SC_FIRE_DRY_RUN] = "dry-run",
};
static_assert(SC_ARRAY_SIZE(state_names) == SC_FIRE_STATE_COUNT, "one name for each state");

static const char *const two_person_names[] = {
	[SC_TWO_PERSON_NOT_REQUIRED] = "not-required", [SC_TWO_PERSON_PENDING] = "pending",
	[SC_TWO_PERSON_APPROVED] = "approved",         [SC_TWO_PERSON_REJECTED] = "rejected",
	[SC_TWO_PERSON_TIMED_OUT] = "timed-out",
};
static_assert(SC_ARRAY_SIZE(two_person_names) == SC_TWO_PERSON_COUNT, "one name for each status");

static const char *const outcome_names[] = {
	[SC_OUTCOME_NONE] = "none",
	[SC_OUTCOME_EMPTIED] = "emptied",
	[SC_OUTCOME_PARTIAL] = "partial",
	[SC_OUTCOME_GONE] = "gone",
	[SC_OUTCOME_FROZEN] = "frozen",
	[SC_OUTCOME_THAWED] = "thawed",
	[SC_OUTCOME_ISOLATED] = "isolated",
	[SC_OUTCOME_READONLY] = "readonly",
	[SC_OUTCOME_NOTHING] = "nothing",
	[SC_OUTCOME_NEEDS_OPERATOR] = "needs-operator",
	[SC_OUTCOME_STALE_BOOT] = "stale-boot",
	[SC_OUTCOME_FAILED] = "failed",
};
static_assert(SC_ARRAY_SIZE(outcome_names) == SC_OUTCOME_COUNT, "one name for each outcome");

static int find(const char *const *names, int count, const char *name)
{
	for (int i = 0; i < count; i++)
		if (!strcmp(names[i], name))
			return i;
	return -ENOENT;
}

const char *sc_fire_state_name(enum sc_fire_state state)
{
	return (unsigned int)state < SC_FIRE_STATE_COUNT ? state_names[state] : "?";
}

const char *sc_two_person_name(enum sc_two_person status)
{
	return (unsigned int)status < SC_TWO_PERSON_COUNT ? two_person_names[status] : "?";
}

const char *sc_fire_outcome_name(enum sc_fire_outcome outcome)
{
	return (unsigned int)outcome < SC_OUTCOME_COUNT ? outcome_names[outcome] : "?";
}

int sc_fire_state_find(const char *name)
{
	return find(state_names, SC_FIRE_STATE_COUNT, name);
}

int sc_two_person_find(const char *name)
{
	return find(two_person_names, SC_TWO_PERSON_COUNT, name);
}

int sc_fire_outcome_find(const char *name)
{
	return find(outcome_names, SC_OUTCOME_COUNT, name);
}

int sc_fire_next(enum sc_fire_state state, unsigned int record_kind)
{
	for (size_t i = 0; i < SC_ARRAY_SIZE(steps); i++)
		if (steps[i].kind == record_kind && (steps[i].from & (1U << state)))
			return (int)steps[i].to;
	return -EINVAL;
}

bool sc_fire_is_closed(enum sc_fire_state state)
{
	return (1U << state &
		(BIT(NEW) | BIT(PENDING) | BIT(APPROVED) | BIT(INTENT) | BIT(DISPATCHED))) == 0;
}

bool sc_fire_is_standing(const struct sc_fire *fire)
{
	if (fire->state != SC_FIRE_VERIFIED && fire->state != SC_FIRE_FAILED)
		return false;
	if (fire->outcome == SC_OUTCOME_GONE || fire->outcome == SC_OUTCOME_STALE_BOOT ||
	    fire->outcome == SC_OUTCOME_THAWED || fire->outcome == SC_OUTCOME_NEEDS_OPERATOR)
		return false;
	/* Refused before anything was done: no promise was made. */
	if (fire->outcome == SC_OUTCOME_FAILED && !fire->dispatched)
		return false;
	/* A freeze that some tasks would not join is still wished for; so is half of the others. */
	return fire->rekill || fire->outcome == SC_OUTCOME_FROZEN ||
	       ((fire->action == SC_ACTION_FREEZE || fire->action == SC_ACTION_READONLY ||
		 sc_action_kind_cuts(fire->action)) &&
		fire->outcome == SC_OUTCOME_PARTIAL) ||
	       fire->outcome == SC_OUTCOME_ISOLATED || fire->outcome == SC_OUTCOME_READONLY;
}
