/* SPDX-License-Identifier: Apache-2.0 */
/* Short ways for the tests of those who are told, beside those of worker_kit.h: one receiver of
 * webhooks, tests/harness/webhooks.py, and what it got. */
#pragma once

#include "live/worker_kit.h"

#include "base/str.h"

/* A condition that a person fires, on any cgroup below the root, and one that only rehearses. */
#define SC_KIT_BY_HAND                                                       \
	"conditions:\n"                                                      \
	"  - {id: by-hand, scope: '@ROOT@/*', live: true, registered_by: t," \
	" action: {kind: process-exit}}\n"                                   \
	"  - {id: rehearsal, scope: '@ROOT@/*', registered_by: t, action: {kind: process-exit}}\n"

/* Starts the receiver, whose secret is `text`. */
void sc_kit_receiver(const char *text);
void sc_kit_secret(const char *text);
const char *sc_kit_secret_file(void);
/* One webhook of a flow list, to the receiver's path, signed or not. */
void sc_kit_add_webhook(struct sc_str *yaml, const char *path, bool is_signed);

/* How many requests of this path and event the receiver got (NULL = any); the same of one fire. */
unsigned int sc_kit_received(const char *path, const char *event, const char *fire);
/* Waits for at least n of them. */
void sc_kit_wait_received(const char *path, const char *event, unsigned int n);
/* The last of them: the caller's, never NULL. */
json_t *sc_kit_last_received(const char *path, const char *event);

/* The i-th sink of status --json: the caller's, never NULL. */
json_t *sc_kit_sink(size_t i);
uint64_t sc_kit_sink_number(size_t i, const char *key);
void sc_kit_wait_sink(size_t i, const char *key, uint64_t n);
