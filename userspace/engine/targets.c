/* SPDX-License-Identifier: Apache-2.0 */
/* Which cgroups there are: the BPF side's tree becomes targets with paths; gone ones are given
 * back. */
#include "engine/components.h"

#include "base/bell.h"
#include "base/glob.h"
#include "base/log.h"

#include <limits.h>
#include <string.h>

enum sc_asked { SC_ASKED_LEARN = 1 << 0, SC_ASKED_RECYCLE = 1 << 1 };

static void give_order(struct sc_engine *e, enum sc_collect_kind kind, uint32_t slot, uint64_t id,
		       char *path)
{
	struct sc_collect_order order = {.kind = kind, .slot = slot, .cgroup_id = id, .path = path};

	/* The queue has room for one order of each kind for every slot. */
	SC_ASSERT(sc_collector_order(&e->collector, &order));
	sc_bell_ring(e->collector.order_bell);
}

/* True when the glob matches the path itself or an ancestor of it. */
static bool covers(const char *glob, const char *path)
{
	char part[PATH_MAX];

	if (!sc_strcopy(part, sizeof(part), path))
		return true; /* too long to judge: do not touch it */
	for (;;) {
		char *slash;

		if (sc_glob_match(glob, part))
			return true;
		slash = strrchr(part, '/');
		if (!slash || slash == part)
			return false;
		*slash = '\0';
	}
}

/* The agent's own: where the programs of probes run. */
static bool is_own_group(const struct sc_engine *e, const char *path)
{
	const char *group = e->ports->processes.group_path;
	size_t n = group ? strlen(group) : 0;

	return group && strncmp(path, group, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static const char *protecting_glob(const struct sc_engine *e, const char *path)
{
	if (is_own_group(e, path))
		return e->ports->processes.group_path;
	for (size_t i = 0; i < e->config.protect.n; i++)
		if (covers(e->config.protect.item[i], path))
			return e->config.protect.item[i];
	return NULL;
}

static bool is_below(const char *path, const char *ancestor)
{
	size_t n = strlen(ancestor);

	return strncmp(path, ancestor, n) == 0 && (path[n] == '/' || n == 1);
}

/* An action on a cgroup reaches everything below it: a protected descendant protects it too. */
static const char *protected_descendant(struct sc_engine *e, const char *path)
{
	for (uint32_t i = 0; i < e->n_protected; i++) {
		const struct sc_target *t = sc_targets_get(e->targets, e->protected_slots[i]);

		if (is_below(t->path, path))
			return t->path;
	}
	return NULL;
}

/* Globs are matched when a target is learned or the list changes, not on the way to a kill. */
static void mark_protected(struct sc_engine *e, uint32_t slot)
{
	const struct sc_target *t = sc_targets_get(e->targets, slot);

	if (!protecting_glob(e, t->path))
		return;
	sc_targets_set_flags(e->targets, slot, SC_TARGET_PROTECTED, 0);
	e->protected_slots[e->n_protected++] = slot;
}

static void unmark_protected(struct sc_engine *e, uint32_t slot)
{
	uint32_t i = 0;

	while (i < e->n_protected && e->protected_slots[i] != slot)
		i++;
	if (i < e->n_protected)
		e->protected_slots[i] = e->protected_slots[--e->n_protected];
}

void sc_engine_mark_protected(struct sc_engine *e)
{
	e->n_protected = 0;
	for (uint32_t slot = 0; slot < sc_targets_end(e->targets); slot++) {
		if (!sc_targets_get(e->targets, slot))
			continue;
		sc_targets_set_flags(e->targets, slot, 0, SC_TARGET_PROTECTED);
		mark_protected(e, slot);
	}
}

static void add_target(struct sc_engine *e, uint32_t slot, uint64_t id, char *path)
{
	const volatile struct sc_node *node = &e->ports->kernel.nodes[slot];
	struct sc_target target = {
		.cgroup_id = id,
		.born_ns = node->born_ns,
		.parent = node->ancestors > 1 ? node->ancestor[1] : SC_SLOT_NONE,
		.level = node->level,
		.flags = node->flags & SC_NODE_BORN ? SC_TARGET_BORN : 0,
		.path = path,
	};

	if (sc_targets_add(e->targets, slot, &target) < 0) {
		give_order(e, SC_COLLECT_FREE, slot, id, path);
		return;
	}
	mark_protected(e, slot);
	if (e->plan)
		sc_plan_target_added(e->plan, slot, path);
	sc_engine_tenant_of_new(e, slot);
	sc_isolations_target_added(e, slot);
}

static void remove_target(struct sc_engine *e, uint32_t slot)
{
	char *path = sc_targets_remove(e->targets, slot);

	if (!path)
		return;
	unmark_protected(e, slot);
	sc_components_target_removed(e, slot);
	sc_plan_target_removed(e->plan, slot);
	sc_conditions_slot_reset(e->set, slot);
	give_order(e, SC_COLLECT_FREE, slot, 0, path);
}

void sc_engine_slot_changed(struct sc_engine *e, uint32_t slot)
{
	const volatile struct sc_node *node = &e->ports->kernel.nodes[slot];
	const struct sc_target *target = sc_targets_get(e->targets, slot);
	uint64_t id = node->cgroup_id;
	bool gone = id == 0 || node->flags & SC_NODE_GONE;

	if (target && (gone || target->cgroup_id != id)) {
		remove_target(e, slot);
		target = NULL;
	}
	if (gone && id && !(e->asked[slot] & SC_ASKED_RECYCLE)) {
		e->asked[slot] |= SC_ASKED_RECYCLE;
		give_order(e, SC_COLLECT_RECYCLE, slot, id, NULL);
	}
	if (!gone && !target && !(e->asked[slot] & SC_ASKED_LEARN)) {
		e->asked[slot] |= SC_ASKED_LEARN;
		give_order(e, SC_COLLECT_LEARN, slot, id, NULL);
	}
}

void sc_engine_scan_nodes(struct sc_engine *e)
{
	const struct sc_kernel_port *kernel = &e->ports->kernel;

	for (uint32_t slot = 0; slot < kernel->slots; slot++) {
		const struct sc_target *target = sc_targets_get(e->targets, slot);
		uint64_t id = kernel->nodes[slot].cgroup_id;

		if ((target ? target->cgroup_id : 0) != id ||
		    kernel->nodes[slot].flags & SC_NODE_GONE)
			sc_engine_slot_changed(e, slot);
	}
}

void sc_engine_take_reports(struct sc_engine *e)
{
	struct sc_collect_report report;

	sc_bell_clear(e->collector.report_bell);
	while (sc_spsc_pop(&e->collector.reports, &report)) {
		const volatile struct sc_node *node = &e->ports->kernel.nodes[report.slot];

		if (report.kind == SC_COLLECT_AUDIT) {
			sc_audit_take(e);
			continue;
		}
		if (report.kind == SC_COLLECT_RECYCLE) {
			e->asked[report.slot] &= (uint8_t)~SC_ASKED_RECYCLE;
			continue;
		}
		e->asked[report.slot] &= (uint8_t)~SC_ASKED_LEARN;
		if (!report.path)
			continue;
		if (node->cgroup_id == report.cgroup_id)
			add_target(e, report.slot, report.cgroup_id, report.path);
		else
			give_order(e, SC_COLLECT_FREE, report.slot, 0, report.path);
	}
}

int sc_engine_learn_all(struct sc_engine *e)
{
	const struct sc_kernel_port *kernel = &e->ports->kernel;
	char path[PATH_MAX];

	for (uint32_t slot = 0; slot < kernel->slots; slot++) {
		uint64_t id = kernel->nodes[slot].cgroup_id;
		char *copy;

		if (id == 0 || kernel->path_of(kernel->ctx, id, path, sizeof(path)) < 0)
			continue;
		copy = strdup(path);
		if (!copy)
			return -ENOMEM;
		add_target(e, slot, id, copy);
	}
	return 0;
}

bool sc_engine_is_outside(struct sc_engine *e, const char *path)
{
	const struct sc_target *root = sc_targets_get(e->targets, e->ports->kernel.root_slot);

	return root && path[0] == '/' && strcmp(path, root->path) != 0 &&
	       !is_below(path, root->path);
}

const char *sc_engine_protected_by(struct sc_engine *e, uint32_t slot, char *buf, size_t size)
{
	const struct sc_target *target = sc_targets_get(e->targets, slot);
	const char *by;

	if (!target)
		return "it is outside the supervised cgroups";
	for (size_t i = 0; i < e->ports->n_own_ids; i++)
		if (e->ports->own_ids[i] == target->cgroup_id)
			return "the agent or pid 1 lives in it or below it";
	if (target->flags & SC_TARGET_PROTECTED) {
		snprintf(buf, size, "protect list: %s", protecting_glob(e, target->path));
		return buf;
	}
	by = protected_descendant(e, target->path);
	if (by) {
		snprintf(buf, size, "it contains %s, which is protected", by);
		return buf;
	}
	return NULL;
}

uint32_t sc_engine_find_target(struct sc_engine *e, const char *path)
{
	const struct sc_kernel_port *kernel = &e->ports->kernel;
	uint32_t slot = sc_targets_find_path(e->targets, path);
	struct sc_found_cgroup found;
	char *copy;

	if (slot != SC_SLOT_NONE || kernel->find(kernel->ctx, path, &found) < 0)
		return slot;
	slot = sc_targets_find_id(e->targets, found.cgroup_id);
	if (slot != SC_SLOT_NONE)
		return slot;
	remove_target(e, found.slot); /* whoever had the slot before is gone */
	copy = strdup(found.path);
	if (copy)
		add_target(e, found.slot, found.cgroup_id, copy);
	return sc_targets_find_id(e->targets, found.cgroup_id);
}
