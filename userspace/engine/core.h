/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's state and the seams between its files. Everything here belongs to the loop thread.
 *
 *   start.c      coming up and going down
 *   engine.c     the loop and what wakes it
 *   tick.c       one tick: the only place where the stages meet
 *   targets.c    which cgroups there are
 *   decide.c     candidate -> facts -> interlocks -> verdict
 *   facts.c      what the interlocks look at
 *   fires.c      a fire under way
 *   standing.c   freezes and rekills that outlast their fire
 *   groups.c     tenants and components: which targets a name means
 *   tenants.c    tells the counting side whose a cgroup is
 *   readonly.c   trees that are read-only
 *   isolation.c  cuts that stand: made, changed, released
 *   audit.c      whether the world still holds them
 *   components*.c breakers, health and events of components: engine/components.h
 *   pending.c    fires that wait for a second person
 *   records.c    the journal and its projections
 *   state.c      status, and the state file
 *   reconcile.c  what a dead predecessor left
 *   app*.c       what programs report about themselves
 *   workers*.c   the worker processes
 *   notify*.c    who is told of what happens
 *   probe*.c     what probes last answered; secret.c opens their tokens
 *   reload.c     configuration -> running set
 *   ops*.c       what the control socket asks
 */
#pragma once

#include "base/loop.h"
#include "base/tally.h"
#include "engine/app.h"
#include "engine/collector.h"
#include "engine/control.h"
#include "engine/hand.h"
#include "engine/isolation.h"
#include "engine/ports.h"
#include "engine/readonly.h"
#include "engine/syncer.h"

#include <scram/condition.h>
#include <scram/config.h>
#include <scram/fire.h>
#include <scram/interlock.h>
#include <scram/journal.h>
#include <scram/predicate.h>
#include <scram/snapshot.h>

#include "record/statefile.h"

struct sc_fold;
struct sc_fold_breaker;
struct sc_notifiers;
struct sc_json;
struct sc_probe_set;
struct sc_listing;
struct sc_secret;
struct sc_store;
struct sc_workers;

/* Fires under way or standing (frozen, rekilling) at one time. One more is refused, recorded. */
#define SC_ACTIVE_MAX 64
/* Of these, kept from what stands: for kills, and for changes and the undo of cuts. */
#define SC_ACTIVE_RESERVED 8
/* Pairs that one tick decides on, and of these per condition: the rest is due again at the next,
 * which begins with another condition, so that none whose fires are all vetoed keeps the others
 * waiting. */
#define SC_DECISIONS_MAX  256
#define SC_CANDIDATES_MAX 32
/* Slots that one early tick looks at; more wake records than that make a full tick. */
#define SC_WAKES_MAX 256
/* Fires remembered for the blast radius, within its window, and for the cool-down. */
#define SC_RECENT_MAX 256
/* Tick durations kept for the percentiles in status. */
#define SC_TICK_SAMPLES 512

#define SC_NO_CONDITION 0xffffffffU

/* The principal of an automatic fire. */
#define SC_PRINCIPAL_AGENT "agent"

enum sc_active_stage {
	SC_ACTIVE_FREE,
	SC_ACTIVE_WITH_HAND, /* the hand writes */
	SC_ACTIVE_VERIFYING, /* the loop waits for the world */
	SC_ACTIVE_STANDING,  /* the fire has its outcome; its effect stands until released */
	SC_ACTIVE_STAGE_COUNT
};

/* One fire under way. */
struct sc_active {
	enum sc_active_stage stage;
	struct sc_fire fire;
	struct sc_action_run run;
	struct sc_standing rekill;
	struct sc_isolation *isolation; /* of the kinds that cut */
	uint32_t slot;
	uint64_t next_ns;     /* CLOCK_MONOTONIC of the next look; 0 = when woken */
	bool is_releasing;    /* what is under way is the undo */
	bool is_rekilling;    /* what is under way is another kill of a settled fire */
	bool is_updating;     /* what is under way brings a standing cut up to date */
	bool ends_when_clear; /* a freeze that is not the last rung: undone when its condition
				 clears */
	bool stuck_told;
	bool is_release_due;     /* the undo failed: it is tried again */
	uint64_t rekill_told_ns; /* CLOCK_MONOTONIC of the last record of a rekill */
	char released_by[SC_FIRE_OPERATOR_MAX];
	struct sc_reply_to waiter;
	bool waits_for_outcome; /* fire --wait; else the waiter is answered once it is applied */
};

struct sc_recent {
	uint64_t at_ns; /* 0 = unused */
	uint64_t cgroup_id;
	bool is_last; /* of its condition on this target: the one that counts the target */
	char condition_id[SC_FIRE_CONDITION_MAX];
	bool dry_run;
	bool automatic;
	bool irreversible;
};

struct sc_tick_stats {
	uint64_t full, early;      /* ticks of each kind */
	uint64_t overruns;         /* full ticks that took longer than the interval */
	uint64_t last_us, late_us; /* of the last full tick */
	uint32_t sample_us[SC_TICK_SAMPLES];
	uint32_t sample_late_us[SC_TICK_SAMPLES];
	uint32_t samples; /* taken in all; the last SC_TICK_SAMPLES are kept */
};

struct sc_switch { /* disarm, forced observe-only: why nothing fires */
	bool is_on;
	char reason[SC_FIRE_REASON_MAX];
	char operator_name[SC_FIRE_OPERATOR_MAX];
	char since[SC_TIME_TEXT_MAX];
};

struct sc_engine {
	const struct sc_run_options *options;
	const struct sc_ports *ports;
	const char *boot_id;
	int state_dir_fd, run_dir_fd;

	struct sc_loop loop;
	struct sc_watch tick_timer, look_timer, signals, wakes, hand_bell, collector_bell;
	struct sc_control control;
	struct sc_hand hand;
	struct sc_collector collector;
	struct sc_app app;
	struct sc_syncer syncer;
	struct sc_workers *workers;
	struct sc_store *store;
	struct sc_listing *listing;
	struct sc_notifiers *notifiers;
	struct sc_secret *secret;
	bool stopping;
	bool is_over; /* agent.stopped is recorded: nothing is asked any more but by workers */

	/* the running set: swapped whole on reload */
	struct sc_config config;
	struct sc_probe_set *probes;
	struct sc_registry *registry;
	struct sc_plan *plan;
	struct sc_conditions *set;
	struct sc_condition_meta *meta; /* one per condition of the set */

	struct sc_targets *targets;
	struct sc_source source;
	uint8_t *asked;  /* by slot: enum sc_asked bits, orders the collector has not answered */
	uint32_t *slots; /* scratch: slots in use */
	uint32_t *protected_slots; /* of targets that the protect list names */
	uint32_t n_protected;

	/* time */
	struct sc_time now, last_tick;
	uint64_t cause_ns; /* CLOCK_MONOTONIC of what made this tick look: a wake record, or its own
			      begin */
	uint64_t interval_ns, due_ns, started_ns, resumed_ns, last_housekeeping_ns;
	struct sc_tick_stats ticks;

	/* decisions and fires */
	struct sc_candidate candidates[SC_CANDIDATES_MAX];
	struct sc_active active[SC_ACTIVE_MAX];
	struct sc_recent recent[SC_RECENT_MAX];
	uint32_t recent_next;
	struct sc_frozen frozen[SC_ACTIVE_MAX];
	struct sc_isolation isolations[SC_ISOLATIONS_MAX];
	uint32_t n_isolations;
	struct sc_cut_member *isolation_room; /* of all, SC_CUT_MEMBERS_MAX each */
	uint64_t cut_repairs;                 /* times that a stranger's change was put back */
	uint64_t cut_changes;                 /* grows with every change ordered or finished */
	struct sc_group **groups;             /* of the running configuration */
	uint32_t n_groups;
	struct sc_cut_found *found; /* what a predecessor's gate held at start */
	uint32_t n_found;
	char traffic_why[192]; /* why nothing can be cut here; empty = it can */
	bool traffic_armed;
	struct sc_audit *audit;
	struct {
		struct sc_readonly *room; /* a wish for each active fire */
		uint64_t kept_ns;         /* CLOCK_MONOTONIC of the last time it was told */
		uint64_t repairs;         /* times that a stranger's change was put back */
		enum sc_readonly_way way; /* in effect */
		bool is_failing;
		char text[SC_READONLY_TEXT_MAX]; /* why it does not hold whole */
	} readonly;
	struct sc_components *components;
	uint64_t events_lost;     /* on the whole host, since start */
	uint32_t first_condition; /* where the next tick begins to judge */
	uint64_t decisions_put_off;
	uint64_t early_wakes_dropped;
	uint32_t early_budget; /* early ticks left in this interval */

	/* records */
	struct sc_journal *journal;
	struct sc_fold *fold;
	uint64_t fires_total, vetoes_total, journal_failures, predicate_overruns;
	uint64_t last_seal_ns;
	struct sc_statefile statefile;
	uint64_t refused;         /* requests, for who asked */
	struct sc_tally refusals; /* what somebody had no right to: refusals.c */
	struct {
		uint64_t conditions; /* sets that ran */
		uint64_t fires;      /* records of fires */
	} changes;                   /* what readers compare to see whether to ask again */
	bool journal_was_broken, seal_due;

	/* interlock facts that people set */
	bool forced_readonly;
	bool draining;
	struct sc_switch disarmed;
	bool ready;
};

/* What the engine keeps beside each condition of the set. */
struct sc_condition_meta {
	uint64_t eval_ns; /* the last full evaluation took this */
	uint64_t eval_max_ns;
	bool over_budget;  /* the last evaluation overran: told once */
	char why_not[192]; /* armed, cannot fire: the reason; empty = it can */
};

/* An evaluation of one condition over all its targets may take this long before it is recorded as
 * an overrun. */
#define SC_EVAL_BUDGET_NS 20000000ULL

/* --- targets.c --- */
int sc_engine_learn_all(struct sc_engine *e);   /* at start, before the threads */
void sc_engine_scan_nodes(struct sc_engine *e); /* asks about cgroups that came or went */
void sc_engine_slot_changed(struct sc_engine *e, uint32_t slot); /* the same for one */
void sc_engine_take_reports(struct sc_engine *e);                /* what the collector found */
/*
 * The slot of the target at a path that a person named; one made a moment ago, which no tick has
 * seen yet, is learned now. SC_SLOT_NONE when there is none. Allocates: not for ticks.
 */
uint32_t sc_engine_find_target(struct sc_engine *e, const char *path);
/* After the protect list changed. */
void sc_engine_mark_protected(struct sc_engine *e);
/* Why the target must not be acted on; NULL = it may be. `buf` holds the text. */
const char *sc_engine_protected_by(struct sc_engine *e, uint32_t slot, char *buf, size_t size);

/* True for a path that is neither the supervised root nor below it, whether it exists or not. */
bool sc_engine_is_outside(struct sc_engine *e, const char *path);

/* --- host.c --- */
/* Sets the signals of the host. */
void sc_engine_read_host(struct sc_engine *e);
/*
 * 1 - left / total of two lines of /proc/meminfo, "SwapTotal:" and "SwapFree:"; NaN when one is
 * missing, or there is none of it.
 */
double sc_host_share_used(const char *meminfo, const char *total, const char *left);

/* --- tick.c --- */
void sc_engine_fill_source(struct sc_engine *e);
void sc_engine_tick_full(struct sc_engine *e);
/* Looks at the slots that wake records name, and at their ancestors. */
void sc_engine_tick_early(struct sc_engine *e);
/* Values of one slot read anew, and the condition judged on them. */
enum sc_truth sc_engine_judge_now(struct sc_engine *e, uint32_t condition, uint32_t slot);

/* --- decide.c --- */
/* One operand as evidence tells it. */
void sc_operand_json(struct sc_json *j, const struct sc_operand *o);
struct sc_fire_request {
	uint32_t condition; /* index in the running set */
	uint32_t slot;
	const char *outside; /* a path that is not supervised, then slot is SC_SLOT_NONE; or NULL */
	const char
		*impossible; /* why it has nothing to act on: likewise; it fails. NULL = it has */
	uint32_t rung;
	enum sc_asker asker;
	bool forced;
	const char *fired_by;  /* `auto` or the operator */
	const char *principal; /* SC_PRINCIPAL_AGENT or who the kernel says it was */
	/* Asked by a breaker, whose state stands in for a predicate; then these too: */
	bool is_breaker;
	bool is_live;         /* it acts, whatever its condition says */
	uint32_t *veto;       /* the last reason told, kept by the breaker; 0 = none */
	uint64_t events_lost; /* what was not counted of it within the last window */

	/* A JSON object: of the breaker, or what a person saw; NULL = what the agent sees. */
	const char *evidence;
	const char *reason;
	const char *key; /* of SC_FIRE_KEY_MAX - 1 characters; NULL = none */
	struct sc_reply_to waiter;
	bool waits_for_outcome;
};
/* Judges and, when nothing vetoes, begins the fire. Returns the enum sc_exit of a request. `fire`
 * gets what was recorded, `verdict` why. */
int sc_engine_decide(struct sc_engine *e, const struct sc_fire_request *rq, struct sc_fire *fire,
		     struct sc_verdict *verdict);

/* --- facts.c --- */
const struct sc_condition *sc_engine_condition_of(struct sc_engine *e,
						  const struct sc_fire_request *rq);
/* What the rung, or the condition without a ladder, does. */
enum sc_action_kind sc_engine_kind_of(const struct sc_condition *c, uint32_t rung);
bool sc_engine_is_dry_run(const struct sc_condition *c, const struct sc_fire_request *rq);
/* Events in the subtree of the slot that were not counted, when the last was within the window of
 * evidence; else 0. */
uint64_t sc_engine_events_lost(const struct sc_engine *e, uint32_t slot);
void sc_engine_fill_facts(struct sc_engine *e, const struct sc_fire_request *rq,
			  struct sc_interlock_facts *facts, char *protect_buf, size_t size);
/* What the blast radius and the cool-down count from now on. */
void sc_engine_remember_fire(struct sc_engine *e, const struct sc_fire *fire);

/* --- fires.c --- */
struct sc_active *sc_fires_free_place(struct sc_engine *e);
unsigned int sc_fires_free_places(const struct sc_engine *e);
/* Prepared and recorded: acts. a->fire, a->run are filled. */
void sc_fires_dispatch(struct sc_engine *e, struct sc_active *a);
void sc_fires_hand_done(struct sc_engine *e);
/* Looks at every fire whose time has come, or at those on this slot (SC_SLOT_NONE = by time). */
void sc_fires_look(struct sc_engine *e, uint32_t slot);
void sc_fires_arm_timer(struct sc_engine *e);
struct sc_active *sc_fires_find(struct sc_engine *e, const char *id_prefix);

/* --- standing.c --- */
/* After the outcome: keeps the place while something stands, else frees it. */
void sc_standing_settle(struct sc_engine *e, struct sc_active *a);
void sc_standing_look(struct sc_engine *e, struct sc_active *a);
/* Begins the undo; 0, or -EALREADY / -EBUSY when one is under way. */
int sc_standing_release(struct sc_engine *e, struct sc_active *a, const char *by);
void sc_standing_record_release(struct sc_engine *e, struct sc_fire *fire, const char *by,
				const char *how);
/* Blocking, at the very end: nothing may stay frozen that is not within its ttl. */
void sc_standing_thaw_all(struct sc_engine *e);

/* --- pending.c --- */
/* A fire that waits for a second person is over after this, by CLOCK_BOOTTIME, and at a reboot. */
#define SC_PENDING_TTL_NS (15 * 60 * SC_NS_PER_S)
/* So many may wait at one time; one more is refused, recorded. */
#define SC_PENDING_MAX 64
unsigned int sc_pending_count(const struct sc_engine *e);
/* About once a second, and at start. */
void sc_pending_expire(struct sc_engine *e);

/* --- records.c --- */
/* Appends a record of the kind with this body, folds it, asks for the sync. False when it is not in
 * the file. */
bool sc_records_append(struct sc_engine *e, enum sc_record_kind kind, const char *body);
/* The fire's next step: sets its state, appends it, folds it. */
bool sc_records_fire(struct sc_engine *e, enum sc_record_kind kind, struct sc_fire *fire);
/* A breaker's transition: appends it, folds it. */
bool sc_records_breaker(struct sc_engine *e, const struct sc_fold_breaker *breaker);
void sc_records_fact(struct sc_engine *e, const char *fmt, ...) _printf_(2, 3);
/* Seals, flushes what is held, notices a broken journal; for every full tick. */
void sc_records_keep(struct sc_engine *e);

/* --- reconcile.c --- */
int sc_engine_reconcile(struct sc_engine *e);

/* The file's limits.targets, which sizes what is opened before the files are taken. */
uint32_t sc_engine_targets_max(struct sc_engine *e);

/* --- start.c --- */
/* The options are borrowed. NULL without memory. */
struct sc_engine *sc_engine_new(const struct sc_run_options *options);
/* Everything up to the first tick; logs its own errors. 0 or -errno; stop in both cases. */
int sc_engine_start(struct sc_engine *e);
/* The reverse, and frees e; every step is harmless when its part never came up. */
void sc_engine_stop(struct sc_engine *e);

/* --- engine.c --- */
int sc_engine_open_loop(struct sc_engine *e);
/* The first tick at once, then one per interval. */
int sc_engine_arm_ticks(struct sc_engine *e);
/* Whether people have disarmed it, or drain it: from the journal and the state directory. */
void sc_engine_take_switches(struct sc_engine *e);

/* --- reload.c --- */
/* Loads the files, builds a set from `registry` (NULL: the current one with the files' conditions),
 * swaps. On failure the running set stays and `text` says why. */
int sc_engine_load(struct sc_engine *e, struct sc_str *text);
/* One log line for what was refused and one for each line of `text`: a fault each. */
void sc_engine_log_refusal(const char *what, const char *text);
int sc_engine_rebuild(struct sc_engine *e, struct sc_registry *registry, struct sc_config *config,
		      struct sc_str *text);
/* At start: the registry as the journal tells it; then, with the files loaded, the promotions. */
int sc_engine_restore_registry(struct sc_engine *e);
int sc_engine_restore_promotions(struct sc_engine *e, struct sc_str *text);

/* --- state.c --- */
/* Writes the state file when something changed and the debounce is over, or now. */
void sc_state_keep(struct sc_engine *e, bool now);
