/* SPDX-License-Identifier: Apache-2.0 */
#include "record/redact.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const char *const secret_names[] = {
	"password", "passwd",  "secret",      "token",      "api_key",
	"apikey",   "api-key", "private_key", "credential", "authorization",
};

static const char *const schemes[] = {"bearer", "basic"};

static bool is_name_byte(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.';
}

static bool contains(const char *text, size_t n, const char *part)
{
	size_t len = strlen(part);

	for (size_t i = 0; i + len <= n; i++)
		if (!strncasecmp(text + i, part, len))
			return true;
	return false;
}

static bool is_secret_name(const char *text, size_t n)
{
	for (size_t i = 0; i < SC_ARRAY_SIZE(secret_names); i++)
		if (contains(text, n, secret_names[i]))
			return true;
	return false;
}

static bool is_scheme(const char *text, size_t n)
{
	for (size_t i = 0; i < SC_ARRAY_SIZE(schemes); i++)
		if (n == strlen(schemes[i]) && !strncasecmp(text, schemes[i], n))
			return true;
	return false;
}

/* Bytes of the value at p: up to the closing quote, else up to white space or a separator. */
static size_t value_length(const char *p)
{
	size_t n = 0;

	if (*p != '"' && *p != '\'')
		return strcspn(p, " \t\r\n,;&}\"'");
	for (n = 1; p[n] && p[n] != *p; n++)
		if (p[n] == '\\' && p[n + 1])
			n++;
	return n;
}

/*
 * Adds what stands between a secret's name and its value, then the mark; returns the bytes passed,
 * 0 when no value follows. An authorization value begins with its scheme, which is kept.
 */
static size_t redact_value(struct sc_str *out, const char *p)
{
	size_t n = strspn(p, "\"'");
	size_t value;

	n += strspn(p + n, " \t");
	if (p[n] != '=' && p[n] != ':')
		return 0;
	n++;
	n += strspn(p + n, " \t");
	value = strcspn(p + n, " \t");
	if (is_scheme(p + n, value))
		n += value + strspn(p + n + value, " \t");
	else if ((p[n] == '"' || p[n] == '\'') && is_scheme(p + n + 1, strcspn(p + n + 1, " \t")))
		n += 1 + strcspn(p + n + 1, " \t");
	value = value_length(p + n);
	if (value == 0)
		return 0;
	if (p[n] == '"' || p[n] == '\'') {
		n++;
		value--;
	}
	sc_str_addn(out, p, n);
	sc_str_add(out, SC_REDACTED);
	return n + value;
}

/* The length of user:password@ behind ://, with *password the place of the password; 0 for none. */
static size_t userinfo(const char *p, size_t *password)
{
	size_t authority = strcspn(p, "/?# \t\r\n\"'");
	const char *at = memrchr(p, '@', authority);
	const char *colon = at ? memchr(p, ':', (size_t)(at - p)) : NULL;

	if (!colon)
		return 0;
	*password = (size_t)(colon - p) + 1;
	return (size_t)(at - p);
}

static size_t redact_word(struct sc_str *out, const char *p)
{
	size_t n = 0;
	size_t rest = 0;

	while (is_name_byte(p[n]))
		n++;
	sc_str_addn(out, p, n);
	if (is_scheme(p, n) && (p[n] == ' ' || p[n] == '\t')) {
		size_t space = strspn(p + n, " \t");

		rest = space + value_length(p + n + space);
		sc_str_addn(out, p + n, space);
		sc_str_add(out, SC_REDACTED);
	} else if (is_secret_name(p, n)) {
		rest = redact_value(out, p + n);
	}
	return n + rest;
}

void sc_redact(struct sc_str *out, const char *text)
{
	const char *p = text;
	size_t password = 0;
	size_t n;

	while (*p) {
		if (is_name_byte(*p)) {
			p += redact_word(out, p);
		} else if (!strncmp(p, "://", 3) && (n = userinfo(p + 3, &password)) > 0) {
			sc_str_addn(out, p, 3 + password);
			sc_str_add(out, SC_REDACTED);
			p += 3 + n;
		} else {
			sc_str_addn(out, p++, 1);
		}
	}
}
