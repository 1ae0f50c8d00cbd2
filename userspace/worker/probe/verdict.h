/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a run says of its probe: true, false, or unknown and why. No guessing: what is not exactly a
 * boolean is unknown.
 *
 *   a program, silent:     exit status 0 is true, 1 is false
 *   a program that speaks: exit status 0, and its whole output is a boolean
 *   HTTP:                  status 200, and the whole body is a boolean
 *
 * A boolean is the JSON text true or false, or an object without duplicate keys whose member
 * `value` is one; other members are for people. Blanks and newlines around it do not count.
 */
#pragma once

#include "worker/probe/exec.h"
#include "worker/probe/http.h"

#define SC_VERDICT_WHY_MAX 256

/* Named as the core counts them: engine/probes.h. */
enum sc_verdict_fault {
	SC_VERDICT_NO_FAULT,
	SC_VERDICT_BUDGET,
	SC_VERDICT_START,
	SC_VERDICT_EXIT,
	SC_VERDICT_OUTPUT,
	SC_VERDICT_ANSWER,
	SC_VERDICT_CONNECT,
	SC_VERDICT_HTTP,
	SC_VERDICT_OTHER,
	SC_VERDICT_FAULT_COUNT
};
/* NULL for no fault. */
const char *sc_verdict_fault_name(enum sc_verdict_fault fault);

struct sc_verdict {
	enum sc_verdict_fault fault; /* else than no fault: unknown */
	bool value;
	char why[SC_VERDICT_WHY_MAX]; /* of the fault; printable, without secrets */
};

/* Unknown, and why: detail (NULL = none) is text of others, put behind `what` and a colon. */
void sc_verdict_fail(struct sc_verdict *v, enum sc_verdict_fault fault, const char *what,
		     const char *detail);
void sc_verdict_of_exec(const struct sc_exec_result *result, uint64_t budget_ns,
			struct sc_verdict *v);
void sc_verdict_of_http(const struct sc_http_result *result, uint64_t budget_ns,
			struct sc_verdict *v);
