/* SPDX-License-Identifier: Apache-2.0 */
/* A fire that needs two persons waits for the second: pending, which is not a veto. */
#include "interlock/interlock.h"

enum sc_answer sc_interlock_two_person(const struct sc_interlock_facts *facts,
				       struct sc_interlock_reason *reason)
{
	if (!facts->requires_two_person)
		return sc_interlock_say(reason, SC_ANSWER_PASS, "one person is enough");
	if (!facts->approved)
		return sc_interlock_say(reason, SC_ANSWER_PENDING, "waits for a second person");
	return sc_interlock_say(reason, SC_ANSWER_PASS, "approved by a second person");
}
