/* SPDX-License-Identifier: Apache-2.0 */
/* One who is told: a queue, and one notification of it under way. */
#pragma once

#include "worker/probe/notify_event.h"
#include "worker/probe/reactor.h"
#include "worker/probe/webhook.h"

struct json_t;
struct sc_exec;
struct sc_http;
struct sc_prober;

/* Beyond these the oldest that waits is dropped, and counted. */
#define SC_SINK_QUEUE_MAX 64
/* One attempt may take this long; and all of them, from when the record was read. */
#define SC_SINK_BUDGET_NS   (10 * SC_NS_PER_S)
#define SC_SINK_LIFETIME_NS (300 * SC_NS_PER_S)
#define SC_NOTIFY_NAME_MAX  64
#define SC_NOTIFY_WHY_MAX   256

enum sc_sink_kind { SC_SINK_WEBHOOK, SC_SINK_COMMAND, SC_SINK_JOURNAL, SC_SINK_KIND_COUNT };

struct sc_waiting {
	struct sc_notification *n;
	uint64_t since_ns; /* CLOCK_MONOTONIC: when it was read */
};

struct sc_sink {
	struct sc_prober *prober; /* borrowed, as the next is */
	const struct sc_notify_origin *origin;
	char name[SC_NOTIFY_NAME_MAX];
	enum sc_sink_kind kind;
	char *url;
	const char **argv; /* NULL-ended; borrows from def */
	bool has_secret;
	struct json_t *def;
	const char *journal; /* path of the socket; a test has its own */

	uint64_t taken; /* the last record that was put into the queue, or need not be */
	uint64_t done;  /* the last one that was told, or will not be */
	struct sc_waiting queue[SC_SINK_QUEUE_MAX]; /* a ring */
	unsigned int head, n_waiting;
	uint64_t dropped; /* since last told to the core */

	unsigned int attempts; /* at the first of the queue */
	uint64_t started_ns;   /* of this attempt */
	struct sc_alarm again;
	bool is_under_way;
	struct sc_exec *exec; /* also while it is buried */
	struct sc_http *post;
};

/* Of an entry of the list. NULL: it is not what it should be, or no memory. */
struct sc_sink *sc_sink_new(struct sc_prober *p, const struct sc_notify_origin *origin,
			    const struct json_t *def);
void sc_sink_free(struct sc_sink **sink);

/* Takes a reference of it, and begins where nothing is under way. What was put before is passed
 * over. */
void sc_sink_put(struct sc_sink *sink, struct sc_notification *n);
/* It is not told of this one, which counts as dropped. */
void sc_sink_hold_back(struct sc_sink *sink, const struct sc_notification *n);
/* Tells the core what was dropped since it was last told. */
void sc_sink_tell_drops(struct sc_sink *sink);
