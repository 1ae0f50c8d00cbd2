/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/app_message.h"

#include "base/mem.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define NUMBER_MAX 32

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t skip_digits(const char *text, size_t at, size_t n)
{
	while (at < n && is_digit(text[at]))
		at++;
	return at;
}

/* True for a number as RFC 8259 writes it, from the first byte to the last. */
static bool is_number(const char *text, size_t n)
{
	size_t at = n > 0 && text[0] == '-';
	size_t begin = at;

	at = skip_digits(text, at, n);
	if (at == begin || (text[begin] == '0' && at > begin + 1))
		return false;
	if (at < n && text[at] == '.') {
		begin = ++at;
		at = skip_digits(text, at, n);
		if (at == begin)
			return false;
	}
	if (at < n && (text[at] == 'e' || text[at] == 'E')) {
		at++;
		if (at < n && (text[at] == '+' || text[at] == '-'))
			at++;
		begin = at;
		at = skip_digits(text, at, n);
		if (at == begin)
			return false;
	}
	return at == n;
}

static bool take_number(const char *text, size_t n, double *value)
{
	char copy[NUMBER_MAX + 1];

	if (n > NUMBER_MAX || !is_number(text, n))
		return false;
	memcpy(copy, text, n);
	copy[n] = '\0';
	*value = strtod(copy, NULL); /* the agent keeps to the C locale */
	return isfinite(*value);
}

static bool is_session_byte(char c)
{
	return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
	       c == '_' || c == ':' || c == '-';
}

/* FNV-1a, 64 bit: a program that makes two of its own ids collide deceives itself alone. */
static bool take_session(const char *text, size_t n, uint64_t *hash)
{
	*hash = 0xcbf29ce484222325ULL;
	for (size_t i = 0; i < n; i++) {
		if (!is_session_byte(text[i]))
			return false;
		*hash = (*hash ^ (unsigned char)text[i]) * 0x100000001b3ULL;
	}
	return n > 0 && n <= SC_APP_SESSION_MAX;
}

static int find_key(const char *text, size_t n)
{
	static const char *const keys[] = {"HEARTBEAT", "SESSION", "QUEUE_DEPTH", "GAUGE_1",
					   "GAUGE_2",   "GAUGE_3", "GAUGE_4",     "GAUGE_5",
					   "GAUGE_6",   "GAUGE_7", "GAUGE_8"};
	_Static_assert(SC_ARRAY_SIZE(keys) == SC_APP_KEY_COUNT, "a name for each key");

	for (int k = 0; k < SC_APP_KEY_COUNT; k++)
		if (strlen(keys[k]) == n && memcmp(keys[k], text, n) == 0)
			return k;
	return -1;
}

static bool take_line(const char *line, size_t n, struct sc_app_message *out)
{
	const char *equals = memchr(line, '=', n);
	int key = equals ? find_key(line, (size_t)(equals - line)) : -1;
	const char *value;
	size_t size;

	if (key < 0 || out->has & 1U << key)
		return false;
	out->has |= 1U << key;
	value = equals + 1;
	size = (size_t)(line + n - value);
	if (key == SC_APP_HEARTBEAT)
		return size == 1 && value[0] == '1';
	if (key == SC_APP_SESSION)
		return take_session(value, size, &out->session);
	if (key == SC_APP_QUEUE_DEPTH)
		return take_number(value, size, &out->queue_depth) && out->queue_depth >= 0;
	return take_number(value, size, &out->gauges[key - SC_APP_GAUGE_FIRST]);
}

int sc_app_message_parse(const char *text, size_t n, struct sc_app_message *out)
{
	struct sc_app_message message = {0};
	size_t at = 0;

	if (n > SC_APP_MESSAGE_MAX)
		return -EMSGSIZE;
	while (at < n) {
		const char *end = memchr(text + at, '\n', n - at);
		size_t length = end ? (size_t)(end - text) - at : n - at;

		if (!take_line(text + at, length, &message))
			return -EINVAL;
		at += length + 1;
	}
	if (message.has == 0)
		return -EINVAL;
	*out = message;
	return 0;
}
