/* SPDX-License-Identifier: Apache-2.0 */
/* scram(8), printed from the table of verbs in mdoc(7). */
#include "cli/reference.h"

#include "cli/usage.h"

#include <string.h>

/* Text for roff: backslashes doubled, and no line that begins with a control character. */
static void add_roff(struct sc_str *out, const char *text)
{
	if (*text == '.' || *text == '\'')
		sc_str_add(out, "\\&");
	for (; *text; text++) {
		if (*text == '\\')
			sc_str_add(out, "\\e");
		else if (*text == '"')
			sc_str_add(out, "\\(dq");
		else if (*text == '-' && text[1] == '-')
			sc_str_add(out, "\\-");
		else
			sc_str_addn(out, text, 1);
	}
}

/* One sentence to a line, as mdoc asks for. */
static void add_prose(struct sc_str *out, const char *text)
{
	const char *stop;

	while ((stop = strstr(text, ". ")) != NULL) {
		_cleanup_str_ struct sc_str sentence = {0};

		sc_str_init_heap(&sentence);
		sc_str_addn(&sentence, text, (size_t)(stop - text) + 1);
		add_roff(out, sentence.data);
		sc_str_add(out, "\n");
		text = stop + 2;
	}
	add_roff(out, text);
	sc_str_add(out, "\n");
}

static void add_option(struct sc_str *out, const struct sc_option *option)
{
	sc_str_addf(out, ".It Fl \\-%s", option->name);
	if (option->value) {
		sc_str_add(out, " Ar ");
		add_roff(out, option->value);
	}
	sc_str_add(out, "\n");
	add_prose(out, option->help);
}

static void add_verb(struct sc_str *out, const struct sc_verb *verb)
{
	sc_str_addf(out, ".It Cm %s", verb->name);
	if (*verb->operands) {
		sc_str_add(out, " Ar ");
		add_roff(out, verb->operands);
	}
	sc_str_add(out, "\n");
	add_roff(out, verb->help);
	sc_str_add(out, ".\n");
	if (verb->details)
		add_prose(out, verb->details);
	if (!verb->options)
		return;
	sc_str_add(out, ".Bl -tag -width Ds -compact\n");
	for (const struct sc_option *o = verb->options; o->name; o++)
		add_option(out, o);
	sc_str_add(out, ".El\n");
}

static const char head[] =
	".\\\" Printed by: scram reference man\n"
	".Dd November 22, 2026\n"
	".Dt SCRAM 8\n"
	".Os\n"
	".Sh NAME\n"
	".Nm scram\n"
	".Nd emergency kill-switch of a node\n"
	".Sh SYNOPSIS\n"
	".Nm\n"
	".Ar verb\n"
	".Op Ar operand ...\n"
	".Op Fl \\-option Ar value ...\n"
	".Sh DESCRIPTION\n"
	".Nm\n"
	"counts health signals of every cgroup in the kernel, judges kill conditions by\n"
	"them many times a second, and when one holds and no interlock vetoes, acts at\n"
	"once: it kills or freezes the cgroup, and proves in a journal what it did.\n"
	".Pp\n"
	"Options and operands stand in any order after the verb.\n"
	"Every verb takes these:\n"
	".Bl -tag -width Ds\n";

static const char tail[] = ".El\n"
			   ".Sh FILES\n"
			   ".Bl -tag -width Ds -compact\n"
			   ".It Pa /etc/scram/scram.yaml\n"
			   "the conditions and everything else that is configured\n"
			   ".It Pa /run/scram/control.sock\n"
			   "where the agent listens, for root and the group scram\n"
			   ".It Pa /run/scram/state.json\n"
			   "what the agent last was\n"
			   ".It Pa /var/lib/scram/journal/\n"
			   "what happened, hash-chained\n"
			   ".El\n"
			   ".Sh EXIT STATUS\n"
			   ".Bl -tag -width Ds -compact\n"
			   ".It 0\n"
			   "done\n"
			   ".It 1\n"
			   "failed\n"
			   ".It 2\n"
			   "usage\n"
			   ".It 3\n"
			   "the agent cannot be reached or did not answer\n"
			   ".It 4\n"
			   "vetoed by an interlock\n"
			   ".It 5\n"
			   "waits for the approval of a second person\n"
			   ".It 6\n"
			   "acted, and the outcome could not be confirmed\n"
			   ".El\n"
			   ".Pp\n"
			   ".Cm verify\n"
			   "has its own, listed there.\n";

void sc_reference_man(struct sc_str *out)
{
	size_t n;
	const struct sc_verb *verbs = sc_verbs(&n);

	sc_str_add(out, head);
	for (const struct sc_option *o = sc_common_options; o->name; o++)
		add_option(out, o);
	sc_str_add(out, ".El\n.Sh VERBS\n.Bl -tag -width Ds\n");
	for (size_t i = 0; i < n; i++)
		add_verb(out, &verbs[i]);
	sc_str_add(out, tail);
}
