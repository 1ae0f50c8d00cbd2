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
				.bell = -1};
	look_for_drain(s);
	s->state = malloc(SC_STATEFILE_BYTES_MAX);
	if (!s->state)
		return -ENOMEM;
	s->bell = sc_bell_open();
	return s->bell < 0 ? s->bell : 0;
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

static void *serve(void *arg)
{
	struct sc_syncer *s = arg;

	while (!atomic_load(&s->stop)) {
		sc_bell_wait(s->bell, 1000);
		look_for_drain(s);
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
