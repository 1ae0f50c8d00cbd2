/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups of cgroups, the cuts that stand on them, and the audit that keeps them true. Part of
 * core.h, which includes it; everything belongs to the loop thread.
 */
#pragma once

#include "engine/control.h"

#include <scram/condition.h>
#include <scram/config.h>
#include <scram/fire.h>
#include <scram/traffic.h>

struct sc_active;
struct sc_engine;
struct sc_plan;

/* Cuts standing at one time; each holds a whole group. One more is refused, recorded. */
#define SC_ISOLATIONS_MAX 256

/* A tenant or a component of the configuration: lives as long as anything refers to it. */
enum sc_group_kind { SC_GROUP_TENANT, SC_GROUP_COMPONENT, SC_GROUP_KIND_COUNT };

struct sc_group {
	enum sc_group_kind kind;
	uint32_t refs;
	char name[SC_CONDITION_NAME_MAX + 1];
	uint32_t n_globs;
	char **globs;
	uint32_t *scopes; /* of the plan it was made for */
	bool is_stale;    /* a reload replaced it: it is matched by its globs */
};

/*
 * A cut that stands, or is about to. What it shall be is `cut`; it is not changed while a run with
 * it is with the hand (`is_busy`), but marked dirty and set anew after.
 */
struct sc_isolation {
	bool is_used;
	bool is_busy;
	bool is_dirty;        /* the cut is to be computed and set again */
	bool stands;          /* its fire has an outcome that stands */
	bool is_release_due;  /* its undo failed: it is tried again */
	bool ends_when_clear; /* a rung that is not the last: undone when its condition clears */
	bool is_failing;      /* its last change did not hold: told once */
	struct sc_cut cut;
	struct sc_cut_member *members; /* its room: SC_CUT_MEMBERS_MAX */
	enum sc_cut_mode mode;         /* wanted while it stands */
	uint32_t tries, attempt;       /* likewise */
	struct sc_group *group;        /* NULL: the cgroup at lone_path alone */
	struct sc_group *old_group;    /* a reload replaced it while the hand read its globs */
	char lone_path[SC_FIRE_PATH_MAX];
	const char *lone_globs[1];
	uint64_t lone_id;
	enum sc_action_kind action;
	uint32_t rung, slot;
	char condition_id[SC_FIRE_CONDITION_MAX];
	char by[SC_FIRE_OPERATOR_MAX];
	char released_by[SC_FIRE_OPERATOR_MAX];
	int64_t since_ns;       /* CLOCK_REALTIME */
	uint64_t until_boot_ns; /* 0 = until released */
	uint64_t next_ns;       /* CLOCK_MONOTONIC: not tried again before */
	uint64_t late_born_ns;  /* CLOCK_MONOTONIC birth of a member that the gate did not take in
				   by itself; 0 = none */
	uint32_t namespaces;
	struct sc_reply_to waiter;   /* of a release that waits for its turn */
	struct sc_cut_counts counts; /* of the last audit */
};

/* --- groups.c --- */
/* Makes the groups of a configuration, their scopes interned in the plan, which is not yet started.
 * 0 or -errno with *out untouched. */
int sc_groups_new(struct sc_group ***out, uint32_t *n, const struct sc_config *config,
		  struct sc_plan *plan);
void sc_groups_free(struct sc_group ***groups, uint32_t n);
struct sc_group *sc_group_ref(struct sc_group *group); /* NULL is fine in both */
void sc_group_unref(struct sc_group **group);
/* "tenant", "component". */
const char *sc_group_kind_name(enum sc_group_kind kind);
/* NULL: not declared. */
struct sc_group *sc_group_find(struct sc_engine *e, enum sc_group_kind kind, const char *name);
/* The group that the target, or the nearest cgroup above it, is declared in; NULL = none. */
struct sc_group *sc_group_of_slot(struct sc_engine *e, enum sc_group_kind kind, uint32_t slot);
/* Why a fire of the kind has nothing to act on: it names a group that is not declared. It must not
 * fall back on the cgroup where it was judged, which may be the whole tree. NULL = it has. */
const char *sc_group_lacking(struct sc_engine *e, const struct sc_action_spec *action,
			     enum sc_action_kind kind);
bool sc_group_has(struct sc_engine *e, const struct sc_group *group, uint32_t slot);
/*
 * The topmost targets of the group, at most max of them; returns how many there are. A target below
 * another one of the group is left out.
 */
uint32_t sc_group_members(struct sc_engine *e, const struct sc_group *group, uint32_t *slots,
			  uint32_t max);

/* --- tenants.c --- */
/* Tells the counting side whose cgroup a new target is, and those below it. */
void sc_engine_tenant_of_new(struct sc_engine *e, uint32_t slot);
/* After the declarations changed. */
void sc_engine_mark_tenants(struct sc_engine *e);

/* --- isolation.c --- */
/* The group that a fire of the kind means on this slot, NULL where it means the target itself. */
struct sc_group *sc_isolation_group(struct sc_engine *e, const struct sc_action_spec *action,
				    enum sc_action_kind kind, uint32_t slot);
enum sc_cut_mode sc_isolation_mode(const struct sc_action_spec *action, enum sc_action_kind kind);
/* Why a cut of this must not be made: a member is protected, nothing can be cut. NULL = it may. */
const char *sc_isolation_protected_by(struct sc_engine *e, const struct sc_group *group,
				      uint32_t slot, char *buf, size_t size);
/* A free place; for a fire that the gate holds already, the one with its number. NULL = none. */
struct sc_isolation *sc_isolation_place(struct sc_engine *e, const char *fire_id);
/* What the fire tells: group (NULL: the target alone), names, times. */
void sc_isolation_fill_place(struct sc_isolation *iso, const struct sc_fire *fire,
			     struct sc_group *group);
/* A place with the cut filled, for a fire about to begin; NULL with why. */
void sc_isolation_fill_cut(struct sc_engine *e, struct sc_isolation *iso); /* not while busy */
struct sc_isolation *sc_isolation_begin(struct sc_engine *e, const struct sc_condition *c,
					const struct sc_fire *fire, uint32_t slot,
					char why[static SC_ACTION_TEXT_MAX]);
/* The fire has its outcome, or its run is back: the place stands, is set again, or is given up. */
void sc_isolation_settle(struct sc_engine *e, struct sc_active *a);
/* A fire refused before it acted. */
void sc_isolation_abandon(struct sc_engine *e, struct sc_isolation *iso);
/* Takes up a cut that stood before a restart; NULL: no place. It is set again at once. */
struct sc_isolation *sc_isolation_adopt(struct sc_engine *e, const struct sc_fire *fire);
/* Begins the undo, or has it follow the change that is under way (-EBUSY); the waiter is answered
 * when it is done. */
int sc_isolation_release(struct sc_engine *e, struct sc_isolation *iso, const char *by,
			 struct sc_reply_to waiter);
/* Another mode for a cut that stands: for breakers. tries for SC_CUT_TRY. */
void sc_isolation_set_mode(struct sc_engine *e, struct sc_isolation *iso, enum sc_cut_mode mode,
			   uint32_t tries);
struct sc_isolation *sc_isolation_find(struct sc_engine *e, const char *fire_id);
/* Each full tick: ends what is over, sets again what is dirty. */
void sc_isolations_look(struct sc_engine *e);
/* A target was learned: it may belong to a cut. */
void sc_isolations_target_added(struct sc_engine *e, uint32_t slot);

/* --- isolation_keep.c --- */
/* At start: takes the room, and looks what a predecessor's gate holds. 0 or -ENOMEM. */
int sc_isolations_open(struct sc_engine *e);
void sc_isolations_close(struct sc_engine *e);
/* Brings up what cuts are made with, where that was not done yet; e->traffic_why says why not. */
void sc_isolations_arm(struct sc_engine *e);
/* At the end: takes it away again when no cut stands. */
void sc_isolations_disarm(struct sc_engine *e);
/* After reconcile: gives back what the gate holds and no record knows. */
void sc_isolations_clear_unknown(struct sc_engine *e);
/* After a reload: cuts follow the new declaration of their group. */
void sc_isolations_reloaded(struct sc_engine *e);
/* The cut of the rung before on this cgroup, or NULL. */
struct sc_isolation *sc_isolation_rung_before(struct sc_engine *e, const struct sc_fire *fire);
/* Adds `isolations` to status and state file. */
void sc_isolations_json(struct sc_engine *e, struct sc_json *j);

/* --- audit.c --- */
int sc_audit_init(struct sc_engine *e);
void sc_audit_done(struct sc_engine *e);
/* Each full tick: has the collector compare the world with the cuts about once a second. */
void sc_audit_look(struct sc_engine *e);
/* The collector is done: what is missing is set again. */
void sc_audit_take(struct sc_engine *e);
