/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Family `tenant`: signals from a process of one tenant to a process of another. Connections
 * between them are counted where connections are (crossing.h).
 */
#include "scram.bpf.h"

#define SIGCHLD 17

/* include/linux/sched/signal.h: in place of a pointer to the signal's information. */
#define SEND_SIG_NOINFO 0
#define SEND_SIG_PRIV   1

/* include/uapi/asm-generic/siginfo.h. Those above 0 are the kernel's. */
#define SI_USER   0
#define SI_TIMER  -2
#define SI_ASYNC  -4
#define SI_SIGIO  -5
#define SI_ASYNCN -60

/* include/trace/events/signal.h */
#define DELIVERED 0
#define LOSE_INFO 4

/*
 * What expires or arrives is told in whoever's context: the current process has nothing to do with
 * it. Of what the kernel sends in a process's name there is the signal to the children of a dying
 * parent (prctl PR_SET_PDEATHSIG), for which they have asked.
 */
static __always_inline bool is_sent_by(struct task_struct *sender, struct kernel_siginfo *info)
{
	int code;

	if (sender->flags & (PF_EXITING | PF_KTHREAD) || (__u64)info == SEND_SIG_PRIV)
		return false;
	if ((__u64)info == SEND_SIG_NOINFO)
		return true;
	code = BPF_CORE_READ(info, si_code);
	return code <= SI_USER && code != SI_TIMER && code != SI_ASYNC && code != SI_SIGIO &&
	       code != SI_ASYNCN;
}

SEC("tp_btf/signal_generate")
int BPF_PROG(signal_generated, int sig, struct kernel_siginfo *info, struct task_struct *task,
	     int group, int result)
{
	struct task_struct *sender = bpf_get_current_task_btf();
	__u32 slot, from, to;

	if (sig == SIGCHLD || (result != DELIVERED && result != LOSE_INFO) ||
	    !is_sent_by(sender, info))
		return 0;
	slot = slot_of(sender->cgroups->dfl_cgrp);
	from = tenant_of(slot);
	if (!from)
		return 0;
	to = tenant_of(slot_of(task->cgroups->dfl_cgrp));
	if (to && to != from)
		count(slot, tenant_cross_signals, 1);
	return 0;
}
