/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads mutated journals, fires and heads: nothing may crash, run over a buffer, or be called ok
 * when its bytes were changed. Runs for the seconds given (default 10) from the seed given (default
 * 1); prints executions. Build it with the sanitizers.
 */
#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "record/fold.h"
#include "record/line.h"
#include "record/segment.h"

#include <scram/journal.h>

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BOOT "11111111-1111-4111-8111-111111111111"

static const char *const bodies[] = {
	"{\"id\":\"0b4c6a0e-8a9e-4a6e-9d2a-5f8a3c1d7e60\",\"condition_id\":\"c\",\"state\":"
	"\"pending\","
	"\"state_snapshot\":{\"a\":[1,\"}\\\"\"]},\"undo\":null,\"fired_at\":\"2026-01-01T00:00:00."
	"000000Z\","
	"\"killed\":3,\"dispatched\":false}",
	"{\"part\":1,\"last\":false,\"item\":{\"of\":\"condition\",\"id\":\"c\",\"live\":true,"
	"\"body\":{\"id\":"
	"\"c\"}}}",
	"{\"action\":\"begin\",\"reason\":\"r\",\"operator\":\"o\"}",
};

static const enum sc_record_kind kinds[] = {
	SC_RECORD_FIRE_PENDING,
	SC_RECORD_SNAPSHOT,
	SC_RECORD_DRAIN,
};

static uint64_t rng;

static uint64_t next_random(void)
{
	/* xorshift64: Marsaglia 2003. */
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

static size_t below(size_t n)
{
	return n ? (size_t)(next_random() % n) : 0;
}

/* One to four small changes; returns the new length, at most n. */
static size_t mutate(char *data, size_t n)
{
	for (size_t i = 0, edits = 1 + below(4); i < edits && n > 1; i++) {
		size_t at = below(n);
		size_t len = 1 + below(SC_MIN(n - at, (size_t)64));

		switch (below(5)) {
		case 0:
			data[at] = (char)(data[at] ^ (1 << below(8)));
			break;
		case 1:
			data[at] = "\"{}[],:\\\n0"[below(10)];
			break;
		case 2:
			memmove(data + at, data + at + len, n - at - len);
			n -= len;
			break;
		case 3:
			memset(data + at, 0, len);
			break;
		default:
			memmove(data + below(n - len + 1), data + at, len);
			break;
		}
	}
	return n;
}

static void fuzz_bodies(struct sc_fold *fold)
{
	size_t k = below(SC_ARRAY_SIZE(bodies));
	size_t n = strlen(bodies[k]);
	/* Exactly as long as it is, so that a sanitizer sees one byte too many. */
	_cleanup_free_ char *copy = malloc(n);

	if (!copy)
		abort();
	memcpy(copy, bodies[k], n);
	n = mutate(copy, n);
	sc_fold_apply(fold, kinds[k], copy, n, "");
}

static int write_file(const char *dir, const char *name, const char *data, size_t n)
{
	char path[512];
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return fd < 0 ? -1 : sc_write_all(fd, data, n);
}

struct good {
	char *segment;
	size_t n;
	char head[SC_HEAD_BYTES + 1];
};

static int make_good(const char *dir, struct good *good)
{
	struct sc_journal_options o = {
		.state_dir = dir,
		.boot_id = BOOT,
		.segment_bytes = SC_SEGMENT_BYTES_MIN,
	};
	struct sc_time now = sc_time_now();
	struct sc_journal *j = NULL;
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t n;

	if (sc_journal_open(&o, &now, &j, NULL) < 0)
		return -1;
	for (size_t i = 0; i < SC_ARRAY_SIZE(bodies); i++)
		(void)sc_journal_append(j, &now, kinds[i], bodies[i], NULL);
	(void)sc_journal_seal(j, &now, NULL);
	sc_journal_close(&j);
	good->segment = malloc(SC_SEGMENT_BYTES_MIN + 1);
	if (!good->segment)
		return -1;
	n = sc_read_file_at(fd, "journal/00000001.jsonl", good->segment, SC_SEGMENT_BYTES_MIN + 1);
	if (n < 0 || sc_read_file_at(fd, "head", good->head, sizeof(good->head)) < 0)
		return -1;
	good->n = strlen(good->segment);
	return 0;
}

static int nothing(void *arg, const struct sc_record *record)
{
	return sc_fold_record(arg, record);
}

/* Returns -1 when a changed journal is called ok. */
static int fuzz_journal(const char *dir, const struct good *good, struct sc_fold *fold)
{
	struct sc_verify_options o = {.boot_id = BOOT};
	struct sc_verify_report report;
	char copy[SC_SEGMENT_BYTES_MIN];
	bool spoils_head = below(8) == 0;
	size_t n = good->n;
	char head[SC_HEAD_BYTES + 1];
	bool is_same;

	memcpy(copy, good->segment, n);
	memcpy(head, good->head, sizeof(head));
	n = spoils_head ? n : mutate(copy, n);
	is_same = n == good->n && !memcmp(copy, good->segment, n);
	if (write_file(dir, "journal/00000001.jsonl", copy, n) < 0 ||
	    write_file(dir, "head", head,
		       spoils_head ? mutate(head, SC_HEAD_BYTES) : SC_HEAD_BYTES) < 0)
		return -1;
	if (sc_journal_verify(dir, &o, &report) < 0)
		return -1;
	(void)sc_journal_replay(dir, UINT32_MAX, nothing, fold);
	if (report.verdict != SC_VERDICT_OK || is_same || spoils_head)
		return 0;
	fprintf(stderr, "journal_fuzz: a changed journal is called ok, left in %s\n", dir);
	return -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int main(int argc, char **argv)
{
	uint64_t seconds = argc > 1 ? strtoull(argv[1], NULL, 10) : 10;
	uint64_t end = sc_mono_ns() + seconds * SC_NS_PER_S;
	char dir[] = "/tmp/scram-fuzz-XXXXXX";
	struct sc_fold *fold = NULL;
	struct good good = {0};
	unsigned long runs = 0;
	int r = 0;

	rng = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	rng = rng ? rng : 1;
	if (!mkdtemp(dir) || sc_fold_new(&fold) < 0 || make_good(dir, &good) < 0)
		return 1;
	for (; r == 0 && sc_mono_ns() < end; runs++) {
		for (int i = 0; i < 20; i++)
			fuzz_bodies(fold);
		r = fuzz_journal(dir, &good, fold);
	}
	printf("journal_fuzz: %lu journals, %lu bodies, %s\n", runs, runs * 20,
	       r ? "FAILED" : "ok");
	free(good.segment);
	sc_fold_free(&fold);
	if (r == 0)
		nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return r ? 1 : 0;
}
