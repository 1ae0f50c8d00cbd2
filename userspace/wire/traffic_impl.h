/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the traffic port; nobody else includes it. */
#pragma once

#include "wire/traffic.h"
#include "action/cuts.h"
#include "base/diag.h"
#include "sys/bpf.h"
#include "sys/cgroup.h"
#include "sys/gate.h"
#include "sys/netns.h"
#include "sys/nft.h"
#include "sys/sockdiag.h"

#include <stdatomic.h>

_Static_assert(SC_CUTS_MAX <= SC_GATE_CUTS_MAX && SC_CUTS_MAX <= SC_NFT_TRIES_MAX,
	       "one number names a cut everywhere");
_Static_assert(SC_CUTS_MEMBERSHIPS_MAX <= SC_NFT_ELEMENTS_MAX, "all that is held fits the rules");

/*
 * A foreign network namespace with processes of cuts. Its table holds the cgroups of those cuts
 * alone, so that setting a cut costs nothing in the namespaces of others.
 */
struct sc_traffic_space {
	uint64_t inode;
	pid_t pid;      /* a process that was in it; another is looked for when it has gone */
	bool is_due;    /* hand: the table there may be out of date */
	bool is_orphan; /* hand: a predecessor left a table there */
	uint32_t cuts[SC_CUTS_MAX / 32]; /* bit by number */
};

struct sc_traffic_spaces {
	struct sc_traffic_space item[SC_NETNS_MAX];
	uint32_t n;
};

/* What only the hand touches; arm and disarm too, while no hand works. */
struct sc_traffic_hand {
	struct sc_cuts *gated; /* what the gate was told */
	struct sc_cuts *ruled; /* what the rules were told */
	struct sc_cut_change changes[SC_CUTS_CHANGES_MAX];
	struct sc_cut_member members[SC_CUT_MEMBERS_MAX];

	struct sc_nft *nft;              /* in our own network namespace */
	struct sc_nft_element *elements; /* what shall be held, by cgroup id ascending */
	struct sc_nft_element *spare;    /* the next elements while they are being merged */
	uint32_t n_elements;
	struct sc_traffic_spaces spaces;
	struct sc_netns_list list;
};

/* What the rules have counted of one cut: elements are made anew, and what they had counted is
 * lost to the kernel then. */
struct sc_traffic_carry {
	char fire_id[sizeof(((struct sc_cut *)0)->fire_id)];
	struct sc_nft_counts seen, sum; /* at the last audit; of all audits */
};

/* What only the collector touches. */
struct sc_traffic_auditor {
	struct sc_cuts *cuts;
	struct sc_cut_entry *entries;
	struct sc_nft_element *elements; /* those of the entries, in their order */
	struct sc_nft_element *picked;   /* those for one foreign namespace */
	struct sc_nft_counts *counts;    /* of the elements, in one namespace */
	uint32_t n;
	struct sc_nft *nft;
	struct sc_netns_list list;
	struct sc_traffic_spaces spaces;        /* where processes of the cuts live now */
	struct sc_traffic_spaces known;         /* and where their rules were seen in order */
	struct sc_nft_counts seen[SC_CUTS_MAX]; /* of each cut, over all namespaces */
	struct sc_traffic_carry carries[SC_CUTS_MAX];
	struct sc_gate_top tops[SC_CUTS_MAX];
};

struct sc_traffic_wire {
	struct sc_traffic_host host;
	char pin_dir[SC_BPF_PIN_DIR_MAX];
	char table[SC_TRAFFIC_TABLE_MAX];
	uint64_t own_space;

	/* Published by arm, read by all threads. */
	_Atomic(struct sc_gate *) gate;
	_Atomic bool has_nft;
	_Atomic bool is_gate_lost; /* by the audit; the hand repairs it */
	/* The loop's: why the one above is not there. */
	char gate_why[SC_GATE_REASON_MAX];
	struct sc_diag nft_why;

	struct sc_traffic_hand hand;
	struct sc_traffic_flows *flows; /* the hand's too */
	struct sc_traffic_auditor auditor;
};

/* Sets error and text, the latter only when there is none yet; returns err. */
int sc_traffic_fail(struct sc_cut_report *report, int err, const char *fmt, ...) _printf_(3, 4);

/* The element of the rules that holds an entry. */
struct sc_nft_element sc_traffic_element(const struct sc_cut_entry *entry);
/* Adds the namespaces of the processes of each member that still exists. */
int sc_traffic_list_spaces(const struct sc_traffic_wire *w, const struct sc_cut_member *members,
			   uint32_t n, struct sc_netns_list *list);
/* The place of that namespace, NULL when it has none; and the same with a new one if need be, NULL
 * when there is no room. */
struct sc_traffic_space *sc_traffic_space_find(struct sc_traffic_spaces *spaces, uint64_t inode);
struct sc_traffic_space *sc_traffic_space_of(struct sc_traffic_spaces *spaces, uint64_t inode);
/*
 * Notes in spaces the foreign namespaces in which processes of the cut live; list is scratch, and
 * holds what was found. 0, -E2BIG when there are more than can be looked at, or -errno.
 */
int sc_traffic_note_spaces(const struct sc_traffic_wire *w, const struct sc_cut *cut,
			   struct sc_netns_list *list, struct sc_traffic_spaces *spaces);
/* Stores what a foreign namespace shall hold (room for SC_CUTS_MEMBERSHIPS_MAX), by cgroup id
 * ascending; returns how many. */
uint32_t sc_traffic_pick(const struct sc_cuts *cuts, const struct sc_traffic_space *space,
			 struct sc_nft_element *out);
/* True when the cgroup is one of the n members (by id ascending) or below one; -errno is false. */
bool sc_traffic_is_below(const struct sc_traffic_wire *w, const struct sc_cut_member *members,
			 uint32_t n, uint64_t cgroup_id);

/* What end_flows needs while it works, made beforehand; released by free. NULL: no memory. */
struct sc_traffic_flows *sc_traffic_flows_new(void);

/* The operations of the hand and the collector. */
int sc_traffic_set_gate(void *ctx, const struct sc_cut *cut, struct sc_cut_report *report);
int sc_traffic_set_rules(void *ctx, const struct sc_cut *cut, struct sc_cut_report *report);
int sc_traffic_end_flows(void *ctx, const struct sc_cut *cut, struct sc_cut_report *report);
int sc_traffic_audit(void *ctx, const struct sc_cut *cuts, uint32_t n, struct sc_cut_counts *counts,
		     struct sc_cut_audit *out);

/* What the gate alone has counted; any thread. */
void sc_traffic_count(void *ctx, uint32_t number, struct sc_cut_counts *out);

/* Finds the foreign namespaces where a predecessor left our table. 0 or -errno. */
int sc_traffic_adopt_spaces(struct sc_traffic_wire *w);
/* Deletes our table in our own and all known namespaces. 0 or the first -errno, all tried. */
int sc_traffic_delete_tables(struct sc_traffic_wire *w, struct sc_cut_report *report);
