/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a journal: their names, their making, and the head file. */
#pragma once

#include <scram/journal.h>

#include "base/mem.h"

#define SC_JOURNAL_DIR      "journal"
#define SC_JOURNAL_LOCK     "lock" /* beside it; its writer holds it */
#define SC_SEGMENT_NAME_MAX 32

void sc_segment_name(uint64_t number, char out[static SC_SEGMENT_NAME_MAX]);

/*
 * Finds the least and the greatest segment number in the directory; both 0 when there is none.
 * Other files are passed over. Returns 0 or -errno.
 */
int sc_segment_range(int dirfd, uint64_t *first, uint64_t *last);

/* Opens a segment for reading. Returns the descriptor, -ENOENT when there is none, or another
 * -errno. */
int sc_segment_open(int dirfd, uint64_t number, int flags);

/*
 * Makes an empty segment of `size` allocated bytes, durable with its directory entry. Returns a
 * descriptor to write with, or -errno with nothing left behind.
 */
int sc_segment_make(int dirfd, uint64_t number, uint64_t size, const struct sc_journal_os *os);

/* True when the file holds nothing but NUL from offset on. -errno when it cannot be read. */
int sc_segment_is_blank(int fd, uint64_t offset);

/* --- the head file: the last record, told outside the segments --- */

struct sc_head {
	uint64_t seq; /* 0: nothing appended yet */
	char hash[SC_HASH_TEXT_MAX];
	uint64_t segment;
	uint64_t durable_seq; /* on disk when this was written */
	uint64_t durable_segment;
	char boot_id[37];
};

/* Fixed, so that one write replaces the whole of it; within one disk sector. */
#define SC_HEAD_BYTES 384

/* Writes the head's text, SC_HEAD_BYTES long. */
void sc_head_format(const struct sc_head *head, char out[static SC_HEAD_BYTES + 1]);
/* Reads <state-dir>/head. Returns 0, -ENOENT, -EBADMSG when it is not a head, or another -errno. */
int sc_head_read(int state_fd, struct sc_head *head);

/* The calls of a journal that nobody makes fail. */
extern const struct sc_journal_os sc_journal_os_real;
