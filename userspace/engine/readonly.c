/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees that are read-only. Each fire that stands keeps its place among the active ones, as a
 * freeze does; what the host is told is always the wish of all of them, and is told again while it
 * stands, because members come, protected cgroups are made, and strangers meddle.
 */
#include "engine/core.h"

#include "base/log.h"

#include <string.h>

/* Each time costs the hand some 100 us, and some ms where there are many processes. */
#define KEEP_INTERVAL_NS (2 * SC_NS_PER_S)

int sc_readonly_open(struct sc_engine *e)
{
	/* Only what is used of it becomes resident. */
	e->readonly.room = calloc(SC_ACTIVE_MAX, sizeof(*e->readonly.room));
	return e->readonly.room ? 0 : -ENOMEM;
}

void sc_readonly_close(struct sc_engine *e)
{
	free(e->readonly.room);
	e->readonly.room = NULL;
}

enum sc_readonly_way sc_readonly_way(const struct sc_engine *e, const struct sc_config *config,
				     char *why, size_t size)
{
	const struct sc_readonly_port *port = e->ports->effector.readonly;

	if (port)
		return port->ops->way(port->ctx, config->readonly.paths.n > 0, why, size);
	snprintf(why, size, "nothing can be made read-only here");
	return SC_READONLY_NO_WAY;
}

const char *sc_readonly_protected_by(struct sc_engine *e, uint32_t slot, char *buf, size_t size)
{
	const struct sc_target *target = sc_targets_get(e->targets, slot);

	if (target && !(target->flags & SC_TARGET_PROTECTED))
		return NULL;
	return sc_engine_protected_by(e, slot, buf, size);
}

/* --- the wish --- */

static bool is_wished(const struct sc_active *a)
{
	return a->stage != SC_ACTIVE_FREE && a->fire.action == SC_ACTION_READONLY &&
	       !a->is_releasing;
}

static void add_root(const struct sc_engine *e, struct sc_readonly *wish, const struct sc_active *a)
{
	const struct sc_target *t = sc_targets_get(e->targets, a->slot);

	/* A tree that is gone has nobody to write. */
	if (!t || t->cgroup_id != a->fire.cgroup_id || wish->n_roots == SC_READONLY_ROOTS_MAX)
		return;
	wish->roots[wish->n_roots++] = (struct sc_readonly_cgroup){t->cgroup_id, t->level};
	sc_strcopy(wish->fire_id, sizeof(wish->fire_id), a->fire.id);
}

static uint32_t copy_paths(char (*to)[SC_READONLY_PATH_MAX], const struct sc_texts *from)
{
	uint32_t n = 0;

	for (size_t i = 0; i < from->n && n < SC_READONLY_PATHS_MAX; i++)
		n += sc_strcopy(to[n], SC_READONLY_PATH_MAX, from->item[i]);
	return n;
}

static bool is_root(const struct sc_readonly *wish, uint64_t cgroup_id)
{
	for (uint32_t i = 0; i < wish->n_roots; i++)
		if (wish->roots[i].cgroup_id == cgroup_id)
			return true;
	return false;
}

/* What is below a spared one is spared with it, and may be many. */
static bool is_spared_above(const struct sc_engine *e, const struct sc_readonly *wish,
			    const struct sc_target *t)
{
	const struct sc_target *parent = sc_targets_get(e->targets, t->parent);

	return parent && parent->flags & SC_TARGET_PROTECTED && !is_root(wish, parent->cgroup_id);
}

static void add_spared(const struct sc_engine *e, struct sc_readonly *wish)
{
	for (uint32_t i = 0; i < e->n_protected; i++) {
		const struct sc_target *t = sc_targets_get(e->targets, e->protected_slots[i]);

		if (!t || is_spared_above(e, wish, t))
			continue;
		if (wish->n_spared == SC_READONLY_SPARED_MAX)
			wish->is_cut = true;
		else
			wish->spared[wish->n_spared++] = (struct sc_readonly_cgroup){t->cgroup_id,
										     t->level};
	}
}

const struct sc_readonly *sc_readonly_wish(struct sc_engine *e, const struct sc_active *a)
{
	struct sc_readonly *wish = &e->readonly.room[a - e->active];

	memset(wish, 0, sizeof(*wish));
	for (size_t i = 0; i < SC_ACTIVE_MAX; i++)
		if (&e->active[i] != a && is_wished(&e->active[i]))
			add_root(e, wish, &e->active[i]);
	if (!a->is_releasing)
		add_root(e, wish, a);
	if (wish->n_roots == 0)
		return wish;
	wish->is_kept = a->is_updating;
	add_spared(e, wish);
	wish->n_paths = copy_paths(wish->paths, &e->config.readonly.paths);
	wish->n_allow = copy_paths(wish->allow, &e->config.readonly.allow);
	return wish;
}

/* --- while it stands --- */

bool sc_readonly_is_due(struct sc_engine *e)
{
	if (e->readonly.kept_ns && e->now.mono_ns < e->readonly.kept_ns + KEEP_INTERVAL_NS)
		return false;
	e->readonly.kept_ns = e->now.mono_ns;
	return true;
}

void sc_readonly_kept(struct sc_engine *e, struct sc_active *a)
{
	bool holds = a->run.outcome == SC_ACTION_OUTCOME_READONLY;

	e->readonly.kept_ns = e->now.mono_ns;
	e->readonly.way = a->run.readonly.way;
	e->readonly.is_failing = !holds;
	sc_strcopy(e->readonly.text, sizeof(e->readonly.text), holds ? "" : a->run.text);
	if (!a->run.readonly.is_repaired)
		return;
	e->readonly.repairs++;
	sc_log_error("somebody took away what keeps %s read-only (fire %s): it is put back",
		     a->fire.target, a->fire.id);
	sc_records_fact(e, "somebody took away what keeps %s read-only (fire %s): it is put back",
			a->fire.target, a->fire.id);
}

void sc_readonly_clear_unknown(struct sc_engine *e)
{
	const struct sc_readonly_port *port = e->ports->effector.readonly;
	struct sc_readonly_report report = {0};
	static const struct sc_readonly nothing;

	for (size_t i = 0; i < SC_ACTIVE_MAX; i++)
		if (is_wished(&e->active[i]))
			return;
	if (!port || !port->ops->stands(port->ctx))
		return;
	if (port->ops->set(port->ctx, &nothing, &report) < 0)
		sc_log_error("cannot give back what was read-only by a fire that stands in no "
			     "record: %s",
			     report.text);
	else
		sc_log_error("something was read-only by a fire that stands in no record: "
			     "writable again");
	sc_records_fact(e, "something was read-only by a fire that stands in no record: %s",
			report.error ? report.text : "writable again");
}

void sc_readonly_json(struct sc_engine *e, struct sc_json *j)
{
	unsigned int n = 0;

	for (size_t i = 0; i < SC_ACTIVE_MAX; i++)
		n += is_wished(&e->active[i]);
	sc_json_key(j, "readonly");
	sc_json_object_begin(j);
	sc_json_member_u64(j, "fires", n);
	sc_json_member_text(j, "mechanism", n ? sc_readonly_way_name(e->readonly.way) : NULL);
	sc_json_member_bool(j, "holds", n && !e->readonly.is_failing);
	sc_json_member_text(j, "text", n && e->readonly.text[0] ? e->readonly.text : NULL);
	sc_json_member_u64(j, "repairs", e->readonly.repairs);
	sc_json_object_end(j);
}
