/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cgroup2 hierarchy by descriptors and ids: mechanism only, no policy. A cgroup is named by its
 * kernfs id, which is never used twice within a boot; paths are for people. Kernel:
 * Documentation/admin-guide/cgroup-v2.rst.
 */
#pragma once

#include "base/mem.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* One walk looks at no more cgroups and goes no deeper: a tenant may make any number of either. */
#define SC_CGROUP_WALK_MAX  1024
#define SC_CGROUP_DEPTH_MAX 32

struct sc_cgroup_fs {
	int root_fd;          /* directory of the mount */
	char mount[PATH_MAX]; /* its path, as the kernel tells it for root_fd */
	char root[PATH_MAX];  /* what the mount shows, as in /proc/PID/cgroup; "" for the whole */
};

/* Copies one field of /proc/PID/mountinfo, n bytes long, as the path that it means; to has PATH_MAX
 * bytes. False when it does not fit. */
bool sc_mountinfo_field(const char *from, size_t n, char *to);

/*
 * Takes one line of /proc/PID/mountinfo (proc(5)). True when it is a cgroup2 mount whose root lies
 * in this cgroup namespace; then mount and root (each PATH_MAX bytes) are set, octal escapes
 * undone.
 */
bool sc_cgroup_mountinfo_line(const char *line, char *mount, char *root);

/*
 * Opens the cgroup2 mount: the one at directory, which may be any directory of it, or with NULL the
 * one found in /proc/self/mountinfo, whole hierarchies first. 0, -ENOENT when there is none,
 * -EINVAL when directory is on no cgroup2; fs is untouched on failure. Release with
 * sc_cgroup_fs_close.
 */
int sc_cgroup_fs_open(struct sc_cgroup_fs *fs, const char *directory);
void sc_cgroup_fs_close(struct sc_cgroup_fs *fs);

/*
 * The directory of the cgroup with that id, wherever it is now. -ESTALE when it exists no more,
 * -EPERM without CAP_DAC_READ_SEARCH. open_by_handle_at(2) with the kernel's FILEID_KERNFS handle.
 */
int sc_cgroup_open(const struct sc_cgroup_fs *fs, uint64_t id);
/* The directory at a path as in /proc/PID/cgroup; never leaves the mount, follows no link. -ENOENT.
 */
int sc_cgroup_open_path(const struct sc_cgroup_fs *fs, const char *path);
/* The parent's directory, or -ENOENT at the root of the mount. */
int sc_cgroup_open_parent(const struct sc_cgroup_fs *fs, int dirfd);
/* An interface file of the cgroup, to be held: once the cgroup is removed it answers -ENODEV. */
int sc_cgroup_open_file(int dirfd, const char *name, bool writes);
int sc_cgroup_id_of(int dirfd, uint64_t *id);

/*
 * Writes the path as in /proc/PID/cgroup: hostile bytes, to be escaped where shown. -ESTALE when
 * the cgroup was removed (also when another has its name now), -ENAMETOOLONG when it does not fit.
 */
int sc_cgroup_path(const struct sc_cgroup_fs *fs, int dirfd, char *buf, size_t size);

struct sc_cgroup_events {
	bool populated;
	bool frozen; /* every task has stopped; also through an ancestor */
};

/* 0, or -EINVAL when the text of cgroup.events lacks `populated`. Unknown keys are skipped. */
int sc_cgroup_events_parse(const char *text, struct sc_cgroup_events *events);
/* Reads an open cgroup.events anew. -ENODEV when the cgroup is gone. */
int sc_cgroup_events_read(int fd, struct sc_cgroup_events *events);

enum sc_cgroup_kind {
	SC_CGROUP_KIND_DOMAIN,
	SC_CGROUP_KIND_DOMAIN_THREADED,
	SC_CGROUP_KIND_DOMAIN_INVALID,
	SC_CGROUP_KIND_THREADED,
	SC_CGROUP_KIND_COUNT
};

/* cgroup.type as sc_cgroup_kind, or -errno. The root, which has no such file, is a domain. */
int sc_cgroup_kind_read(int dirfd);

/* A file of one 0 or 1: 0 or 1, or -errno. */
int sc_cgroup_flag_read(int fd);
/* Writes 0 or 1 by one write(2), which may wait for the kernel's cgroup_mutex. */
int sc_cgroup_flag_write(int fd, bool value);

/*
 * Stores the processes of the cgroup and its descendants, at most max; returns how many. *is_all is
 * false when there may be more. Of a threaded cgroup the thread ids are listed, for its processes
 * belong to its domain. Reads cgroup.procs, which does not wait for the cgroup_mutex. Descendants
 * that vanish are skipped.
 */
int sc_cgroup_members(int dirfd, pid_t *pids, size_t max, bool *is_all);

/* The path of a process as in /proc/PID/cgroup, hierarchy 0. -ESRCH when there is no such process.
 */
int sc_cgroup_path_of(pid_t pid, char *buf, size_t size);
/*
 * The ids of the cgroup of a process and of all its ancestors up to the root of the mount. Returns
 * how many, -ESRCH, -EXDEV when the process is outside the mount, -E2BIG when there are more than
 * max.
 */
int sc_cgroup_ids_of(const struct sc_cgroup_fs *fs, pid_t pid, uint64_t *ids, size_t max);
