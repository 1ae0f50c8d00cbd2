/* SPDX-License-Identifier: Apache-2.0 */
/* scram breaker [COMPONENT [STATE]] */
#include "cli/answers.h"
#include "cli/ask.h"
#include "cli/render.h"

#include <string.h>

static const char *const states[] = {"forced-open", "forced-closed", "disabled", "metrics-only",
				     "auto"};

static bool is_state(const char *name)
{
	for (size_t i = 0; i < SC_ARRAY_SIZE(states); i++)
		if (strcmp(states[i], name) == 0)
			return true;
	return false;
}

static void render_set(struct sc_str *out, const json_t *reply)
{
	sc_str_add(out, "the breaker of ");
	sc_add_text(out, sc_get_text(reply, "component", NULL));
	sc_str_add(out, " is ");
	sc_add_text(out, sc_get_text(reply, "state", NULL));
	sc_str_add(out, " from now on\n");
}

static int set(const struct sc_args *args)
{
	static const struct sc_question question = {.op = SC_OP_BREAKER, .render = render_set};
	const char *state = args->operands[1];

	if (!is_state(state))
		return sc_complain(args, SC_EXIT_USAGE,
				   "a breaker is set to forced-open, forced-closed, disabled, "
				   "metrics-only or auto, not %s",
				   state);
	if (!sc_args_has(args, "reason"))
		return sc_complain(args, SC_EXIT_USAGE,
				   "a change needs --reason TEXT: why, for the record");
	return sc_ask_and_print(args, &question,
				json_pack("{s:s, s:s, s:s, s:s}", "component", args->operands[0],
					  "state", state, "operator", sc_args_operator(args),
					  "reason", sc_args_get(args, "reason")));
}

/* Leaves the named component in the array alone, or empties it. */
static void keep_only(json_t *components, const char *name)
{
	for (size_t i = json_array_size(components); i-- > 0;)
		if (strcmp(sc_get_text(json_array_get(components, i), "name", ""), name) != 0)
			json_array_remove(components, i);
}

int sc_verb_breaker(const struct sc_args *args)
{
	static const struct sc_question question = {.op = SC_OP_STATUS};
	_cleanup_str_ struct sc_str out = {0};
	json_t *reply = NULL;
	json_t *components;
	int status;

	if (args->operand_count == 2)
		return set(args);
	status = sc_ask(args, &question, json_object(), &reply);
	if (!reply)
		return status;
	sc_str_init_heap(&out);
	components = json_object_get(reply, "components");
	if (args->operand_count == 1) {
		keep_only(components, args->operands[0]);
		if (status == SC_EXIT_DONE && json_array_size(components) == 0)
			status = sc_complain(args, SC_EXIT_FAILED,
					     "component %s is not declared; `scram breaker` lists "
					     "them",
					     args->operands[0]);
	}
	if (status == SC_EXIT_DONE && args->json) {
		status = sc_print_json(reply, "components");
	} else if (status == SC_EXIT_DONE) {
		sc_render_components(&out, reply);
		status = sc_print_text(&out);
	}
	json_decref(reply);
	return status;
}
