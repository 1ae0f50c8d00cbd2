/* SPDX-License-Identifier: Apache-2.0 */
/* What is cut from the network, and the components with their breakers, as text. */
#include "cli/answers.h"
#include "cli/render.h"

#include <scram/action.h>

#include <inttypes.h>
#include <string.h>

static const char *const component_headers[] = {
	"COMPONENT", "HEALTH", "BREAKER", "SETTING", "NEXT LOOK", "OPENINGS", "LAST ERROR",
};

/* What the undo names: a tenant, a component, or a cgroup that is cut alone; NULL: not told. */
static const char *name_of(const json_t *cut)
{
	const char *group = sc_get_text(cut, "group", "");
	const char *blank = strchr(group, ' ');

	return blank ? blank + 1 : sc_get_text(cut, "target", NULL);
}

/* How to take it back, in the words that fit it best. */
static void add_undo(struct sc_str *out, const json_t *cut, bool is_dead)
{
	const char *action = sc_get_text(cut, "action", "");
	bool is_quarantine = strcmp(action, sc_action_kind_name(SC_ACTION_QUARANTINE)) == 0;
	bool is_break = strcmp(action, sc_action_kind_name(SC_ACTION_CIRCUIT_BREAK)) == 0;
	const char *name = is_quarantine || is_break ? name_of(cut) : NULL;

	sc_str_add(out, "; undo: scram ");
	if (is_dead || !name)
		sc_str_add(out, "release ");
	else
		sc_str_add(out, is_quarantine ? "unquarantine " : "unbreak ");
	sc_add_text(out, name ? name : sc_get_text(cut, "fire_id", NULL));
	sc_str_add(out, is_dead ? " --offline\n" : "\n");
}

static void add_way(struct sc_str *out, const json_t *cut, const char *packets, const char *bytes,
		    const char *way)
{
	sc_add_value(out, json_object_get(cut, packets));
	sc_str_add(out, " packets (");
	sc_add_quantity(out, json_object_get(cut, bytes), SC_UNIT_BYTES);
	sc_str_addf(out, ") %s", way);
}

static void add_held_back(struct sc_str *out, const json_t *cut)
{
	const char *top = sc_get_text(cut, "top", NULL);

	sc_str_add(out, "            held back ");
	add_way(out, cut, "packets_in", "bytes_in", "in, ");
	add_way(out, cut, "packets_out", "bytes_out", "out");
	if (top && *top) {
		sc_str_add(out, ", most with ");
		sc_add_text(out, top);
		sc_str_add(out, ": ");
		sc_add_value(out, json_object_get(cut, "top_packets"));
	}
	sc_str_add(out, "\n");
}

static void add_reach(struct sc_str *out, const json_t *cut)
{
	int64_t members = sc_get_int(cut, "members", 0);
	int64_t spaces = sc_get_int(cut, "namespaces", 0);

	sc_str_addf(out, ", %" PRId64 " cgroup%s in %" PRId64 " network namespace%s", members,
		    members == 1 ? "" : "s", spaces, spaces == 1 ? "" : "s");
	if (sc_get_bool(cut, "releasing"))
		sc_str_add(out, ", BEING RELEASED");
	if (sc_get_bool(cut, "failing"))
		sc_str_add(out, ", DOES NOT HOLD AS IT SHOULD");
	sc_str_add(out, "\n");
}

void sc_render_cuts(struct sc_str *out, const json_t *reply, bool is_dead)
{
	const json_t *cuts = json_object_get(reply, "isolations");
	json_t *cut;
	size_t i;

	json_array_foreach (cuts, i, cut) {
		sc_str_add(out, "cut         ");
		sc_add_text(out, sc_get_text(cut, "group", NULL));
		sc_str_add(out, ": ");
		sc_add_text(out, sc_get_text(cut, "mode", NULL));
		add_reach(out, cut);
		sc_str_add(out, "            by ");
		sc_add_text(out, sc_get_text(cut, "by", NULL));
		sc_str_add(out, " since ");
		sc_add_time(out, sc_get_text(cut, "since", NULL));
		if (sc_get_text(cut, "expires", NULL)) {
			sc_str_add(out, " until ");
			sc_add_time(out, sc_get_text(cut, "expires", NULL));
		}
		add_undo(out, cut, is_dead);
		add_held_back(out, cut);
	}
}

void sc_render_unwell(struct sc_str *out, const json_t *reply)
{
	const json_t *components = json_object_get(reply, "components");
	json_t *c;
	size_t i;

	json_array_foreach (components, i, c) {
		const char *health = sc_get_text(c, "health", "-");
		const char *state = sc_get_text(c, "circuit_state", NULL);

		if (strcmp(health, "healthy") == 0 && (!state || strcmp(state, "closed") == 0))
			continue;
		sc_str_add(out, "component   ");
		sc_add_text(out, sc_get_text(c, "name", NULL));
		sc_str_add(out, " is ");
		sc_add_text(out, health);
		if (state) {
			sc_str_add(out, ", its breaker ");
			sc_add_text(out, state);
		}
		if (sc_get_text(c, "retry_at", NULL)) {
			sc_str_add(out, " until ");
			sc_add_time(out, sc_get_text(c, "retry_at", NULL));
		}
		sc_str_add(out, "\n");
	}
}

void sc_render_components(struct sc_str *out, const json_t *reply)
{
	const json_t *components = json_object_get(reply, "components");
	_cleanup_table_ struct sc_table table = {0};
	json_t *c;
	size_t i;

	sc_table_init(&table, component_headers, SC_ARRAY_SIZE(component_headers), 1 << 5);
	json_array_foreach (components, i, c) {
		_cleanup_str_ struct sc_str when = {0};

		sc_str_init_heap(&when);
		sc_add_time(&when, sc_get_text(c, "retry_at", NULL));
		sc_table_add_escaped(&table, sc_get_text(c, "name", NULL));
		sc_table_add_escaped(&table, sc_get_text(c, "health", NULL));
		sc_table_add_escaped(&table, sc_get_text(c, "circuit_state", NULL));
		sc_table_add_escaped(&table, sc_get_text(c, "breaker", NULL));
		sc_table_add(&table, &when);
		sc_table_add_int(&table, sc_get_int(c, "open_transitions", 0));
		sc_table_add_escaped(&table, sc_get_text(c, "last_error", NULL));
	}
	sc_table_print(&table, out, 0);
	if (table.rows == 0)
		sc_str_add(out, "no component is declared\n");
}

void sc_render_isolate(struct sc_str *out, const json_t *reply)
{
	const json_t *fire = json_object_get(reply, "fire");
	const char *condition = sc_get_text(fire, "condition_id", NULL);

	sc_render_fire(out, reply);
	if (!condition)
		return;
	sc_str_add(out, "  condition ");
	sc_add_text(out, condition);
	if (sc_get_bool(reply, "dispatched"))
		add_undo(out, fire, false);
	else
		sc_str_add(out, "\n");
}
