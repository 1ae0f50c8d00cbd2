/* SPDX-License-Identifier: Apache-2.0 */
/* A host in memory: the arrays that BPF would fill, and a clock that the test moves. */
#pragma once

#include <scram/predicate.h>

#define WORLD_SLOTS 1024
#define SECOND      SC_NS_PER_S
#define MS          SC_NS_PER_MS

struct world {
	struct sc_node nodes[WORLD_SLOTS];
	struct sc_counts counts[WORLD_SLOTS];
	struct sc_kernel kernel[WORLD_SLOTS];
	struct sc_tasks tasks[WORLD_SLOTS];
	uint32_t slots[WORLD_SLOTS]; /* 0, 1, 2, ... */
	struct sc_source source;
	struct sc_time now;
	struct sc_plan *plan;
};

/* Everything attached, no cgroup, an empty plan with these limits (slots is set). */
struct world *world_new(const struct sc_plan_limits *limits);
void world_free(struct world **world);
#define _cleanup_world_ _cleanup_(world_free)

/* A cgroup appears in the slot: seen being born just now, or seeded. */
void world_born(struct world *w, uint32_t slot, uint64_t cgroup_id);
void world_seeded(struct world *w, uint32_t slot, uint64_t cgroup_id);

/* Moves the clock on by ns and ticks slots 0 .. n-1. The iterators are fresh unless the test sets
 * them back. */
void world_tick(struct world *w, uint64_t ns, uint32_t n);

/* How often memory was allocated or freed by this process until now; always 0 under a sanitizer. */
uint64_t allocations(void);
