/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The declared components as a whole: their breakers, what they are cut by, how they are, and what
 * happens to them. All of it belongs to the loop thread; the state lives as long as the component
 * is declared, over reloads, and that of its breaker over restarts.
 */
#pragma once

#include "engine/core.h"

struct sc_component_watch;

/* The watches of one configuration: one for each component. */
struct sc_component_watches {
	struct sc_component_watch *watch;
	uint32_t n;
};

/* --- a tick, and what happens in between --- */

/* Each full tick, after the snapshot and before the decisions. */
void sc_components_tick(struct sc_engine *e);
/* The target is gone, and its slot not yet given back: its last counts are taken. */
void sc_components_target_removed(struct sc_engine *e, uint32_t slot);
/* A cut began to stand or was released: who holds its component is found anew at the next tick. */
void sc_components_cut_changed(struct sc_engine *e, const struct sc_isolation *iso);

/* What an operator wants a breaker to be; borrowed texts, none NULL. */
struct sc_breaker_wish {
	const char *component;
	const char *state; /* forced-open, forced-closed, disabled, metrics-only; auto: by itself */
	const char *by;
	const char *principal; /* who the kernel says it was */
	const char *reason;
};

/*
 * 0, also when it is so already; -ENOENT: no such component, -EINVAL: no such state, -EOPNOTSUPP:
 * the component declares no breaker, -EPERM: an interlock vetoed the cut, -EIO: the cut failed;
 * both are fires on record. Only 0 changes something.
 */
int sc_components_set_state(struct sc_engine *e, const struct sc_breaker_wish *wish);

/* Adds the session and the array of components to status and state file. */
void sc_components_json(struct sc_engine *e, struct sc_json *j);

/* At the end, while there is still a journal: writes what was counted and not yet told. */
void sc_components_finish(struct sc_engine *e);
void sc_components_free(struct sc_engine *e);

/* --- reloads: a set of watches is built beside the one that runs --- */

/*
 * The conditions of the file and one for each breaker that it declares, for sc_registry_set_files:
 * *out is an array of *n that borrows the texts of config; sc_components_conditions_done frees what
 * is its own. 0 or -ENOMEM, -E2BIG for a name that is too long for an id, with text told.
 */
int sc_components_conditions(const struct sc_config *config, struct sc_condition_spec **out,
			     size_t *n, struct sc_str *text);
void sc_components_conditions_done(const struct sc_config *config, struct sc_condition_spec **specs,
				   size_t n);

/*
 * Makes the watches of a configuration, their predicates compiled into env->plan, which is not yet
 * started. 0, or -errno with text told and *out untouched. Takes the room that all share.
 */
int sc_components_build(struct sc_engine *e, const struct sc_config *config,
			const struct sc_predicate_env *env, struct sc_component_watches *out,
			struct sc_str *text);
void sc_component_watches_done(struct sc_component_watches *set);
/* The running set was swapped: these are the watches from now on; the state of components that are
 * still declared is kept, at the first time what the journal tells. *fresh is empty afterwards. */
void sc_components_swap(struct sc_engine *e, struct sc_component_watches *fresh);
