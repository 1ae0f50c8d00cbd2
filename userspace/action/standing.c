/* SPDX-License-Identifier: Apache-2.0 */
/* The standing intent of `rekill: true`: pure, the caller looks at the world and runs the kill. */
#include <scram/action.h>

enum sc_standing_step sc_standing_judge(struct sc_standing *standing, bool exists, bool populated,
					uint64_t now_ns)
{
	if (standing->is_released || !exists)
		return SC_STANDING_END;
	if (!populated)
		return SC_STANDING_WAIT;
	standing->rekills++;
	standing->last_ns = now_ns;
	return SC_STANDING_KILL;
}
