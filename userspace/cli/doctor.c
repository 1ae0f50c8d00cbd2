/* SPDX-License-Identifier: Apache-2.0 */
/* scram doctor: the agent's findings, or with the agent dead what can be seen without it
 * (checks.c). */
#include "cli/answers.h"
#include "cli/ask.h"
#include "cli/checks.h"
#include "cli/render.h"

#include <string.h>

static void add_check(struct sc_str *out, const json_t *check, enum sc_level level)
{
	const char *fix = sc_get_text(check, "fix", NULL);

	sc_str_addf(out, "%-6s  ", sc_level_name(level));
	sc_add_text(out, sc_get_text(check, "name", NULL));
	sc_str_add(out, ": ");
	sc_add_text(out, sc_get_text(check, "text", NULL));
	sc_str_add(out, "\n");
	if (fix && *fix && level != SC_LEVEL_GREEN) {
		sc_str_add(out, "        fix: ");
		sc_add_text(out, fix);
		sc_str_add(out, "\n");
	}
}

/* What is neither green nor yellow counts as red: what is not understood is not healthy. */
static enum sc_level level_of(const json_t *check)
{
	const char *name = sc_get_text(check, "level", "red");

	if (strcmp(name, "green") == 0)
		return SC_LEVEL_GREEN;
	return strcmp(name, "yellow") == 0 ? SC_LEVEL_YELLOW : SC_LEVEL_RED;
}

static unsigned int add_level(struct sc_str *out, const json_t *checks, enum sc_level level)
{
	unsigned int count = 0;
	json_t *check;
	size_t i;

	json_array_foreach (checks, i, check) {
		if (level_of(check) != level)
			continue;
		add_check(out, check, level);
		count++;
	}
	return count;
}

/* The worst first. */
void sc_render_doctor(struct sc_str *out, const json_t *reply)
{
	const json_t *checks = json_object_get(reply, "checks");
	unsigned int red = add_level(out, checks, SC_LEVEL_RED);
	unsigned int yellow = add_level(out, checks, SC_LEVEL_YELLOW);
	unsigned int green = add_level(out, checks, SC_LEVEL_GREEN);

	sc_str_addf(out, "%u red, %u yellow, %u green\n", red, yellow, green);
}

/* All that can be seen from here, or with an answer of the agent what that has nothing of. */
static void look_around(const struct sc_args *args, json_t *list, bool is_beside)
{
	size_t n;
	const struct sc_check *checks = sc_checks(&n);

	for (size_t i = 0; i < n; i++) {
		struct sc_finding f = {0};

		if (is_beside && !checks[i].is_beside)
			continue;
		checks[i].look(args, &f);
		if (f.text[0])
			json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "name",
							      checks[i].name, "level",
							      sc_level_name(f.level), "text",
							      f.text, "fix", f.fix));
	}
}

static int print(const struct sc_args *args, const json_t *reply)
{
	_cleanup_str_ struct sc_str out = {0};

	if (args->json)
		return sc_print_json(reply, "checks");
	sc_str_init_heap(&out);
	sc_render_doctor(&out, reply);
	return sc_print_text(&out);
}

static bool has_red(const json_t *reply)
{
	const json_t *checks = json_object_get(reply, "checks");
	json_t *check;
	size_t i;

	json_array_foreach (checks, i, check)
		if (level_of(check) == SC_LEVEL_RED)
			return true;
	return false;
}

int sc_verb_doctor(const struct sc_args *args)
{
	static const struct sc_question question = {
		.op = SC_OP_DOCTOR, .member = "checks", .render = sc_render_doctor};
	json_t *reply = NULL;
	int status = sc_ask(args, &question, json_object(), &reply);
	bool is_beside = reply != NULL;
	int printed;

	if (!reply)
		reply = json_pack("{s:[]}", "checks");
	look_around(args, json_object_get(reply, "checks"), is_beside);
	printed = print(args, reply);
	if (status == SC_EXIT_DONE && has_red(reply))
		status = SC_EXIT_FAILED;
	json_decref(reply);
	return status ? status : printed;
}
