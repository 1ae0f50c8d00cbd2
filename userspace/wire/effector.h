/* SPDX-License-Identifier: Apache-2.0 */
/* Wires the port of the actions (scram/action.h) to the real cgroups and processes. */
#pragma once

#include <scram/action.h>

struct sc_cgroup_fs;

/* Cgroups of the agent and pid 1 with all their ancestors; a path of 4096 bytes may hold more,
 * systemd's do not. */
#define SC_OWN_IDS_MAX 64

/* What the real effector stands on; the caller's memory, to outlive the effector. */
struct sc_effector_host {
	const struct sc_cgroup_fs *fs;
	/* Marks the cgroup in the BPF maps; NULL where there are none. Called by the loop and the
	 * hand. */
	void (*set_killing)(void *ctx, uint64_t cgroup_id, bool is_killing);
	void *ctx;
	/* Filled by sc_effector_real: cgroups that are never killed or frozen. */
	uint64_t own_ids[SC_OWN_IDS_MAX];
	size_t n_own_ids;
	bool knows_own; /* false: everything is refused */
};

/*
 * The effector over host, of which fs, set_killing and ctx are set. Learns own_ids from /proc; call
 * it before the loop starts, for on kernels before 6.8 that reading waits for the cgroup_mutex.
 * When it fails, the effector refuses every target. Nothing needs releasing.
 */
struct sc_effector sc_effector_real(struct sc_effector_host *host);
/* Learns own_ids anew, after the agent was moved. 0, -E2BIG or -errno with host untouched. */
int sc_effector_learn_own(struct sc_effector_host *host);
