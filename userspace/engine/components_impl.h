/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the engine keeps of components, for its own files alone: components.c counts and ticks,
 * components_breaker.c carries out what breakers decide, components_cut.c knows the cuts,
 * components_reload.c makes and swaps, components_tell.c records and shows.
 */
#pragma once

#include "engine/components.h"
#include "record/fold.h"

#include <scram/breaker.h>

/* One record of each kind of event, component and this time; what comes meanwhile is counted into
 * the next. */
#define SC_COMPONENT_TOLD_NS SC_NS_PER_S

#define SC_COMPONENT_EVENTS    3
#define SC_COMPONENT_ERROR_MAX 192

/* What the counters of all its cgroups grew by in one look. */
struct sc_component_growth {
	struct sc_breaker_counts counts;
	uint64_t starts; /* forks and execs */
	uint64_t alive;  /* now */
};

/* Who cuts or kills it, beside its breaker. */
struct sc_component_holder {
	char fire_id[SC_FIRE_ID_MAX]; /* empty = nobody */
	bool is_cut_off;              /* from the network */
	bool is_break;                /* by a cut of the component itself: shown as forced-open */
};

struct sc_component_watch {
	char name[SC_COMPONENT_NAME_MAX];
	char condition_id[SC_FIRE_CONDITION_MAX];
	struct sc_group *group; /* a reference */
	bool has_breaker;
	struct sc_breaker_spec spec;  /* live as its condition is: promoting that counts */
	struct sc_predicate *failure; /* of the running plan; NULL = the counters tell */
	struct sc_predicate *success; /* likewise */
	char failure_text[SC_COMPONENT_ERROR_MAX / 2];

	struct sc_breaker breaker;
	struct sc_component_state state;
	struct sc_component_growth gone; /* by cgroups that went since the last look */
	uint64_t events_lost;            /* in its cgroups, within the window of evidence */
	uint32_t members;                /* topmost cgroups at the last look */
	char last_error[SC_COMPONENT_ERROR_MAX];
	uint32_t veto; /* the last reason told; 0 = none */

	/* The breaker's own cut. */
	struct sc_isolation *cut;         /* found anew each tick; NULL: none, or on its way out */
	char cut_fire_id[SC_FIRE_ID_MAX]; /* of the last cut that was there */
	bool is_cut_due;                  /* ordered before a reboot: it is to be cut again */
	bool is_restored;                 /* taken from the journal, the world not yet looked at */
	bool is_of_this_boot;             /* what was taken from there */
	uint32_t cut_attempt;             /* of the breaker, that the cut was told last */
	uint64_t passed;                  /* new connections let through in that, seen so far */
	struct sc_component_holder holder;
	uint64_t holder_changes;              /* what it was found for: e->cut_changes ... */
	uint32_t holder_cuts, holder_members; /* ... n_isolations, members */
	char killed_by[SC_FIRE_ID_MAX];       /* a rekill or a freeze that stands; empty = none */

	/* Events not yet told, and when the next record of each may be written. */
	uint64_t untold[SC_COMPONENT_EVENTS];
	uint64_t next_told_ns[SC_COMPONENT_EVENTS]; /* CLOCK_MONOTONIC */
};

/* The last values of the counters of a slot. */
struct sc_component_seen {
	uint64_t cgroup_id; /* 0 = not looked at */
	uint64_t look;      /* the look in which grown was found */
	struct sc_component_growth last, grown;
};

struct sc_components {
	struct sc_component_watches set;
	struct sc_component_seen *seen; /* by slot; NULL until a component is declared */
	uint64_t look;                  /* number of the tick */
	struct sc_session_blocker blocker;
	bool are_strays_due; /* cuts of breakers that are declared no more: to be released */
};

/* --- components.c --- */
/* NULL: not declared. */
struct sc_component_watch *sc_component_find(struct sc_engine *e, const char *name);
/* What the slot has counted until now belongs to nobody. */
void sc_component_begin_counting(struct sc_engine *e, uint32_t slot, uint64_t id);

/* --- components_breaker.c --- */
/* One tick of the breaker: what was seen, a transition, and the cut as it shall be. */
void sc_component_breaker_tick(struct sc_engine *e, struct sc_component_watch *w,
			       const struct sc_component_growth *grown);
/* The component, or its breaker, is declared no more: what that cut is given back. */
void sc_component_give_up(struct sc_engine *e, struct sc_component_watch *w);
/* Sets the breaker up as the journal tells, or anew. */
void sc_component_restore(struct sc_engine *e, struct sc_component_watch *w);

/* --- components_cut.c --- */
/* Finds the cuts that breakers made, one pass for all; releases those of breakers that are declared
 * no more. */
void sc_components_find_cuts(struct sc_engine *e);
/* Who else holds the component, from the fires and cuts that stand; members are its topmost. */
void sc_component_find_holder(struct sc_engine *e, struct sc_component_watch *w,
			      const uint32_t *members, uint32_t n);
/* The cut as the breaker's state wants it: another mode, or released by that text. */
void sc_component_hold(struct sc_engine *e, struct sc_component_watch *w, const char *released_by);
/* New connections that the cut let through since the last look. */
uint64_t sc_component_tries(struct sc_engine *e, struct sc_component_watch *w,
			    const struct sc_breaker_counts *grown);

/* --- components_tell.c --- */
void sc_component_note_error(struct sc_component_watch *w, const char *fmt, ...) _printf_(2, 3);
/* Why the breaker fires, as one JSON object. */
void sc_component_evidence(const struct sc_component_watch *w, struct sc_str *out);
/* Journal, log, state file, session blocker. by: who; note: why, or empty. */
void sc_component_tell_transition(struct sc_engine *e, struct sc_component_watch *w,
				  const struct sc_breaker_transition *t, const char *by,
				  const char *note);
/* Counts the events in; writes what is due, or all of it when it is the last time. */
void sc_component_tell_events(struct sc_engine *e, struct sc_component_watch *w,
			      unsigned int events, uint64_t deaths, bool is_last);
