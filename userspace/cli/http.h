/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Speaks to an agent over HTTP, as the original service's clients did: --base-url or
 * SCRAM_BASE_URL, and SCRAM_API_TOKEN. Plain http alone: TLS is the business of a proxy.
 */
#pragma once

#include "base/diag.h"
#include "engine/protocol.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct sc_http_client {
	const char *base_url; /* http://HOST[:PORT][/PATH] */
	const char *token;    /* NULL = none */
	uint64_t timeout_ns;  /* from the call to the last byte of the answer */
};

/* True when the operation can be asked over HTTP. */
bool sc_http_can(enum sc_op op);
/* True when it needs the token. */
bool sc_http_needs_token(enum sc_op op);

/*
 * Asks what `request`, a request of the control socket without "op" (borrowed), means, and makes of
 * the answer a reply as the socket would have given it: *reply is the caller's then. Returns 0, or
 * -EINVAL for an address that is none, -ENOENT for an operation that HTTP does not have, -EREMOTEIO
 * when the server refused (diag has its words), or another -errno, with diag filled and *reply
 * untouched.
 */
int sc_http_call(const struct sc_http_client *client, enum sc_op op, const json_t *request,
		 json_t **reply, struct sc_diag *diag);
