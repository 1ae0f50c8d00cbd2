/* SPDX-License-Identifier: Apache-2.0 */
/* The sync thread: everything that waits for a disk. It makes the journal durable, replaces the
 * state file, opens segments for those who read them, and starts programs. */
#pragma once

#include "base/spsc.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct sc_journal;

#define SC_SYNC_JOBS_MAX 16

/* Something else that may wait for a disk. It belongs to this thread from the order until it is
 * taken back. */
struct sc_sync_job {
	void (*run)(struct sc_sync_job *job);    /* on this thread */
	void (*finish)(struct sc_sync_job *job); /* on the loop, afterwards */
	bool is_busy;                            /* the loop's: ordered and not yet finished */
};

struct sc_syncer {
	struct sc_journal *journal;
	int run_dir_fd, state_dir_fd;
	pthread_t thread;
	bool running;
	char *state; /* SC_STATEFILE_BYTES_MAX bytes: the loop's while state_size is 0 */
	_Atomic size_t state_size; /* bytes waiting to be written */
	int bell;
	struct sc_spsc orders, done; /* struct sc_sync_job * */
	int done_bell;               /* the loop watches this */
	_Atomic bool stop;
	_Atomic int journal_error; /* last -errno of a sync; 0 = none yet */
	_Atomic int state_error;   /* of a state file write */
	_Atomic bool
		draining; /* the drain marker was there when last looked, about once a second */
};

/* Presence of this file in the state directory means draining; what is in it is for people. */
#define SC_DRAIN_MARKER "drain"

/* journal and the descriptors are borrowed until sc_syncer_done. 0 or -errno. */
int sc_syncer_init(struct sc_syncer *s, struct sc_journal *journal, int run_dir_fd,
		   int state_dir_fd);
int sc_syncer_start(struct sc_syncer *s);
/* Ends the thread and writes what waits, on the calling thread: the room for a state file is free
 * then. */
void sc_syncer_finish(struct sc_syncer *s);
/* The same, and frees everything. */
void sc_syncer_done(struct sc_syncer *s);

/* loop: orders a job that is not busy; there is always room for SC_SYNC_JOBS_MAX of them. */
void sc_syncer_order(struct sc_syncer *s, struct sc_sync_job *job);
/* loop: finishes the jobs that are done. */
void sc_syncer_finish_jobs(struct sc_syncer *s);

/* loop: something was appended. */
void sc_syncer_ask(struct sc_syncer *s);
/*
 * loop: the room for the next state file, or NULL while the last one is still being written: then
 * try again at the next tick. Send what was put into it.
 */
char *sc_syncer_state_room(struct sc_syncer *s);
void sc_syncer_state_send(struct sc_syncer *s, size_t size);
