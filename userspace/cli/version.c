/* SPDX-License-Identifier: Apache-2.0 */
/* scram version */
#include "cli/ask.h"
#include "version.h"

int sc_verb_version(const struct sc_args *args)
{
	_cleanup_str_ struct sc_str out = {0};

	sc_str_init_heap(&out);
	if (args->json)
		sc_str_addf(&out, "{\"version\": \"%s\", \"commit\": \"%s\"}\n", SC_VERSION,
			    SC_COMMIT);
	else
		sc_str_addf(&out, "scram %s (%s)\n", SC_VERSION, SC_COMMIT);
	return sc_print_text(&out);
}
