/* SPDX-License-Identifier: Apache-2.0 */
/* Mount namespaces: which ones processes live in, as sys/netns.h for the network. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* The namespace of a process. 0, -ESRCH when it is gone or a zombie, or -errno. */
int sc_mntns_of(pid_t pid, uint64_t *inode);
/* A descriptor of the namespace with that inode, through the process, or with pid 0 through any of
 * this pid namespace; the caller's. -ESRCH when none is in it. */
int sc_mntns_open(pid_t pid, uint64_t inode);
