/* SPDX-License-Identifier: Apache-2.0 */
/* One fire per condition and target in a while, whichever way the last one went. */
#include "interlock/interlock.h"

enum sc_answer sc_interlock_cooldown(const struct sc_interlock_facts *facts,
				     struct sc_interlock_reason *reason)
{
	uint64_t since_ns = sc_interlock_elapsed(facts->now_ns, facts->last_fire_ns);

	if (facts->last_fire_ns == 0)
		return sc_interlock_say(reason, SC_ANSWER_PASS, "never fired on this target");
	if (facts->next_rung)
		return sc_interlock_say(reason, SC_ANSWER_PASS, "next rung of the fire under way");
	if (since_ns < facts->cooldown_ns)
		return sc_interlock_say(
			reason, SC_ANSWER_VETO, "fired %.1f s ago, cool-down %.1f s",
			sc_interlock_seconds(since_ns), sc_interlock_seconds(facts->cooldown_ns));
	return sc_interlock_say(reason, SC_ANSWER_PASS, "last fired %.1f s ago",
				sc_interlock_seconds(since_ns));
}
