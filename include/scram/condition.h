/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * Conditions: what an operator registered (specs), the registry of them by id, and the running set
 * that steps one state machine per condition and target. Pure: time is an argument, nothing is
 * allocated in a tick, and nothing here acts; a tick returns candidates and is told what became of
 * them.
 */
#pragma once

#include "base/clock.h"
#include "base/diag.h"
#include "base/str.h"
#include "base/texts.h"

#include <scram/abi.h>
#include <scram/action.h>
#include <scram/traffic.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sc_predicate;
struct sc_predicate_env;
struct sc_json;

/* Limits. The sizes are those of the HTTP API and of one journal record (16 KiB), which must hold a
 * spec. */
#define SC_CONDITIONS_MAX          1024
#define SC_CONDITION_ID_MAX        128
#define SC_CONDITION_TEXT_MAX      1024 /* description */
#define SC_CONDITION_WHEN_MAX      2048 /* predicate text */
#define SC_CONDITION_NAME_MAX      128  /* registered_by, component, tenant_id, checkpoint_id */
#define SC_CONDITION_PATH_MAX      1024 /* scope, target */
#define SC_CONDITION_RUNGS_MAX     4
#define SC_CONDITION_TARGETS_MAX   16384   /* max_targets */
#define SC_CONDITION_SAMPLES_MAX   1000000 /* min_samples */
#define SC_NOTIFY_MAX              8       /* entries of one list */
#define SC_NOTIFY_TEXT_MAX         2048    /* bytes of all texts of one list */
#define SC_CONDITION_COOLDOWN_NS   (60 * SC_NS_PER_S)
#define SC_CONDITION_UNKNOWN_TICKS 50 /* a run of so many unknown ticks is raised */
#define SC_CODE_NONE               (-1)
/* Ids that begin so are those of the conditions in whose name a component's breaker cuts. */
#define SC_BREAKER_PREFIX "breaker:"

enum sc_on_unknown { SC_ON_UNKNOWN_IGNORE, SC_ON_UNKNOWN_ALARM, SC_ON_UNKNOWN_COUNT };
enum sc_origin { SC_ORIGIN_FILE, SC_ORIGIN_RUNTIME, SC_ORIGIN_COUNT };

/* One step of an escalate ladder: what is done, and how long until the next step if it did not
 * help. */
struct sc_rung {
	enum sc_action_kind kind; /* freeze, refuse-new or process-exit */
	uint64_t dwell_ns;        /* 0 for the last rung */
};

struct sc_action_spec {
	enum sc_action_kind kind;
	int code; /* 0..255, recorded with the fire; SC_CODE_NONE = not given */
	/* NULL beside a scope: the component or tenant of the matched cgroup, or where none is
	 * declared that cgroup alone. */
	char *component;
	char *tenant_id;
	char *checkpoint_id;
	char *target; /* cgroup path of a condition that has no scope */
	uint64_t grace_ns;
	bool rekill;
	enum sc_cut_mode mode; /* circuit-break-component: SC_CUT_REFUSE_NEW or SC_CUT_REFUSE_ALL;
				* every other kind: SC_CUT_NONE */
};

enum sc_notify_kind {
	SC_NOTIFY_WEBHOOK,
	SC_NOTIFY_COMMAND,
	SC_NOTIFY_JOURNAL,
	SC_NOTIFY_KIND_COUNT
};

/* Who is told of a fire. A NULL text was not given. */
struct sc_notify {
	enum sc_notify_kind kind;
	char *webhook;           /* webhook: URL to POST to */
	char *secret_file;       /* webhook: what signs the body; may be NULL */
	struct sc_texts command; /* command: absolute path and arguments */
};

/* Zeroed is empty. */
struct sc_notify_list {
	struct sc_notify *item;
	size_t n;
};

/* Appends an entry of kind journal for the caller to fill; NULL when memory is short. */
struct sc_notify *sc_notify_list_add(struct sc_notify_list *list);
/* Deep copy into dst, which is overwritten, not released. 0 or -ENOMEM, dst then untouched. */
int sc_notify_list_copy(struct sc_notify_list *dst, const struct sc_notify_list *src);
bool sc_notify_equal(const struct sc_notify *a, const struct sc_notify *b);
/* True when both name the same in the same order. */
bool sc_notify_list_equal(const struct sc_notify_list *a, const struct sc_notify_list *b);
/* Adds the list as one JSON array, in the shape of the file. */
void sc_notify_list_json(const struct sc_notify_list *list, struct sc_json *json);
void sc_notify_list_done(struct sc_notify_list *list);

/* What was registered: plain data that owns its texts. A NULL text was not given. */
struct sc_condition_spec {
	char *id;
	char *description;
	char *registered_by;
	char *scope; /* glob of cgroup paths; NULL = judged once, for the host */
	char *when;  /* predicate; NULL = manual only */
	struct sc_action_spec action;
	bool auto_fire;
	bool requires_two_person;
	bool live;
	enum sc_on_unknown on_unknown;
	uint32_t min_samples; /* consecutive evaluations that must find true */
	uint32_t max_targets; /* blast radius in targets; 0 = the default share */
	uint64_t hold_ns;     /* must have been true for so long */
	uint64_t clear_for_ns;
	uint64_t cooldown_ns;
	uint64_t ttl_ns; /* 0 = none */
	struct sc_rung rung[SC_CONDITION_RUNGS_MAX];
	uint32_t rungs;               /* 0 = no ladder: the action alone */
	struct sc_notify_list notify; /* beside those that the file names for all */
	/* Where it was written, for messages; not part of what sc_condition_spec_equal compares. */
	char *file;
	unsigned int line;
	unsigned int when_line;
	unsigned int when_column;
};

/* The defaults of DESIGN section 7; every text NULL, kind process-exit. */
void sc_condition_spec_init(struct sc_condition_spec *spec);
void sc_condition_spec_done(struct sc_condition_spec *spec);
/* Deep copy into dst, which is overwritten, not released. Returns 0 or -ENOMEM, dst then untouched.
 */
int sc_condition_spec_copy(struct sc_condition_spec *dst, const struct sc_condition_spec *src);
/* True when both ask for the same: everything but their place in a file. */
bool sc_condition_spec_equal(const struct sc_condition_spec *a, const struct sc_condition_spec *b);
/* The same without `live`: whether state and cool-downs of the one may be carried over to the
 * other. */
bool sc_condition_spec_same_judgement(const struct sc_condition_spec *a,
				      const struct sc_condition_spec *b);

/*
 * Checks what can be said of a spec alone: lengths, printable texts, ranges, which fields go
 * together. Returns 0 or -EINVAL with diag->text set and *field naming the key at fault (dotted:
 * "action.config.code").
 */
int sc_condition_spec_check(const struct sc_condition_spec *spec, const char **field,
			    struct sc_diag *diag);

/*
 * Adds the spec as one canonical JSON object: every field, in a fixed order, so that equal specs
 * make equal texts. sc_condition_spec_from_json (config.h) reads it back. Durations are texts such
 * as "1m30s".
 */
void sc_condition_spec_json(const struct sc_condition_spec *spec, struct sc_str *out);
/* Adds a duration so that sc_parse_duration reads back exactly ns: "0s", "250ms", "1m30s". */
void sc_condition_duration(struct sc_str *out, uint64_t ns);

/* True when the action, or a rung of the ladder, cannot be undone. */
bool sc_condition_is_irreversible(const struct sc_condition_spec *spec);
const char *sc_on_unknown_name(enum sc_on_unknown on_unknown);
const char *sc_origin_name(enum sc_origin origin);

/*
 * The registry: all specs in id order, from files and registered at run time, with the promotions
 * that hold until a file's own `live` changes. To change the running set: clone, change the clone,
 * build a set from it (sc_conditions_new), swap both. A refused change leaves the registry as it
 * was.
 */
struct sc_registry;

struct sc_registration {
	const struct sc_condition_spec *spec;
	enum sc_origin origin;
	bool live;       /* the effective one: promotion or the spec's own */
	bool overridden; /* a promotion or demotion holds */
};

struct sc_registry *sc_registry_new(void);
struct sc_registry *sc_registry_clone(const struct sc_registry *reg); /* NULL: no memory */
void sc_registry_free(struct sc_registry **reg);

size_t sc_registry_count(const struct sc_registry *reg);
/* The i-th in id order, i < count. Pointers live until the registry changes. */
struct sc_registration sc_registry_get(const struct sc_registry *reg, size_t i);
/* Index of that id, or -ENOENT. */
int sc_registry_find(const struct sc_registry *reg, const char *id);

/*
 * Replaces all file-defined conditions by copies of specs[0..n). A promotion is kept for an id
 * whose own `live` in the file is what it was when promoted. A run-time condition of the same id
 * gives way. Returns 0, -EEXIST (an id twice), -E2BIG (over SC_CONDITIONS_MAX) or -ENOMEM, with
 * diag.
 */
int sc_registry_set_files(struct sc_registry *reg, const struct sc_condition_spec *specs, size_t n,
			  struct sc_diag *diag);

/*
 * Registers a copy of spec at run time: new, or in place of the run-time condition of that id
 * (whose promotion then ends). Returns 0, 1 when an equal one was there already, -EPERM when a file
 * defines the id, -E2BIG or -ENOMEM, with diag.
 */
int sc_registry_upsert(struct sc_registry *reg, const struct sc_condition_spec *spec,
		       struct sc_diag *diag);

/* 1 when it was there and is gone, 0 when it was not, -EPERM with diag when a file defines it. */
int sc_registry_delete(struct sc_registry *reg, const char *id, struct sc_diag *diag);

/* promote (true) or demote (false): 1 changed, 0 was so already, -ENOENT with diag. */
int sc_registry_set_live(struct sc_registry *reg, const char *id, bool live, struct sc_diag *diag);

/*
 * Puts back a promotion read from the journal: own_live is the spec's own value when it was made,
 * and the promotion is dropped when that is no longer its value. 1 restored, 0 dropped, -ENOENT.
 */
int sc_registry_restore_live(struct sc_registry *reg, const char *id, bool live, bool own_live);

/*
 * The state machine of one condition and target. One const table (fsm.c) of (from, input, guard) ->
 * (to, emit) drives it; docs/state-machine.md is printed from that table.
 */
enum sc_phase {
	SC_PHASE_CLEAR,
	SC_PHASE_RISING,   /* true, and waiting for hold and min_samples, or for an interlock */
	SC_PHASE_FIRED,    /* a fire was recorded; its outcome is not known yet */
	SC_PHASE_LATCHED,  /* fired once; nothing more until it has cleared, except the next rung */
	SC_PHASE_COOLDOWN, /* cleared; the cool-down since the fire still runs */
	SC_PHASE_COUNT
};

const char *sc_phase_name(enum sc_phase phase);
/* Adds a mermaid stateDiagram-v2 of the table. */
void sc_fsm_print_diagram(struct sc_str *out);

struct sc_conditions; /* a running set, built from one registry and bound to one plan */

/* One condition of a running set, in id order; read-only. */
struct sc_condition {
	const struct sc_condition_spec *spec;
	const struct sc_predicate *predicate; /* NULL without `when` */
	enum sc_origin origin;
	bool live;
	bool evaluated; /* auto_fire and has a predicate: a tick looks at it */
	int scope; /* scope id in the plan (of `target` too); -1: judged once, on the root slot */
};

/* Why a set could not be built: the condition at fault is named in diag->text, `file` is its own or
 * NULL. */
struct sc_conditions_fault {
	const char *id;
	const char *file;
	struct sc_diag diag; /* line and column are those of the file when there is one */
};

struct sc_conditions_limits {
	uint32_t slots; /* capacity of the target table and of the plan */
	uint32_t pairs; /* (condition, target) pairs not in `clear`, together; 0 = 16,384 */
};

/*
 * Compiles every condition of reg into env->plan, which is not yet started, and allocates all
 * state. The set keeps its own copies of the specs, and the plan's address. env->line and column
 * are not looked at. Returns 0 and sets *out, or -EINVAL, -E2BIG, -ENOSPC, -ENOMEM with fault
 * filled (its texts belong to reg); running sets are never touched. The caller then starts the plan
 * and calls sc_conditions_adopt.
 */
int sc_conditions_new(struct sc_conditions **out, const struct sc_registry *reg,
		      const struct sc_predicate_env *env, const struct sc_conditions_limits *limits,
		      struct sc_conditions_fault *fault);
void sc_conditions_free(struct sc_conditions **set);
/*
 * Copies state, cool-downs and unknown runs of every condition that is judged as in old (same id,
 * equal but for description, registered_by and live). Where a condition became live meanwhile, what
 * a dry-run fire latched goes on to its cool-down, so that it can fire for real after that although
 * it never cleared.
 */
void sc_conditions_adopt(struct sc_conditions *set, const struct sc_conditions *old);

size_t sc_conditions_count(const struct sc_conditions *set);
const struct sc_condition *sc_conditions_get(const struct sc_conditions *set, size_t i);
int sc_conditions_find(const struct sc_conditions *set, const char *id); /* index or -ENOENT */
/* Bytes held for state; constant once built. */
size_t sc_conditions_bytes(const struct sc_conditions *set);

/* The slot that conditions without scope and target are judged on; SC_SLOT_NONE (the default) =
 * nowhere. */
void sc_conditions_set_root(struct sc_conditions *set, uint32_t slot);

/* A pair that is due: its predicate held long enough. It stays due until reported or no longer
 * true. */
struct sc_candidate {
	uint32_t condition;
	uint32_t slot;
	uint32_t rung;     /* 0 = first; the ladder's next rung otherwise */
	uint64_t since_ns; /* CLOCK_MONOTONIC: true since then */
};

struct sc_candidates {
	struct sc_candidate *item; /* the caller's, of max entries */
	uint32_t n;
	uint32_t max;
	uint64_t overflow; /* due pairs that found no room; they are due again next tick */
};

/* One look at the world: when, and at which slots. */
struct sc_pass {
	uint64_t now_ns; /* CLOCK_MONOTONIC */
	const uint32_t
		*slots; /* an early tick: those of them that are members; NULL = all members */
	uint32_t n;
};

/*
 * Evaluates condition i against the plan's last tick and steps the pairs of the pass. Appends what
 * is due to out; what found no room comes first the next time. Conditions that are not `evaluated`
 * are skipped. Called one by one, so that the caller can time each; give each its own room, or one
 * whose fires are all vetoed takes it all.
 */
void sc_conditions_judge(struct sc_conditions *set, size_t i, const struct sc_pass *pass,
			 struct sc_candidates *out);

/* What became of a candidate. */
/* A fire is recorded (automatic or by hand, live or dry-run): the cool-down starts, the pair is
 * `fired`. Returns 0, or -ENOSPC when no pair record is free (counted). */
int sc_conditions_fired(struct sc_conditions *set, size_t i, uint32_t slot, uint32_t rung,
			uint64_t now_ns);
/* Its outcome is known, good or bad: `latched`. A failed fire latches too: nothing is retried. */
void sc_conditions_settled(struct sc_conditions *set, size_t i, uint32_t slot, uint64_t now_ns);
/* An interlock vetoed it; it stays due. True when this reason (not 0) is another than the last one
 * of this pair since it rose: then the veto is worth a record. */
bool sc_conditions_vetoed(struct sc_conditions *set, size_t i, uint32_t slot, uint32_t reason);

/* The target of this slot is gone or another one: every pair of the slot is `clear`. */
void sc_conditions_slot_reset(struct sc_conditions *set, uint32_t slot);
/* Suspend or a clock jump: everything that was rising starts again; fires and cool-downs stay. */
void sc_conditions_restart_holds(struct sc_conditions *set);

struct sc_pair_view {
	enum sc_phase phase;
	uint32_t samples;
	uint32_t rung;
	uint32_t veto;          /* the last reason given, 0 = none */
	uint32_t unknown_ticks; /* consecutive, counted up to 255 */
	uint64_t since_ns;      /* true since (rising), else when the phase began; 0 in clear */
	uint64_t fired_ns;      /* 0 = never */
};
struct sc_pair_view sc_conditions_pair(const struct sc_conditions *set, size_t i, uint32_t slot);

struct sc_condition_stats {
	uint32_t targets;         /* judged in the last full tick */
	uint32_t targets_true;    /* of these */
	uint32_t targets_unknown; /* of these */
	uint32_t unknown_run;   /* the longest run of unknown ticks among them, counted up to 255 */
	bool unknown_raised;    /* that run reached SC_CONDITION_UNKNOWN_TICKS */
	bool alarm;             /* raised, and on_unknown is alarm */
	uint32_t pairs;         /* not in clear */
	uint64_t pairs_refused; /* no pair record was free: such a pair cannot fire until one is */
	uint64_t candidates_refused;
};
struct sc_condition_stats sc_conditions_stats(const struct sc_conditions *set, size_t i);
