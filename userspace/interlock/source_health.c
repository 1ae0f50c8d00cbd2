/* SPDX-License-Identifier: Apache-2.0 */
/* No fire on evidence that is missing, old or known to be incomplete. */
#include "interlock/interlock.h"

enum sc_answer sc_interlock_source_health(const struct sc_interlock_facts *facts,
					  struct sc_interlock_reason *reason)
{
	if (facts->evidence_unknown)
		return sc_interlock_say(reason, SC_ANSWER_VETO,
					"a signal of the predicate is unknown");
	if (facts->evidence_age_max_ns && facts->evidence_age_ns > facts->evidence_age_max_ns)
		return sc_interlock_say(reason, SC_ANSWER_VETO,
					"the evidence is %.1f s old, over %.1f s",
					sc_interlock_seconds(facts->evidence_age_ns),
					sc_interlock_seconds(facts->evidence_age_max_ns));
	if (facts->events_lost)
		return sc_interlock_say(
			reason, SC_ANSWER_VETO,
			"%llu events were lost, the last in the window of the evidence",
			(unsigned long long)facts->events_lost);
	return sc_interlock_say(reason, SC_ANSWER_PASS, "the evidence is %.3f s old, nothing lost",
				sc_interlock_seconds(facts->evidence_age_ns));
}
