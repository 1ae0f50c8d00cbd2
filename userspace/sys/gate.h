/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: BPF programs on the supervised root cgroup that drop the packets of cut cgroups, in
 * every network namespace, and take in a cgroup that is made anew before its directory can be seen.
 * Everything is pinned and outlives the agent while a cut stands. Mechanism only: which cut holds a
 * cgroup that several name is resolved by the caller.
 *
 * How a caller sets a cut:
 *
 *	sc_gate_set(g, &wish);             the cut's own record: from now on its entries count
 *	sc_gate_put(g, id, level, number); for each cgroup it now holds
 *	sc_gate_drop(g, id);               for each cgroup that no cut holds any more
 *	sc_gate_set_globs(g, number, ..);  which cgroups made later belong to it
 *
 * and ends it with sc_gate_end, which frees what it still holds in one store, whoever put it there;
 * cgroups that another cut holds too are put to that one first. A cut that becomes weaker is set
 * after its puts, for the same reason. Each is one store into mapped memory or one update of a map
 * (1 us), but sc_gate_end, which walks the entries (12 us, and 2 us for each that goes).
 *
 * Threads: set, put, drop, set_globs, end and repair belong to one thread, the hand. audit and tops
 * may be called by one other at the same time, the collector; cut, look and the reasons by any.
 * open and close belong to whoever owns the start and the end.
 *
 * What passes nevertheless, and is asserted so by tests/bpf/gate_test.c: a socket keeps the cgroup
 * of its making, so one that was made before its process was moved in belongs to another; a packet
 * socket (AF_PACKET) sends below IP, and is held back only where sc_gate_packet_reason is "";
 * answers the kernel itself gives for an address (ICMP echo, resets of closed ports, time-wait)
 * belong to no cgroup. Unix sockets are not touched.
 */
#pragma once

#include <scram/gate.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SC_GATE_REASON_MAX 256

struct sc_gate_options {
	int root_fd;         /* directory of the supervised cgroup2 subtree; only borrowed */
	const char *pin_dir; /* as sc_bpf_pin_dir writes it: the gate is pinned beside that */
};

struct sc_gate;

/*
 * Loads the programs, attaches and pins them; some 150 ms. What a predecessor left pinned is taken
 * over with all it holds: its programs are replaced in place, so there is no instant without a
 * gate. One that supervised another root is moved to this one. 0, or -errno with reason
 * (SC_GATE_REASON_MAX bytes, never NULL); *out is untouched then, and what a predecessor holds
 * stays held.
 */
int sc_gate_open(struct sc_gate **out, const struct sc_gate_options *options, char *reason);

/*
 * Opens what stands pinned, without attaching anything: for a release while no agent runs, which
 * the caller makes sure of. Only set, cut, look, tops, end and close mean something then. -ENOENT
 * when nothing is pinned.
 */
int sc_gate_open_pinned(struct sc_gate **out, const char *pin_dir, char *reason);

/* Unpins and so detaches everything, unless a cut stands: then the gate stays. *g is NULL
 * afterwards; NULL is fine. */
void sc_gate_close(struct sc_gate **g);

/* Why the kernel cannot take in new cgroups by globs here, for people; "" = it can. */
const char *sc_gate_globs_reason(const struct sc_gate *g);
/* Why packet sockets of cut cgroups cannot be refused here, for people; "" = they are. */
const char *sc_gate_packet_reason(const struct sc_gate *g);

struct sc_gate_wish {
	uint32_t number; /* below SC_GATE_CUTS_MAX */
	enum sc_gate_mode mode;
	uint32_t tries;   /* SC_GATE_TRY */
	uint32_t attempt; /* another one than before begins to count `passed` anew */
	const char *fire_id;
	const char *name;
};

/*
 * Writes the record of a cut: the mode takes effect for all its entries at once. A number that
 * stands keeps its entries, globs and counts, also under another fire id; one that does not begins
 * with none. SC_GATE_NONE is sc_gate_end. 0 or -errno of sc_gate_end.
 */
int sc_gate_set(struct sc_gate *g, const struct sc_gate_wish *wish);
/*
 * This cgroup and everything below it belongs to that cut, and to no other. -EINVAL for a cut that
 * does not stand or a level that is not 1 .. SC_GATE_LEVELS - 1, -ENOSPC when SC_GATE_ENTRIES_MAX
 * have an entry.
 */
int sc_gate_put(struct sc_gate *g, uint64_t cgroup_id, uint32_t level, uint32_t number);
/* This cgroup belongs to no cut by itself. 0 also when it had no entry. */
int sc_gate_drop(struct sc_gate *g, uint64_t cgroup_id);
/*
 * Cgroups made from now on at a path that one of these globs matches (base/glob.h; as in
 * /proc/PID/cgroup) are put to the cut by the kernel; the globs it had before are forgotten.
 * Returns how many of them the kernel can do; for the others, and for all when sc_gate_globs_reason
 * says why, the caller must look itself: the kernel knows exact paths and those that end in their
 * only `*` or `**`. -EINVAL for a cut that does not stand, -ENOSPC beyond SC_GATE_GLOBS_MAX.
 */
int sc_gate_set_globs(struct sc_gate *g, uint32_t number, const char *const *globs, size_t n);
/*
 * The cut does not stand any more: one store, after which nothing is held by it. Its entries and
 * globs are removed then; 0, or the -errno of that, which harms nobody. Harmless when repeated.
 */
int sc_gate_end(struct sc_gate *g, uint32_t number);

/* The record of a cut, as the programs count into it: mapped memory, valid until sc_gate_close.
 * What stands after sc_gate_open is found by looking through all of them. */
const struct sc_gate_cut *sc_gate_cut(const struct sc_gate *g, uint32_t number);
/* The entry of that cgroup itself, when its cut stands; ancestors are not looked at. 0, -ENOENT or
 * -errno. One system call. */
int sc_gate_look(const struct sc_gate *g, uint64_t cgroup_id, struct sc_gate_entry *out);

struct sc_gate_top {
	uint64_t packets; /* 0 = none */
	struct sc_gate_peer peer;
};

/* The remote end of the most packets held back, for each cut: fills tops[SC_GATE_CUTS_MAX]. 0 or
 * -errno. Some ms. */
int sc_gate_tops(const struct sc_gate *g, struct sc_gate_top *tops);
#define SC_GATE_PEER_TEXT_MAX 72
/* "10.0.0.7:443/tcp", "[2001:db8::1]:53/udp", "10.0.0.7/icmp". */
void sc_gate_peer_text(const struct sc_gate_peer *peer, char out[static SC_GATE_PEER_TEXT_MAX]);

struct sc_gate_health {
	uint32_t lost; /* links that are not pinned, not attached, or run another program */
	char what[SC_GATE_REASON_MAX]; /* which; "" = none */
	uint32_t entries;              /* in use; those of removed cgroups included */
	uint32_t forgotten;            /* entries of removed cgroups that this call removed */
	struct sc_gate_state state;
};

/*
 * Looks whether everything is attached as it was, and forgets the oldest removed cgroups of each
 * cut beyond SC_GATE_GONE_MAX. Some ms; meant for once in some seconds. 0 or -errno.
 */
#define SC_GATE_GONE_MAX 256
int sc_gate_audit(const struct sc_gate *g, struct sc_gate_health *out);
/* Attaches and pins again what audit finds lost. 0, or -errno with reason. Harmless when nothing
 * is. */
int sc_gate_repair(struct sc_gate *g, char *reason);
