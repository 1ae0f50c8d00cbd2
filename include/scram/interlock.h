/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * Interlocks: checks that can veto a fire and never ask for one. All that are asked give their
 * reason; the first veto in table order is the veto. Pure: every fact is a plain value that the
 * engine has measured.
 */
#pragma once

#include "base/clock.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>

/* Bounds of DESIGN section 8; blast_percent and the fire limit can be set in configuration. */
#define SC_STARTUP_GRACE_NS       (2 * SC_NS_PER_S)
#define SC_RESUME_GRACE_NS        (30 * SC_NS_PER_S)
#define SC_BLAST_PERCENT          10
#define SC_IRREVERSIBLE_FIRES     3 /* automatic, on the host, per ... */
#define SC_IRREVERSIBLE_WINDOW_NS (60 * SC_NS_PER_S)
#define SC_MAJORITY_PERCENT       55
#define SC_MAJORITY_SICK_MIN      3

enum sc_interlock_id {
	SC_INTERLOCK_FORCED_READONLY,
	SC_INTERLOCK_DISARMED,
	SC_INTERLOCK_DRAIN,
	SC_INTERLOCK_STARTUP_GRACE,
	SC_INTERLOCK_RESUME_GRACE,
	SC_INTERLOCK_SOURCE_HEALTH,
	SC_INTERLOCK_PROTECTED,
	SC_INTERLOCK_IDENTITY,
	SC_INTERLOCK_STILL_TRUE,
	SC_INTERLOCK_COOLDOWN,
	SC_INTERLOCK_BLAST_RADIUS,
	SC_INTERLOCK_MAJORITY_SICK,
	SC_INTERLOCK_TWO_PERSON,
	SC_INTERLOCK_COUNT
};

/* Who asks. A bit each, so that the table can say of whom an interlock is asked. */
enum sc_asker {
	SC_ASKER_AUTO = 1 << 0, /* live or dry-run */
	SC_ASKER_MANUAL = 1 << 1,
	SC_ASKER_APPROVAL =
		1 << 2, /* a fire by hand at the moment of its dispatch after approval */
};

enum sc_answer { SC_ANSWER_PASS, SC_ANSWER_VETO, SC_ANSWER_PENDING, SC_ANSWER_COUNT };

/* Automatic irreversible fires and eligible targets of one circle around the target. */
struct sc_blast {
	uint32_t affected; /* targets under a fire's effect before this one */
	uint32_t eligible; /* targets in the circle */
};

/*
 * Everything an interlock may look at. All times CLOCK_MONOTONIC ns unless said; 0 for an event =
 * never. A zeroed struct is not a pass: unset facts lean to a veto where they can (identity,
 * still_true, approval).
 */
struct sc_interlock_facts {
	uint64_t now_ns;
	enum sc_asker asker;
	bool forced; /* --force */

	/* the agent */
	bool forced_readonly;
	bool disarmed;
	const char *disarm_reason; /* may be NULL */
	bool draining;
	uint64_t started_ns;
	uint64_t resumed_ns;

	/* the evidence */
	bool evidence_unknown;        /* an operand of the predicate is unknown now */
	uint64_t evidence_age_ns;     /* of the oldest source that the predicate uses */
	uint64_t evidence_age_max_ns; /* older is stale; 0 = no bound */
	uint64_t events_lost; /* up to now, when the last was in the evidence window: counts may be
				 too low; 0 = none */

	/* the target */
	bool has_target;          /* false: the action names a component, a tenant or the host */
	const char *protected_by; /* why it is protected; NULL = it is not */
	uint64_t decided_id;      /* cgroup id when decided */
	uint64_t current_id;      /* cgroup id now; 0 = gone */

	/* the condition on this target */
	bool irreversible;
	bool still_true; /* the predicate judged again on fresh values */
	uint64_t last_fire_ns;
	uint64_t cooldown_ns;
	bool next_rung; /* the ladder of a fire that is under way: the cool-down of its first rung
			   does not stop it */
	bool requires_two_person;
	bool approved;

	/* how far it reaches */
	uint32_t max_targets;   /* of the condition; 0 = the default share */
	uint32_t blast_percent; /* 0 = SC_BLAST_PERCENT */
	struct sc_blast condition;
	struct sc_blast tenant; /* eligible 0 = the target belongs to none */
	struct sc_blast host;
	uint32_t irreversible_recent; /* automatic irreversible fires on the host in the window */
	uint32_t irreversible_max;    /* 0 = SC_IRREVERSIBLE_FIRES */
	uint32_t sick;                /* targets of this condition for which it is true now */
	uint32_t sick_eligible;       /* targets that it judges */
};

#define SC_INTERLOCK_TEXT_MAX 160

struct sc_interlock_reason {
	bool asked;
	bool overridden; /* would have vetoed, but --force */
	enum sc_answer answer;
	char text[SC_INTERLOCK_TEXT_MAX]; /* with the numbers it rests on; empty when not asked */
};

struct sc_verdict {
	enum sc_answer answer;      /* the first that is not a pass, in table order */
	enum sc_interlock_id first; /* SC_INTERLOCK_COUNT when it passed */
	struct sc_interlock_reason reason[SC_INTERLOCK_COUNT];
};

/* One row of the table: one file each under userspace/interlock/. */
struct sc_interlock {
	const char *name;
	const char *text;    /* what it stops, one line, for the reference */
	unsigned int askers; /* enum sc_asker bits */
	bool force_overrides;
	enum sc_answer (*check)(const struct sc_interlock_facts *facts,
				struct sc_interlock_reason *reason);
};

/* The ordered table, SC_INTERLOCK_COUNT rows, indexed by enum sc_interlock_id. */
extern const struct sc_interlock sc_interlocks[SC_INTERLOCK_COUNT];

/* Asks all that are asked of facts->asker. Never allocates. */
void sc_interlocks_ask(const struct sc_interlock_facts *facts, struct sc_verdict *verdict);

const char *sc_interlock_name(enum sc_interlock_id id);
const char *sc_answer_name(enum sc_answer answer); /* pass, veto, pending */

/*
 * The number that sc_conditions_vetoed takes as its reason: the interlock, never 0. Numbers inside
 * the text (an age, a count) do not make it another reason.
 */
uint32_t sc_verdict_reason(const struct sc_verdict *verdict);

struct sc_str;
/* Adds the interlocks as a markdown table, printed from the rows. */
void sc_interlocks_print_reference(struct sc_str *out);
