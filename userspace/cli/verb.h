/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a verb of the command line is, and its parsed arguments. The one table of verbs is in
 * verbs.c; usage texts, completion, the man page and the reference are printed from it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct sc_args;

struct sc_option {
	const char *name;  /* without the dashes */
	const char *value; /* what stands for the value in usage texts; NULL = a flag */
	const char *help;
	bool required;
};

enum sc_verb_kind {
	SC_VERB_LOCAL,  /* asks nobody, changes nothing of the agent's */
	SC_VERB_READS,  /* takes --json */
	SC_VERB_WRITES, /* changes something */
};

struct sc_verb {
	const char *name;
	const char *operands; /* as in the usage line; "" = none */
	const char *help;     /* one line */
	const char
		*details; /* a paragraph for --help and the man page; NULL = the line says it all */
	const struct sc_option *options; /* its own, ended by an empty one; NULL = none */
	unsigned int operands_min;
	unsigned int operands_max;
	enum sc_verb_kind kind;
	int (*run)(const struct sc_args *args); /* returns the exit status */
};

/* Alphabetical, *count of them. */
const struct sc_verb *sc_verbs(size_t *count);
/* NULL when there is no such verb. */
const struct sc_verb *sc_verb_find(const char *name);
/* The verb most like name, or NULL when none is near. */
const struct sc_verb *sc_verb_nearest(const char *name);

/* Every verb takes these too: --base-url (only list, fires, fire, show and release can use it),
 * --help, --json (only what reads), --run-dir, --state-dir; ended by an empty one. */
extern const struct sc_option sc_common_options[];
/* False for --json of a verb that does not read. */
bool sc_verb_takes(const struct sc_verb *verb, const struct sc_option *common);

int sc_verb_arm(const struct sc_args *args);
int sc_verb_break(const struct sc_args *args);
int sc_verb_breaker(const struct sc_args *args);
int sc_verb_check(const struct sc_args *args);
int sc_verb_completion(const struct sc_args *args);
int sc_verb_demote(const struct sc_args *args);
int sc_verb_disarm(const struct sc_args *args);
int sc_verb_doctor(const struct sc_args *args);
int sc_verb_fire(const struct sc_args *args);
int sc_verb_fires(const struct sc_args *args);
int sc_verb_help(const struct sc_args *args);
int sc_verb_list(const struct sc_args *args);
int sc_verb_migrate(const struct sc_args *args);
int sc_verb_notify(const struct sc_args *args);
int sc_verb_ping(const struct sc_args *args);
int sc_verb_promote(const struct sc_args *args);
int sc_verb_quarantine(const struct sc_args *args);
int sc_verb_reference(const struct sc_args *args);
int sc_verb_register(const struct sc_args *args);
int sc_verb_release(const struct sc_args *args);
int sc_verb_reload(const struct sc_args *args);
int sc_verb_run(const struct sc_args *args);
int sc_verb_show(const struct sc_args *args);
int sc_verb_signals(const struct sc_args *args);
int sc_verb_status(const struct sc_args *args);
int sc_verb_test_notify(const struct sc_args *args);
int sc_verb_unbreak(const struct sc_args *args);
int sc_verb_unquarantine(const struct sc_args *args);
int sc_verb_unregister(const struct sc_args *args);
int sc_verb_verify(const struct sc_args *args);
int sc_verb_version(const struct sc_args *args);
int sc_verb_why(const struct sc_args *args);
