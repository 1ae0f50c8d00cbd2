/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose a cgroup is, for what the kernel side counts between tenants: the tenant that it or the
 * nearest cgroup above it is declared in. The number is the place in the declarations, from 1.
 */
#include "engine/core.h"

static uint32_t number_of(struct sc_engine *e, uint32_t slot)
{
	const struct sc_group *group = sc_group_of_slot(e, SC_GROUP_TENANT, slot);
	uint32_t i = 0;

	while (i < e->n_groups && e->groups[i] != group)
		i++;
	return i < e->n_groups ? i + 1 : 0;
}

/* True when it was told something new. */
static bool tell(struct sc_engine *e, uint32_t slot)
{
	const struct sc_kernel_port *k = &e->ports->kernel;
	uint32_t number = number_of(e, slot);

	if (k->nodes[slot].tenant == number)
		return false;
	k->set_tenant(k->ctx, slot, sc_targets_get(e->targets, slot)->cgroup_id, number);
	return true;
}

static bool is_within(const volatile struct sc_node *node, uint32_t above)
{
	for (uint32_t i = 1; i < node->ancestors && i < SC_DEPTH_MAX; i++)
		if (node->ancestor[i] == above)
			return true;
	return false;
}

/* Cgroups are learned in any order: those below may have come first. Where the parent's tenant was
 * right, as it is for most, none is looked at. */
void sc_engine_tenant_of_new(struct sc_engine *e, uint32_t slot)
{
	if (!tell(e, slot))
		return;
	for (uint32_t below = 0; below < sc_targets_end(e->targets); below++)
		if (sc_targets_get(e->targets, below) &&
		    is_within(&e->ports->kernel.nodes[below], slot))
			tell(e, below);
}

/*
 * First everybody's is nobody's: while numbers of the old declarations and the new ones stand side
 * by side, a tenant would seem to be two.
 */
void sc_engine_mark_tenants(struct sc_engine *e)
{
	const struct sc_kernel_port *k = &e->ports->kernel;

	for (uint32_t slot = 0; slot < k->slots; slot++)
		if (k->nodes[slot].tenant)
			k->set_tenant(k->ctx, slot, k->nodes[slot].cgroup_id, 0);
	for (uint32_t slot = 0; slot < sc_targets_end(e->targets); slot++)
		if (sc_targets_get(e->targets, slot))
			tell(e, slot);
}
