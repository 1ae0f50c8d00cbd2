/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/syncer.h"

#include "base/bell.h"
#include "record/statefile.h"

#include <scram/journal.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

static void look_for_drain(struct sc_syncer *s)
{
	bool there = faccessat(s->state_dir_fd, SC_DRAIN_MARKER, F_OK, 0) == 0;

	atomic_store(&s->draining, there);
}

int sc_syncer_init(struct sc_syncer *s, struct sc_journal *journal, int run_dir_fd,
		   int state_dir_fd)
{
	*s = (struct sc_syncer){.journal = journal,
				.run_dir_fd = run_dir_fd,
				.state_dir_fd = state_dir_fd,
				.bell = -1,
				.done_bell = -1};
	look_for_drain(s);
	s->state = malloc(SC_STATEFILE_BYTES_MAX);
	if (!s->state)
		return -ENOMEM;
	if (sc_spsc_init(&s->orders, sizeof(struct sc_sync_job *), SC_SYNC_JOBS_MAX) < 0 ||
	    sc_spsc_init(&s->done, sizeof(struct sc_sync_job *), SC_SYNC_JOBS_MAX) < 0)
		return -ENOMEM;
	s->bell = sc_bell_open();
	s->done_bell = sc_bell_open();
	return s->bell < 0 ? s->bell : s->done_bell < 0 ? s->done_bell : 0;
}

static void write_state(struct sc_syncer *s)
{
	size_t size = atomic_load(&s->state_size);

	if (size == 0)
		return;
	atomic_store(&s->state_error, sc_statefile_write(s->run_dir_fd, s->state, size));
	atomic_store(&s->state_size, 0);
}

static void sync_all(struct sc_syncer *s)
{
	int r = sc_journal_sync(s->journal);

	if (r < 0)
		atomic_store(&s->journal_error, r);
	write_state(s);
}

static void run_jobs(struct sc_syncer *s)
{
	struct sc_sync_job *job;

	while (sc_spsc_pop(&s->orders, &job)) {
		job->run(job);
		SC_ASSERT(sc_spsc_push(&s->done, &job));
		sc_bell_ring(s->done_bell);
	}
}

static void *serve(void *arg)
{
	struct sc_syncer *s = arg;

	while (!atomic_load(&s->stop)) {
		sc_bell_wait(s->bell, 1000);
		look_for_drain(s);
		run_jobs(s);
		sync_all(s);
	}
	return NULL;
}

int sc_syncer_start(struct sc_syncer *s)
{
	int r = pthread_create(&s->thread, NULL, serve, s);

	if (r != 0)
		return -r;
	(void)pthread_setname_np(s->thread, "scram-sync");
	s->running = true;
	return 0;
}

void sc_syncer_finish(struct sc_syncer *s)
{
	if (s->running) {
		atomic_store(&s->stop, true);
		sc_bell_ring(s->bell);
		pthread_join(s->thread, NULL);
		s->running = false;
	}
	if (s->journal && s->state)
		sync_all(s);
}

void sc_syncer_done(struct sc_syncer *s)
{
	sc_syncer_finish(s);
	free(s->state);
	s->state = NULL;
	sc_close(&s->bell);
	sc_close(&s->done_bell);
	sc_spsc_done(&s->orders);
	sc_spsc_done(&s->done);
}

void sc_syncer_order(struct sc_syncer *s, struct sc_sync_job *job)
{
	SC_ASSERT(!job->is_busy);
	job->is_busy = true;
	SC_ASSERT(sc_spsc_push(&s->orders, &job));
	sc_bell_ring(s->bell);
}

void sc_syncer_finish_jobs(struct sc_syncer *s)
{
	struct sc_sync_job *job;

	sc_bell_clear(s->done_bell);
	while (sc_spsc_pop(&s->done, &job)) {
		job->is_busy = false;
		job->finish(job);
	}
}

void sc_syncer_ask(struct sc_syncer *s)
{
	sc_bell_ring(s->bell);
}

char *sc_syncer_state_room(struct sc_syncer *s)
{
	return atomic_load(&s->state_size) == 0 ? s->state : NULL;
}

void sc_syncer_state_send(struct sc_syncer *s, size_t size)
{
	atomic_store(&s->state_size, size);
	sc_bell_ring(s->bell);
}
