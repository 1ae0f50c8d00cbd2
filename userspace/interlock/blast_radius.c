/* SPDX-License-Identifier: Apache-2.0 */
/* How far automatic fires may reach. Counted as it would be after this one, in integers. */
#include "interlock/interlock.h"

#define PERCENT 100u

struct circle {
	const char *name;
	struct sc_blast blast;
	uint32_t limit;
};

/* max(1, floor(percent of eligible)): one target may always be hit, also where there are only one
 * to three. */
static uint32_t share(uint32_t eligible, uint32_t percent)
{
	uint32_t part = (uint32_t)((uint64_t)eligible * percent / PERCENT);

	return part ? part : 1;
}

/* The window counts acts that cannot be undone; one rung after another of the same fire adds no
 * target. */
static bool is_window_full(const struct sc_interlock_facts *facts, uint32_t max)
{
	return facts->irreversible && facts->irreversible_recent >= max;
}

enum sc_answer sc_interlock_blast_radius(const struct sc_interlock_facts *facts,
					 struct sc_interlock_reason *reason)
{
	uint32_t percent = facts->blast_percent ? facts->blast_percent : SC_BLAST_PERCENT;
	uint32_t max = facts->irreversible_max ? facts->irreversible_max : SC_IRREVERSIBLE_FIRES;
	const struct circle circles[] = {
		{"condition", facts->condition,
		 facts->max_targets ? facts->max_targets
				    : share(facts->condition.eligible, percent)},
		{"tenant", facts->tenant,
		 SC_MAX(facts->max_targets, share(facts->tenant.eligible, percent))},
		{"host", facts->host,
		 SC_MAX(facts->max_targets, share(facts->host.eligible, percent))},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(circles) && !facts->next_rung; i++) {
		const struct circle *c = &circles[i];

		if (c->blast.eligible && (uint64_t)c->blast.affected + 1 > c->limit)
			return sc_interlock_say(reason, SC_ANSWER_VETO,
						"%s: %u of %u targets affected already, limit %u",
						c->name, c->blast.affected, c->blast.eligible,
						c->limit);
	}
	if (is_window_full(facts, max))
		return sc_interlock_say(reason, SC_ANSWER_VETO,
					"host: %u irreversible automatic fires in %.0f s, limit %u",
					facts->irreversible_recent,
					sc_interlock_seconds(SC_IRREVERSIBLE_WINDOW_NS), max);
	return sc_interlock_say(
		reason, SC_ANSWER_PASS, "%u of %u targets after this fire, limit %u",
		facts->condition.affected + 1, facts->condition.eligible, circles[0].limit);
}
