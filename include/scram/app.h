/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What supervised programs report about themselves over the notify socket: one entry per slot,
 * which the collector writes and the snapshot reads. A report is about the cgroup its sender lives
 * in, as the kernel tells it, and about no other: nothing is added up to parents; a predicate that
 * wants a subtree says max(GLOB, app.queue_depth) or sum. Of several programs in one cgroup the
 * last report counts.
 */
#pragma once

#include <stdint.h>

#define SC_APP_GAUGES 8

/* The agent must have found the socket empty within this, or all reports are unknown: what it did
 * not read it does not hold against anyone. */
#define SC_APP_STALE_NS 2000000000ULL

/* Written by one thread, read by another field by field, each without tearing. */
struct sc_app_entry {
	uint64_t cgroup_id;    /* whose it is; not that of the slot's cgroup now: unknown */
	uint64_t heartbeat_ns; /* CLOCK_MONOTONIC of the last heartbeat; 0 = never */
	uint64_t session_ns;   /* of the first report of its session id; 0 = never */
	uint64_t sessions;     /* session ids begun, one after the other; 0 = never */
	uint64_t refused;      /* datagrams of the cgroup that were not taken */
	double queue_depth;    /* NaN = never reported */
	double gauges[SC_APP_GAUGES];
};
