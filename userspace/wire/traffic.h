/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The port of traffic (scram/traffic.h) on the real world: the gate (sys/gate.h), the rules in
 * every network namespace of the members (sys/nft.h, sys/netns.h), and the end of connections
 * (sys/sockdiag.h).
 *
 * A quarantine needs the gate: without it, another network namespace and a cgroup made anew would
 * leak. The modes that refuse need the rules, which alone can answer; the gate stands behind them.
 */
#pragma once

#include <scram/traffic.h>

struct sc_cgroup_fs;

#define SC_TRAFFIC_TABLE_MAX 32

/* What it stands on; the texts are copied, the rest is borrowed and must outlive the port. */
struct sc_traffic_host {
	const struct sc_cgroup_fs *fs;
	int root_fd;         /* directory of the supervised subtree */
	const char *pin_dir; /* as sc_bpf_pin_dir writes it */
};

/* Fills *out; touches nothing of the host before arm. 0 or -ENOMEM with *out untouched. */
int sc_traffic_wire_open(const struct sc_traffic_host *host, struct sc_traffic *out);
/* Leaves cuts as they stand; disarm takes away what is not needed. Harmless on a zeroed one. */
void sc_traffic_wire_close(struct sc_traffic *traffic);

/* The name of the nf_tables table that goes with a directory of pins: "scram" for the default run
 * dir, else "scram_" and the hash that is in the path. */
void sc_traffic_table_name(const char *pin_dir, char out[static SC_TRAFFIC_TABLE_MAX]);

/*
 * Without an agent, which the caller makes sure of: releases the cut of that fire id or name
 * ("tenant acme"), NULL = all of them. The rules cannot be told apart without their agent, so the
 * tables go whole: what else is cut is held by the gate alone until an agent starts (it then drops
 * what the rules refused). Adds to *report as set_rules does. Returns how many cuts were released,
 * -ENOENT when none is so named, or -errno with report->text.
 */
int sc_traffic_offline_release(const char *run_dir, const char *fire_or_name,
			       struct sc_cut_report *report);
