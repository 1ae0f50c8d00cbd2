/* SPDX-License-Identifier: Apache-2.0 */
/* Never the agent itself, what keeps the host alive, or what the operator listed. */
#include "interlock/interlock.h"

enum sc_answer sc_interlock_protected(const struct sc_interlock_facts *facts,
				      struct sc_interlock_reason *reason)
{
	if (facts->protected_by)
		return sc_interlock_say(reason, SC_ANSWER_VETO, "the target is protected: %s",
					facts->protected_by);
	return sc_interlock_say(reason, SC_ANSWER_PASS, "the target is not protected");
}
