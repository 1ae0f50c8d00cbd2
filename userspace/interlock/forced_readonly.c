/* SPDX-License-Identifier: Apache-2.0 */
/* An agent that was told at boot to write nothing observes, and acts on nothing. */
#include "interlock/interlock.h"

enum sc_answer sc_interlock_forced_readonly(const struct sc_interlock_facts *facts,
					    struct sc_interlock_reason *reason)
{
	if (facts->forced_readonly)
		return sc_interlock_say(reason, SC_ANSWER_VETO,
					"the agent was started read-only and only observes");
	return sc_interlock_say(reason, SC_ANSWER_PASS, "not read-only");
}
