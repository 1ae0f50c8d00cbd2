/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers with a unit, as people write them in predicates and configuration: 60s 5m 64MiB 40%. */
#pragma once

#include "base/str.h"

#include <stdint.h>

enum sc_unit {
	SC_UNIT_NONE,  /* a bare number or a count */
	SC_UNIT_NS,    /* durations; literals ns us ms s m h d */
	SC_UNIT_BYTES, /* literals B KiB MiB GiB TiB, kB MB GB TB */
	SC_UNIT_RATIO, /* literal %, held as 0..1 */
	SC_UNIT_COUNT,
};

/* none, ns, bytes, ratio, count. */
const char *sc_unit_name(enum sc_unit unit);
/* The unit of that name; SC_UNIT_NONE for NULL and any other. */
enum sc_unit sc_unit_find(const char *name);

/*
 * Parses the number with its unit at the start of text (at most n bytes): digits, an optional
 * fraction, an optional unit suffix. Returns the bytes taken and sets *value in the base unit (ns,
 * bytes, ratio, plain), or -EINVAL (no number here), -ENOENT (suffix unknown), -ERANGE (not finite,
 * or over 2^53 - 1, the end of exact integers).
 */
int sc_parse_quantity(const char *text, size_t n, double *value, enum sc_unit *unit);

/* The whole text is one duration with a unit ("0" needs none); -EINVAL otherwise; -ERANGE over 100
 * d. */
int sc_parse_duration(const char *text, uint64_t *ns);

/* Writes v as the shortest text of that unit: 1m30s, 64MiB, 40%, 12. */
void sc_format_quantity(struct sc_str *out, double v, enum sc_unit unit);
