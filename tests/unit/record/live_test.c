/* SPDX-License-Identifier: Apache-2.0 */
/* Verify reads what a writer is writing: it must never take that for damage. */
#include "unit/record/fixture.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define ROUNDS  20
#define RECORDS 3000

struct writer {
	struct sc_journal *journal;
	_Atomic bool is_done;
};

static void *sync_it(void *arg)
{
	struct writer *w = arg;

	while (!atomic_load(&w->is_done))
		(void)sc_journal_sync(w->journal);
	return NULL;
}

static void *write_it(void *arg)
{
	struct writer *w = arg;
	struct sc_time now = time_at(1);

	for (unsigned int i = 0; i < RECORDS; i++) {
		uint64_t seq;

		if (i % 50 == 0)
			(void)sc_journal_seal(w->journal, &now, NULL);
		(void)sc_journal_append(w->journal, &now, SC_RECORD_FACT, "{\"n\":1}", &seq);
		sched_yield();
	}
	atomic_store(&w->is_done, true);
	return NULL;
}

/* One journal, verified from its first seal to its last record. Returns how often. */
static unsigned int verify_while_written(const char *dir)
{
	struct writer w = {.journal = journal_at(dir)};
	struct sc_time now = time_at(1);
	struct sc_verify_report report = {0};
	unsigned int looks = 0;
	pthread_t threads[2];

	cr_assert_eq(sc_journal_seal(w.journal, &now, NULL), 0);
	cr_assert_eq(pthread_create(&threads[0], NULL, write_it, &w), 0);
	cr_assert_eq(pthread_create(&threads[1], NULL, sync_it, &w), 0);
	do
		looks++;
	while (verdict_in(dir, BOOT_A, &report) == SC_VERDICT_OK && !atomic_load(&w.is_done));
	for (unsigned int i = 0; i < 2; i++)
		cr_assert_eq(pthread_join(threads[i], NULL), 0);
	cr_assert_eq(report.verdict, SC_VERDICT_OK, "look %u: %s: %s", looks,
		     sc_verdict_name(report.verdict), report.text);
	sc_journal_close(&w.journal);
	return looks;
}

Test(verify, never_takes_a_writer_for_damage, .timeout = 300)
{
	unsigned int looks = 0;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		_cleanup_place_ struct place p = place_new();

		looks += verify_while_written(p.dir);
		cr_assert_eq(verdict_at(p.dir), SC_VERDICT_OK);
	}
	cr_expect_geq(looks, ROUNDS);
}
