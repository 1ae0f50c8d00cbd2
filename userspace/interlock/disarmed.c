/* SPDX-License-Identifier: Apache-2.0 */
/* An operator has disarmed the agent. The one interlock that --force overrides. */
#include "interlock/interlock.h"

enum sc_answer sc_interlock_disarmed(const struct sc_interlock_facts *facts,
				     struct sc_interlock_reason *reason)
{
	if (facts->disarmed)
		return sc_interlock_say(reason, SC_ANSWER_VETO, "disarmed: %s",
					facts->disarm_reason ? facts->disarm_reason
							     : "no reason given");
	return sc_interlock_say(reason, SC_ANSWER_PASS, "armed");
}
