/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * Cutting groups of cgroups from the network. A cut names cgroups by id; everything below them is
 * cut with them. Two mechanisms hold it, one behind the other: rules of nf_tables, which answer at
 * once and can be read by people, and the gate, a pair of BPF programs on the supervised root,
 * which holds in every network namespace, cannot be removed from inside, and takes in a cgroup that
 * is made anew before its directory can be seen.
 *
 * A cut is a standing wish: set again and again to what it shall be, applied as a difference.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How hard, in the order of strength: where two cuts hold one cgroup, the stronger wins. */
enum sc_cut_mode {
	SC_CUT_NONE,       /* released */
	SC_CUT_TRY,        /* as refuse-new, but some new connections are let through: half-open */
	SC_CUT_REFUSE_NEW, /* new TCP connections, in and out, get a reset; all else passes */
	SC_CUT_REFUSE_ALL, /* TCP gets a reset, the rest ICMP admin-prohibited, both ways */
	SC_CUT_DROP,       /* every packet of every protocol vanishes, both ways: quarantine */
	SC_CUT_MODE_COUNT
};

static inline const char *sc_cut_mode_name(enum sc_cut_mode mode)
{
	static const char *const names[] = {"none", "try", "new", "all", "drop"};

	_Static_assert(sizeof(names) / sizeof(names[0]) == SC_CUT_MODE_COUNT, "one name each");
	return (unsigned int)mode < SC_CUT_MODE_COUNT ? names[mode] : "?";
}

#define SC_CUTS_MAX        1024 /* at one time on a host; the number of a cut is below this */
#define SC_CUT_MEMBERS_MAX 1024 /* topmost cgroups of one cut */
#define SC_CUT_GLOBS_MAX   64
#define SC_CUT_NAME_MAX    144 /* "tenant acme", "component checkout", "cgroup /a/b" */
#define SC_CUT_TEXT_MAX    256

struct sc_cut_member {
	uint64_t cgroup_id;
	uint32_t level; /* depth below the hierarchy's root, which is 0; 1..31 */
};

/* One cut as it shall be: plain data, nothing owned. */
struct sc_cut {
	uint32_t number; /* the caller's place for it, as long as it stands: below SC_CUTS_MAX */
	enum sc_cut_mode mode;
	uint32_t tries;   /* SC_CUT_TRY: so many new connections pass */
	uint32_t attempt; /* SC_CUT_TRY: another number begins a new allowance */
	char fire_id[37];
	char name[SC_CUT_NAME_MAX];          /* for people: shown in rules and pinned maps */
	const struct sc_cut_member *members; /* those that exist, topmost only, by id ascending */
	uint32_t n_members;
	/* Which cgroups made later belong to it: globs of paths as in /proc/PID/cgroup. */
	const char *const *globs;
	uint32_t n_globs;
	/* Of a predecessor, and its group is declared no more: members and globs are not known, and
	 * what the gate holds and takes in for it stays. */
	bool is_kept;
};

/* What one step of setting a cut did; zeroed by the caller before the first, then added to. */
struct sc_cut_report {
	uint64_t gate_begin_ns, gate_end_ns;   /* CLOCK_MONOTONIC; 0 = not done */
	uint64_t rules_begin_ns, rules_end_ns; /* until they were read back */
	bool has_gate;                         /* the gate holds every member */
	bool has_rules;          /* the rules were read back in every namespace found */
	uint32_t namespaces;     /* network namespaces with our table, the agent's own included */
	uint32_t flows_ended;    /* sockets destroyed */
	uint32_t flows_left;     /* established sockets of the members that are still there */
	uint32_t foreign;        /* sockets held by members but made elsewhere: ended where that can
				    be, else they pass; see docs */
	bool is_globs_in_kernel; /* false: some glob is matched by userspace, with a short leak */
	int error;               /* of the last thing that failed, -errno */
	char text[SC_CUT_TEXT_MAX]; /* what failed, for people; empty = nothing */
};

/* What a cut has held back since it began. */
struct sc_cut_counts {
	uint64_t packets_in, bytes_in;   /* to its sockets; by gate and rules together */
	uint64_t packets_out, bytes_out; /* from its sockets */
	uint64_t passed;      /* SC_CUT_TRY: new connections let through in this attempt */
	uint64_t first_ns;    /* CLOCK_MONOTONIC of the gate's first drop; 0 = none */
	uint64_t top_packets; /* held back on the way to or from top */
	char top[72];         /* "10.0.0.7:443/tcp"; empty = none */
};

/* What somebody else did to what holds the cuts. */
struct sc_cut_audit {
	bool differs;        /* something is missing or too much */
	bool is_gate_lost;   /* a program of the gate is detached */
	uint32_t missing;    /* rules or elements that are not there */
	uint32_t new_spaces; /* network namespaces of members that have no table yet */
	char text[SC_CUT_TEXT_MAX];
};

/* What a dead predecessor's gate still holds. */
struct sc_cut_found {
	uint32_t number;
	enum sc_cut_mode mode;
	char fire_id[37];
	char name[SC_CUT_NAME_MAX];
};

/* The port. Calls are marked with the thread that may make them. */
struct sc_traffic_ops {
	/* start, loop at reload: brings up the gate and the table, without cutting anything. 0, or
	 * -errno with why: then no cut can be made. Harmless when repeated. Some 100 ms. */
	int (*arm)(void *ctx, char *why, size_t size);
	/* loop: 0, or -EOPNOTSUPP with why this host cannot cut in that mode. */
	int (*can)(void *ctx, enum sc_cut_mode mode, char *why, size_t size);
	/* start: what stands pinned; returns how many, at most SC_CUTS_MAX. */
	uint32_t (*found)(void *ctx, struct sc_cut_found *out);

	/*
	 * hand, in this order; each makes its mechanism hold the cut as it is told, and nothing of
	 * it any more for SC_CUT_NONE. 0 or -errno with report->error and text. They may wait for
	 * the kernel, not for a process.
	 */
	int (*set_gate)(void *ctx, const struct sc_cut *cut, struct sc_cut_report *report);
	int (*set_rules)(void *ctx, const struct sc_cut *cut, struct sc_cut_report *report);
	/* hand: ends established connections of the members, for modes that cut them. */
	int (*end_flows)(void *ctx, const struct sc_cut *cut, struct sc_cut_report *report);

	/* loop: true while the gate holds that cgroup, itself or through one above it, for this
	 * cut. */
	bool (*is_gated)(void *ctx, uint32_t number, uint64_t cgroup_id);
	/* collector: compares the world with these cuts, fills counts[cut->number] of each. 0 or
	 * -errno. */
	int (*audit)(void *ctx, const struct sc_cut *cuts, uint32_t n, struct sc_cut_counts *counts,
		     struct sc_cut_audit *out);
	/* loop: what the gate alone has held back of this cut: no system call. */
	void (*count)(void *ctx, uint32_t number, struct sc_cut_counts *out);
	/* start, stop: takes the table and the gate away when no cut stands. */
	void (*disarm)(void *ctx);
};

struct sc_traffic {
	const struct sc_traffic_ops *ops;
	void *ctx;
};
