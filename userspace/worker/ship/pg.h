/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to Postgres that never waits in libpq: every wait is the caller's, with a deadline,
 * so that a server that hangs costs a deadline and no more.
 */
#pragma once

#include "base/mem.h"

#include <libpq-fe.h>
#include <stdint.h>

#define SC_PG_ERROR_MAX 512

/*
 * Waits until one of `events` (poll(2)) is true of fd. Returns 1 then, 0 when deadline_ns
 * (CLOCK_MONOTONIC) has passed, or an -errno that ends the operation.
 */
typedef int sc_pg_wait_fn(void *arg, int fd, short events, uint64_t deadline_ns);

enum sc_pg_verdict {
	SC_PG_TRANSIENT, /* the server or the way to it: try again */
	SC_PG_REFUSED,   /* it will never take these data */
	SC_PG_FORK,      /* SC002 of migrations/0003: there with another hash */
};

/* For people: what kind of trouble it is, the more actionable first. */
enum sc_pg_class {
	SC_PG_OUT_OF_WINDOW, /* the store takes nothing of that time or place in the row */
	SC_PG_MALFORMED,     /* it will never take these data */
	SC_PG_OTHER,         /* the server or the way to it; a fork has its own alarm */
	SC_PG_CLASS_COUNT
};

struct sc_pg {
	PGconn *conn; /* NULL = not connected */
	sc_pg_wait_fn *wait;
	void *wait_arg;
	enum sc_pg_verdict verdict;  /* of the last failure */
	enum sc_pg_class class;      /* likewise */
	char state[6];               /* its SQLSTATE; empty = none */
	char error[SC_PG_ERROR_MAX]; /* its words, secrets taken out */
};

void sc_pg_init(struct sc_pg *pg, sc_pg_wait_fn *wait, void *arg);
/* The wait of a program that has nothing else to do; arg is not looked at. */
int sc_pg_wait_alone(void *arg, int fd, short events, uint64_t deadline_ns);

/*
 * Connects to url (a libpq connection string) within timeout_ms and asks for the session that
 * everything here rests on: UTF-8, UTC, commits that are on the server's disk, and no statement
 * over statement_ms. 0; -ENOTCONN with pg->error filled; or the -errno of the wait.
 */
int sc_pg_open(struct sc_pg *pg, const char *url, unsigned int timeout_ms,
	       unsigned int statement_ms);
/* Harmless when not connected; the last failure stays readable. */
void sc_pg_close(struct sc_pg *pg);

/* n parameters in text form, NULL = null. */
struct sc_pg_params {
	int n;
	const char *const *value;
};

/*
 * Runs one statement, or without params several, and takes the last result, the caller's (PQclear).
 * 0; -EREMOTEIO when the server refused it and -ENOTCONN when the connection is gone or timeout_ms
 * has passed, both with pg->error and verdict filled; or the -errno of the wait. out NULL: not
 * wanted.
 */
int sc_pg_run(struct sc_pg *pg, const char *sql, const struct sc_pg_params *params,
	      unsigned int timeout_ms, PGresult **out);

/* Sends what is queued, taking in what comes meanwhile. 0, or as sc_pg_run. */
int sc_pg_flush(struct sc_pg *pg, uint64_t deadline_ns);
/* The next result of a pipeline, the caller's; *out NULL where one statement's results end. 0, or
 * as sc_pg_run. */
int sc_pg_result(struct sc_pg *pg, uint64_t deadline_ns, PGresult **out);
#define SC_PG_NO_END "the server's answers come to no end"
/* Gives the connection up for what the caller has seen: -ENOTCONN, with pg->error filled. */
int sc_pg_fail(struct sc_pg *pg, const char *what);
/* Fills error, state and verdict from a failed result, or where result is NULL from the connection.
 */
void sc_pg_note_failure(struct sc_pg *pg, const PGresult *result);
/* The same with the caller's own words: a deadline, say. */
void sc_pg_note(struct sc_pg *pg, enum sc_pg_verdict verdict, const char *text);

/* The value there; "" where the server gave no such row or column. */
static inline const char *sc_pg_value(const PGresult *result, int row, int column)
{
	return row < PQntuples(result) && column < PQnfields(result)
		       ? PQgetvalue(result, row, column)
		       : "";
}

static inline void sc_pg_clear_p_(PGresult **result)
{
	PQclear(*result);
}
#define _cleanup_result_ _cleanup_(sc_pg_clear_p_)
