/* SPDX-License-Identifier: Apache-2.0 */
/* What the control socket asks: one function per operation, in one table (ops.c). */
#pragma once

#include "engine/core.h"

#include "base/json.h"

#include <jansson.h>

/* One request being answered. The handler adds members to json and sets exit and error; the frame
 * around them is written by ops.c. */
struct sc_op_call {
	struct sc_engine *e;
	struct sc_principal who;
	struct sc_reply_to to;
	json_t *args;
	struct sc_str reply;
	struct sc_json json;
	int reply_fd; /* goes along; -1 = none */
	enum sc_exit exit;
	char error[640];                      /* empty = null */
	char principal[SC_FIRE_OPERATOR_MAX]; /* uid:0, token:NAME, worker:NAME */
	bool is_deferred; /* the answer comes when the fire has been applied, verified or released
			     */
};

/* Parses and answers one request. */
void sc_ops_serve(struct sc_engine *e, const struct sc_principal *who, struct sc_reply_to to,
		  const char *request, size_t size);

/* Sets exit and error; returns nothing so that a handler may end with it. */
void sc_op_fail(struct sc_op_call *call, enum sc_exit exit, const char *fmt, ...) _printf_(3, 4);
/* The text of that member; NULL when it is absent, or not a text (then the call has failed). */
const char *sc_op_text(struct sc_op_call *call, const char *key);
/* The same, and its absence fails the call: `what` says what it is for. */
const char *sc_op_need(struct sc_op_call *call, const char *key, const char *what);
/* The condition of the running set that member `key` names; -1 with a failed call. */
int sc_op_condition(struct sc_op_call *call, const char *key);
bool sc_op_flag(struct sc_op_call *call, const char *key);

/* True when the call says who asks and why, both short enough to be recorded; else it has failed.
 */
bool sc_op_is_signed(struct sc_op_call *call);

/* Handlers, by file. */
void sc_op_ping(struct sc_op_call *call);
void sc_op_status(struct sc_op_call *call);
void sc_op_list(struct sc_op_call *call);
void sc_op_fires(struct sc_op_call *call);
void sc_op_show(struct sc_op_call *call);
void sc_op_signals(struct sc_op_call *call);
void sc_op_why(struct sc_op_call *call);
void sc_op_doctor(struct sc_op_call *call);
void sc_op_breaker(struct sc_op_call *call);
void sc_op_fire(struct sc_op_call *call);
void sc_op_isolate(struct sc_op_call *call);
void sc_op_release(struct sc_op_call *call);
void sc_op_arm(struct sc_op_call *call);
void sc_op_disarm(struct sc_op_call *call);
void sc_op_listener(struct sc_op_call *call);
void sc_op_ready(struct sc_op_call *call);
void sc_op_refused(struct sc_op_call *call);
void sc_op_segment(struct sc_op_call *call);
void sc_op_notify_done(struct sc_op_call *call);
void sc_op_notify_test(struct sc_op_call *call);
void sc_op_probe_answer(struct sc_op_call *call);
void sc_op_probe_list(struct sc_op_call *call);
void sc_op_secret(struct sc_op_call *call);
void sc_op_ship_quarantine(struct sc_op_call *call);
void sc_op_ship_state(struct sc_op_call *call);
void sc_op_promote(struct sc_op_call *call);
void sc_op_demote(struct sc_op_call *call);
void sc_op_register(struct sc_op_call *call);
void sc_op_unregister(struct sc_op_call *call);
void sc_op_reload(struct sc_op_call *call);

/* One finding of doctor about the host or the agent; fix is told unless it is green. */
enum sc_doctor_level { SC_DOCTOR_GREEN, SC_DOCTOR_YELLOW, SC_DOCTOR_RED };
void sc_doctor_add(struct sc_op_call *call, const char *name, enum sc_doctor_level level,
		   const char *text, const char *fix);
/* workers_tell.c */
void sc_doctor_workers(struct sc_op_call *call);
/* probes.c: yellow for each that a live condition asks and that was unknown for over a minute */
void sc_doctor_probes(struct sc_op_call *call);
/* store.c */
void sc_doctor_store(struct sc_op_call *call);

/* Why a condition is or is not armed: armed, dry-run, manual-only, not armed, cannot fire. */
const char *sc_op_armed(const struct sc_engine *e, size_t condition);

/*
 * Fires that condition as the call asks: signed, with `force` and `wait`; on the cgroup at the
 * path, NULL where the condition itself says what it acts on. The interlocks are asked as always.
 */
void sc_op_fire_condition(struct sc_op_call *call, uint32_t condition, const char *path);
/*
 * Registers a copy of the spec at run time and records it; nothing is done when an equal one is
 * there. False when it was refused, with the call failed.
 */
bool sc_op_add_condition(struct sc_op_call *call, const struct sc_condition_spec *spec);
/*
 * Releases one of the cuts that stand on the group, which is named as the cut is: `tenant acme`,
 * `component checkout`, `cgroup /a/b`. The caller asks again until nothing stands there.
 */
void sc_op_release_group(struct sc_op_call *call, const char *group);
/* Begins the undo of every cut that a fire's id (or its beginning), a path, or the name of a tenant
 * or component means; the first of them answers the waiter. Returns how many there are. */
unsigned int sc_op_release_cuts(struct sc_op_call *call, const char *what, const char *by,
				struct sc_reply_to waiter);
/* True for the name of a tenant or component that is declared, or cut. */
bool sc_op_is_group(struct sc_engine *e, const char *name);

/* Steps of a fire that somebody may be waiting for. */
void sc_ops_fire_applied(struct sc_engine *e, struct sc_active *a);
void sc_ops_fire_settled(struct sc_engine *e, struct sc_active *a);
void sc_ops_fire_released(struct sc_engine *e, struct sc_active *a, const char *error);
