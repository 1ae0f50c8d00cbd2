/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The port of read-only (scram/readonly.h) on the real world: the BPF LSM programs
 * (sys/readonly_lsm.h) where the kernel has them, else mounts (sys/readonly_mounts.h), and the
 * marker (sys/readonly_marker.h). The agent's own cgroup and pid 1's are spared, and so are the
 * state and the run directory, below which everybody may write: a next agent, whose cgroup is
 * another, must be able to tell what it does.
 */
#pragma once

#include <scram/readonly.h>

struct sc_cgroup_fs;

/* What it stands on; the texts are copied, the rest is borrowed and must outlive the port. */
struct sc_readonly_host {
	const struct sc_cgroup_fs *fs;
	const char *pin_dir; /* as sc_bpf_pin_dir writes it */
	const char *run_dir, *state_dir;
};

/* Fills *out; touches nothing of the host but the run directory, which it makes. 0 or -errno with
 * *out untouched. */
int sc_readonly_wire_open(const struct sc_readonly_host *host, struct sc_readonly_port *out);
/* Leaves everything as it stands. Harmless on a zeroed one. */
void sc_readonly_wire_close(struct sc_readonly_port *port);

/*
 * Without an agent, which the caller makes sure of: gives everything back that stands read-only by
 * an agent with this run dir. 0, -ENOENT when nothing did, or -errno with text
 * (SC_READONLY_TEXT_MAX bytes).
 */
int sc_readonly_offline_release(const char *run_dir, char *text);
