/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a process of a cgroup can write: tried, by one of our own that is born there. */
#pragma once

#include <stddef.h>

/* It answers at once, unless the cgroup is frozen. */
#define SC_TRY_WRITE_MS 500

/*
 * A child in the cgroup (clone3, CLONE_INTO_CGROUP) tries to make a file in the first of the
 * directories that keeps what is written and is not read-only anyway; the file has no name and is
 * gone at once. 1: refused, 0: written, -ENOENT: no such directory, -ETIMEDOUT, or -errno of the
 * birth (-EBUSY, -EOPNOTSUPP: no process may be born in that cgroup).
 */
int sc_try_write(int cgroup_fd, const char *const dirs[], size_t n);
