/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal's inside, shared by journal.c (append, loop thread), journal_open.c (start) and
 * journal_sync.c (sync thread). Each field belongs to one thread; what both touch is atomic or a
 * bounded queue:
 *
 *   loop -> sync   current (which segment is written), written_seq, closed (segments left behind)
 *   sync -> loop   ready (segments made), suspect_segment, durable_*
 *
 * Only the sync thread closes a segment's descriptor, so it never syncs one that was closed beneath
 * it.
 */
#pragma once

#include "base/clock.h"
#include "base/spsc.h"
#include "record/held.h"
#include "record/line.h"
#include "record/seal.h"
#include "record/segment.h"

/* One current, one prepared, one parting, and those left behind that wait for their last sync. */
#define SEGMENTS_MAX 8

struct segment {
	int fd; /* -1: this place is free */
	uint64_t number;
	uint64_t size;   /* bytes allocated */
	uint64_t offset; /* of the next record; loop thread */
	bool suspect;    /* its sync failed: never synced again; sync thread */
	bool broken;     /* a write failed: bytes that are no record may stand behind offset; loop
			    thread */
};

struct sc_journal {
	/* Constant after open. */
	int state_fd;
	int lock_fd;
	int dirfd;
	int head_fd;
	uint64_t segment_bytes;
	uint64_t reserve_bytes;
	const struct sc_journal_os *os;
	struct sc_seal_key key;
	char host_id[SC_HOST_ID_TEXT_MAX];
	char boot_id[37];

	/* The loop thread's. */
	struct segment *next; /* prepared, not begun; NULL: none */
	uint64_t seq;
	char hash[SC_HASH_TEXT_MAX];
	struct sc_held held;
	uint64_t lost_told; /* of `lost`, those that a journal.lost record speaks of */
	uint64_t suspect_told;
	sc_snapshot_fn *snapshot;
	void *snapshot_arg;
	char line[SC_RECORD_BYTES_MAX];
	char own[SC_RECORD_BYTES_MAX];  /* body of a seal or of a fact about the journal */
	char body[SC_RECORD_BYTES_MAX]; /* of a header or a part of the snapshot, within a rotation
					 */
	char item[SC_RECORD_BYTES_MAX]; /* what that part holds */

	/* The sync thread's. */
	struct segment segments[SEGMENTS_MAX];
	struct segment
		*parting;  /* left behind and synced, its place not given up yet; NULL: none */
	uint64_t prepared; /* the greatest segment number made */

	/* Shared. */
	_Atomic(struct segment *) current;
	struct sc_spsc ready;  /* struct segment *, sync to loop */
	struct sc_spsc closed; /* struct segment *, loop to sync */
	_Atomic uint64_t written_seq;
	_Atomic uint64_t durable_seq;
	_Atomic uint64_t durable_segment;
	_Atomic uint64_t suspect_segment; /* the greatest number whose sync failed; 0: none */
	_Atomic bool sync_failing;
	_Atomic uint64_t sync_errors;
	_Atomic uint64_t appended;
	_Atomic uint64_t held_records;
	_Atomic uint64_t lost;
	_Atomic uint64_t write_errors;
	_Atomic uint64_t rotations;
	_Atomic uint64_t sealed_seq;
	_Atomic uint64_t segment_number;
	_Atomic uint64_t room_bytes;
};

/* Begins the prepared segment with its header and the snapshot. -ENOSPC when none is ready. */
int sc_journal_rotate(struct sc_journal *j, int64_t real_ns);
/* Writes one record into the page cache, rotating where needed. 0 or -errno, nothing appended then.
 */
int sc_journal_put(struct sc_journal *j, int64_t real_ns, enum sc_record_kind kind,
		   const char *body, size_t n);
/* Replaces the head file's text. Errors are counted. */
void sc_journal_write_head(struct sc_journal *j);
/* Shows the other threads how much room is left. */
void sc_journal_publish_room(struct sc_journal *j);
/* Makes the segment `number` in a free place of the pool. Sync thread, or open. */
int sc_journal_prepare(struct sc_journal *j, uint64_t number, struct segment **out);
