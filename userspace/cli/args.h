/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of one verb, parsed. Options and operands stand in any order; `--` ends the
 * options. */
#pragma once

#include "base/diag.h"
#include "cli/verb.h"

#include <stdint.h>

#define SC_VERB_OPTIONS_MAX 12 /* of one verb, the common ones not counted */

struct sc_args {
	const struct sc_verb *verb;
	const char **operands; /* owned array; the texts are argv's */
	unsigned int operand_count;
	const char *values[SC_VERB_OPTIONS_MAX]; /* by index in verb->options; "" for a flag that
						    was given */
	const char *base_url;                    /* NULL = not given */
	const char *run_dir;                     /* never NULL */
	const char *state_dir;                   /* never NULL */
	bool json;
	bool help;
};

/*
 * Parses what follows the verb: `--name value`, `--name=value`, `--flag`, `-h`, operands. Returns
 * 0, -EINVAL with the complaint in diag (unknown option with the nearest one, missing or surplus
 * value, the same option twice with different values, missing required option, wrong number of
 * operands), or -ENOMEM. With --help nothing else is required. Release with sc_args_done, also
 * after a failure.
 */
int sc_args_parse(struct sc_args *args, const struct sc_verb *verb, int argc, char *const *argv,
		  struct sc_diag *diag);
void sc_args_done(struct sc_args *args);

/* The value of one of the verb's own options (asserted), or NULL when it was not given. */
const char *sc_args_get(const struct sc_args *args, const char *name);
bool sc_args_has(const struct sc_args *args, const char *name);

/* --operator, else the login that sudo was called from, else the user's name, else "unknown". */
const char *sc_args_operator(const struct sc_args *args);

#define _cleanup_args_ __attribute__((cleanup(sc_args_done)))
