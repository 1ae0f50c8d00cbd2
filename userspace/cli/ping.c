/* SPDX-License-Identifier: Apache-2.0 */
/* scram ping: one round trip, to the agent or to the store. */
#include "cli/ask.h"
#include "cli/render.h"
#include "cli/store.h"

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
	static const char *const ping_store[] = {"--ping-store", NULL};

	if (sc_args_has(args, "store"))
		return sc_store_exec(args, ping_store);
	return sc_ask_and_print(args, &question, json_object());
}
