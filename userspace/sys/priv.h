/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the core asks of the machine for itself: to keep its memory, to be spared by the OOM killer,
 * to run before a fork bomb, and to hold no more capabilities than its work needs. Where the
 * machine refuses, the agent goes on and says so in doctor: each request leaves a row here.
 */
#pragma once

#include <stdbool.h>

enum sc_privilege {
	SC_PRIVILEGE_MEMORY_LOCKED, /* mlockall(2), current and future, on fault */
	SC_PRIVILEGE_OOM_PROTECTED, /* oom_score_adj -1000 */
	SC_PRIVILEGE_LOOP_FIFO,     /* SCHED_FIFO 1 for the loop thread */
	SC_PRIVILEGE_HAND_FIFO,     /* and for the hand thread */
	SC_PRIVILEGE_FILES,         /* RLIMIT_NOFILE raised to its hard limit */
	SC_PRIVILEGE_CAPS_REDUCED,  /* capabilities(7): only those of sc_priv_reduce */
	SC_PRIVILEGE_COUNT
};

struct sc_privileges {
	struct {
		bool asked;
		int error; /* 0 or -errno of the refusal */
	} rows[SC_PRIVILEGE_COUNT];
};

const char *sc_privilege_name(enum sc_privilege p);
/* What is lost without it, and what gives it, as one sentence each. */
const char *sc_privilege_loss(enum sc_privilege p);
const char *sc_privilege_fix(enum sc_privilege p);

/* Locks memory, protects from the OOM killer, raises the file limit. */
void sc_priv_harden(struct sc_privileges *p);
/* Makes the calling thread SCHED_FIFO 1 and records the answer in row. Returns 0 or -errno. */
int sc_priv_fifo(struct sc_privileges *p, enum sc_privilege row);
/* Drops every capability the core does not need, from the bounding set too; before threads are
 * started. */
void sc_priv_reduce(struct sc_privileges *p);
