/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the controllers keep about a cgroup: the parts of the kernel's types that are read here. A
 * kernel without a controller has none of them, and each has its fields in some versions only.
 */
#pragma once

#include "scram.bpf.h"

struct mem_cgroup___sc {
	struct page_counter memory;
	struct page_counter swap;
	atomic_long_t memory_events[SC_MEM_EVENT_COUNT];
} __attribute__((preserve_access_index));

struct cfs_bandwidth___sc {
	int nr_throttled;
	__u64 throttled_time;
} __attribute__((preserve_access_index));

struct task_group___sc {
	struct cfs_bandwidth___sc cfs_bandwidth;
} __attribute__((preserve_access_index));

struct pids_cgroup___sc {
	atomic64_t counter;
	atomic64_t limit;
} __attribute__((preserve_access_index));

/* Forks refused: of the cgroup and below it since 6.11, before that in the cgroup itself. */
struct pids_cgroup___subtree {
	atomic64_t events[1];
} __attribute__((preserve_access_index));
struct pids_cgroup___own {
	atomic64_t events_limit;
} __attribute__((preserve_access_index));

struct blkg_iostat___sc {
	__u64 bytes[3]; /* read, written, discarded */
	__u64 ios[3];
} __attribute__((preserve_access_index));

struct blkg_iostat_set___sc {
	struct blkg_iostat___sc cur;
} __attribute__((preserve_access_index));

struct blkcg_gq___sc {
	struct hlist_node blkcg_node;
	struct blkg_iostat_set___sc iostat;
} __attribute__((preserve_access_index));

struct blkcg___sc {
	struct hlist_head blkg_list;
} __attribute__((preserve_access_index));

/* The state of controller `name` (memory, pids, ...) for this cgroup; NULL where it is not on. */
#define sc_controller(cgrp, name)                                                                  \
	(bpf_core_enum_value_exists(enum cgroup_subsys_id, name##_cgrp_id)                         \
		 ? controller_at(cgrp, bpf_core_enum_value(enum cgroup_subsys_id, name##_cgrp_id)) \
		 : NULL)

static __always_inline void *controller_at(struct cgroup *cgrp, __u64 index)
{
	/* Every controller's struct begins with its cgroup_subsys_state. */
	void **css = (void *)cgrp + bpf_core_field_offset(struct cgroup, subsys);

	return css[index];
}
