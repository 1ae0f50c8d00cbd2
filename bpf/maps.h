/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The maps that all objects share. Each object declares them; userspace creates them once
 * (maps.bpf.c), with the sizes it was configured with, and lets every other object use those. The
 * struct types make `bpftool map dump` show field names.
 */
#pragma once

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include <scram/abi.h>

#define SC_MAP_ARRAY(name, type_)                  \
	struct {                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);  \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__uint(max_entries, 1);            \
		__type(key, __u32);                \
		__type(value, type_);              \
	} name SEC(".maps")

/* By slot, except the one entry of stats. */
SC_MAP_ARRAY(nodes, struct sc_node);
SC_MAP_ARRAY(counts, struct sc_counts);
SC_MAP_ARRAY(kernel, struct sc_kernel);
SC_MAP_ARRAY(tasks, struct sc_tasks);
SC_MAP_ARRAY(stats, struct sc_stats);

/* Cgroup id to slot: its own, or the nearest ancestor's where it has none (an alias). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u32);
} ids SEC(".maps");

/* Slots that nobody has. Filled by userspace; a stack, so that the slots in use stay close
 * together. */
struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 1);
	__uint(value_size, sizeof(__u32));
} slots_free SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} wakes SEC(".maps");

enum sc_phase {
	SC_PHASE_ALIVE = 1, /* counted in proc.alive of its slot */
	SC_PHASE_DEAD,      /* its exit was counted; in proc.zombies of its slot */
	SC_PHASE_FREE,      /* counted nowhere; the entry awaits deletion or another process */
};

/*
 * One supervised process. The key is the address of its signal_struct: shared by its threads, kept
 * through an exec by any of them, and not used again before the leader's sched_process_free -
 * whereas a pid may be taken again before that.
 */
struct sc_process {
	__u64 start_ns; /* CLOCK_BOOTTIME of the leader's start; tells users of one address apart */
	__u64 state;    /* enum sc_phase << 32 | slot; changes by compare-and-swap only */
	__u64 seen;     /* pass over the tasks that met it last, or that ran when it was entered */
	__u64 is_victim; /* counted in oom.kills */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, struct sc_process);
} processes SEC(".maps");
