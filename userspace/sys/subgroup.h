/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cgroup that a process without rights may manage: it makes cgroups of its own in it, moves its
 * children there, limits, kills and removes them. The kernel's way to allow that is to give it the
 * directory and three of its files (Documentation/admin-guide/cgroup-v2.rst, Delegation); the
 * bounds of the whole, and everything above, stay root's. The process itself lives in the child
 * `worker`, because controllers want no process beside a child.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#define SC_SUBGROUP_INNER "worker"

/* Bounds of the whole: the runs of all programs, and the worker with them. */
#define SC_SUBGROUP_CGROUPS_MAX 128
#define SC_SUBGROUP_DEPTH_MAX   1
#define SC_SUBGROUP_PIDS_MAX    1024
#define SC_SUBGROUP_MEMORY_MAX  (1ULL << 30)

struct sc_subgroup {
	int procs_fd;    /* cgroup.procs of `worker`, to be joined by writing 0 */
	char limits[32]; /* controllers that are on in it, "cpu memory pids"; may be empty */
};

/*
 * Makes parent_fd/name anew, for that user: what is left there of a predecessor is cleared first,
 * for a cgroup in which cgroup.kill was used once may kill what is made in it (Linux 6.18). 0 with
 * out->procs_fd the caller's; or -errno, as of sc_subgroup_clear, mkdir(2), chown(2), and nothing
 * held. Controllers that the parent does not hand down are no error.
 */
int sc_subgroup_make(int parent_fd, const char *name, uid_t uid, gid_t gid,
		     struct sc_subgroup *out);

/*
 * Kills everything in parent_fd/name, waits for the last to go (SC_SUBGROUP_CLEAR_MS at most), and
 * removes it with what is in it. 0, also when there is none; -EBUSY: somebody does not die, or a
 * child has children; or another -errno.
 */
int sc_subgroup_clear(int parent_fd, const char *name);
#define SC_SUBGROUP_CLEAR_MS 2000
