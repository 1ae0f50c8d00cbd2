/* SPDX-License-Identifier: Apache-2.0 */
/* Doing something inside another namespace. Mechanism only. */
#pragma once

/*
 * Runs fn(arg) inside the namespace of that descriptor, in a thread of its own that ends with it:
 * no other thread ever leaves its namespace. type is its CLONE_NEW bit: CLONE_NEWNET or
 * CLONE_NEWNS; in the latter, fn begins at the root of that namespace. Returns fn's value; -EPERM
 * without CAP_SYS_ADMIN (and CAP_SYS_CHROOT for mounts); -errno.
 */
int sc_ns_run(int ns_fd, int type, int (*fn)(void *arg), void *arg);
