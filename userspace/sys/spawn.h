/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts a program with fewer rights than the agent's: own user, no capabilities, no way to gain
 * any, no descriptors but its own, default scheduling, limits. The agent has threads and locked
 * memory: fork(2) would copy the page tables and have the loop thread fault on every page, and
 * posix_spawn(3) cannot change the user. So the child shares the agent's memory until it runs the
 * program (CLONE_VM | CLONE_VFORK), on a stack of its own; it makes system calls and nothing else,
 * while the calling thread is suspended. A loaded host, or a disk, can take its time over that: not
 * for the loop thread. After 5 s with the new user the child is killed, even when somebody stopped
 * it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SC_SPAWN_LINK_FD     3
#define SC_SPAWN_STEP_CGROUP "cgroup" /* the step of joining it */

struct sc_spawn {
	int dirfd;           /* directory of the program; AT_FDCWD works */
	const char *program; /* its name there: need not be reachable for the user */
	char *const *env;    /* NULL-ended, "NAME=value" */
	int link_fd;         /* becomes descriptor 3; borrowed */
	int procs_fd;        /* cgroup.procs of where it is to live; borrowed; 0 = where we do */
	uid_t uid;           /* never 0 */
	gid_t gid;           /* never 0; the only group */
	uint64_t memory_max; /* RLIMIT_DATA */
	uint64_t files_max;  /* RLIMIT_NOFILE */
	uint64_t tasks_max;  /* RLIMIT_NPROC: processes and threads of the user */
};

/*
 * Runs the program, whose standard input is /dev/null and whose standard output and error are the
 * agent's standard error; it is killed when the calling thread ends. 0 with *pid and *pidfd (the
 * caller's, close on exec), or -errno with *step saying what was refused (static text) and nothing
 * left behind.
 */
int sc_spawn(const struct sc_spawn *s, pid_t *pid, int *pidfd, const char **step);

/* What /proc/PID/status says. */
struct sc_process_facts {
	uid_t uid;          /* the saved, effective and real one, when they agree; else 0 */
	uint64_t caps;      /* permitted, effective and ambient ones */
	int seccomp;        /* 2 = a filter */
	bool has_no_gain;   /* no_new_privs */
	char state;         /* R, S, D, T, Z ... */
	uint64_t rss_bytes; /* resident */
};
/* 0, -ESRCH, or -EBADMSG when the kernel writes something else. */
int sc_process_facts(pid_t pid, struct sc_process_facts *out);

/* Reaps the child behind the pidfd: 1 with *status as of wait(2), 0 while it lives, or -errno. */
int sc_process_reap(int pidfd, int *status);
