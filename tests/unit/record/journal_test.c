/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/record/fixture.h"

#include "base/diag.h"
#include "base/str.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct count {
	unsigned int records;
	unsigned int of_kind[SC_RECORD_KIND_COUNT + 1];
	uint64_t first_seq;
	uint64_t last_seq;
	char last_body[256];
};

static int count_record(void *arg, const struct sc_record *record)
{
	struct count *c = arg;

	if (c->records++ == 0)
		c->first_seq = record->seq;
	c->of_kind[record->kind]++;
	c->last_seq = record->seq;
	snprintf(c->last_body, sizeof(c->last_body), "%.*s", (int)record->body_len, record->body);
	return 0;
}

Test(journal, appends_in_order_and_reads_back)
{
	_cleanup_place_ struct place p = place_new();
	struct sc_journal *j = journal_at(p.dir);
	struct count c = {0};

	append(j, "{\"n\":1}");
	append(j, "{\"n\":2}");
	cr_assert_eq(sc_journal_replay(p.dir, UINT32_MAX, count_record, &c), 0);
	cr_expect_eq(c.records, 3);
	cr_expect_eq(c.of_kind[SC_RECORD_SEGMENT], 1);
	cr_expect_eq(c.last_seq, 3);
	cr_expect_str_eq(c.last_body, "{\"n\":2}");
	sc_journal_close(&j);
}

Test(journal, stores_the_lines_it_promises)
{
	_cleanup_place_ struct place p = place_new();
	struct sc_journal *j = journal_at(p.dir);
	_cleanup_file_ struct file f = {0};
	const char *second;

	append(j, "{\"n\":1}");
	f = file_read(p.dir, SEGMENT_1);
	second = strchr(f.data, '\n') + 1;
	cr_expect_eq(strncmp(f.data,
			     "{\"seq\":1,\"time\":\"2023-11-14T22:13:20.000000Z\",\"boot\":", 52),
		     0);
	cr_expect_not_null(strstr(f.data, "\"prev\":\"0000000000000000"));
	cr_expect_eq(strncmp(second, "{\"seq\":2,", 9), 0);
	cr_expect_not_null(strstr(second, ",\"kind\":\"fact\",\"body\":{\"n\":1},\"prev\":\""));
	sc_journal_close(&j);
}

/* B6 */
Test(journal, continues_its_chain_when_opened_again)
{
	_cleanup_place_ struct place p = place_new();
	struct sc_time now = time_at(2);
	struct sc_verify_report report;
	struct sc_journal_stats stats;

	for (int i = 0; i < 5; i++) {
		struct sc_journal *j = journal_at(p.dir);

		append(j, "{\"run\":true}");
		cr_assert_eq(sc_journal_seal(j, &now, NULL), 0);
		sc_journal_stats(j, &stats);
		sc_journal_close(&j);
	}
	cr_expect_eq(stats.seq, 11);
	cr_expect_eq(verdict_in(p.dir, BOOT_A, &report), SC_VERDICT_OK, "%s", report.text);
	cr_expect_eq(report.records, 11);
	cr_expect_eq(report.seals, 5);
	cr_expect_eq(report.last_sealed_seq, 10);
}

Test(journal, has_one_writer_at_a_time)
{
	_cleanup_place_ struct place p = place_new();
	struct sc_journal *j = journal_at(p.dir);
	struct sc_journal *second = NULL;
	struct sc_time now = time_at(0);
	struct sc_diag diag = {0};

	cr_expect_eq(sc_journal_open(&(struct sc_journal_options){.state_dir = p.dir}, &now,
				     &second, &diag),
		     -EBUSY);
	cr_expect_null(second);
	cr_expect_not_null(strstr(diag.text, "another agent"));
	sc_journal_close(&j);
}

Test(journal, keeps_its_secrets_to_root)
{
	_cleanup_place_ struct place p = place_new();
	struct sc_journal *j = journal_at(p.dir);
	static const struct {
		const char *name;
		mode_t mode;
	} files[] = {{"seal.key", 0600}, {"journal", 0700}, {SEGMENT_1, 0600}, {"head", 0600}};

	for (size_t i = 0; i < SC_ARRAY_SIZE(files); i++) {
		char path[256];
		struct stat st;

		snprintf(path, sizeof(path), "%s/%s", p.dir, files[i].name);
		cr_assert_eq(stat(path, &st), 0);
		cr_expect_eq(st.st_mode & 0777, files[i].mode, "%s", path);
	}
	sc_journal_close(&j);
}

Test(journal, refuses_a_body_that_no_record_can_hold)
{
	_cleanup_place_ struct place p = place_new();
	struct sc_journal *j = journal_at(p.dir);
	struct sc_time now = time_at(1);
	static char body[SC_RECORD_BODY_MAX + 2];

	memset(body, ' ', sizeof(body) - 1);
	body[0] = '{';
	body[SC_RECORD_BODY_MAX] = '}';
	cr_expect_eq(sc_journal_append(j, &now, SC_RECORD_FACT, body, NULL), -E2BIG);
	body[SC_RECORD_BODY_MAX] = '\0';
	body[SC_RECORD_BODY_MAX - 1] = '}';
	cr_expect_eq(sc_journal_append(j, &now, SC_RECORD_FACT, body, NULL), 0);
	cr_assert_eq(sc_journal_seal(j, &now, NULL), 0);
	sc_journal_close(&j);
	cr_expect_eq(verdict_at(p.dir), SC_VERDICT_OK);
}

static bool one_part(void *arg, unsigned int part, struct sc_str *body)
{
	(void)arg;
	sc_str_addf(body, "{\"state\":%u}", part);
	return part < 2;
}

/* Fills the journal until it has begun the segment; the sync thread's work is done in between. */
static void fill_until_segment(struct sc_journal *j, uint64_t number)
{
	struct sc_journal_stats stats;
	static char body[4000];

	memset(body, 'x', sizeof(body) - 1);
	memcpy(body, "{\"x\":\"", 6);
	memcpy(body + sizeof(body) - 3, "\"}", 3);
	do {
		append(j, body);
		cr_assert_eq(sc_journal_sync(j), 0);
		sc_journal_stats(j, &stats);
	} while (stats.segment < number);
}

Test(journal, rotates_with_a_snapshot_and_replays_from_there)
{
	_cleanup_place_ struct place p = place_new();
	struct sc_journal *j = journal_at(p.dir);
	struct sc_time now = time_at(2);
	struct count all = {0};
	struct count some = {0};
	struct count more = {0};

	sc_journal_set_snapshot(j, one_part, NULL);
	fill_until_segment(j, 4);
	cr_assert_eq(sc_journal_seal(j, &now, NULL), 0);
	sc_journal_close(&j);
	cr_expect_eq(verdict_at(p.dir), SC_VERDICT_OK);
	cr_assert_eq(sc_journal_replay(p.dir, UINT32_MAX, count_record, &all), 0);
	cr_expect_eq(all.first_seq, 1);
	cr_expect_eq(all.of_kind[SC_RECORD_SEGMENT], 4);
	cr_expect_eq(all.of_kind[SC_RECORD_SNAPSHOT], 9, "three parts for each rotation");
	cr_assert_eq(sc_journal_replay(p.dir, 0, count_record, &some), 0);
	cr_expect_eq(some.of_kind[SC_RECORD_SEGMENT], 1, "only the last segment");
	cr_expect_eq(some.last_seq, all.last_seq);
	cr_assert_eq(sc_journal_replay(p.dir, 3, count_record, &more), 0);
	cr_expect_eq(more.of_kind[SC_RECORD_SEGMENT], 3, "the fourth is the one prepared");
}

Test(journal, a_replay_skips_a_snapshot_that_was_cut_off)
{
	_cleanup_place_ struct place p = place_new();
	struct sc_journal *j = journal_at(p.dir);
	_cleanup_file_ struct file f = {0};
	struct count c = {0};
	char *cut;

	sc_journal_set_snapshot(j, one_part, NULL);
	fill_until_segment(j, 2);
	sc_journal_close(&j);
	f = file_read(p.dir, SEGMENT_2);
	cut = strstr(f.data, "\"last\":true");
	cr_assert_not_null(cut);
	memset(cut, 0, f.n - (size_t)(cut - f.data));
	file_write(p.dir, SEGMENT_2, &f);
	cr_assert_eq(sc_journal_replay(p.dir, 0, count_record, &c), 0);
	cr_expect_eq(c.first_seq, 1, "the state is whole only from the first segment on");
}

Test(journal, a_seal_copy_is_what_was_stored)
{
	_cleanup_place_ struct place p = place_new();
	struct sc_journal *j = journal_at(p.dir);
	struct sc_time now = time_at(2);
	_cleanup_file_ struct file f = {0};
	_cleanup_str_ struct sc_str copy;

	sc_str_init_heap(&copy);
	append(j, "{}");
	cr_assert_eq(sc_journal_seal(j, &now, &copy), 0);
	f = file_read(p.dir, SEGMENT_1);
	cr_expect_gt(copy.len, 100);
	cr_expect_not_null(strstr(f.data, copy.data));
	sc_str_reset(&copy);
	cr_expect_eq(sc_journal_seal(j, &now, &copy), 0, "a seal needs no seal");
	cr_expect_eq(copy.len, 0);
	sc_journal_close(&j);
}

Test(journal, hostile_names_stay_inside_their_record)
{
	static const char hostile[] = "a\"},\"prev\":\"\n\x1b[2J\xff\xe2\x80\xae{\"seq\":9}";
	_cleanup_place_ struct place p = place_new();
	struct sc_journal *j = journal_at(p.dir);
	struct sc_time now = time_at(2);
	_cleanup_str_ struct sc_str body;

	sc_str_init_heap(&body);
	sc_str_add(&body, "{\"path\":\"");
	sc_str_add_json(&body, hostile, strlen(hostile));
	sc_str_add(&body, "\"}");
	append(j, body.data);
	append(j, "{}");
	cr_assert_eq(sc_journal_seal(j, &now, NULL), 0);
	sc_journal_close(&j);
	cr_expect_eq(verdict_at(p.dir), SC_VERDICT_OK);
}
