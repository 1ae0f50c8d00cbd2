/* SPDX-License-Identifier: Apache-2.0 */
/* When most targets look sick at once, the sensor or the host is sick: people decide then. */
#include "interlock/interlock.h"

#define PERCENT 100u

enum sc_answer sc_interlock_majority_sick(const struct sc_interlock_facts *facts,
					  struct sc_interlock_reason *reason)
{
	uint64_t sick = facts->sick;

	if (sick >= SC_MAJORITY_SICK_MIN &&
	    sick * PERCENT >= (uint64_t)SC_MAJORITY_PERCENT * facts->sick_eligible)
		return sc_interlock_say(
			reason, SC_ANSWER_VETO,
			"%u of %u targets are true at once (%d %% and %d suspect the sensor)",
			facts->sick, facts->sick_eligible, SC_MAJORITY_PERCENT,
			SC_MAJORITY_SICK_MIN);
	return sc_interlock_say(reason, SC_ANSWER_PASS, "%u of %u targets are true", facts->sick,
				facts->sick_eligible);
}
