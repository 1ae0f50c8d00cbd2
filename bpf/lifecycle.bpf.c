/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Family `proc`: processes (not threads) that are created, execute, end, move between cgroups and
 * are reaped. Kernel threads are not processes here: nobody can kill them.
 */
#include "processes.h"

#define SIGNAL_GROUP_EXIT 0x00000004

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_forked, struct task_struct *parent, struct task_struct *child)
{
	__u32 slot;

	if (child->pid != child->tgid || child->flags & PF_KTHREAD)
		return 0;
	/* The child's own cgroup: clone3 can start it in another one than its parent's. */
	slot = slot_of(child->cgroups->dfl_cgrp);
	if (slot == SC_SLOT_NONE)
		return 0;
	count(slot, proc_forks, 1);
	process_enter(child, slot);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_executed, struct task_struct *task)
{
	struct sc_process *p = process_find(task);
	__u32 slot = p ? (__u32)p->state : slot_of(task->cgroups->dfl_cgrp);

	if (slot != SC_SLOT_NONE)
		count(slot, proc_execs, 1);
	return 0;
}

/*
 * Several threads may see their process dead; exactly one of them may count it. That one is who
 * changes the entry from ALIVE to DEAD, or inserts it as DEAD when nobody knew the process. Returns
 * its slot.
 */
static __always_inline __u32 claim_death(struct task_struct *task)
{
	struct sc_process *p = process_find(task);
	__u64 old;
	__u32 slot;
	int err;

	if (!p) {
		slot = slot_of(task->group_leader->cgroups->dfl_cgrp);
		if (slot == SC_SLOT_NONE)
			return slot;
		err = process_insert(task, SC_PHASE_DEAD, slot);
		if (!err)
			count(slot, proc_zombies, 1);
		if (err != -EEXIST) /* a full table: rather twice, before 6.16, than not at all */
			return slot;
		p = process_find(task); /* the iterator came in between, or another thread */
	}
	if (!p)
		return SC_SLOT_NONE;
	old = p->state;
	slot = (__u32)old;
	if (state_phase(old) != SC_PHASE_ALIVE ||
	    __sync_val_compare_and_swap(&p->state, old, state_of(SC_PHASE_DEAD, slot)) != old)
		return SC_SLOT_NONE;
	/* In this order: their sum is never 0 in between, on which recycling relies. */
	count(slot, proc_zombies, 1);
	count(slot, proc_alive, -1);
	return slot;
}

#define SIGNAL_BIT(s) (1ULL << (s))
#define SIGKILL       9
#define CRASHES                                                                          \
	(SIGNAL_BIT(4) | SIGNAL_BIT(5) | SIGNAL_BIT(6) | SIGNAL_BIT(7) | SIGNAL_BIT(8) | \
	 SIGNAL_BIT(11) | SIGNAL_BIT(31)) /* ILL TRAP ABRT BUS FPE SEGV SYS */

/* What waitpid will say: wait_task_zombie() of kernel/exit.c. */
static __always_inline int exit_status(struct task_struct *task)
{
	if (task->signal->flags & SIGNAL_GROUP_EXIT)
		return task->signal->group_exit_code;
	return task->group_leader->exit_code;
}

/* Whether userspace is killing the slot's cgroup or one above it. */
__noinline int is_being_killed(__u32 slot)
{
	struct sc_node *node = node_at(slot);

	for (__u32 i = 0; node && i < SC_DEPTH_MAX && i < node->ancestors; i++) {
		struct sc_node *above = node_at(node->ancestor[i]);
		if (above && above->killing)
			return 1;
	}
	return 0;
}

/* Whether the slot is `above` or lies below it. */
__noinline int is_within(__u32 slot, __u32 above)
{
	struct sc_node *node = node_at(slot);

	for (__u32 i = 0; node && i < SC_DEPTH_MAX && i < node->ancestors; i++)
		if (node->ancestor[i] == above)
			return 1;
	return 0;
}

static __always_inline bool parent_is_outside(struct task_struct *task, __u32 slot)
{
	struct task_struct *parent = task->group_leader->real_parent;
	__u32 parent_slot = slot_of(parent->cgroups->dfl_cgrp);

	return parent_slot == SC_SLOT_NONE || !is_within(parent_slot, slot);
}

static __always_inline void wake_slot(enum sc_wake_kind kind, __u32 slot)
{
	struct sc_node *node = node_at(slot);

	if (node)
		wake(kind, node);
}

static __always_inline void count_death(struct task_struct *task, __u32 slot)
{
	int status = exit_status(task), signal = status & 0x7f;
	bool kill = signal == SIGKILL, crash = SIGNAL_BIT(signal & 63) & CRASHES;
	bool failure = !signal && status >> 8 & 0xff;

	count(slot, proc_exits, 1);
	if (!kill && !crash && !failure)
		return;
	if (failure)
		count(slot, proc_failures, 1);
	else if (crash)
		count(slot, proc_crashes, 1);
	else
		count(slot, proc_kills, 1);
	if (is_being_killed(slot))
		return;
	if (!failure || parent_is_outside(task, slot))
		count(slot, proc_unexpected_exits, 1);
	wake_slot(failure ? SC_WAKE_EXIT : SC_WAKE_CRASH, slot);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exited, struct task_struct *task)
{
	__u32 slot;

	/* ctx[1] is group_dead; reading it where it does not exist would not load. */
	if (task->flags & PF_KTHREAD ||
	    (sc_config.exit_tells_group_dead ? !(bool)ctx[1] : task->signal->live.counter != 0))
		return 0;
	slot = claim_death(task);
	if (slot != SC_SLOT_NONE)
		count_death(task, slot);
	return 0;
}

/* A reaped leader. The old leader of a process that a thread took over by exec has another pid by
 * then. */
SEC("tp_btf/sched_process_free")
int BPF_PROG(process_freed, struct task_struct *task)
{
	struct sc_process *p;

	if (task->pid != task->tgid)
		return 0;
	p = process_find(task);
	if (p)
		process_forget(process_key(task), p);
	return 0;
}

static __always_inline void move_process(struct task_struct *task, struct sc_process *p, __u32 to)
{
	__u64 old = p->state;

	if (state_phase(old) != SC_PHASE_ALIVE || (__u32)old == to)
		return;
	if (__sync_val_compare_and_swap(&p->state, old, state_of(SC_PHASE_ALIVE, to)) != old)
		return;
	count(to, proc_alive, 1);
	count((__u32)old, proc_alive, -1);
}

/*
 * Comes after the move, under the lock that keeps a leader from exiting; a leader that had begun to
 * exit was not moved.
 */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(process_moved, struct cgroup *to, const char *path, struct task_struct *task)
{
	struct sc_process *p;
	__u32 slot;

	if (!is_default_hierarchy(to) || task->pid != task->tgid ||
	    task->flags & (PF_EXITING | PF_KTHREAD))
		return 0;
	p = process_find(task);
	slot = slot_of(to);
	if (p && slot == SC_SLOT_NONE)
		process_forget(process_key(task), p);
	else if (p)
		move_process(task, p, slot);
	else if (slot != SC_SLOT_NONE)
		process_enter(task, slot);
	return 0;
}
