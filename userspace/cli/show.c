/* SPDX-License-Identifier: Apache-2.0 */
/* scram show FIRE; the evidence and interlock tables are shared with why. */
#include "cli/answers.h"
#include "cli/ask.h"
#include "cli/render.h"

/* Fields of a fire in the order in which people ask for them. */
struct field {
	const char *key;
	const char *label;
	enum { FIELD_TEXT, FIELD_TIME, FIELD_VALUE, FIELD_IF_SET, FIELD_IF_TOLD } type;
};

static const struct field fields[] = {
	{"id", "fire", FIELD_TEXT},
	{"condition_id", "condition", FIELD_TEXT},
	{"target", "target", FIELD_TEXT},
	{"group", "group", FIELD_IF_TOLD},
	{"mode", "mode", FIELD_IF_TOLD},
	{"cgroup_id", "cgroup id", FIELD_VALUE},
	{"action", "action", FIELD_TEXT},
	{"fired_at", "fired at", FIELD_TIME},
	{"fired_by", "fired by", FIELD_TEXT},
	{"principal", "principal", FIELD_TEXT},
	{"reason", "reason", FIELD_IF_TOLD},
	{"state", "state", FIELD_TEXT},
	{"veto", "vetoed by", FIELD_TEXT},
	{"outcome", "outcome", FIELD_TEXT},
	{"dispatched", "dispatched", FIELD_VALUE},
	{"dispatch_result", "result", FIELD_TEXT},
	{"error", "error", FIELD_TEXT},
	{"dry_run", "dry-run", FIELD_IF_SET},
	{"forced", "forced", FIELD_IF_SET},
	{"killed", "killed", FIELD_VALUE},
	{"remaining", "remaining", FIELD_IF_SET},
	{"rekills", "killed again", FIELD_IF_SET},
	{"two_person_status", "two persons", FIELD_TEXT},
	{"second_operator", "second operator", FIELD_TEXT},
	{"second_at", "second at", FIELD_TIME},
	{"supersedes", "follows fire", FIELD_TEXT},
	{"released_at", "released at", FIELD_TIME},
	{"released_by", "released by", FIELD_TEXT},
};

/* Stages of a fire, CLOCK_MONOTONIC, in the order in which they come. */
static const struct {
	const char *key;
	const char *label;
} stages[] = {
	{"detected_ns", "detected"},   {"decided_ns", "decided"}, {"intent_ns", "intent written"},
	{"act_begin_ns", "act begun"}, {"act_end_ns", "acted"},   {"verified_ns", "verified"},
};

static const char *const evidence_headers[] = {"OPERAND", "VALUE", "", "THRESHOLD", "TRUTH"};
static const char *const told_headers[] = {"TIME", "SINK", "TO", "OF", "RESULT"};
static const char *const interlock_headers[] = {"INTERLOCK", "ANSWER", "REASON"};

static void add_field(struct sc_str *out, const struct field *field, const json_t *fire)
{
	const json_t *value = json_object_get(fire, field->key);

	if (!value || json_is_null(value))
		return;
	if (field->type == FIELD_IF_SET && !json_is_true(value) && json_integer_value(value) == 0)
		return;
	if (field->type == FIELD_IF_TOLD && json_string_length(value) == 0)
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
	enum sc_unit unit = sc_unit_find(sc_get_text(operand, "unit", NULL));
	_cleanup_str_ struct sc_str cell = {0};

	sc_str_init_heap(&cell);
	sc_add_quantity(&cell, json_object_get(operand, key), unit);
	sc_table_add(table, &cell);
}

void sc_render_evidence(struct sc_str *out, const json_t *operands, unsigned int indent)
{
	_cleanup_table_ struct sc_table table = {0};
	json_t *o;
	size_t i;

	sc_table_init(&table, evidence_headers, SC_ARRAY_SIZE(evidence_headers), 1 << 1);
	json_array_foreach (operands, i, o) {
		const char *op = sc_get_text(o, "op", "");

		sc_table_add_escaped(&table, sc_get_text(o, "text", NULL));
		add_quantity_cell(&table, o, "value");
		sc_table_add_escaped(&table, op);
		/* A probe is compared with nothing; that is no unknown threshold. */
		if (op[0])
			add_quantity_cell(&table, o, "threshold");
		else
			sc_table_add_escaped(&table, NULL);
		sc_table_add_escaped(&table, sc_get_text(o, "truth", NULL));
	}
	sc_table_print(&table, out, indent);
}

void sc_render_interlocks(struct sc_str *out, const json_t *interlocks, unsigned int indent)
{
	_cleanup_table_ struct sc_table table = {0};
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

void sc_render_timings(struct sc_str *out, const json_t *fire, const char *before)
{
	int64_t first = 0;

	for (size_t i = 0; i < SC_ARRAY_SIZE(stages); i++) {
		int64_t at = sc_get_int(fire, stages[i].key, 0);
		json_t *us;

		if (at <= 0)
			continue;
		if (first == 0) {
			first = at;
			sc_str_addf(out, "%s%s", before, stages[i].label);
			continue;
		}
		us = json_real((double)(at - first) / 1e3);
		sc_str_addf(out, ", %s after ", stages[i].label);
		sc_add_us(out, us);
		json_decref(us);
	}
	if (first)
		sc_str_add(out, "\n");
}

static void add_told(struct sc_str *out, const json_t *told)
{
	_cleanup_table_ struct sc_table table = {0};
	json_t *t;
	size_t i;

	sc_table_init(&table, told_headers, SC_ARRAY_SIZE(told_headers), 0);
	json_array_foreach (told, i, t) {
		_cleanup_str_ struct sc_str time = {0};

		sc_str_init_heap(&time);
		sc_add_time(&time, sc_get_text(t, "at", NULL));
		sc_table_add(&table, &time);
		sc_table_add_escaped(&table, sc_get_text(t, "sink", NULL));
		sc_table_add_escaped(&table, sc_get_text(t, "to", NULL));
		sc_table_add_escaped(&table, sc_get_text(t, "of", NULL));
		sc_table_add_escaped(&table, sc_get_bool(t, "ok")
						     ? "delivered"
						     : sc_get_text(t, "why", "failed"));
	}
	sc_table_print(&table, out, 2);
}

void sc_render_show(struct sc_str *out, const json_t *reply)
{
	const json_t *fire = json_object_get(reply, "fire");
	const json_t *snapshot = json_object_get(fire, "state_snapshot");
	const json_t *operands = json_object_get(snapshot, "operands");
	const json_t *left = json_object_get(fire, "left");
	const json_t *told = json_object_get(fire, "told");

	for (size_t i = 0; i < SC_ARRAY_SIZE(fields); i++)
		add_field(out, &fields[i], fire);
	sc_render_timings(out, fire, "timings          ");
	if (operands) {
		sc_str_add(out, "\nevidence\n");
		sc_render_evidence(out, operands, 2);
	} else if (json_object_size(snapshot)) {
		sc_str_add(out, "\nevidence\n");
		sc_add_tree(out, snapshot, 1);
	}
	if (json_array_size(left)) {
		sc_str_add(out, "\nleft\n");
		sc_add_tree(out, left, 1);
	}
	if (json_array_size(told)) {
		sc_str_add(out, "\ntold\n");
		add_told(out, told);
	}
}

/* Who was left, and who was told, stand beside the fire; people and scripts look for it inside. */
static void adapt(json_t *reply)
{
	json_t *fire = json_object_get(reply, "fire");
	json_t *left = json_object_get(reply, "left");
	json_t *told = json_object_get(reply, "told");

	if (json_is_object(fire) && left)
		json_object_set(fire, "left", left);
	if (json_is_object(fire) && told)
		json_object_set(fire, "told", told);
}

int sc_verb_show(const struct sc_args *args)
{
	static const struct sc_question question = {
		.op = SC_OP_SHOW, .member = "fire", .render = sc_render_show, .adapt = adapt};

	return sc_ask_and_print(args, &question, json_pack("{s:s}", "fire", args->operands[0]));
}
