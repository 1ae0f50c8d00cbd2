/* SPDX-License-Identifier: Apache-2.0 */
/* scram fire CONDITION */
#include "cli/answers.h"
#include "cli/ask.h"
#include "cli/render.h"

/* The veto is a name, or an object that also says why. */
static void add_veto(struct sc_str *out, const json_t *veto)
{
	sc_str_add(out, "  vetoed by ");
	if (json_is_object(veto)) {
		sc_add_text(out, sc_get_text(veto, "name", NULL));
		sc_str_add(out, ": ");
		sc_add_text(out, sc_get_text(veto, "text", NULL));
	} else {
		sc_add_value(out, veto);
	}
	sc_str_add(out, "\n");
}

static void add_pair(struct sc_str *out, const char *before, const json_t *us)
{
	if (!json_is_number(us))
		return;
	sc_str_add(out, before);
	sc_add_us(out, us);
}

void sc_render_fire(struct sc_str *out, const json_t *reply)
{
	const json_t *timings = json_object_get(reply, "timings");
	const json_t *veto = json_object_get(reply, "veto");
	const char *outcome = sc_get_text(reply, "outcome", NULL);

	sc_str_add(out, "fire ");
	sc_add_text(out, sc_get_text(reply, "fire_id", NULL));
	sc_str_add(out, sc_get_bool(reply, "dispatched") ? " dispatched" : " not dispatched");
	if (sc_get_text(reply, "dispatch_descriptor", NULL)) {
		sc_str_add(out, ": ");
		sc_add_text(out, sc_get_text(reply, "dispatch_descriptor", NULL));
	}
	sc_str_add(out, "\n");
	if (veto && !json_is_null(veto))
		add_veto(out, veto);
	if (outcome) {
		sc_str_add(out, "  outcome ");
		sc_add_text(out, outcome);
		add_pair(out, ", acted after ", json_object_get(timings, "write_us"));
		add_pair(out, ", verified after ", json_object_get(timings, "empty_us"));
		sc_str_add(out, "\n");
	}
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
