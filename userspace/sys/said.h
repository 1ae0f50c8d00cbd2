/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libbpf and the verifier say while something is loaded, turned into one line for people.
 * libbpf tells it to a callback of the whole process without a context; here each thread has its
 * own listener.
 */
#pragma once

#include "base/str.h"

/* From now on what libbpf says in this thread is added to said; NULL = nobody listens. */
void sc_said_listen(struct sc_str *said);

/*
 * Writes into reason[size] the step, the error and, where said (NULL allowed) holds something,
 * libbpf's first line and what the verifier objected to: its last line but the statistics. Returns
 * err.
 */
int sc_said_explain(char *reason, size_t size, const char *step, int err,
		    const struct sc_str *said);
