/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks the records of a journal in order and checks the chain on the way: opening, replay and
 * verify all read through this, so that they cannot disagree about what a fault is. Memory is
 * bounded by one buffer.
 */
#pragma once

#include "record/line.h"
#include "record/segment.h"

struct sc_fault {
	enum sc_verify_verdict verdict; /* SC_VERDICT_OK: no fault; else CORRUPT, MISSING or FORK */
	bool is_tail;                   /* an incomplete last line with nothing but NUL behind it */
	bool is_repeat;                 /* a seq that was there before stands here again, as line */
	uint64_t segment;
	uint64_t line; /* from 1 */
	uint64_t byte;
	uint64_t seq; /* the record expected there */
	char text[160];
};

struct sc_walk {
	int dirfd; /* the caller's */
	int fd;
	uint64_t segment; /* being read */
	uint64_t first_segment;
	uint64_t begin_segment; /* where this walk began */
	uint64_t last_segment;  /* the newest in the directory at the start */
	uint64_t blank_segment; /* one without a record was passed; 0: none */
	uint64_t offset;        /* of the next line in this segment */
	uint64_t line_number;
	bool trusting; /* began in the middle: the first header is believed */

	/* The last good record and the place right behind it. */
	uint64_t seq;
	char hash[SC_HASH_TEXT_MAX];
	uint64_t end_segment;
	uint64_t end_offset;

	uint64_t records;
	uint64_t segments;
	struct sc_fault fault;
	struct sc_line line; /* the last one; valid until the next step */

	size_t begin; /* what of buf is not consumed yet */
	size_t end;
	bool eof;
	char buf[4 * SC_RECORD_BYTES_MAX];
};

/*
 * Begins at segment `from`, whose first header is believed, or with 0 at the first record ever.
 * Returns 0 with *out owned by the caller, or -errno.
 */
int sc_walk_new(int dirfd, uint64_t from, struct sc_walk **out);
void sc_walk_free(struct sc_walk **walk);

/*
 * Goes to the next record. Returns 1 with walk->line filled, 0 at the end or at the first fault
 * (walk->fault then says which), or -errno when a file cannot be read.
 */
int sc_walk_next(struct sc_walk *walk);

/* After a fault: goes on at the next segment and believes its header. False when there is none. */
bool sc_walk_resume(struct sc_walk *walk);

/*
 * True when a crash explains the fault: a torn last line; or a head file of another boot than
 * boot_id, and nothing wrong up to its last durable record. head may be NULL.
 */
bool sc_fault_is_torn(const struct sc_fault *fault, const struct sc_head *head,
		      const char *boot_id);

/* Reads the kernel's boot id. Returns 0 or -errno. */
int sc_boot_id(char out[static 37]);
