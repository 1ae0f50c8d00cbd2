/* SPDX-License-Identifier: Apache-2.0 */
/* scram release FIRE|CGROUP */
#include "cli/answers.h"
#include "cli/ask.h"
#include "cli/offline.h"
#include "cli/render.h"

static void add_released(struct sc_str *out, const json_t *fire)
{
	sc_str_add(out, "released ");
	sc_add_text(out, sc_fire_subject(fire));
	sc_str_add(out, " from ");
	sc_add_text(out, sc_get_text(fire, "action", NULL));
	sc_str_add(out, " (fire ");
	sc_add_text(out, sc_get_text(fire, "id", NULL));
	sc_str_add(out, ")\n");
}

void sc_render_release(struct sc_str *out, const json_t *reply)
{
	const json_t *released = json_object_get(reply, "released");
	json_t *entry;
	size_t i;

	json_array_foreach (released, i, entry)
		add_released(out, entry);
	if (json_array_size(released) == 0) {
		sc_add_text(out, sc_get_text(reply, "note", "nothing of scram's stands there"));
		sc_str_add(out, "\n");
	}
}

int sc_verb_release(const struct sc_args *args)
{
	static const struct sc_question question = {.op = SC_OP_RELEASE,
						    .render = sc_render_release};

	if (sc_args_has(args, "offline"))
		return sc_release_offline(args);
	return sc_ask_and_print(args, &question,
				json_pack("{s:s, s:s, s:s*}", "what", args->operands[0], "operator",
					  sc_args_operator(args), "reason",
					  sc_args_get(args, "reason")));
}
