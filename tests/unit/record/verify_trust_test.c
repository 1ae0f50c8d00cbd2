/* SPDX-License-Identifier: Apache-2.0 */
/* What verify believes besides the chain: the disk after a power cut, keys, seals, witnesses, the
 * head file. */
#include "unit/record/fixture.h"

#include "record/line.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

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
	hole = file_line(&f, 6) + 10;
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
	memset(f.data + file_line(&f, 5), 0, f.n - file_line(&f, 5));
	file_write(p.dir, SEGMENT_1, &f);
	cr_expect_eq(verdict_in(p.dir, BOOT_B, &report), SC_VERDICT_TORN, "%s", report.text);
	cr_expect_eq(verdict_in(p.dir, BOOT_A, &report), SC_VERDICT_ROLLBACK, "%s", report.text);
	memset(f.data + file_line(&f, 3), 0, f.n - file_line(&f, 3));
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
	place_path(b, p.dir, "aside");
	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		enum sc_verify_verdict v;

		place_path(a, p.dir, cases[i].name);
		cr_assert_eq(rename(a, b), 0);
		v = verdict_at(p.dir);
		cr_expect(v == cases[i].verdict || (i == 2 && v == SC_VERDICT_MISSING), "%s: %s",
			  cases[i].name, sc_verdict_name(v));
		cr_assert_eq(rename(b, a), 0);
	}
	place_path(a, p.dir, SEGMENT_1);
	place_path(c, p.dir, SEGMENT_2);
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
	place_path(path, forger.dir, "trusted.pub");
	o.public_key = path;
	cr_assert_eq(sc_journal_verify(forger.dir, &o, &report), 0);
	cr_expect_eq(report.verdict, SC_VERDICT_UNKNOWN_KEY, "%s", report.text);
	cr_expect_eq(sc_verdict_exit_status(report.verdict), 26);
	place_path(path, p.dir, "seal.pub");
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
	struct sc_line last;
	char *body;

	append(j, "{}");
	cr_expect_eq(verdict_at(p.dir), SC_VERDICT_UNSIGNED);
	cr_assert_eq(sc_journal_seal(j, &now, NULL), 0);
	sc_journal_close(&j);
	cr_expect_eq(verdict_at(p.dir), SC_VERDICT_OK);

	/* A seal whose signature says something else, in a chain that is right again. */
	f = file_read(p.dir, SEGMENT_1);
	cr_assert_eq(sc_line_parse(f.data + file_line(&f, 2),
				   file_line(&f, 3) - file_line(&f, 2) - 1, &last),
		     0);
	body = strndup(last.record.body, last.record.body_len);
	strstr(body, "\"time\":\"")[8] = '3';
	envelope.prev = last.prev;
	envelope.real_ns = now.real_ns;
	sc_line_format(line, &envelope, body, strlen(body), hash);
	memcpy(f.data + file_line(&f, 2), line, strlen(line));
	file_write(p.dir, SEGMENT_1, &f);
	free(body);
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
	place_path(path, p.dir, "head");
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
	f.data[file_line(&f, 2) + 30] ^= 1;
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
