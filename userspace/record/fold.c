/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fold holds. Fires live in a pool; `order` has their places from the oldest to the
 * newest.
 */
#include "record/fold_internal.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>

int sc_fold_new(struct sc_fold **out)
{
	_cleanup_(sc_fold_free) struct sc_fold *fold = calloc(1, sizeof(*fold));

	if (!fold)
		return -ENOMEM;
	fold->fires = calloc(SC_FOLD_FIRES_MAX, sizeof(*fold->fires));
	fold->conditions = calloc(SC_FOLD_CONDITIONS_MAX, sizeof(*fold->conditions));
	fold->breakers = calloc(SC_FOLD_BREAKERS_MAX, sizeof(*fold->breakers));
	fold->told = calloc(SC_FOLD_TOLD_MAX, sizeof(*fold->told));
	if (!fold->fires || !fold->conditions || !fold->breakers || !fold->told)
		return -ENOMEM;
	*out = SC_TAKE_PTR(fold);
	return 0;
}

void sc_fold_free(struct sc_fold **fold)
{
	if (!*fold)
		return;
	free((*fold)->fires);
	free((*fold)->conditions);
	free((*fold)->breakers);
	free((*fold)->told);
	free(*fold);
	*fold = NULL;
}

/* --- fires --- */

static uint64_t key_of(const char *id)
{
	char bytes[sizeof(uint64_t)] = {0};
	uint64_t key;

	memcpy(bytes, id, strnlen(id, sizeof(bytes)));
	memcpy(&key, bytes, sizeof(key));
	return key;
}

struct sc_fire *sc_fold_fire_by_id(const struct sc_fold *fold, const char *id)
{
	uint64_t key = key_of(id);

	/* From the newest: that is most often the one asked for. */
	for (unsigned int i = fold->fire_count; i-- > 0;) {
		unsigned int place = fold->order[i];

		if (fold->keys[place] == key && !strcmp(fold->fires[place].id, id))
			return &fold->fires[place];
	}
	return NULL;
}

/* Nothing depends on it any more. */
bool sc_fold_is_over(const struct sc_fire *fire)
{
	return sc_fire_is_closed(fire->state) && !sc_fire_is_standing(fire);
}

/* Gives up the oldest fire that is over; returns its place, or -ENOSPC. */
static int evict(struct sc_fold *fold)
{
	for (unsigned int i = 0; i < fold->fire_count; i++) {
		unsigned int place = fold->order[i];

		if (!sc_fold_is_over(&fold->fires[place]))
			continue;
		memmove(&fold->order[i], &fold->order[i + 1],
			(fold->fire_count - i - 1) * sizeof(fold->order[0]));
		fold->fire_count--;
		return (int)place;
	}
	return -ENOSPC;
}

static struct sc_fire *fire_add(struct sc_fold *fold, const char *id)
{
	int place = (int)fold->fire_count;

	if (fold->fire_count >= SC_FOLD_FIRES_RECENT) {
		int given_up = evict(fold);

		if (given_up >= 0)
			place = given_up;
		else if (fold->fire_count == SC_FOLD_FIRES_MAX)
			return NULL;
	}
	fold->order[fold->fire_count++] = (uint16_t)place;
	fold->keys[place] = key_of(id);
	return &fold->fires[place];
}

void sc_fold_fire(struct sc_fold *fold, const struct sc_fire *fire)
{
	struct sc_fire *known = sc_fold_fire_by_id(fold, fire->id);

	if (!known)
		known = fire_add(fold, fire->id);
	if (known)
		*known = *fire;
	else
		fold->refused++;
}

/* --- conditions --- */

struct sc_fold_condition *sc_fold_condition_by_id(const struct sc_fold *fold, const char *id)
{
	for (unsigned int i = 0; i < fold->condition_count; i++)
		if (!strcmp(fold->conditions[i].id, id))
			return &fold->conditions[i];
	return NULL;
}

/* --- reading --- */

unsigned int sc_fold_fire_count(const struct sc_fold *fold)
{
	return fold->fire_count;
}

const struct sc_fire *sc_fold_fire_at(const struct sc_fold *fold, unsigned int i)
{
	if (i >= fold->fire_count)
		return NULL;
	return &fold->fires[fold->order[fold->fire_count - 1 - i]];
}

const struct sc_fire *sc_fold_fire_find(const struct sc_fold *fold, const char *prefix,
					bool *ambiguous)
{
	const struct sc_fire *found = NULL;
	size_t n = strlen(prefix);

	*ambiguous = false;
	if (n < 4)
		return NULL;
	for (unsigned int i = 0; i < fold->fire_count; i++) {
		const struct sc_fire *fire = &fold->fires[fold->order[i]];

		if (strncmp(fire->id, prefix, n) != 0)
			continue;
		if (found) {
			*ambiguous = true;
			return NULL;
		}
		found = fire;
	}
	return found;
}

unsigned int sc_fold_condition_count(const struct sc_fold *fold)
{
	return fold->condition_count;
}

const struct sc_fold_condition *sc_fold_condition_at(const struct sc_fold *fold, unsigned int i)
{
	return i < fold->condition_count ? &fold->conditions[i] : NULL;
}

const struct sc_fold_condition *sc_fold_condition_find(const struct sc_fold *fold, const char *id)
{
	return sc_fold_condition_by_id(fold, id);
}

const struct sc_fold_switch *sc_fold_disarmed(const struct sc_fold *fold)
{
	return &fold->disarmed;
}

const struct sc_fold_switch *sc_fold_draining(const struct sc_fold *fold)
{
	return &fold->draining;
}

const char *sc_fold_config_digest(const struct sc_fold *fold)
{
	return fold->config_digest;
}

uint64_t sc_fold_starts(const struct sc_fold *fold)
{
	return fold->starts;
}

bool sc_fold_stopped_cleanly(const struct sc_fold *fold)
{
	return fold->stopped_cleanly;
}

uint64_t sc_fold_refused(const struct sc_fold *fold)
{
	return fold->refused;
}
