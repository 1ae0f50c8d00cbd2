/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of cuts through the running agent: engine_kit.h with the agent inside SC_NET_HOST,
 * a world outside that answers everything, and short ways to try what passes. Whatever fails, fails
 * the test.
 *
 * A test sees twice that a packet was held back: its sender got no echo, and the other side's
 * kernel received nothing.
 */
#pragma once

#include "harness/net.h"
#include "live/engine_kit.h"

/* In every namespace that has a server; the namespaces are the test's own. */
#define SC_TRAFFIC_ECHO_PORT 7000
#define SC_TRAFFIC_SINK_PORT 7001
/* So long a held packet is waited for: an echo between namespaces takes 0.1 ms. */
#define SC_TRAFFIC_HELD_MS 60
/* And so long one that must come. */
#define SC_TRAFFIC_OPEN_MS 30000

extern struct sc_net sc_traffic_net;
/* In SC_NET_OUTSIDE and outside of the supervised cgroup: echoes TCP and UDP, and has a sink. */
extern struct sc_peer sc_traffic_world;

/* For TestSuite(NAME, .init = sc_traffic_init, .fini = sc_traffic_fini, .timeout = 300). */
void sc_traffic_init(void);
void sc_traffic_fini(void);

/* A peer born in the cgroup (-1 = beside the agent) and the namespace. */
struct sc_peer sc_traffic_peer(int cgroup_fd, enum sc_net_space space);
/* Has it echo TCP and UDP on all addresses at SC_TRAFFIC_ECHO_PORT. */
void sc_traffic_serve(struct sc_peer *peer);

/* A column of the matrix. */
struct sc_traffic_kind {
	const char *name, *proto;
	int family;
};

/* The indices of sc_traffic_kinds. Loose is UDP without connect(2): nothing ends such a socket. */
enum {
	SC_TCP4,
	SC_UDP4,
	SC_LOOSE4,
	SC_ICMP4,
	SC_TCP6,
	SC_UDP6,
	SC_LOOSE6,
	SC_ICMP6,
	SC_TRAFFIC_KINDS
};

extern const struct sc_traffic_kind sc_traffic_kinds[SC_TRAFFIC_KINDS];

/* From one namespace to a port of another. */
struct sc_traffic_path {
	enum sc_net_space from, to;
	int port;
};

/* From the host to the echo of the world, and from the world to that of whoever serves there. */
extern const struct sc_traffic_path sc_traffic_out, sc_traffic_in;

/* Opens a socket: the handle, or -1 with the reason in peer->word. */
long sc_traffic_open(struct sc_peer *peer, const struct sc_traffic_kind *kind,
		     const struct sc_traffic_path *path, unsigned int ms);
/* Opens, talks, closes: "ok", or what went wrong. */
const char *sc_traffic_try(struct sc_peer *peer, const struct sc_traffic_kind *kind,
			   const struct sc_traffic_path *path, unsigned int ms);
/* From the host to the world and back works by every kind, or by none: with what was expected. */
void sc_traffic_expect_open(struct sc_peer *peer);
void sc_traffic_expect_held(struct sc_peer *peer);

/* IP packets, neighbour discovery and the like excepted, that the kernel of the peer's namespace
 * has delivered there. */
long sc_traffic_arrived(const struct sc_peer *peer);

/*
 * Starts the agent with tenants acme (@ROOT@/acme and @ROOT@/acme-*), beta (@ROOT@/beta) and gamma
 * (@ROOT@/x*z, which the kernel cannot match), component shop (@ROOT@/shop*), live conditions `cut`
 * of acme, `cut-gamma`, `break` (all) and `break-new` of shop, and the further ones of `more`.
 */
void sc_traffic_start(const char *more);
/* Fires one of these, or another that needs no target, and waits; it must be isolated. */
void sc_traffic_fire(const char *id);
/* Releases the newest fire of the condition and waits until it is released. */
void sc_traffic_release(const char *id);

/* A stream of datagrams or of a connection, sent every us microseconds on the handle. */
void sc_traffic_stream(struct sc_peer *peer, long handle, unsigned int us);
/* Ends it, waits until all that was sent has come back, and expects that nothing failed. */
void sc_traffic_expect_whole(struct sc_peer *peer, long handle);

/* `nft ARGUMENTS` inside SC_NET_HOST, words divided by blanks: what it said, the caller's. */
char *sc_traffic_nft(const char *arguments);
/* How many records of the journal contain both texts. */
unsigned int sc_traffic_journal(const char *a, const char *b);
/* Waits until there are at least n. */
void sc_traffic_wait_journal(const char *a, const char *b, unsigned int n);

/* How many programs on packets are attached to the supervised cgroup. */
unsigned int sc_traffic_attached(void);
/* Detaches them behind the agent's back; returns how many. */
unsigned int sc_traffic_detach(void);
/* How many entries are below the directory of the agent's pins. */
unsigned int sc_traffic_pins(void);
