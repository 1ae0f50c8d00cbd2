/* SPDX-License-Identifier: Apache-2.0 */
/* Doing something inside another namespace. Mechanism only. */
#pragma once

#include <stdbool.h>

/*
 * Runs fn(arg) inside the namespace of that descriptor, in a thread of its own that ends with it:
 * no other thread ever leaves its namespace. type is its CLONE_NEW bit: CLONE_NEWNET or
 * CLONE_NEWNS; in the latter, fn begins at the root of that namespace, with the /proc of ours as
 * its working directory: what is found at /proc there is a stranger's. Returns fn's value; -EPERM
 * without CAP_SYS_ADMIN (and CAP_SYS_CHROOT for mounts); -errno.
 */
int sc_ns_run(int ns_fd, int type, int (*fn)(void *arg), void *arg);

/* Errands that did not end in time and still hang; zeroed at first. */
#define SC_NS_LATE_MAX 32
#define SC_NS_PATH_MAX 256
struct sc_ns_errand;
struct sc_ns_errands {
	struct sc_ns_errand *late[SC_NS_LATE_MAX];
};

/*
 * Runs fn(path) in that mount namespace, where a file system may let it hang for ever: waited for
 * 250 ms, then left behind. So fn does nothing that harms when it is done late; a descriptor that
 * it returns then (gives_fd) is closed. Returns fn's value; -ETIMEDOUT, at once while the same
 * errand still hangs; -EBUSY when too many do; -errno.
 */
int sc_ns_ask(struct sc_ns_errands *errands, int ns_fd, int (*fn)(const char *path),
	      const char *path, bool gives_fd);
/* Lets go of what ended; what still hangs is left to the end of the process. */
void sc_ns_errands_done(struct sc_ns_errands *errands);
