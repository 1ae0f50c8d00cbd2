/* SPDX-License-Identifier: Apache-2.0 */
/* scram promote, scram demote */
#include "cli/ask.h"
#include "cli/render.h"

static json_t *make_request(const struct sc_args *args)
{
	return json_pack("{s:s, s:s, s:s*}", "id", args->operands[0], "operator",
			 sc_args_operator(args), "reason", sc_args_get(args, "reason"));
}

static void render_promote(struct sc_str *out, const json_t *reply)
{
	(void)reply;
	sc_str_add(out, "promoted: its fires are real from now on\n");
}

static void render_demote(struct sc_str *out, const json_t *reply)
{
	(void)reply;
	sc_str_add(out, "demoted: its fires are dry-runs from now on\n");
}

int sc_verb_promote(const struct sc_args *args)
{
	static const struct sc_question question = {.op = SC_OP_PROMOTE, .render = render_promote};

	return sc_ask_and_print(args, &question, make_request(args));
}

int sc_verb_demote(const struct sc_args *args)
{
	static const struct sc_question question = {.op = SC_OP_DEMOTE, .render = render_demote};

	return sc_ask_and_print(args, &question, make_request(args));
}
