/* SPDX-License-Identifier: Apache-2.0 */
/*
 * <run-dir>/state.json: what the agent last was, for `status` when it is dead. Written atomically,
 * mode 0600; changes closer together than the debounce make one write.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SC_STATEFILE_NAME        "state.json"
#define SC_STATEFILE_DEBOUNCE_NS 250000000ULL
#define SC_STATEFILE_BYTES_MAX   (1024 * 1024)

struct sc_statefile {
	uint64_t changed_ns; /* CLOCK_MONOTONIC of the first change not yet written; 0 = none */
	uint64_t written_ns; /* of the last write; 0 = never */
	uint64_t touches;    /* changes so far */
};

/* The state changed at now. */
void sc_statefile_touch(struct sc_statefile *file, uint64_t now_ns);
/*
 * True when it is time to write: something changed and the last write is the debounce or longer
 * ago, so the first change after a quiet time is written at once and no change waits longer than
 * the debounce.
 */
bool sc_statefile_is_due(const struct sc_statefile *file, uint64_t now_ns);
/* It was written (or tried) at now. */
void sc_statefile_written(struct sc_statefile *file, uint64_t now_ns);

/*
 * Replaces the file by n bytes of JSON. Blocks on the file system: for the sync thread. The caller
 * holds the run dir's lock, so that two live agents never write the same file. Returns 0 or -errno
 * with the old file in place.
 */
int sc_statefile_write(int run_dir_fd, const char *json, size_t n);
/* Reads the file into buf, terminated. Returns its length or -errno (-EFBIG when it does not fit).
 */
ssize_t sc_statefile_read(int run_dir_fd, char *buf, size_t size);
