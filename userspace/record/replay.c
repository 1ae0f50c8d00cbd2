/* SPDX-License-Identifier: Apache-2.0 */
#include "record/walk.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>

/* True when this snapshot record is the last part of its snapshot. */
static bool is_last_part(const struct sc_record *record)
{
	json_t *body = json_loadb(record->body, record->body_len, JSON_REJECT_DUPLICATES, NULL);
	bool last = json_is_true(json_object_get(body, "last"));

	json_decref(body);
	return last;
}

/* 1 when the segment begins with a whole snapshot, 0 when not, or -errno. */
static int has_snapshot(int dirfd, uint64_t segment)
{
	_cleanup_(sc_walk_free) struct sc_walk *w = NULL;
	int r = sc_walk_new(dirfd, segment, &w);

	if (r == 0)
		r = sc_walk_next(w);
	if (r <= 0)
		return r;
	while ((r = sc_walk_next(w)) > 0 && w->line.record.kind == SC_RECORD_SNAPSHOT)
		if (is_last_part(&w->line.record))
			return 1;
	return SC_MIN(r, 0);
}

/* Where to begin; 0 = at the first record ever. */
static int choose_start(int dirfd, uint32_t segments, uint64_t *start)
{
	uint64_t first = 0;
	uint64_t last = 0;
	int r = sc_segment_range(dirfd, &first, &last);

	if (r < 0)
		return r;
	*start = 0;
	for (uint64_t n = last; n > first; n--) {
		if (last - n < segments)
			continue;
		r = has_snapshot(dirfd, n);
		if (r < 0)
			return r;
		if (r > 0) {
			*start = n;
			return 0;
		}
	}
	return 0;
}

static int replay_from(int dirfd, uint64_t start, sc_record_fn *fn, void *arg)
{
	_cleanup_(sc_walk_free) struct sc_walk *w = NULL;
	bool is_broken = false;
	int r = sc_walk_new(dirfd, start, &w);

	if (r < 0)
		return r;
	for (;;) {
		while ((r = sc_walk_next(w)) > 0) {
			r = fn(arg, &w->line.record);
			if (r != 0)
				return r;
		}
		if (r < 0)
			return r;
		if (w->fault.verdict == SC_VERDICT_OK || w->fault.is_tail)
			break;
		is_broken = true;
		if (!sc_walk_resume(w))
			break;
	}
	return is_broken ? -EBADMSG : 0;
}

int sc_journal_replay(const char *state_dir, uint32_t segments, sc_record_fn *fn, void *arg)
{
	_cleanup_close_ int state_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int dirfd = -1;
	uint64_t start = 0;
	int r;

	if (state_fd < 0)
		return -errno;
	dirfd = openat(state_fd, SC_JOURNAL_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return -errno;
	r = choose_start(dirfd, segments, &start);
	return r < 0 ? r : replay_from(dirfd, start, fn, arg);
}
