/* SPDX-License-Identifier: Apache-2.0 */
/* After a suspend or a clock jump every rate and age is suspect until fresh windows have filled. */
#include "interlock/interlock.h"

enum sc_answer sc_interlock_resume_grace(const struct sc_interlock_facts *facts,
					 struct sc_interlock_reason *reason)
{
	uint64_t since_ns = sc_interlock_elapsed(facts->now_ns, facts->resumed_ns);

	if (facts->resumed_ns == 0)
		return sc_interlock_say(reason, SC_ANSWER_PASS, "no suspend or clock jump seen");
	if (since_ns < SC_RESUME_GRACE_NS)
		return sc_interlock_say(reason, SC_ANSWER_VETO,
					"resumed, or the clock jumped, %.1f s ago; waits %.0f s",
					sc_interlock_seconds(since_ns),
					sc_interlock_seconds(SC_RESUME_GRACE_NS));
	return sc_interlock_say(reason, SC_ANSWER_PASS, "resumed %.1f s ago",
				sc_interlock_seconds(since_ns));
}
