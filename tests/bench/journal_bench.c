/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal's append path with its sync thread at work: records per second, the time of a single
 * append, allocations (there must be none), and how fast verify reads it all again. Prints one JSON
 * object; exits 1 when it allocates or stays below the budget of 100,000 records per second of its
 * own processor time.
 */
#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"

#include <scram/journal.h>

#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define RECORDS       200000U
#define BUDGET_PER_S  100000.0
#define SEGMENT_BYTES (64U * 1024 * 1024)

static const char body[] =
	"{\"id\":\"0b4c6a0e-8a9e-4a6e-9d2a-5f8a3c1d7e60\",\"condition_id\":\"crash-loop\","
	"\"target\":\"/workload/"
	"web\",\"cgroup_id\":4711,\"state\":\"dispatched\",\"fired_by\":\"auto\","
	"\"outcome\":\"emptied\",\"killed\":12,\"remaining\":0}";

/* Counts this program's calls, whoever makes them. */
static _Thread_local bool is_counting;
static unsigned long allocations;

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t count, size_t n);
extern void *__libc_realloc(void *p, size_t n);
void *malloc(size_t n);
void *calloc(size_t count, size_t n);
void *realloc(void *p, size_t n);

void *malloc(size_t n)
{
	allocations += is_counting;
	return __libc_malloc(n);
}

void *calloc(size_t count, size_t n)
{
	allocations += is_counting;
	return __libc_calloc(count, n);
}

void *realloc(void *p, size_t n)
{
	allocations += is_counting;
	return __libc_realloc(p, n);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

struct syncer {
	struct sc_journal *journal;
	_Atomic bool stop;
	unsigned long passes;
};

static void *sync_for_ever(void *arg)
{
	struct syncer *s = arg;

	while (!atomic_load(&s->stop)) {
		(void)sc_journal_sync(s->journal);
		s->passes++;
	}
	return NULL;
}

static int compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a;
	const uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

struct result {
	uint64_t append_ns;
	uint64_t append_cpu_ns; /* of the appending thread: what a busy machine does not change */
	uint64_t verify_ns;
	unsigned int refused;
	struct sc_journal_stats stats;
	struct sc_verify_report report;
};

static uint64_t thread_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * SC_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void append_all(struct sc_journal *j, uint32_t *took_ns, struct result *result)
{
	uint64_t begin = sc_mono_ns();
	uint64_t cpu_begin = thread_cpu_ns();

	is_counting = true;
	for (unsigned int i = 0; i < RECORDS; i++) {
		struct sc_time now = sc_time_now();

		result->refused += sc_journal_append(j, &now, SC_RECORD_FACT, body, NULL) != 0;
		took_ns[i] = (uint32_t)(sc_mono_ns() - now.mono_ns);
	}
	is_counting = false;
	result->append_ns = sc_mono_ns() - begin;
	result->append_cpu_ns = thread_cpu_ns() - cpu_begin;
}

static int measure(const char *dir, uint32_t *took_ns, struct result *result)
{
	struct sc_journal_options o = {.state_dir = dir, .segment_bytes = SEGMENT_BYTES};
	struct sc_time now = sc_time_now();
	struct syncer syncer = {0};
	struct sc_diag diag = {0};
	pthread_t thread;
	int r = sc_journal_open(&o, &now, &syncer.journal, &diag);

	if (r < 0) {
		fprintf(stderr, "journal_bench: %s\n", diag.text);
		return r;
	}
	r = -pthread_create(&thread, NULL, sync_for_ever, &syncer);
	if (r < 0)
		return r;
	append_all(syncer.journal, took_ns, result);
	atomic_store(&syncer.stop, true);
	pthread_join(thread, NULL);
	r = sc_journal_seal(syncer.journal, &now, NULL);
	sc_journal_stats(syncer.journal, &result->stats);
	sc_journal_close(&syncer.journal);
	result->verify_ns = sc_mono_ns();
	if (r == 0)
		r = sc_journal_verify(dir, NULL, &result->report);
	result->verify_ns = sc_mono_ns() - result->verify_ns;
	return r;
}

static int report(const struct result *r, uint32_t *took_ns)
{
	double per_s = RECORDS * 1e9 / (double)r->append_ns;
	double per_cpu_s = RECORDS * 1e9 / (double)r->append_cpu_ns;

	qsort(took_ns, RECORDS, sizeof(took_ns[0]), compare);
	printf("{\"bench\":\"journal\",\"records\":%u,\"append_per_s\":%.0f,\"append_per_cpu_s\":%."
	       "0f,\"append_p50_us\":%.2f,"
	       "\"append_p99_us\":%.2f,\"append_max_us\":%.1f,\"allocations\":%lu,\"refused\":%u,"
	       "\"rotations\":%lu,\"verify\":\"%s\",\"verify_per_s\":%.0f}\n",
	       RECORDS, per_s, per_cpu_s, took_ns[RECORDS / 2] / 1e3,
	       took_ns[RECORDS / 100 * 99] / 1e3, took_ns[RECORDS - 1] / 1e3, allocations,
	       r->refused, (unsigned long)r->stats.rotations, sc_verdict_name(r->report.verdict),
	       (double)r->report.records * 1e9 / (double)r->verify_ns);
	return allocations == 0 && r->refused == 0 && per_cpu_s >= BUDGET_PER_S &&
			       r->report.verdict == SC_VERDICT_OK
		       ? 0
		       : 1;
}

int main(int argc, char **argv)
{
	char dir[256];
	struct result result = {0};
	_cleanup_free_ uint32_t *took_ns = calloc(RECORDS, sizeof(*took_ns));
	int r;

	/* A real disk is the point: give a directory on it. */
	snprintf(dir, sizeof(dir), "%s/scram-journal-XXXXXX", argc > 1 ? argv[1] : "/var/tmp");
	if (!took_ns || !mkdtemp(dir))
		return 1;
	r = measure(dir, took_ns, &result);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return r < 0 ? 1 : report(&result, took_ns);
}
