/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Components as a whole: what the counters of all their cgroups say, once per full tick. The state
 * of a component lives as long as it is declared, over reloads and, for its breaker, restarts.
 */
#include "engine/components_impl.h"

#include "base/io.h"

#include <string.h>

struct sc_component_watch *sc_component_find(struct sc_engine *e, const char *name)
{
	struct sc_components *s = e->components;

	for (uint32_t i = 0; s && i < s->set.n; i++)
		if (strcmp(s->set.watch[i].name, name) == 0)
			return &s->set.watch[i];
	return NULL;
}

/* --- counting --- */

static uint64_t counter(int64_t value)
{
	return value > 0 ? (uint64_t)value : 0;
}

/* The counters of a slot as they are; BPF writes them meanwhile. */
static struct sc_component_growth read_counts(struct sc_engine *e, uint32_t slot)
{
	const volatile struct sc_counts *c = &e->ports->kernel.counts[slot];

	return (struct sc_component_growth){
		.counts = {.connects = counter(c->tcp_connects),
			   .connect_successes = counter(c->tcp_connect_successes),
			   .connect_failures = counter(c->tcp_connect_failures),
			   .accepts = counter(c->tcp_accepts),
			   .unexpected_exits = counter(c->proc_unexpected_exits)},
		.starts = counter(c->proc_forks) + counter(c->proc_execs),
		.alive = counter(c->proc_alive),
	};
}

static uint64_t since(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static struct sc_component_growth grown_since(const struct sc_component_growth *now,
					      const struct sc_component_growth *before)
{
	const struct sc_breaker_counts *n = &now->counts, *b = &before->counts;

	return (struct sc_component_growth){
		.counts = {.connects = since(n->connects, b->connects),
			   .connect_successes = since(n->connect_successes, b->connect_successes),
			   .connect_failures = since(n->connect_failures, b->connect_failures),
			   .accepts = since(n->accepts, b->accepts),
			   .unexpected_exits = since(n->unexpected_exits, b->unexpected_exits)},
		.starts = since(now->starts, before->starts),
		.alive = now->alive,
	};
}

static void add(struct sc_component_growth *sum, const struct sc_component_growth *g)
{
	sum->counts.connects += g->counts.connects;
	sum->counts.connect_successes += g->counts.connect_successes;
	sum->counts.connect_failures += g->counts.connect_failures;
	sum->counts.accepts += g->counts.accepts;
	sum->counts.unexpected_exits += g->counts.unexpected_exits;
	sum->starts += g->starts;
	sum->alive += g->alive;
}

/*
 * What the slot grew by in this look, the same for every component that asks. The first look at a
 * cgroup whose birth was seen counts all of its life; of any other it begins now.
 */
static const struct sc_component_growth *grown_of(struct sc_engine *e, uint32_t slot, uint64_t id)
{
	struct sc_component_seen *seen = &e->components->seen[slot];
	bool is_born = e->ports->kernel.nodes[slot].flags & SC_NODE_BORN;
	struct sc_component_growth now;

	if (seen->cgroup_id == id && seen->look == e->components->look)
		return &seen->grown;
	now = read_counts(e, slot);
	if (seen->cgroup_id != id)
		seen->last = is_born ? (struct sc_component_growth){0} : now;
	seen->grown = grown_since(&now, &seen->last);
	seen->last = now;
	seen->cgroup_id = id;
	seen->look = e->components->look;
	return &seen->grown;
}

void sc_component_begin_counting(struct sc_engine *e, uint32_t slot, uint64_t id)
{
	e->components->seen[slot] = (struct sc_component_seen){
		.cgroup_id = id,
		.look = e->components->look,
		.last = read_counts(e, slot),
	};
}

/* Without the table of targets, in which it is no more. */
static bool was_member(struct sc_engine *e, const struct sc_group *group, uint32_t slot)
{
	for (uint32_t i = 0; i < group->n_globs; i++)
		if (sc_scope_has(sc_plan_scopes(e->plan), group->scopes[i], slot))
			return true;
	return false;
}

static bool was_topmost(struct sc_engine *e, const struct sc_group *group, uint32_t slot)
{
	const volatile struct sc_node *node = &e->ports->kernel.nodes[slot];

	for (uint32_t a = 1; a < node->ancestors && a < SC_DEPTH_MAX; a++)
		if (was_member(e, group, node->ancestor[a]))
			return false;
	return true;
}

void sc_components_target_removed(struct sc_engine *e, uint32_t slot)
{
	const volatile struct sc_node *node = &e->ports->kernel.nodes[slot];
	struct sc_components *s = e->components;
	struct sc_component_growth grown;

	if (!s || !s->seen)
		return;
	/* Another cgroup that took the slot over began its counters anew: these are its own. */
	if (node->flags & SC_NODE_GONE || node->cgroup_id == s->seen[slot].cgroup_id) {
		s->seen[slot].look = 0; /* what it grew by since then, be it in this tick */
		grown = *grown_of(e, slot, node->cgroup_id);
		grown.alive = 0;
		for (uint32_t i = 0; i < s->set.n; i++)
			if (was_member(e, s->set.watch[i].group, slot) &&
			    was_topmost(e, s->set.watch[i].group, slot))
				add(&s->set.watch[i].gone, &grown);
	}
}

/* --- a tick --- */

static void look_at(struct sc_engine *e, struct sc_component_watch *w)
{
	struct sc_component_growth grown = w->gone;
	uint32_t max = e->ports->kernel.slots;
	uint32_t n = SC_MIN(sc_group_members(e, w->group, e->slots, max), max);
	struct sc_component_sight sight;
	unsigned int events;

	w->gone = (struct sc_component_growth){0};
	w->members = n;
	w->events_lost = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t slot = e->slots[i];

		add(&grown, grown_of(e, slot, sc_targets_get(e->targets, slot)->cgroup_id));
		w->events_lost += sc_engine_events_lost(e, slot);
	}
	sc_component_find_holder(e, w, e->slots, n);
	if (w->has_breaker)
		sc_component_breaker_tick(e, w, &grown);
	sight = (struct sc_component_sight){
		.unexpected_exits = grown.counts.unexpected_exits,
		.starts = grown.starts,
		.alive = grown.alive,
		.breaker = w->has_breaker ? w->breaker.state : SC_BREAKER_CLOSED,
		.is_held = w->holder.fire_id[0] || w->killed_by[0] ||
			   (w->has_breaker && w->breaker.state == SC_BREAKER_FORCED_OPEN),
	};
	events = sc_component_look(&w->state, &sight, e->now.boot_ns);
	sc_component_tell_events(e, w, events, grown.counts.unexpected_exits, false);
}

void sc_components_tick(struct sc_engine *e)
{
	struct sc_components *s = e->components;

	if (!s)
		return;
	s->look++;
	sc_components_find_cuts(e);
	for (uint32_t i = 0; i < s->set.n; i++)
		look_at(e, &s->set.watch[i]);
}

void sc_components_finish(struct sc_engine *e)
{
	struct sc_components *s = e->components;

	for (uint32_t i = 0; s && i < s->set.n; i++)
		sc_component_tell_events(e, &s->set.watch[i], 0, 0, true);
}

void sc_components_free(struct sc_engine *e)
{
	if (!e->components)
		return;
	sc_component_watches_done(&e->components->set);
	free(e->components->seen);
	free(e->components);
	e->components = NULL;
}
