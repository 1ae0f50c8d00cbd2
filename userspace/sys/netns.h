/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network namespaces: which ones processes live in, and doing something inside another one.
 * Mechanism only, no policy. A namespace is named by the inode number of its nsfs file, which the
 * kernel may use again once the namespace is gone (namespaces(7)): good for telling living ones
 * apart, never to be kept.
 */
#pragma once

#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* So many are told apart; a host with one per container has some hundreds. */
#define SC_NETNS_MAX 512
/* So many processes are looked at in one cgroup tree. */
#define SC_NETNS_PIDS_MAX 16384

/* The namespace of a process, by its leader. 0, -ESRCH when it is gone or a zombie, or -errno. */
int sc_netns_of(pid_t pid, uint64_t *inode);
/* The calling thread's. */
int sc_netns_own(uint64_t *inode);
/*
 * A descriptor of the namespace of a process, the caller's: it keeps the namespace alive. -ESRCH.
 * With inode not 0, -ESTALE when the process is in another one than that by now. With pid 0, the
 * namespace of that inode through the file it is bound to; -ESRCH when it is bound to none.
 */
int sc_netns_open(pid_t pid, uint64_t inode);

/*
 * Runs fn(arg) inside the namespace, in a thread of its own that ends with it: no other thread ever
 * leaves its namespace. Returns fn's value; -EPERM without CAP_SYS_ADMIN; -errno.
 */
int sc_netns_run(int netns_fd, int (*fn)(void *arg), void *arg);

struct sc_netns_found {
	uint64_t inode;
	pid_t pid; /* a process that was in it; 0 = it was found bound to a file */
};

/* Distinct namespaces, being gathered. Some 70 KiB, scratch included: not for small stacks. */
struct sc_netns_list {
	struct sc_netns_found found[SC_NETNS_MAX];
	uint32_t n;
	bool is_all; /* false: a bound was reached, there may be more */
	pid_t pids[SC_NETNS_PIDS_MAX];
};

/* Empty, and is_all. */
void sc_netns_list_init(struct sc_netns_list *list);
/*
 * Adds the namespaces of the processes of the cgroup and of everything below it. Processes that go
 * meanwhile are skipped. A thread that has left its leader's namespace by itself (setns(2)) is not
 * seen. 0, or -errno when the cgroup cannot be read.
 */
int sc_netns_list_cgroup(struct sc_netns_list *list, int cgroup_fd);
/* Adds the namespaces of every process of this pid namespace, and those that are bound to a file in
 * this mount namespace: to find what somebody left behind. */
int sc_netns_list_host(struct sc_netns_list *list);

/* For netns*.c alone: adds one that is not there yet; netns_mount.c's parts of the above. */
void sc_netns_list_add(struct sc_netns_list *list, uint64_t inode, pid_t pid);
int sc_netns_open_mounted(uint64_t inode);
int sc_netns_list_mounted(struct sc_netns_list *list);
