/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tally.h"

#include "base/mem.h"
#include "base/str.h"

#include <string.h>

#define OTHERS (SC_TALLY_ROWS - 1)

static bool is_due(const struct sc_tally *t, const struct sc_tally_row *row, uint64_t now_ns)
{
	return !row->told_ns || now_ns - row->told_ns >= t->period_ns;
}

static void set_key(struct sc_tally_row *row, const char *key)
{
	bool fits = sc_strcopy(row->key, sizeof(row->key), key);

	SC_ASSERT(fits);
}

void sc_tally_init(struct sc_tally *t, uint64_t period_ns, const char *others)
{
	memset(t, 0, sizeof(*t));
	t->period_ns = period_ns;
	set_key(&t->row[OTHERS], others);
}

/* The row of that key, or one that nobody needs any more. */
static struct sc_tally_row *find(struct sc_tally *t, const char *key, uint64_t now_ns)
{
	struct sc_tally_row *free_row = NULL;

	for (int i = 0; i < OTHERS; i++) {
		struct sc_tally_row *row = &t->row[i];

		if (strcmp(row->key, key) == 0)
			return row;
		if (!free_row && !row->count && is_due(t, row, now_ns))
			free_row = row;
	}
	if (!free_row)
		return &t->row[OTHERS];
	set_key(free_row, key);
	free_row->told_ns = 0;
	return free_row;
}

void sc_tally_add(struct sc_tally *t, const char *key, uint64_t n, uint64_t now_ns)
{
	struct sc_tally_row *row = key ? find(t, key, now_ns) : &t->row[OTHERS];

	row->count += n;
}

const char *sc_tally_take(struct sc_tally *t, uint64_t now_ns, uint64_t *count)
{
	for (int i = 0; i < SC_TALLY_ROWS; i++) {
		struct sc_tally_row *row = &t->row[i];

		if (!row->count || !is_due(t, row, now_ns))
			continue;
		*count = row->count;
		row->count = 0;
		row->told_ns = now_ns;
		return row->key;
	}
	return NULL;
}
