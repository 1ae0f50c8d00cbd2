/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * What scram knows of a component as a whole: its circuit breaker, the one loud event when the
 * breaker opens again and again, and whether it died, came back, or is well. Pure: counters and
 * time are arguments, nothing is allocated, nothing acts. All times are CLOCK_BOOTTIME in ns: a
 * wait goes on while the machine sleeps, and an agent that was restarted can measure the rest.
 */
#pragma once

#include <scram/traffic.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sc_str;
struct sc_time;

#define SC_BREAKER_FAILURES     5 /* defaults of the file; times are in ns */
#define SC_BREAKER_TRIES        3
#define SC_BREAKER_SUCCESSES    1
#define SC_BREAKER_OPEN_NS      30000000000ULL
#define SC_BREAKER_OPEN_MAX_NS  300000000000ULL
#define SC_BREAKER_HALF_OPEN_NS 30000000000ULL
#define SC_COMPONENTS_MAX       256
#define SC_COMPONENT_NAME_MAX   129 /* with its NUL */

/* How a breaker is set up. Plain data; no number in it is 0. */
struct sc_breaker_spec {
	bool live;             /* false: metrics-only */
	enum sc_cut_mode mode; /* when open: SC_CUT_REFUSE_NEW or SC_CUT_REFUSE_ALL */
	uint32_t failures;     /* in a row, to open */
	uint32_t tries;        /* new connections let through while half-open */
	uint32_t successes;    /* of them, to close */
	uint64_t open_ns;      /* the first wait; doubles with each half-open that failed ... */
	uint64_t open_max_ns;  /* ... up to this */
	uint64_t half_open_ns; /* its end */
};

enum sc_breaker_state {
	SC_BREAKER_CLOSED,
	SC_BREAKER_OPEN,
	SC_BREAKER_HALF_OPEN,
	SC_BREAKER_FORCED_OPEN,   /* cut until taken back */
	SC_BREAKER_FORCED_CLOSED, /* never cut; still counts */
	SC_BREAKER_DISABLED,      /* neither */
	SC_BREAKER_STATE_COUNT
};

/* What an operator wants of it. Metrics-only goes through closed, open and half-open, and cuts
 * nothing. */
enum sc_breaker_order {
	SC_BREAKER_ORDER_NONE, /* as configured */
	SC_BREAKER_ORDER_FORCED_OPEN,
	SC_BREAKER_ORDER_FORCED_CLOSED,
	SC_BREAKER_ORDER_DISABLED,
	SC_BREAKER_ORDER_METRICS_ONLY,
	SC_BREAKER_ORDER_COUNT
};

enum sc_breaker_reason {
	SC_BREAKER_FAILURE_THRESHOLD,
	SC_BREAKER_COOLDOWN_ELAPSED,
	SC_BREAKER_RECOVERED,
	SC_BREAKER_HALF_OPEN_FAILED,
	SC_BREAKER_HALF_OPEN_UNTRIED, /* its end came and nothing had been tried */
	SC_BREAKER_OPERATOR,
	SC_BREAKER_REASON_COUNT
};

/* Counters of all cgroups of a component together, as they grew since the last look. */
struct sc_breaker_counts {
	uint64_t connects; /* begun from inside: tcp.connects */
	uint64_t connect_successes;
	uint64_t connect_failures;
	uint64_t accepts;
	uint64_t unexpected_exits; /* deaths by scram's hand are none */
	uint64_t tries;            /* new connections, both ways, let through while half-open */
};

/* What one look found. */
struct sc_breaker_look {
	uint32_t failures;
	uint32_t successes;
	uint32_t tries;
};

struct sc_breaker {
	enum sc_breaker_state state;
	enum sc_breaker_order order;
	uint32_t run;        /* failures in a row */
	uint32_t successes;  /* in this half-open */
	uint32_t attempt;    /* half-opens so far: sc_cut.attempt */
	bool acts;           /* it cuts where its state says so; see sc_breaker_step */
	bool is_tried;       /* something was let through, failed or succeeded in this half-open */
	bool is_of_connects; /* a connection is in the run: accepting alone ends no such run */
	uint64_t since_ns;   /* in this state */
	uint64_t until_ns;   /* open, half-open: when time alone ends it; else 0 */
	uint64_t wait_ns;    /* of the last open; 0 = none since it closed */
	struct sc_breaker_counts trial; /* since this half-open began */
	struct sc_breaker_look told;    /* of these, what looks have told */
	uint64_t failures_seen;         /* ever; for display */
	uint64_t successes_seen;
	uint64_t exits_seen; /* while open too, where nothing else counts */
};

struct sc_breaker_transition {
	enum sc_breaker_state from;
	enum sc_breaker_state to; /* may equal from where only the order changed */
	enum sc_breaker_reason reason;
	bool is_dry_run; /* nothing is cut or let go by it */
	uint64_t at_ns;
	uint64_t retry_ns; /* open: when it goes half-open; half-open: when it ends; else 0 */
};

/* "closed", "open", "half-open", "forced-open", "forced-closed", "disabled". */
const char *sc_breaker_state_name(enum sc_breaker_state state);
/* "none", "forced-open", "forced-closed", "disabled", "metrics-only". */
const char *sc_breaker_order_name(enum sc_breaker_order order);
/* "failure_threshold", "cooldown_elapsed", "recovered", "half_open_failed", ... */
const char *sc_breaker_reason_name(enum sc_breaker_reason reason);
/* The value of that name, or -ENOENT. */
int sc_breaker_state_find(const char *name);
int sc_breaker_order_find(const char *name);
int sc_breaker_reason_find(const char *name);

/* The defaults: metrics-only, SC_CUT_REFUSE_NEW. */
void sc_breaker_spec_init(struct sc_breaker_spec *spec);
/* Closed, no order, since now. */
void sc_breaker_init(struct sc_breaker *b, uint64_t now_ns);

/*
 * Turns counters into what they mean in the breaker's state, and remembers what it needs for the
 * next time; once per tick, before sc_breaker_step. While scram itself refuses connections their
 * failures are no evidence: open, none counts; half-open, only failures of connections that were
 * let through do. The caller passes zeros for connections while something else of scram's (a
 * quarantine) cuts the component.
 */
struct sc_breaker_look sc_breaker_count(struct sc_breaker *b, const struct sc_breaker_spec *spec,
					const struct sc_breaker_counts *grown);

/*
 * Puts what predicates say in the place of what was counted: true is one failure, or one success.
 * NULL = there is none. Half-open, failures stay those that were counted: what a predicate looks
 * back on may be scram's own refusals, and no half-open would ever succeed.
 */
struct sc_breaker_look sc_breaker_judge(const struct sc_breaker *b, struct sc_breaker_look counted,
					const bool *failure, const bool *success);

/*
 * One tick: at most one transition, by what was seen or by time alone. True when there was one,
 * *out then filled; else out is untouched. Where a tick saw both, in half-open a failure wins; when
 * closed, only a run that must have happened whatever their order opens it. b->acts follows spec
 * here: a breaker that opened in metrics-only and is made live begins anew, closed.
 */
bool sc_breaker_step(struct sc_breaker *b, const struct sc_breaker_spec *spec,
		     const struct sc_breaker_look *look, uint64_t now_ns,
		     struct sc_breaker_transition *out);

/* An operator's order; NONE takes the last one back: a forced breaker is then closed, with its
 * waits forgotten. The order is the operator's own: it is carried out whether the spec is live or
 * not. True when something changed, *out then filled; else out is untouched. */
bool sc_breaker_order(struct sc_breaker *b, const struct sc_breaker_spec *spec,
		      enum sc_breaker_order order, uint64_t now_ns,
		      struct sc_breaker_transition *out);

/* How the component is to be cut now: SC_CUT_NONE, the spec's mode, or SC_CUT_TRY (with spec->tries
 * and b->attempt). */
enum sc_cut_mode sc_breaker_cut(const struct sc_breaker *b, const struct sc_breaker_spec *spec);

/* Adds a mermaid stateDiagram-v2 of the table. */
void sc_breaker_print_diagram(struct sc_str *out);

/* What the journal keeps of a transition (kind breaker.transition): enough to go on from it. */
struct sc_breaker_record {
	char component[SC_COMPONENT_NAME_MAX];
	struct sc_breaker_transition transition;
	enum sc_breaker_order order;
	uint32_t attempt;
	uint64_t wait_ns;
	bool is_of_connects;
};

void sc_breaker_to_record(const struct sc_breaker *b, const char *component,
			  const struct sc_breaker_transition *t, struct sc_breaker_record *out);
/* Adds the record as one JSON object; now gives at and retry_at for people. */
void sc_breaker_record_json(const struct sc_breaker_record *r, const struct sc_time *now,
			    struct sc_str *out);
/* Reads such an object of n bytes. 0, or -EINVAL with out untouched. In the record room. */
int sc_breaker_record_parse(const char *json, size_t n, struct sc_breaker_record *out);

/*
 * Sets b up as the last record says. Within the same boot the rest of a wait is measured on; after
 * a reboot nobody knows how long the machine was down, so an open or half-open breaker is open and
 * its wait is over: the next step lets connections through and looks. Orders stay in force.
 */
void sc_breaker_restore(struct sc_breaker *b, const struct sc_breaker_record *r, bool is_same_boot,
			uint64_t now_ns);

/* ---- the session blocker ---- */

#define SC_SESSION_BLOCKER_OPENS 3
#define SC_SESSION_ID_MAX        65 /* with its NUL */

struct sc_session_blocker_entry {
	char component[SC_COMPONENT_NAME_MAX];
	uint32_t opens; /* transitions to open since it last closed */
	bool is_emitted;
};

/* Zeroed is empty: no session yet. About 35 KiB. */
struct sc_session_blocker {
	char session[SC_SESSION_ID_MAX];
	struct sc_session_blocker_entry entry[SC_COMPONENTS_MAX];
	uint32_t n;
	uint64_t refused; /* transitions of components that found no room */
};

/* The session from now on: another id drops all that was counted, the same one nothing. */
void sc_session_blocker_begin(struct sc_session_blocker *s, const char *session_id);
/*
 * Tells it of a transition. True when this one is the third to open: the one time to be loud.
 * A transition to closed, or to where an operator holds it, begins the count anew. Tracking does
 * not depend on what the caller does with the answer.
 */
bool sc_session_blocker_note(struct sc_session_blocker *s, const char *component,
			     const struct sc_breaker_transition *t);
/* NULL: nothing is counted for it. */
const struct sc_session_blocker_entry *sc_session_blocker_find(const struct sc_session_blocker *s,
							       const char *component);

/* ---- supervisor events ---- */

enum sc_component_health {
	SC_COMPONENT_HEALTHY,
	SC_COMPONENT_DEGRADED, /* breaker open or half-open, or unexpected deaths within 60 s */
	SC_COMPONENT_SCRAM,    /* cut or killed by scram, and that still stands */
	SC_COMPONENT_HEALTH_COUNT
};

enum sc_component_event {
	SC_COMPONENT_DIED = 1 << 0,      /* died-unexpectedly */
	SC_COMPONENT_RESPAWNED = 1 << 1, /* a process began after one died unexpectedly or after
					    the last one had gone */
	SC_COMPONENT_HEALTH_CHANGED = 1 << 2,
};

#define SC_COMPONENT_DEATH_NS 60000000000ULL /* deaths count against health for so long */

/* What one tick shows of all cgroups of a component together. */
struct sc_component_sight {
	uint64_t unexpected_exits;     /* since the last look */
	uint64_t starts;               /* forks and execs since the last look */
	uint64_t alive;                /* now */
	enum sc_breaker_state breaker; /* CLOSED where there is none */
	bool is_held; /* a live fire that cut or killed it stands, or its breaker is forced open */
};

/* Zeroed is a component not seen yet: healthy. */
struct sc_component_state {
	enum sc_component_health health;
	bool has_lived;
	bool is_empty;    /* has lived, and nothing of it is alive */
	bool is_waiting;  /* something died and nothing has begun since */
	bool has_died;    /* died_ns is set */
	uint64_t died_ns; /* the last unexpected death */
	uint64_t deaths;  /* ever; for display */
	uint64_t respawns;
};

/* "healthy", "degraded", "scram". */
const char *sc_component_health_name(enum sc_component_health health);
/* One tick. Returns the events as bits. */
unsigned int sc_component_look(struct sc_component_state *c, const struct sc_component_sight *sight,
			       uint64_t now_ns);
