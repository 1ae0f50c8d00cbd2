/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text for people out of the agent's replies: lenient getters (a field that is absent or of another
 * type is shown as
 * "-"), units, local times, aligned tables. Every text that comes from outside is escaped here.
 */
#pragma once

#include "base/str.h"
#include "base/units.h"

#include <jansson.h>
#include <stdint.h>

#define SC_TABLE_COLUMNS_MAX 12

/* The member as a text; fallback when it is absent, null or no text. */
const char *sc_get_text(const json_t *object, const char *key, const char *fallback);
int64_t sc_get_int(const json_t *object, const char *key, int64_t fallback);
bool sc_get_bool(const json_t *object, const char *key);

/* Escaped for a terminal; "-" for NULL and for an empty text. */
void sc_add_text(struct sc_str *out, const char *text);
/* RFC 3339 UTC as the agent writes it, shown in local time with its offset; anything else as it is,
 * escaped. */
void sc_add_time(struct sc_str *out, const char *rfc3339);
/* 850us, 12.3ms, 4.56s; "-" when the member is no number. */
void sc_add_us(struct sc_str *out, const json_t *us);
/* 45s, 12m, 3h20m, 2d4h. */
void sc_add_age(struct sc_str *out, double seconds);
/* Any scalar in short form, numbers with at most 6 digits that matter; "-" for null. */
void sc_add_value(struct sc_str *out, const json_t *value);
/* A number in its unit; "unknown" for anything else: nothing must look like a healthy 0. */
void sc_add_quantity(struct sc_str *out, const json_t *value, enum sc_unit unit);
/* Whatever it is, one "key: value" per line, indented by depth. */
void sc_add_tree(struct sc_str *out, const json_t *value, unsigned int depth);

/* Cells are added row by row; widths are found when it is printed. The last column is not padded.
 */
struct sc_table {
	const char *const *headers;
	unsigned int columns;
	unsigned int right; /* bit i: column i is aligned to the right */
	unsigned int at;    /* the column of the next cell */
	size_t rows;
	size_t width[SC_TABLE_COLUMNS_MAX];
	struct sc_str cells; /* each NUL-terminated */
};

/* headers is borrowed. */
void sc_table_init(struct sc_table *t, const char *const *headers, unsigned int columns,
		   unsigned int right);
void sc_table_done(struct sc_table *t);
/* Takes the text over as it is: escape hostile text before. */
void sc_table_add(struct sc_table *t, const struct sc_str *cell);
void sc_table_add_text(struct sc_table *t, const char *text);
/* Hostile text, as sc_add_text shows it. */
void sc_table_add_escaped(struct sc_table *t, const char *text);
void sc_table_add_int(struct sc_table *t, int64_t v);
/* Adds the table to out, every line after indent spaces; nothing when it has no rows. */
void sc_table_print(const struct sc_table *t, struct sc_str *out, unsigned int indent);

#define _cleanup_table_ _cleanup_(sc_table_done)
