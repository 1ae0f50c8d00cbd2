/* SPDX-License-Identifier: Apache-2.0 */
/* Every way to spoil a journal that we know of, and the verdict on it. */
#include "unit/record/fixture.h"

#include "record/line.h"
#include "record/segment.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A small journal, sealed, with records after the seal: seq 1 header, 2 and 3 facts, 4 seal, 5
 * fact. */
static void write_small(const char *dir)
{
	struct sc_journal *j = journal_at(dir);
	struct sc_time now = time_at(2);

	append(j, "{\"n\":1}");
	append(j, "{\"n\":2}");
	cr_assert_eq(sc_journal_seal(j, &now, NULL), 0);
	append(j, "{\"n\":3}");
	sc_journal_close(&j);
}

/* Start of line number n (from 0), or the end of the last one. */
static size_t line_at(const struct file *f, unsigned int n)
{
	size_t at = 0;

	while (n-- > 0)
		at += strcspn(f->data + at, "\n") + 1;
	return at;
}

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
	cut_bytes(f, line_at(f, 1), line_at(f, 2));
}

static void remove_first_lines(struct file *f)
{
	cut_bytes(f, 0, line_at(f, 2));
}

static void remove_last_line(struct file *f)
{
	cut_bytes(f, line_at(f, 4), line_at(f, 5));
}

static void tear_last_line(struct file *f)
{
	size_t at = line_at(f, 5) - 20;

	memset(f->data + at, 0, f->n - at);
}

static void tear_two_lines(struct file *f)
{
	size_t at = line_at(f, 4) - 20;

	memset(f->data + at, 0, f->n - at);
}

static void swap_lines(struct file *f)
{
	size_t a = line_at(f, 1), b = line_at(f, 2), c = line_at(f, 3);
	char *first = strndup(f->data + a, b - a);

	memmove(f->data + a, f->data + b, c - b);
	memcpy(f->data + a + (c - b), first, b - a);
	free(first);
}

static void repeat_line(struct file *f)
{
	size_t a = line_at(f, 1), b = line_at(f, 2);
	char *line = strndup(f->data + a, b - a);

	insert_bytes(f, line_at(f, 4), line, b - a);
	free(line);
}

static void repeat_last_line(struct file *f)
{
	size_t a = line_at(f, 4), b = line_at(f, 5);
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

	insert_bytes(f, line_at(f, 2), line, n);
}

/* The same seq as the last record, chained like it, with another content. */
static void fork_last_line(struct file *f)
{
	static char line[SC_RECORD_BYTES_MAX];
	struct sc_line last;
	size_t at = line_at(f, 4);
	size_t n;

	cr_assert_eq(sc_line_parse(f->data + at, line_at(f, 5) - at - 1, &last), 0);
	n = forge(line, 5, last.prev, "{\"n\":\"other\"}");
	insert_bytes(f, line_at(f, 5), line, n);
}

/* One record rewritten with a right hash of its own: the next one is still chained to the old. */
static void rewrite_line(struct file *f)
{
	static char line[SC_RECORD_BYTES_MAX];
	struct sc_line old;
	size_t at = line_at(f, 1);
	size_t end = line_at(f, 2);
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
	size_t at = line_at(f, 4);
	size_t end = line_at(f, 5);

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

Test(verify, notices_every_flipped_bit, .timeout = 120)
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
		cr_assert(report.verdict != SC_VERDICT_TORN || bit / 8 >= line_at(&f, 4), "bit %zu",
			  bit);
		cr_assert_eq(pwrite(fd, &f.data[bit / 8], 1, (off_t)(bit / 8)), 1);
	}
	close(fd);
	cr_expect_eq(verdict_at(p.dir), SC_VERDICT_OK);
}

Test(verify, a_tail_torn_at_any_byte_is_no_attack, .timeout = 120)
{
	_cleanup_place_ struct place p = place_new();
	_cleanup_file_ struct file f = {0};
	size_t begin, end;

	write_small(p.dir);
	f = file_read(p.dir, SEGMENT_1);
	begin = line_at(&f, 4);
	end = line_at(&f, 5);
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

Test(verify, a_power_cut_may_tear_what_was_not_yet_on_disk)
{
	_cleanup_place_ struct place p = place_new();
	struct sc_journal *j = journal_at(p.dir);
	struct sc_time now = time_at(2);
	_cleanup_file_ struct file f = {0};
	struct sc_verify_report report;
	size_t hole;

	append(j, "{\"n\":1}");
	cr_assert_eq(sc_journal_seal(j, &now, NULL), 0);
	cr_assert_eq(sc_journal_sync(j), 0);
	for (int i = 0; i < 20; i++)
		append(j, "{\"n\":2,\"text\":\"a page of its own in the cache\"}");
	sc_journal_close(&j);
	/* Records 4 .. 23 were not synced; a sector among them never reached the disk. */
	f = file_read(p.dir, SEGMENT_1);
	hole = line_at(&f, 6) + 10;
	memset(f.data + hole, 0, 512);
	file_write(p.dir, SEGMENT_1, &f);
	cr_expect_eq(verdict_in(p.dir, BOOT_B, &report), SC_VERDICT_TORN, "%s", report.text);
	cr_expect_eq(verdict_in(p.dir, BOOT_A, &report), SC_VERDICT_CORRUPT,
		     "without a reboot it was no power cut");
	j = journal_with(&(struct sc_journal_options){.state_dir = p.dir, .boot_id = BOOT_B});
	append(j, "{\"n\":3}");
	sc_journal_close(&j);
	cr_expect_eq(verdict_in(p.dir, BOOT_B, &report), SC_VERDICT_OK, "%s", report.text);
}

Test(verify, a_power_cut_may_take_whole_records_but_not_durable_ones)
{
	_cleanup_place_ struct place p = place_new();
	struct sc_journal *j = journal_at(p.dir);
	struct sc_time now = time_at(2);
	_cleanup_file_ struct file f = {0};
	struct sc_verify_report report;

	append(j, "{\"n\":1}");
	cr_assert_eq(sc_journal_seal(j, &now, NULL), 0);
	append(j, "{\"n\":2}");
	cr_assert_eq(sc_journal_sync(j), 0);
	append(j, "{\"n\":3}");
	append(j, "{\"n\":4}");
	sc_journal_close(&j);
	f = file_read(p.dir, SEGMENT_1);
	memset(f.data + line_at(&f, 5), 0, f.n - line_at(&f, 5));
	file_write(p.dir, SEGMENT_1, &f);
	cr_expect_eq(verdict_in(p.dir, BOOT_B, &report), SC_VERDICT_TORN, "%s", report.text);
	cr_expect_eq(verdict_in(p.dir, BOOT_A, &report), SC_VERDICT_ROLLBACK, "%s", report.text);
	memset(f.data + line_at(&f, 3), 0, f.n - line_at(&f, 3));
	file_write(p.dir, SEGMENT_1, &f);
	cr_expect_eq(verdict_in(p.dir, BOOT_B, &report), SC_VERDICT_ROLLBACK, "%s", report.text);
}

/* Three segments with a seal. */
static void write_long(const char *dir)
{
	struct sc_journal *j = journal_at(dir);
	struct sc_time now = time_at(2);
	struct sc_journal_stats stats;
	static char body[8000];

	memset(body, 'x', sizeof(body) - 1);
	memcpy(body, "{\"x\":\"", 6);
	memcpy(body + sizeof(body) - 3, "\"}", 3);
	do {
		append(j, body);
		cr_assert_eq(sc_journal_sync(j), 0);
		sc_journal_stats(j, &stats);
	} while (stats.segment < 3);
	cr_assert_eq(sc_journal_seal(j, &now, NULL), 0);
	sc_journal_close(&j);
}

static void in_dir(char path[static 256], const char *dir, const char *name)
{
	snprintf(path, 256, "%s/%s", dir, name);
}

Test(verify, notices_a_segment_that_is_gone_or_swapped)
{
	static const struct {
		const char *name;
		enum sc_verify_verdict verdict;
	} cases[] = {
		{SEGMENT_1, SC_VERDICT_MISSING},
		{SEGMENT_2, SC_VERDICT_MISSING},
		{SEGMENT_3,
		 SC_VERDICT_ROLLBACK}, /* the prepared fourth is all that is left after it */
	};
	_cleanup_place_ struct place p = place_new();
	char a[256], b[256], c[256];

	write_long(p.dir);
	cr_assert_eq(verdict_at(p.dir), SC_VERDICT_OK);
	in_dir(b, p.dir, "aside");
	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		enum sc_verify_verdict v;

		in_dir(a, p.dir, cases[i].name);
		cr_assert_eq(rename(a, b), 0);
		v = verdict_at(p.dir);
		cr_expect(v == cases[i].verdict || (i == 2 && v == SC_VERDICT_MISSING), "%s: %s",
			  cases[i].name, sc_verdict_name(v));
		cr_assert_eq(rename(b, a), 0);
	}
	in_dir(a, p.dir, SEGMENT_1);
	in_dir(c, p.dir, SEGMENT_2);
	cr_assert(rename(a, b) == 0 && rename(c, a) == 0 && rename(b, c) == 0);
	cr_expect_eq(verdict_at(p.dir), SC_VERDICT_MISSING);
}

Test(verify, trusts_only_the_key_it_was_given)
{
	_cleanup_place_ struct place p = place_new();
	_cleanup_place_ struct place forger = place_new();
	_cleanup_file_ struct file pub = {0};
	struct sc_verify_options o = {.boot_id = BOOT_A};
	struct sc_verify_report report;
	char path[256];

	write_small(p.dir);
	write_small(forger.dir); /* a whole chain, well sealed, by another key */
	pub = file_read(p.dir, "seal.pub");
	file_write(forger.dir, "trusted.pub", &pub);
	in_dir(path, forger.dir, "trusted.pub");
	o.public_key = path;
	cr_assert_eq(sc_journal_verify(forger.dir, &o, &report), 0);
	cr_expect_eq(report.verdict, SC_VERDICT_UNKNOWN_KEY, "%s", report.text);
	cr_expect_eq(sc_verdict_exit_status(report.verdict), 26);
	in_dir(path, p.dir, "seal.pub");
	cr_assert_eq(sc_journal_verify(p.dir, &o, &report), 0);
	cr_expect_eq(report.verdict, SC_VERDICT_OK, "%s", report.text);
}

Test(verify, a_log_without_a_valid_seal_is_no_ok)
{
	_cleanup_place_ struct place p = place_new();
	struct sc_journal *j = journal_at(p.dir);
	_cleanup_file_ struct file f = {0};
	struct sc_time now = time_at(2);
	static char line[SC_RECORD_BYTES_MAX];
	char hash[SC_HASH_TEXT_MAX];
	struct sc_envelope envelope = {.seq = 3, .kind = SC_RECORD_SEAL, .boot_id = BOOT_A};
	struct sc_head head;
	struct sc_line last;
	char *body;
	int fd;

	append(j, "{}");
	cr_expect_eq(verdict_at(p.dir), SC_VERDICT_UNSIGNED);
	cr_assert_eq(sc_journal_seal(j, &now, NULL), 0);
	sc_journal_close(&j);
	cr_expect_eq(verdict_at(p.dir), SC_VERDICT_OK);

	/* A seal whose signature says something else, in a chain that is right again. */
	f = file_read(p.dir, SEGMENT_1);
	cr_assert_eq(
		sc_line_parse(f.data + line_at(&f, 2), line_at(&f, 3) - line_at(&f, 2) - 1, &last),
		0);
	body = strndup(last.record.body, last.record.body_len);
	strstr(body, "\"time\":\"")[8] = '3';
	envelope.prev = last.prev;
	envelope.real_ns = now.real_ns;
	sc_line_format(line, &envelope, body, strlen(body), hash);
	memcpy(f.data + line_at(&f, 2), line, strlen(line));
	file_write(p.dir, SEGMENT_1, &f);
	free(body);
	fd = open(p.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(sc_head_read(fd, &head), 0);
	close(fd);
	cr_expect_eq(verdict_at(p.dir), SC_VERDICT_CORRUPT);
}

Test(verify, believes_a_witness_more_than_the_log)
{
	static const struct {
		uint64_t seq;
		const char *hash;
		enum sc_verify_verdict verdict;
	} cases[] = {
		{5, NULL, SC_VERDICT_OK},
		{3, NULL, SC_VERDICT_OK},
		{6, NULL, SC_VERDICT_ROLLBACK},
		{3, SC_HASH_NONE, SC_VERDICT_FORK},
	};
	_cleanup_place_ struct place p = place_new();
	struct sc_verify_report report;

	write_small(p.dir);
	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct sc_verify_options o = {
			.boot_id = BOOT_A,
			.witness_seq = cases[i].seq,
			.witness_hash = cases[i].hash,
		};

		cr_assert_eq(sc_journal_verify(p.dir, &o, &report), 0);
		cr_expect_eq(report.verdict, cases[i].verdict, "case %zu: %s", i, report.text);
	}
}

Test(verify, notices_a_missing_or_damaged_head_file)
{
	_cleanup_place_ struct place p = place_new();
	_cleanup_file_ struct file head = {0};
	char path[256];

	write_small(p.dir);
	head = file_read(p.dir, "head");
	head.data[0] = 'x';
	file_write(p.dir, "head", &head);
	cr_expect_eq(verdict_at(p.dir), SC_VERDICT_CORRUPT);
	in_dir(path, p.dir, "head");
	cr_assert_eq(unlink(path), 0);
	cr_expect_eq(verdict_at(p.dir), SC_VERDICT_MISSING);
}

Test(verify, the_agent_starts_on_a_damaged_journal_and_the_damage_stays_visible)
{
	_cleanup_place_ struct place p = place_new();
	_cleanup_file_ struct file f = {0};
	_cleanup_file_ struct file next = {0};
	struct sc_time now = time_at(5);
	struct sc_verify_report report;

	write_small(p.dir);
	f = file_read(p.dir, SEGMENT_1);
	f.data[line_at(&f, 2) + 30] ^= 1;
	file_write(p.dir, SEGMENT_1, &f);
	for (int i = 0; i < 2; i++) {
		struct sc_journal *j = journal_at(p.dir);

		append(j, "{\"still\":\"alive\"}");
		cr_assert_eq(sc_journal_seal(j, &now, NULL), 0);
		sc_journal_close(&j);
		cr_expect_eq(verdict_in(p.dir, BOOT_A, &report), SC_VERDICT_CORRUPT, "%s",
			     report.text);
		cr_expect_eq(report.fault_seq, 3);
	}
	next = file_read(p.dir, SEGMENT_3);
	cr_expect_not_null(strstr(next.data, "\"kind\":\"journal.damaged\""));
	cr_expect_not_null(strstr(next.data, "{\"seq\":6,"),
			   "it goes on behind what the head knows");
}

Test(verify, exit_statuses_are_the_documented_ones)
{
	static const int statuses[] = {0, 20, 21, 22, 23, 24, 25, 26};

	for (int v = 0; v < SC_VERDICT_COUNT; v++)
		cr_expect_eq(sc_verdict_exit_status((enum sc_verify_verdict)v), statuses[v]);
}
