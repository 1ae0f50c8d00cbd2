/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Things that happen, counted by what they are, for telling them without being flooded: the first
 * of a kind is due at once, what follows of it once a period, with how many there were. Bounded;
 * time is an argument.
 */
#pragma once

#include <stdint.h>

#define SC_TALLY_ROWS    128
#define SC_TALLY_KEY_MAX 640

struct sc_tally_row {
	char key[SC_TALLY_KEY_MAX];
	uint64_t count;   /* not told yet */
	uint64_t told_ns; /* 0 = never; a row is used again a period after it was last told */
};

struct sc_tally {
	uint64_t period_ns;
	struct sc_tally_row row[SC_TALLY_ROWS]; /* the last: all that found no row */
};

/* `others` is the key of what finds no row. Keys are shorter than SC_TALLY_KEY_MAX (asserted). */
void sc_tally_init(struct sc_tally *t, uint64_t period_ns, const char *others);
/* It happened n times; key NULL = one of the others. */
void sc_tally_add(struct sc_tally *t, const char *key, uint64_t n, uint64_t now_ns);
/*
 * The key of something that is due, with how often it came since it was last told; it counts as
 * told. NULL when nothing is due. Valid until the next call. For all that is not told yet, due or
 * not: now_ns UINT64_MAX.
 */
const char *sc_tally_take(struct sc_tally *t, uint64_t now_ns, uint64_t *count);
