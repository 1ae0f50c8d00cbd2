/* SPDX-License-Identifier: Apache-2.0 */
/* The shared maps as memory, as pins, and as a stock of slots. */
#include "sys/bpf_impl.h"

#include "base/io.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define BPFFS           "/sys/fs/bpf"
#define DEFAULT_RUN_DIR "/run/scram"

static const size_t entry_sizes[SC_MAP_MAPPED_COUNT] = {
	[SC_MAP_NODES] = sizeof(struct sc_node),    [SC_MAP_COUNTS] = sizeof(struct sc_counts),
	[SC_MAP_KERNEL] = sizeof(struct sc_kernel), [SC_MAP_TASKS] = sizeof(struct sc_tasks),
	[SC_MAP_STATS] = sizeof(struct sc_stats),
};

static int fail(char *reason, const char *step, int err)
{
	snprintf(reason, SC_BPF_REASON_MAX, "%s: %s", step, strerror(-err));
	return err;
}

static int map_one(struct sc_bpf *b, enum sc_bpf_map map)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t entries = map == SC_MAP_STATS ? 1 : b->options.slots;
	size_t size = (entries * entry_sizes[map] + page - 1) / page * page;
	void *at;

	/* The kernel keeps each value at a multiple of 8 bytes. */
	SC_ASSERT(entry_sizes[map] % 8 == 0);
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, b->fds[map], 0);
	if (at == MAP_FAILED)
		return -errno;
	b->mapped[map] = at;
	b->mapped_size[map] = size;
	return 0;
}

/* Slot 0 is the root's; the lowest of the others is taken first. */
static int stock_slots(struct sc_bpf *b)
{
	for (uint32_t slot = b->options.slots - 1; slot > 0; slot--)
		if (bpf_map_update_elem(b->fds[SC_MAP_SLOTS_FREE], NULL, &slot, BPF_ANY) < 0)
			return -errno;
	return 0;
}

int sc_bpf_maps_open(struct sc_bpf *b, char *reason)
{
	DECLARE_LIBBPF_OPTS(bpf_map_create_opts, opts,
			    .inner_map_fd = (uint32_t)b->fds[SC_MAP_IDS]);
	int err;

	for (unsigned int m = 0; m < SC_MAP_MAPPED_COUNT; m++) {
		err = map_one(b, m);
		if (err)
			return fail(reason, "cannot map the arrays", err);
	}
	b->grace_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "grace", sizeof(uint32_t),
				     sizeof(uint32_t), 1, &opts);
	if (b->grace_fd < 0)
		return fail(reason, "cannot create the map of maps", -errno);
	err = stock_slots(b);
	return err ? fail(reason, "cannot fill the stock of slots", err) : 0;
}

static void pin_path(const struct sc_bpf *b, enum sc_bpf_map map, char *out, size_t size)
{
	snprintf(out, size, "%s/%s", b->pin_dir, sc_bpf_map_name(map));
}

static void unpin(struct sc_bpf *b)
{
	char path[SC_BPF_PIN_DIR_MAX + 32];
	char *slash;

	for (unsigned int m = 0; m < SC_MAP_PINNED_COUNT; m++) {
		pin_path(b, m, path, sizeof(path));
		unlink(path);
	}
	/* v<schema>, then what holds it; a directory that others use stays, because it is not
	 * empty. */
	for (int up = 0; up < 3 && strcmp(b->pin_dir, BPFFS) != 0; up++) {
		slash = strrchr(b->pin_dir, '/');
		if (rmdir(b->pin_dir) < 0 || !slash)
			break;
		*slash = '\0';
	}
	b->pin_dir[0] = '\0';
}

void sc_bpf_maps_close(struct sc_bpf *b)
{
	if (b->pin_dir[0])
		unpin(b);
	for (unsigned int m = 0; m < SC_MAP_MAPPED_COUNT; m++)
		if (b->mapped[m])
			munmap(b->mapped[m], b->mapped_size[m]);
	sc_close(&b->grace_fd);
	sc_close(&b->pin_lock_fd);
}

/* Shows that this agent lives: doctor tells the pins of dead ones by it. */
static int lock_pins(struct sc_bpf *b)
{
	b->pin_lock_fd = open(b->pin_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return b->pin_lock_fd < 0 || flock(b->pin_lock_fd, LOCK_SH) < 0 ? -errno : 0;
}

int sc_bpf_maps_pin(struct sc_bpf *b, const char *dir, char *reason)
{
	char path[SC_BPF_PIN_DIR_MAX + 32];
	int err;

	if (snprintf(b->pin_dir, sizeof(b->pin_dir), "%s", dir) >= (int)sizeof(b->pin_dir)) {
		b->pin_dir[0] = '\0';
		return fail(reason, "the pin directory's name", -ENAMETOOLONG);
	}
	err = sc_mkdir_p(b->pin_dir, 0700);
	if (!err)
		err = lock_pins(b);
	if (err)
		return fail(reason, b->pin_dir, err);
	for (unsigned int m = 0; m < SC_MAP_PINNED_COUNT; m++) {
		pin_path(b, m, path, sizeof(path));
		/* Left by an agent that died: the caller holds the lock of the run dir. */
		if (unlink(path) < 0 && errno != ENOENT)
			return fail(reason, path, -errno);
		if (bpf_obj_pin(b->fds[m], path) < 0)
			return fail(reason, path, -errno);
	}
	return 0;
}

static int mount_bpffs(void)
{
	struct statfs fs;

	if (statfs(BPFFS, &fs) < 0)
		return -errno;
	if (fs.f_type == BPF_FS_MAGIC)
		return 0;
	return mount("bpf", BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0
		       ? -errno
		       : 0;
}

/* FNV-1a, 64 bits: names a directory, protects nothing. */
static uint64_t hash_text(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3ULL;
	return hash;
}

void sc_bpf_run_tag(const char *run_dir, char out[static SC_BPF_RUN_TAG_MAX])
{
	out[0] = '\0';
	if (strcmp(run_dir, DEFAULT_RUN_DIR) != 0)
		snprintf(out, SC_BPF_RUN_TAG_MAX, "%016llx",
			 (unsigned long long)hash_text(run_dir));
}

int sc_bpf_pin_dir(const char *run_dir, char out[static SC_BPF_PIN_DIR_MAX])
{
	char tag[SC_BPF_RUN_TAG_MAX];
	int err;

	out[0] = '\0';
	err = mount_bpffs();
	if (err)
		return err;
	sc_bpf_run_tag(run_dir, tag);
	snprintf(out, SC_BPF_PIN_DIR_MAX, BPFFS "/scram/%s%sv%d", tag, tag[0] ? "/" : "",
		 SC_SCHEMA);
	return 0;
}

/* Gone, and nothing left that remembers the slot's number: neither process nor zombie. */
static bool is_recyclable(const struct sc_bpf *b, uint32_t slot)
{
	const struct sc_node *node;
	const struct sc_counts *c;

	if (slot == 0 || slot >= b->options.slots)
		return false;
	node = &sc_bpf_nodes(b)[slot];
	c = &((const struct sc_counts *)b->mapped[SC_MAP_COUNTS])[slot];
	return node->cgroup_id && node->flags & SC_NODE_GONE &&
	       __atomic_load_n(&c->proc_alive, __ATOMIC_ACQUIRE) == 0 &&
	       __atomic_load_n(&c->proc_zombies, __ATOMIC_ACQUIRE) == 0;
}

/* Updates of a map of maps return only after every BPF program that could run has ended (bpf(2)).
 */
static int wait_for_programs(const struct sc_bpf *b)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(b->grace_fd, &zero, &b->fds[SC_MAP_IDS], BPF_ANY) < 0 ? -errno
											 : 0;
}

static int give_back(struct sc_bpf *b, uint32_t slot)
{
	struct sc_node *node = &sc_bpf_nodes(b)[slot];

	__atomic_store_n(&node->cgroup_id, 0, __ATOMIC_RELEASE);
	memset(&b->tasks_done[slot], 0, sizeof(*b->tasks_done));
	for (unsigned int m = SC_MAP_NODES; m <= SC_MAP_TASKS; m++)
		memset((char *)b->mapped[m] + slot * entry_sizes[m], 0, entry_sizes[m]);
	if (bpf_map_update_elem(b->fds[SC_MAP_SLOTS_FREE], NULL, &slot, BPF_ANY) < 0)
		return -errno;
	atomic_fetch_add_explicit(&b->recycled, 1, memory_order_relaxed);
	return 0;
}

int sc_bpf_recycle(struct sc_bpf *b, const uint32_t *slots, size_t n, bool *done)
{
	bool taken[SC_BPF_RECYCLE_MAX] = {false};
	int recycled = 0, err;

	SC_ASSERT(n <= SC_BPF_RECYCLE_MAX);
	for (size_t i = 0; i < n; i++) {
		if (done)
			done[i] = false;
		if (!is_recyclable(b, slots[i]))
			continue;
		/* A slot named twice has no id the second time. */
		taken[i] = bpf_map_delete_elem(b->fds[SC_MAP_IDS],
					       &sc_bpf_nodes(b)[slots[i]].cgroup_id) == 0;
		recycled += taken[i];
	}
	if (!recycled)
		return 0;
	err = wait_for_programs(b);
	for (size_t i = 0; !err && i < n; i++) {
		if (!taken[i])
			continue;
		err = give_back(b, slots[i]);
		if (!err && done)
			done[i] = true;
	}
	return err ? err : recycled;
}

uint32_t sc_bpf_slot_of(const struct sc_bpf *b, uint64_t cgroup_id)
{
	uint32_t slot;

	if (bpf_map_lookup_elem(b->fds[SC_MAP_IDS], &cgroup_id, &slot) < 0)
		return SC_SLOT_NONE;
	return slot;
}

/* The node of the slot while it is that cgroup's, or NULL. */
static struct sc_node *node_of(struct sc_bpf *b, uint32_t slot, uint64_t cgroup_id)
{
	struct sc_node *node;

	if (slot >= b->options.slots || !cgroup_id)
		return NULL;
	node = &sc_bpf_nodes(b)[slot];
	return __atomic_load_n(&node->cgroup_id, __ATOMIC_ACQUIRE) == cgroup_id ? node : NULL;
}

int sc_bpf_set_killing(struct sc_bpf *b, uint32_t slot, uint64_t cgroup_id, bool on)
{
	struct sc_node *node = node_of(b, slot, cgroup_id);

	if (!node)
		return -ESTALE;
	__atomic_store_n(&node->killing, on, __ATOMIC_RELEASE);
	return 0;
}

int sc_bpf_set_tenant(struct sc_bpf *b, uint32_t slot, uint64_t cgroup_id, uint32_t tenant)
{
	struct sc_node *node = node_of(b, slot, cgroup_id);

	if (!node)
		return -ESTALE;
	__atomic_store_n(&node->tenant, tenant, __ATOMIC_RELEASE);
	return 0;
}
