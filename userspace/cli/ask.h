/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs that ask the agent have in common: ask, complain, print the answer. */
#pragma once

#include "base/str.h"
#include "cli/args.h"
#include "engine/protocol.h"

#include <jansson.h>

#define SC_ASK_TIMEOUT_S      10
#define SC_ASK_WAIT_TIMEOUT_S 120 /* fire --wait */

/* Renders a reply for people; the text it adds ends in a newline. */
typedef void sc_render_fn(struct sc_str *out, const json_t *reply);

struct sc_question {
	enum sc_op op;
	unsigned int timeout_s; /* 0 = SC_ASK_TIMEOUT_S */
	const char *member;     /* what --json prints; NULL = the reply without exit and error */
	sc_render_fn *render;
	void (*adapt)(json_t *reply); /* changes the reply before it is printed; NULL = nothing */
};

/*
 * Sends the request (taken over; NULL means that an argument was no UTF-8) with its "op" added.
 * Returns the exit status; *reply is the caller's when an answer came, whatever its exit status,
 * and NULL otherwise. The complaint, if any, is on standard error already.
 */
int sc_ask(const struct sc_args *args, const struct sc_question *question, json_t *request,
	   json_t **reply);

/* sc_ask, and what came printed: rendered, or with --json as it is. */
int sc_ask_and_print(const struct sc_args *args, const struct sc_question *question,
		     json_t *request);

/* Prints the data of reply as --json does. Returns the exit status. */
int sc_print_json(const json_t *reply, const char *member);
/* Writes text to standard output; SC_EXIT_FAILED when it could not be written whole. */
int sc_print_text(const struct sc_str *text);
/* "scram VERB: ..." on standard error, hostile bytes escaped; further lines are indented. Returns
 * status. */
int sc_complain(const struct sc_args *args, int status, const char *fmt, ...) _printf_(3, 4);
