/* SPDX-License-Identifier: Apache-2.0 */
/* scram fires */
#include "cli/answers.h"
#include "cli/ask.h"
#include "cli/render.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_ID 8

static const char *const headers[] = {"FIRED",  "FIRE", "CONDITION", "TARGET",
				      "ACTION", "WHAT", "KILLED",    "BY"};

/* One word for how it ended, or where it is. */
static const char *what_became(const json_t *fire)
{
	const char *outcome = sc_get_text(fire, "outcome", "none");
	const char *state = sc_get_text(fire, "state", NULL);

	if (sc_get_text(fire, "released_at", NULL))
		return "released";
	return strcmp(outcome, "none") != 0 ? outcome : state;
}

static void add_fire(struct sc_table *table, const json_t *fire)
{
	_cleanup_str_ struct sc_str when = {0};
	char id[SHORT_ID + 1];

	sc_str_init_heap(&when);
	sc_add_time(&when, sc_get_text(fire, "fired_at", NULL));
	sc_strcopy(id, sizeof(id), sc_get_text(fire, "id", ""));
	sc_table_add(table, &when);
	sc_table_add_escaped(table, id);
	sc_table_add_escaped(table, sc_get_text(fire, "condition_id", NULL));
	sc_table_add_escaped(table, sc_fire_subject(fire));
	sc_table_add_escaped(table, sc_get_text(fire, "action", NULL));
	sc_table_add_escaped(table, what_became(fire));
	sc_table_add_int(table, sc_get_int(fire, "killed", 0));
	sc_table_add_escaped(table, sc_get_text(fire, "fired_by", NULL));
}

void sc_render_fires(struct sc_str *out, const json_t *reply)
{
	const json_t *fires = json_object_get(reply, "fires");
	_cleanup_table_ struct sc_table table = {0};
	json_t *fire;
	size_t i;

	sc_table_init(&table, headers, SC_ARRAY_SIZE(headers), 1 << 6);
	json_array_foreach (fires, i, fire)
		add_fire(&table, fire);
	sc_table_print(&table, out, 0);
	if (table.rows == 0)
		sc_str_add(out, "nothing has been fired\n");
}

/* The whole text is a number from 1 to SC_FIRES_LIMIT_MAX; 0 when it is not. */
static long parse_limit(const char *text)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < 1 || n > SC_FIRES_LIMIT_MAX)
		return 0;
	return n;
}

int sc_verb_fires(const struct sc_args *args)
{
	static const struct sc_question question = {
		.op = SC_OP_FIRES, .member = "fires", .render = sc_render_fires};
	const char *text = sc_args_get(args, "limit");
	long limit = text ? parse_limit(text) : SC_FIRES_LIMIT_DEFAULT;

	if (limit == 0)
		return sc_complain(args, SC_EXIT_USAGE, "--limit must be 1 to %d, not %s",
				   SC_FIRES_LIMIT_MAX, text);
	return sc_ask_and_print(args, &question, json_pack("{s:I}", "limit", (json_int_t)limit));
}
