/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * A fire: one firing of one condition on one target, from the decision to its release. A plain
 * value without pointers: copied freely, written into the journal with each step of its life, and
 * read back from there.
 */
#pragma once

#include <scram/action.h>

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sc_json;

/* Sizes in bytes, the NUL included. Together, even if every byte needs six in JSON, they fit one
 * record. */
#define SC_FIRE_ID_MAX        37  /* UUID, RFC 9562 */
#define SC_FIRE_CONDITION_MAX 129 /* condition ids have 1..128 bytes */
#define SC_FIRE_PATH_MAX      512
#define SC_FIRE_BOOT_MAX      37
#define SC_FIRE_OPERATOR_MAX  129
#define SC_FIRE_REASON_MAX    385
#define SC_FIRE_RESULT_MAX    257
#define SC_FIRE_UNDO_MAX      257  /* a JSON object */
#define SC_FIRE_EVIDENCE_MAX  4096 /* a JSON object */
#define SC_FIRE_KEY_HALF      16
#define SC_FIRE_KEY_MAX       (2 * SC_FIRE_KEY_HALF + 1)

/* Where a fire is in its life; which record leads where is the table in record/fire.c. */
enum sc_fire_state {
	SC_FIRE_NEW,        /* decided, nothing recorded yet */
	SC_FIRE_PENDING,    /* waits for a second person */
	SC_FIRE_APPROVED,   /* by a second person; the interlocks are asked again */
	SC_FIRE_INTENT,     /* recorded, about to act: open until an outcome is recorded */
	SC_FIRE_DISPATCHED, /* the action was applied; its effect is being verified */
	SC_FIRE_VERIFIED,   /* the effect was seen */
	SC_FIRE_FAILED,     /* the action or its verification failed */
	SC_FIRE_RELEASED,   /* undone */
	SC_FIRE_VETOED,
	SC_FIRE_REJECTED,  /* by the second person */
	SC_FIRE_TIMED_OUT, /* no second person came */
	SC_FIRE_DRY_RUN,   /* everything but the action */
	SC_FIRE_STATE_COUNT
};

enum sc_two_person {
	SC_TWO_PERSON_NOT_REQUIRED,
	SC_TWO_PERSON_PENDING,
	SC_TWO_PERSON_APPROVED,
	SC_TWO_PERSON_REJECTED,
	SC_TWO_PERSON_TIMED_OUT,
	SC_TWO_PERSON_COUNT
};

enum sc_fire_outcome {
	SC_OUTCOME_NONE,    /* not known yet, or nothing was done */
	SC_OUTCOME_EMPTIED, /* populated 0 was seen */
	SC_OUTCOME_PARTIAL, /* members are left (in uninterruptible sleep, say) */
	SC_OUTCOME_GONE,    /* the target had vanished: success */
	SC_OUTCOME_FROZEN,
	SC_OUTCOME_THAWED,
	SC_OUTCOME_ISOLATED,       /* cut from the network */
	SC_OUTCOME_READONLY,       /* writes are refused */
	SC_OUTCOME_NOTHING,        /* nothing was there to act on: a failed fire, loud */
	SC_OUTCOME_NEEDS_OPERATOR, /* recovery found members younger than the intent */
	SC_OUTCOME_STALE_BOOT,     /* the intent is of another boot: never executed again */
	SC_OUTCOME_FAILED,
	SC_OUTCOME_COUNT
};

/* CLOCK_MONOTONIC ns of each stage; 0 = not reached. */
struct sc_fire_timing {
	uint64_t detected_ns; /* the values that made the predicate true were read */
	uint64_t decided_ns;
	uint64_t intent_ns;
	uint64_t act_begin_ns;
	uint64_t act_end_ns;
	uint64_t verified_ns;
};

struct sc_fire {
	char id[SC_FIRE_ID_MAX];
	char condition_id[SC_FIRE_CONDITION_MAX];
	enum sc_fire_state state;
	enum sc_action_kind action;

	/* The target: cgroup id and boot id are its identity, the path is for people. 0 = no
	 * cgroup. */
	uint64_t cgroup_id;
	char target[SC_FIRE_PATH_MAX];
	char boot_id[SC_FIRE_BOOT_MAX];
	char group[SC_CUT_NAME_MAX]; /* the kinds that cut: `tenant acme`; empty = the target alone
				      */
	char mode[8];                /* likewise: how hard, as sc_cut_mode_name tells it */

	int64_t fired_at_ns;       /* CLOCK_REALTIME, a label */
	uint64_t fired_at_mono_ns; /* of the decision */
	uint64_t fired_at_boot_ns; /* compared with the start times of processes after a restart */

	char fired_by[SC_FIRE_OPERATOR_MAX];  /* `auto` or the operator's text */
	char principal[SC_FIRE_OPERATOR_MAX]; /* who it really was: `uid:0`, `token:...`, `agent` */
	char reason[SC_FIRE_REASON_MAX];
	char evidence[SC_FIRE_EVIDENCE_MAX]; /* state_snapshot; empty = null */

	bool dry_run;
	bool forced;
	bool dispatched;
	char dispatch_result[SC_FIRE_RESULT_MAX]; /* what the action said */
	char error[SC_FIRE_RESULT_MAX];           /* empty = none */

	enum sc_two_person two_person;
	char second_operator[SC_FIRE_OPERATOR_MAX];
	int64_t second_at_ns; /* CLOCK_REALTIME; 0 = nobody */

	char veto[SC_FIRE_OPERATOR_MAX]; /* the interlock that vetoed; empty = none */
	enum sc_fire_outcome outcome;
	uint32_t killed;    /* members that were there when the action began */
	uint32_t remaining; /* members still there at the outcome */
	bool rekill;        /* what re-populates the target is killed until released */
	uint32_t rekills;
	struct sc_fire_timing timing;

	char undo[SC_FIRE_UNDO_MAX]; /* the undo recipe, recorded before the action; empty = none */
	uint64_t expires_at_boot_ns; /* end of a reversible action; 0 = none */
	int64_t released_at_ns;      /* CLOCK_REALTIME; 0 = not released */
	char released_by[SC_FIRE_OPERATOR_MAX];

	uint32_t rung;                   /* of the condition's ladder, from 0 */
	char supersedes[SC_FIRE_ID_MAX]; /* the fire of the rung before; empty = none */

	/* A request with the same key gets this fire and makes none: hex of a hash of the client's
	 * key, then of one of the whole request. Empty = none. */
	char key[SC_FIRE_KEY_MAX];
};

const char *sc_fire_state_name(enum sc_fire_state state);
const char *sc_two_person_name(enum sc_two_person status);
const char *sc_fire_outcome_name(enum sc_fire_outcome outcome);
/* The value of that name, or -ENOENT. */
int sc_fire_state_find(const char *name);
int sc_two_person_find(const char *name);
int sc_fire_outcome_find(const char *name);

/*
 * The state after a record of this kind (enum sc_record_kind, a fire.* kind) in this state, or
 * -EINVAL where the life-cycle has no such step.
 */
int sc_fire_next(enum sc_fire_state state, unsigned int record_kind);
/* No step but a release leads out of it: the fire has its outcome. */
bool sc_fire_is_closed(enum sc_fire_state state);
/* An action of this fire still stands on the host: a freeze, an isolation, a rekill not yet
 * released. */
bool sc_fire_is_standing(const struct sc_fire *fire);

enum sc_fire_detail {
	SC_FIRE_FULL,        /* with state_snapshot */
	SC_FIRE_NO_EVIDENCE, /* without that member: later records of a fire, readers without a
				token */
};
/*
 * Writes the fire as one JSON object: the fields of the HTTP API (id, condition_id, fired_at,
 * fired_by, reason, state_snapshot, dispatched, dispatch_result, two_person_status,
 * second_operator, second_at) and ours. evidence and undo must be valid JSON objects or empty.
 */
void sc_fire_json(struct sc_json *out, const struct sc_fire *fire, enum sc_fire_detail detail);

/*
 * Reads what sc_fire_json wrote: n bytes. Members that are absent leave *fire's fields as they are,
 * so a later record keeps the evidence of an earlier one. Returns 0, or -EBADMSG with *fire
 * untouched when it is not a JSON object, a member has another type, does not fit, or names an
 * unknown value. Allocates: not for a tick.
 */
int sc_fire_parse(const char *json, size_t n, struct sc_fire *fire);
