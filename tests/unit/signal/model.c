/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/signal/model.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

struct model *model_new(const struct sc_plan_limits *limits)
{
	struct model *w = aligned_alloc(64, (sizeof(*w) + 63) / 64 * 64);
	struct sc_plan_limits l = limits ? *limits : (struct sc_plan_limits){0};

	cr_assert_not_null(w);
	memset(w, 0, sizeof(*w));
	l.slots = MODEL_SLOTS;
	w->now = (struct sc_time){.mono_ns = 1000 * SECOND, .boot_ns = 1000 * SECOND};
	w->source = (struct sc_source){
		.nodes = w->nodes,
		.counts = w->counts,
		.kernel = w->kernel,
		.tasks = w->tasks,
		.slots = MODEL_SLOTS,
		.features = UINT32_MAX,
		.kernel_stale_ns = SC_KERNEL_STALE_NS,
		.tasks_stale_ns = SC_TASKS_STALE_NS,
	};
	for (uint32_t i = 0; i < MODEL_SLOTS; i++)
		w->slots[i] = i;
	w->plan = sc_plan_new(&l);
	cr_assert_not_null(w->plan);
	return w;
}

void model_free(struct model **model)
{
	if (*model)
		sc_plan_free(&(*model)->plan);
	free(*model);
	*model = NULL;
}

void model_seeded(struct model *w, uint32_t slot, uint64_t cgroup_id)
{
	w->nodes[slot] = (struct sc_node){.cgroup_id = cgroup_id, .born_ns = w->now.mono_ns};
}

void model_born(struct model *w, uint32_t slot, uint64_t cgroup_id)
{
	model_seeded(w, slot, cgroup_id);
	w->nodes[slot].flags = SC_NODE_BORN;
	memset(&w->counts[slot], 0, sizeof(w->counts[slot]));
}

void model_tick(struct model *w, uint64_t ns, uint32_t n)
{
	w->now.mono_ns += ns;
	w->now.boot_ns += ns;
	sc_plan_tick(w->plan, &w->source, &w->now, w->slots, n);
}

#ifdef __SANITIZE_ADDRESS__
uint64_t allocations(void)
{
	return 0;
}
#else
/* These stand in for the C library's own in the whole test program. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void __libc_free(void *p);

static uint64_t calls;

uint64_t allocations(void)
{
	return __atomic_load_n(&calls, __ATOMIC_RELAXED);
}

static void count(void)
{
	__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t size)
{
	count();
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	count();
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	count();
	return __libc_realloc(p, size);
}

void free(void *p)
{
	count();
	__libc_free(p);
}
#endif
