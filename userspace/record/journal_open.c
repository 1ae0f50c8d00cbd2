/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening a journal for writing: finds the end of the chain, sets aside what a crash tore, and
 * never refuses to start because of damage; a kill-switch that cannot start protects nobody.
 */
#include "record/journal_internal.h"

#include "base/diag.h"
#include "base/io.h"
#include "base/json.h"
#include "record/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>

#define HOST_ID_NAME "host-id"
#define HEAD_NAME    "head"

/* What was found at the end of the old journal, to be recorded as the first thing in the new run.
 */
struct finding {
	enum sc_record_kind kind; /* SC_RECORD_KIND_COUNT: nothing */
	struct sc_fault fault;
	uint64_t lost; /* records that the head file knows and the segments do not have */
	uint64_t bytes_aside;
};

/* Of the open file (F_OFD_SETLK): unlike with flock(2), others can ask whether it is held. */
static int take_lock(struct sc_journal *j, struct sc_diag *diag)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	j->lock_fd = openat(j->state_fd, SC_JOURNAL_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			    0600);
	if (j->lock_fd < 0)
		return sc_diag_set(diag, -errno, 0, 0, "cannot make the lock file: %m");
	if (fcntl(j->lock_fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return sc_diag_set(diag, -EBUSY, 0, 0, "another agent uses this state directory");
	return sc_diag_set(diag, -errno, 0, 0, "cannot lock the state directory: %m");
}

/* The random name of this host in its records, made once. */
static int load_host_id(struct sc_journal *j)
{
	char text[SC_UUID_TEXT_MAX + 1];
	ssize_t n = sc_read_file_at(j->state_fd, HOST_ID_NAME, text, sizeof(text));

	if (n == -ENOENT) {
		sc_uuid(text);
		sc_strcopy(text + SC_UUID_TEXT_MAX - 1, 2, "\n");
		n = sc_write_file_atomic(j->state_fd, HOST_ID_NAME, text, SC_UUID_TEXT_MAX,
					 0644 | SC_WRITE_DURABLE);
	}
	if (n < 0)
		return (int)n;
	text[strcspn(text, "\n")] = '\0';
	if (!sc_uuid_is_valid(text))
		return -EBADMSG;
	sc_strcopy(j->host_id, sizeof(j->host_id), text);
	return 0;
}

static int open_directories(struct sc_journal *j, const char *state_dir)
{
	char path[PATH_MAX];
	int r;

	if (snprintf(path, sizeof(path), "%s/" SC_JOURNAL_DIR, state_dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	r = sc_mkdir_p(path, 0700);
	if (r < 0)
		return r;
	j->state_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (j->state_fd < 0)
		return -errno;
	j->dirfd = openat(j->state_fd, SC_JOURNAL_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return j->dirfd < 0 ? -errno : 0;
}

static int open_identity(struct sc_journal *j, const struct sc_journal_options *o,
			 struct sc_diag *diag)
{
	int r = open_directories(j, o->state_dir);

	if (r < 0)
		return sc_diag_set(diag, r, 0, 0, "cannot make %s: %s", o->state_dir, strerror(-r));
	r = take_lock(j, diag);
	if (r < 0)
		return r;
	r = load_host_id(j);
	if (r < 0)
		return sc_diag_set(diag, r, 0, 0, "host-id: %s", strerror(-r));
	r = sc_seal_key_load(j->state_fd, &j->key);
	if (r < 0)
		return sc_diag_set(diag, r, 0, 0, "seal.key: %s", strerror(-r));
	r = 0;
	if (!o->boot_id)
		r = sc_boot_id(j->boot_id);
	else if (!sc_strcopy(j->boot_id, sizeof(j->boot_id), o->boot_id))
		r = -EINVAL;
	return r < 0 ? sc_diag_set(diag, r, 0, 0, "boot id: %s", strerror(-r)) : 0;
}

/* Copies what stands behind the good records of a segment into torn-<seq>, before it is cut off. */
static int keep_aside(int dirfd, int fd, uint64_t from, uint64_t seq, uint64_t *bytes)
{
	_cleanup_close_ int out = -1;
	char name[SC_SEGMENT_NAME_MAX];
	char buf[16384];
	uint64_t used = 0; /* without the NUL room at the end */
	ssize_t n;
	int r;

	snprintf(name, sizeof(name), "torn-%" PRIu64, seq);
	out = openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (out < 0)
		return -errno;
	for (uint64_t at = 0; (n = pread(fd, buf, sizeof(buf), (off_t)(from + at))) > 0;
	     at += (uint64_t)n) {
		r = sc_write_all(out, buf, (size_t)n);
		if (r < 0)
			return r;
		for (ssize_t i = 0; i < n; i++)
			used = buf[i] ? at + (uint64_t)i + 1 : used;
	}
	if (n < 0 || ftruncate(out, (off_t)used) < 0 || fdatasync(out) < 0)
		return -errno;
	*bytes = used;
	return 0;
}

/* Renames a whole segment that lies behind the torn place; an empty one goes away. */
static int put_segment_aside(int dirfd, uint64_t number, uint64_t seq)
{
	_cleanup_close_ int fd = sc_segment_open(dirfd, number, O_RDONLY);
	char from[SC_SEGMENT_NAME_MAX];
	char to[2 * SC_SEGMENT_NAME_MAX];
	int r = fd < 0 ? fd : sc_segment_is_blank(fd, 0);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	sc_segment_name(number, from);
	if (r > 0)
		return unlinkat(dirfd, from, 0) < 0 ? -errno : 0;
	snprintf(to, sizeof(to), "torn-%" PRIu64 "-%s", seq, from);
	return renameat(dirfd, from, dirfd, to) < 0 ? -errno : 0;
}

static int put_segments_aside(const struct sc_journal *j, const struct sc_walk *w)
{
	int r = 0;

	for (uint64_t n = w->last_segment; n > w->end_segment && r == 0; n--)
		r = put_segment_aside(j->dirfd, n, w->seq + 1);
	return r;
}

/* Restores the room behind the good records: torn bytes go aside, the rest is allocated and NUL. */
static int restore_room(struct sc_journal *j, struct segment *s, struct finding *found)
{
	int blank = sc_segment_is_blank(s->fd, s->offset);
	int r;

	if (blank < 0)
		return blank;
	if (blank == 0) {
		r = keep_aside(j->dirfd, s->fd, s->offset, j->seq + 1, &found->bytes_aside);
		if (r < 0)
			return r;
		if (ftruncate(s->fd, (off_t)s->offset) < 0)
			return -errno;
	}
	/* Where that fails the next record begins the next segment. */
	s->size = s->offset;
	if (s->offset < j->segment_bytes && j->os->fallocate(s->fd, (int64_t)j->segment_bytes) == 0)
		s->size = j->segment_bytes;
	return 0;
}

/*
 * Makes the last segment with good records the current one. The predecessor may have died with
 * records that are in the page cache only, so everything from its last durable segment on is
 * synced.
 */
static int take_up(struct sc_journal *j, const struct sc_walk *w, struct finding *found)
{
	struct segment *s = &j->segments[0];
	int r = put_segments_aside(j, w);

	if (r < 0)
		return r;
	for (uint64_t n = w->begin_segment; n < w->end_segment; n++) {
		_cleanup_close_ int fd = sc_segment_open(j->dirfd, n, O_RDONLY);

		if (fd >= 0 && fdatasync(fd) < 0)
			return -errno;
	}
	s->fd = sc_segment_open(j->dirfd, w->end_segment, O_RDWR);
	if (s->fd < 0)
		return s->fd;
	s->number = w->end_segment;
	s->offset = w->end_offset;
	j->seq = w->seq;
	memcpy(j->hash, w->hash, sizeof(j->hash));
	r = restore_room(j, s, found);
	if (r < 0)
		return r;
	j->prepared = s->number;
	atomic_store(&j->segment_number, s->number);
	atomic_store(&j->current, s);
	return 0;
}

/*
 * The chain is broken by more than a crash: everything stays as it is, for verify to show, and a
 * new segment goes on from the last record that anybody knows of.
 */
static void leave_behind(struct sc_journal *j, const struct sc_walk *w, const struct sc_head *head)
{
	const char *hash = w->hash;

	j->seq = w->seq;
	if (head && head->seq > w->seq) {
		j->seq = head->seq;
		hash = head->hash;
	}
	memcpy(j->hash, hash, sizeof(j->hash));
	j->prepared = SC_MAX(w->last_segment, head ? head->segment : 0);
}

/* Judges the end of the walk: nothing to say, torn by a crash, or damaged. */
static void judge(const struct sc_journal *j, const struct sc_walk *w, const struct sc_head *head,
		  struct finding *found)
{
	struct sc_fault *f = &found->fault;

	*f = w->fault;
	if (head && head->seq > w->seq)
		found->lost = head->seq - w->seq;
	if (f->verdict == SC_VERDICT_OK && found->lost) {
		f->verdict = SC_VERDICT_ROLLBACK;
		f->seq = w->seq + 1;
		sc_strcopy(f->text, sizeof(f->text), "the head file knows later records");
	}
	if (f->verdict == SC_VERDICT_OK)
		found->kind = SC_RECORD_KIND_COUNT;
	else if (sc_fault_is_torn(f, head, j->boot_id))
		found->kind = SC_RECORD_JOURNAL_TORN;
	else
		found->kind = SC_RECORD_JOURNAL_DAMAGED;
}

/* Walks to the end of what is there. head is NULL when there is none to be had. */
static int find_end(struct sc_journal *j, const struct sc_head *head, struct finding *found)
{
	_cleanup_(sc_walk_free) struct sc_walk *w = NULL;
	int r = sc_walk_new(j->dirfd, head ? head->durable_segment : 0, &w);

	if (r < 0)
		return r;
	do
		r = sc_walk_next(w);
	while (r > 0);
	if (r < 0)
		return r;
	judge(j, w, head, found);
	if (found->kind == SC_RECORD_JOURNAL_DAMAGED) {
		leave_behind(j, w, head);
		return 0;
	}
	if (w->records > 0)
		return take_up(j, w, found);
	/* The first start ever, or one that was cut off before its first record. */
	sc_strcopy(j->hash, sizeof(j->hash), SC_HASH_NONE);
	return put_segments_aside(j, w);
}

static int record_finding(struct sc_journal *j, int64_t real_ns, const struct finding *found)
{
	struct sc_held_record held;
	struct sc_str s;
	struct sc_json w;

	if (found->kind == SC_RECORD_KIND_COUNT)
		return 0;
	sc_str_init(&s, j->own, sizeof(j->own));
	sc_json_init(&w, &s);
	sc_json_object_begin(&w);
	sc_json_member_text(&w, "finding", sc_verdict_name(found->fault.verdict));
	sc_json_member_text(&w, "text", found->fault.text);
	sc_json_member_u64(&w, "segment", found->fault.segment);
	sc_json_member_u64(&w, "byte", found->fault.byte);
	sc_json_member_u64(&w, "seq", found->fault.seq);
	sc_json_member_u64(&w, "records_lost", found->lost);
	sc_json_member_u64(&w, "bytes_aside", found->bytes_aside);
	sc_json_object_end(&w);
	if (sc_journal_put(j, real_ns, found->kind, s.data, s.len) == 0)
		return 0;
	held = (struct sc_held_record){found->kind, real_ns, s.data, s.len};
	return sc_held_push(&j->held, &held);
}

static int open_head(struct sc_journal *j)
{
	j->head_fd = openat(j->state_fd, HEAD_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			    0600);
	return j->head_fd < 0 ? -errno : 0;
}

/* One segment prepared beside the current one; without a current one, two. A full disk is for
 * later. */
static int begin(struct sc_journal *j, int64_t real_ns)
{
	int r = sc_journal_prepare(j, j->prepared + 1, &j->next);

	if (r == 0 && !atomic_load(&j->current)) {
		r = sc_journal_rotate(j, real_ns);
		if (r == 0)
			r = sc_journal_prepare(j, j->prepared + 1, &j->next);
	}
	if ((r == -ENOSPC || r == -EDQUOT) && atomic_load(&j->current))
		r = 0;
	return r;
}

static int open_chain(struct sc_journal *j, int64_t real_ns)
{
	struct finding found = {.kind = SC_RECORD_KIND_COUNT};
	struct sc_head head = {0};
	bool has_head = sc_head_read(j->state_fd, &head) == 0;
	int r = find_end(j, has_head ? &head : NULL, &found);

	if (r == 0)
		r = open_head(j);
	if (r < 0)
		return r;
	atomic_store(&j->written_seq, j->seq);
	r = begin(j, real_ns);
	if (r == 0)
		r = record_finding(j, real_ns, &found);
	if (r < 0)
		return r;
	if (fdatasync(atomic_load(&j->current)->fd) < 0)
		return -errno;
	atomic_store(&j->durable_seq, j->seq);
	atomic_store(&j->durable_segment, atomic_load(&j->current)->number);
	sc_journal_write_head(j);
	sc_journal_publish_room(j);
	return fsync(j->head_fd) < 0 || fsync(j->state_fd) < 0 ? -errno : 0;
}

static int allocate(const struct sc_journal_options *o, struct sc_journal **out)
{
	uint64_t bytes = o->segment_bytes ? o->segment_bytes : SC_SEGMENT_BYTES_DEFAULT;
	uint64_t reserve = o->reserve_records ? o->reserve_records : SC_RESERVE_DEFAULT;
	struct sc_journal *j = aligned_alloc(64, (sizeof(*j) + 63) / 64 * 64);

	if (!j)
		return -ENOMEM;
	memset(j, 0, sizeof(*j));
	j->state_fd = j->lock_fd = j->dirfd = j->head_fd = -1;
	for (size_t i = 0; i < SEGMENTS_MAX; i++)
		j->segments[i].fd = -1;
	*out = j;
	j->os = o->os ? o->os : &sc_journal_os_real;
	j->segment_bytes = SC_MAX(bytes, (uint64_t)SC_SEGMENT_BYTES_MIN);
	j->reserve_bytes = SC_MIN(reserve * SC_RECORD_BYTES_MAX, j->segment_bytes / 2);
	if (sc_spsc_init(&j->ready, sizeof(struct segment *), SEGMENTS_MAX) < 0 ||
	    sc_spsc_init(&j->closed, sizeof(struct segment *), SEGMENTS_MAX) < 0 ||
	    sc_held_init(&j->held, o->held_bytes ? o->held_bytes : SC_HELD_BYTES_DEFAULT) < 0)
		return -ENOMEM;
	return 0;
}

int sc_journal_open(const struct sc_journal_options *options, const struct sc_time *now,
		    struct sc_journal **out, struct sc_diag *diag)
{
	_cleanup_(sc_journal_close) struct sc_journal *j = NULL;
	int r;

	if (sodium_init() < 0)
		return sc_diag_set(diag, -EIO, 0, 0, "libsodium cannot start");
	r = allocate(options, &j);
	if (r < 0)
		return sc_diag_set(diag, r, 0, 0, "no memory for the journal");
	r = open_identity(j, options, diag);
	if (r < 0)
		return r;
	r = open_chain(j, now->real_ns);
	if (r < 0)
		return sc_diag_set(diag, r, 0, 0, "journal in %s: %s", options->state_dir,
				   strerror(-r));
	*out = SC_TAKE_PTR(j);
	return 0;
}

void sc_journal_close(struct sc_journal **journal)
{
	struct sc_journal *j = *journal;

	if (!j)
		return;
	for (size_t i = 0; i < SEGMENTS_MAX; i++)
		sc_close(&j->segments[i].fd);
	sc_close(&j->head_fd);
	sc_close(&j->dirfd);
	sc_close(&j->lock_fd);
	sc_close(&j->state_fd);
	sc_held_done(&j->held);
	sc_spsc_done(&j->ready);
	sc_spsc_done(&j->closed);
	sodium_memzero(&j->key, sizeof(j->key));
	free(j);
	*journal = NULL;
}
