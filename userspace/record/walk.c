/* SPDX-License-Identifier: Apache-2.0 */
#include "record/walk.h"

#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

/* How often bytes that are no record are read again, before they are believed. */
#define REREADS 8

enum piece {
	PIECE_LINE,    /* bytes up to a newline */
	PIECE_BLANK,   /* NUL or nothing up to the end of the segment */
	PIECE_PARTIAL, /* a line without its end, then NUL or nothing */
	PIECE_GARBAGE, /* anything else */
};

int sc_boot_id(char out[static 37])
{
	char text[64];
	ssize_t n = sc_read_file_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", text,
				    sizeof(text));

	if (n < 0)
		return (int)n;
	text[strcspn(text, "\n")] = '\0';
	return sc_strcopy(out, 37, text) ? 0 : -EBADMSG;
}

int sc_walk_new(int dirfd, uint64_t from, struct sc_walk **out)
{
	_cleanup_(sc_walk_free) struct sc_walk *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->dirfd = dirfd;
	w->fd = -1;
	r = sc_segment_range(dirfd, &w->first_segment, &w->last_segment);
	if (r < 0)
		return r;
	w->trusting = from > 0;
	w->segment = w->begin_segment = from ? from : 1;
	sc_strcopy(w->hash, sizeof(w->hash), SC_HASH_NONE);
	*out = SC_TAKE_PTR(w);
	return 0;
}

void sc_walk_free(struct sc_walk **walk)
{
	if (*walk)
		sc_close(&(*walk)->fd);
	free(*walk);
	*walk = NULL;
}

/* Records the first fault at the present place; returns 0, the end of the walk. */
static int fault(struct sc_walk *w, enum sc_verify_verdict verdict, const char *what)
{
	w->fault = (struct sc_fault){
		.verdict = verdict,
		.segment = w->segment,
		.line = w->line_number + 1,
		.byte = w->offset,
		.seq = w->seq + 1,
	};
	sc_strcopy(w->fault.text, sizeof(w->fault.text), what);
	return 0;
}

/* Moves the rest to the front of the buffer and reads behind it. */
static int refill(struct sc_walk *w)
{
	uint64_t at = w->offset + (w->end - w->begin);
	ssize_t n;

	memmove(w->buf, w->buf + w->begin, w->end - w->begin);
	w->end -= w->begin;
	w->begin = 0;
	do
		n = pread(w->fd, w->buf + w->end, sizeof(w->buf) - w->end, (off_t)at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	w->eof = n == 0;
	w->end += (size_t)n;
	return 0;
}

/* What stands at the present place, the buffer first, then the file behind it. */
static int look(struct sc_walk *w, enum piece *piece, size_t *n)
{
	size_t len;
	size_t text;
	int r;

	while (w->end - w->begin < SC_RECORD_BYTES_MAX && !w->eof) {
		r = refill(w);
		if (r < 0)
			return r;
	}
	len = SC_MIN(w->end - w->begin, (size_t)SC_RECORD_BYTES_MAX);
	text = strnlen(w->buf + w->begin, len);
	if (text > 0) {
		const char *newline = memchr(w->buf + w->begin, '\n', text);

		if (newline) {
			*n = (size_t)(newline - (w->buf + w->begin));
			*piece = PIECE_LINE;
			return 0;
		}
		if (text == SC_RECORD_BYTES_MAX) {
			*piece = PIECE_GARBAGE;
			return 0;
		}
	}
	r = sc_segment_is_blank(w->fd, w->offset + text);
	if (r < 0)
		return r;
	*piece = r == 0 ? PIECE_GARBAGE : text == 0 ? PIECE_BLANK : PIECE_PARTIAL;
	return 0;
}

/*
 * What stands at the present place; for PIECE_LINE *n is its length without the newline. A writer
 * may have gone on since the buffer was read, so that the file no longer fits to it: garbage is
 * only what is still garbage when it is read again.
 */
static int next_piece(struct sc_walk *w, enum piece *piece, size_t *n)
{
	int r = look(w, piece, n);

	for (int i = 0; r == 0 && *piece == PIECE_GARBAGE && i < REREADS; i++) {
		w->begin = w->end = 0;
		w->eof = false;
		r = look(w, piece, n);
	}
	return r;
}

static int enter(struct sc_walk *w, uint64_t segment)
{
	sc_close(&w->fd);
	w->segment = segment;
	w->offset = 0;
	w->line_number = 0;
	w->begin = w->end = 0;
	w->eof = false;
	w->fd = sc_segment_open(w->dirfd, segment, O_RDONLY);
	return w->fd;
}

/* All later segments are without a record. */
static int is_blank_after(const struct sc_walk *w)
{
	for (uint64_t s = w->segment + 1; s <= w->last_segment; s++) {
		_cleanup_close_ int fd = sc_segment_open(w->dirfd, s, O_RDONLY);
		int r = fd < 0 ? fd : sc_segment_is_blank(fd, 0);

		if (r == -ENOENT)
			continue;
		if (r <= 0)
			return r;
	}
	return 1;
}

/*
 * After a write error the loop leaves a segment with a piece of a record at its end, or with
 * nothing at all, and says so in the header of the next one. True when this header says that of a
 * segment whose good records end at `bytes`.
 */
static bool header_excuses(const struct sc_line *line, uint64_t bytes)
{
	json_int_t told = -1;
	int broken = 0;
	json_t *body;

	if (line->record.kind != SC_RECORD_SEGMENT)
		return false;
	body = json_loadb(line->record.body, line->record.body_len, JSON_REJECT_DUPLICATES, NULL);
	if (!body)
		return false;
	json_unpack(body, "{s:b,s:I}", "previous_broken", &broken, "previous_bytes", &told);
	json_decref(body);
	return broken && told >= 0 && (uint64_t)told == bytes;
}

/* The same of the next segment's header, which has to continue the chain from here. */
static bool next_header_excuses(const struct sc_walk *w)
{
	char buf[SC_RECORD_BYTES_MAX];
	_cleanup_close_ int fd = sc_segment_open(w->dirfd, w->segment + 1, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : pread(fd, buf, sizeof(buf), 0);
	const char *newline = n > 0 ? memchr(buf, '\n', (size_t)n) : NULL;
	struct sc_line line;

	return newline && sc_line_parse(buf, (size_t)(newline - buf), &line) == 0 &&
	       line.record.seq == w->seq + 1 && strcmp(line.prev, w->hash) == 0 &&
	       header_excuses(&line, w->offset);
}

/* Is the record at hand the one that has to follow? */
static bool follows(struct sc_walk *w)
{
	const struct sc_record *rec = &w->line.record;
	bool is_header = rec->kind == SC_RECORD_SEGMENT;

	if (w->trusting) {
		if (!is_header)
			return fault(w, SC_VERDICT_CORRUPT,
				     "the segment does not begin with its header");
		w->trusting = false;
		return true;
	}
	if (w->blank_segment && !header_excuses(&w->line, 0))
		return fault(w, SC_VERDICT_MISSING, "a segment without a record stands before it");
	w->blank_segment = 0;
	if (rec->seq > w->seq + 1)
		return fault(w, SC_VERDICT_MISSING, "a record is missing before it");
	if (rec->seq < w->seq + 1) {
		fault(w, SC_VERDICT_CORRUPT, "a record stands here again");
		w->fault.is_repeat = true;
		return false;
	}
	if (strcmp(w->line.prev, w->hash) != 0)
		return fault(w, SC_VERDICT_CORRUPT,
			     "the record before it is not the one it was chained to");
	if (is_header != (w->offset == 0))
		return fault(w, SC_VERDICT_CORRUPT, "a segment header stands in the wrong place");
	return true;
}

static int take_line(struct sc_walk *w, size_t n)
{
	if (sc_line_parse(w->buf + w->begin, n, &w->line) < 0)
		return fault(w, SC_VERDICT_CORRUPT, "the record is not what its hash says");
	if (!follows(w))
		return 0;
	w->segments += w->offset == 0;
	w->records++;
	w->seq = w->line.record.seq;
	memcpy(w->hash, w->line.hash, sizeof(w->hash));
	w->line_number++;
	w->begin += n + 1;
	w->offset += n + 1;
	w->end_segment = w->segment;
	w->end_offset = w->offset;
	return 1;
}

/* Returns 1 to look again in the next segment, 0 at the end of the walk. */
static int leave_segment(struct sc_walk *w)
{
	if (w->offset == 0)
		w->blank_segment = w->segment;
	if (w->segment >= w->last_segment)
		return 0;
	enter(w, w->segment + 1);
	if (w->fd == -ENOENT)
		return fault(w, SC_VERDICT_MISSING, "the segment is missing");
	return w->fd < 0 ? w->fd : 1;
}

static int bad_piece(struct sc_walk *w, enum piece piece)
{
	int r;

	if (next_header_excuses(w))
		return leave_segment(w);
	fault(w, SC_VERDICT_CORRUPT, "bytes that are no record");
	if (piece != PIECE_PARTIAL)
		return 0;
	r = is_blank_after(w);
	w->fault.is_tail = r > 0;
	if (r > 0)
		sc_strcopy(w->fault.text, sizeof(w->fault.text), "the last record is incomplete");
	return SC_MIN(r, 0);
}

int sc_walk_next(struct sc_walk *w)
{
	enum piece piece = PIECE_BLANK;
	size_t n = 0;
	int r;

	if (w->fault.verdict != SC_VERDICT_OK)
		return 0;
	if (w->fd < 0) {
		enter(w, w->segment);
		if (w->fd == -ENOENT)
			return w->last_segment == 0
				       ? 0
				       : fault(w, SC_VERDICT_MISSING, "the segment is missing");
		if (w->fd < 0)
			return w->fd;
	}
	do {
		r = next_piece(w, &piece, &n);
		if (r < 0)
			return r;
		if (piece == PIECE_LINE)
			return take_line(w, n);
		r = piece == PIECE_BLANK ? leave_segment(w) : bad_piece(w, piece);
	} while (r > 0);
	return r;
}

bool sc_walk_resume(struct sc_walk *w)
{
	do {
		if (w->segment >= w->last_segment)
			return false;
		enter(w, w->segment + 1);
	} while (w->fd < 0);
	w->fault = (struct sc_fault){0};
	w->blank_segment = 0;
	w->trusting = true;
	return true;
}

bool sc_fault_is_torn(const struct sc_fault *f, const struct sc_head *head, const char *boot_id)
{
	if (f->is_tail)
		return true;
	return head && strcmp(head->boot_id, boot_id) != 0 && f->seq > head->durable_seq;
}
