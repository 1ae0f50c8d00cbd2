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
