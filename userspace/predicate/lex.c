/* SPDX-License-Identifier: Apache-2.0 */
#include "predicate/lex.h"

#include "base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define DURATION_TEXT_MAX 40

struct symbol {
	const char *text;
	enum sc_token_kind kind;
};

static const struct symbol *find_symbol(const char *text, size_t n);
static const char *find_mistake(const char *text, size_t n);
static const struct symbol keywords[3];

static bool is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.';
}

/* 1m30s is one duration, though base/units.h reads only 1m of it. */
static int lex_long_duration(const char *text, size_t n, struct sc_token *token)
{
	char copy[DURATION_TEXT_MAX];
	uint64_t ns;
	size_t len = 0;

	while (len < n && isalnum((unsigned char)text[len]))
		len++;
	if (len >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (sc_parse_duration(copy, &ns) < 0)
		return -EINVAL;
	token->number = (double)ns;
	token->unit = SC_UNIT_NS;
	return (int)len;
}

static int lex_number(const char *text, size_t n, struct sc_token *token, const char **why)
{
	int used = sc_parse_quantity(text, n, &token->number, &token->unit);

	if (used == -ENOENT)
		used = lex_long_duration(text, n, token);
	if (used == -ERANGE)
		*why = "this number is too large; the largest is 2^53 - 1 of the base unit";
	else if (used < 0)
		*why = "unknown unit; known are ns us ms s m h d, B KiB MiB GiB TiB kB MB GB TB "
		       "and %";
	if (used < 0)
		return -EINVAL;
	if ((size_t)used < n && is_name_byte(text[used])) {
		*why = "a number ends here but the word goes on; put a space or an operator "
		       "between";
		return -EINVAL;
	}
	token->kind = SC_TOKEN_NUMBER;
	return used;
}

static int lex_string(const char *text, size_t n, struct sc_token *token, const char **why)
{
	size_t end = 1;

	while (end < n && text[end] != '"' && text[end] != '\n' && text[end] != '\\')
		end++;
	if (end < n && text[end] == '\\') {
		*why = "no backslash in a string; write the glob or name as it is";
		return -EINVAL;
	}
	if (end == n || text[end] == '\n') {
		*why = "this string does not end; close it with \"";
		return -EINVAL;
	}
	token->kind = SC_TOKEN_STRING;
	return (int)end + 1;
}

static int lex_name(const char *text, size_t n, struct sc_token *token)
{
	size_t len = 0;

	while (len < n && is_name_byte(text[len]))
		len++;
	token->kind = SC_TOKEN_NAME;
	for (size_t i = 0; i < SC_ARRAY_SIZE(keywords); i++)
		if (strlen(keywords[i].text) == len && memcmp(keywords[i].text, text, len) == 0)
			token->kind = keywords[i].kind;
	return (int)len;
}

static int lex_symbol(const char *text, size_t n, struct sc_token *token, const char **why)
{
	const char *mistake = find_mistake(text, n);
	const struct symbol *symbol = find_symbol(text, n);

	if (mistake || !symbol) {
		*why = mistake ? mistake : "this character has no meaning here";
		return -EINVAL;
	}
	token->kind = symbol->kind;
	return (int)strlen(symbol->text);
}

int sc_lex(const char *text, size_t n, size_t *at, struct sc_token *token, const char **why)
{
	size_t from = *at;
	int used;

	while (from < n && (text[from] == ' ' || text[from] == '\t' || text[from] == '\n' ||
			    text[from] == '\r'))
		from++;
	*token = (struct sc_token){.kind = SC_TOKEN_END, .from = from, .to = from};
	if (from == n) {
		*at = from;
		return 0;
	}
	if (isdigit((unsigned char)text[from]))
		used = lex_number(text + from, n - from, token, why);
	else if (text[from] == '"')
		used = lex_string(text + from, n - from, token, why);
	else if (is_name_byte(text[from]) && text[from] != '.')
		used = lex_name(text + from, n - from, token);
	else
		used = lex_symbol(text + from, n - from, token, why);
	if (used < 0)
		return used;
	token->to = from + (size_t)used;
	*at = token->to;
	return 0;
}

static bool begins_with(const char *text, size_t n, const char *what)
{
	size_t len = strlen(what);

	return len <= n && memcmp(text, what, len) == 0;
}

/* What people bring along from other languages, and what to write instead. */
static const char *find_mistake(const char *text, size_t n)
{
	static const struct {
		const char *text;
		const char *why;
	} mistakes[] = {
		{"&&", "no `&&` here; write `and`"},
		{"||", "no `||` here; write `or`"},
		{"!=", NULL},
		{"!", "no `!` here; write `not`"},
		{"==", NULL},
		{"=", "no `=` here; write `==` to compare"},
		{"<>", "no `<>` here; write `!=`"},
		{"'", "no single quotes here; write \"...\""},
		{".", "a number begins with a digit; write 0.5"},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(mistakes); i++)
		if (begins_with(text, n, mistakes[i].text))
			return mistakes[i].why;
	return NULL;
}

static const struct symbol keywords[] = {
	{"and", SC_TOKEN_AND},
	{"or", SC_TOKEN_OR},
	{"not", SC_TOKEN_NOT},
};

/* The longer symbol first. */
static const struct symbol *find_symbol(const char *text, size_t n)
{
	static const struct symbol symbols[] = {
		{"<=", SC_TOKEN_LE},         {">=", SC_TOKEN_GE},          {"==", SC_TOKEN_EQ},
		{"!=", SC_TOKEN_NE},         {"<", SC_TOKEN_LT},           {">", SC_TOKEN_GT},
		{"+", SC_TOKEN_PLUS},        {"-", SC_TOKEN_MINUS},        {"*", SC_TOKEN_STAR},
		{"/", SC_TOKEN_SLASH},       {"(", SC_TOKEN_LEFT},         {")", SC_TOKEN_RIGHT},
		{"[", SC_TOKEN_LEFT_SQUARE}, {"]", SC_TOKEN_RIGHT_SQUARE}, {",", SC_TOKEN_COMMA},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(symbols); i++)
		if (begins_with(text, n, symbols[i].text))
			return &symbols[i];
	return NULL;
}
