/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a predicate's text. */
#pragma once

#include "base/units.h"

#include <stddef.h>

enum sc_token_kind {
	SC_TOKEN_END,
	SC_TOKEN_NUMBER,
	SC_TOKEN_NAME,   /* of a signal or function; keywords are tokens of their own */
	SC_TOKEN_STRING, /* without its quotes */
	SC_TOKEN_LT,
	SC_TOKEN_LE,
	SC_TOKEN_GT,
	SC_TOKEN_GE,
	SC_TOKEN_EQ,
	SC_TOKEN_NE,
	SC_TOKEN_AND,
	SC_TOKEN_OR,
	SC_TOKEN_NOT,
	SC_TOKEN_PLUS,
	SC_TOKEN_MINUS,
	SC_TOKEN_STAR,
	SC_TOKEN_SLASH,
	SC_TOKEN_LEFT,
	SC_TOKEN_RIGHT,
	SC_TOKEN_LEFT_SQUARE,
	SC_TOKEN_RIGHT_SQUARE,
	SC_TOKEN_COMMA,
	SC_TOKEN_KIND_COUNT
};

struct sc_token {
	enum sc_token_kind kind;
	size_t from; /* first byte in the text, a quote included */
	size_t to;   /* behind the last */
	double number;
	enum sc_unit unit;
};

/*
 * Reads the token at or after *at, which moves behind it. 0, or -EINVAL when no token begins there:
 * then token->from is the place and *why says what is wrong and what to do.
 */
int sc_lex(const char *text, size_t n, size_t *at, struct sc_token *token, const char **why);
