/* SPDX-License-Identifier: Apache-2.0 */
/* Just before what cannot be undone, the predicate is judged again on fresh values. */
#include "interlock/interlock.h"

enum sc_answer sc_interlock_still_true(const struct sc_interlock_facts *facts,
				       struct sc_interlock_reason *reason)
{
	if (!facts->irreversible)
		return sc_interlock_say(reason, SC_ANSWER_PASS, "the action can be undone");
	if (!facts->still_true)
		return sc_interlock_say(reason, SC_ANSWER_VETO,
					"the predicate is no longer true on fresh values");
	return sc_interlock_say(reason, SC_ANSWER_PASS, "still true on fresh values");
}
