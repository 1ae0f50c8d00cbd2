/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * What the BPF programs and userspace share: fixed-width types only, every size asserted. The maps
 * of these structs are pinned under <bpffs>/scram/v<SC_SCHEMA>/ and may be read by anyone with
 * bpftool; their field names are documentation. A change of layout raises SC_SCHEMA and so makes a
 * new pin path.
 *
 * A slot is the index of one cgroup in the maps nodes, counts, kernel and tasks. It is taken when
 * the cgroup is made (or seeded when the agent starts), and given back by userspace some time after
 * the cgroup is gone.
 */
#pragma once

#ifndef __BPF__
#include <linux/types.h>
#endif

#define SC_SCHEMA 3

/* Ancestors counted for one event, the cgroup itself included. Deeper cgroups count into their
 * ancestor of this depth below the supervised root (struct sc_stats too_deep). */
#define SC_DEPTH_MAX 16

/* Bucket i of the connect histogram holds latencies below 2^i * 64 us; the last holds the rest. */
#define SC_LATENCY_BUCKETS 12

#define SC_SLOT_NONE 0xffffffffU

enum sc_node_flag {
	SC_NODE_BORN = 1 << 0, /* its mkdir was seen: counts are from birth, not from a seed */
	SC_NODE_GONE = 1 << 1, /* its rmdir was seen */
};

/* Map `nodes`: the cgroup tree. Written by BPF; userspace writes `killing` and `tenant` only. */
struct sc_node {
	__u64 cgroup_id; /* kernfs id, never used again within a boot; 0 = the slot is free */
	__u64 parent_id;
	__u64 born_ns;   /* CLOCK_MONOTONIC of mkdir, or of the seed */
	__u64 gone_ns;   /* CLOCK_MONOTONIC of rmdir; 0 = exists */
	__u64 lost_ns;   /* CLOCK_MONOTONIC of the last of `lost`; 0 = never */
	__u32 flags;     /* enum sc_node_flag */
	__u32 level;     /* depth below the hierarchy's root, which is 0 */
	__u32 killing;   /* userspace: not 0 while scram kills this cgroup, so that its deaths are
			    expected */
	__u32 ancestors; /* entries used below; the first is this slot itself, then its parent, ...
			  */
	__u32 tenant;    /* userspace: whose it is; 0 = nobody's. A new cgroup begins with its
			    parent's */
	__u32 lost;      /* what was not counted in the subtree: its gauges are too low */
	__u32 ancestor[SC_DEPTH_MAX];
};
_Static_assert(sizeof(struct sc_node) == 64 + 4 * SC_DEPTH_MAX, "no padding");

/* Map `counts`: one field per COUNTS signal of signals.def, subtree included. Gauges are signed. */
struct sc_counts {
#define SC_FIELD_COUNTS(symbol) __s64 symbol;
#define SC_FIELD_KERNEL(symbol)
#define SC_FIELD_TASKS(symbol)
#define SC_FIELD_AGENT(symbol)
#define SC_FIELD_APP(symbol)
#define SC_SIGNAL(symbol, name, source, type, unit, text) SC_FIELD_##source(symbol)
#include <scram/signals.def>
#undef SC_SIGNAL
#undef SC_FIELD_COUNTS
#undef SC_FIELD_KERNEL
#undef SC_FIELD_TASKS
#undef SC_FIELD_AGENT
#undef SC_FIELD_APP
	__u32 tcp_connect_latency[SC_LATENCY_BUCKETS];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct sc_counts) == 256, "whole cache lines, no surprise growth");

enum sc_psi_resource { SC_PSI_CPU, SC_PSI_MEMORY, SC_PSI_IO, SC_PSI_COUNT };

#define SC_PSI_PERCENT 2048 /* the kernel's fixed point: 1 % of the time */

struct sc_psi {
	__u64 avg[3];   /* 10 s, 60 s, 300 s, in SC_PSI_PERCENT; not decayed */
	__u64 total_ns; /* moves every 2 s */
};

enum sc_kernel_flag {
	SC_KERNEL_PSI = 1 << 0,        /* the psi fields are valid */
	SC_KERNEL_CPU = 1 << 1,        /* cpu_usage_ns is valid */
	SC_KERNEL_MEMORY = 1 << 2,     /* mem_current_pages is valid */
	SC_KERNEL_MEMORY_MAX = 1 << 3, /* mem_max_pages is valid and not `max` */
	SC_KERNEL_PIDS = 1 << 4,       /* pids_current is valid */
	SC_KERNEL_POPULATED = 1 << 5,
	SC_KERNEL_FROZEN = 1 << 6,
	SC_KERNEL_MEMORY_HIGH = 1 << 7,   /* mem_high_pages is valid and not `max` */
	SC_KERNEL_MEMORY_EVENTS = 1 << 8, /* mem_events are valid */
	SC_KERNEL_SWAP = 1 << 9,          /* mem_swap_pages is valid */
	SC_KERNEL_SWAP_MAX = 1 << 10,     /* mem_swap_max_pages is valid and not `max` */
	SC_KERNEL_PIDS_MAX = 1 << 11,     /* pids_max is valid and not `max` */
	SC_KERNEL_PIDS_EVENTS = 1 << 12,  /* pids_refused is valid */
	SC_KERNEL_THROTTLED = 1 << 13,    /* cpu_throttled_ns and cpu_throttles are valid */
};

/* In the order of the kernel's enum memcg_memory_event, which is that of memory.events. */
enum sc_mem_event {
	SC_MEM_LOW,
	SC_MEM_HIGH,
	SC_MEM_MAX,
	SC_MEM_OOM,
	SC_MEM_OOM_KILL,
	SC_MEM_OOM_GROUP_KILL,
	SC_MEM_EVENT_COUNT
};

/* Map `kernel`: what the cgroup iterator read in its last pass over the cgroup. */
struct sc_kernel {
	__u64 pass_ns;        /* CLOCK_MONOTONIC when this entry was filled; 0 = never */
	__u64 psi_updated_ns; /* CLOCK_MONOTONIC at which the kernel last updated the averages,
				 within some ms */
	struct sc_psi psi_some[SC_PSI_COUNT];
	struct sc_psi psi_full[SC_PSI_COUNT];
	__u64 cpu_usage_ns;
	__u64 cpu_throttled_ns;
	__u64 cpu_throttles;
	__u64 mem_current_pages;
	__u64 mem_max_pages;
	__u64 mem_high_pages;
	__u64 mem_swap_pages;
	__u64 mem_swap_max_pages;
	__u64 mem_events[SC_MEM_EVENT_COUNT];
	__u64 pids_current;
	__u64 pids_max;
	__u64 pids_refused;
	__u64 io_pass_ns; /* CLOCK_MONOTONIC when the fields of io were filled; 0 = they are not
			     valid. A pass of their own, once a second */
	__u64 io_read_bytes;
	__u64 io_write_bytes;
	__u64 io_reads;
	__u64 io_writes;
	__u32 flags; /* enum sc_kernel_flag */
	__u32 unused;
};
_Static_assert(sizeof(struct sc_kernel) == 392, "no padding");

/* Map `tasks`: what the task iterator found in its last pass; `pass` tells entries of older passes
 * apart. */
struct sc_tasks {
	__u64 pass;
	__u64 oldest_start_ns; /* CLOCK_BOOTTIME start of the oldest process alive; 0 = none */
	__u32 dstate;
	__u32 processes; /* thread-group leaders alive in the subtree: an independent count of
			    proc.alive */
};
_Static_assert(sizeof(struct sc_tasks) == 24, "no padding");

/* Map `stats`, one entry: everything that could not be stored, and how far things are. Read each
 * tick. */
struct sc_stats {
	__u64 wake_attempts; /* wake records tried; attempts = received + lost */
	__u64 wake_lost;
	__u64 slots_exhausted; /* cgroups that found no free slot: counted into their nearest
				  ancestor */
	__u64 too_deep;        /* cgroups below SC_DEPTH_MAX: likewise */
	__u64 ids_full;        /* cgroups that could not be entered into the id map: likewise */
	__u64 processes_full;  /* processes that could not be remembered: alive and zombies are too
				  low; the nodes of its cgroup and all above it say so too */
	__u64 connects_full;   /* connects whose start was lost to another's: no latency */
	__u64 processes_swept; /* processes whose end or reaping no tracepoint told: noticed late */
	__u64 slots_taken;     /* cgroups that got a slot of their own, since start */
	__u64 tasks_pass; /* userspace: number of the pass over the tasks that runs, or ran last */
};

enum sc_wake_kind {
	SC_WAKE_CRASH, /* a process died of a crash signal or of a SIGKILL that is not scram's */
	SC_WAKE_EXIT,  /* a process exited with a status other than 0 */
	SC_WAKE_OOM,   /* the OOM killer chose a process */
	SC_WAKE_MADE,  /* cgroup made: userspace should learn its path */
	SC_WAKE_GONE,  /* cgroup removed */
	SC_WAKE_EMPTY, /* cgroup became unpopulated */
	SC_WAKE_KIND_COUNT
};

/* Ring buffer `wakes`: tells the loop to look early at one slot; never a source of counts. */
struct sc_wake {
	__u64 time_ns; /* CLOCK_MONOTONIC */
	__u64 cgroup_id;
	__u32 slot;
	__u32 kind; /* enum sc_wake_kind */
};
_Static_assert(sizeof(struct sc_wake) == 24, "no padding");

/* Read-only data of every BPF object: what userspace found out about the kernel before it loads
 * them. */
struct sc_bpf_config {
	__u64 root_id;              /* cgroup id of the supervised root */
	__u8 exit_tells_group_dead; /* sched_process_exit passes group_dead (since 6.16) */
	__u8 has_css_flush;         /* the kfunc css_rstat_flush is there (since 6.16) */
	__u8 has_cgroup_flush;      /* the kfunc cgroup_rstat_flush is there (6.1 to 6.15) */
	__u8 unused[5];
};
_Static_assert(sizeof(struct sc_bpf_config) == 16, "no padding");
