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

/* Edit distance for "did you mean", at most 32 bytes of each side are looked at. */
unsigned int sc_str_distance(const char *a, const char *b);
