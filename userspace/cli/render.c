/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/render.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#define CELL_MAX 64

const char *sc_get_text(const json_t *object, const char *key, const char *fallback)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : fallback;
}

int64_t sc_get_int(const json_t *object, const char *key, int64_t fallback)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) ? json_integer_value(value) : fallback;
}

bool sc_get_bool(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

void sc_add_text(struct sc_str *out, const char *text)
{
	if (!text || !*text)
		sc_str_add(out, "-");
	else
		sc_str_add_printable(out, text, strlen(text));
}

void sc_add_time(struct sc_str *out, const char *rfc3339)
{
	char text[CELL_MAX];
	struct tm utc = {0};
	struct tm local;
	const char *rest = rfc3339 ? strptime(rfc3339, "%Y-%m-%dT%H:%M:%S", &utc) : NULL;
	size_t digits = rest && *rest == '.' ? strspn(rest + 1, "0123456789") : 0;
	time_t when;

	if (!rest || strcmp(rest + (digits ? digits + 1 : 0), "Z") != 0) {
		sc_add_text(out, rfc3339);
		return;
	}
	when = timegm(&utc);
	localtime_r(&when, &local);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &local);
	sc_str_add(out, text);
	if (digits)
		sc_str_addn(out, rest, 1 + SC_MIN(digits, (size_t)3));
	strftime(text, sizeof(text), "%z", &local);
	sc_str_addf(out, "%.3s:%s", text, text + 3);
}

void sc_add_us(struct sc_str *out, const json_t *us)
{
	double v = json_number_value(us);

	if (!json_is_number(us))
		sc_str_add(out, "-");
	else if (v < 1e3)
		sc_str_addf(out, "%.0fus", v);
	else if (v < 1e6)
		sc_str_addf(out, "%.3gms", v / 1e3);
	else
		sc_str_addf(out, "%.3gs", v / 1e6);
}

void sc_add_age(struct sc_str *out, double seconds)
{
	uint64_t s = seconds > 0 && seconds < 1e12 ? (uint64_t)seconds : 0;

	if (s < 60)
		sc_str_addf(out, "%" PRIu64 "s", s);
	else if (s < 3600)
		sc_str_addf(out, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		sc_str_addf(out, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
	else
		sc_str_addf(out, "%" PRIu64 "d%02" PRIu64 "h", s / 86400, s / 3600 % 24);
}

void sc_add_value(struct sc_str *out, const json_t *value)
{
	_cleanup_free_ char *text = NULL;

	if (json_is_string(value)) {
		sc_add_text(out, json_string_value(value));
	} else if (json_is_integer(value)) {
		sc_str_addf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	} else if (json_is_real(value)) {
		sc_str_addf(out, "%.6g", json_real_value(value));
	} else if (json_is_boolean(value)) {
		sc_str_add(out, json_is_true(value) ? "yes" : "no");
	} else if (!value || json_is_null(value)) {
		sc_str_add(out, "-");
	} else {
		text = json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII);
		sc_str_add(out, text ? text : "-");
	}
}

void sc_add_quantity(struct sc_str *out, const json_t *value, enum sc_unit unit)
{
	double v = json_number_value(value);

	if (!json_is_number(value)) {
		sc_str_add(out, "unknown");
		return;
	}
	switch (unit) {
	case SC_UNIT_NS:
	case SC_UNIT_BYTES:
		sc_format_quantity(out, v, unit);
		return;
	case SC_UNIT_RATIO:
		sc_str_addf(out, "%.3g%%", v * 100);
		return;
	case SC_UNIT_NONE:
	case SC_UNIT_COUNT:
		sc_add_value(out, value);
		return;
	}
}

static void add_member(struct sc_str *out, const char *key, const json_t *value, unsigned int depth)
{
	bool nested = (json_is_object(value) && json_object_size(value)) ||
		      (json_is_array(value) && json_array_size(value));

	sc_str_addf(out, "%*s", (int)depth * 2, "");
	sc_str_add_printable(out, key, strlen(key));
	if (nested && depth < 8) {
		sc_str_add(out, ":\n");
		sc_add_tree(out, value, depth + 1);
		return;
	}
	sc_str_add(out, ": ");
	sc_add_value(out, value);
	sc_str_add(out, "\n");
}

void sc_add_tree(struct sc_str *out, const json_t *value, unsigned int depth)
{
	const char *key;
	json_t *item;
	size_t i;

	if (json_is_object(value)) {
		json_object_foreach ((json_t *)(uintptr_t)value, key, item)
			add_member(out, key, item, depth);
	} else if (json_is_array(value)) {
		json_array_foreach (value, i, item)
			add_member(out, "-", item, depth);
	} else {
		sc_str_addf(out, "%*s", (int)depth * 2, "");
		sc_add_value(out, value);
		sc_str_add(out, "\n");
	}
}
