/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/syncer.h"

#include "base/bell.h"
#include "record/statefile.h"

#include <scram/journal.h>

#include <fcntl.h>
#include <stdlib.h>

#define STATES_WAITING 4

static void look_for_drain(struct sc_syncer *s)
{
	bool there = faccessat(s->state_dir_fd, SC_DRAIN_MARKER, F_OK, 0) == 0;

	atomic_store(&s->draining, there);
}

int sc_syncer_init(struct sc_syncer *s, struct sc_journal *journal, int run_dir_fd,
		   int state_dir_fd)
{
	int r;

	*s = (struct sc_syncer){.journal = journal,
				.run_dir_fd = run_dir_fd,
				.state_dir_fd = state_dir_fd,
				.bell = -1};
	look_for_drain(s);
	r = sc_spsc_init(&s->states, sizeof(char *), STATES_WAITING);
	if (r < 0)
		return r;
	s->bell = sc_bell_open();
	return s->bell < 0 ? s->bell : 0;
}

static void write_states(struct sc_syncer *s)
{
	char *text;
	int r;

	while (sc_spsc_pop(&s->states, &text)) {
		r = sc_statefile_write(s->run_dir_fd, text, strlen(text));
		atomic_store(&s->state_error, r);
		free(text);
	}
}

static void sync_all(struct sc_syncer *s)
{
	int r = sc_journal_sync(s->journal);

	if (r < 0)
		atomic_store(&s->journal_error, r);
	write_states(s);
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

void sc_syncer_done(struct sc_syncer *s)
{
	if (s->running) {
		atomic_store(&s->stop, true);
		sc_bell_ring(s->bell);
		pthread_join(s->thread, NULL);
		s->running = false;
	}
	if (s->journal && s->states.items)
		sync_all(s);
	sc_spsc_done(&s->states);
	sc_close(&s->bell);
}

void sc_syncer_ask(struct sc_syncer *s)
{
	sc_bell_ring(s->bell);
}

void sc_syncer_state(struct sc_syncer *s, char *text)
{
	if (!sc_spsc_push(&s->states, &text))
		free(text);
	sc_bell_ring(s->bell);
}
