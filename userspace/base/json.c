/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

void sc_json_init(struct sc_json *j, struct sc_str *out)
{
	*j = (struct sc_json){.out = out};
}

static void before_value(struct sc_json *j)
{
	if (j->after_key) {
		j->after_key = false;
		return;
	}
	if (j->has_member[j->depth])
		sc_str_addn(j->out, ",", 1);
	j->has_member[j->depth] = true;
}

static void begin(struct sc_json *j, const char *bracket)
{
	before_value(j);
	sc_str_addn(j->out, bracket, 1);
	SC_ASSERT(j->depth + 1 < SC_JSON_DEPTH_MAX);
	j->depth++;
	j->has_member[j->depth] = false;
}

static void end(struct sc_json *j, const char *bracket)
{
	SC_ASSERT(j->depth > 0 && !j->after_key);
	j->depth--;
	sc_str_addn(j->out, bracket, 1);
}

void sc_json_object_begin(struct sc_json *j)
{
	begin(j, "{");
}

void sc_json_object_end(struct sc_json *j)
{
	end(j, "}");
}

void sc_json_array_begin(struct sc_json *j)
{
	begin(j, "[");
}

void sc_json_array_end(struct sc_json *j)
{
	end(j, "]");
}

void sc_json_key(struct sc_json *j, const char *key)
{
	sc_json_text(j, key);
	sc_str_addn(j->out, ":", 1);
	j->after_key = true;
}

void sc_json_text(struct sc_json *j, const char *text)
{
	if (!text) {
		sc_json_null(j);
		return;
	}
	before_value(j);
	sc_str_addn(j->out, "\"", 1);
	sc_str_add_json(j->out, text, strlen(text));
	sc_str_addn(j->out, "\"", 1);
}

void sc_json_raw(struct sc_json *j, const char *json)
{
	before_value(j);
	sc_str_add(j->out, json);
}

void sc_json_u64(struct sc_json *j, uint64_t v)
{
	before_value(j);
	sc_str_addf(j->out, "%" PRIu64, v);
}

void sc_json_i64(struct sc_json *j, int64_t v)
{
	before_value(j);
	sc_str_addf(j->out, "%" PRId64, v);
}

void sc_json_double(struct sc_json *j, double v)
{
	if (!isfinite(v)) {
		sc_json_null(j);
		return;
	}
	before_value(j);
	if (v == floor(v) && fabs(v) < 1e15)
		sc_str_addf(j->out, "%.0f", v);
	else
		sc_str_addf(j->out, "%.9g", v);
}

void sc_json_bool(struct sc_json *j, bool v)
{
	sc_json_raw(j, v ? "true" : "false");
}

void sc_json_null(struct sc_json *j)
{
	sc_json_raw(j, "null");
}

void sc_json_member_text(struct sc_json *j, const char *key, const char *text)
{
	sc_json_key(j, key);
	sc_json_text(j, text);
}

void sc_json_member_u64(struct sc_json *j, const char *key, uint64_t v)
{
	sc_json_key(j, key);
	sc_json_u64(j, v);
}

void sc_json_member_i64(struct sc_json *j, const char *key, int64_t v)
{
	sc_json_key(j, key);
	sc_json_i64(j, v);
}

void sc_json_member_double(struct sc_json *j, const char *key, double v)
{
	sc_json_key(j, key);
	sc_json_double(j, v);
}

void sc_json_member_bool(struct sc_json *j, const char *key, bool v)
{
	sc_json_key(j, key);
	sc_json_bool(j, v);
}
