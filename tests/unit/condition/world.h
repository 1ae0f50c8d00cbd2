/* SPDX-License-Identifier: Apache-2.0 */
/* A small world for running sets: targets in memory, counts written by the test, a clock of its
 * own. */
#pragma once

#include <scram/condition.h>
#include <scram/predicate.h>
#include <scram/snapshot.h>

#define S     SC_NS_PER_S
#define SLOTS 1024
#define ROOT  0

struct world {
	struct sc_targets *targets;
	struct sc_registry *registry;
	struct sc_plan *plan;
	struct sc_conditions *set;
	struct sc_node nodes[SLOTS];
	struct sc_counts counts[SLOTS];
	struct sc_source source;
	struct sc_candidate items[SLOTS];
	struct sc_candidates out;
	struct sc_time now;
	uint32_t end;
};

extern struct world world;

/* Fixtures of a suite: an empty world with a root target, and its end. */
void world_begin(void);
void world_end(void);

uint32_t world_add(const char *path);
/* What the predicate of world_spec finds on the slot from now on. */
void world_say(uint32_t slot, enum sc_truth truth);

/* A condition over the children of /w, automatic, without hold. */
struct sc_condition_spec world_spec(const char *id);
/* Registers spec, which is taken over. */
void world_put(struct sc_condition_spec spec);
/* Makes the registry the running set, as a reload does; pairs 0 = the default room. */
void world_build(uint32_t pairs);

/* One tick s seconds later over all slots, or an early one over these; returns how many are in
 * world.out. */
uint32_t world_tick(uint64_t s);
uint32_t world_tick_slots(uint64_t s, const uint32_t *slots, uint32_t n);

enum sc_phase world_phase(size_t i, uint32_t slot);
/* A fire and its outcome at once. */
void world_fire(size_t i, uint32_t slot);
