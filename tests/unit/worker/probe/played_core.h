/* SPDX-License-Identifier: Apache-2.0 */
/* The core at the other end of the link of a real worker, which runs in a child: in its sandbox, as
 * nobody where the test is root. */
#pragma once

#include "engine/protocol.h"

#include <jansson.h>
#include <stdint.h>
#include <sys/types.h>

#define SC_CORE_EVENT_MS 60000

struct sc_core {
	int fd;
	pid_t worker; /* 0 = reaped */
	struct sc_frame_reader reader;
	json_t *list;   /* the reply to probe.list */
	json_t *last;   /* name -> the last answer */
	json_t *counts; /* name -> how many */
	uint64_t generation, lists, secrets;
	const char *secret_file; /* of every probe; NULL: refused */
	const char *refusal;     /* the error then */
};

/* Starts the worker and takes its ready. cgroup: what hello says; NULL = none. */
void sc_core_start(struct sc_core *c, const char *cgroup);
/* Closes the link, and waits for the worker's end: its status as of wait(2). */
int sc_core_stop(struct sc_core *c);

/* Offers these probes (a JSON array without defaults for budget_ns and every_ns) as a generation of
 * its own, and says that something has changed. */
void sc_core_offer(struct sc_core *c, json_t *probes);
/* The item of a list: a shell script, or a URL. */
json_t *sc_core_script(const char *name, const char *script, uint64_t budget_ms, uint64_t every_ms);
json_t *sc_core_url(const char *name, const char *url, uint64_t budget_ms, uint64_t every_ms);

void sc_core_say(struct sc_core *c, const char *text);
/* Serves one request: 1, or 0 when none comes within ms. Fails the test when the link breaks. */
int sc_core_serve(struct sc_core *c, int ms);
/* Serves until the n-th answer of that probe has come; the last one, borrowed. */
const json_t *sc_core_wait(struct sc_core *c, const char *name, uint64_t n);
uint64_t sc_core_count(const struct sc_core *c, const char *name);
/* Short ways into an answer: "true", "false", or its class; and its why ("" for none). */
const char *sc_core_says(const json_t *answer);
const char *sc_core_why(const json_t *answer);
