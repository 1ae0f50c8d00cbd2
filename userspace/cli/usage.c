/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/usage.h"

#include <string.h>

#define WIDTH 78

void sc_usage_wrap(struct sc_str *out, const char *text, unsigned int indent)
{
	size_t column = 0;

	while (*text) {
		size_t n = strcspn(text, " ");

		if (column && column + 1 + n > WIDTH) {
			sc_str_add(out, "\n");
			column = 0;
		}
		if (column)
			sc_str_add(out, " ");
		else
			sc_str_addf(out, "%*s", (int)indent, "");
		sc_str_addn(out, text, n);
		column = (column ? column + 1 : indent) + n;
		text += n + strspn(text + n, " ");
	}
	sc_str_add(out, "\n");
}

void sc_usage_option(struct sc_str *out, const struct sc_option *option)
{
	sc_str_addf(out, "--%s", option->name);
	if (option->value)
		sc_str_addf(out, " %s", option->value);
}

void sc_usage_line(struct sc_str *out, const struct sc_verb *verb)
{
	sc_str_addf(out, "scram %s", verb->name);
	if (*verb->operands)
		sc_str_addf(out, " %s", verb->operands);
	for (const struct sc_option *o = verb->options; o && o->name; o++) {
		sc_str_add(out, o->required ? " " : " [");
		sc_usage_option(out, o);
		if (!o->required)
			sc_str_add(out, "]");
	}
}

static void add_option(struct sc_str *out, const struct sc_option *option)
{
	char left[64];
	struct sc_str text;

	sc_str_init(&text, left, sizeof(left));
	sc_usage_option(&text, option);
	sc_str_addf(out, "  %-22s  %s\n", left, option->help);
}

void sc_usage_verb(struct sc_str *out, const struct sc_verb *verb)
{
	sc_str_add(out, "Usage: ");
	sc_usage_line(out, verb);
	sc_str_addf(out, "\n\n%s\n", verb->help);
	if (verb->details) {
		sc_str_add(out, "\n");
		sc_usage_wrap(out, verb->details, 0);
	}
	sc_str_add(out, "\nOptions, before or after the operands:\n");
	for (const struct sc_option *o = verb->options; o && o->name; o++)
		add_option(out, o);
	for (const struct sc_option *o = sc_common_options; o->name; o++)
		if (sc_verb_takes(verb, o))
			add_option(out, o);
}

void sc_usage_all(struct sc_str *out)
{
	size_t n;
	const struct sc_verb *verbs = sc_verbs(&n);

	sc_str_add(out, "scram: the emergency kill-switch of this node\n\n"
			"Usage: scram VERB [OPERANDS] [OPTIONS]\n\nVerbs:\n");
	for (size_t i = 0; i < n; i++)
		sc_str_addf(out, "  %-14s%s\n", verbs[i].name, verbs[i].help);
	sc_str_add(out, "\nExit status: 0 done, 1 failed, 2 usage, 3 agent unreachable, 4 vetoed, "
			"5 pending "
			"approval,\n6 acted but not confirmed. More: scram help VERB, man scram\n");
}
