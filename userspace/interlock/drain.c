/* SPDX-License-Identifier: Apache-2.0 */
/* While the machine drains, what is in flight ends, and no new automatic fire begins. */
#include "interlock/interlock.h"

enum sc_answer sc_interlock_drain(const struct sc_interlock_facts *facts,
				  struct sc_interlock_reason *reason)
{
	if (facts->draining)
		return sc_interlock_say(reason, SC_ANSWER_VETO, "the host is draining");
	return sc_interlock_say(reason, SC_ANSWER_PASS, "not draining");
}
