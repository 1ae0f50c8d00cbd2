/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The port of traffic on a world in memory: cuts are remembered, every step can be told to fail or
 * to leave something behind, and nothing real is touched. May be called from several threads, as
 * the real one is; what a test changes while an engine runs goes through sc_fake_traffic_lock.
 */
#pragma once

#include <scram/traffic.h>

#include <pthread.h>

#define SC_FAKE_CUT_MEMBERS_MAX 32
#define SC_FAKE_CUT_CALLS_MAX   64

/* One cut as the fake holds it. */
struct sc_fake_cut {
	struct sc_cut gate;  /* as the gate was told last; mode none = nothing stands */
	struct sc_cut rules; /* as the rules were told last */
	struct sc_cut_member members[SC_FAKE_CUT_MEMBERS_MAX]; /* the gate's */
	uint32_t n_members;
	struct sc_cut_counts counts; /* given by audit and count */
	unsigned int sets;           /* times the gate was told something that stands */
	uint32_t attempt;            /* the last told with SC_CUT_TRY */
};

struct sc_fake_traffic {
	pthread_mutex_t lock;
	struct sc_fake_cut cuts[SC_CUTS_MAX];
	bool is_armed;
	uint64_t (*now_ns)(void *arg); /* for the report's times; NULL = always 1 */
	void *now_arg;

	/* arm and can: 0 = works, -errno = fails so. */
	int arm_error;
	int can_error[SC_CUT_MODE_COUNT];
	/* So many calls are still to fail with the error beside; UINT_MAX = all. */
	unsigned int gate_fails, rules_fails, flows_fails, audit_fails;
	int gate_error, rules_error, flows_error, audit_error;

	bool is_gate_lost;   /* for the next audits; until the gate is told something again */
	uint32_t new_spaces; /* likewise, until the rules are */

	/* What set_rules and end_flows report of the world. */
	uint32_t namespaces, flows, flows_left, foreign;
	bool lacks_globs;             /* the kernel cannot match them */
	struct sc_cut_found found[8]; /* what a predecessor left */
	uint32_t n_found;

	unsigned int arms, gate_sets, rule_sets, flow_ends, audits, disarms;
	/* The steps on cuts in their order, one letter each: g(ate), r(ules), f(lows); upper case
	 * when it failed. Older ones are forgotten. */
	char calls[SC_FAKE_CUT_CALLS_MAX + 1];
};

/* A host that can cut in every mode, with nothing cut; there is nothing to be released. */
void sc_fake_traffic_init(struct sc_fake_traffic *fake);
struct sc_traffic sc_fake_traffic(struct sc_fake_traffic *fake);

void sc_fake_traffic_lock(struct sc_fake_traffic *fake);
void sc_fake_traffic_unlock(struct sc_fake_traffic *fake);

/* How many cuts the gate (the rules) hold. */
uint32_t sc_fake_traffic_gated(struct sc_fake_traffic *fake);
uint32_t sc_fake_traffic_ruled(struct sc_fake_traffic *fake);
/* A cgroup made anew that the kernel itself takes into a standing cut. */
void sc_fake_traffic_take_in(struct sc_fake_traffic *fake, uint32_t number, uint64_t cgroup_id);
/* Somebody else removes all rules: the next audits differ until each cut was set again. */
void sc_fake_traffic_flush(struct sc_fake_traffic *fake);
