/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Networks for tests on the real kernel: three network namespaces, each joined to the two others by
 * a veth pair with IPv4 and IPv6 addresses, and peers, which are processes of
 * tests/programs/netpeer in a cgroup and a namespace of the test's choice.
 *
 * Nothing has a name outside of the test: a namespace lives as long as the test's descriptor or a
 * process in it, and peers end with their sandbox, so a test that is killed leaves nothing.
 *
 *	sc_net_open(&net);
 *	sc_peer_start(&server, -1, net.space[SC_NET_OUTSIDE]);
 *	sc_peer_start(&client, web, net.space[SC_NET_HOST]);
 *	port = sc_peer_number(&server, "listen tcp 0.0.0.0 0");
 *	sc_peer_tell(&client, "open tcp %s %ld 1000", address, port); -> "ok", "refused", ...
 */
#pragma once

#include "harness/harness.h"

#include <netinet/in.h>

enum sc_net_space {
	SC_NET_HOST,    /* where the agent lives, and what it supervises */
	SC_NET_OUTSIDE, /* the rest of the world */
	SC_NET_POD,     /* a supervised cgroup with a network namespace of its own */
	SC_NET_SPACE_COUNT
};

struct sc_net {
	int space[SC_NET_SPACE_COUNT]; /* descriptors of the namespaces; -1 = not open */
};

/*
 * Makes namespaces and links, and waits until every address can be reached. 0 or -errno with
 * nothing left behind; -ENOENT without ip(8).
 */
int sc_net_open(struct sc_net *net);
void sc_net_close(struct sc_net *net);

/* The address of `of` as it is reached from `from`: AF_INET or AF_INET6; loopback for itself. */
const char *sc_net_address(enum sc_net_space of, enum sc_net_space from, int family);

/*
 * Puts the calling thread into a namespace and returns a descriptor of the one it was in, for the
 * way back; -errno.
 */
int sc_net_enter(int space_fd);
/* The way back: for a local that holds what sc_net_enter returned; -1 stays where it is. */
void sc_net_leave(int *own);
#define _cleanup_leave_ _cleanup_(sc_net_leave)

#define SC_PEER_WORD_MAX 16

struct sc_peer {
	pid_t pid;
	int fd;                      /* the socket to it, -1 = not running */
	char word[SC_PEER_WORD_MAX]; /* first word of its last answer */
	long number[5];              /* numbers of its last answer, 0 where there were fewer */
};

/*
 * Starts a peer, born inside the cgroup (-1 = where the test is) and in the namespace (-1 = that of
 * the test), and waits for its first answer. 0 or -errno.
 */
int sc_peer_start(struct sc_peer *peer, int cgroup_fd, int space_fd);
/* Kills and reaps it. Harmless when it is gone. */
void sc_peer_end(struct sc_peer *peer);
/* Moves it, with the sockets it has, into another cgroup. 0 or -errno. */
int sc_peer_join(struct sc_peer *peer, int cgroup_fd);

/*
 * One command line of netpeer (see there), without waiting for the answer; and the answer, with a
 * deadline. 0 with peer->word and number filled, or -errno.
 */
int sc_peer_send(struct sc_peer *peer, const char *fmt, ...) _printf_(2, 3);
int sc_peer_answer(struct sc_peer *peer);
/* Both: the first word of the answer, "gone" when there is none. */
const char *sc_peer_tell(struct sc_peer *peer, const char *fmt, ...) _printf_(2, 3);
/* The first number of the answer, -1 when its word is not ok. */
long sc_peer_number(struct sc_peer *peer, const char *fmt, ...) _printf_(2, 3);

/*
 * Has `to` serve the listener that `from` holds as descriptor fd (the second number of its answer
 * to listen): what a supervisor does that activates services by socket. 0 or -errno.
 */
int sc_peer_hand_over(struct sc_peer *from, int fd, struct sc_peer *to, const char *proto);

/* What a peer has counted since it began. */
struct sc_peer_counts {
	long received;             /* datagrams */
	long accepted;             /* connections */
	long sent, echoed, failed; /* of its stream */
};

/* 0 or -errno. */
int sc_peer_count(struct sc_peer *peer, struct sc_peer_counts *out);

/*
 * A process is born inside the cgroup and the namespace, sends one datagram to port of an IPv4 or
 * IPv6 address and ends. 0 when the kernel took it, or the errno of the sending; -errno.
 */
int sc_net_shot(int cgroup_fd, int space_fd, const char *address, uint16_t port);
