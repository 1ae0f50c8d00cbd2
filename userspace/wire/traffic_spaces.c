/* SPDX-License-Identifier: Apache-2.0 */
/* Which foreign network namespaces hold which cuts, and what their tables shall hold. */
#include "wire/traffic_impl.h"

#include <errno.h>

int sc_traffic_list_spaces(const struct sc_traffic_wire *w, const struct sc_cut_member *members,
			   uint32_t n, struct sc_netns_list *list)
{
	int first = 0;

	for (uint32_t i = 0; i < n; i++) {
		_cleanup_close_ int fd = sc_cgroup_open(w->host.fs, members[i].cgroup_id);
		int r = fd < 0 ? fd : sc_netns_list_cgroup(list, fd);

		if (r < 0 && r != -ESTALE && r != -ENOENT && r != -ENODEV && first == 0)
			first = r;
	}
	return first;
}

struct sc_traffic_space *sc_traffic_space_find(struct sc_traffic_spaces *spaces, uint64_t inode)
{
	for (uint32_t i = 0; i < spaces->n; i++)
		if (spaces->item[i].inode == inode)
			return &spaces->item[i];
	return NULL;
}

struct sc_traffic_space *sc_traffic_space_of(struct sc_traffic_spaces *spaces, uint64_t inode)
{
	struct sc_traffic_space *space = sc_traffic_space_find(spaces, inode);

	if (space || spaces->n == SC_ARRAY_SIZE(spaces->item))
		return space;
	spaces->item[spaces->n] = (struct sc_traffic_space){.inode = inode};
	return &spaces->item[spaces->n++];
}

int sc_traffic_note_spaces(const struct sc_traffic_wire *w, const struct sc_cut *cut,
			   struct sc_netns_list *list, struct sc_traffic_spaces *spaces)
{
	int r;

	sc_netns_list_init(list);
	r = sc_traffic_list_spaces(w, cut->members, cut->n_members, list);
	for (uint32_t i = 0; i < list->n; i++) {
		struct sc_traffic_space *space;

		if (list->found[i].inode == w->own_space)
			continue;
		space = sc_traffic_space_of(spaces, list->found[i].inode);
		if (!space)
			return -E2BIG;
		space->pid = list->found[i].pid;
		space->cuts[cut->number / 32] |= 1U << cut->number % 32;
	}
	return r == 0 && !list->is_all ? -E2BIG : r;
}

static int by_id(const void *a, const void *b)
{
	const struct sc_nft_element *x = a, *y = b;

	return (x->cgroup_id > y->cgroup_id) - (x->cgroup_id < y->cgroup_id);
}

static uint32_t pick_cut(const struct sc_cuts *cuts, uint32_t number, struct sc_nft_element *out)
{
	struct sc_cut_member members[SC_CUT_MEMBERS_MAX];
	uint32_t n = sc_cuts_members(cuts, number, members);

	for (uint32_t i = 0; i < n; i++) {
		struct sc_cut_entry entry = sc_cuts_entry(cuts, members[i].cgroup_id);

		out[i] = sc_traffic_element(&entry);
	}
	return n;
}

/* A cgroup that two of the cuts name was stored twice, alike. */
uint32_t sc_traffic_pick(const struct sc_cuts *cuts, const struct sc_traffic_space *space,
			 struct sc_nft_element *out)
{
	uint32_t n = 0, kept = 0;

	for (uint32_t number = 0; number < SC_CUTS_MAX; number++)
		if (space->cuts[number / 32] & 1U << number % 32)
			n += pick_cut(cuts, number, out + n);
	qsort(out, n, sizeof(*out), by_id);
	for (uint32_t i = 0; i < n; i++)
		if (i == 0 || out[i].cgroup_id != out[kept - 1].cgroup_id)
			out[kept++] = out[i];
	return kept;
}
