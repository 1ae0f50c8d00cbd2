/* SPDX-License-Identifier: Apache-2.0 */
/* Every way to spoil a journal that we know of, and the verdict on it. */
#include "unit/record/fixture.h"

#include "record/line.h"
#include "record/segment.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static void cut_bytes(struct file *f, size_t from, size_t to)
{
	memmove(f->data + from, f->data + to, f->n - to);
	memset(f->data + f->n - (to - from), 0, to - from);
}

static void insert_bytes(struct file *f, size_t at, const char *bytes, size_t n)
{
	memmove(f->data + at + n, f->data + at, f->n - at - n);
	memcpy(f->data + at, bytes, n);
}

static void remove_line(struct file *f)
{
	cut_bytes(f, file_line(f, 1), file_line(f, 2));
}

static void remove_first_lines(struct file *f)
{
	cut_bytes(f, 0, file_line(f, 2));
}

static void remove_last_line(struct file *f)
{
	cut_bytes(f, file_line(f, 4), file_line(f, 5));
}

static void tear_last_line(struct file *f)
{
	size_t at = file_line(f, 5) - 20;

	memset(f->data + at, 0, f->n - at);
}

static void tear_two_lines(struct file *f)
{
	size_t at = file_line(f, 4) - 20;

	memset(f->data + at, 0, f->n - at);
}

static void swap_lines(struct file *f)
{
	size_t a = file_line(f, 1), b = file_line(f, 2), c = file_line(f, 3);
	char *first = strndup(f->data + a, b - a);

	memmove(f->data + a, f->data + b, c - b);
	memcpy(f->data + a + (c - b), first, b - a);
	free(first);
}

static void repeat_line(struct file *f)
{
	size_t a = file_line(f, 1), b = file_line(f, 2);
	char *line = strndup(f->data + a, b - a);

	insert_bytes(f, file_line(f, 4), line, b - a);
	free(line);
}

static void repeat_last_line(struct file *f)
{
	size_t a = file_line(f, 4), b = file_line(f, 5);
	char *line = strndup(f->data + a, b - a);

	insert_bytes(f, b, line, b - a);
	free(line);
}

/* A well-formed record of our own making. */
static size_t forge(char *out, uint64_t seq, const char *prev, const char *body)
{
	char hash[SC_HASH_TEXT_MAX];
	struct sc_envelope envelope = {
		.seq = seq,
		.real_ns = time_at(1).real_ns,
		.kind = SC_RECORD_FACT,
		.boot_id = BOOT_A,
		.prev = prev,
	};

	return sc_line_format(out, &envelope, body, strlen(body), hash);
}

static void insert_forged_line(struct file *f)
{
	static char line[SC_RECORD_BYTES_MAX];
	size_t n = forge(line, 3, SC_HASH_NONE, "{\"n\":\"forged\"}");

	insert_bytes(f, file_line(f, 2), line, n);
}

/* The same seq as the last record, chained like it, with another content. */
static void fork_last_line(struct file *f)
{
	static char line[SC_RECORD_BYTES_MAX];
	struct sc_line last;
	size_t at = file_line(f, 4);
	size_t n;

	cr_assert_eq(sc_line_parse(f->data + at, file_line(f, 5) - at - 1, &last), 0);
	n = forge(line, 5, last.prev, "{\"n\":\"other\"}");
	insert_bytes(f, file_line(f, 5), line, n);
}

/* One record rewritten with a right hash of its own: the next one is still chained to the old. */
static void rewrite_line(struct file *f)
{
	static char line[SC_RECORD_BYTES_MAX];
	struct sc_line old;
	size_t at = file_line(f, 1);
	size_t end = file_line(f, 2);
	size_t n;

	cr_assert_eq(sc_line_parse(f->data + at, end - at - 1, &old), 0);
	n = forge(line, 2, old.prev, "{\"n\":9}");
	cr_assert_eq(n, end - at);
	memcpy(f->data + at, line, n);
}

/* The last record rewritten: the chain is whole, only the head file knows better. */
static void rewrite_last_line(struct file *f)
{
	static char line[SC_RECORD_BYTES_MAX];
	struct sc_line old;
	size_t at = file_line(f, 4);
	size_t end = file_line(f, 5);

	cr_assert_eq(sc_line_parse(f->data + at, end - at - 1, &old), 0);
	forge(line, 5, old.prev, "{\"n\":9}");
	memcpy(f->data + at, line, end - at);
}

static void garbage_in_room(struct file *f)
{
	f->data[f->n - 1] = 'x';
}

static void nothing_left(struct file *f)
{
	memset(f->data, 0, f->n);
}

static void no_room(struct file *f)
{
	f->n = file_used(f);
}

Test(verify, tells_each_kind_of_damage)
{
	static const struct {
		const char *name;
		void (*spoil)(struct file *f);
		enum sc_verify_verdict verdict;
		uint64_t seq;
	} cases[] = {
		{"untouched", NULL, SC_VERDICT_OK, 0},
		{"without NUL room", no_room, SC_VERDICT_OK, 0},
		{"record removed", remove_line, SC_VERDICT_MISSING, 2},
		{"first records removed", remove_first_lines, SC_VERDICT_MISSING, 1},
		{"all records removed", nothing_left, SC_VERDICT_ROLLBACK, 1},
		{"last record removed", remove_last_line, SC_VERDICT_ROLLBACK, 5},
		{"last record torn", tear_last_line, SC_VERDICT_TORN, 5},
		{"torn, and more gone", tear_two_lines, SC_VERDICT_ROLLBACK, 5},
		{"records swapped", swap_lines, SC_VERDICT_MISSING, 2},
		{"record repeated later", repeat_line, SC_VERDICT_CORRUPT, 5},
		{"last record repeated", repeat_last_line, SC_VERDICT_CORRUPT, 6},
		{"record inserted", insert_forged_line, SC_VERDICT_CORRUPT, 3},
		{"last record twice", fork_last_line, SC_VERDICT_FORK, 6},
		{"record rewritten", rewrite_line, SC_VERDICT_CORRUPT, 3},
		{"last record rewritten", rewrite_last_line, SC_VERDICT_FORK, 5},
		{"garbage in the room", garbage_in_room, SC_VERDICT_CORRUPT, 6},
	};
	_cleanup_place_ struct place p = place_new();
	_cleanup_file_ struct file good = {0};

	write_small(p.dir);
	good = file_read(p.dir, SEGMENT_1);
	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct file f = file_read(p.dir, SEGMENT_1);
		struct sc_verify_report report;

		if (cases[i].spoil)
			cases[i].spoil(&f);
		file_write(p.dir, SEGMENT_1, &f);
		verdict_in(p.dir, BOOT_A, &report);
		cr_expect_eq(report.verdict, cases[i].verdict, "%s: %s: %s", cases[i].name,
			     sc_verdict_name(report.verdict), report.text);
		cr_expect_eq(report.fault_seq, cases[i].seq, "%s: at %lu", cases[i].name,
			     (unsigned long)report.fault_seq);
		file_write(p.dir, SEGMENT_1, &good);
		file_done(&f);
	}
}

Test(verify, notices_every_flipped_bit, .timeout = 300)
{
	_cleanup_place_ struct place p = place_new();
	_cleanup_file_ struct file f = {0};
	struct sc_verify_report report;
	size_t used;
	int fd;

	write_small(p.dir);
	f = file_read(p.dir, SEGMENT_1);
	used = file_used(&f);
	/* A short file: the room has a test of its own, and reading it would take the time here. */
	f.n = used;
	file_write(p.dir, SEGMENT_1, &f);
	{
		char path[256];

		snprintf(path, sizeof(path), "%s/%s", p.dir, SEGMENT_1);
		fd = open(path, O_WRONLY | O_CLOEXEC);
	}
	cr_assert(fd >= 0);
	for (size_t bit = 0; bit < used * 8; bit++) {
		char c = (char)(f.data[bit / 8] ^ (1 << (bit % 8)));

		cr_assert_eq(pwrite(fd, &c, 1, (off_t)(bit / 8)), 1);
		cr_assert_neq(verdict_in(p.dir, BOOT_A, &report), SC_VERDICT_OK, "bit %zu", bit);
		/* Only the newline of the last record can look like a torn tail. */
		cr_assert(report.verdict != SC_VERDICT_TORN || bit / 8 >= file_line(&f, 4),
			  "bit %zu", bit);
		cr_assert_eq(pwrite(fd, &f.data[bit / 8], 1, (off_t)(bit / 8)), 1);
	}
	close(fd);
	cr_expect_eq(verdict_at(p.dir), SC_VERDICT_OK);
}

Test(verify, a_tail_torn_at_any_byte_is_no_attack, .timeout = 300)
{
	_cleanup_place_ struct place p = place_new();
	_cleanup_file_ struct file f = {0};
	size_t begin, end;

	write_small(p.dir);
	f = file_read(p.dir, SEGMENT_1);
	begin = file_line(&f, 4);
	end = file_line(&f, 5);
	for (size_t at = begin + 1; at < end; at++) {
		_cleanup_place_ struct place copy = place_new();
		struct sc_verify_report report;
		struct sc_time now = time_at(9);
		struct sc_journal *j;

		place_copy(p.dir, copy.dir);
		memset(f.data + at, 0, end - at);
		file_write(copy.dir, SEGMENT_1, &f);
		cr_assert_eq(verdict_in(copy.dir, BOOT_A, &report), SC_VERDICT_TORN, "byte %zu: %s",
			     at, report.text);
		cr_assert_eq(report.fault_byte, begin);
		/* The next start puts it aside, says so, and the journal is whole again. */
		j = journal_at(copy.dir);
		cr_assert_eq(sc_journal_seal(j, &now, NULL), 0);
		sc_journal_close(&j);
		cr_assert_eq(verdict_in(copy.dir, BOOT_A, &report), SC_VERDICT_OK, "byte %zu: %s",
			     at, report.text);
		if (at == begin + 7) {
			_cleanup_file_ struct file torn = file_read(copy.dir, "journal/torn-5");
			_cleanup_file_ struct file after = file_read(copy.dir, SEGMENT_1);

			cr_expect_eq(torn.n, 7);
			cr_expect_eq(memcmp(torn.data, f.data + begin, 7), 0);
			cr_expect_not_null(strstr(after.data, "\"kind\":\"journal.torn\""));
		}
		file_done(&f);
		f = file_read(p.dir, SEGMENT_1);
	}
}
