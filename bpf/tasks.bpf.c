/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The task iterator: counts processes and tasks in uninterruptible sleep, finds the oldest process,
 * and enters the processes that no tracepoint has seen, those older than the agent above all.
 */
#include "processes.h"

#define TASK_UNINTERRUPTIBLE 0x0002
#define TASK_NOLOAD          0x0400 /* how idle kernel threads sleep: no D */

/*
 * A dead process that nobody knows is entered as a zombie once all its threads are past the exit
 * tracepoint: before that, the tracepoint will do it, and count the exit too. It is entered only
 * while it can still be reaped: the tracepoint of that comes a grace period later, thus after this
 * program.
 */
static __always_inline void enter_zombie(struct task_struct *leader, __u32 slot)
{
	if (!leader->exit_state || leader->signal->nr_threads != 1)
		return;
	if (!process_insert(leader, SC_PHASE_DEAD, slot))
		count(slot, proc_zombies, 1);
}

/* The entry of a slot, zeroed when an older pass wrote it. */
static __always_inline struct sc_tasks *tasks_at(__u32 slot, __u64 pass)
{
	struct sc_tasks *t = bpf_map_lookup_elem(&tasks, &slot);

	if (t && t->pass != pass) {
		t->pass = pass;
		t->oldest_start_ns = 0;
		t->dstate = 0;
		t->processes = 0;
	}
	return t;
}

/* Counts a task into its slot and all ancestors; start_ns is 0 unless it leads a living process.
 * Global, so that the verifier checks it once. */
__noinline int count_task(__u32 slot, __u64 pass, __u64 start_ns, bool dstate)
{
	struct sc_node *node = node_at(slot);

	for (__u32 i = 0; node && i < SC_DEPTH_MAX && i < node->ancestors; i++) {
		struct sc_tasks *t = tasks_at(node->ancestor[i], pass);

		if (!t)
			return 0;
		t->dstate += dstate;
		if (!start_ns)
			continue;
		t->processes++;
		if (!t->oldest_start_ns || start_ns < t->oldest_start_ns)
			t->oldest_start_ns = start_ns;
	}
	return 0;
}

static __always_inline void mark_seen(struct task_struct *leader, __u64 pass)
{
	struct sc_process *p = process_find(leader);

	if (p)
		p->seen = pass;
}

SEC("iter/task")
int read_tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	__u64 pass = current_pass(), start_ns = 0;
	bool is_leader, dstate;
	__u32 slot;

	if (!task || task->flags & PF_KTHREAD)
		return 0;
	dstate = (task->__state & (TASK_UNINTERRUPTIBLE | TASK_NOLOAD)) == TASK_UNINTERRUPTIBLE;
	is_leader = task->pid == task->tgid;
	if ((!is_leader && !dstate) || !task->thread_pid)
		return 0;
	slot = slot_of(task->cgroups->dfl_cgrp);
	if (slot == SC_SLOT_NONE)
		return 0;
	if (is_leader && task->signal->live.counter) {
		start_ns = task->start_boottime;
		process_enter(task, slot);
	} else if (is_leader) {
		enter_zombie(task, slot);
	}
	if (is_leader)
		mark_seen(task, pass);
	count_task(slot, pass, start_ns, dstate);
	return 0;
}

/*
 * Takes out the processes that two whole passes have not met: they ended although no tracepoint
 * said so. That happens when somebody else attaches to or detaches from the same tracepoint at that
 * moment (seen on 6.18 under virtualisation), and must not leave a process alive, or a zombie, for
 * ever.
 */
SEC("iter/bpf_map_elem")
int sweep_processes(struct bpf_iter__bpf_map_elem *ctx)
{
	struct sc_process *p = ctx->value;
	__u64 *key = ctx->key, signal;
	__u64 state;

	if (!key || !p || p->seen + 1 >= current_pass())
		return 0;
	signal = *key;
	p = bpf_map_lookup_elem(&processes, &signal);
	if (!p)
		return 0;
	state = p->state;
	if (state_phase(state) != SC_PHASE_FREE)
		sc_stat_up(processes_swept);
	if (state_phase(state) == SC_PHASE_ALIVE)
		count((__u32)state, proc_exits, 1);
	process_forget(signal, p);
	return 0;
}
