/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/common/reader.h"

#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <string.h>

/* As journal.c writes it into the body of each segment's first record. */
#define HOST_MARK "\"host\":\""

int sc_reader_init(struct sc_reader *r, sc_reader_open_fn *open, void *arg)
{
	*r = (struct sc_reader){.open = open, .arg = arg, .fd = -1};
	r->buf = malloc(SC_READER_BYTES);
	return r->buf ? 0 : -ENOMEM;
}

void sc_reader_done(struct sc_reader *r)
{
	sc_close(&r->fd);
	free(r->buf);
	r->buf = NULL;
}

static int enter(struct sc_reader *r, uint64_t number)
{
	int fd = r->open(r->arg, number);

	if (fd < 0)
		return fd;
	sc_close(&r->fd);
	r->fd = fd;
	r->segment = number;
	r->offset = 0;
	r->begin = r->end = 0;
	return 0;
}

/* Reads what stands behind the bytes that are there: how many came, or -errno. */
static ssize_t refill(struct sc_reader *r)
{
	ssize_t n;

	memmove(r->buf, r->buf + r->begin, r->end - r->begin);
	r->end -= r->begin;
	r->begin = 0;
	do
		n = pread(r->fd, r->buf + r->end, SC_READER_BYTES - r->end,
			  (off_t)(r->offset + r->end));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	/* The end of what is written: it is looked at anew the next time. */
	n = (ssize_t)strnlen(r->buf + r->end, (size_t)n);
	r->end += (size_t)n;
	return n;
}

/* Length of the line that is next, its newline not counted: 1, 0 when it is not whole, -errno. */
static int find_line(struct sc_reader *r, size_t *n)
{
	for (;;) {
		const char *begin = r->buf + r->begin;
		const char *newline = memchr(begin, '\n', r->end - r->begin);
		ssize_t more;

		if (newline) {
			*n = (size_t)(newline - begin);
			return 1;
		}
		if (r->end - r->begin == SC_READER_BYTES) { /* never a line: passed over */
			*n = r->end - r->begin - 1;
			return 1;
		}
		more = refill(r);
		if (more <= 0)
			return (int)more;
	}
}

static void note_host(struct sc_reader *r)
{
	const struct sc_record *record = &r->line.record;
	const char *host = record->kind == SC_RECORD_SEGMENT
				   ? memmem(record->body, record->body_len, HOST_MARK,
					    strlen(HOST_MARK))
				   : NULL;

	if (host && (size_t)(record->body + record->body_len - host) >
			    strlen(HOST_MARK) + SC_HOST_ID_TEXT_MAX) {
		memcpy(r->host_id, host + strlen(HOST_MARK), SC_HOST_ID_TEXT_MAX - 1);
		r->host_id[SC_HOST_ID_TEXT_MAX - 1] = '\0';
	}
}

/* The next good line of this segment: 1, 0 at the end of what is written, -errno. */
static int next_here(struct sc_reader *r)
{
	size_t n;
	int found;

	while ((found = find_line(r, &n)) == 1) {
		const char *text = r->buf + r->begin;

		r->begin += n + 1;
		r->offset += n + 1;
		if (sc_line_parse(text, n, &r->line) == 0) {
			note_host(r);
			return 1;
		}
		r->damaged++;
	}
	return found;
}

int sc_reader_next(struct sc_reader *r)
{
	int found;

	if (!r->segment)
		return 0;
	found = next_here(r);
	if (found != 0)
		return found;
	/* The next segment is made before it is needed: it counts once something is in it. */
	for (uint64_t number = r->segment + 1;; number++) {
		_cleanup_close_ int fd = r->open(r->arg, number);
		char first = '\0';

		if (fd < 0)
			return fd == -ENOENT ? 0 : fd;
		if (pread(fd, &first, 1, 0) == 1 && first != '\0')
			break;
	}
	/* What came into the old one meanwhile is first. */
	found = next_here(r);
	if (found != 0)
		return found;
	found = enter(r, r->segment + 1);
	return found < 0 ? found : sc_reader_next(r);
}

/* The number of the segment's first record: 1 and *seq, or 0 when it has none, or -errno. */
static int probe(struct sc_reader *r, uint64_t number, uint64_t *seq)
{
	int found = enter(r, number);

	if (found == 0)
		found = next_here(r);
	if (found == 1)
		*seq = r->line.record.seq;
	return found == -ENOENT ? 0 : found;
}

/* The last segment that begins at or before seq, or the oldest: doubles, then halves. */
static int find_segment(struct sc_reader *r, uint64_t wanted, uint64_t *out)
{
	uint64_t base, low, high, seq = 0;
	/* Whether or not it is there, the answer tells which is the oldest. */
	int found = probe(r, SC_MAX(r->first, 1ULL), &seq);

	if (found < 0)
		return found;
	low = base = SC_MAX(r->first, 1ULL) - 1;
	high = base + 1;
	while ((found = probe(r, high, &seq)) == 1 && seq <= wanted) {
		low = high;
		high = base + 2 * (high - base);
	}
	while (found >= 0 && high - low > 1) {
		uint64_t middle = low + (high - low) / 2;

		found = probe(r, middle, &seq);
		if (found == 1 && seq <= wanted)
			low = middle;
		else
			high = middle;
	}
	*out = SC_MAX(low, base + 1);
	return found < 0 ? found : 0;
}

int sc_reader_seek(struct sc_reader *r, uint64_t seq)
{
	uint64_t number;
	int found = find_segment(r, seq, &number);

	if (found == 0)
		found = enter(r, number);
	while (found == 0) {
		found = sc_reader_next(r);
		if (found != 1)
			return found; /* nothing of it yet: next goes on here; or -errno */
		if (r->line.record.seq < seq) {
			found = 0;
			continue;
		}
		/* One step back: next gives it again. It is still in the buffer. */
		r->offset -= r->line.record.line_len + 1;
		r->begin -= r->line.record.line_len + 1;
		return 0;
	}
	return found;
}
