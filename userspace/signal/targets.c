/* SPDX-License-Identifier: Apache-2.0 */
/* The table of targets: an array indexed by slot, a bitmap of the used slots, and a hash over the
 * ids. */
#include <scram/target.h>

#include "base/mem.h"
#include "signal/bitmap.h"

#include <errno.h>
#include <string.h>

struct sc_targets {
	uint32_t capacity;
	uint32_t count;
	uint32_t hash_mask; /* entries - 1; a power of two, at least twice the capacity */
	uint32_t *hash;     /* slot + 1; 0 = empty; open addressing, linear */
	uint64_t *used;
	struct sc_target *slots;
};

struct sc_targets *sc_targets_new(uint32_t capacity)
{
	_cleanup_(sc_targets_free) struct sc_targets *t = calloc(1, sizeof(*t));
	uint32_t entries = 2;

	SC_ASSERT(capacity > 0 && capacity <= 1U << 24);
	if (!t)
		return NULL;
	while (entries < 2 * capacity)
		entries *= 2;
	t->capacity = capacity;
	t->hash_mask = entries - 1;
	t->hash = calloc(entries, sizeof(*t->hash));
	t->used = calloc(sc_bitmap_words(capacity), sizeof(*t->used));
	t->slots = calloc(capacity, sizeof(*t->slots));
	if (!t->hash || !t->used || !t->slots)
		return NULL;
	return SC_TAKE_PTR(t);
}

void sc_targets_free(struct sc_targets **targets)
{
	struct sc_targets *t = SC_TAKE_PTR(*targets);

	if (!t)
		return;
	for (uint32_t slot = 0; t->slots && slot < t->capacity; slot++)
		free(t->slots[slot].path);
	free(t->hash);
	free(t->used);
	free(t->slots);
	free(t);
}

uint32_t sc_targets_capacity(const struct sc_targets *targets)
{
	return targets->capacity;
}

uint32_t sc_targets_count(const struct sc_targets *targets)
{
	return targets->count;
}

uint32_t sc_targets_end(const struct sc_targets *targets)
{
	for (uint32_t w = (uint32_t)sc_bitmap_words(targets->capacity); w > 0; w--)
		if (targets->used[w - 1])
			return w * 64 - (uint32_t)__builtin_clzll(targets->used[w - 1]);
	return 0;
}

static uint32_t hash_home(const struct sc_targets *t, uint64_t id)
{
	/* Fibonacci hashing: kernfs ids are consecutive in their low bits. */
	return (uint32_t)(id * 0x9e3779b97f4a7c15ULL >> 32) & t->hash_mask;
}

/* The entry that holds the id, or the empty one where it would be entered. */
static uint32_t hash_entry(const struct sc_targets *t, uint64_t id)
{
	uint32_t at = hash_home(t, id);

	while (t->hash[at] && t->slots[t->hash[at] - 1].cgroup_id != id)
		at = (at + 1) & t->hash_mask;
	return at;
}

int sc_targets_add(struct sc_targets *targets, uint32_t slot, const struct sc_target *target)
{
	uint32_t entry;

	if (slot >= targets->capacity)
		return -ERANGE;
	if (target->cgroup_id == 0 || !target->path)
		return -EINVAL;
	if (targets->slots[slot].cgroup_id != 0)
		return -EEXIST;
	entry = hash_entry(targets, target->cgroup_id);
	if (targets->hash[entry])
		return -EEXIST;
	targets->slots[slot] = *target;
	targets->hash[entry] = slot + 1;
	sc_bitmap_set(targets->used, slot);
	targets->count++;
	return 0;
}

/* Closes the hole at `hole`: entries behind it that may stand there move up (Knuth 6.4, algorithm
 * R). */
static void hash_close(struct sc_targets *t, uint32_t hole)
{
	uint32_t at = hole;

	for (;;) {
		uint32_t home;

		at = (at + 1) & t->hash_mask;
		if (!t->hash[at])
			break;
		home = hash_home(t, t->slots[t->hash[at] - 1].cgroup_id);
		if (((at - home) & t->hash_mask) >= ((at - hole) & t->hash_mask)) {
			t->hash[hole] = t->hash[at];
			hole = at;
		}
	}
	t->hash[hole] = 0;
}

char *sc_targets_remove(struct sc_targets *targets, uint32_t slot)
{
	char *path;

	if (slot >= targets->capacity || targets->slots[slot].cgroup_id == 0)
		return NULL;
	hash_close(targets, hash_entry(targets, targets->slots[slot].cgroup_id));
	path = SC_TAKE_PTR(targets->slots[slot].path);
	targets->slots[slot] = (struct sc_target){0};
	sc_bitmap_clear(targets->used, slot);
	targets->count--;
	return path;
}

const struct sc_target *sc_targets_get(const struct sc_targets *targets, uint32_t slot)
{
	if (slot >= targets->capacity || targets->slots[slot].cgroup_id == 0)
		return NULL;
	return &targets->slots[slot];
}

void sc_targets_set_flags(struct sc_targets *targets, uint32_t slot, uint32_t set, uint32_t clear)
{
	SC_ASSERT(sc_targets_get(targets, slot));
	targets->slots[slot].flags = (targets->slots[slot].flags & ~clear) | set;
}

uint32_t sc_targets_find_id(const struct sc_targets *targets, uint64_t cgroup_id)
{
	uint32_t entry = cgroup_id ? targets->hash[hash_entry(targets, cgroup_id)] : 0;

	return entry ? entry - 1 : SC_SLOT_NONE;
}

uint32_t sc_targets_find_path(const struct sc_targets *targets, const char *path)
{
	for (uint32_t slot = 0; slot < targets->capacity; slot++)
		if (targets->slots[slot].path && strcmp(targets->slots[slot].path, path) == 0)
			return slot;
	return SC_SLOT_NONE;
}

uint32_t sc_targets_fill(const struct sc_targets *targets, uint32_t *cursor, uint32_t *out,
			 uint32_t max)
{
	return sc_bitmap_fill(targets->used, targets->capacity, cursor, out, max);
}
