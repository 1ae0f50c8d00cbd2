/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A document as a tree of values with their places: what both readers (YAML, JSON) make and the key
 * tables read, so that a file and a request body are judged by the same code. Inside the config
 * room only.
 */
#pragma once

#include <scram/config.h>

#define SC_VALUE_DEPTH_MAX 12
#define SC_VALUE_ITEMS_MAX 4096 /* of one list or mapping */

enum sc_value_kind { SC_VALUE_SCALAR, SC_VALUE_LIST, SC_VALUE_MAP };

enum sc_scalar_style {
	SC_SCALAR_PLAIN, /* may be a number or true or false */
	SC_SCALAR_SINGLE,
	SC_SCALAR_DOUBLE,
	SC_SCALAR_BLOCK,
	SC_SCALAR_NULL, /* JSON null */
};

struct sc_value {
	enum sc_value_kind kind;
	enum sc_scalar_style style;
	unsigned int line;     /* 0 = unknown (JSON) */
	unsigned int column;   /* bytes, from 1 */
	size_t offset;         /* of the first byte in the document */
	char *text;            /* scalar; NUL-terminated, holds no NUL */
	struct sc_value *item; /* list: its items; map: key, value, key, value, ... */
	size_t n;              /* entries of item */
};

/* Releases everything below, not the value itself. */
void sc_value_done(struct sc_value *value);

/* The value of that key, or NULL; dots go down: "action.config.code". */
const struct sc_value *sc_value_find(const struct sc_value *map, const char *path);

/* Appends a zeroed item; NULL when memory is short. */
struct sc_value *sc_value_append(struct sc_value *parent);

/*
 * Parses one document of the strict subset. Returns 0, or -EINVAL / -ENOMEM with diag filled; out
 * then needs no release.
 */
int sc_yaml_parse(struct sc_value *out, const char *text, size_t n, struct sc_diag *diag);
int sc_json_parse(struct sc_value *out, const char *text, size_t n, struct sc_diag *diag);

/* Line and column of a byte of the document. */
void sc_place_of(const char *text, size_t offset, unsigned int *line, unsigned int *column);

/*
 * The byte of the document that byte `at` of the scalar's text came from: exact but for
 * double-quoted escapes of several digits.
 */
size_t sc_scalar_offset(const struct sc_value *scalar, const char *text, size_t n, size_t at);
