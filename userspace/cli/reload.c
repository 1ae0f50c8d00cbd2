/* SPDX-License-Identifier: Apache-2.0 */
/* scram reload */
#include "cli/ask.h"
#include "cli/render.h"

#include <inttypes.h>

static void render(struct sc_str *out, const json_t *reply)
{
	const json_t *conditions = json_object_get(reply, "conditions");

	sc_str_add(out, "reloaded");
	if (json_is_integer(conditions))
		sc_str_addf(out, ": %" JSON_INTEGER_FORMAT " conditions",
			    json_integer_value(conditions));
	sc_str_add(out, ", digest ");
	sc_add_text(out, sc_get_text(reply, "digest", NULL));
	sc_str_add(out, "\n");
}

int sc_verb_reload(const struct sc_args *args)
{
	static const struct sc_question question = {.op = SC_OP_RELOAD, .render = render};

	return sc_ask_and_print(args, &question, json_object());
}
