/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the core knows of the store: what its ship worker last said, the signals made of it, and the
 * quarantine, <state-dir>/quarantine/<seq>/{record.json, reason.txt}, of the records that the store
 * will never take. Loop thread; the disk is waited for on the sync thread.
 */
#pragma once

struct sc_engine;
struct sc_json;
struct sc_store;

/* DATABASE_URL names the store; without it all of this is off. After the workers. 0 or -errno. */
int sc_store_open(struct sc_engine *e);
/* After the sync thread has ended. */
void sc_store_close(struct sc_engine *e);

/* The ship worker is gone: so is the connection. */
void sc_store_gone(struct sc_engine *e);

/* Sets the signals store.down_s and store.lag_records; both are unknown without a store, and the
 * first before the worker's first word. */
void sc_store_fill(struct sc_engine *e);
/* Adds `store` to status. */
void sc_store_json(struct sc_engine *e, struct sc_json *j);
