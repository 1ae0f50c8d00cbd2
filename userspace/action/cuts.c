/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A membership (this cgroup, that cut) is a node in two lists: those of its cgroup, found through a
 * hash of the id, and those of its cut, by id ascending. All nodes are made at once in sc_cuts_new.
 */
#include "action/cuts.h"

#include "base/mem.h"

#include <errno.h>

#define LEVEL_MAX 31U
#define BUCKETS   16384U
#define NONE      UINT32_MAX

_Static_assert(BUCKETS == 1U << (64 - 50), "what bucket_of leaves of a product");

struct node {
	uint64_t cgroup_id;
	uint32_t level;
	uint32_t number;
	uint32_t next_of_id; /* in its bucket */
	uint32_t next_of_cut;
};

struct stored {
	enum sc_cut_mode mode;
	uint32_t tries;
	uint32_t attempt;
	uint32_t first; /* node with the lowest id */
	uint32_t n;
};

struct sc_cuts {
	struct stored stored[SC_CUTS_MAX];
	uint32_t count;
	uint32_t buckets[BUCKETS];
	struct node nodes[SC_CUTS_MEMBERSHIPS_MAX];
	uint32_t free; /* first of the unused nodes, chained by next_of_cut */
	uint32_t n_free;
};

/* Ids are inode numbers: a generation above, a counter below. */
static uint32_t bucket_of(uint64_t cgroup_id)
{
	return (uint32_t)((cgroup_id * 0x9e3779b97f4a7c15ULL) >> 50);
}

int sc_cuts_new(struct sc_cuts **out)
{
	struct sc_cuts *cuts = malloc(sizeof(*cuts));

	if (!cuts)
		return -ENOMEM;
	sc_cuts_clear(cuts);
	*out = cuts;
	return 0;
}

void sc_cuts_free(struct sc_cuts **cuts)
{
	free(*cuts);
	*cuts = NULL;
}

void sc_cuts_clear(struct sc_cuts *cuts)
{
	for (uint32_t i = 0; i < SC_CUTS_MAX; i++)
		cuts->stored[i] = (struct stored){.first = NONE};
	for (uint32_t i = 0; i < BUCKETS; i++)
		cuts->buckets[i] = NONE;
	for (uint32_t i = 0; i < SC_CUTS_MEMBERSHIPS_MAX; i++)
		cuts->nodes[i].next_of_cut = i + 1 < SC_CUTS_MEMBERSHIPS_MAX ? i + 1 : NONE;
	cuts->free = 0;
	cuts->n_free = SC_CUTS_MEMBERSHIPS_MAX;
	cuts->count = 0;
}

static void unlink_from_bucket(struct sc_cuts *cuts, uint32_t at)
{
	uint32_t *link = &cuts->buckets[bucket_of(cuts->nodes[at].cgroup_id)];

	while (*link != at)
		link = &cuts->nodes[*link].next_of_id;
	*link = cuts->nodes[at].next_of_id;
}

static void forget_members(struct sc_cuts *cuts, struct stored *stored)
{
	uint32_t next;

	for (uint32_t at = stored->first; at != NONE; at = next) {
		next = cuts->nodes[at].next_of_cut;
		unlink_from_bucket(cuts, at);
		cuts->nodes[at].next_of_cut = cuts->free;
		cuts->free = at;
		cuts->n_free++;
	}
	stored->first = NONE;
	stored->n = 0;
}

static void take_members(struct sc_cuts *cuts, const struct sc_cut *cut, uint32_t n)
{
	uint32_t *link = &cuts->stored[cut->number].first;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = cuts->free;
		struct node *node = &cuts->nodes[at];
		uint32_t *bucket = &cuts->buckets[bucket_of(cut->members[i].cgroup_id)];

		cuts->free = node->next_of_cut;
		cuts->n_free--;
		*node = (struct node){.cgroup_id = cut->members[i].cgroup_id,
				      .level = cut->members[i].level,
				      .number = cut->number,
				      .next_of_id = *bucket,
				      .next_of_cut = NONE};
		*bucket = *link = at;
		link = &node->next_of_cut;
	}
	cuts->stored[cut->number].n = n;
}

static bool is_valid(const struct sc_cut *cut)
{
	if (cut->n_members > SC_CUT_MEMBERS_MAX)
		return false;
	for (uint32_t i = 0; i < cut->n_members; i++) {
		const struct sc_cut_member *m = &cut->members[i];

		if (!m->cgroup_id || !m->level || m->level > LEVEL_MAX)
			return false;
		if (i > 0 && m->cgroup_id <= m[-1].cgroup_id)
			return false;
	}
	return true;
}

/* Stores the entries as they are of all cgroups in either list, by id ascending. */
static size_t note_before(const struct sc_cuts *cuts, const struct sc_cut *cut, uint32_t n,
			  struct sc_cut_change *changes)
{
	uint32_t at = cuts->stored[cut->number].first, i = 0;
	size_t noted = 0;

	while (at != NONE || i < n) {
		uint64_t old_id = at != NONE ? cuts->nodes[at].cgroup_id : UINT64_MAX;
		uint64_t new_id = i < n ? cut->members[i].cgroup_id : UINT64_MAX;
		uint64_t id = SC_MIN(old_id, new_id);

		changes[noted++].before = sc_cuts_entry(cuts, id);
		if (old_id == id)
			at = cuts->nodes[at].next_of_cut;
		i += new_id == id;
	}
	return noted;
}

static bool is_same(const struct sc_cut_entry *a, const struct sc_cut_entry *b)
{
	return a->mode == b->mode && a->number == b->number && a->level == b->level &&
	       a->tries == b->tries && a->attempt == b->attempt;
}

/* Sets the entries as they have become, and leaves out what did not change. */
static size_t note_after(const struct sc_cuts *cuts, struct sc_cut_change *changes, size_t noted)
{
	size_t kept = 0;

	for (size_t i = 0; i < noted; i++) {
		struct sc_cut_entry before = changes[i].before;
		struct sc_cut_entry after = sc_cuts_entry(cuts, before.cgroup_id);

		if (!is_same(&before, &after))
			changes[kept++] = (struct sc_cut_change){before, after};
	}
	return kept;
}

int sc_cuts_set(struct sc_cuts *cuts, const struct sc_cut *cut, struct sc_cut_change *changes)
{
	uint32_t n = cut->mode == SC_CUT_NONE ? 0 : cut->n_members;
	struct stored *stored;
	size_t noted = 0;

	SC_ASSERT(cut->number < SC_CUTS_MAX && (unsigned int)cut->mode < SC_CUT_MODE_COUNT);
	stored = &cuts->stored[cut->number];
	if (n > 0 && !is_valid(cut))
		return -EINVAL;
	if (n > cuts->n_free + stored->n)
		return -ENOSPC;
	if (changes)
		noted = note_before(cuts, cut, n, changes);
	cuts->count -= stored->mode != SC_CUT_NONE;
	cuts->count += cut->mode != SC_CUT_NONE;
	forget_members(cuts, stored);
	stored->mode = cut->mode;
	stored->tries = cut->mode == SC_CUT_TRY ? cut->tries : 0;
	stored->attempt = cut->mode == SC_CUT_TRY ? cut->attempt : 0;
	take_members(cuts, cut, n);
	return (int)note_after(cuts, changes, noted);
}

uint32_t sc_cuts_count(const struct sc_cuts *cuts)
{
	return cuts->count;
}

enum sc_cut_mode sc_cuts_mode(const struct sc_cuts *cuts, uint32_t number)
{
	SC_ASSERT(number < SC_CUTS_MAX);
	return cuts->stored[number].mode;
}

uint32_t sc_cuts_members(const struct sc_cuts *cuts, uint32_t number, struct sc_cut_member *out)
{
	uint32_t n = 0;

	SC_ASSERT(number < SC_CUTS_MAX);
	for (uint32_t at = cuts->stored[number].first; at != NONE; at = cuts->nodes[at].next_of_cut)
		out[n++] = (struct sc_cut_member){.cgroup_id = cuts->nodes[at].cgroup_id,
						  .level = cuts->nodes[at].level};
	return n;
}

struct sc_cut_entry sc_cuts_entry(const struct sc_cuts *cuts, uint64_t cgroup_id)
{
	struct sc_cut_entry best = {.cgroup_id = cgroup_id, .mode = SC_CUT_NONE};
	uint32_t at = cuts->buckets[bucket_of(cgroup_id)];

	for (; at != NONE; at = cuts->nodes[at].next_of_id) {
		const struct node *node = &cuts->nodes[at];
		const struct stored *stored = &cuts->stored[node->number];

		if (node->cgroup_id != cgroup_id || stored->mode < best.mode)
			continue;
		if (stored->mode == best.mode && node->number > best.number)
			continue;
		best.level = node->level;
		best.number = node->number;
		best.mode = stored->mode;
		best.tries = stored->tries;
		best.attempt = stored->attempt;
	}
	return best;
}

uint32_t sc_cuts_entries(const struct sc_cuts *cuts, struct sc_cut_entry *out)
{
	uint32_t n = 0;

	for (uint32_t number = 0; number < SC_CUTS_MAX; number++) {
		uint32_t at = cuts->stored[number].first;

		for (; at != NONE; at = cuts->nodes[at].next_of_cut) {
			out[n] = sc_cuts_entry(cuts, cuts->nodes[at].cgroup_id);
			n += out[n].number == number;
		}
	}
	return n;
}
