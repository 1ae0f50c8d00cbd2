/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes JSON into a sc_str: commas and escapes are kept right, nesting is asserted. Reading JSON
 * is jansson's work, with JSON_REJECT_DUPLICATES.
 */
#pragma once

#include "base/str.h"

#include <stdint.h>

#define SC_JSON_DEPTH_MAX 16

struct sc_json {
	struct sc_str *out;
	unsigned int depth;
	bool has_member[SC_JSON_DEPTH_MAX];
	bool after_key;
};

void sc_json_init(struct sc_json *j, struct sc_str *out);
void sc_json_object_begin(struct sc_json *j);
void sc_json_object_end(struct sc_json *j);
void sc_json_array_begin(struct sc_json *j);
void sc_json_array_end(struct sc_json *j);
void sc_json_key(struct sc_json *j, const char *key);

/* Values. A NULL text and a double that is not finite are written as null. */
void sc_json_text(struct sc_json *j, const char *text);
void sc_json_u64(struct sc_json *j, uint64_t v);
void sc_json_i64(struct sc_json *j, int64_t v);
void sc_json_double(struct sc_json *j, double v);
void sc_json_bool(struct sc_json *j, bool v);
void sc_json_null(struct sc_json *j);
/* Already valid JSON, put in as it is. */
void sc_json_raw(struct sc_json *j, const char *json);

/* Members: key and value in one call. */
void sc_json_member_text(struct sc_json *j, const char *key, const char *text);
void sc_json_member_u64(struct sc_json *j, const char *key, uint64_t v);
void sc_json_member_i64(struct sc_json *j, const char *key, int64_t v);
void sc_json_member_double(struct sc_json *j, const char *key, double v);
void sc_json_member_bool(struct sc_json *j, const char *key, bool v);
