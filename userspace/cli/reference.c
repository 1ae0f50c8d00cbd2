/* SPDX-License-Identifier: Apache-2.0 */
/* scram reference [TOPIC] */
#include "cli/reference.h"

#include "cli/ask.h"
#include "cli/usage.h"

#include <scram/action.h>
#include <scram/breaker.h>
#include <scram/condition.h>
#include <scram/config.h>
#include <scram/interlock.h>
#include <scram/messages.h>
#include <scram/predicate.h>
#include <scram/signal.h>

#include <ctype.h>
#include <string.h>

static const struct sc_topic topics[];
static const size_t topic_count;

const struct sc_topic *sc_topics(size_t *count)
{
	*count = topic_count;
	return topics;
}

static void add_option_row(struct sc_str *out, const struct sc_option *option)
{
	_cleanup_str_ struct sc_str name = {0};

	sc_str_init_heap(&name);
	sc_usage_option(&name, option);
	sc_str_add(out, "| `");
	for (const char *c = name.data; *c; c++)
		sc_str_addf(out, "%s%c", *c == '|' ? "\\" : "", *c);
	sc_str_addf(out, "` | %s%s |\n", option->help, option->required ? "; required" : "");
}

static void print_verbs(struct sc_str *out)
{
	size_t n;
	const struct sc_verb *verbs = sc_verbs(&n);

	sc_str_add(out,
		   "# Verbs\n\n"
		   "Options and operands stand in any order after the verb; `--name value` and "
		   "`--name=value` are the same. Exit status: 0 done, 1 failed, 2 usage, 3 agent "
		   "unreachable, 4 vetoed, 5 pending approval, 6 acted but not confirmed; `verify` "
		   "has "
		   "its own.\n\nEvery verb takes:\n\n| option | |\n|---|---|\n");
	for (const struct sc_option *o = sc_common_options; o->name; o++) {
		bool reads = strcmp(o->name, "json") == 0;

		sc_str_add(out, "| `");
		sc_usage_option(out, o);
		sc_str_addf(out, "` | %s%s |\n", o->help,
			    reads ? "; only where it is named below" : "");
	}
	for (size_t i = 0; i < n; i++) {
		sc_str_addf(out, "\n## %s\n\n`", verbs[i].name);
		sc_usage_line(out, &verbs[i]);
		sc_str_addf(out, "%s`\n\n%c%s.\n",
			    verbs[i].kind == SC_VERB_READS ? " [--json]" : "",
			    toupper((unsigned char)verbs[i].help[0]), verbs[i].help + 1);
		if (verbs[i].details)
			sc_str_addf(out, "\n%s\n", verbs[i].details);
		if (verbs[i].options)
			sc_str_add(out, "\n| option | |\n|---|---|\n");
		for (const struct sc_option *o = verbs[i].options; o && o->name; o++)
			add_option_row(out, o);
	}
}

static const char *unit_name(enum sc_unit unit)
{
	switch (unit) {
	case SC_UNIT_NS:
		return "duration";
	case SC_UNIT_BYTES:
		return "bytes";
	case SC_UNIT_RATIO:
		return "ratio";
	case SC_UNIT_NONE:
	case SC_UNIT_COUNT:
		return "number";
	}
	return "number";
}

static void print_signals(struct sc_str *out)
{
	sc_str_add(
		out,
		"# Signals\n\n"
		"A parent's value includes its subtree. A signal whose feature is missing on the "
		"host is "
		"unknown, which never fires and never looks healthy; `scram doctor` says why.\n\n"
		"| signal | kind | unit | feature | what |\n|---|---|---|---|---|\n");
	for (int s = 0; s < SC_SIGNAL_COUNT; s++) {
		const struct sc_signal_info *info = sc_signal_info((enum sc_signal)s);

		sc_str_addf(out, "| `%s` | %s | %s | %s | %s |\n", info->name,
			    info->type == SC_TYPE_COUNTER ? "counter" : "gauge",
			    unit_name(info->unit), sc_feature_name(info->feature), info->text);
	}
}

static void print_functions(struct sc_str *out)
{
	sc_str_add(out, "# Functions\n\n| function | value |\n|---|---|\n");
	for (size_t i = 0; i < sc_functions_count(); i++) {
		struct sc_function_info info = sc_function_info(i);

		sc_str_addf(out, "| `%s` | %s |\n", info.usage, info.text);
	}
}

static void print_interlocks(struct sc_str *out)
{
	sc_str_add(
		out,
		"# Interlocks\n\n"
		"Checks that can veto a fire and never ask for one, in their order: the first veto "
		"is *the* veto, every reason is recorded.\n\n");
	sc_interlocks_print_reference(out);
}

static void print_actions(struct sc_str *out)
{
	sc_str_add(out, "# Actions\n\n| kind | what | undo | available |\n|---|---|---|---|\n");
	for (int k = 0; k < SC_ACTION_KIND_COUNT; k++) {
		const struct sc_action_ops *ops = sc_action_ops_of((enum sc_action_kind)k);

		sc_str_addf(out, "| `%s` | %s | %s | %s |\n",
			    sc_action_kind_name((enum sc_action_kind)k), ops->text,
			    ops->is_reversible ? "release" : "none",
			    ops->is_available ? "yes" : "not yet: refuses to arm");
	}
}

static void print_config(struct sc_str *out)
{
	sc_str_add(out, "# Configuration\n\n");
	sc_config_print_reference(out);
}

static void print_states(struct sc_str *out)
{
	sc_str_add(out, "# States of a condition on a target\n\n"
			"One fire per latch: a predicate that stays true does not fire again.\n\n"
			"```mermaid\n");
	sc_fsm_print_diagram(out);
	sc_str_add(out,
		   "```\n\n# States of a component's breaker\n\n"
		   "Nothing waits for ever but what an operator ordered: open and half-open end by "
		   "time alone. Metrics-only goes\nthrough closed, open and half-open, and cuts "
		   "nothing.\n\n"
		   "```mermaid\n");
	sc_breaker_print_diagram(out);
	sc_str_add(out,
		   "```\n\n"
		   "A wait that `half_open_failed` ends in is twice the last one, up to "
		   "`open_max`; `half_open_untried` waits as\nlong as before; `recovered` forgets "
		   "the waits. What an operator forced begins anew, closed, when the order is\n"
		   "taken back. The waits go on while the agent is down; after a reboot they are "
		   "over, and the breaker looks at once.\n");
}

static void list_topics(struct sc_str *out)
{
	sc_str_add(out, "Usage: scram reference TOPIC\n\nTopics:\n");
	for (size_t i = 0; i < topic_count; i++)
		sc_str_addf(out, "  %-12s%s\n", topics[i].name, topics[i].help);
}

int sc_verb_reference(const struct sc_args *args)
{
	const struct sc_topic *topic = NULL;
	_cleanup_str_ struct sc_str out = {0};

	sc_str_init_heap(&out);
	for (size_t i = 0; args->operand_count && i < topic_count; i++)
		if (strcmp(topics[i].name, args->operands[0]) == 0)
			topic = &topics[i];
	if (args->operand_count && !topic)
		return sc_complain(args, SC_EXIT_USAGE,
				   "there is no topic %s; see: scram reference", args->operands[0]);
	if (topic)
		topic->print(&out);
	else
		list_topics(&out);
	return sc_print_text(&out);
}

static const struct sc_topic topics[] = {
	{"verbs", "the command line", print_verbs},
	{"config", "the keys of the configuration", print_config},
	{"signals", "what is measured", print_signals},
	{"functions", "of the predicate language", print_functions},
	{"interlocks", "what can veto a fire", print_interlocks},
	{"actions", "what a fire does", print_actions},
	{"states", "the state machine of a condition", print_states},
	{"messages", "what others are told of", sc_messages_print_reference},
	{"catalog", "the same for journalctl -x", sc_messages_print_catalog},
	{"man", "the manual page", sc_reference_man},
};
static const size_t topic_count = SC_ARRAY_SIZE(topics);
