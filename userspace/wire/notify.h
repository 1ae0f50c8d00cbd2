/* SPDX-License-Identifier: Apache-2.0 */
/* The notify socket as the engine's port. */
#pragma once

#include "engine/ports.h"
#include "sys/bpf.h"
#include "sys/notify.h"

struct sc_notify_host {
	struct sc_notify socket;
	const struct sc_bpf *bpf;             /* borrowed: which slot a cgroup has */
	const volatile struct sc_node *nodes; /* by slot */
	uint32_t slots;
};

/* Opens the socket in run_dir and fills the port. 0 or -errno; the port then says that nobody can
 * report. */
int sc_notify_wire_open(struct sc_notify_host *host, const char *run_dir,
			const struct sc_cgroup_fs *fs, struct sc_notify_port *port);
