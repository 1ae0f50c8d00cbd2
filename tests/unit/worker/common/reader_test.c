/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/common/reader.h"

#include "base/mem.h"
#include "record/segment.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define SEGMENTS_MAX  12
#define PER_SEGMENT   10
#define SEGMENT_BYTES 65536 /* with room that is NUL */
#define BOOT          "11111111-1111-4111-8111-111111111111"
#define HOST          "22222222-2222-4222-8222-222222222222"

/* A journal in memory: segment n is fd[n - 1]. */
struct paper {
	int fd[SEGMENTS_MAX];
	size_t used[SEGMENTS_MAX];
	unsigned int n, taken; /* the oldest ones that somebody took away */
	uint64_t seq;
	char hash[SC_HASH_TEXT_MAX];
	struct sc_reader reader;
};

static int open_segment(void *arg, uint64_t number)
{
	struct paper *p = arg;

	p->reader.first = p->taken + 1;
	if (number <= p->taken || number > p->n)
		return -ENOENT;
	return fcntl(p->fd[number - 1], F_DUPFD_CLOEXEC, 0);
}

static void add_segment(struct paper *p)
{
	int fd = memfd_create("segment", MFD_CLOEXEC);

	cr_assert_lt(p->n, SEGMENTS_MAX);
	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, SEGMENT_BYTES), 0);
	p->fd[p->n++] = fd;
}

static void write_record(struct paper *p, enum sc_record_kind kind, const char *body)
{
	char line[SC_RECORD_BYTES_MAX];
	char prev[SC_HASH_TEXT_MAX];
	const struct sc_envelope envelope = {
		.seq = ++p->seq, .real_ns = 1, .kind = kind, .boot_id = BOOT, .prev = prev};
	size_t n;

	memcpy(prev, p->hash, sizeof(prev));
	n = sc_line_format(line, &envelope, body, strlen(body), p->hash);
	cr_assert_eq(pwrite(p->fd[p->n - 1], line, n, (off_t)p->used[p->n - 1]), (ssize_t)n);
	p->used[p->n - 1] += n;
}

/* Segments of PER_SEGMENT records, the first of each its header. */
static void write_segments(struct paper *p, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		add_segment(p);
		write_record(p, SC_RECORD_SEGMENT, "{\"format\":1,\"host\":\"" HOST "\"}");
		for (unsigned int k = 1; k < PER_SEGMENT; k++)
			write_record(p, SC_RECORD_FACT, "{\"text\":\"x\"}");
	}
}

static void paper_init(struct paper *p)
{
	*p = (struct paper){.hash = SC_HASH_NONE};
	cr_assert_eq(sc_reader_init(&p->reader, open_segment, p), 0);
}

static void paper_done(struct paper *p)
{
	sc_reader_done(&p->reader);
	for (unsigned int i = 0; i < p->n; i++)
		close(p->fd[i]);
}
#define _cleanup_paper_ _cleanup_(paper_done)

Test(reader, finds_every_record_and_reads_on_from_there)
{
	_cleanup_paper_ struct paper p;

	paper_init(&p);
	write_segments(&p, 7);
	add_segment(&p); /* made before it is needed */
	for (uint64_t seq = 1; seq <= p.seq; seq++) {
		cr_assert_eq(sc_reader_seek(&p.reader, seq), 0);
		for (uint64_t next = seq; next <= p.seq; next++) {
			cr_assert_eq(sc_reader_next(&p.reader), 1, "%lu after %lu", next, seq);
			cr_assert_eq(p.reader.line.record.seq, next);
		}
		cr_assert_eq(sc_reader_next(&p.reader), 0);
	}
	cr_expect_str_eq(p.reader.host_id, HOST);
	cr_expect_eq(p.reader.damaged, 0);
}

/* An operator makes room: what follows must not be unheard of from then on. */
Test(reader, finds_what_is_left_when_the_oldest_segments_were_taken_away)
{
	enum { SEGMENTS = 11 };
	_cleanup_paper_ struct paper p;

	paper_init(&p);
	write_segments(&p, SEGMENTS);
	add_segment(&p);
	for (p.taken = 1; p.taken < SEGMENTS; p.taken++) {
		uint64_t oldest = p.taken * PER_SEGMENT + 1;

		for (uint64_t seq = 1; seq <= p.seq; seq++) {
			cr_assert_eq(sc_reader_seek(&p.reader, seq), 0, "%lu", seq);
			cr_assert_eq(sc_reader_next(&p.reader), 1);
			cr_assert_eq(p.reader.line.record.seq, SC_MAX(seq, oldest));
		}
		cr_assert_eq(sc_reader_seek(&p.reader, p.seq + 1), 0);
		cr_assert_eq(sc_reader_next(&p.reader), 0);
	}
}

Test(reader, goes_on_where_the_journal_grows)
{
	_cleanup_paper_ struct paper p;

	paper_init(&p);
	cr_assert_eq(sc_reader_seek(&p.reader, 1), -ENOENT);
	write_segments(&p, 1);
	cr_assert_eq(sc_reader_seek(&p.reader, p.seq + 1), 0);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(sc_reader_next(&p.reader), 0);
		write_record(&p, SC_RECORD_FACT, "{}");
		cr_assert_eq(sc_reader_next(&p.reader), 1);
		cr_assert_eq(p.reader.line.record.seq, p.seq);
		write_segments(&p, 1);
		for (int k = 0; k < PER_SEGMENT; k++)
			cr_assert_eq(sc_reader_next(&p.reader), 1);
		cr_assert_eq(p.reader.line.record.seq, p.seq);
	}
}

Test(reader, waits_for_a_line_that_is_not_whole_yet)
{
	_cleanup_paper_ struct paper p;
	char line[SC_RECORD_BYTES_MAX];
	size_t end, half;

	paper_init(&p);
	write_segments(&p, 1);
	end = p.used[0];
	write_record(&p, SC_RECORD_FACT, "{\"text\":\"in two steps\"}");
	half = p.used[0] - 20;
	cr_assert_eq(pread(p.fd[0], line, 20, (off_t)half), 20);
	cr_assert_eq(pwrite(p.fd[0], (char[20]){0}, 20, (off_t)half), 20);
	cr_assert_lt(end, half);
	cr_assert_eq(sc_reader_seek(&p.reader, p.seq), 0);
	cr_assert_eq(sc_reader_next(&p.reader), 0);
	cr_assert_eq(pwrite(p.fd[0], line, 20, (off_t)half), 20);
	cr_assert_eq(sc_reader_next(&p.reader), 1);
	cr_expect_eq(p.reader.line.record.seq, p.seq);
	cr_expect_eq(p.reader.damaged, 0);
}

Test(reader, passes_over_damage_and_counts_it)
{
	_cleanup_paper_ struct paper p;
	char prev[SC_HASH_TEXT_MAX];

	paper_init(&p);
	write_segments(&p, 2);
	/* A bit in the middle of the second record, which follows the header. */
	cr_assert_eq(pwrite(p.fd[0], "?", 1, (off_t)(p.used[0] / PER_SEGMENT + 100)), 1);
	cr_assert_eq(sc_reader_seek(&p.reader, 1), 0);
	cr_assert_eq(sc_reader_next(&p.reader), 1);
	memcpy(prev, p.reader.line.hash, sizeof(prev));
	cr_assert_eq(sc_reader_next(&p.reader), 1);
	cr_expect_eq(p.reader.line.record.seq, 3, "the second one is not readable");
	cr_expect_str_neq(p.reader.line.prev, prev);
	cr_expect_gt(p.reader.damaged, 0);
}
