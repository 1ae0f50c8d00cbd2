/* SPDX-License-Identifier: Apache-2.0 */
/* Short ways for the tests of the worker processes, beside those of engine_kit.h. */
#pragma once

#include "live/engine_kit.h"

/* Free on this host when asked; one buffer. */
const char *sc_kit_free_port(void);

/* Starts the agent with HTTP, a probe and a store to ship to: all three workers. */
void sc_kit_start_workers(void);
/* Starts a copy of the agent whose ship worker is tests/programs/rogue-worker in this mode; NULL:
 * there is none. */
void sc_kit_start_rogue(const char *mode);

/* The worker as `status --json` has it: the caller's, never NULL. */
json_t *sc_kit_worker(const char *name);
/* Its number (0 for none) and its pid. */
uint64_t sc_kit_worker_number(const char *name, const char *key);
pid_t sc_kit_worker_pid(const char *name);
/* Waits until it is up, or, with a key, until that number of it is at least n. */
void sc_kit_worker_wait_up(const char *name);
void sc_kit_worker_wait(const char *name, const char *key, uint64_t n);

/* The agent's ticks go on for a second as if nothing were: in number and in time. */
void sc_kit_expect_ticks(const char *meanwhile);
