/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of sys/gate*.c share; nobody else includes this. */
#pragma once

#include "sys/gate.h"

#include "base/mem.h"

struct bpf_object;

#define SC_GATE_DIR_MAX 160

/* By the order of their names in gate_load.c. */
enum sc_gate_map {
	SC_GATE_MAP_GATES,
	SC_GATE_MAP_CUTS,
	SC_GATE_MAP_STATE,
	SC_GATE_MAP_FILTER,
	SC_GATE_MAP_GLOBS,
	SC_GATE_MAP_PEERS,
	SC_GATE_MAP_COUNT
};

enum sc_gate_link {
	SC_GATE_LINK_IN,
	SC_GATE_LINK_OUT,
	SC_GATE_LINK_MKDIR,
	SC_GATE_LINK_RMDIR,
	SC_GATE_LINK_CREATE,
	SC_GATE_LINK_SEND,
	SC_GATE_LINK_COUNT
};

enum sc_gate_object { SC_GATE_OBJECT_GATE, SC_GATE_OBJECT_PACKET, SC_GATE_OBJECT_COUNT };

/* One pattern of one cut; several cuts may have the same. */
struct sc_gate_pattern {
	struct sc_gate_path path;
	uint32_t cut;
};

struct sc_gate {
	char dir[SC_GATE_DIR_MAX];
	int fds[SC_GATE_MAP_COUNT];
	/* Mapped memory. */
	struct sc_gate_cut *cuts; /* SC_GATE_CUTS_MAX */
	struct sc_gate_state *state;
	struct sc_gate_filter *filter;

	/* The hand's: what the map gate_globs was told. */
	struct sc_gate_pattern *patterns; /* room for SC_GATE_GLOBS_MAX */
	size_t patterns_n;

	/* From here on: nothing when only what is pinned was opened. */
	int root_fd;
	uint64_t root_id;
	struct bpf_object *objects[SC_GATE_OBJECT_COUNT];
	uint32_t programs[SC_GATE_LINK_COUNT]; /* their ids; 0 = not attached at open */
	int links[SC_GATE_LINK_COUNT];         /* the hand's after open */
	char globs_reason[SC_GATE_REASON_MAX], packet_reason[SC_GATE_REASON_MAX];
};

static inline bool sc_gate_stands(const struct sc_gate *g, uint32_t number)
{
	return __atomic_load_n(&g->cuts[number].mode, __ATOMIC_ACQUIRE) != SC_GATE_NONE;
}

/* gate_pins.c: the directory, the pins in it, and what they lead to. */

/* Where the gate of an agent with this pin dir is pinned. 0 or -ENAMETOOLONG. */
int sc_gate_dir(const char *pin_dir, char out[static SC_GATE_DIR_MAX]);
void sc_gate_pin_path(const struct sc_gate *g, const char *name, char out[static SC_GATE_DIR_MAX]);
const char *sc_gate_map_name(enum sc_gate_map map);
const char *sc_gate_link_name(enum sc_gate_link link);
/* Opens the pinned maps and maps two of them into memory. 0 or -errno with reason. */
int sc_gate_maps_open(struct sc_gate *g, char *reason);
void sc_gate_maps_close(struct sc_gate *g);
/* Pins fd under that name, over whatever is there, without an instant in which nothing is. */
int sc_gate_pin_over(const struct sc_gate *g, const char *name, int fd);
/* Removes every pin and the directories that are empty then. */
void sc_gate_unpin(struct sc_gate *g);

/* gate_load.c */

/* Loads the programs with the pinned maps, or with new ones that it pins. 0 or -errno. */
int sc_gate_load(struct sc_gate *g, char *reason);
/* Attaches and pins all that was loaded. */
int sc_gate_attach(struct sc_gate *g, char *reason);
void sc_gate_unload(struct sc_gate *g);
/* Fills lost and what. */
void sc_gate_faults(const struct sc_gate *g, struct sc_gate_health *out);

/* gate_globs.c */

/* Reads back what a predecessor told the map. 0 or -errno. */
int sc_gate_globs_adopt(struct sc_gate *g);
/* The cut's mode changed: where it shares a pattern, the strongest is the one to be found. */
int sc_gate_globs_republish(struct sc_gate *g, uint32_t number);
/* Forgets the globs of one cut. */
int sc_gate_globs_end(struct sc_gate *g, uint32_t number);

/* gate_walk.c */

typedef int sc_gate_visit_fn(void *ctx, uint64_t cgroup_id, const struct sc_gate_entry *entry);
/* Calls visit for each entry; stops at its first -errno. It may remove the one it is at. */
int sc_gate_walk(const struct sc_gate *g, sc_gate_visit_fn *visit, void *ctx);
