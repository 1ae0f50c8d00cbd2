/* SPDX-License-Identifier: Apache-2.0 */
/* scram help [VERB] */
#include "cli/ask.h"
#include "cli/usage.h"

int sc_verb_help(const struct sc_args *args)
{
	const struct sc_verb *verb = NULL;
	_cleanup_str_ struct sc_str out = {0};

	sc_str_init_heap(&out);
	if (args->operand_count) {
		verb = sc_verb_find(args->operands[0]);
		if (!verb)
			return sc_complain(args, SC_EXIT_USAGE, "there is no verb %s",
					   args->operands[0]);
		sc_usage_verb(&out, verb);
	} else {
		sc_usage_all(&out);
	}
	return sc_print_text(&out);
}
