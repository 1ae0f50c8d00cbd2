/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The cgroup iterator: one pass enters cgroups that have no slot, another reads the kernel's
 * numbers of every cgroup into the map `kernel`. Both write to maps only; both run under
 * cgroup_mutex.
 */
#include "controllers.h"
#include "slots.h"

/* Bit of cgroup.flags, from an enum without a name (include/linux/cgroup-defs.h). */
#define CGRP_FROZEN 3
/* The kernel updates the averages 2 s apart at the least: within half of that nothing has moved. */
#define PSI_STILL_NS     1000000000ULL
#define PAGE_COUNTER_MAX (0x7fffffffffffffffULL / 4096)
#define PIDS_MAX         (4 * 1024 * 1024 + 1ULL) /* kernel/cgroup/pids.c; PID_MAX_LIMIT is 4 Mi */

extern void css_rstat_flush(struct cgroup_subsys_state *css) __weak __ksym;
extern void cgroup_rstat_flush(struct cgroup *cgrp) __weak __ksym;

SEC("iter/cgroup")
int seed_cgroups(struct bpf_iter__cgroup *ctx)
{
	struct cgroup *cgrp = ctx->cgroup;
	__u32 slot = 0, parent;
	struct sc_node *node;
	__u64 id;

	if (!cgrp)
		return 0;
	id = cgrp->kn->id;
	if (slot_of_id(id) != SC_SLOT_NONE)
		return 0;
	if (id != sc_config.root_id) {
		parent = slot_of_id(BPF_CORE_READ((struct cgroup *)cgrp->self.parent, kn, id));
		if (parent != SC_SLOT_NONE)
			enter_cgroup(cgrp, parent, 0);
		return 0;
	}
	node = node_at(slot);
	if (!node)
		return 0;
	fill_node(node, NULL, slot, cgrp, 0);
	sc_stat_up(slots_taken);
	if (bpf_map_update_elem(&ids, &id, &slot, BPF_NOEXIST))
		sc_stat_up(ids_full);
	return 0;
}

/* sched_clock, in which PSI keeps its time, runs beside CLOCK_MONOTONIC; this task has just been
 * woken. */
static __always_inline __u64 sched_clock_behind(void)
{
	struct task_struct *self = bpf_get_current_task_btf();

	return bpf_ktime_get_ns() - self->sched_info.last_arrival;
}

/*
 * Loads through typed pointers, which the verifier checks. The arrays have more dimensions in the
 * kernel than in the header made from its types: elements are counted from the field's relocated
 * offset.
 */
static __always_inline __u32 read_psi(struct sc_kernel *k, struct cgroup *cgrp)
{
	const __u32 first[SC_PSI_COUNT] = {[SC_PSI_CPU] = 4, [SC_PSI_MEMORY] = 2, [SC_PSI_IO] = 0};
	struct psi_group *psi = cgrp->psi;
	const __u64 *avg, *total;
	__u64 updated;

	/* The root has none; the host's takes its place, which userspace reads and marks. */
	if (!psi || (bpf_core_field_exists(psi->enabled) && !psi->enabled))
		return 0;
	updated = psi->avg_last_update + sched_clock_behind();
	/* Averages and totals move together, 2 s apart at the least; most cgroups are idle. */
	if (k->flags & SC_KERNEL_PSI && updated < k->psi_updated_ns + PSI_STILL_NS)
		return SC_KERNEL_PSI;
	avg = (void *)psi + bpf_core_field_offset(struct psi_group, avg);
	total = (void *)psi + bpf_core_field_offset(struct psi_group, total);
#pragma unroll
	for (int r = 0; r < SC_PSI_COUNT; r++) {
		const __u32 some = first[r], full = some + 1;
#pragma unroll
		for (int w = 0; w < 3; w++) {
			k->psi_some[r].avg[w] = avg[some * 3 + w];
			k->psi_full[r].avg[w] = avg[full * 3 + w];
		}
		k->psi_some[r].total_ns = total[some];
		k->psi_full[r].total_ns = total[full];
	}
	k->psi_updated_ns = updated;
	return SC_KERNEL_PSI;
}

/* Sets the flag when the limit is not `max`. */
static __always_inline __u32 limit_flag(__u64 pages, enum sc_kernel_flag flag)
{
	return pages < PAGE_COUNTER_MAX ? flag : 0;
}

static __always_inline __u32 read_memory(struct sc_kernel *k, struct cgroup *cgrp)
{
	struct mem_cgroup___sc *memory = sc_controller(cgrp, memory);
	__u32 flags = SC_KERNEL_MEMORY | SC_KERNEL_MEMORY_EVENTS | SC_KERNEL_SWAP;

	if (!memory)
		return 0;
	k->mem_current_pages = BPF_CORE_READ(memory, memory.usage.counter);
	k->mem_max_pages = BPF_CORE_READ(memory, memory.max);
	k->mem_high_pages = BPF_CORE_READ(memory, memory.high);
	k->mem_swap_pages = BPF_CORE_READ(memory, swap.usage.counter);
	k->mem_swap_max_pages = BPF_CORE_READ(memory, swap.max);
	/* In one go: atomic_long_t is a long. */
	bpf_core_read(k->mem_events, sizeof(k->mem_events), &memory->memory_events);
	return flags | limit_flag(k->mem_max_pages, SC_KERNEL_MEMORY_MAX) |
	       limit_flag(k->mem_high_pages, SC_KERNEL_MEMORY_HIGH) |
	       limit_flag(k->mem_swap_max_pages, SC_KERNEL_SWAP_MAX);
}

static __always_inline __u32 read_pids(struct sc_kernel *k, struct cgroup *cgrp)
{
	struct pids_cgroup___sc *pids = sc_controller(cgrp, pids);
	struct pids_cgroup___subtree *subtree = (void *)pids;
	struct pids_cgroup___own *own = (void *)pids;
	__u32 flags = SC_KERNEL_PIDS;

	if (!pids)
		return 0;
	k->pids_current = BPF_CORE_READ(pids, counter.counter);
	k->pids_max = BPF_CORE_READ(pids, limit.counter);
	if (k->pids_max < PIDS_MAX)
		flags |= SC_KERNEL_PIDS_MAX;
	if (bpf_core_field_exists(subtree->events))
		k->pids_refused = BPF_CORE_READ(subtree, events[0].counter);
	else if (bpf_core_field_exists(own->events_limit))
		k->pids_refused = BPF_CORE_READ(own, events_limit.counter);
	else
		return flags;
	return flags | SC_KERNEL_PIDS_EVENTS;
}

static __always_inline __u32 read_throttling(struct sc_kernel *k, struct cgroup *cgrp)
{
	struct task_group___sc *group = sc_controller(cgrp, cpu);

	if (!group || !bpf_core_field_exists(group->cfs_bandwidth))
		return 0;
	k->cpu_throttled_ns = BPF_CORE_READ(group, cfs_bandwidth.throttled_time);
	k->cpu_throttles = BPF_CORE_READ(group, cfs_bandwidth.nr_throttled);
	return SC_KERNEL_THROTTLED;
}

/* One flush of the pass's root brings every cgroup below it up to date. */
static __always_inline void flush_cpu_time(struct cgroup *cgrp)
{
	if (sc_config.has_css_flush)
		css_rstat_flush(&cgrp->self);
	else if (sc_config.has_cgroup_flush)
		cgroup_rstat_flush(cgrp);
}

/* The controllers' files, and cpu.stat's, tell other things for the hierarchy's root; those are not
 * read. */
static __always_inline void read_cgroup(struct sc_kernel *k, struct cgroup *cgrp)
{
	__u32 flags = read_psi(k, cgrp);

	if (!cgrp->level) {
		flags |= k->flags & SC_KERNEL_PSI;
	} else {
		k->cpu_usage_ns = cgrp->bstat.cputime.sum_exec_runtime;
		flags |= sc_config.has_css_flush || sc_config.has_cgroup_flush ? SC_KERNEL_CPU : 0;
		flags |= read_memory(k, cgrp) | read_pids(k, cgrp) | read_throttling(k, cgrp);
	}
	if (cgrp->nr_populated_csets || cgrp->nr_populated_domain_children ||
	    cgrp->nr_populated_threaded_children)
		flags |= SC_KERNEL_POPULATED;
	if (cgrp->flags & 1UL << CGRP_FROZEN)
		flags |= SC_KERNEL_FROZEN;
	k->flags = flags;
	barrier();
	*(volatile __u64 *)&k->pass_ns = bpf_ktime_get_ns();
}

SEC("iter.s/cgroup")
int read_cgroups(struct bpf_iter__cgroup *ctx)
{
	struct cgroup *cgrp = ctx->cgroup;
	struct sc_node *node;
	struct sc_kernel *k;
	__u32 slot;
	__u64 id;

	if (!cgrp)
		return 0;
	id = cgrp->kn->id;
	if (id == sc_config.root_id)
		flush_cpu_time(cgrp);
	slot = slot_of_id(id);
	node = slot == SC_SLOT_NONE ? NULL : node_at(slot);
	if (!node || node->cgroup_id != id)
		return 0;
	k = bpf_map_lookup_elem(&kernel, &slot);
	if (k)
		read_cgroup(k, cgrp);
	return 0;
}
