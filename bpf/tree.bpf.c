/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tree of cgroups: a slot at mkdir, a mark at rmdir. mkdir's tracepoint comes before the
 * directory can be seen, so nothing that happens in a cgroup is older than its slot.
 */
#include "slots.h"

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(cgroup_made, struct cgroup *cgrp)
{
	struct sc_node *node;
	__u32 parent;

	if (!is_default_hierarchy(cgrp))
		return 0;
	parent = slot_of_id(BPF_CORE_READ((struct cgroup *)cgrp->self.parent, kn, id));
	if (parent == SC_SLOT_NONE)
		return 0;
	node = enter_cgroup(cgrp, parent, SC_NODE_BORN);
	if (node)
		wake(SC_WAKE_MADE, node);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(cgroup_removed, struct cgroup *cgrp)
{
	__u64 id = cgrp->kn->id;
	struct sc_node *node;
	__u32 slot;

	if (!is_default_hierarchy(cgrp))
		return 0;
	slot = slot_of_id(id);
	node = slot == SC_SLOT_NONE ? NULL : node_at(slot);
	if (!node)
		return 0;
	if (node->cgroup_id != id) { /* an alias has nothing to be recycled */
		bpf_map_delete_elem(&ids, &id);
		return 0;
	}
	node->gone_ns = bpf_ktime_get_ns();
	node->flags |= SC_NODE_GONE;
	wake(SC_WAKE_GONE, node);
	return 0;
}

SEC("tp_btf/cgroup_notify_populated")
int BPF_PROG(cgroup_emptied, struct cgroup *cgrp, const char *path, int populated)
{
	__u64 id = cgrp->kn->id;
	struct sc_node *node;
	__u32 slot;

	if (populated || !is_default_hierarchy(cgrp))
		return 0;
	slot = slot_of_id(id);
	node = slot == SC_SLOT_NONE ? NULL : node_at(slot);
	if (node && node->cgroup_id == id)
		wake(SC_WAKE_EMPTY, node);
	return 0;
}
