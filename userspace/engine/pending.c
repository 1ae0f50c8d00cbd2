/* SPDX-License-Identifier: Apache-2.0 */
/* Fires that wait for a second person: how many there may be, and that each wait ends. */
#include "engine/core.h"

#include "base/log.h"
#include "record/fold.h"

#include <string.h>

unsigned int sc_pending_count(const struct sc_engine *e)
{
	unsigned int n = 0;
	const struct sc_fire *fire;

	for (unsigned int i = 0; (fire = sc_fold_fire_at(e->fold, i)); i++)
		n += fire->state == SC_FIRE_PENDING;
	return n;
}

static bool is_over(const struct sc_engine *e, const struct sc_fire *fire)
{
	/* By the clock that counts suspend: a request of another boot is over in any case. */
	return strcmp(fire->boot_id, e->boot_id) != 0 ||
	       e->now.boot_ns - fire->fired_at_boot_ns > SC_PENDING_TTL_NS;
}

void sc_pending_expire(struct sc_engine *e)
{
	const struct sc_fire *fire;
	struct sc_fire copy;

	for (unsigned int i = 0; (fire = sc_fold_fire_at(e->fold, i)); i++) {
		if (fire->state != SC_FIRE_PENDING || !is_over(e, fire))
			continue;
		copy = *fire;
		copy.two_person = SC_TWO_PERSON_TIMED_OUT;
		(void)sc_records_fire(e, SC_RECORD_FIRE_TIMED_OUT, &copy);
		sc_log_warning("fire %s of %s on %s timed out: no second person came", copy.id,
			       copy.condition_id, copy.target);
	}
}
