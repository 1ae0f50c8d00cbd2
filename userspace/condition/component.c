/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened to a component between two looks. A component may be many processes of which one
 * dies, so that none of this can be read from `alive` alone: an unexpected death is what the
 * counter says, and a respawn is the first process that begins after it, be it by a fork, an exec
 * or by coming in from outside after all had gone.
 */
#include <scram/breaker.h>

#include "base/mem.h"

#include <assert.h>

static enum sc_component_health judge(const struct sc_component_state *c,
				      const struct sc_component_sight *sight, uint64_t now_ns)
{
	if (sight->is_held)
		return SC_COMPONENT_SCRAM;
	if (sight->breaker == SC_BREAKER_OPEN || sight->breaker == SC_BREAKER_HALF_OPEN)
		return SC_COMPONENT_DEGRADED;
	if (c->has_died && now_ns - c->died_ns < SC_COMPONENT_DEATH_NS)
		return SC_COMPONENT_DEGRADED;
	return SC_COMPONENT_HEALTHY;
}

unsigned int sc_component_look(struct sc_component_state *c, const struct sc_component_sight *sight,
			       uint64_t now_ns)
{
	bool is_empty = c->is_empty;
	unsigned int events = 0;
	enum sc_component_health health;

	if (sight->unexpected_exits) {
		events |= SC_COMPONENT_DIED;
		c->deaths += sight->unexpected_exits;
		c->died_ns = now_ns;
		c->has_died = true;
		c->is_waiting = true;
	}
	c->is_empty = c->has_lived && sight->alive == 0;
	c->is_waiting = c->is_waiting || c->is_empty;
	if (c->is_waiting && sight->alive > 0 && (sight->starts > 0 || is_empty)) {
		events |= SC_COMPONENT_RESPAWNED;
		c->respawns++;
		c->is_waiting = false;
	}
	c->has_lived = c->has_lived || sight->alive > 0;
	health = judge(c, sight, now_ns);
	if (health != c->health)
		events |= SC_COMPONENT_HEALTH_CHANGED;
	c->health = health;
	return events;
}

const char *sc_component_health_name(enum sc_component_health health)
{
	static const char *const names[] = {
		[SC_COMPONENT_HEALTHY] = "healthy",
		[SC_COMPONENT_DEGRADED] = "degraded",
		[SC_COMPONENT_SCRAM] = "scram",
	};

	static_assert(SC_ARRAY_SIZE(names) == SC_COMPONENT_HEALTH_COUNT, "one name each");
	SC_ASSERT((unsigned int)health < SC_COMPONENT_HEALTH_COUNT);
	return names[health];
}
