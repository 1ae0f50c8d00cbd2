/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference pages, printed from the program's own tables. docs/reference/ holds them as they
 * were printed; a test compares.
 */
#pragma once

#include "base/str.h"

#include <stddef.h>

struct sc_topic {
	const char *name; /* of `scram reference NAME` */
	const char *help;
	void (*print)(struct sc_str *out);
};

/* In the order of reading, *count of them. */
const struct sc_topic *sc_topics(size_t *count);

/* scram(8) as mdoc(7). */
void sc_reference_man(struct sc_str *out);
