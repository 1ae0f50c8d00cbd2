/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conditions that files define, into the journal after each load: what runs is then told by the
 * records alone, and the store has a row for each condition whose fires it has. A list comes in
 * parts (condition.listed), one per tick, so that a long one takes neither the tick's time nor the
 * journal's room. Loop thread.
 */
#pragma once

struct sc_engine;

/* 0 or -ENOMEM. */
int sc_listing_open(struct sc_engine *e);
void sc_listing_close(struct sc_engine *e);
/* The files were loaded: a list is due, from its begin. */
void sc_listing_begin(struct sc_engine *e);
/* Writes the next part, where one is due and the journal has room; for each tick. */
void sc_listing_step(struct sc_engine *e);
