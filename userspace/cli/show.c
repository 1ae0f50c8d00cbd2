/* SPDX-License-Identifier: Apache-2.0 */
/* scram show FIRE; the evidence and interlock tables are shared with why. */
#include "cli/answers.h"
#include "cli/ask.h"
#include "cli/render.h"

#include <string.h>

/* Fields of a fire in the order in which people ask for them. */
struct field {
	const char *key;
	const char *label;
	enum { FIELD_TEXT, FIELD_TIME, FIELD_VALUE } type;
};

static const struct field fields[] = {
	{"id", "fire", FIELD_TEXT},
	{"condition_id", "condition", FIELD_TEXT},
	{"target", "target", FIELD_TEXT},
	{"cgroup_id", "cgroup id", FIELD_VALUE},
	{"action", "action", FIELD_TEXT},
	{"fired_at", "fired at", FIELD_TIME},
	{"fired_by", "fired by", FIELD_TEXT},
	{"principal", "principal", FIELD_TEXT},
	{"reason", "reason", FIELD_TEXT},
	{"state", "state", FIELD_TEXT},
	{"outcome", "outcome", FIELD_TEXT},
	{"dispatched", "dispatched", FIELD_VALUE},
	{"dispatch_descriptor", "said", FIELD_TEXT},
	{"dispatch_result", "result", FIELD_VALUE},
	{"error", "error", FIELD_TEXT},
	{"dry_run", "dry-run", FIELD_VALUE},
	{"forced", "forced", FIELD_VALUE},
	{"killed", "killed", FIELD_VALUE},
	{"two_person_status", "two persons", FIELD_TEXT},
	{"second_operator", "second operator", FIELD_TEXT},
	{"second_at", "second at", FIELD_TIME},
	{"expires_at", "expires at", FIELD_TIME},
	{"released_at", "released at", FIELD_TIME},
};

static const struct {
	const char *key;
	const char *label;
} stages[] = {
	{"detect_us", "detected"}, {"decide_us", "decided"}, {"intent_us", "intent written"},
	{"write_us", "acted"},     {"empty_us", "verified"},
};

static const char *const evidence_headers[] = {"OPERAND", "VALUE", "", "THRESHOLD", "TRUTH"};
static const char *const interlock_headers[] = {"INTERLOCK", "ANSWER", "REASON"};

static void add_field(struct sc_str *out, const struct field *field, const json_t *fire)
{
	const json_t *value = json_object_get(fire, field->key);

	if (!value || json_is_null(value))
		return;
	sc_str_addf(out, "%-15s  ", field->label);
	if (field->type == FIELD_TIME)
		sc_add_time(out, json_string_value(value));
	else
		sc_add_value(out, value);
	sc_str_add(out, "\n");
}

static void add_quantity_cell(struct sc_table *table, const json_t *operand, const char *key)
{
	_cleanup_str_ struct sc_str cell;

	sc_str_init_heap(&cell);
	sc_add_quantity(&cell, json_object_get(operand, key), sc_get_text(operand, "unit", ""));
	sc_table_add(table, &cell);
}

void sc_render_evidence(struct sc_str *out, const json_t *operands, unsigned int indent)
{
	_cleanup_table_ struct sc_table table;
	json_t *o;
	size_t i;

	sc_table_init(&table, evidence_headers, SC_ARRAY_SIZE(evidence_headers), 1 << 1);
	json_array_foreach (operands, i, o) {
		sc_table_add_escaped(&table, sc_get_text(o, "text", NULL));
		add_quantity_cell(&table, o, "value");
		sc_table_add_escaped(&table, sc_get_text(o, "op", NULL));
		add_quantity_cell(&table, o, "threshold");
		sc_table_add_escaped(&table, sc_get_text(o, "truth", NULL));
	}
	sc_table_print(&table, out, indent);
}

void sc_render_interlocks(struct sc_str *out, const json_t *interlocks, unsigned int indent)
{
	_cleanup_table_ struct sc_table table;
	json_t *lock;
	size_t i;

	sc_table_init(&table, interlock_headers, SC_ARRAY_SIZE(interlock_headers), 0);
	json_array_foreach (interlocks, i, lock) {
		sc_table_add_escaped(&table, sc_get_text(lock, "name", NULL));
		sc_table_add_text(&table, sc_get_bool(lock, "veto") ? "VETO" : "pass");
		sc_table_add_escaped(&table, sc_get_text(lock, "text", NULL));
	}
	sc_table_print(&table, out, indent);
}

static void add_timings(struct sc_str *out, const json_t *timings)
{
	const char *before = "timings          ";

	for (size_t i = 0; i < SC_ARRAY_SIZE(stages); i++) {
		const json_t *us = json_object_get(timings, stages[i].key);

		if (!json_is_number(us))
			continue;
		sc_str_addf(out, "%s%s ", before, stages[i].label);
		sc_add_us(out, us);
		before = ", ";
	}
	if (*before == ',')
		sc_str_add(out, "\n");
}

static void add_section(struct sc_str *out, const char *title, const json_t *value)
{
	bool empty = json_is_object(value) ? json_object_size(value) == 0
					   : json_array_size(value) == 0;

	if (empty)
		return;
	sc_str_addf(out, "\n%s\n", title);
	if (strcmp(title, "evidence") == 0 && json_is_array(value))
		sc_render_evidence(out, value, 2);
	else if (strcmp(title, "interlocks") == 0)
		sc_render_interlocks(out, value, 2);
	else
		sc_add_tree(out, value, 1);
}

void sc_render_show(struct sc_str *out, const json_t *reply)
{
	const json_t *fire = json_object_get(reply, "fire");
	const json_t *evidence = json_object_get(fire, "evidence");

	for (size_t i = 0; i < SC_ARRAY_SIZE(fields); i++)
		add_field(out, &fields[i], fire);
	add_timings(out, json_object_get(fire, "timings"));
	if (!evidence || json_is_null(evidence))
		evidence = json_object_get(fire, "state_snapshot");
	add_section(out, "evidence", evidence);
	add_section(out, "interlocks", json_object_get(fire, "interlocks"));
	add_section(out, "left", json_object_get(fire, "left"));
}

int sc_verb_show(const struct sc_args *args)
{
	static const struct sc_question question = {
		.op = SC_OP_SHOW, .member = "fire", .render = sc_render_show};

	return sc_ask_and_print(args, &question, json_pack("{s:s}", "fire", args->operands[0]));
}
