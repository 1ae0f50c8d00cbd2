/* SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

void sc_value_done(struct sc_value *value)
{
	for (size_t i = 0; i < value->n; i++)
		sc_value_done(&value->item[i]);
	free(value->item);
	free(value->text);
	*value = (struct sc_value){0};
}

struct sc_value *sc_value_append(struct sc_value *parent)
{
	struct sc_value *grown = parent->item;

	/* Capacity is the next power of two: it grows when n is one. */
	if ((parent->n & (parent->n - 1)) == 0) {
		grown = reallocarray(parent->item, parent->n ? parent->n * 2 : 1, sizeof(*grown));
		if (!grown)
			return NULL;
		parent->item = grown;
	}
	grown[parent->n] = (struct sc_value){0};
	return &grown[parent->n++];
}

const struct sc_value *sc_value_find(const struct sc_value *map, const char *path)
{
	size_t len = strcspn(path, ".");

	if (map->kind != SC_VALUE_MAP)
		return NULL;
	for (size_t i = 0; i + 1 < map->n; i += 2) {
		const char *key = map->item[i].text;

		if (strncmp(key, path, len) != 0 || key[len])
			continue;
		return path[len] ? sc_value_find(&map->item[i + 1], path + len + 1)
				 : &map->item[i + 1];
	}
	return NULL;
}

void sc_place_of(const char *text, size_t offset, unsigned int *line, unsigned int *column)
{
	size_t start = 0;

	*line = 1;
	for (size_t i = 0; i < offset; i++) {
		if (text[i] != '\n')
			continue;
		++*line;
		start = i + 1;
	}
	*column = (unsigned int)(offset - start) + 1;
}

/* Where the content of the scalar begins: behind the quote, or on the line after a block's header.
 */
static size_t content_begin(const struct sc_value *scalar, const char *text, size_t n)
{
	size_t at = scalar->offset;

	if (scalar->style == SC_SCALAR_SINGLE || scalar->style == SC_SCALAR_DOUBLE)
		return at + 1;
	if (scalar->style == SC_SCALAR_BLOCK)
		while (at < n && text[at++] != '\n')
			;
	return at;
}

/*
 * Blanks and line ends differ between a scalar and what was written (folding, indentation), the
 * other bytes do not: the k-th byte that is not blank is the k-th such byte of the document.
 */
size_t sc_scalar_offset(const struct sc_value *scalar, const char *text, size_t n, size_t at)
{
	size_t skip = 0;
	size_t from = content_begin(scalar, text, n);

	for (size_t i = 0; i < at && scalar->text[i]; i++)
		skip += !isspace((unsigned char)scalar->text[i]);
	for (; from < n; from++) {
		if (isspace((unsigned char)text[from]))
			continue;
		if (skip-- == 0)
			return from;
		if ((scalar->style == SC_SCALAR_DOUBLE && text[from] == '\\') ||
		    (scalar->style == SC_SCALAR_SINGLE && text[from] == '\''))
			from++;
	}
	return n;
}
