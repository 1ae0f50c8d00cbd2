/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the gate: one that supervises the test's sandbox, in a network namespace of the
 * test's own, and sockets that belong to a cgroup although the test itself holds them. Each test
 * stays on one CPU, where packets over loopback are taken in the order of sending: when a marker
 * has arrived, whatever was sent before it has arrived too or never will.
 */
#pragma once

#include "harness/harness.h"
#include "sys/bpf.h"
#include "sys/gate.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

struct gate_kit {
	struct sc_gate *gate;
	char pin_dir[SC_BPF_PIN_DIR_MAX];
	int marker; /* a datagram socket connected to itself */
};
extern struct gate_kit kit_gate;

/* For TestSuite(.init, .fini). */
void gate_init(void);
void gate_fini(void);
void gate_open(void);

/* A cgroup in the sandbox, asserted; the caller's descriptor. */
int gate_mkdir(const char *name);
/* The path as in /proc/PID/cgroup of a place in the sandbox; valid until the next call. */
const char *gate_path(const char *name);

/* Sets cut `number`, named "cut <number>". */
void gate_cut(uint32_t number, enum sc_gate_mode mode);
/* Puts a cgroup of the sandbox (its depth is counted) to it. */
void gate_put(int cgroup_fd, uint32_t number);
/* Both for one cgroup. */
void gate_cut_one(int cgroup_fd, uint32_t number, enum sc_gate_mode mode);
/* Tells the cut one glob, asserting that the kernel takes it. */
void gate_glob(uint32_t number, const char *glob);

/* A socket that was made by a process in the cgroup (-1: the test's own); not blocking. */
int gate_socket(int cgroup_fd, int family, int type, int protocol);
/* A UDP socket of the cgroup, bound to a free port of loopback. */
int gate_udp(int cgroup_fd, int family);
/* A listening TCP socket of the cgroup. */
int gate_listener(int cgroup_fd, int family);
/* Where a socket is bound. */
struct gate_address {
	struct sockaddr_storage at;
	socklen_t size;
	uint16_t port;
};
struct gate_address gate_where(int fd);

/* Sends one datagram of that size. 0 or -errno. */
int gate_send(int fd, const struct gate_address *to, size_t size);
/* Waits until what was sent has arrived or been dropped. */
void gate_settle(void);
/* Settles and takes everything that waits; returns how many datagrams. */
int gate_drain(int fd);
/* True when a datagram from one reaches the other. */
bool gate_reaches(int from, int to);
/* True when a TCP connection comes about at the first try. */
bool gate_connects(int cgroup_fd, int listener);
/* An established connection: *client of the cgroup, *server accepted from the listener. */
void gate_connect(int cgroup_fd, int listener, int *client, int *server);
