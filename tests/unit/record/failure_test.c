/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that refuses, lies, is full, or a process that dies: what the journal keeps and what it
 * says. */
#include "unit/record/fixture.h"

#include "base/str.h"
#include "record/segment.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

/* The fail-points: how often each call still fails, and with what. */
static struct {
	int pwrite_fails;
	int pwrite_short;
	int pwrite_error;
	int fdatasync_fails;
	int fdatasync_calls;
	int fallocate_fails;
} fail;

static long failing_pwrite(int fd, const void *data, size_t n, int64_t offset)
{
	/* The head file is written at 0 and may lag: only the segments are made to fail. */
	if (offset > 0 && fail.pwrite_fails > 0) {
		fail.pwrite_fails--;
		if (fail.pwrite_short)
			return sc_journal_os_real.pwrite(fd, data, n / 2, offset);
		errno = fail.pwrite_error;
		return -1;
	}
	return sc_journal_os_real.pwrite(fd, data, n, offset);
}

static int failing_fdatasync(int fd)
{
	fail.fdatasync_calls++;
	if (fail.fdatasync_fails > 0) {
		fail.fdatasync_fails--;
		errno = EIO;
		return -1;
	}
	return sc_journal_os_real.fdatasync(fd);
}

static int failing_fallocate(int fd, int64_t size)
{
	if (fail.fallocate_fails > 0) {
		fail.fallocate_fails--;
		return ENOSPC;
	}
	return sc_journal_os_real.fallocate(fd, size);
}

static const struct sc_journal_os failing_os = {
	.pwrite = failing_pwrite,
	.fdatasync = failing_fdatasync,
	.fallocate = failing_fallocate,
};

static struct sc_journal *open_failing(const char *dir, uint64_t held_bytes)
{
	struct sc_journal_options o = {
		.state_dir = dir,
		.os = &failing_os,
		.held_bytes = held_bytes,
	};

	memset(&fail, 0, sizeof(fail));
	fail.pwrite_error = EIO;
	return journal_with(&o);
}

static void seal_and_verify(struct sc_journal **j, const char *dir)
{
	struct sc_time now = time_at(5);
	struct sc_verify_report report;

	cr_assert_eq(sc_journal_seal(*j, &now, NULL), 0);
	sc_journal_close(j);
	cr_expect_eq(verdict_in(dir, BOOT_A, &report), SC_VERDICT_OK, "%s", report.text);
}

/* How many records of the kind the journal has. */
struct wanted {
	enum sc_record_kind kind;
	unsigned int count;
	size_t n;
	char numbers[512]; /* the bodies of facts, in order */
};

static int count_wanted(void *arg, const struct sc_record *record)
{
	struct wanted *w = arg;

	w->count += record->kind == w->kind;
	if (record->kind == SC_RECORD_FACT && w->n + record->body_len < sizeof(w->numbers)) {
		memcpy(w->numbers + w->n, record->body, record->body_len);
		w->n += record->body_len;
	}
	return 0;
}

static struct wanted count_kind(const char *dir, enum sc_record_kind kind)
{
	struct wanted w = {.kind = kind};

	cr_assert_eq(sc_journal_replay(dir, UINT32_MAX, count_wanted, &w), 0);
	return w;
}

Test(failure, one_write_error_moves_the_record_to_the_next_segment)
{
	for (int is_short = 0; is_short < 2; is_short++) {
		_cleanup_place_ struct place p = place_new();
		struct sc_journal *j = open_failing(p.dir, 0);
		struct sc_journal_stats stats;

		append(j, "{\"n\":1}");
		fail.pwrite_fails = 1;
		fail.pwrite_short = is_short;
		append(j, "{\"n\":2}");
		sc_journal_stats(j, &stats);
		cr_expect_eq(stats.segment, 2);
		cr_expect_eq(stats.write_errors, 1);
		cr_expect_not(stats.broken);
		seal_and_verify(&j, p.dir);
		cr_expect_str_eq(count_kind(p.dir, SC_RECORD_FACT).numbers, "{\"n\":1}{\"n\":2}");
		/* And the next start finds nothing to complain about. */
		j = open_failing(p.dir, 0);
		cr_expect_eq(count_kind(p.dir, SC_RECORD_JOURNAL_DAMAGED).count, 0);
		cr_expect_eq(count_kind(p.dir, SC_RECORD_JOURNAL_TORN).count, 0);
		sc_journal_close(&j);
	}
}

Test(failure, what_the_disk_refuses_is_kept_in_order_and_written_later)
{
	_cleanup_place_ struct place p = place_new();
	struct sc_journal *j = open_failing(p.dir, 0);
	struct sc_time now = time_at(2);
	struct sc_journal_stats stats;
	uint64_t seq = 9;

	append(j, "{\"n\":1}");
	cr_expect(sc_journal_can_record(j));
	fail.pwrite_fails = 1;
	fail.fallocate_fails = 1000;
	append(j, "{\"n\":2}"); /* into the prepared segment; no other follows it */
	cr_expect_eq(sc_journal_sync(j), -ENOSPC);
	fail.pwrite_fails = 1;
	cr_expect_eq(sc_journal_append(j, &now, SC_RECORD_FACT, "{\"n\":3}", &seq), 1);
	cr_expect_eq(seq, 0);
	cr_expect_eq(sc_journal_append(j, &now, SC_RECORD_FACT, "{\"n\":4}", NULL), 1);
	cr_expect_eq(sc_journal_seal(j, &now, NULL), -EAGAIN);
	sc_journal_stats(j, &stats);
	cr_expect(stats.broken);
	cr_expect_eq(stats.held, 2);
	cr_expect_not(sc_journal_can_record(j), "a person is told no");
	cr_expect_eq(sc_journal_flush(j), 2);
	fail.fallocate_fails = 0;
	cr_expect_eq(sc_journal_sync(j), 0);
	cr_expect_eq(sc_journal_flush(j), 0);
	append(j, "{\"n\":5}");
	sc_journal_stats(j, &stats);
	cr_expect_not(stats.broken);
	cr_expect_eq(sc_journal_sync(j), 0);
	cr_expect(sc_journal_can_record(j));
	seal_and_verify(&j, p.dir);
	cr_expect_str_eq(count_kind(p.dir, SC_RECORD_FACT).numbers,
			 "{\"n\":1}{\"n\":2}{\"n\":3}{\"n\":4}{\"n\":5}");
}

Test(failure, what_no_longer_fits_is_counted_and_confessed)
{
	_cleanup_place_ struct place p = place_new();
	struct sc_journal *j = open_failing(p.dir, 100);
	struct sc_time now = time_at(2);
	struct sc_journal_stats stats;
	int r = 0;
	unsigned int lost = 0;

	append(j, "{\"n\":1}");
	fail.pwrite_fails = 1;
	append(j, "{\"n\":2}"); /* into the prepared segment; no other follows it */
	for (int i = 0; i < 10; i++) {
		fail.pwrite_fails = 1000;
		r = sc_journal_append(j, &now, SC_RECORD_FACT, "{\"n\":3}", NULL);
		lost += r == -ENOBUFS;
	}
	fail.pwrite_fails = 0;
	cr_expect_eq(r, -ENOBUFS);
	sc_journal_stats(j, &stats);
	cr_expect_eq(stats.lost, lost);
	cr_expect_eq(stats.lost + stats.held, 10);
	cr_expect_eq(sc_journal_sync(j), 0);
	cr_expect_eq(sc_journal_flush(j), 0);
	seal_and_verify(&j, p.dir);
	cr_expect_eq(count_kind(p.dir, SC_RECORD_JOURNAL_LOST).count, 1);
}

Test(failure, a_failed_sync_is_final_for_its_segment)
{
	_cleanup_place_ struct place p = place_new();
	struct sc_journal *j = open_failing(p.dir, 0);
	struct sc_journal_stats stats;
	int calls;

	append(j, "{\"n\":1}");
	fail.fdatasync_fails = 1;
	cr_expect_eq(sc_journal_sync(j), -EIO);
	cr_expect_eq(sc_journal_durable_seq(j), 1, "the header, synced when it was opened");
	cr_expect_not(sc_journal_can_record(j));
	calls = fail.fdatasync_calls;
	cr_expect_eq(sc_journal_sync(j), 0);
	cr_expect_eq(fail.fdatasync_calls, calls, "never tried again");
	cr_expect_eq(sc_journal_durable_seq(j), 1);
	append(j, "{\"n\":2}");
	cr_expect_eq(sc_journal_sync(j), 0);
	sc_journal_stats(j, &stats);
	cr_expect_eq(stats.segment, 2);
	cr_expect_eq(stats.sync_errors, 1);
	cr_expect_eq(stats.durable_seq, stats.seq);
	cr_expect_not(stats.broken);
	cr_expect(sc_journal_can_record(j));
	seal_and_verify(&j, p.dir);
	cr_expect_eq(count_kind(p.dir, SC_RECORD_JOURNAL_SUSPECT).count, 1);
}

Test(failure, a_deleted_segment_is_noticed_and_left)
{
	_cleanup_place_ struct place p = place_new();
	struct sc_journal *j = open_failing(p.dir, 0);
	struct sc_journal_stats stats;
	char path[256];

	append(j, "{\"n\":1}");
	cr_assert_eq(sc_journal_sync(j), 0);
	place_path(path, p.dir, "journal/00000001.jsonl");
	cr_assert_eq(unlink(path), 0, "%s", path);
	cr_expect_eq(sc_journal_sync(j), -ESTALE, "also while nothing is written");
	cr_expect_not(sc_journal_can_record(j));
	append(j, "{\"n\":2}");
	cr_expect_eq(sc_journal_sync(j), 0);
	sc_journal_stats(j, &stats);
	cr_expect_eq(stats.segment, 2);
	cr_expect_eq(stats.durable_seq, stats.seq);
	cr_expect_eq(stats.sync_errors, 1);
	cr_expect(sc_journal_can_record(j));
	sc_journal_close(&j);
	cr_expect_eq(verdict_at(p.dir), SC_VERDICT_MISSING);
}

/* --- a full disk: a small tmpfs that only a child sees --- */

#define TMPFS_BYTES  "size=640k"
#define SEGMENTS_FIT 5

static int fill_disk(const char *dir)
{
	struct sc_journal_options o = {
		.state_dir = dir,
		.boot_id = BOOT_A,
		.segment_bytes = SC_SEGMENT_BYTES_MIN,
	};
	struct sc_time now = time_at(1);
	struct sc_journal *j = NULL;
	struct sc_journal_stats stats;
	char body[2000];
	bool was_refused = false;
	int r = 0;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", dir, "tmpfs", 0, TMPFS_BYTES) < 0)
		return 10;
	if (sc_journal_open(&o, &now, &j, NULL) < 0)
		return 11;
	memset(body, 'x', sizeof(body));
	memcpy(body, "{\"x\":\"", 6);
	memcpy(body + sizeof(body) - 3, "\"}", 3);
	/* Whatever was prepared is written full; then records stay in memory. */
	for (int i = 0; i < 1000 && r == 0; i++) {
		(void)sc_journal_sync(j);
		was_refused |= !sc_journal_can_record(j);
		r = sc_journal_append(j, &now, SC_RECORD_FACT, body, NULL);
	}
	sc_journal_stats(j, &stats);
	if (r != 1 || !was_refused || !stats.broken || stats.segment < SEGMENTS_FIT - 1)
		return 12;
	if (mount("tmpfs", dir, "tmpfs", MS_REMOUNT, "size=8m") < 0)
		return 13;
	if (sc_journal_sync(j) < 0 || sc_journal_flush(j) != 0)
		return 14;
	if (sc_journal_seal(j, &now, NULL) < 0)
		return 15;
	sc_journal_close(&j);
	return verdict_at(dir) == SC_VERDICT_OK ? 0 : 16;
}

Test(failure, a_full_disk_costs_no_record, .timeout = 300)
{
	_cleanup_place_ struct place p = place_new();
	pid_t pid = fork();
	int status = 0;

	cr_assert_geq(pid, 0);
	if (pid == 0)
		_exit(fill_disk(p.dir));
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == 10)
		cr_skip_test("no mount namespace here");
	cr_expect_eq(WEXITSTATUS(status), 0);
}

/* --- SIGKILL --- */

#define KILLS             200
#define KILLS_PER_JOURNAL 20

struct shared {
	_Atomic uint64_t appended; /* in this life */
	_Atomic uint64_t acked;    /* the seq of the last append that returned */
};

static void *sync_thread(void *arg)
{
	for (;;)
		(void)sc_journal_sync(arg);
	return NULL;
}

static bool two_parts(void *arg, unsigned int part, struct sc_str *body)
{
	(void)arg;
	sc_str_addf(body, "{\"state\":%u}", part);
	return part < 2;
}

static void write_for_ever(const char *dir, struct shared *shared)
{
	struct sc_journal_options o = {
		.state_dir = dir,
		.boot_id = BOOT_A,
		.segment_bytes = SC_SEGMENT_BYTES_MIN,
	};
	struct sc_time now = time_at(1);
	struct sc_journal *j = NULL;
	pthread_t thread;

	if (sc_journal_open(&o, &now, &j, NULL) < 0)
		_exit(1);
	sc_journal_set_snapshot(j, two_parts, NULL);
	if (pthread_create(&thread, NULL, sync_thread, j) != 0)
		_exit(2);
	for (uint64_t i = 0;; i++) {
		uint64_t seq = 0;

		if (i % 50 == 0)
			(void)sc_journal_seal(j, &now, NULL);
		if (sc_journal_append(j, &now, SC_RECORD_FACT,
				      "{\"text\":\"some hundred bytes, as a fire has them, more or "
				      "less; enough to turn segments over\"}",
				      &seq) == 0 &&
		    seq)
			atomic_store(&shared->acked, seq);
		atomic_store(&shared->appended, i + 1);
	}
}

/* Waits until the child has appended so many records; false when it died by itself. */
static bool wait_for(pid_t pid, const struct shared *shared, uint64_t target)
{
	while (atomic_load(&shared->appended) < target) {
		if (waitpid(pid, NULL, WNOHANG) != 0)
			return false;
		sched_yield();
	}
	return true;
}

/* One life after the other on the same journal. Returns how many ended in a torn line. */
static unsigned int kill_writers(const char *dir, struct shared *shared, unsigned int kills)
{
	unsigned int torn = 0;

	for (unsigned int i = 0; i < kills; i++) {
		uint64_t target = (uint64_t)(random() % 400);
		struct sc_verify_report report;
		pid_t pid;

		atomic_store(&shared->appended, 0);
		pid = fork();
		cr_assert_geq(pid, 0);
		if (pid == 0)
			write_for_ever(dir, shared);
		cr_assert(wait_for(pid, shared, target), "kill %u: the writer died", i);
		kill(pid, SIGKILL);
		cr_assert_eq(waitpid(pid, NULL, 0), pid);
		verdict_in(dir, BOOT_A, &report);
		cr_assert(report.verdict == SC_VERDICT_OK || report.verdict == SC_VERDICT_TORN,
			  "kill %u: %s: %s", i, sc_verdict_name(report.verdict), report.text);
		torn += report.verdict == SC_VERDICT_TORN;
		cr_assert_geq(report.last_seq, atomic_load(&shared->acked), "kill %u", i);
	}
	return torn;
}

Test(failure, a_writer_killed_at_any_moment_leaves_every_record_it_reported, .timeout = 300)
{
	struct sc_time now = time_at(1);
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert_neq(shared, MAP_FAILED);
	srandom(20261122);
	for (unsigned int kills = 0; kills < KILLS; kills += KILLS_PER_JOURNAL) {
		_cleanup_place_ struct place p = place_new();
		struct sc_journal *j = journal_at(p.dir);
		unsigned int torn;

		append(j, "{}");
		cr_assert_eq(sc_journal_seal(j, &now, NULL), 0);
		sc_journal_close(&j);
		atomic_store(&shared->acked, 0);
		torn = kill_writers(p.dir, shared, KILLS_PER_JOURNAL);
		cr_expect_eq(count_kind(p.dir, SC_RECORD_JOURNAL_DAMAGED).count, 0);
		cr_expect_leq(count_kind(p.dir, SC_RECORD_JOURNAL_TORN).count, torn);
	}
	munmap(shared, sizeof(*shared));
}
