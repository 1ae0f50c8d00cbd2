/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Giving a slot to a cgroup. Both callers, the mkdir tracepoint and the seeding iterator, run under
 * the kernel's cgroup_mutex, so that one cgroup is never entered twice.
 */
#pragma once

#include "scram.bpf.h"

static __always_inline void fill_node(struct sc_node *node, struct sc_node *parent, __u32 slot,
				      struct cgroup *cgrp, __u32 flags)
{
	__u32 n = 1;

	node->parent_id = 0;
	node->ancestor[0] = slot;
	if (parent) {
		for (__u32 i = 0; i < SC_DEPTH_MAX - 1 && i < parent->ancestors; i++)
			node->ancestor[i + 1] = parent->ancestor[i];
		n += parent->ancestors;
		node->parent_id = BPF_CORE_READ((struct cgroup *)cgrp->self.parent, kn, id);
	}
	node->ancestors = n;
	node->born_ns = bpf_ktime_get_ns();
	node->gone_ns = 0;
	node->flags = flags;
	node->level = cgrp->level;
	node->killing = 0;
	node->tenant = parent ? parent->tenant : 0;
	node->lost = 0;
	node->lost_ns = 0;
	/* Last: readers of the mapped array take a slot with an id for complete. */
	barrier();
	*(volatile __u64 *)&node->cgroup_id = cgrp->kn->id;
}

/*
 * Enters a cgroup: with a slot of its own, or, when there is none or it lies too deep, as an alias
 * of the slot that its parent counts into. Returns the new node; NULL when it has none of its own.
 */
static __always_inline struct sc_node *enter_cgroup(struct cgroup *cgrp, __u32 parent_slot,
						    __u32 flags)
{
	__u64 id = cgrp->kn->id;
	struct sc_node *parent = node_at(parent_slot), *node = NULL;
	__u32 slot = parent_slot;

	if (!parent)
		return NULL;
	if (parent->ancestors >= SC_DEPTH_MAX) {
		sc_stat_up(too_deep);
	} else if (bpf_map_pop_elem(&slots_free, &slot)) {
		slot = parent_slot;
		sc_stat_up(slots_exhausted);
	} else {
		node = node_at(slot);
		if (!node)
			return NULL;
		fill_node(node, parent, slot, cgrp, flags);
	}
	if (!bpf_map_update_elem(&ids, &id, &slot, BPF_NOEXIST)) {
		if (node)
			sc_stat_up(slots_taken);
		return node;
	}
	sc_stat_up(ids_full);
	if (node) {
		node->cgroup_id = 0;
		bpf_map_push_elem(&slots_free, &slot, 0);
	}
	return NULL;
}
