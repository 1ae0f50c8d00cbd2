/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Family `io`: what the io controller counted, all block devices together, into the map `kernel`.
 * An object of its own, because it walks a list of the kernel's and needs a flush that some kernels
 * lack; and a pass of its own, once a second.
 */
#include "controllers.h"

/* Beyond that the cgroup's sum is not known; a host has as many as it has block devices. */
#define DEVICES_MAX 128

extern void css_rstat_flush(struct cgroup_subsys_state *css) __weak __ksym;

/*
 * Since 6.16 each controller's numbers are brought up to date by a flush of their own; before, the
 * one flush of a cgroup (cgroups.bpf.c) does it for all. Run for the supervised root alone.
 */
SEC("iter.s/cgroup")
int flush_io(struct bpf_iter__cgroup *ctx)
{
	struct cgroup_subsys_state *css;

	if (!ctx->cgroup || !sc_config.has_css_flush)
		return 0;
	css = sc_controller(ctx->cgroup, io);
	if (css)
		css_rstat_flush(css);
	return 0;
}

/* One entry per device that the cgroup ever used; the numbers include its descendants'. */
static __always_inline bool add_devices(struct sc_kernel *sum, struct blkcg___sc *blkcg)
{
	struct hlist_node *node = BPF_CORE_READ(blkcg, blkg_list.first);

	for (int i = 0; node && i < DEVICES_MAX; i++) {
		struct blkcg_gq___sc *device =
			(void *)node - bpf_core_field_offset(struct blkcg_gq___sc, blkcg_node);

		sum->io_read_bytes += BPF_CORE_READ(device, iostat.cur.bytes[0]);
		sum->io_write_bytes += BPF_CORE_READ(device, iostat.cur.bytes[1]);
		sum->io_reads += BPF_CORE_READ(device, iostat.cur.ios[0]);
		sum->io_writes += BPF_CORE_READ(device, iostat.cur.ios[1]);
		node = BPF_CORE_READ(node, next);
	}
	return !node;
}

/* Not sleepable: it runs under rcu_read_lock, which keeps the list of devices. */
SEC("iter/cgroup")
int read_io(struct bpf_iter__cgroup *ctx)
{
	struct cgroup *cgrp = ctx->cgroup;
	struct sc_kernel *k, sum = {};
	struct blkcg___sc *blkcg;
	struct sc_node *node;
	__u32 slot;

	/* The root's file tells other numbers than these. */
	if (!cgrp || !cgrp->level)
		return 0;
	slot = slot_of_id(cgrp->kn->id);
	node = slot == SC_SLOT_NONE ? NULL : node_at(slot);
	if (!node || node->cgroup_id != cgrp->kn->id)
		return 0;
	k = bpf_map_lookup_elem(&kernel, &slot);
	blkcg = sc_controller(cgrp, io);
	if (!k)
		return 0;
	if (!blkcg || !add_devices(&sum, blkcg)) {
		*(volatile __u64 *)&k->io_pass_ns = 0;
		return 0;
	}
	k->io_read_bytes = sum.io_read_bytes;
	k->io_write_bytes = sum.io_write_bytes;
	k->io_reads = sum.io_reads;
	k->io_writes = sum.io_writes;
	barrier();
	*(volatile __u64 *)&k->io_pass_ns = bpf_ktime_get_ns();
	return 0;
}
