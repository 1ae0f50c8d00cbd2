/* SPDX-License-Identifier: Apache-2.0 */
#include "record/recovery.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

static const char *const names[] = {
	[SC_RECOVERY_NONE] = "none",
	[SC_RECOVERY_FINISH_KILL] = "finish-kill",
	[SC_RECOVERY_KEEP_KILLING] = "keep-killing",
	[SC_RECOVERY_EMPTY] = "empty",
	[SC_RECOVERY_GONE] = "gone",
	[SC_RECOVERY_NEEDS_OPERATOR] = "needs-operator",
	[SC_RECOVERY_FREEZE] = "freeze",
	[SC_RECOVERY_KEEP_FROZEN] = "keep-frozen-until-ttl",
	[SC_RECOVERY_THAW] = "thaw",
	[SC_RECOVERY_CUT] = "cut",
	[SC_RECOVERY_KEEP_CUT] = "keep-cut",
	[SC_RECOVERY_RESTORE] = "restore",
	[SC_RECOVERY_STALE_BOOT] = "stale-boot",
};
static_assert(SC_ARRAY_SIZE(names) == SC_RECOVERY_COUNT, "one name for each decision");

const char *sc_recovery_name(enum sc_recovery decision)
{
	return (unsigned int)decision < SC_RECOVERY_COUNT ? names[decision] : "?";
}

/* Every member is one of those that the intent was about; in doubt it is not. */
static bool all_older(const struct sc_fire *fire, const struct sc_recovery_facts *facts)
{
	return facts->youngest_start_ns < UINT64_MAX - SC_RECOVERY_GRAIN_NS &&
	       facts->youngest_start_ns + SC_RECOVERY_GRAIN_NS < fire->fired_at_boot_ns;
}

static enum sc_recovery decide_kill(const struct sc_fire *fire,
				    const struct sc_recovery_facts *facts)
{
	/* The promise was to keep it empty until somebody releases it: also of younger members. */
	if (sc_fire_is_standing(fire))
		return SC_RECOVERY_KEEP_KILLING;
	if (facts->members == 0)
		return SC_RECOVERY_EMPTY;
	return all_older(fire, facts) ? SC_RECOVERY_FINISH_KILL : SC_RECOVERY_NEEDS_OPERATOR;
}

static bool is_over(const struct sc_fire *fire, const struct sc_recovery_facts *facts)
{
	return fire->expires_at_boot_ns && facts->now_boot_ns >= fire->expires_at_boot_ns;
}

/* Unlike a freeze it harms nobody inside, and must not end with the agent. A tree that is read-only
 * is like one that is cut. */
static enum sc_recovery decide_cut(const struct sc_fire *fire,
				   const struct sc_recovery_facts *facts)
{
	if (is_over(fire, facts))
		return SC_RECOVERY_RESTORE;
	return sc_fire_is_standing(fire) ? SC_RECOVERY_KEEP_CUT : SC_RECOVERY_CUT;
}

static enum sc_recovery decide_freeze(const struct sc_fire *fire,
				      const struct sc_recovery_facts *facts)
{
	/* Without an end it would hold for ever after its agent: only a ttl outlives a restart. */
	if (is_over(fire, facts) || !fire->expires_at_boot_ns)
		return SC_RECOVERY_THAW;
	return facts->is_frozen ? SC_RECOVERY_KEEP_FROZEN : SC_RECOVERY_FREEZE;
}

enum sc_recovery sc_recovery_decide(const struct sc_fire *fire,
				    const struct sc_recovery_facts *facts)
{
	bool is_open = fire->state == SC_FIRE_INTENT || fire->state == SC_FIRE_DISPATCHED;

	if (!is_open && !sc_fire_is_standing(fire))
		return SC_RECOVERY_NONE;
	if (strcmp(fire->boot_id, facts->boot_id) != 0)
		return SC_RECOVERY_STALE_BOOT;
	if (!facts->exists)
		return SC_RECOVERY_GONE;
	switch (fire->action) {
	case SC_ACTION_PROCESS_EXIT:
		return decide_kill(fire, facts);
	case SC_ACTION_FREEZE:
		return decide_freeze(fire, facts);
	case SC_ACTION_CIRCUIT_BREAK:
	case SC_ACTION_QUARANTINE:
	case SC_ACTION_REFUSE_NEW:
	case SC_ACTION_READONLY:
		return decide_cut(fire, facts);
	case SC_ACTION_ROLLBACK:
	case SC_ACTION_KIND_COUNT:
		break;
	}
	return SC_RECOVERY_NEEDS_OPERATOR;
}
