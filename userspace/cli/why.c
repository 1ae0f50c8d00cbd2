/* SPDX-License-Identifier: Apache-2.0 */
/* scram why CONDITION [CGROUP] */
#include "cli/answers.h"
#include "cli/ask.h"
#include "cli/render.h"

static void add_target(struct sc_str *out, const json_t *target)
{
	const json_t *held = json_object_get(target, "held_s");
	const json_t *eval = json_object_get(target, "eval_us");

	sc_str_add(out, "\n");
	sc_add_text(out, sc_get_text(target, "path", "(the host)"));
	sc_str_add(out, ": ");
	sc_add_text(out, sc_get_text(target, "truth", NULL));
	sc_str_add(out, ", ");
	sc_add_text(out, sc_get_text(target, "state", NULL));
	if (json_is_number(held)) {
		sc_str_add(out, ", held for ");
		sc_add_age(out, json_number_value(held));
	}
	if (json_is_number(eval)) {
		sc_str_add(out, ", judged in ");
		sc_add_us(out, eval);
	}
	sc_str_add(out, "\n");
	sc_render_evidence(out, json_object_get(target, "operands"), 2);
	sc_render_interlocks(out, json_object_get(target, "interlocks"), 2);
}

/* What it last said, and why it says nothing. */
static void add_answer(struct sc_table *table, const json_t *probe)
{
	const json_t *answer = json_object_get(probe, "answer");
	const json_t *age = json_object_get(probe, "age_s");
	_cleanup_str_ struct sc_str cell = {0};

	sc_table_add_escaped(table, sc_get_text(probe, "name", NULL));
	sc_table_add_text(table, json_is_true(answer)    ? "yes"
				 : json_is_false(answer) ? "no"
							 : "unknown");
	sc_str_init_heap(&cell);
	if (json_is_number(age))
		sc_add_age(&cell, json_number_value(age));
	else
		sc_str_add(&cell, "-");
	sc_table_add(table, &cell);
	sc_table_add_escaped(table, sc_get_text(probe, "reason", NULL));
}

static void add_probes(struct sc_str *out, const json_t *probes, unsigned int indent)
{
	static const char *const headers[] = {"PROBE", "ANSWER", "AGE", "REASON"};
	_cleanup_table_ struct sc_table table = {0};
	json_t *probe;
	size_t i;

	sc_table_init(&table, headers, SC_ARRAY_SIZE(headers), 0);
	json_array_foreach (probes, i, probe)
		add_answer(&table, probe);
	sc_table_print(&table, out, indent);
}

void sc_render_why(struct sc_str *out, const json_t *reply)
{
	const json_t *targets = json_object_get(reply, "targets");
	const char *words = sc_get_text(reply, "description_in_words", NULL);
	json_t *target;
	size_t i;

	sc_add_text(out, sc_get_text(reply, "condition", NULL));
	if (words && *words) {
		sc_str_add(out, ": ");
		sc_add_text(out, words);
	}
	sc_str_add(out, "\n");
	add_probes(out, json_object_get(reply, "probes"), 0);
	json_array_foreach (targets, i, target)
		add_target(out, target);
	if (json_array_size(targets) == 0)
		sc_str_add(out, "\nno cgroup is in its scope now\n");
}

int sc_verb_why(const struct sc_args *args)
{
	static const struct sc_question question = {.op = SC_OP_WHY, .render = sc_render_why};
	const char *target = args->operand_count > 1 ? args->operands[1] : NULL;

	return sc_ask_and_print(
		args, &question,
		json_pack("{s:s, s:s*}", "condition", args->operands[0], "target", target));
}
