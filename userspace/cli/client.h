/* SPDX-License-Identifier: Apache-2.0 */
/* Speaks to the agent's control socket: one request, one reply, one deadline for both. */
#pragma once

#include "base/diag.h"

#include <jansson.h>
#include <stdint.h>

struct sc_client {
	const char *run_dir;
	uint64_t timeout_ns; /* from the call to the last byte of the reply */
};

/*
 * Connects, sends request (borrowed) and receives the reply: an object with an integer "exit" of
 * 0..255 and an "error" that is a text, null or absent. *reply is the caller's then. Returns 0, or
 * with diag filled and *reply untouched: -ENOENT, -ECONNREFUSED   no agent listens there -EACCES it
 * does not speak to this user -E2BIG                   the request is too long; nothing was sent
 *   -ETIMEDOUT, -ECONNRESET  no whole answer came; whether the request was carried out is not known
 *   -EPROTO                  what came is not a reply; likewise
 * or another -errno of connect(2) and the like.
 */
int sc_client_call(const struct sc_client *client, json_t *request, json_t **reply,
		   struct sc_diag *diag);
