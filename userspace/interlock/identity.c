/* SPDX-License-Identifier: Apache-2.0 */
/* A cgroup made again under the same path is another target: only the id decided on may be hit. */
#include "interlock/interlock.h"

enum sc_answer sc_interlock_identity(const struct sc_interlock_facts *facts,
				     struct sc_interlock_reason *reason)
{
	if (!facts->has_target)
		return sc_interlock_say(reason, SC_ANSWER_PASS,
					"the action names no single cgroup");
	if (facts->current_id == 0)
		return sc_interlock_say(reason, SC_ANSWER_VETO, "the target, cgroup %llu, is gone",
					(unsigned long long)facts->decided_id);
	if (facts->current_id != facts->decided_id)
		return sc_interlock_say(reason, SC_ANSWER_VETO,
					"the target was cgroup %llu and is now cgroup %llu",
					(unsigned long long)facts->decided_id,
					(unsigned long long)facts->current_id);
	return sc_interlock_say(reason, SC_ANSWER_PASS, "still cgroup %llu",
				(unsigned long long)facts->current_id);
}
