/* SPDX-License-Identifier: Apache-2.0 */
/* scram list */
#include "cli/answers.h"
#include "cli/ask.h"
#include "cli/render.h"

#include <string.h>

static const char *const headers[] = {"ID", "STATE", "ACTION", "TARGETS", "UNKNOWN", "WHEN"};

/* "cannot fire: why", "armed", "dry-run", "manual-only, by mounts", ... */
static void add_state(struct sc_table *table, const json_t *condition)
{
	const char *why = sc_get_text(condition, "why_not", NULL);
	const char *mechanism = sc_get_text(condition, "mechanism", NULL);
	_cleanup_str_ struct sc_str cell = {0};

	sc_str_init_heap(&cell);
	sc_add_text(&cell, sc_get_text(condition, "armed", NULL));
	if (mechanism && strcmp(mechanism, "none") != 0) {
		sc_str_add(&cell, ", by ");
		sc_add_text(&cell, mechanism);
	}
	if (why && *why) {
		sc_str_add(&cell, ": ");
		sc_add_text(&cell, why);
	}
	sc_table_add(table, &cell);
}

void sc_render_list(struct sc_str *out, const json_t *reply)
{
	const json_t *conditions = json_object_get(reply, "conditions");
	_cleanup_table_ struct sc_table table = {0};
	json_t *c;
	size_t i;

	sc_table_init(&table, headers, SC_ARRAY_SIZE(headers), 1 << 3 | 1 << 4);
	json_array_foreach (conditions, i, c) {
		sc_table_add_escaped(&table, sc_get_text(c, "id", NULL));
		add_state(&table, c);
		sc_table_add_escaped(&table,
				     sc_get_text(json_object_get(c, "action"), "kind", NULL));
		sc_table_add_int(&table, sc_get_int(c, "targets", 0));
		sc_table_add_int(&table, sc_get_int(c, "unknown", 0));
		sc_table_add_escaped(&table, sc_get_text(c, "when", "(by hand only)"));
	}
	sc_table_print(&table, out, 0);
	if (table.rows == 0)
		sc_str_add(out, "no conditions are registered\n");
}

int sc_verb_list(const struct sc_args *args)
{
	static const struct sc_question question = {
		.op = SC_OP_LIST, .member = "conditions", .render = sc_render_list};

	return sc_ask_and_print(args, &question, json_object());
}
