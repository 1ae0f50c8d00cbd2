/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collector thread: everything that may stall behind the kernel's cgroup_mutex (258 ms were
 * seen under migration churn) and is not an action. It runs the iterators, learns the paths of new
 * cgroups, gives slots back, takes what programs report, and frees what the loop no longer needs.
 * The loop uses the last finished pass and knows its age.
 */
#pragma once

#include "base/spsc.h"
#include "engine/app.h"
#include "engine/ports.h"

#include <pthread.h>
#include <stdatomic.h>

/* Slots are given back together, because each call waits for the kernel: so often at most. */
#define SC_RECYCLE_INTERVAL_NS 250000000ULL
/* The task iterator walks every task of the host: once a second. */
#define SC_TASK_PASS_INTERVAL_NS 1000000000ULL

enum sc_collect_kind {
	SC_COLLECT_LEARN,   /* find the path of (slot, cgroup_id) */
	SC_COLLECT_RECYCLE, /* give slot back */
	SC_COLLECT_FREE,    /* free path */
	SC_COLLECT_AUDIT,   /* compare the world with cuts */
};

/* Cuts to compare the world with, and the answer; the collector's between order and report. */
struct sc_audit_job {
	const struct sc_traffic *traffic;
	const struct sc_cut *cuts;
	uint32_t n;
	struct sc_cut_counts *counts; /* by number of the cut */
	struct sc_cut_audit out;
	int result; /* 0 or -errno */
};

struct sc_collect_order {
	enum sc_collect_kind kind;
	uint32_t slot;
	uint64_t cgroup_id;
	char *path;
	struct sc_audit_job *audit; /* one at a time */
};

/* Answer to LEARN: path is heap memory of the receiver, NULL when the cgroup is gone already.
 * Answer to RECYCLE: path is NULL; a slot that could not be given back yet is asked about again,
 * because the next full tick finds it gone still. Answer to
 * AUDIT: none but that the job is done. */
struct sc_collect_report {
	enum sc_collect_kind kind;
	uint32_t slot;
	uint64_t cgroup_id;
	char *path;
};

struct sc_collector {
	const struct sc_kernel_port *kernel;
	struct sc_app *app;
	pthread_t thread;
	bool running;
	struct sc_spsc orders;  /* loop to collector */
	struct sc_spsc reports; /* collector to loop */
	int order_bell;
	int report_bell;                     /* the loop watches this */
	uint32_t to_recycle[SC_RECYCLE_MAX]; /* the collector's own */
	size_t n_to_recycle;
	uint64_t recycled_ns;
	_Atomic bool stop;
	_Atomic bool pass_wanted;
	_Atomic uint64_t pass_due_ns; /* CLOCK_MONOTONIC: it is wanted then, not before */
	_Atomic uint64_t
		cgroup_pass_ns; /* CLOCK_MONOTONIC at the end of the last good pass; 0 = none yet */
	_Atomic uint64_t task_pass_ns;
	_Atomic uint64_t task_pass; /* number of the last good task pass, as in struct sc_tasks */
	_Atomic uint64_t pass_us;   /* what the last cgroup pass took */
	_Atomic uint64_t pass_failures;
	_Atomic int pass_error; /* last -errno */
};

/* Allocates the queues (room for every slot at once) and the bells; 0 or -errno. */
int sc_collector_init(struct sc_collector *c, const struct sc_kernel_port *kernel,
		      struct sc_app *app);
/* Starts the thread; 0 or -errno. */
int sc_collector_start(struct sc_collector *c);
/* Stops the thread, frees everything. Harmless when never started. */
void sc_collector_done(struct sc_collector *c);

/* One cgroup pass and one task pass on the calling thread: at start, before the thread runs. */
int sc_collector_pass_now(struct sc_collector *c);

/*
 * loop: asks for a cgroup pass whose end is shortly before tick_ns, when the next tick will use it:
 * what is read right after a tick is as old as an interval when it is judged. One that is under way
 * makes the next one start at its end.
 */
void sc_collector_ask_pass(struct sc_collector *c, uint64_t tick_ns, uint64_t interval_ns);
/* loop: false when the queue is full (ask again next tick). Ring with sc_bell_ring(c->order_bell).
 */
bool sc_collector_order(struct sc_collector *c, const struct sc_collect_order *order);
