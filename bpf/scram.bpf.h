/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the BPF programs of scram share: finding the slot of a cgroup, counting into it and its
 * ancestors, waking userspace. Programs count and nothing else; what cannot be stored is counted in
 * stats.
 */
#pragma once

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "maps.h"

char LICENSE[] SEC("license") = "GPL";

const volatile struct sc_bpf_config sc_config = {};

#define PF_EXITING 0x00000004
#define PF_KTHREAD 0x00200000
#define EEXIST     17

#define sc_stat_up(field)                                                      \
	do {                                                                   \
		__u32 zero_ = 0;                                               \
		struct sc_stats *stats_ = bpf_map_lookup_elem(&stats, &zero_); \
		if (stats_)                                                    \
			__sync_fetch_and_add(&stats_->field, 1);               \
	} while (0)

static __always_inline struct sc_node *node_at(__u32 slot)
{
	return bpf_map_lookup_elem(&nodes, &slot);
}

/* The counts of the i-th of the node's ancestors, of which the first is the node itself; NULL: no
 * more. */
static __always_inline struct sc_counts *counts_of(struct sc_node *node, __u32 i)
{
	if (i >= node->ancestors || i >= SC_DEPTH_MAX)
		return NULL;
	__u32 slot = node->ancestor[i];
	return bpf_map_lookup_elem(&counts, &slot);
}

#define for_each_counts(c, node) \
	for (__u32 i_ = 0; i_ < SC_DEPTH_MAX && ((c) = counts_of(node, i_)); i_++)

/*
 * Adds to the i-th number of the slot's counts and of all its ancestors'. Global functions, like
 * this, are checked by the verifier once and not again for every path that calls them: loops belong
 * into such.
 */
__noinline int count_at(__u32 slot, __u32 i, __s64 delta)
{
	struct sc_node *node = node_at(slot);
	struct sc_counts *c;

	if (!node || i >= offsetof(struct sc_counts, tcp_connect_latency) / sizeof(__s64))
		return 0;
	for_each_counts(c, node) __sync_fetch_and_add((__s64 *)c + i, delta);
	return 0;
}

/* Notes in the slot's node and in all its ancestors' that something of it was not counted. */
__noinline int note_loss(__u32 slot)
{
	struct sc_node *node = node_at(slot);
	__u64 now = bpf_ktime_get_ns();

	for (__u32 i = 0; node && i < SC_DEPTH_MAX && i < node->ancestors; i++) {
		struct sc_node *above = node_at(node->ancestor[i]);

		if (!above)
			return 0;
		above->lost_ns = now;
		__sync_fetch_and_add(&above->lost, 1);
	}
	return 0;
}

/* Adds to one field of the slot and of all its ancestors. */
#define count(slot, field, delta) \
	count_at(slot, offsetof(struct sc_counts, field) / sizeof(__s64), delta)

static __always_inline __u32 slot_of_id(__u64 cgroup_id)
{
	__u32 *slot = bpf_map_lookup_elem(&ids, &cgroup_id);
	return slot ? *slot : SC_SLOT_NONE;
}

static __always_inline __u64 ancestor_id(struct cgroup *cgrp, __u32 level)
{
	struct cgroup *ancestor = NULL;
	void *table = (void *)cgrp + bpf_core_field_offset(struct cgroup, ancestors);

	bpf_probe_read_kernel(&ancestor, sizeof(ancestor), table + level * sizeof(ancestor));
	return ancestor ? BPF_CORE_READ(ancestor, kn, id) : 0;
}

/*
 * A cgroup without an entry: not supervised, or removed and recycled while a socket still belongs
 * to it, or left out when the id map was full. What it does then counts for its nearest ancestor
 * that is known; it is looked for from the root down, where none deeper than SC_DEPTH_MAX has a
 * slot of its own, so that something is found however deep the cgroup lies.
 */
static __always_inline __u32 slot_of_ancestor(struct cgroup *cgrp)
{
	struct sc_node *root = node_at(0);
	__u32 level = cgrp->level, slot = 0;

	if (!root || level <= root->level || ancestor_id(cgrp, root->level) != sc_config.root_id)
		return SC_SLOT_NONE;
	for (__u32 down = 1; down < SC_DEPTH_MAX && root->level + down < level; down++) {
		__u32 next = slot_of_id(ancestor_id(cgrp, root->level + down));

		if (next == SC_SLOT_NONE)
			break;
		slot = next;
	}
	return slot;
}

static __always_inline __u32 slot_of(struct cgroup *cgrp)
{
	__u32 slot = slot_of_id(cgrp->kn->id);
	return slot != SC_SLOT_NONE ? slot : slot_of_ancestor(cgrp);
}

/* Whose the slot is; 0 = nobody's. */
static __always_inline __u32 tenant_of(__u32 slot)
{
	struct sc_node *node = slot == SC_SLOT_NONE ? NULL : node_at(slot);

	return node ? node->tenant : 0;
}

/* Tracepoints of cgroups fire for v1 hierarchies too, whose ids collide with those of cgroup v2. */
static __always_inline bool is_default_hierarchy(struct cgroup *cgrp)
{
	return cgrp->root->hierarchy_id == 0;
}

static __always_inline void wake(enum sc_wake_kind kind, struct sc_node *node)
{
	struct sc_wake *w;

	sc_stat_up(wake_attempts);
	w = bpf_ringbuf_reserve(&wakes, sizeof(*w), 0);
	if (!w) {
		sc_stat_up(wake_lost);
		return;
	}
	w->time_ns = bpf_ktime_get_ns();
	w->cgroup_id = node->cgroup_id;
	w->slot = node->ancestor[0];
	w->kind = kind;
	bpf_ringbuf_submit(w, 0);
}
