/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/condition/world.h"

#include <criterion/criterion.h>
#include <string.h>

/* False, true or unknown by what world_say writes into alive and zombies: 1/2, 2/1, 1/0. */
#define WHEN "proc.alive / proc.zombies > 1"

struct world world;

void world_say(uint32_t slot, enum sc_truth truth)
{
	world.counts[slot].proc_alive = truth == SC_TRUE ? 2 : 1;
	world.counts[slot].proc_zombies = truth == SC_TRUE ? 1 : truth == SC_FALSE ? 2 : 0;
}

uint32_t world_add(const char *path)
{
	uint32_t slot = world.end++;
	struct sc_target target = {.cgroup_id = 100 + slot, .parent = ROOT, .path = strdup(path)};

	world.nodes[slot] = (struct sc_node){.cgroup_id = target.cgroup_id, .flags = SC_NODE_BORN};
	world_say(slot, SC_FALSE);
	cr_assert_eq(sc_targets_add(world.targets, slot, &target), 0);
	return slot;
}

void world_begin(void)
{
	memset(&world, 0, sizeof(world));
	world.targets = sc_targets_new(SLOTS);
	world.registry = sc_registry_new();
	world.source = (struct sc_source){.nodes = world.nodes,
					  .counts = world.counts,
					  .slots = SLOTS,
					  .features = SC_FEATURE_BIT(SC_FEATURE_PROC)};
	world.now.mono_ns = world.now.boot_ns = 1000 * S;
	world.out = (struct sc_candidates){.item = world.items, .max = SLOTS};
	world_add("/");
}

void world_end(void)
{
	sc_conditions_free(&world.set);
	sc_plan_free(&world.plan);
	sc_registry_free(&world.registry);
	sc_targets_free(&world.targets);
}

struct sc_condition_spec world_spec(const char *id)
{
	struct sc_condition_spec spec;

	sc_condition_spec_init(&spec);
	spec.id = strdup(id);
	spec.scope = strdup("/w/*");
	spec.when = strdup(WHEN);
	spec.auto_fire = true;
	return spec;
}

void world_put(struct sc_condition_spec spec)
{
	cr_assert_geq(sc_registry_upsert(world.registry, &spec, NULL), 0);
	sc_condition_spec_done(&spec);
}

void world_build(uint32_t pairs)
{
	struct sc_plan_limits plan_limits = {.slots = SLOTS, .blocks = 1024};
	struct sc_conditions_limits limits = {.slots = SLOTS, .pairs = pairs};
	struct sc_plan *old_plan = world.plan;
	struct sc_conditions *old = world.set;
	struct sc_predicate_env env;
	struct sc_conditions_fault fault;

	world.plan = sc_plan_new(&plan_limits);
	env = (struct sc_predicate_env){.plan = world.plan};
	cr_assert_eq(sc_conditions_new(&world.set, world.registry, &env, &limits, &fault), 0,
		     "%s: %s", fault.id, fault.diag.text);
	cr_assert_eq(sc_plan_start(world.plan, world.targets, old_plan), 0);
	sc_conditions_set_root(world.set, ROOT);
	if (old)
		sc_conditions_adopt(world.set, old);
	sc_conditions_free(&old);
	sc_plan_free(&old_plan);
}

uint32_t world_tick_slots(uint64_t s, const uint32_t *slots, uint32_t n)
{
	struct sc_pass pass = {.slots = slots, .n = n};
	uint32_t all[SLOTS];

	for (uint32_t i = 0; i < world.end; i++)
		all[i] = i;
	world.now.mono_ns += s * S;
	world.now.boot_ns += s * S;
	world.out.n = 0;
	pass.now_ns = world.now.mono_ns;
	sc_plan_tick(world.plan, &world.source, &world.now, slots ? slots : all,
		     slots ? n : world.end);
	for (size_t i = 0; i < sc_conditions_count(world.set); i++)
		sc_conditions_judge(world.set, i, &pass, &world.out);
	return world.out.n;
}

uint32_t world_tick(uint64_t s)
{
	return world_tick_slots(s, NULL, 0);
}

enum sc_phase world_phase(size_t i, uint32_t slot)
{
	return sc_conditions_pair(world.set, i, slot).phase;
}

void world_fire(size_t i, uint32_t slot)
{
	cr_assert_eq(sc_conditions_fired(world.set, i, slot, 0, world.now.mono_ns), 0);
	sc_conditions_settled(world.set, i, slot, world.now.mono_ns);
}
