/* SPDX-License-Identifier: Apache-2.0 */
/* Scopes: each different glob once, its members as a bitmap (2 KiB for 16,384 slots). */
#include <scram/target.h>

#include "base/glob.h"
#include "base/mem.h"
#include "signal/bitmap.h"

#include <errno.h>
#include <string.h>

struct scope {
	char *glob;
	uint32_t size;
	uint64_t *members;
};

struct sc_scopes {
	uint32_t slots;
	uint32_t max;
	uint32_t count;
	bool started;
	struct scope *scopes;
};

struct sc_scopes *sc_scopes_new(uint32_t slots, uint32_t max)
{
	_cleanup_free_ struct sc_scopes *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->slots = slots;
	s->max = max;
	s->scopes = calloc(max ? max : 1, sizeof(*s->scopes));
	return s->scopes ? SC_TAKE_PTR(s) : NULL;
}

void sc_scopes_free(struct sc_scopes **scopes)
{
	struct sc_scopes *s = SC_TAKE_PTR(*scopes);

	if (!s)
		return;
	for (uint32_t i = 0; i < s->count; i++) {
		free(s->scopes[i].glob);
		free(s->scopes[i].members);
	}
	free(s->scopes);
	free(s);
}

int sc_scopes_intern(struct sc_scopes *scopes, const char *glob)
{
	char *copy;

	SC_ASSERT(!scopes->started);
	if (sc_glob_check(glob) < 0)
		return -EINVAL;
	for (uint32_t i = 0; i < scopes->count; i++)
		if (strcmp(scopes->scopes[i].glob, glob) == 0)
			return (int)i;
	if (scopes->count == scopes->max)
		return -ENOSPC;
	copy = strdup(glob);
	if (!copy)
		return -ENOMEM;
	scopes->scopes[scopes->count].glob = copy;
	return (int)scopes->count++;
}

int sc_scopes_start(struct sc_scopes *scopes, const struct sc_targets *targets)
{
	uint32_t slot;
	uint32_t cursor = 0;

	SC_ASSERT(!scopes->started);
	for (uint32_t i = 0; i < scopes->count; i++) {
		struct scope *scope = &scopes->scopes[i];

		free(scope->members);
		scope->members = calloc(sc_bitmap_words(scopes->slots), sizeof(*scope->members));
		if (!scope->members)
			return -ENOMEM;
	}
	scopes->started = true;
	while (targets && sc_targets_fill(targets, &cursor, &slot, 1))
		sc_scopes_target_added(scopes, slot, sc_targets_get(targets, slot)->path);
	return 0;
}

void sc_scopes_target_added(struct sc_scopes *scopes, uint32_t slot, const char *path)
{
	SC_ASSERT(scopes->started && slot < scopes->slots);
	for (uint32_t i = 0; i < scopes->count; i++) {
		struct scope *scope = &scopes->scopes[i];

		if (sc_bitmap_has(scope->members, slot) || !sc_glob_match(scope->glob, path))
			continue;
		sc_bitmap_set(scope->members, slot);
		scope->size++;
	}
}

void sc_scopes_target_removed(struct sc_scopes *scopes, uint32_t slot)
{
	SC_ASSERT(scopes->started && slot < scopes->slots);
	for (uint32_t i = 0; i < scopes->count; i++) {
		struct scope *scope = &scopes->scopes[i];

		if (!sc_bitmap_has(scope->members, slot))
			continue;
		sc_bitmap_clear(scope->members, slot);
		scope->size--;
	}
}

uint32_t sc_scopes_count(const struct sc_scopes *scopes)
{
	return scopes->count;
}

const char *sc_scope_glob(const struct sc_scopes *scopes, uint32_t scope)
{
	SC_ASSERT(scope < scopes->count);
	return scopes->scopes[scope].glob;
}

uint32_t sc_scope_size(const struct sc_scopes *scopes, uint32_t scope)
{
	SC_ASSERT(scope < scopes->count);
	return scopes->scopes[scope].size;
}

bool sc_scope_has(const struct sc_scopes *scopes, uint32_t scope, uint32_t slot)
{
	SC_ASSERT(scopes->started && scope < scopes->count);
	return slot < scopes->slots && sc_bitmap_has(scopes->scopes[scope].members, slot);
}

uint32_t sc_scope_fill(const struct sc_scopes *scopes, uint32_t scope, uint32_t *cursor,
		       uint32_t *out, uint32_t max)
{
	SC_ASSERT(scopes->started && scope < scopes->count);
	return sc_bitmap_fill(scopes->scopes[scope].members, scopes->slots, cursor, out, max);
}
