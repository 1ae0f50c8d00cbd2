/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fold's inside, shared by fold.c (what it holds), fold_apply.c and fold_notify.c (what a
 * record does to it) and fold_snapshot.c (all of it as parts, and back).
 */
#pragma once

#include "record/fold.h"

#include <jansson.h>

struct sc_fold {
	struct sc_fire *fires;
	uint64_t keys[SC_FOLD_FIRES_MAX]; /* the first bytes of the ids, to look in one place */
	uint16_t order[SC_FOLD_FIRES_MAX];
	unsigned int fire_count;

	struct sc_fold_condition *conditions;
	unsigned int condition_count;

	struct sc_fold_breaker *breakers;
	unsigned int breaker_count;

	struct sc_fold_sink sinks[SC_FOLD_SINKS_MAX];
	unsigned int sink_count;
	struct sc_fold_told *told; /* a ring */
	uint64_t told_count;       /* ever; the last SC_FOLD_TOLD_MAX are there */

	struct sc_fold_switch disarmed;
	struct sc_fold_switch draining;
	char config_digest[SC_HASH_TEXT_MAX];
	uint64_t starts;
	bool stopped_cleanly;
	uint64_t refused;
	struct sc_fire scratch;
};

/* A record's body, parsed and as text. */
struct sc_fold_input {
	const json_t *body;
	const char *text;
	size_t n;
	const char *since; /* time of the record */
};

struct sc_fire *sc_fold_fire_by_id(const struct sc_fold *fold, const char *id);
struct sc_fold_condition *sc_fold_condition_by_id(const struct sc_fold *fold, const char *id);
/* The fire is closed and nothing of it stands: it may be forgotten. */
bool sc_fold_is_over(const struct sc_fire *fire);

/* What records do; each returns 0 or -errno with the fold unchanged. */
typedef int sc_fold_fn(struct sc_fold *fold, const struct sc_fold_input *in);
sc_fold_fn sc_fold_fire_body;
sc_fold_fn sc_fold_registered;
sc_fold_fn sc_fold_transition;
sc_fold_fn sc_fold_part;
sc_fold_fn sc_fold_notify_sink;
sc_fold_fn sc_fold_notify_outcome;
int sc_fold_set_live(struct sc_fold *fold, const struct sc_fold_input *in, bool live);
void sc_fold_set_switch(struct sc_fold_switch *s, const struct sc_fold_input *in);
void sc_fold_set_text(char *out, size_t size, const struct sc_fold_input *in, const char *key);
