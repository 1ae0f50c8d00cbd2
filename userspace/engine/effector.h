/* SPDX-License-Identifier: Apache-2.0 */
/* Wires the port of the actions (scram/action.h) to the real cgroups and processes. */
#pragma once

#include <scram/action.h>

struct sc_cgroup_fs;

/* What the real effector stands on; the caller's memory, to outlive the effector. */
struct sc_effector_host {
	const struct sc_cgroup_fs *fs;
	/* Marks the cgroup in the BPF maps; NULL where there are none. Called by the loop and the
	 * hand. */
	void (*set_killing)(void *ctx, uint64_t cgroup_id, bool is_killing);
	void *ctx;
};

/* The effector over host; nothing is opened and nothing needs releasing. */
struct sc_effector sc_effector_real(struct sc_effector_host *host);
