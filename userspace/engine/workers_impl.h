/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine keeps of its workers: inside workers*.c. */
#pragma once

#include "engine/core.h"
#include "engine/http_listener.h"
#include "engine/workers.h"

#include "base/json.h"

#define SC_WORKER_ENV_MAX 40

enum sc_worker_state {
	SC_WORKER_OFF,      /* not wanted */
	SC_WORKER_WAITING,  /* for its next start */
	SC_WORKER_STARTING, /* the sync thread runs the program */
	SC_WORKER_GREETED,  /* it has hello and is to say that it is ready */
	SC_WORKER_UP,
	SC_WORKER_ENDING, /* it was told to end, or its link is gone */
	SC_WORKER_STATE_COUNT
};

struct sc_worker_start {
	struct sc_sync_job job;
	struct sc_worker *worker;
	struct sc_program program;
	int result; /* 0 or -errno */
};

struct sc_worker_segment {
	struct sc_sync_job job;
	struct sc_engine *engine;
	struct sc_reply_to to;
	uint64_t number;
	uint64_t first, last;
	int fd; /* or -errno */
};

/* Removes the cgroup of programs. */
struct sc_worker_clear {
	struct sc_sync_job job;
	struct sc_engine *engine;
	bool is_due; /* there may be one */
	int result;
};

/* What `changed` tells. */
struct sc_worker_counters {
	uint64_t conditions, fires, status, seq;
};

struct sc_worker {
	const struct sc_worker_row *row;
	struct sc_engine *engine;
	enum sc_worker_state state;
	bool is_wanted, wants_group, has_user;
	unsigned int user, group;
	char *env[SC_WORKER_ENV_MAX]; /* NULL-ended, own memory */
	struct sc_worker_start start;
	struct sc_worker_segment segment;
	int child_fd, core_fd; /* the two ends of the link until both are given away */
	int pid;               /* 0 = none */
	struct sc_watch exit;  /* its pidfd */
	int64_t since_ns;      /* CLOCK_REALTIME of the last change of state */
	/* CLOCK_MONOTONIC */
	uint64_t up_ns;       /* since when it is up */
	uint64_t deadline_ns; /* of WAITING, GREETED and ENDING */
	uint64_t alive_ns;    /* it was last seen to read */
	uint64_t told_ns;     /* of the last `changed` */
	int next_signal;      /* at the deadline of ENDING */
	uint64_t backoff_ns;  /* before the next start */
	uint64_t restarts, requests, illegal, hung, events_lost;
	unsigned int failures; /* since it was last up for a while */
	bool was_up;           /* since the start of the agent */
	bool is_stopping;      /* it ends because it was asked to */
	bool is_why_known;     /* not by its exit status */
	bool lost_told;        /* since it reads too slowly: once */
	struct sc_worker_counters told;
	struct sc_program_facts facts;
	char detail[128]; /* of its `ready` */
	char why[192];    /* it last ended */
};

struct sc_workers {
	struct sc_worker worker[SC_WORKER_COUNT];
	struct sc_http_listener http;
	uint64_t http_retry_ns; /* CLOCK_MONOTONIC */
	struct sc_worker_clear clear;
	struct sc_watch timer, jobs;
	uint64_t armed_ns;  /* when the timer goes off; 0 = never */
	uint64_t wanted_of; /* e->changes.conditions when is_wanted was found */
	bool is_stopping;   /* nothing is started any more */
	bool is_farewell;   /* and those that are asked last have been */
};

/* --- workers.c --- */
/* So many failures in a row are no start that was lost: what it serves is not there. */
#define SC_WORKER_FAILURES_MAX 5

/* Clients are served, or wait in the queue of a socket for a moment. */
bool sc_worker_serves(const struct sc_worker *w);
/* The process is to end, by itself or by the signals that follow; hard: at once. */
void sc_worker_end(struct sc_worker *w, const char *why, bool hard);

/* --- workers_run.c: the life of one worker --- */
void sc_worker_init(struct sc_engine *e, enum sc_worker_kind kind);
void sc_worker_done(struct sc_worker *w);
/* Where the time of its state has come, goes on; returns when it must be looked at again. */
uint64_t sc_worker_look(struct sc_worker *w, uint64_t now_ns);

/* --- workers_group.c: the cgroup of those who run programs --- */
struct sc_op_call;
void sc_workers_init_group(struct sc_engine *e);
/* Orders its removal where it is needed no more. */
void sc_workers_look_group(struct sc_engine *e);
/* Removes it now; after the sync thread's end, and that of the workers. */
void sc_workers_close_group(struct sc_engine *e);
/* It was started when it needed none: it has to begin anew. */
bool sc_worker_lacks_group(const struct sc_worker *w);
/* Adds `cgroup` and `cgroup_why`. */
void sc_worker_add_group(const struct sc_worker *w, struct sc_json *j);
void sc_worker_check_group(struct sc_op_call *call, const struct sc_worker *w);
