/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts across restarts and reloads, and what is told of them. */
#include "engine/core.h"

#include "base/json.h"
#include "base/log.h"

#include <string.h>

/* --- the traffic side --- */

void sc_isolations_arm(struct sc_engine *e)
{
	const struct sc_traffic *traffic = e->ports->effector.traffic;
	int r;

	if (e->traffic_armed)
		return;
	if (!traffic) {
		sc_strcopy(e->traffic_why, sizeof(e->traffic_why),
			   "nothing can be cut from the network here");
		return;
	}
	e->traffic_why[0] = '\0';
	r = traffic->ops->arm(traffic->ctx, e->traffic_why, sizeof(e->traffic_why));
	e->traffic_armed = r == 0;
	if (r < 0 && !e->traffic_why[0])
		sc_strcopy(e->traffic_why, sizeof(e->traffic_why), strerror(-r));
	if (r < 0)
		sc_log_error("nothing can be cut from the network: %s", e->traffic_why);
}

void sc_isolations_disarm(struct sc_engine *e)
{
	const struct sc_traffic *traffic = e->ports->effector.traffic;

	if (e->traffic_armed && e->n_isolations == 0)
		traffic->ops->disarm(traffic->ctx);
}

/* --- restarts --- */

static struct sc_group *group_named(struct sc_engine *e, const char *text)
{
	for (uint32_t i = 0; i < e->n_groups; i++) {
		const char *kind = sc_group_kind_name(e->groups[i]->kind);
		size_t n = strlen(kind);

		if (strncmp(text, kind, n) == 0 && text[n] == ' ' &&
		    strcmp(text + n + 1, e->groups[i]->name) == 0)
			return e->groups[i];
	}
	return NULL;
}

static enum sc_cut_mode mode_named(const char *text)
{
	for (int m = SC_CUT_TRY; m < SC_CUT_MODE_COUNT; m++)
		if (strcmp(text, sc_cut_mode_name((enum sc_cut_mode)m)) == 0)
			return (enum sc_cut_mode)m;
	return SC_CUT_DROP; /* not told, by a fire of ours: the side that leaks nothing */
}

struct sc_isolation *sc_isolation_adopt(struct sc_engine *e, const struct sc_fire *fire)
{
	struct sc_isolation *iso = sc_isolation_place(e, fire->id);

	sc_isolations_arm(e);
	if (!iso) {
		sc_log_error("no place to take up fire %s on %s; release it by hand", fire->id,
			     fire->target);
		return NULL;
	}
	sc_isolation_fill_place(iso, fire, group_named(e, fire->group));
	iso->slot = sc_targets_find_path(e->targets, fire->target);
	iso->mode = mode_named(fire->mode);
	iso->cut.mode = iso->mode;
	iso->stands = sc_fire_is_standing(fire);
	iso->cut.is_kept = fire->group[0] && !iso->group;
	iso->is_dirty = !iso->cut.is_kept;
	if (iso->cut.is_kept)
		sc_log_warning(
			"%s is cut (fire %s) and not declared any more: the gate holds it as "
			"it was until it is released or declared again",
			iso->cut.name, iso->cut.fire_id);
	return iso;
}

/* What the gate holds and no record knows: given back, because nobody could release it. After this
 * every number that the gate uses is that of a place. */
void sc_isolations_clear_unknown(struct sc_engine *e)
{
	const struct sc_traffic *traffic = e->ports->effector.traffic;

	for (uint32_t i = 0; i < e->n_found; i++) {
		const struct sc_cut_found *f = &e->found[i];
		struct sc_cut none = {.number = f->number};
		struct sc_cut_report report = {0};

		if (sc_isolation_find(e, f->fire_id))
			continue;
		sc_log_error("%s was cut by fire %s, which is in no record: no longer cut", f->name,
			     f->fire_id);
		sc_records_fact(e, "%s was cut by fire %s, which is in no record: no longer cut",
				f->name, f->fire_id);
		sc_strcopy(none.fire_id, sizeof(none.fire_id), f->fire_id);
		sc_strcopy(none.name, sizeof(none.name), f->name);
		(void)traffic->ops->set_gate(traffic->ctx, &none, &report);
		(void)traffic->ops->set_rules(traffic->ctx, &none, &report);
	}
	e->n_found = 0;
}

int sc_isolations_open(struct sc_engine *e)
{
	const struct sc_traffic *traffic = e->ports->effector.traffic;

	/* Only what is used of it becomes resident. */
	e->isolation_room = calloc((size_t)SC_ISOLATIONS_MAX * SC_CUT_MEMBERS_MAX,
				   sizeof(*e->isolation_room));
	e->found = calloc(SC_CUTS_MAX, sizeof(*e->found));
	if (!e->isolation_room || !e->found)
		return -ENOMEM;
	if (traffic)
		e->n_found = traffic->ops->found(traffic->ctx, e->found);
	if (e->n_found)
		sc_isolations_arm(e);
	return 0;
}

void sc_isolations_close(struct sc_engine *e)
{
	for (uint32_t i = 0; i < SC_ISOLATIONS_MAX; i++) {
		sc_group_unref(&e->isolations[i].group);
		sc_group_unref(&e->isolations[i].old_group);
	}
	free(e->isolation_room);
	free(e->found);
	e->isolation_room = NULL;
	e->found = NULL;
}

/* --- reloads --- */

/* What the configuration declares by the name of the group that is cut; NULL: nothing, or a cgroup
 * alone is. */
static struct sc_group *group_now(struct sc_engine *e, const struct sc_isolation *iso)
{
	if (iso->cut.is_kept)
		return group_named(e, iso->cut.name);
	return iso->group ? sc_group_find(e, iso->group->kind, iso->group->name) : NULL;
}

void sc_isolations_reloaded(struct sc_engine *e)
{
	for (uint32_t i = 0; i < SC_ISOLATIONS_MAX; i++) {
		struct sc_isolation *iso = &e->isolations[i];
		struct sc_group *group = iso->is_used ? group_now(e, iso) : NULL;

		if (!iso->is_used || (!iso->group && !group))
			continue;
		if (!group) {
			iso->group->is_stale = true;
			continue;
		}
		/* The hand may be reading the globs of the one that the change began with. */
		if (iso->is_busy && !iso->old_group)
			iso->old_group = iso->group;
		else
			sc_group_unref(&iso->group);
		iso->group = sc_group_ref(group);
		iso->is_dirty = true;
	}
}

/* --- ladders --- */

struct sc_isolation *sc_isolation_rung_before(struct sc_engine *e, const struct sc_fire *fire)
{
	for (uint32_t i = 0; fire->rung > 0 && e->n_isolations && i < SC_ISOLATIONS_MAX; i++) {
		struct sc_isolation *iso = &e->isolations[i];

		if (iso->is_used && iso->stands && iso->lone_id == fire->cgroup_id &&
		    iso->rung + 1 == fire->rung &&
		    strcmp(iso->condition_id, fire->condition_id) == 0)
			return iso;
	}
	return NULL;
}

/* --- what is told --- */

static void add_one(struct sc_engine *e, struct sc_isolation *iso, struct sc_json *j)
{
	const struct sc_traffic *traffic = e->ports->effector.traffic;
	struct sc_cut_counts c = iso->counts;
	uint64_t left = iso->until_boot_ns > e->now.boot_ns ? iso->until_boot_ns - e->now.boot_ns
							    : 0;
	struct sc_cut_counts fresh = {0};
	char text[SC_TIME_TEXT_MAX];

	if (traffic)
		traffic->ops->count(traffic->ctx, iso->cut.number, &fresh);
	sc_json_object_begin(j);
	sc_json_member_text(j, "fire_id", iso->cut.fire_id);
	sc_json_member_text(j, "condition_id", iso->condition_id);
	sc_json_member_text(j, "action", sc_action_kind_name(iso->action));
	sc_json_member_text(j, "group", iso->cut.name);
	sc_json_member_text(j, "target", iso->lone_path);
	sc_json_member_text(j, "mode", sc_cut_mode_name(iso->mode));
	sc_json_member_text(j, "by", iso->by);
	sc_time_text(iso->since_ns, text);
	sc_json_member_text(j, "since", text);
	if (left)
		sc_time_text(e->now.real_ns + (int64_t)left, text);
	sc_json_member_text(j, "expires", left ? text : NULL);
	sc_json_member_bool(j, "standing", iso->stands);
	sc_json_member_bool(j, "releasing", iso->is_release_due || iso->cut.mode == SC_CUT_NONE);
	sc_json_member_bool(j, "failing", iso->is_failing);
	sc_json_member_u64(j, "members", iso->cut.n_members);
	sc_json_member_u64(j, "namespaces", iso->namespaces);
	sc_json_member_u64(j, "packets_in", SC_MAX(c.packets_in, fresh.packets_in));
	sc_json_member_u64(j, "bytes_in", SC_MAX(c.bytes_in, fresh.bytes_in));
	sc_json_member_u64(j, "packets_out", SC_MAX(c.packets_out, fresh.packets_out));
	sc_json_member_u64(j, "bytes_out", SC_MAX(c.bytes_out, fresh.bytes_out));
	sc_json_member_text(j, "top", c.top[0] ? c.top : NULL);
	sc_json_member_u64(j, "top_packets", c.top_packets);
	sc_json_object_end(j);
}

void sc_isolations_json(struct sc_engine *e, struct sc_json *j)
{
	sc_json_key(j, "isolations");
	sc_json_array_begin(j);
	for (uint32_t i = 0; e->n_isolations && i < SC_ISOLATIONS_MAX; i++)
		if (e->isolations[i].is_used)
			add_one(e, &e->isolations[i], j);
	sc_json_array_end(j);
}
