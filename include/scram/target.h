/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets: the cgroups that are watched, in a table indexed by slot (abi.h). A target's identity is
 * its cgroup id, which the kernel never uses again within a boot; the path is for people and for
 * globs. Scopes: the globs that conditions and aggregates name, each with the set of slots it
 * matches now.
 *
 * Sizes are fixed when a table is made; adding and removing never allocate or free, so the loop
 * thread may do both in a tick. All functions belong to one thread.
 */
#pragma once

#include <scram/abi.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sc_target_flag {
	SC_TARGET_BORN = 1 << 0, /* its mkdir was seen */
	SC_TARGET_PROTECTED =
		1 << 1, /* never to be acted on; set by the owner of the protect list */
};

struct sc_target {
	uint64_t cgroup_id; /* 0 = the slot is free */
	uint64_t born_ns;   /* CLOCK_MONOTONIC of mkdir, or of the seed */
	uint32_t parent;    /* slot, or SC_SLOT_NONE */
	uint32_t level;     /* depth below the hierarchy's root */
	uint32_t flags;     /* enum sc_target_flag */
	char *path;         /* from the root of the hierarchy: "/", "/workload/web"; from malloc */
};

struct sc_targets;

/* A table of slots 0 .. capacity-1, all free. NULL when memory is short. */
struct sc_targets *sc_targets_new(uint32_t capacity);
/* Frees the paths still held, too. *targets is NULL afterwards; NULL is fine. */
void sc_targets_free(struct sc_targets **targets);

uint32_t sc_targets_capacity(const struct sc_targets *targets);
/* Slots in use now, and one more than the highest of them. */
uint32_t sc_targets_count(const struct sc_targets *targets);
uint32_t sc_targets_end(const struct sc_targets *targets);

/*
 * Puts a copy of *target into the slot; its path (not NULL) belongs to the table afterwards.
 * -EEXIST when the slot is in use or the id is in the table, -ERANGE for a slot outside it, -EINVAL
 * for id 0 or no path: then nothing has changed and the path is still the caller's.
 */
int sc_targets_add(struct sc_targets *targets, uint32_t slot, const struct sc_target *target);

/* Empties the slot and hands its path over: the caller frees it, outside the tick. NULL: was free.
 */
char *sc_targets_remove(struct sc_targets *targets, uint32_t slot);

/* The target in the slot, or NULL when it is free or out of range. Valid until that slot is
 * removed. */
const struct sc_target *sc_targets_get(const struct sc_targets *targets, uint32_t slot);

/* Sets and clears bits of enum sc_target_flag. The slot is in use. */
void sc_targets_set_flags(struct sc_targets *targets, uint32_t slot, uint32_t set, uint32_t clear);

/* The slot of a cgroup id, in O(1); SC_SLOT_NONE when it is not there. */
uint32_t sc_targets_find_id(const struct sc_targets *targets, uint64_t cgroup_id);
/* The same by path, comparing all: for people's requests, not for ticks. */
uint32_t sc_targets_find_path(const struct sc_targets *targets, const char *path);

/*
 * Slots in use, ascending: writes at most max of them to out, beginning at *cursor (0 at first),
 * which moves on. Returns how many; 0 = no more.
 */
uint32_t sc_targets_fill(const struct sc_targets *targets, uint32_t *cursor, uint32_t *out,
			 uint32_t max);

struct sc_scopes;

/* At most `max` different globs over slots 0 .. slots-1. NULL when memory is short. */
struct sc_scopes *sc_scopes_new(uint32_t slots, uint32_t max);
void sc_scopes_free(struct sc_scopes **scopes);

/*
 * The number of a glob (base/glob.h), from 0; the same glob has the same number. -EINVAL: not a
 * glob, -ENOSPC: too many, -ENOMEM. Only before sc_scopes_start.
 */
int sc_scopes_intern(struct sc_scopes *scopes, const char *glob);

/* Allocates the member sets and fills them from targets (NULL: none yet). 0 or -ENOMEM. */
int sc_scopes_start(struct sc_scopes *scopes, const struct sc_targets *targets);

/* Keep the members current. Each costs one glob match per scope; neither allocates. */
void sc_scopes_target_added(struct sc_scopes *scopes, uint32_t slot, const char *path);
void sc_scopes_target_removed(struct sc_scopes *scopes, uint32_t slot);

uint32_t sc_scopes_count(const struct sc_scopes *scopes);
const char *sc_scope_glob(const struct sc_scopes *scopes, uint32_t scope);

/* How many slots match now, and whether this one does. */
uint32_t sc_scope_size(const struct sc_scopes *scopes, uint32_t scope);
bool sc_scope_has(const struct sc_scopes *scopes, uint32_t scope, uint32_t slot);

/*
 * Members, ascending, a chunk at a time: writes at most max (>= 64) of them to out, beginning at
 * *cursor (0 at first), which moves on. Returns how many; 0 = no more.
 */
uint32_t sc_scope_fill(const struct sc_scopes *scopes, uint32_t scope, uint32_t *cursor,
		       uint32_t *out, uint32_t max);
