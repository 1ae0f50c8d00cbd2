/* SPDX-License-Identifier: GPL-2.0-only */
/* The maps of the gate, which its objects share through their pins, and the question what holds a
 * cgroup. */
#pragma once

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include <scram/gate.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SC_GATE_ENTRIES_MAX);
	__type(key, __u64);
	__type(value, struct sc_gate_entry);
} gates SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SC_GATE_CUTS_MAX);
	__type(key, __u32);
	__type(value, struct sc_gate_cut);
} gate_cuts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sc_gate_state);
} gate_state SEC(".maps");

static __always_inline struct sc_gate_state *gate_state_now(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&gate_state, &zero);
}

/* The cut with that number, if it is still the one meant and stands. */
static __always_inline struct sc_gate_cut *cut_standing(__u32 number, __u32 serial)
{
	struct sc_gate_cut *cut = bpf_map_lookup_elem(&gate_cuts, &number);

	return cut && cut->serial == serial && cut->mode ? cut : NULL;
}

/* What holds one cgroup, as a number that orders by strength: mode << 32 | number of the cut. */
static __always_inline __u64 hold_of(__u64 cgroup_id)
{
	struct sc_gate_entry *entry = bpf_map_lookup_elem(&gates, &cgroup_id);
	struct sc_gate_cut *cut = entry ? cut_standing(entry->cut, entry->serial) : NULL;

	return cut ? (__u64)cut->mode << 32 | entry->cut : 0;
}

static __always_inline enum sc_gate_mode hold_mode(__u64 hold)
{
	return hold >> 32;
}
