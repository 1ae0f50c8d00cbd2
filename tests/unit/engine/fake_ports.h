/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's ports on a world in memory: the engine starts for real, with its threads, journal
 * and control socket, over signals that the test writes and cgroups of fake_effector.h. Stands in
 * for wire/ports.c in its program.
 */
#pragma once

#include "engine/core.h"
#include "harness/fake_effector.h"
#include "harness/fake_traffic.h"

#define FAKE_SLOTS 16
#define FAKE_TARGETS \
	6 /* /w/1 .. /w/6 in slots 1 .. 6, cgroup ids 101 .. 106; slot 0 is the root \
	   */

struct fake_world {
	struct sc_node nodes[FAKE_SLOTS];
	struct sc_counts counts[FAKE_SLOTS];
	struct sc_kernel kernel[FAKE_SLOTS];
	struct sc_tasks tasks[FAKE_SLOTS];
	struct sc_stats stats;
	uint64_t named_id; /* a cgroup with a path that its id does not tell */
	const char *named_path;
	void (*told_tenant)(void); /* called each time that a tenant is told; may be NULL */
	struct sc_wake wakes[64];  /* given to the next drain */
	unsigned int n_wakes;
	struct sc_fake fake;
	struct sc_fake_traffic traffic;
	struct sc_feature_report features[1];
	struct sc_ports ports;
};

/* The one world of the test process; reset by each engine that starts. */
extern struct fake_world fake_world;

/* Makes a temporary directory with a configuration of these conditions, and starts an engine past
 * its startup grace. */
struct sc_engine *fake_engine_start(const char *conditions);
/* Writes another configuration, for the next load or restart. */
void fake_engine_rewrite(const char *conditions);
/* The same, and has the engine load it; returns what sc_engine_load does. */
int fake_engine_reload(struct sc_engine *e, const char *conditions);
/* Stops it, and starts another on the same directory; the world is made anew. */
void fake_engine_restart(struct sc_engine **e);
/* Stops it and removes the directory. */
void fake_engine_stop(struct sc_engine **e);

/* A cgroup of that id and path is made in the slot, and the engine learns of it. */
void fake_make_cgroup(struct sc_engine *e, uint32_t slot, uint64_t id, const char *path);
/* The cgroup of the slot is removed, and the engine notices. */
void fake_remove_cgroup(struct sc_engine *e, uint32_t slot);

/* Runs the loop, and the world's clock, until no fire is with the hand or being verified. */
void fake_let_fires_settle(struct sc_engine *e);

/* How often this thread has called malloc, calloc or realloc; 0 for ever where a sanitizer owns
 * them. */
uint64_t fake_allocations(void);
