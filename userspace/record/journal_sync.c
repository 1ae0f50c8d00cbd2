/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's part on the sync thread: everything that may wait for a disk. */
#include "record/journal_internal.h"

#include <errno.h>
#include <sys/stat.h>

int sc_journal_prepare(struct sc_journal *j, uint64_t number, struct segment **out)
{
	for (size_t i = 0; i < SEGMENTS_MAX; i++) {
		struct segment *s = &j->segments[i];
		int fd;

		if (s->fd >= 0)
			continue;
		fd = sc_segment_make(j->dirfd, number, j->segment_bytes, j->os);
		if (fd < 0)
			return fd;
		*s = (struct segment){.fd = fd, .number = number, .size = j->segment_bytes};
		j->prepared = number;
		*out = s;
		return 0;
	}
	return -ENFILE;
}

/* What is written to a file without a name is durable nowhere. */
static bool is_deleted(const struct segment *s)
{
	struct stat st;

	return fstat(s->fd, &st) == 0 && st.st_nlink == 0;
}

/*
 * 0, or -errno. After a failed sync the kernel has marked the pages clean, so a second call would
 * report a success that never was: the segment stays suspect for ever.
 */
static int sync_segment(struct sc_journal *j, struct segment *s)
{
	int err = j->os->fdatasync(s->fd) == 0 ? 0 : errno;

	if (err == 0 && !is_deleted(s))
		return 0;
	err = err ? err : ESTALE;
	s->suspect = true;
	atomic_fetch_add(&j->sync_errors, 1);
	if (s->number > atomic_load(&j->suspect_segment))
		atomic_store(&j->suspect_segment, s->number);
	return -err;
}

/*
 * The loop puts a segment into `closed` before it shows the next one as current. So with seq read
 * first and current second, every record up to seq is in what is current here or in `closed` by
 * now. For a moment a segment is in `closed` and current at once; therefore its place is given up
 * only when the next one has been left behind too.
 */
static int sync_written(struct sc_journal *j)
{
	uint64_t seq = atomic_load_explicit(&j->written_seq, memory_order_acquire);
	struct segment *current = atomic_load_explicit(&j->current, memory_order_acquire);
	uint64_t number = current->number;
	struct segment *left;
	int r = 0;

	if (current->suspect)
		return 0; /* told already; the loop is about to leave it */
	if (seq != atomic_load_explicit(&j->durable_seq, memory_order_relaxed) ||
	    is_deleted(current))
		r = sync_segment(j, current);
	while (sc_spsc_pop(&j->closed, &left)) {
		/* One that was suspect before holds nothing up: its records are passed over. */
		int err = left->suspect ? 0 : sync_segment(j, left);

		r = r < 0 ? r : err;
		if (j->parting)
			sc_close(&j->parting->fd);
		j->parting = left;
	}
	atomic_store(&j->sync_failing, r < 0);
	if (r < 0)
		return r;
	atomic_store_explicit(&j->durable_segment, number, memory_order_relaxed);
	atomic_store_explicit(&j->durable_seq, seq, memory_order_release);
	return 0;
}

int sc_journal_sync(struct sc_journal *j)
{
	int r = sync_written(j);
	uint64_t number = atomic_load_explicit(&j->segment_number, memory_order_relaxed);
	struct segment *next;
	int err;

	if (j->prepared > number)
		return r;
	err = sc_journal_prepare(j, j->prepared + 1, &next);
	if (err == 0) {
		bool is_pushed = sc_spsc_push(&j->ready, &next);

		SC_ASSERT(is_pushed); /* the queue has a place for each segment of the pool */
	}
	return r < 0 ? r : err;
}
