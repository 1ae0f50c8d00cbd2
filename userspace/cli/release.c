/* SPDX-License-Identifier: Apache-2.0 */
/* scram release FIRE|CGROUP */
#include "cli/answers.h"
#include "cli/ask.h"
#include "cli/offline.h"
#include "cli/render.h"

/* Each entry is a text, or an object that names a fire and its target. */
static void add_released(struct sc_str *out, const json_t *entry)
{
	sc_str_add(out, "released ");
	if (!json_is_object(entry)) {
		sc_add_value(out, entry);
	} else {
		sc_add_text(out, sc_get_text(entry, "target", NULL));
		sc_str_add(out, " (fire ");
		sc_add_text(out, sc_get_text(entry, "fire_id", sc_get_text(entry, "id", NULL)));
		sc_str_add(out, ")");
		if (sc_get_text(entry, "outcome", NULL)) {
			sc_str_add(out, ": ");
			sc_add_text(out, sc_get_text(entry, "outcome", NULL));
		}
	}
	sc_str_add(out, "\n");
}

void sc_render_release(struct sc_str *out, const json_t *reply)
{
	const json_t *released = json_object_get(reply, "released");
	json_t *entry;
	size_t i;

	json_array_foreach (released, i, entry)
		add_released(out, entry);
	if (json_array_size(released) == 0)
		sc_str_add(out, "nothing was in force there\n");
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
