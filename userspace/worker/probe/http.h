/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One POST at a time per call, many at once: HTTP/1.1 over a connection of its own, no redirects,
 * no proxy but the environment's, certificates verified, bounded in time and size.
 */
#pragma once

#include "worker/probe/reactor.h"

#include <stdbool.h>

#define SC_HTTP_ANSWER_MAX  (64UL * 1024) /* bytes of a body */
#define SC_HTTP_HEAD_MAX    (64UL * 1024) /* bytes of all headers */
#define SC_HTTP_HEADERS_MAX 8
#define SC_HTTP_WHY_MAX     256

enum sc_http_end {
	SC_HTTP_ANSWERED,    /* status and body are there, whatever they are */
	SC_HTTP_NOT_REACHED, /* no name, no route, refused */
	SC_HTTP_NOT_TRUSTED, /* TLS */
	SC_HTTP_OVER_BUDGET,
	SC_HTTP_OVER_ANSWER, /* more than SC_HTTP_ANSWER_MAX or SC_HTTP_HEAD_MAX */
	SC_HTTP_BROKEN,      /* closed early, or no HTTP */
	SC_HTTP_END_COUNT
};

struct sc_http_result {
	enum sc_http_end end;
	long status;      /* of HTTP */
	const char *body; /* a NUL behind the last byte; good during the call */
	size_t size;
	char why[SC_HTTP_WHY_MAX]; /* what failed, for people; empty when answered */
	uint64_t took_ns;
};

struct sc_http_order {
	const char *url;
	const char *const
		*headers; /* NULL-ended lines "Name: value" of checked bytes; NULL = none */
	const char *body; /* Content-Type is among the headers */
	size_t size;
	uint64_t budget_ns; /* from now on */
	/* Exactly once, unless cancelled before. */
	void (*done)(void *owner, const struct sc_http_result *result);
	void *owner;
};

struct sc_http; /* a POST under way; it is gone when `done` returns */

/* True when value can stand in a header line: printable ASCII, and blanks inside. */
bool sc_http_is_header_value(const char *value, size_t size);

/*
 * Everything in the order is copied. 0 with *post; -EINVAL: no URL of http or https; -E2BIG: too
 * many headers; -ENOMEM. Never calls back before it returns.
 */
int sc_http_start(struct sc_reactor *r, const struct sc_http_order *order, struct sc_http **post);
/* Ends it; the owner is not called. */
void sc_http_cancel(struct sc_http *post);

/* For the reactor: hands out what has ended. */
void sc_http_collect(struct sc_reactor *r);
