/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker processes: which there are, when each is wanted, and what each may ask. The core
 * starts them, watches them and starts them again; it never waits for one. A worker is at the
 * other end of a link: a peer of control.c that also gets events. Runs on the loop thread.
 *
 * Events that every worker gets: `hello` first (version, commit, limits, and what the row adds),
 * `changed` {conditions, fires, status, seq} when one of these has changed, at most every
 * SC_WORKERS_CHANGED_NS, and about once a second when none has; `stop` before the end, with the
 * newest record and within_ms, how long it has for what it still has to do. A room that
 * has more to say to its worker uses sc_workers_tell.
 */
#pragma once

#include "engine/protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sc_engine;
struct sc_json;
struct sc_workers;

enum sc_worker_kind { SC_WORKER_API, SC_WORKER_PROBE, SC_WORKER_SHIP, SC_WORKER_COUNT };

#define SC_WORKERS_CHANGED_NS 50000000ULL

/* One kind of worker; the table is in workers_table.c. */
struct sc_worker_row {
	const char *name;    /* of the worker, in status and doctor */
	const char *program; /* beside the agent's own executable; also the name of its user */
	bool (*is_wanted)(const struct sc_engine *e);
	/* It runs other people's programs: it is started in a cgroup where it can make theirs,
	 * which `hello` then names as `cgroup`. NULL = never. */
	bool (*wants_group)(const struct sc_engine *e);
	/* Adds members to `hello`: what is asked of this worker. NULL = nothing. */
	void (*add_hello)(struct sc_engine *e, struct sc_json *j);
	/* It is ready, after each start: what it must know can be told. NULL = nothing. */
	void (*on_ready)(struct sc_engine *e);
	/* It is gone: what it had under way will not come. NULL = nothing. */
	void (*on_gone)(struct sc_engine *e);
	uint64_t ops;           /* 1 << enum sc_op of what it may ask, `ready` included */
	const char *const *env; /* NULL-ended names of variables that are passed on */
	/* When the agent ends it is asked last, and has so long for the last records; 0 = it is
	 * asked with the first. */
	uint64_t farewell_ns;
	uint64_t memory_max; /* bytes of private memory (RLIMIT_DATA) */
	uint64_t files_max;  /* descriptors */
	uint64_t tasks_max;  /* processes and threads of its user */
};

extern const struct sc_worker_row sc_worker_rows[SC_WORKER_COUNT];

/* --- for the rooms that have a worker --- */

/* True from its `ready` on until it is gone. */
bool sc_workers_is_up(const struct sc_engine *e, enum sc_worker_kind kind);

/*
 * Queues one event, a whole message {"event": NAME, ...} of size bytes, which is copied. 0;
 * -ENOTCONN: not ready, or gone; -ENOBUFS: it does not read fast enough, counted. Never waits.
 */
int sc_workers_tell(struct sc_engine *e, enum sc_worker_kind kind, const char *event, size_t size);

/* --- for the engine --- */

/* Makes the table and opens the HTTP listener, while there are still the rights for that; logs its
 * own errors. 0 or -errno. */
int sc_workers_open(struct sc_engine *e);
/* Kills who is left, a second each at most, and frees everything; after the sync thread's end. */
void sc_workers_close(struct sc_engine *e);
/* After open: the table and its timer are watched; the syncer and the ports must be there. 0 or
 * -errno. */
int sc_workers_start(struct sc_engine *e);
/* Asks every worker to end but those that are asked last; looks go on meanwhile. */
void sc_workers_stop(struct sc_engine *e);
/* The last record is written: runs the loop until those asked last have ended too, or their time is
 * over. Nothing but workers may be served by the loop then. */
void sc_workers_farewell(struct sc_engine *e);
/* True while a worker that was asked to end has not. */
bool sc_workers_are_left(const struct sc_engine *e);
/* After each turn of the loop: starts what is due, tells what has changed. Cheap when nothing is.
 */
void sc_workers_look(struct sc_engine *e);
/* What must listen listens: part of being ready. */
bool sc_workers_are_ready(const struct sc_engine *e);
/* Adds `workers` and `http` to status. */
void sc_workers_json(struct sc_engine *e, struct sc_json *j);
/* The link broke. */
void sc_workers_link_lost(struct sc_engine *e, uint32_t link, const char *why);
/* A request came: whether the state and the row of the worker permit it. */
bool sc_workers_may_ask(struct sc_engine *e, const struct sc_worker_row *row, enum sc_op op);
/* It sent something illegal: ended, counted. */
void sc_workers_misbehaved(struct sc_engine *e, const struct sc_worker_row *row, const char *why);
