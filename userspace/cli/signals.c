/* SPDX-License-Identifier: Apache-2.0 */
/* scram signals [CGROUP] */
#include "cli/answers.h"
#include "cli/ask.h"
#include "cli/render.h"

#include <scram/signal.h>

#include <string.h>

/* One more column is the path. */
#define SIGNALS_IN_TABLE (SC_TABLE_COLUMNS_MAX - 1)

static const char *const one_headers[] = {"SIGNAL", "VALUE", "WHAT"};

static void add_signal_cell(struct sc_table *table, const char *name, const json_t *value)
{
	int signal = sc_signal_find(name, strlen(name));
	_cleanup_str_ struct sc_str cell = {0};

	sc_str_init_heap(&cell);
	sc_add_quantity(&cell, value,
			signal < 0 ? SC_UNIT_NONE : sc_signal_info((enum sc_signal)signal)->unit);
	sc_table_add(table, &cell);
}

static void render_one(struct sc_str *out, const json_t *target)
{
	json_t *signals = json_object_get(target, "signals");
	_cleanup_table_ struct sc_table table = {0};
	const char *name;
	json_t *value;

	sc_add_text(out, sc_get_text(target, "path", NULL));
	sc_str_addf(out, "  (cgroup id %" JSON_INTEGER_FORMAT ")\n",
		    (json_int_t)sc_get_int(target, "cgroup_id", 0));
	sc_table_init(&table, one_headers, SC_ARRAY_SIZE(one_headers), 1 << 1);
	json_object_foreach (signals, name, value) {
		int signal = sc_signal_find(name, strlen(name));

		sc_table_add_escaped(&table, name);
		add_signal_cell(&table, name, value);
		sc_table_add_text(&table,
				  signal < 0 ? "-" : sc_signal_info((enum sc_signal)signal)->text);
	}
	sc_table_print(&table, out, 0);
}

/* The columns are the signals of the first target; the agent sends the same ones for all. */
static void render_all(struct sc_str *out, const json_t *targets)
{
	json_t *first = json_object_get(json_array_get(targets, 0), "signals");
	const char *headers[SC_TABLE_COLUMNS_MAX];
	_cleanup_table_ struct sc_table table = {0};
	unsigned int columns = 0;
	const char *name;
	json_t *target;
	json_t *value;
	size_t i;

	json_object_foreach (first, name, value) {
		if (columns < SIGNALS_IN_TABLE && sc_signal_find(name, strlen(name)) >= 0)
			headers[columns++] = name;
	}
	headers[columns] = "CGROUP";
	sc_table_init(&table, headers, columns + 1, (1U << columns) - 1);
	json_array_foreach (targets, i, target) {
		for (unsigned int c = 0; c < columns; c++)
			add_signal_cell(
				&table, headers[c],
				json_object_get(json_object_get(target, "signals"), headers[c]));
		sc_table_add_escaped(&table, sc_get_text(target, "path", NULL));
	}
	sc_table_print(&table, out, 0);
}

void sc_render_signals(struct sc_str *out, const json_t *reply)
{
	const json_t *targets = json_object_get(reply, "targets");

	if (json_array_size(targets) == 0)
		sc_str_add(out, "no cgroup is watched\n");
	else
		render_all(out, targets);
}

void sc_render_signals_of(struct sc_str *out, const json_t *reply)
{
	const json_t *targets = json_object_get(reply, "targets");
	json_t *target;
	size_t i;

	json_array_foreach (targets, i, target)
		render_one(out, target);
}

int sc_verb_signals(const struct sc_args *args)
{
	const char *target = args->operand_count ? args->operands[0] : NULL;
	struct sc_question question = {
		.op = SC_OP_SIGNALS,
		.member = "targets",
		.render = target ? sc_render_signals_of : sc_render_signals,
	};

	return sc_ask_and_print(args, &question, json_pack("{s:s*}", "target", target));
}
