/* SPDX-License-Identifier: Apache-2.0 */
/* For the live tests of the actions: loop and hand played in one thread, on real cgroups. */
#pragma once

#include "harness/harness.h"

#include <scram/action.h>

/* The real effector over the mount of the machine, opened once for the test process. */
struct sc_effector sc_live_effector(void);

/* prepare, apply, verify until done, close; returns what prepare returned. */
int sc_live_act(struct sc_action_run *run, const struct sc_action_request *request);
/* The same for a release. */
int sc_live_release(struct sc_action_run *run, const struct sc_action_request *request);
/* From a prepared run to the end, closed. */
void sc_live_drive(struct sc_action_run *run, bool releases);

/*
 * A process in uninterruptible sleep inside the cgroup, for as long as the test likes: it waits for
 * the mutex of a pipe, which a thread of the test holds while it waits for a page that
 * userfaultfd(2) does not deliver.
 */
struct sc_dstate {
	int uffd, pipe[2];
	char *page;
	unsigned long thread;
	pid_t pid;
};

/* 0 with d->pid in state D, or -errno where the kernel has no userfaultfd. */
int sc_dstate_begin(struct sc_dstate *d, int cgroup_fd);
/* Delivers the page: the process goes on, or dies when it was killed. */
void sc_dstate_end(struct sc_dstate *d);

/* The state letter of a process, 0 when it is gone. */
char sc_live_state(pid_t pid);
/* True while the process lives and is no zombie. */
bool sc_live_is_alive(pid_t pid);
