/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A string under construction: either over the caller's buffer (never allocates; what does not fit
 * is dropped and remembered in `truncated`) or on the heap (grows).
 */
#pragma once

#include "base/mem.h"

#include <stdbool.h>

struct sc_str {
	char *data; /* always NUL-terminated once initialised */
	size_t len;
	size_t cap; /* bytes in data, the NUL included */
	bool heap;
	bool truncated; /* something did not fit, or memory ran out */
};

/* Over the caller's buffer of size >= 1 bytes. */
void sc_str_init(struct sc_str *s, char *buf, size_t size);
/* On the heap, growing; release with sc_str_done. */
void sc_str_init_heap(struct sc_str *s);
void sc_str_done(struct sc_str *s);
void sc_str_reset(struct sc_str *s);

void sc_str_add(struct sc_str *s, const char *text);
void sc_str_addn(struct sc_str *s, const char *text, size_t n);
void sc_str_addf(struct sc_str *s, const char *fmt, ...) _printf_(2, 3);

/*
 * Adds hostile text so that a terminal, a log line or a diag shows it harmlessly: printable ASCII
 * as it is, backslash doubled, every other byte as \xNN.
 */
void sc_str_add_printable(struct sc_str *s, const char *text, size_t n);

/*
 * Adds text as the inside of a JSON string (without quotes): control characters, quotes, backslash,
 * DEL, bidirectional marks and every byte that is not part of valid UTF-8 (as \u00NN) are escaped.
 */
void sc_str_add_json(struct sc_str *s, const char *text, size_t n);

#define _cleanup_str_ _cleanup_(sc_str_done)

/* Copies src into dst[size], always terminated; false when it did not fit (then cut). */
bool sc_strcopy(char *dst, size_t size, const char *src);

/*
 * "Did you mean": remembers the name nearest to a wrong one among those offered. A name is near
 * when few edits (at most 4) make it of the wrong one, and fewer than half of either's letters.
 */
struct sc_nearest {
	char wrong[64];
	size_t len;
	unsigned int distance; /* of best */
	const char *best;      /* NULL = nothing is near; borrowed from the offer */
};

void sc_nearest_init(struct sc_nearest *n, const char *wrong, size_t len);
/* True when name is now the best. */
bool sc_nearest_offer(struct sc_nearest *n, const char *name);
