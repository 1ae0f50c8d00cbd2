/* SPDX-License-Identifier: Apache-2.0 */
/* What the kinds of action share: opening a target, ending a run, describing who is left. */
#pragma once

#include "base/mem.h"

#include <scram/action.h>

/* Each kind ends its file with one of these; table.c lists them. */
extern const struct sc_action_ops sc_action_process_exit;
extern const struct sc_action_ops sc_action_freeze;
extern const struct sc_action_ops sc_action_circuit_break;
extern const struct sc_action_ops sc_action_quarantine;
extern const struct sc_action_ops sc_action_refuse_new;
extern const struct sc_action_ops sc_action_readonly;
extern const struct sc_action_ops sc_action_rollback;

/* The answers by which the kernel says that a cgroup exists no more. */
bool sc_run_is_gone(int err);

/*
 * Opens the run's target by id, its cgroup.events and the file to act through; sets acted_id and
 * found_populated. With climbs, a threaded target is replaced by its domain inside the scope. 0, or
 * -errno with the outcome set and nothing held.
 */
int sc_run_open(struct sc_action_run *run, const struct sc_effector *eff, const char *act_file,
		bool climbs);

/* Ends the run: outcome, text, time. Returns err, so that a refusal is one statement. */
int sc_run_end(struct sc_action_run *run, const struct sc_effector *eff,
	       enum sc_action_outcome outcome, int err, const char *fmt, ...) _printf_(5, 6);

/* One write of the hand: published around, counted, EINTR tried again a few times. 0 or -errno. */
int sc_run_write(struct sc_action_run *run, const struct sc_effector *eff, int fd, bool value);

/* Fills left, left_described and left_members; with wants (else NULL) only from members it is true
 * for, among the first SC_ACTION_BATCH_MAX. */
void sc_run_describe_left(struct sc_action_run *run, const struct sc_effector *eff,
			  bool (*wants)(const struct sc_member *member));
/* Appends "3 left: 17 (cat) D in pipe_write, ..." to the text. */
void sc_run_add_left(struct sc_action_run *run);

/* When the run is given up, from its first write. */
uint64_t sc_run_deadline(const struct sc_action_run *run);
/* When to look next: soon after the write, then ever more rarely. The kernel's wake comes first. */
uint64_t sc_run_next_look(const struct sc_action_run *run, uint64_t now_ns);

/* The reconcile of every kind that acts on one cgroup. */
int sc_run_reconcile(uint64_t cgroup_id, const struct sc_effector *eff, uint64_t intent_boot_ns,
		     struct sc_action_facts *facts);
