/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of exec: what the child needs, and the cgroup of a run. */
#pragma once

#include "worker/probe/exec.h"

#include <sys/types.h>

/* The cgroup of one run. */
struct sc_exec_group {
	int parent_fd;       /* borrowed */
	struct sc_watch end; /* its cgroup.events; fd -1: there is no cgroup */
	int fd;
	char name[32];
};

struct sc_exec {
	struct sc_execs *x;
	struct sc_exec *next, **link;
	void (*done)(void *owner, const struct sc_exec_result *result);
	void (*gone)(void *owner);
	void *owner;
	pid_t pid;            /* 0 = reaped */
	struct sc_watch exit; /* its pidfd */
	struct sc_watch in;   /* the ends of its three pipes; -1 = closed */
	struct sc_watch out, err;
	int failure_fd;
	struct sc_alarm alarm; /* the budget, then the next look at the cgroup */
	struct sc_exec_group group;
	uint64_t begin_ns;
	bool has_ended; /* `done` was called, or is not to be */
	char *input;
	size_t input_size, input_sent;
	char *text; /* standard output, room for a NUL */
	size_t size, room;
	char said[SC_EXEC_ERR_MAX];
	size_t said_size;
};

/* --- exec_start.c --- */

/* Pipes, cgroup and process of the run. 0 or -errno; what is there by then is in run. */
int sc_exec_prepare(struct sc_exec *run, const struct sc_exec_order *order);

/* --- exec_child.c: from fork to the program --- */

/* What the child says when it did not become the program. */
struct sc_exec_failure {
	int error; /* errno, positive */
	unsigned int step;
};

struct sc_exec_child {
	char *const *argv;
	const char *const *env; /* the whole, NULL-ended */
	uint64_t budget_ns;
	int group_fd; /* of its cgroup; -1 = none */
	int in, out, err;
	int failure_fd; /* an sc_exec_failure is written to it; closed by the program's start */
	pid_t parent;
};

/* Forks; the child makes system calls only, so threads of libcurl may be about. The descriptors
 * stay the caller's. The pid, or -errno. */
pid_t sc_exec_fork(const struct sc_exec_child *c);
/* "cgroup", "program", ... */
const char *sc_exec_step_name(unsigned int step);

/* --- exec_group.c --- */

/* Makes it and sets its limits, as far as there are controllers: 0 or -errno, nothing left then. */
int sc_exec_group_make(struct sc_exec_group *g, int parent_fd, uint64_t number);
/* 0, or -errno: the kernel has no cgroup.kill, or there is no cgroup. */
int sc_exec_group_kill(struct sc_exec_group *g);
/* Removes it if it is empty: 0 when it is gone, -EBUSY while something is in it, or -errno. */
int sc_exec_group_remove(struct sc_exec_group *g);
