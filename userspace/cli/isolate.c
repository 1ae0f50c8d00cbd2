/* SPDX-License-Identifier: Apache-2.0 */
/* scram quarantine, unquarantine, break, unbreak: fire and release of cuts, by name. */
#include "cli/answers.h"
#include "cli/ask.h"
#include "cli/render.h"

#include <scram/traffic.h>

#include <string.h>

/* More cuts than can stand: the loop of releases ends. */
#define RELEASES_MAX SC_CUTS_MAX

/* What a pair of verbs is about. */
struct about {
	const char *kind; /* as the agent calls it */
	const char *group;
};

static const struct about quarantine = {"quarantine", "tenant"};
static const struct about breaking = {"break", "component"};

static int cut(const struct sc_args *args, const struct about *about, const char *mode)
{
	bool wait = sc_args_has(args, "wait");
	const char *ttl = sc_args_get(args, "ttl");
	struct sc_question question = {
		.op = SC_OP_ISOLATE,
		.timeout_s = wait ? SC_ASK_WAIT_TIMEOUT_S : 0,
		.render = sc_render_isolate,
	};
	uint64_t ttl_ns = 0;

	if (ttl && (sc_parse_duration(ttl, &ttl_ns) < 0 || ttl_ns == 0))
		return sc_complain(args, SC_EXIT_USAGE,
				   "--ttl must be a duration such as 15m, not %s", ttl);
	return sc_ask_and_print(args, &question,
				json_pack("{s:s, s:s, s:s*, s:s*, s:s, s:s, s:b, s:b}", "kind",
					  about->kind, "name", args->operands[0], "mode", mode,
					  "ttl", ttl, "reason", sc_args_get(args, "reason"),
					  "operator", sc_args_get(args, "operator"), "wait", wait,
					  "force", sc_args_has(args, "force")));
}

int sc_verb_quarantine(const struct sc_args *args)
{
	return cut(args, &quarantine, NULL);
}

int sc_verb_break(const struct sc_args *args)
{
	const char *mode = sc_args_get(args, "mode");

	if (mode && strcmp(mode, sc_cut_mode_name(SC_CUT_REFUSE_NEW)) != 0 &&
	    strcmp(mode, sc_cut_mode_name(SC_CUT_REFUSE_ALL)) != 0)
		return sc_complain(args, SC_EXIT_USAGE, "--mode must be new or all, not %s", mode);
	return cut(args, &breaking, mode);
}

static json_t *make_release(const struct sc_args *args, const struct about *about)
{
	const char *name = args->operands[0];
	_cleanup_str_ struct sc_str group = {0};

	sc_str_init_heap(&group);
	sc_str_addf(&group, "%s %s", name[0] == '/' ? "cgroup" : about->group, name);
	return json_pack("{s:s, s:s, s:s, s:s*}", "group", group.data, "kind", about->kind,
			 "operator", sc_args_operator(args), "reason", sc_args_get(args, "reason"));
}

/* What each release answers is one fire; the last says that nothing is left, or what is. */
static int release(const struct sc_args *args, const struct about *about)
{
	static const struct sc_question question = {.op = SC_OP_RELEASE};
	json_t *released = json_array();
	json_t *all = json_pack("{s:o}", "released", released);
	_cleanup_str_ struct sc_str out = {0};
	bool goes_on = released != NULL;
	int worst = SC_EXIT_DONE;
	int status = SC_EXIT_DONE;

	sc_str_init_heap(&out);
	for (unsigned int i = 0; goes_on && i < RELEASES_MAX; i++) {
		json_t *reply = NULL;

		status = sc_ask(args, &question, make_release(args, about), &reply);
		worst = worst ? worst : status;
		goes_on = reply && json_object_get(reply, "fire_id");
		json_array_extend(released, json_object_get(reply, "released"));
		json_object_set(all, "note", json_object_get(reply, "note"));
		json_decref(reply);
	}
	if (status == SC_EXIT_UNREACHABLE)
		fprintf(stderr, "  with the agent dead: scram release %s --offline\n",
			args->operands[0]);
	if (json_array_size(released) || worst == SC_EXIT_DONE)
		sc_render_release(&out, all);
	status = sc_print_text(&out);
	json_decref(all);
	return worst ? worst : status;
}

int sc_verb_unquarantine(const struct sc_args *args)
{
	return release(args, &quarantine);
}

int sc_verb_unbreak(const struct sc_args *args)
{
	return release(args, &breaking);
}
