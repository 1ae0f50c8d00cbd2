/* SPDX-License-Identifier: Apache-2.0 */
/* Aligned columns; declared in render.h. */
#include "cli/render.h"

#include <inttypes.h>
#include <string.h>

void sc_table_init(struct sc_table *t, const char *const *headers, unsigned int columns,
		   unsigned int right)
{
	SC_ASSERT(columns >= 1 && columns <= SC_TABLE_COLUMNS_MAX);
	*t = (struct sc_table){.headers = headers, .columns = columns, .right = right};
	for (unsigned int i = 0; i < columns; i++)
		t->width[i] = strlen(headers[i]);
	sc_str_init_heap(&t->cells);
}

void sc_table_done(struct sc_table *t)
{
	sc_str_done(&t->cells);
}

void sc_table_add_text(struct sc_table *t, const char *text)
{
	size_t n = strlen(text);

	t->width[t->at] = SC_MAX(t->width[t->at], n);
	sc_str_addn(&t->cells, text, n + 1);
	if (++t->at == t->columns) {
		t->at = 0;
		t->rows++;
	}
}

void sc_table_add(struct sc_table *t, const struct sc_str *cell)
{
	sc_table_add_text(t, cell->data);
}

void sc_table_add_escaped(struct sc_table *t, const char *text)
{
	_cleanup_str_ struct sc_str cell = {0};

	sc_str_init_heap(&cell);
	sc_add_text(&cell, text);
	sc_table_add(t, &cell);
}

void sc_table_add_int(struct sc_table *t, int64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, v);
	sc_table_add_text(t, text);
}

static void print_cell(const struct sc_table *t, struct sc_str *out, unsigned int column,
		       const char *text)
{
	int width = (int)t->width[column];
	bool last = column + 1 == t->columns;

	if (t->right >> column & 1)
		sc_str_addf(out, "%*s", width, text);
	else if (last)
		sc_str_add(out, text);
	else
		sc_str_addf(out, "%-*s", width, text);
	sc_str_add(out, last ? "\n" : "  ");
}

void sc_table_print(const struct sc_table *t, struct sc_str *out, unsigned int indent)
{
	const char *cell = t->cells.data;

	SC_ASSERT(t->at == 0);
	if (t->cells.truncated) {
		out->truncated = true;
		return;
	}
	for (size_t row = 0; t->rows && row <= t->rows; row++) {
		sc_str_addf(out, "%*s", (int)indent, "");
		for (unsigned int i = 0; i < t->columns; i++) {
			print_cell(t, out, i, row ? cell : t->headers[i]);
			if (row)
				cell += strlen(cell) + 1;
		}
	}
}
