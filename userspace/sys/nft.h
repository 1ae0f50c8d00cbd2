/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of nf_tables that hold cuts, in one network namespace: one table, one map from cgroup
 * to verdict per kind, direction and cgroup level in use, and one rule for each map. Mechanism
 * only: who is cut, and how hard, is told whole each time and applied as a difference.
 *
 * What `nft list table inet scram` shows is told at the top of nft_rules.c; the expressions are
 * those of nft(8), the messages those of linux/netfilter/nf_tables.h.
 *
 * Not thread-safe: one object belongs to one thread. Any number of objects, also in different
 * processes, may work on one table: each notices by the kernel's generation number when its belief
 * about the rules is out of date, and looks again.
 */
#pragma once

#include "base/diag.h"

#include <stdbool.h>
#include <stdint.h>

#define SC_NFT_TABLE_TEXT_MAX 64
#define SC_NFT_ELEMENTS_MAX   16384
#define SC_NFT_LEVEL_MAX      31   /* of a cgroup, counted from the hierarchy's root, which is 0 */
#define SC_NFT_TRIES_MAX      1024 /* numbers of half-open allowances are below this */
#define SC_NFT_TRY_MAX        10000

/* What becomes of a packet from or to a socket of the cgroup; the stronger first. */
enum sc_nft_verdict {
	SC_NFT_DROP,       /* vanishes; with a gate behind: left to it, and only listed here */
	SC_NFT_REFUSE_ALL, /* TCP is reset, else ICMP admin-prohibited; resets themselves pass */
	SC_NFT_REFUSE_NEW, /* what begins a TCP connection is reset; all else passes */
	SC_NFT_TRY,        /* as REFUSE_NEW, once so many have been let through */
	SC_NFT_VERDICT_COUNT
};

/*
 * One cgroup, and everything below it. The level is as the agent's own cgroup namespace counts,
 * which must be the first one. Elements with the same number share one allowance of tries, and
 * tell the same tries and attempt; another attempt begins a new allowance. A connection between
 * two sockets that share an allowance uses two of it: one on its way out, one on its way in.
 */
struct sc_nft_element {
	uint64_t cgroup_id;
	uint32_t level; /* 1 to SC_NFT_LEVEL_MAX */
	enum sc_nft_verdict verdict;
	/* SC_NFT_TRY only, else ignored: */
	uint32_t number; /* below SC_NFT_TRIES_MAX */
	uint32_t tries;  /* 1 to SC_NFT_TRY_MAX */
	uint32_t attempt;
};

/* What shall be there: all of it. */
struct sc_nft_want {
	const struct sc_nft_element *elements; /* by cgroup_id, ascending, no id twice */
	uint32_t n;                            /* at most SC_NFT_ELEMENTS_MAX */
	bool has_gate;                         /* a gate stands behind SC_NFT_DROP */
};

/*
 * What the rules have held back of one cgroup, since its element was made. Of what is left to a
 * gate they count only what they see, which may be nothing: the gate counts.
 */
struct sc_nft_counts {
	uint64_t packets_in, bytes_in;   /* to its sockets */
	uint64_t packets_out, bytes_out; /* from its sockets */
	/* SC_NFT_TRY: connections let through, by all elements of this number; packets_in and _out
	 * count these too. */
	uint64_t passed;
};

/* How the rules differ from what shall be there. */
struct sc_nft_audit {
	bool has_table;
	bool is_damaged;  /* chains, rules or maps are not as we make them */
	uint32_t missing; /* elements that are not there, or with a weaker or another verdict */
	uint32_t foreign; /* elements that are too much, or with a stronger verdict */
	char text[SC_DIAG_TEXT_MAX]; /* the first difference, for people; empty = none */
};

struct sc_nft;

/*
 * Opens the door to nf_tables in the network namespace of the descriptor netns_fd (of
 * /proc/PID/ns/net; not kept), or with -1 in the caller's own, for the table `inet NAME` of at most
 * SC_NFT_TABLE_TEXT_MAX - 1 bytes. In the caller's own it asks the kernel in a dry run for each
 * expression that will be needed, so that its modules are loaded now and not at the first cut: to
 * be done once before others are opened. Makes no table.
 *
 * 0 and *out, the caller's (sc_nft_close); -EOPNOTSUPP when the kernel lacks something, with what
 * and the remedy in diag; -EPERM without CAP_NET_ADMIN (and CAP_SYS_ADMIN for another namespace).
 * *out is untouched on failure.
 */
int sc_nft_open(struct sc_nft **out, int netns_fd, const char *table, struct sc_diag *diag);
/* Leaves the rules as they are. */
void sc_nft_close(struct sc_nft **nft);
#define _cleanup_nft_ _cleanup_(sc_nft_close)

/*
 * Makes the table hold exactly these elements, in one transaction: nothing at all is sent when it
 * does already and nobody has touched nf_tables in this namespace since. A table that is missing or
 * not as we make it, also a predecessor's, is compared first; what fits is kept with its counters,
 * else the table is replaced as a whole within the transaction. Returns after what was changed has
 * been read back.
 *
 * 0; -EINVAL for elements out of order or range; -EBUSY when others change the rules faster than we
 * can look (try again); or the kernel's answer, its words in diag. After a failure the rules are as
 * before or as wanted, never between.
 */
int sc_nft_set(struct sc_nft *nft, const struct sc_nft_want *want, struct sc_diag *diag);

/*
 * Reads the rules from the kernel and tells how they differ from these; changes nothing.
 * counts[i] (NULL: not wanted) is filled for want->elements[i], zero where it is missing. 0 with
 * audit filled, also when there is no table; -EBUSY as above; or -errno, counts and audit
 * then undefined.
 */
int sc_nft_compare(struct sc_nft *nft, const struct sc_nft_want *want, struct sc_nft_counts *counts,
		   struct sc_nft_audit *audit, struct sc_diag *diag);

/*
 * The generation number of the namespace's rules, which moves with each change by anybody: while
 * it stands still, what sc_nft_compare said still holds. 0 or -errno.
 */
int sc_nft_generation(struct sc_nft *nft, uint32_t *generation);

/* 1 when the table exists, 0 when not, or -errno. */
int sc_nft_exists(struct sc_nft *nft);
/* Removes the table with all it holds; 0 also when there is none. */
int sc_nft_delete(struct sc_nft *nft, struct sc_diag *diag);
