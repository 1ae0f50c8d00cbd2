/* SPDX-License-Identifier: Apache-2.0 */
#include "base/units.h"

#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#define EXACT_MAX       9007199254740991.0 /* 2^53 - 1 */
#define DURATION_MAX_NS (100.0 * 24 * 3600 * 1e9)
#define DIGITS_MAX      40

static const struct {
	const char *suffix;
	enum sc_unit unit;
	double factor;
} suffixes[] = {
	{"ns", SC_UNIT_NS, 1},
	{"us", SC_UNIT_NS, 1e3},
	{"ms", SC_UNIT_NS, 1e6},
	{"s", SC_UNIT_NS, 1e9},
	{"m", SC_UNIT_NS, 60e9},
	{"h", SC_UNIT_NS, 3600e9},
	{"d", SC_UNIT_NS, 86400e9},
	{"B", SC_UNIT_BYTES, 1},
	{"kB", SC_UNIT_BYTES, 1e3},
	{"MB", SC_UNIT_BYTES, 1e6},
	{"GB", SC_UNIT_BYTES, 1e9},
	{"TB", SC_UNIT_BYTES, 1e12},
	{"KiB", SC_UNIT_BYTES, 1024},
	{"MiB", SC_UNIT_BYTES, 1048576},
	{"GiB", SC_UNIT_BYTES, 1073741824},
	{"TiB", SC_UNIT_BYTES, 1099511627776},
	{"%", SC_UNIT_RATIO, 0.01},
};

static const char *const unit_names[] = {
	[SC_UNIT_NONE] = "none",   [SC_UNIT_NS] = "ns",       [SC_UNIT_BYTES] = "bytes",
	[SC_UNIT_RATIO] = "ratio", [SC_UNIT_COUNT] = "count",
};

const char *sc_unit_name(enum sc_unit unit)
{
	return (unsigned int)unit < SC_ARRAY_SIZE(unit_names) ? unit_names[unit] : "?";
}

enum sc_unit sc_unit_find(const char *name)
{
	for (size_t i = 0; name && i < SC_ARRAY_SIZE(unit_names); i++)
		if (strcmp(unit_names[i], name) == 0)
			return (enum sc_unit)i;
	return SC_UNIT_NONE;
}

static size_t scan_digits(const char *text, size_t n)
{
	size_t i = 0;

	while (i < n && isdigit((unsigned char)text[i]))
		i++;
	if (i > 0 && i + 1 < n && text[i] == '.' && isdigit((unsigned char)text[i + 1])) {
		i++;
		while (i < n && isdigit((unsigned char)text[i]))
			i++;
	}
	return i;
}

int sc_parse_quantity(const char *text, size_t n, double *value, enum sc_unit *unit)
{
	char number[DIGITS_MAX + 1];
	size_t digits = scan_digits(text, n);
	size_t end = digits;
	double factor = 1;
	double v;

	if (digits == 0)
		return -EINVAL;
	if (digits > DIGITS_MAX)
		return -ERANGE;
	if (end < n && text[end] == '%')
		end++;
	else
		while (end < n && (isalnum((unsigned char)text[end]) || text[end] == '_'))
			end++;
	*unit = SC_UNIT_NONE;
	if (end > digits) {
		size_t i = 0;

		while (i < SC_ARRAY_SIZE(suffixes) &&
		       (strlen(suffixes[i].suffix) != end - digits ||
			strncmp(suffixes[i].suffix, text + digits, end - digits) != 0))
			i++;
		if (i == SC_ARRAY_SIZE(suffixes))
			return -ENOENT;
		*unit = suffixes[i].unit;
		factor = suffixes[i].factor;
	}
	memcpy(number, text, digits);
	number[digits] = '\0';
	v = strtod(number, NULL) * factor;
	if (!isfinite(v) || v > EXACT_MAX)
		return -ERANGE;
	*value = v;
	return (int)end;
}

int sc_parse_duration(const char *text, uint64_t *ns)
{
	size_t n = strlen(text);
	double total = 0;

	if (strcmp(text, "0") == 0) {
		*ns = 0;
		return 0;
	}
	if (n == 0)
		return -EINVAL;
	for (size_t at = 0; at < n;) {
		enum sc_unit unit;
		double v;
		int used = scan_digits(text + at, n - at) ? 0 : -EINVAL;
		size_t part = at;

		if (used < 0)
			return -EINVAL;
		/* "1m30s" is two quantities: each ends where the next digit begins. */
		part += scan_digits(text + at, n - at);
		while (part < n && !isdigit((unsigned char)text[part]))
			part++;
		used = sc_parse_quantity(text + at, part - at, &v, &unit);
		if (used == -ERANGE)
			return -ERANGE;
		if (used < 0 || unit != SC_UNIT_NS || at + (size_t)used != part)
			return -EINVAL;
		total += v;
		at = part;
	}
	if (total > DURATION_MAX_NS)
		return -ERANGE;
	*ns = (uint64_t)llround(total);
	return 0;
}

static void format_duration(struct sc_str *out, double ns)
{
	uint64_t left = (uint64_t)llround(ns);
	uint64_t parts[] = {86400 * SC_NS_PER_S, 3600 * SC_NS_PER_S, 60 * SC_NS_PER_S};

	if (left == 0 || left < SC_NS_PER_S) {
		if (left == 0)
			sc_str_add(out, "0s");
		else if (left >= SC_NS_PER_MS)
			sc_str_addf(out, "%.6gms", ns / 1e6);
		else
			sc_str_addf(out, "%.6gus", ns / 1e3);
		return;
	}
	for (size_t i = 0; i < SC_ARRAY_SIZE(parts); i++) {
		if (left >= parts[i])
			sc_str_addf(out, "%llu%c", (unsigned long long)(left / parts[i]), "dhm"[i]);
		left %= parts[i];
	}
	if (left)
		sc_str_addf(out, "%.6gs", (double)left / 1e9);
}

static void format_bytes(struct sc_str *out, double v)
{
	static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	size_t i = 0;

	while (i + 1 < SC_ARRAY_SIZE(names) && fabs(v) >= 1024) {
		v /= 1024;
		i++;
	}
	sc_str_addf(out, "%.4g%s", v, names[i]);
}

void sc_format_quantity(struct sc_str *out, double v, enum sc_unit unit)
{
	switch (unit) {
	case SC_UNIT_NS:
		if (v >= 0) {
			format_duration(out, v);
			return;
		}
		sc_str_addf(out, "%.6gs", v / 1e9);
		return;
	case SC_UNIT_BYTES:
		format_bytes(out, v);
		return;
	case SC_UNIT_RATIO:
		sc_str_addf(out, "%.4g%%", v * 100);
		return;
	case SC_UNIT_NONE:
	case SC_UNIT_COUNT:
		sc_str_addf(out, "%.10g", v);
		return;
	}
}
