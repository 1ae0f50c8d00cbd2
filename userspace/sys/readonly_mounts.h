/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making paths read-only in the mount namespaces of processes, for kernels without BPF LSM. A path
 * that is a mount point is made read-only in place, with all mounted below it; where the kernel
 * refuses that, because files are open for writing, or where the path is no mount point, it is
 * covered with a read-only mount of itself. What was opened before can then still be written by who
 * holds it, which is counted and told.
 *
 * What was changed is written to a file before it is changed, so that exactly that is given back,
 * also by another process. The file lives where the mounts do: until the next boot.
 *
 * Everyone in such a namespace sees its mounts: also who shares it and is not meant.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SC_MOUNTS_PATH_MAX   256
#define SC_MOUNTS_TEXT_MAX   192
#define SC_MOUNTS_RECORD_MAX 512 /* mounts changed at one time */
#define SC_MOUNTS_FILE       "readonly.mounts"

struct sc_mounts;

struct sc_mounts_wish {
	const pid_t *pids; /* whose namespaces */
	size_t n_pids;
	const char (*paths)[SC_MOUNTS_PATH_MAX]; /* as these processes see them; absolute */
	size_t n_paths;
	const char *keep[2]; /* paths of the agent's own that must stay writable to it; or NULL */
};

struct sc_mounts_result {
	uint32_t namespaces; /* of the processes */
	uint32_t held;       /* paths in them that are read-only now */
	uint32_t covers;     /* of these, covered */
	uint32_t holders;    /* processes that hold files below a cover open for writing */
	uint32_t changed;    /* mounts changed by this call */
	int error;           /* of the last that failed, -errno */
	char text[SC_MOUNTS_TEXT_MAX]; /* what failed, or who holds; empty = nothing */
};

/* The directory of the file is borrowed until close. Takes up what the file tells of this boot. 0,
 * -ENOMEM, or -errno of a file that cannot be read. */
int sc_mounts_open(struct sc_mounts **out, int run_dir_fd);
/* Changes nothing. *m is NULL afterwards; NULL is fine. */
void sc_mounts_close(struct sc_mounts **m);
/* Mounts that were changed and not given back. */
uint32_t sc_mounts_count(const struct sc_mounts *m);

/*
 * Makes every path read-only in every namespace of the processes, where it exists; what it changed
 * for a path that is wished no more is given back. Zeroes and fills *result; 0 or result->error.
 * Bounded by the processes and their open files; some 100 us for each namespace, and 250 ms once
 * for a path that a file system of theirs lets hang.
 */
int sc_mounts_set(struct sc_mounts *m, const struct sc_mounts_wish *wish,
		  struct sc_mounts_result *result);
/* Gives everything back. What is gone, or was changed by another meanwhile, is left as it is. 0, or
 * -errno with text (SC_MOUNTS_TEXT_MAX bytes); then it can be tried again. */
int sc_mounts_release(struct sc_mounts *m, char *text);
/* Tries to write at the paths inside the namespaces: 1 when all refused with EROFS, 0 when one did
 * not, -ENOENT when there was nothing to try on, or none that answered. Leaves nothing behind. */
int sc_mounts_try(struct sc_mounts *m, const struct sc_mounts_wish *wish);
