/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strict reading of what a connection sends, before the HTTP library sees it. The library takes
 * two lengths, folded lines, bare line feeds and bodies of unknown size, and hides that they were
 * there; two readers that disagree about where a request ends are how requests are smuggled
 * (RFC 9112, 11.2). Here everything that is not one plain request after another is refused.
 *
 * Pure: no system call, no clock. One gate per connection; it is fed every byte in order.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SC_GATE_HEAD_MAX    8192  /* request line and headers, with the empty line */
#define SC_GATE_BODY_MAX    65536 /* bytes of a body */
#define SC_GATE_HEADERS_MAX 64

struct sc_gate {
	char head[SC_GATE_HEAD_MAX];
	size_t head_size;
	uint32_t body_left; /* bytes of the request's body still to come */
	uint64_t heads;     /* whole ones so far */
	bool has_begun;     /* some bytes of a request are here, and not all */
	/* The refusal; status 0 = none. Nothing passes after it. */
	unsigned int status; /* of HTTP */
	const char *why;     /* static */
};

void sc_gate_init(struct sc_gate *g);

/*
 * Takes the next n bytes. Returns how many of them may pass: all, or those before the request that
 * is refused, with g->status and g->why set.
 */
size_t sc_gate_feed(struct sc_gate *g, const char *data, size_t n);
