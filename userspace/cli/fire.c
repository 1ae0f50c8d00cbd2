/* SPDX-License-Identifier: Apache-2.0 */
/* scram fire CONDITION */
#include "cli/answers.h"
#include "cli/ask.h"
#include "cli/render.h"

const char *sc_fire_subject(const json_t *fire)
{
	const char *group = sc_get_text(fire, "group", NULL);

	return group && *group ? group : sc_get_text(fire, "target", NULL);
}

void sc_render_fire(struct sc_str *out, const json_t *reply)
{
	const char *subject = sc_fire_subject(json_object_get(reply, "fire"));

	sc_str_add(out, "fire ");
	sc_add_text(out, sc_get_text(reply, "fire_id", NULL));
	sc_str_add(out, " on ");
	sc_add_text(out, subject ? subject : sc_get_text(reply, "target", NULL));
	sc_str_add(out, ": ");
	sc_add_text(out, sc_get_text(reply, "dispatch_descriptor", NULL));
	sc_str_add(out, "\n");
	sc_render_timings(out, json_object_get(reply, "fire"), "  ");
	if (sc_get_text(reply, "veto", NULL))
		sc_render_interlocks(out, json_object_get(reply, "interlocks"), 2);
}

int sc_verb_fire(const struct sc_args *args)
{
	bool wait = sc_args_has(args, "wait");
	struct sc_question question = {
		.op = SC_OP_FIRE,
		.timeout_s = wait ? SC_ASK_WAIT_TIMEOUT_S : 0,
		.render = sc_render_fire,
	};
	json_t *request = json_pack(
		"{s:s, s:s, s:s, s:s*, s:b, s:b}", "id", args->operands[0], "reason",
		sc_args_get(args, "reason"), "operator", sc_args_get(args, "operator"), "target",
		sc_args_get(args, "target"), "wait", wait, "force", sc_args_has(args, "force"));

	return sc_ask_and_print(args, &question, request);
}
