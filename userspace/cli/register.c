/* SPDX-License-Identifier: Apache-2.0 */
/* scram register FILE|-, scram unregister CONDITION */
#include "cli/ask.h"
#include "cli/render.h"

#include <string.h>

static void render_registered(struct sc_str *out, const json_t *reply)
{
	const json_t *ids = json_object_get(reply, "registered");
	json_t *id;
	size_t i;

	json_array_foreach (ids, i, id) {
		sc_str_add(out, "registered ");
		sc_add_value(out, id);
		sc_str_add(out, "\n");
	}
}

static void render_unregistered(struct sc_str *out, const json_t *reply)
{
	sc_add_text(out, sc_get_text(reply, "id", NULL));
	sc_str_add(out, sc_get_bool(reply, "removed_from_memory") ? " is deleted\n"
								  : " was not there\n");
}

/* One condition, an array, or {"conditions": [...]}: the last is what the agent takes. Owned by the
 * caller. */
static json_t *wrap(json_t *root)
{
	json_t *list = json_object_get(root, "conditions");

	if (json_is_array(list))
		return root;
	if (json_is_array(root))
		return json_pack("{s:o}", "conditions", root);
	return json_pack("{s:[o]}", "conditions", root);
}

int sc_verb_register(const struct sc_args *args)
{
	static const struct sc_question question = {.op = SC_OP_REGISTER,
						    .render = render_registered};
	const char *name = args->operands[0];
	bool is_stdin = strcmp(name, "-") == 0;
	json_error_t why;
	json_t *root = is_stdin ? json_loadf(stdin, JSON_REJECT_DUPLICATES, &why)
				: json_load_file(name, JSON_REJECT_DUPLICATES, &why);

	if (!root && why.line <= 0)
		return sc_complain(args, SC_EXIT_FAILED, "%s", why.text);
	if (!root)
		return sc_complain(args, SC_EXIT_FAILED, "%s:%d:%d: %s", name, why.line, why.column,
				   why.text);
	return sc_ask_and_print(args, &question, wrap(root));
}

int sc_verb_unregister(const struct sc_args *args)
{
	static const struct sc_question question = {.op = SC_OP_UNREGISTER,
						    .render = render_unregistered};

	return sc_ask_and_print(args, &question,
				json_pack("{s:s, s:s, s:s*}", "id", args->operands[0], "operator",
					  sc_args_operator(args), "reason",
					  sc_args_get(args, "reason")));
}
