/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shipping: the journal into the store, in order, at least once. What the store has is the only
 * cursor: it is read at each connect, and moves here when a COMMIT is acknowledged. Only records
 * that are on the host's disk go: one that a power cut takes away would look like a fork.
 *
 * ship.c sends, ship_session.c connects and says what a failure means, ship_link.c speaks with the
 * core. All of it waits in sc_ship_wait, which serves the link meanwhile.
 */
#pragma once

#include "worker/common/link.h"
#include "worker/common/reader.h"
#include "worker/ship/batch.h"
#include "worker/ship/pg.h"

#define SC_SHIP_DEPTH 4 /* batches under way */

struct sc_ship {
	struct sc_link *link; /* borrowed */
	const char *url;
	struct sc_pg pg;
	struct sc_reader reader;
	bool has_next; /* reader.line is the next to go */

	/* Committed in the store, as far as this process knows. */
	uint64_t cursor;
	char cursor_hash[SC_HASH_TEXT_MAX]; /* empty: the store keeps none for it */
	uint64_t sent;                      /* the last one in a batch under way */

	struct sc_batch batch[SC_SHIP_DEPTH]; /* a ring */
	unsigned int head, n_under_way;
	bool has_failed;         /* one under way was refused: no more until all have answered */
	struct sc_batch *failed; /* that one; valid until the next is filled */
	uint64_t single_until;   /* one record per batch up to here, to find the one refused */

	uint64_t newest;   /* of the journal, as told by `changed` */
	uint64_t durable;  /* on the disk, as told in the answer to ship.state */
	bool stops;        /* asked to end: once record stop_seq is there, or stop_ns has come */
	uint64_t stop_seq; /* the last one that there will be */
	uint64_t stop_ns;  /* CLOCK_MONOTONIC */
	int link_error;    /* the link is of no use any more: why */

	/* Told to the core. */
	bool is_connected;
	uint64_t transient, refused;
	struct {
		uint64_t count;
		char last[SC_PG_ERROR_MAX]; /* the words of the last one */
	} errors[SC_PG_CLASS_COUNT];
	char error[SC_PG_ERROR_MAX]; /* the last one; empty = none */
	char alarm[SC_PG_ERROR_MAX]; /* fork: what does not agree; empty = none */
	uint64_t reported_ns;        /* CLOCK_MONOTONIC */
	uint64_t heard_ns;           /* the server last answered */
};

/* 0 or -ENOMEM. */
int sc_ship_init(struct sc_ship *s, struct sc_link *link, const char *url);
void sc_ship_done(struct sc_ship *s);
/* Ships until the core says stop, and what is there then while the store is up and the core's time
 * for it lasts: 0, or -errno when the link breaks. */
int sc_ship_run(struct sc_ship *s);

/* --- between its files --- */

/* A sc_pg_wait_fn that also serves the link; fd -1: returns 1 when the link has said something.
 * -ECANCELED: stop, or the link is gone. */
int sc_ship_wait(void *ship, int fd, short events, uint64_t deadline_ns);
/* Tells the core where it stands, and learns what is durable. 0 or -ECANCELED. */
int sc_ship_report(struct sc_ship *s);
/* Has the core put the record aside, `line` empty where none can be read. 0, -EREMOTEIO with
 * pg.error when it could not, or -ECANCELED. */
int sc_ship_quarantine(struct sc_ship *s, uint64_t seq, const struct sc_str *line, const char *why);
/* A sc_reader_open_fn. */
int sc_ship_open_segment(void *ship, uint64_t number);

/* Connects, finds the cursor, and holds own journal and store against each other. 0; -ENOTCONN or
 * -EREMOTEIO with pg.verdict; -EAGAIN: the journal has nothing yet; -ECANCELED; or -errno. */
int sc_ship_connect(struct sc_ship *s);
/* Sends what may go and takes one answer, or waits for something to do. 0, or as above. */
int sc_ship_step(struct sc_ship *s);
/* Runs one statement between batches, none of which is under way. As sc_pg_run. */
int sc_ship_call(struct sc_ship *s, const char *sql, const struct sc_pg_params *params,
		 PGresult **out);
