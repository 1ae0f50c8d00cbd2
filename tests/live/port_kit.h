/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the port of traffic without an agent: the port over the sandbox's cgroups, inside
 * SC_NET_HOST, and a world outside that answers. Whatever fails, fails the test.
 */
#pragma once

#include "harness/harness.h"
#include "harness/net.h"
#include "sys/bpf.h"
#include "sys/cgroup.h"
#include "wire/traffic.h"

#define PORT_ECHO    7000  /* in SC_NET_OUTSIDE: TCP and UDP */
#define PORT_SINK    7001  /* there: UDP, unanswered */
#define PORT_OPEN_MS 30000 /* so long what must come is waited for */
#define PORT_HELD_MS 80    /* and what must not: an echo between namespaces takes 0.1 ms */
#define PORT_FIRE    "01234567-89ab-4cde-8f01-23456789abcd"

extern struct sc_traffic port;
extern struct sc_net port_net;
extern struct sc_peer port_world;
extern char port_gate_dir[SC_BPF_PIN_DIR_MAX]; /* holds all pins of the test */
extern char port_table[SC_TRAFFIC_TABLE_MAX];

/* For TestSuite: the end disarms, so that what a test leaves cut is all that remains. */
void port_init(void);
void port_fini(void);

/* Opens the port as port_init does, after the test has closed it: another agent. */
void port_open(void);
/* Arms it; every mode must be possible then. */
void port_arm(void);

struct sc_peer port_peer(int cgroup_fd, enum sc_net_space space);
/* Of a cgroup right below the sandbox's. */
struct sc_cut_member port_member(int cgroup_fd);
struct sc_cut port_cut(uint32_t number, enum sc_cut_mode mode, const struct sc_cut_member *members,
		       uint32_t n);
/* All three steps. */
struct sc_cut_report port_set(const struct sc_cut *cut);
struct sc_cut_report port_set_one(uint32_t number, enum sc_cut_mode mode,
				  const struct sc_cut_member *member);
/* The counts are filled in the order of the cuts; NULL = not wanted. */
struct sc_cut_audit port_audit(const struct sc_cut *cuts, uint32_t n, struct sc_cut_counts *counts);

/* Opens to the world's echo, talks, closes: "ok" or what went wrong. */
const char *port_try(struct sc_peer *peer, const char *proto, enum sc_net_space from,
		     unsigned int ms);
void port_expect_open(struct sc_peer *peer, enum sc_net_space from);
/* An established connection from SC_NET_HOST to the world's echo. */
long port_flow(struct sc_peer *peer);

/* Whether our table is in that namespace; and removes it there behind the port's back. */
bool port_has_table(enum sc_net_space space);
void port_delete_table(enum sc_net_space space);
/* How many pins there are. */
unsigned int port_pins(void);
