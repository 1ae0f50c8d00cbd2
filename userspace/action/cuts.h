/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which cut holds which cgroup, when several may: the table of cuts as last told, and what changes
 * in the world when one of them is set. Pure: no system call, and no allocation after new. A table
 * belongs to one thread.
 */
#pragma once

#include <scram/traffic.h>

/* Memberships of all cuts together: as many as the gate has places. */
#define SC_CUTS_MEMBERSHIPS_MAX 16384
/* More than one set can change: all the members it had and all it gets. */
#define SC_CUTS_CHANGES_MAX (2 * SC_CUT_MEMBERS_MAX)

struct sc_cuts;

/* What holds one cgroup: of the cuts that name it the strongest, among equals the lowest number. */
struct sc_cut_entry {
	uint64_t cgroup_id;
	uint32_t level;
	uint32_t number;
	enum sc_cut_mode mode; /* SC_CUT_NONE: nothing does; level and number are 0 then */
	uint32_t tries;        /* SC_CUT_TRY only, else 0 */
	uint32_t attempt;
};

struct sc_cut_change {
	struct sc_cut_entry before, after; /* of one cgroup, and never the same */
};

/* An empty table. 0, or -ENOMEM with *out untouched. */
int sc_cuts_new(struct sc_cuts **out);
/* *cuts is NULL afterwards; NULL is fine. */
void sc_cuts_free(struct sc_cuts **cuts);
/* Forgets all cuts. */
void sc_cuts_clear(struct sc_cuts *cuts);

/*
 * Replaces what was told of cut->number; SC_CUT_NONE forgets it, whatever its members say. Members
 * are copied, globs are not kept. Stores in changes (room for SC_CUTS_CHANGES_MAX) how the entries
 * of cgroups changed by it, by id ascending, and returns how many did; NULL = not wanted, and 0.
 *
 * -EINVAL for members out of order, twice, too many or with a level outside 1..31; -ENOSPC when all
 * cuts together would hold more than SC_CUTS_MEMBERSHIPS_MAX. The table is untouched then.
 */
int sc_cuts_set(struct sc_cuts *cuts, const struct sc_cut *cut, struct sc_cut_change *changes);

/* How many cuts stand. */
uint32_t sc_cuts_count(const struct sc_cuts *cuts);
/* The mode in which this cut stands; SC_CUT_NONE when it does not. */
enum sc_cut_mode sc_cuts_mode(const struct sc_cuts *cuts, uint32_t number);
/* Stores the members of one cut, by id ascending (room for SC_CUT_MEMBERS_MAX); returns how many.
 */
uint32_t sc_cuts_members(const struct sc_cuts *cuts, uint32_t number, struct sc_cut_member *out);
/* What holds that cgroup itself; the cgroups above it are not looked at. */
struct sc_cut_entry sc_cuts_entry(const struct sc_cuts *cuts, uint64_t cgroup_id);
/* Stores the entries of all cgroups that are held (room for SC_CUTS_MEMBERSHIPS_MAX), in no
 * particular order; returns how many. */
uint32_t sc_cuts_entries(const struct sc_cuts *cuts, struct sc_cut_entry *out);
