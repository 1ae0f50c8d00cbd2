/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that somebody had no right to make, on the control socket, over HTTP, or on a link: they
 * become records of kind request.refused, {channel, who, what, status, why, count}. The first of
 * its kind is recorded at once, what follows once a minute with its number; at most
 * SC_TALLY_ROWS - 1 kinds are told apart, so that asking fills no journal. Loop thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct sc_engine;

/* Texts of any length and bytes; what is too long to be told apart is counted with the others. */
struct sc_refusal {
	const char *channel; /* control.sock, http, api.sock, link */
	const char *who;     /* uid:1000, an address, worker:NAME */
	const char *what;    /* the operation, or the route */
	const char *why;
	unsigned int status; /* of HTTP; 0 elsewhere */
	uint64_t count;
};

/* Before anything is refused. */
void sc_refusals_init(struct sc_engine *e);
void sc_refusals_note(struct sc_engine *e, const struct sc_refusal *refusal);
/* Records what is due, and at the end all that is left; about once a second. */
void sc_refusals_keep(struct sc_engine *e, bool is_end);
