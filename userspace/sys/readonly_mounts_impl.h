/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of sys/readonly_mounts*.c share; nobody else includes this. */
#pragma once

#include "sys/readonly_mounts.h"

#include "base/mem.h"
#include "sys/ns.h"

/* One mount that was changed. */
struct sc_mount_record {
	bool is_cover; /* laid over the path; else made read-only in place */
	uint64_t ns;   /* inode of the namespace */
	uint64_t id;   /* of the mount, as the kernel tells it: see sc_mount_id */
	char path[SC_MOUNTS_PATH_MAX];
};

#define SC_MOUNTS_REFUSED_MAX 32

struct sc_mounts {
	int dir_fd; /* borrowed */
	char boot[40];
	struct sc_ns_errands errands;
	struct sc_mount_record refused[SC_MOUNTS_REFUSED_MAX]; /* see keep_own_ground */
	uint32_t n_refused;
	uint32_t n;
	struct sc_mount_record records[SC_MOUNTS_RECORD_MAX];
};

/* readonly_mounts_file.c */

/* Takes up the records of this boot; 0 also when there is none. */
int sc_mounts_load(struct sc_mounts *m);
/* Replaces the file by what the records are; removes it when there are none. 0 or -errno. */
int sc_mounts_save(const struct sc_mounts *m);

/* readonly_mounts_ns.c: inside the namespace */

/* The number of the mount that fd is in, never used again where the kernel has such (6.8); 0 = not
 * to be told. *is_root (NULL allowed): fd is its root. */
uint64_t sc_mount_id(int fd, bool *is_root);
/* For sc_ns_ask: the path without following links, O_PATH; -errno. */
int sc_mount_open(const char *path);

struct sc_mount_hold {
	struct sc_mounts *m;
	const char *path;
	int fd; /* of the path, by sc_mount_open */
	uint64_t ns;
	bool is_held;  /* the path is read-only now */
	bool is_cover; /* because it is covered, now or before */
	uint32_t changed;
};
/* For sc_ns_run with a struct sc_mount_hold: makes the path read-only. 0 or -errno. Asks no file
 * system, so that none can let it wait; nor does the undoing. */
int sc_mount_hold(void *arg);

struct sc_mount_undo {
	const struct sc_mount_record *record;
	int fd; /* of its path, by sc_mount_open */
};
/* For sc_ns_run with a struct sc_mount_undo: gives one mount back. 0 or -errno. */
int sc_mount_undo(void *arg);
/* For sc_ns_ask: 1 refused, 0 written, -ENOENT nothing to try on. */
int sc_mount_try(const char *path);

/* readonly_holders.c */

/* How many of the processes in the namespace hold files at or below the path open for writing, or
 * stand below it, and so may open more; adds the first to text. At least one where there is too
 * much to look at. */
uint32_t sc_mount_holders(const struct sc_mounts_wish *wish, uint64_t ns, const char *path,
			  char text[static SC_MOUNTS_TEXT_MAX]);
