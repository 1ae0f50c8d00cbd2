/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what scram holds frozen, and the thaw that every exit path goes through. */
#include "action/run.h"

struct sc_frozen *sc_frozen_find(struct sc_frozen *table, size_t size, uint64_t cgroup_id)
{
	for (size_t i = 0; i < size; i++)
		if (table[i].cgroup_id == cgroup_id)
			return &table[i];
	return NULL;
}

int sc_frozen_add(struct sc_frozen *table, size_t size, const struct sc_frozen *entry)
{
	struct sc_frozen *free_entry = sc_frozen_find(table, size, 0);

	SC_ASSERT(entry->cgroup_id != 0);
	if (sc_frozen_find(table, size, entry->cgroup_id))
		return -EEXIST;
	if (!free_entry)
		return -ENOSPC;
	*free_entry = *entry;
	return 0;
}

int sc_frozen_thaw(struct sc_frozen *entry, const struct sc_effector *eff)
{
	const struct sc_effector_ops *ops = eff->ops;
	int dir_fd = ops->open_cgroup(eff->ctx, entry->cgroup_id), fd = -1, r = dir_fd;

	if (r >= 0)
		fd = r = ops->open_file(eff->ctx, dir_fd, "cgroup.freeze", true);
	if (r >= 0) {
		do
			r = ops->write_flag(eff->ctx, fd, false);
		while (r == -EINTR);
	}
	if (fd >= 0)
		ops->close(eff->ctx, fd);
	if (dir_fd >= 0)
		ops->close(eff->ctx, dir_fd);
	if (r < 0 && !sc_run_is_gone(r))
		return r;
	memset(entry, 0, sizeof(*entry));
	return 0;
}

size_t sc_frozen_thaw_due(struct sc_frozen *table, size_t size, uint64_t now_boot_ns,
			  const struct sc_effector *eff)
{
	size_t failed = 0;

	for (size_t i = 0; i < size; i++) {
		struct sc_frozen *entry = &table[i];
		bool is_due = now_boot_ns == UINT64_MAX ||
			      (entry->until_boot_ns && now_boot_ns >= entry->until_boot_ns);

		if (entry->cgroup_id && is_due && sc_frozen_thaw(entry, eff) < 0)
			failed++;
	}
	return failed;
}
