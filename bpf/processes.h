/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table of supervised processes, and with it the gauges proc.alive and proc.zombies: whoever
 * inserts an entry, or wins the change of its state, does the counting that belongs to it. So each
 * change counts once, whichever of tracepoints and iterator comes first.
 */
#pragma once

#include "scram.bpf.h"

static __always_inline __u64 state_of(enum sc_phase phase, __u32 slot)
{
	return (__u64)phase << 32 | slot;
}

static __always_inline enum sc_phase state_phase(__u64 state)
{
	return state >> 32;
}

static __always_inline __u64 process_key(struct task_struct *task)
{
	return (__u64)task->signal;
}

/* The entry of the task's process; NULL when there is none, or only a leftover of another one. */
static __always_inline struct sc_process *process_find(struct task_struct *task)
{
	__u64 key = process_key(task);
	struct sc_process *p = bpf_map_lookup_elem(&processes, &key);

	if (!p || p->start_ns != task->group_leader->start_boottime)
		return NULL;
	return state_phase(p->state) == SC_PHASE_FREE ? NULL : p;
}

/*
 * Takes a process out. The state goes first, because the deletion may be refused: before 6.7 it
 * returns -EBUSY in an interrupt that hit another map operation. The leftover then counts nowhere,
 * and goes when its address is used again.
 */
static __always_inline void process_forget(__u64 key, struct sc_process *p)
{
	__u64 old = __sync_lock_test_and_set(&p->state, state_of(SC_PHASE_FREE, 0));

	if (state_phase(old) == SC_PHASE_ALIVE)
		count((__u32)old, proc_alive, -1);
	if (state_phase(old) == SC_PHASE_DEAD)
		count((__u32)old, proc_zombies, -1);
	bpf_map_delete_elem(&processes, &key);
}

static __always_inline __u64 current_pass(void)
{
	__u32 zero = 0;
	struct sc_stats *s = bpf_map_lookup_elem(&stats, &zero);

	return s ? s->tasks_pass : 0;
}

/*
 * Inserts an entry, over a leftover if need be; counts nothing. 0, -EEXIST or another -errno. As an
 * int: before Linux 6.4 the verifier calls the map's function directly, which returns an int, and
 * the upper half of the register is not its sign.
 */
static __always_inline int process_insert(struct task_struct *task, enum sc_phase phase, __u32 slot)
{
	struct sc_process new = {
		.start_ns = task->group_leader->start_boottime,
		.state = state_of(phase, slot),
		.seen = current_pass(),
	};
	__u64 key = process_key(task);
	struct sc_process *old;
	int err;

	err = bpf_map_update_elem(&processes, &key, &new, BPF_NOEXIST);
	if (err == -EEXIST) {
		old = bpf_map_lookup_elem(&processes, &key);
		if (!old)
			return err;
		if (old->start_ns == new.start_ns && state_phase(old->state) != SC_PHASE_FREE)
			return err;
		process_forget(key, old);
		err = bpf_map_update_elem(&processes, &key, &new, BPF_NOEXIST);
	}
	if (err && err != -EEXIST) {
		sc_stat_up(processes_full);
		note_loss(slot);
	}
	return err;
}

/* Enters a living process, unless it is known already. */
static __always_inline void process_enter(struct task_struct *task, __u32 slot)
{
	if (!process_insert(task, SC_PHASE_ALIVE, slot))
		count(slot, proc_alive, 1);
}
