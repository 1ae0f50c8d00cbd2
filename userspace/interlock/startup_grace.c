/* SPDX-License-Identifier: Apache-2.0 */
/* Just after its start the agent has seen too little to judge. */
#include "interlock/interlock.h"

enum sc_answer sc_interlock_startup_grace(const struct sc_interlock_facts *facts,
					  struct sc_interlock_reason *reason)
{
	uint64_t up_ns = sc_interlock_elapsed(facts->now_ns, facts->started_ns);

	if (up_ns < SC_STARTUP_GRACE_NS)
		return sc_interlock_say(reason, SC_ANSWER_VETO, "started %.1f s ago, waits %.0f s",
					sc_interlock_seconds(up_ns),
					sc_interlock_seconds(SC_STARTUP_GRACE_NS));
	return sc_interlock_say(reason, SC_ANSWER_PASS, "started %.1f s ago",
				sc_interlock_seconds(up_ns));
}
