/* SPDX-License-Identifier: Apache-2.0 */
/* Telling the maps of the programs that deny writes, as a difference: what is new before what is
 * old. */
#include "sys/readonly_lsm_impl.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

static bool has_mark(const struct sc_lsm_wish *wish, uint64_t id)
{
	for (size_t i = 0; i < wish->n_marks; i++)
		if (wish->marks[i].cgroup_id == id)
			return true;
	return false;
}

static bool has_place(const struct sc_lsm_wish *wish, const struct sc_readonly_place *place)
{
	for (size_t i = 0; i < wish->n_places; i++)
		if (memcmp(&wish->places[i], place, sizeof(*place)) == 0)
			return true;
	return false;
}

static int put_marks(int fd, const struct sc_lsm_wish *wish)
{
	for (size_t i = 0; i < wish->n_marks; i++)
		if (bpf_map_update_elem(fd, &wish->marks[i].cgroup_id, &wish->marks[i].entry,
					BPF_ANY) < 0)
			return -errno;
	return 0;
}

static void drop_old_marks(int fd, const struct sc_lsm_wish *wish)
{
	uint64_t key, old[SC_READONLY_MARKS_MAX];
	const void *last = NULL;
	size_t n = 0;

	while (n < SC_READONLY_MARKS_MAX && bpf_map_get_next_key(fd, last, &key) == 0) {
		last = &key;
		if (!has_mark(wish, key))
			old[n++] = key;
	}
	for (size_t i = 0; i < n; i++)
		(void)bpf_map_delete_elem(fd, &old[i]);
}

/* There may be no room for both. */
int sc_lsm_sync_marks(int fd, const struct sc_lsm_wish *wish)
{
	int r = put_marks(fd, wish);

	drop_old_marks(fd, wish);
	return r == -E2BIG ? put_marks(fd, wish) : r;
}

int sc_lsm_sync_places(int fd, const struct sc_lsm_wish *wish)
{
	struct sc_readonly_place key, old[SC_READONLY_PLACES_MAX];
	const void *last = NULL;
	uint32_t one = 1;
	size_t n = 0;

	for (size_t i = 0; i < wish->n_places; i++)
		if (bpf_map_update_elem(fd, &wish->places[i], &one, BPF_ANY) < 0)
			return -errno;
	while (n < SC_READONLY_PLACES_MAX && bpf_map_get_next_key(fd, last, &key) == 0) {
		last = &key;
		if (!has_place(wish, &key))
			old[n++] = key;
	}
	for (size_t i = 0; i < n; i++)
		(void)bpf_map_delete_elem(fd, &old[i]);
	return 0;
}
