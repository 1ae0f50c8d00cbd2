/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of sys/nft.h: three cgroups with a peer in each, a fourth peer in another network
 * namespace, and short ways to cut the ones and to try what passes. Whatever fails, fails the test.
 */
#pragma once

#include "harness/net.h"
#include "sys/nft_impl.h"

#define SC_NFTK_TABLE "scram_nft_test"
/* What is dropped is waited for so long; what is refused comes at once, or the test fails late. */
#define SC_NFTK_HELD_MS 100
#define SC_NFTK_OPEN_MS 30000

/* CUT is level 2 of the hierarchy, INNER is below it, OTHER beside it. */
enum sc_nftk_place {
	SC_NFTK_CUT,
	SC_NFTK_INNER,
	SC_NFTK_OTHER,
	SC_NFTK_WORLD,
	SC_NFTK_PLACE_COUNT
};

struct sc_nftk {
	struct sc_net net;
	struct sc_nft *nft; /* in SC_NET_HOST, where the test is */
	int cgroup[SC_NFTK_WORLD];
	uint64_t id[SC_NFTK_WORLD];
	struct sc_peer peer[SC_NFTK_PLACE_COUNT]; /* WORLD is in SC_NET_OUTSIDE */
	long port[SC_NFTK_PLACE_COUNT];           /* that it serves, by TCP and UDP */
	struct sc_diag diag;
};
extern struct sc_nftk sc_nftk;

/* For TestSuite(NAME, .init = sc_nftk_init, .fini = sc_nftk_fini, .timeout = 300). */
void sc_nftk_init(void);
void sc_nftk_fini(void);
/* The peers, for tests that send packets. */
void sc_nftk_start_peers(void);

/* The place's cgroup; with SC_NFT_TRY number 5, 3 tries, attempt 1. */
struct sc_nft_element sc_nftk_cut(enum sc_nftk_place place, enum sc_nft_verdict verdict);
/* Sorts e by cgroup. */
struct sc_nft_want sc_nftk_want(struct sc_nft_element *e, uint32_t n);
void sc_nftk_set(struct sc_nft_want w);
void sc_nftk_set_one(enum sc_nftk_place place, enum sc_nft_verdict verdict);
struct sc_nft_audit sc_nftk_compare(const struct sc_nft_want *w);

/* Opens a connection or socket to the other's server; then also sends and waits for the echo. Both
 * tell how it went in netpeer's words. */
const char *sc_nftk_open(enum sc_nftk_place from, enum sc_nftk_place to, const char *proto,
			 int family, unsigned int ms);
const char *sc_nftk_talk(enum sc_nftk_place from, enum sc_nftk_place to, const char *proto,
			 int family, unsigned int ms);
/* How many of eight TCP connections come about. */
uint32_t sc_nftk_count_passing(enum sc_nftk_place from, enum sc_nftk_place to, int family);

/* One attempt to talk by IPv4 and by IPv6, and the word it is to end with. */
struct sc_nftk_attempt {
	enum sc_nftk_place from, to;
	const char *proto, *want;
};
void sc_nftk_attempt_all(const struct sc_nftk_attempt *attempts, size_t n);
#define SC_NFTK_ATTEMPT_ALL(...)                                             \
	do {                                                                 \
		static const struct sc_nftk_attempt list_[] = {__VA_ARGS__}; \
		sc_nftk_attempt_all(list_, SC_ARRAY_SIZE(list_));            \
	} while (0)

/* Runs nft(8) where the test is: what it printed, the caller's. */
char *sc_nftk_run(const char *const argv[]);
/* Its listing of all rules, without counters. */
char *sc_nftk_list(void);
