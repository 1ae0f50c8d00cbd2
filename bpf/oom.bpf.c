/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Family `oom`: victims of the out-of-memory killer, counted in the cgroup they live in (the one
 * whose limit was reached may be above it, and counts too). Where mark_victim passes only a pid
 * this is not loaded. The kernel may choose two threads of one process, one after the other.
 */
#include "processes.h"

SEC("tp_btf/mark_victim")
int BPF_PROG(oom_victim, struct task_struct *victim)
{
	__u32 slot = slot_of(victim->group_leader->cgroups->dfl_cgrp);
	struct sc_node *node = slot == SC_SLOT_NONE ? NULL : node_at(slot);
	struct sc_process *p = process_find(victim);

	if (!node || (p && __sync_lock_test_and_set(&p->is_victim, 1)))
		return 0;
	count(slot, oom_kills, 1);
	wake(SC_WAKE_OOM, node);
	return 0;
}
