/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of sys/bpf*.c share; nobody else includes this. */
#pragma once

#include "sys/bpf.h"

#include <stdatomic.h>

struct bpf_link;
struct bpf_object;
struct ring_buffer;

#define SC_BPF_LINKS_MAX 24

/* The maps of bpf/maps.h that userspace uses, by the order of their names in bpf.c. */
enum sc_bpf_map {
	SC_MAP_NODES,
	SC_MAP_COUNTS,
	SC_MAP_KERNEL,
	SC_MAP_TASKS,
	SC_MAP_STATS,
	SC_MAP_MAPPED_COUNT, /* those above are mapped into memory */
	SC_MAP_IDS = SC_MAP_MAPPED_COUNT,
	SC_MAP_SLOTS_FREE,
	SC_MAP_WAKES,
	SC_MAP_PINNED_COUNT, /* those above are pinned */
	SC_MAP_PROCESSES = SC_MAP_PINNED_COUNT,
	SC_MAP_COUNT
};

struct sc_bpf {
	struct sc_bpf_options options; /* root_fd is not used after open; pin_dir is NULL */
	struct sc_bpf_config config;
	struct bpf_object *shared; /* owns the maps */
	int fds[SC_MAP_COUNT];     /* borrowed from shared */
	void *mapped[SC_MAP_MAPPED_COUNT];
	size_t mapped_size[SC_MAP_MAPPED_COUNT];
	char pin_dir[SC_BPF_PIN_DIR_MAX]; /* "" = not pinned */
	int pin_lock_fd;                  /* of that directory, while it is pinned; else -1 */

	struct bpf_object *objects[SC_BPF_PART_COUNT];
	struct bpf_link *links[SC_BPF_LINKS_MAX];
	unsigned int links_n;
	/* Iterators, among links. */
	struct bpf_link *seed_cgroups, *read_cgroups, *read_tasks, *sweep, *flush_io, *read_io;
	uint64_t io_pass_ns; /* CLOCK_MONOTONIC of the last pass over io; the collector's own */
	uint32_t parts;
	char reasons[SC_BPF_PART_COUNT][SC_BPF_REASON_MAX];

	struct sc_tasks *tasks_done; /* `tasks` as the last finished pass left it */
	_Atomic uint64_t tasks_pass, tasks_pass_ns;

	struct ring_buffer *ring;
	struct sc_wake *drain_out; /* of the drain under way */
	size_t drain_n, drain_max;
	_Atomic uint64_t wakes_received;

	int pressure_fds[SC_PSI_COUNT]; /* of the host, when its root is supervised; else -1 */
	int grace_fd; /* a map of maps: an update of it waits for running programs */
	_Atomic uint64_t recycled;
};

static inline struct sc_node *sc_bpf_nodes(const struct sc_bpf *b)
{
	return b->mapped[SC_MAP_NODES];
}

/* bpf_objects.c: loads and attaches one part, or writes its reason. */
void sc_bpf_part_start(struct sc_bpf *b, enum sc_bpf_part part, int root_fd);
/* Loads the object that owns the shared maps, with the sizes of options. 0 or -errno with reason.
 */
int sc_bpf_shared_load(struct sc_bpf *b, char *reason);
/* Fills config from the kernel's own type information, as far as it matters before loading. */
int sc_bpf_config_probe(struct sc_bpf *b, int root_fd, char *reason);
void sc_bpf_objects_stop(struct sc_bpf *b);
const char *sc_bpf_map_name(enum sc_bpf_map map);

/* bpf_maps.c: mapping, pinning, slots. */
int sc_bpf_maps_open(struct sc_bpf *b, char *reason);
void sc_bpf_maps_close(struct sc_bpf *b);
int sc_bpf_maps_pin(struct sc_bpf *b, const char *dir, char *reason);

/* bpf_psi.c: the pressure of the host, which the iterator cannot read for the hierarchy's root. */
void sc_bpf_psi_open(struct sc_bpf *b);
void sc_bpf_psi_close(struct sc_bpf *b);
void sc_bpf_psi_read(struct sc_bpf *b);
