/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of the agent as the fold of its journal: run-time conditions, fires, whether it is
 * disarmed. Replay builds it at start, the loop keeps it up with each record it appends, and every
 * new segment begins with a snapshot of it.
 */
#pragma once

#include <scram/breaker.h>
#include <scram/fire.h>
#include <scram/journal.h>

/* Fires remembered: all that are open or still stand, and the newest of the closed ones. */
#define SC_FOLD_FIRES_MAX      1344 /* and 64 under way, 256 cuts */
#define SC_FOLD_FIRES_RECENT   1024 /* closed ones make room for open ones beyond this */
#define SC_FOLD_CONDITIONS_MAX 1024
#define SC_FOLD_BODY_MAX       8192
#define SC_FOLD_BREAKERS_MAX   SC_COMPONENTS_MAX
#define SC_FOLD_SINKS_MAX      64
#define SC_FOLD_TOLD_MAX       512 /* outcomes of telling a sink of a fire: the newest */
#define SC_SINK_NAME_MAX       32
#define SC_SINK_WHY_MAX        160

/* A condition that the journal knows something about. */
struct sc_fold_condition {
	char id[SC_FIRE_CONDITION_MAX];
	char body[SC_FOLD_BODY_MAX]; /* as registered at run time; empty: only promoted or demoted
				      */
	bool has_live; /* promoted or demoted: `live` overrides the file's value ... */
	bool live;
	bool file_live; /* ... until the file's own value is no longer this one */
};

/* The last transition of a component's breaker, and what it was recorded with. */
struct sc_fold_breaker {
	struct sc_breaker_record record;
	char boot_id[SC_FIRE_BOOT_MAX];  /* of the boot that its times belong to */
	int64_t real_less_boot_ns;       /* CLOCK_REALTIME less CLOCK_BOOTTIME, to tell its times */
	char by[SC_FIRE_OPERATOR_MAX];   /* SC_PRINCIPAL_AGENT, or the operator */
	char note[SC_FIRE_OPERATOR_MAX]; /* the operator's reason; empty = none */
};

struct sc_fold_switch {
	bool is_on;
	char reason[SC_FIRE_REASON_MAX];
	char operator_name[SC_FIRE_OPERATOR_MAX];
	char since[32]; /* RFC 3339 */
};

/* Somebody who is told: how far. */
struct sc_fold_sink {
	char name[SC_SINK_NAME_MAX];
	uint64_t done; /* every record up to this one was told, or will not be */
};

/* How telling a sink of a fire went. */
struct sc_fold_told {
	char fire[SC_FIRE_ID_MAX];
	char sink[SC_SINK_NAME_MAX];
	char kind[32]; /* of the record that was told of */
	char at[32];   /* RFC 3339 */
	char why[SC_SINK_WHY_MAX];
	uint64_t seq;
	bool ok;
};

struct sc_fold;

/* All room is taken here; later calls on the fire path allocate nothing. Returns 0 or -ENOMEM. */
int sc_fold_new(struct sc_fold **out);
void sc_fold_free(struct sc_fold **fold);

/*
 * Folds one record; a sc_record_fn, arg is the fold. Kinds that carry no state are passed over, and
 * so are bodies that do not parse (counted by sc_fold_refused): a replay goes on. Allocates, but
 * not for fire kinds given to sc_fold_fire. Always 0.
 */
int sc_fold_record(void *fold, const struct sc_record *record);

/* The same for a record the caller just appended: kind, body and its length. `since` is the time in
 * text. */
void sc_fold_apply(struct sc_fold *fold, enum sc_record_kind kind, const char *body, size_t n,
		   const char *since);

/* The same for a fire.* record, from the fire itself; allocates nothing. */
void sc_fold_fire(struct sc_fold *fold, const struct sc_fire *fire);

/* The same for a breaker.transition record, from what it was written of; allocates nothing. */
void sc_fold_breaker(struct sc_fold *fold, const struct sc_fold_breaker *breaker);
/* Adds it as one JSON object: the body of such a record. */
void sc_fold_breaker_json(const struct sc_fold_breaker *breaker, struct sc_str *out);

/* A sc_snapshot_fn for sc_journal_set_snapshot; arg is the fold. */
bool sc_fold_snapshot(void *fold, unsigned int part, struct sc_str *body);

/* --- reading --- */

unsigned int sc_fold_fire_count(const struct sc_fold *fold);
/* The i-th newest fire, from 0; valid until the next change of the fold. NULL past the end. */
const struct sc_fire *sc_fold_fire_at(const struct sc_fold *fold, unsigned int i);
/* The fire whose id begins with prefix (at least 4 bytes). NULL with *ambiguous telling why. */
const struct sc_fire *sc_fold_fire_find(const struct sc_fold *fold, const char *prefix,
					bool *ambiguous);

unsigned int sc_fold_condition_count(const struct sc_fold *fold);
const struct sc_fold_condition *sc_fold_condition_at(const struct sc_fold *fold, unsigned int i);
const struct sc_fold_condition *sc_fold_condition_find(const struct sc_fold *fold, const char *id);

/* NULL: no transition of it is known. */
const struct sc_fold_breaker *sc_fold_breaker_find(const struct sc_fold *fold,
						   const char *component);

/* NULL: no such sink is told. */
const struct sc_fold_sink *sc_fold_sink_find(const struct sc_fold *fold, const char *name);
const struct sc_fold_sink *sc_fold_sink_at(const struct sc_fold *fold, unsigned int i);
/* The i-th oldest outcome that is remembered, from 0; NULL past the end. */
const struct sc_fold_told *sc_fold_told_at(const struct sc_fold *fold, unsigned int i);

const struct sc_fold_switch *sc_fold_disarmed(const struct sc_fold *fold);
const struct sc_fold_switch *sc_fold_draining(const struct sc_fold *fold);
/* The digest of the last config.loaded record; empty: none. */
const char *sc_fold_config_digest(const struct sc_fold *fold);
/* agent.started records seen; whether the last of them was followed by agent.stopped. */
uint64_t sc_fold_starts(const struct sc_fold *fold);
bool sc_fold_stopped_cleanly(const struct sc_fold *fold);
/* Records whose body could not be folded, and fires or conditions that found no room. */
uint64_t sc_fold_refused(const struct sc_fold *fold);
