/* SPDX-License-Identifier: Apache-2.0 */
/* A list of texts that it owns: globs, arguments of a command. Zeroed is empty. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct sc_texts {
	char **item;
	size_t n;
};

/* Appends a copy; 0 or -ENOMEM. */
int sc_texts_add(struct sc_texts *texts, const char *text);
/* Deep copy into dst, which is overwritten, not released. 0 or -ENOMEM, dst then untouched. */
int sc_texts_copy(struct sc_texts *dst, const struct sc_texts *src);
/* True when both hold the same texts in the same order. */
bool sc_texts_equal(const struct sc_texts *a, const struct sc_texts *b);
/* Frees all and leaves an empty list behind. */
void sc_texts_done(struct sc_texts *texts);
