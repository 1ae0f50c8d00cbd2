/* SPDX-License-Identifier: Apache-2.0 */
/* scram ping: one round trip. */
#include "cli/ask.h"
#include "cli/render.h"

#include <inttypes.h>

static void render(struct sc_str *out, const json_t *reply)
{
	sc_str_addf(out, "the agent answers: pid %" PRId64 ", version ",
		    sc_get_int(reply, "pid", 0));
	sc_add_text(out, sc_get_text(reply, "version", NULL));
	sc_str_add(out, " (");
	sc_add_text(out, sc_get_text(reply, "commit", NULL));
	sc_str_add(out, ")\n");
}

int sc_verb_ping(const struct sc_args *args)
{
	static const struct sc_question question = {.op = SC_OP_PING, .render = render};

	return sc_ask_and_print(args, &question, json_object());
}
