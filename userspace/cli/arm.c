/* SPDX-License-Identifier: Apache-2.0 */
/* scram arm, scram disarm */
#include "cli/ask.h"
#include "cli/render.h"

static json_t *make_request(const struct sc_args *args)
{
	return json_pack("{s:s, s:s*}", "operator", sc_args_operator(args), "reason",
			 sc_args_get(args, "reason"));
}

static void render_arm(struct sc_str *out, const json_t *reply)
{
	(void)reply;
	sc_str_add(out, "armed: the agent may act\n");
}

static void render_disarm(struct sc_str *out, const json_t *reply)
{
	(void)reply;
	sc_str_add(out,
		   "disarmed: nothing fires until scram arm; what is in force stays in force\n");
}

int sc_verb_arm(const struct sc_args *args)
{
	static const struct sc_question question = {.op = SC_OP_ARM, .render = render_arm};

	return sc_ask_and_print(args, &question, make_request(args));
}

int sc_verb_disarm(const struct sc_args *args)
{
	static const struct sc_question question = {.op = SC_OP_DISARM, .render = render_disarm};

	return sc_ask_and_print(args, &question, make_request(args));
}
