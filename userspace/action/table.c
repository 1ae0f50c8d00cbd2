/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of action there is. A new one is a file of its own, a name in action.h and a row here.
 */
#include "action/run.h"

static const struct sc_action_ops *const actions[] = {
	[SC_ACTION_PROCESS_EXIT] = &sc_action_process_exit,
	[SC_ACTION_CIRCUIT_BREAK] = &sc_action_circuit_break,
	[SC_ACTION_QUARANTINE] = &sc_action_quarantine,
	[SC_ACTION_READONLY] = &sc_action_readonly,
	[SC_ACTION_ROLLBACK] = &sc_action_rollback,
	[SC_ACTION_FREEZE] = &sc_action_freeze,
	[SC_ACTION_REFUSE_NEW] = &sc_action_refuse_new,
};

_Static_assert(SC_ARRAY_SIZE(actions) == SC_ACTION_KIND_COUNT, "one row each");

const struct sc_action_ops *sc_action_ops_of(enum sc_action_kind kind)
{
	SC_ASSERT((unsigned int)kind < SC_ACTION_KIND_COUNT);
	return actions[kind];
}
