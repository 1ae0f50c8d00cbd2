/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a cgroup is, as the counting side is told. */
#include "unit/engine/fake_ports.h"

#include <criterion/criterion.h>

static struct sc_engine *e;

static void tear_down(void)
{
	fake_engine_stop(&e);
}

TestSuite(tenants, .fini = tear_down, .timeout = 300);

#define NEW (FAKE_TARGETS + 1) /* the first slot that nobody has */

static uint32_t tenant_at(uint32_t slot)
{
	return fake_world.nodes[slot].tenant;
}

/* A cgroup below that of slot `above`, born with its tenant as BPF does it, is made and learned. */
static void make_below(uint32_t slot, uint32_t above, const char *path)
{
	const struct sc_node *parent = &fake_world.nodes[above];
	struct sc_node node = {
		.cgroup_id = 1000 + slot,
		.parent_id = parent->cgroup_id,
		.born_ns = sc_mono_ns(),
		.flags = SC_NODE_BORN,
		.level = parent->level + 1,
		.ancestors = parent->ancestors + 1,
		.ancestor = {slot},
		.tenant = parent->tenant,
	};

	for (uint32_t i = 0; i < parent->ancestors; i++)
		node.ancestor[i + 1] = parent->ancestor[i];
	fake_world.named_id = node.cgroup_id;
	fake_world.named_path = path;
	fake_world.nodes[slot] = node;
	sc_engine_tick_full(e);
	for (int i = 0; i < 1000 && !sc_targets_get(e->targets, slot); i++)
		cr_assert_eq(sc_loop_once(&e->loop, 10), 0);
	cr_assert_not_null(sc_targets_get(e->targets, slot));
}

Test(tenants, the_counting_side_is_told_whose_each_cgroup_is)
{
	e = fake_engine_start("tenants:\n"
			      "  acme: {cgroups: [/w/1, /w/2]}\n"
			      "  other: {cgroups: [/w/3, /w/4]}\n");
	cr_expect_eq(tenant_at(0), 0);
	cr_expect_eq(tenant_at(1), 1);
	cr_expect_eq(tenant_at(2), 1);
	cr_expect_eq(tenant_at(3), 2);
	cr_expect_eq(tenant_at(4), 2);
	cr_expect_eq(tenant_at(5), 0);
}

Test(tenants, a_new_cgroup_is_the_tenants_of_the_nearest_declared_one_above_it)
{
	e = fake_engine_start("tenants:\n"
			      "  acme: {cgroups: [/w/1]}\n"
			      "  inner: {cgroups: [/w/1/in]}\n"
			      "  late: {cgroups: [/late]}\n");
	make_below(NEW, 1, "/w/1/a");
	make_below(NEW + 1, 1, "/w/1/in");
	make_below(NEW + 2, NEW + 1, "/w/1/in/b");
	make_below(NEW + 3, 0, "/late");
	cr_expect_eq(tenant_at(NEW), 1);
	cr_expect_eq(tenant_at(NEW + 1), 2);
	cr_expect_eq(tenant_at(NEW + 2), 2);
	cr_expect_eq(tenant_at(NEW + 3), 3);
}

Test(tenants, a_cgroup_that_is_learned_before_the_one_above_it_is_told_anew)
{
	e = fake_engine_start("tenants:\n"
			      "  acme: {cgroups: [/top]}\n");
	/* The engine does not see a slot without an id. */
	fake_world.nodes[NEW] = (struct sc_node){.level = 1, .ancestors = 2, .ancestor = {NEW, 0}};
	make_below(NEW + 1, NEW, "/top/a");
	cr_expect_eq(tenant_at(NEW + 1), 0);
	make_below(NEW, 0, "/top");
	cr_expect_eq(tenant_at(NEW), 1);
	cr_expect_eq(tenant_at(NEW + 1), 1);
}

static void expect_one_acme(void)
{
	cr_expect(!tenant_at(1) || !tenant_at(2) || tenant_at(1) == tenant_at(2));
}

/* Its own connections would count as crossing. */
Test(tenants, no_tenant_is_two_while_a_reload_changes_the_numbers)
{
	e = fake_engine_start("tenants:\n"
			      "  acme: {cgroups: [/w/1, /w/2]}\n");
	fake_world.told_tenant = expect_one_acme;
	cr_assert_eq(fake_engine_reload(e, "tenants:\n"
					   "  first: {cgroups: [/w/3]}\n"
					   "  acme: {cgroups: [/w/1, /w/2]}\n"),
		     0);
	cr_expect_eq(tenant_at(1), 2);
	cr_expect_eq(tenant_at(2), 2);
}

Test(tenants, a_reload_tells_the_new_declarations)
{
	e = fake_engine_start("tenants:\n"
			      "  acme: {cgroups: [/w/1]}\n"
			      "  other: {cgroups: [/w/2]}\n");
	cr_assert_eq(fake_engine_reload(e, "tenants:\n"
					   "  first: {cgroups: [/w/3]}\n"
					   "  acme: {cgroups: [/w/1]}\n"),
		     0);
	cr_expect_eq(tenant_at(1), 2);
	cr_expect_eq(tenant_at(2), 0);
	cr_expect_eq(tenant_at(3), 1);
	cr_assert_eq(fake_engine_reload(e, "conditions: []\n"), 0);
	for (uint32_t slot = 0; slot <= FAKE_TARGETS; slot++)
		cr_expect_eq(tenant_at(slot), 0);
}
