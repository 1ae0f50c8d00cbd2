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
	struct sc_node *node;
	__u32 slot;

	if (child->pid != child->tgid || child->flags & PF_KTHREAD)
		return 0;
	/* The child's own cgroup: clone3 can start it in another one than its parent's. */
	slot = slot_of(child->cgroups->dfl_cgrp);
	node = slot == SC_SLOT_NONE ? NULL : node_at(slot);
	if (!node)
		return 0;
	count(node, proc_forks, 1);
	process_enter(child, slot);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_executed, struct task_struct *task)
{
	struct sc_process *p = process_find(task);
	__u32 slot = p ? (__u32)p->state : slot_of(task->cgroups->dfl_cgrp);
	struct sc_node *node = slot == SC_SLOT_NONE ? NULL : node_at(slot);

	if (node)
		count(node, proc_execs, 1);
	return 0;
}

/* What one exit adds to the counts. */
struct death {
	__s64 alive;
	__s64 zombies;
	__s64 crashes;
	__s64 kills;
	__s64 failures;
	__s64 unexpected;
};

/*
 * Several threads may see their process dead; exactly one of them may count it. That one is who
 * changes the entry from ALIVE to DEAD, or inserts it as DEAD when nobody knew the process. Returns
 * its slot.
 */
static __always_inline __u32 claim_death(struct task_struct *task, struct death *d)
{
	struct sc_process *p = process_find(task);
	__u64 old;
	__u32 slot;
	long err;

	if (!p) {
		slot = slot_of(task->group_leader->cgroups->dfl_cgrp);
		if (slot == SC_SLOT_NONE)
			return slot;
		err = process_insert(task, SC_PHASE_DEAD, slot);
		d->zombies = !err;
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
	d->alive = -1;
	d->zombies = 1;
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

/* Whether userspace is killing the node's cgroup or one above it. */
static __always_inline bool is_being_killed(struct sc_node *node)
{
	for (__u32 i = 0; i < SC_DEPTH_MAX && i < node->ancestors; i++) {
		struct sc_node *above = node_at(node->ancestor[i]);
		if (above && above->killing)
			return true;
	}
	return false;
}

/* Whether the parent lives neither in the cgroup of this slot nor below it. */
static __always_inline bool parent_is_outside(struct task_struct *task, __u32 slot)
{
	struct task_struct *parent = task->group_leader->real_parent;
	__u32 parent_slot = slot_of_id(parent->cgroups->dfl_cgrp->kn->id);
	struct sc_node *node = parent_slot == SC_SLOT_NONE ? NULL : node_at(parent_slot);

	if (!node)
		return true;
	for (__u32 i = 0; i < SC_DEPTH_MAX && i < node->ancestors; i++)
		if (node->ancestor[i] == slot)
			return false;
	return true;
}

/* zombies before alive: their sum is never 0 in between, on which recycling relies. */
static __always_inline void count_death(struct sc_node *node, struct death *d)
{
	struct sc_counts *c;

	for_each_counts(c, node)
	{
		__sync_fetch_and_add(&c->proc_exits, 1);
		if (d->zombies)
			__sync_fetch_and_add(&c->proc_zombies, 1);
		if (d->alive)
			__sync_fetch_and_add(&c->proc_alive, -1);
		if (d->crashes)
			__sync_fetch_and_add(&c->proc_crashes, 1);
		if (d->kills)
			__sync_fetch_and_add(&c->proc_kills, 1);
		if (d->failures)
			__sync_fetch_and_add(&c->proc_failures, 1);
		if (d->unexpected)
			__sync_fetch_and_add(&c->proc_unexpected_exits, 1);
	}
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exited, struct task_struct *task)
{
	struct death d = {};
	struct sc_node *node;
	bool expected;
	int status;
	__u32 slot;

	/* ctx[1] is group_dead; reading it where it does not exist would not load. */
	if (task->flags & PF_KTHREAD ||
	    (sc_config.exit_tells_group_dead ? !(bool)ctx[1] : task->signal->live.counter != 0))
		return 0;
	slot = claim_death(task, &d);
	node = slot == SC_SLOT_NONE ? NULL : node_at(slot);
	if (!node)
		return 0;
	status = exit_status(task);
	d.crashes = !!(SIGNAL_BIT(status & 0x7f & 63) & CRASHES);
	d.kills = (status & 0x7f) == SIGKILL;
	d.failures = (status & 0x7f) == 0 && status >> 8 & 0xff;
	expected = is_being_killed(node);
	d.unexpected = !expected &&
		       (d.crashes || d.kills || (d.failures && parent_is_outside(task, slot)));
	count_death(node, &d);
	if (!expected && (d.crashes || d.kills))
		wake(SC_WAKE_CRASH, node);
	else if (!expected && d.failures)
		wake(SC_WAKE_EXIT, node);
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
	struct sc_node *from_node = node_at((__u32)old), *to_node = node_at(to);

	if (state_phase(old) != SC_PHASE_ALIVE || (__u32)old == to || !from_node || !to_node)
		return;
	if (__sync_val_compare_and_swap(&p->state, old, state_of(SC_PHASE_ALIVE, to)) != old)
		return;
	count(to_node, proc_alive, 1);
	count(from_node, proc_alive, -1);
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
