/* SPDX-License-Identifier: Apache-2.0 */
/* A host in memory: the arrays that BPF would fill, and a clock that the test moves. */
#pragma once

#include <scram/predicate.h>

#define MODEL_SLOTS 1024
#define SECOND      SC_NS_PER_S
#define MS          SC_NS_PER_MS

struct model {
	struct sc_node nodes[MODEL_SLOTS];
	struct sc_counts counts[MODEL_SLOTS];
	struct sc_kernel kernel[MODEL_SLOTS];
	struct sc_tasks tasks[MODEL_SLOTS];
	uint32_t slots[MODEL_SLOTS]; /* 0, 1, 2, ... */
	struct sc_source source;
	struct sc_time now;
	struct sc_plan *plan;
};

/* Everything attached, no cgroup, an empty plan with these limits (slots is set). */
struct model *model_new(const struct sc_plan_limits *limits);
void model_free(struct model **model);
#define _cleanup_model_ _cleanup_(model_free)

/* A cgroup appears in the slot: seen being born just now, or seeded. */
void model_born(struct model *w, uint32_t slot, uint64_t cgroup_id);
void model_seeded(struct model *w, uint32_t slot, uint64_t cgroup_id);

/* Moves the clock on by ns and ticks slots 0 .. n-1. The iterators are fresh unless the test sets
 * them back. */
void model_tick(struct model *w, uint64_t ns, uint32_t n);

/* How often memory was allocated or freed by this process until now; always 0 under a sanitizer. */
uint64_t allocations(void);
