/* SPDX-License-Identifier: Apache-2.0 */
/* Small file helpers. Every descriptor is O_CLOEXEC; every function returns 0 or more, or -errno.
 */
#pragma once

#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads the file name under dirfd (AT_FDCWD works) whole into buf, NUL-terminated. Returns the
 * length, -EFBIG when it does not fit into size - 1 bytes. */
ssize_t sc_read_file_at(int dirfd, const char *name, char *buf, size_t size);
/* The same from offset 0 of an open descriptor (cgroup and proc files are re-read this way). */
ssize_t sc_read_fd(int fd, char *buf, size_t size);

/* Writes all n bytes, through EINTR and short writes. */
int sc_write_all(int fd, const void *data, size_t n);

/* With the mode of sc_write_file_atomic: file and directory are synced before it returns. */
#define SC_WRITE_DURABLE (1U << 16)

/*
 * Replaces dirfd/name by the n bytes of data through a temporary file and rename(2). `how` is the
 * mode of the new file, and SC_WRITE_DURABLE. On failure the old file is untouched and the
 * temporary one removed.
 */
int sc_write_file_atomic(int dirfd, const char *name, const void *data, size_t n, unsigned int how);

/*
 * The peer of a unix socket can attach no descriptors to what it sends here; the connections of a
 * listener inherit it. Taking one off the wire to drop it may block: SO_LINGER holds whoever closes
 * last. False where the kernel cannot forbid it (before Linux 6.16).
 */
bool sc_refuse_descriptors(int fd);

/* mkdir -p; existing directories are fine, their mode is left alone. */
int sc_mkdir_p(const char *path, mode_t mode);

#define SC_UUID_TEXT_MAX 37
/* A random UUID, version 4 (RFC 9562), lower case. */
void sc_uuid(char out[static SC_UUID_TEXT_MAX]);
/* True when text has the form sc_uuid writes. */
bool sc_uuid_is_valid(const char *text);

/* Random bytes from getrandom(2); waits for the pool only at early boot. */
void sc_random(void *buf, size_t n);
