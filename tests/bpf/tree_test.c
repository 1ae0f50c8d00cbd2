/* SPDX-License-Identifier: Apache-2.0 */
/* Slots: given at mkdir, kept until the last process and zombie are gone, given again. */
#include "kit.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

TestSuite(tree, .init = kit_init, .fini = kit_fini, .timeout = 600);

static int exit_with(void *arg)
{
	return *(int *)arg;
}

static int zero = 0, one = 1;

Test(tree, a_cgroup_born_and_gone_at_once_counts_in_its_parent)
{
	int web = kit_mkdir("web");

	for (int i = 0; i < 20; i++) {
		int brief = kit_mkdir("web/brief");

		kit_run(brief, exit_with, &one);
		close(brief);
		cr_assert_eq(sc_sandbox_rmdir(&sc_box, "web/brief"), 0);
	}
	kit_expect_proc(web, &(struct kit_proc){
				     .forks = 20, .exits = 20, .failures = 20, .unexpected = 20});
	kit_expect_proc(
		sc_box.dirfd,
		&(struct kit_proc){.forks = 20, .exits = 20, .failures = 20, .unexpected = 20});
}

Test(tree, a_node_tells_where_its_cgroup_is)
{
	int web = kit_mkdir("web"), inner = kit_mkdir("web/inner");
	const struct sc_node *n = &kit.view.nodes[kit_slot(inner)];

	cr_expect_eq(n->parent_id, sc_cgroup_id(web));
	cr_expect_eq(n->flags, SC_NODE_BORN);
	cr_expect_eq(n->ancestors, 3);
	cr_expect_eq(n->ancestor[0], kit_slot(inner));
	cr_expect_eq(n->ancestor[1], kit_slot(web));
	cr_expect_eq(n->ancestor[2], 0);
	cr_expect_eq(n->level, kit.view.nodes[0].level + 2);
	cr_expect_eq(kit.view.nodes[0].cgroup_id, sc_bpf_root_id(kit.bpf));
	cr_expect_eq(kit.view.nodes[0].flags, 0, "the root was seeded, not born");
}

Test(tree, cgroups_outside_the_supervised_one_have_no_slot)
{
	char path[SC_SANDBOX_PATH_MAX + 16];
	struct stat st;

	snprintf(path, sizeof(path), "%s-beside", sc_box.dir);
	cr_assert_eq(mkdir(path, 0755), 0);
	cr_assert_eq(stat(path, &st), 0);
	rmdir(path);
	cr_expect_eq(kit_slot_of_id(st.st_ino), SC_SLOT_NONE);
	cr_expect_eq(sc_bpf_health(kit.bpf).slots_used, 1);
}

/* Where a cgroup v1 hierarchy is mounted, or false. */
static bool find_v1(char *out, size_t size)
{
	char line[1024], kind[64], dir[256];
	_cleanup_fclose_ FILE *mounts = fopen("/proc/self/mounts", "re");

	while (mounts && fgets(line, sizeof(line), mounts))
		if (sscanf(line, "%*s %255s %63s", dir, kind) == 2 && strcmp(kind, "cgroup") == 0)
			return snprintf(out, size, "%s/scram-test-%d", dir, getpid()) < (int)size;
	return false;
}

/* Busy until the process has left for good. */
static bool is_removed(void *path)
{
	return rmdir(path) == 0;
}

Test(tree, hierarchies_of_v1_are_ignored)
{
	char path[300], file[320];
	_cleanup_close_ int procs = -1;
	struct stat st;
	pid_t pid;
	int web;

	if (!find_v1(path, sizeof(path)))
		cr_skip("no cgroup v1 hierarchy is mounted here");
	web = kit_mkdir("web");
	pid = sc_helper_sleep(web);
	cr_assert_eq(mkdir(path, 0755), 0);
	cr_assert_eq(stat(path, &st), 0);
	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	procs = open(file, O_WRONLY | O_CLOEXEC);
	dprintf(procs, "%d", pid);
	cr_expect_eq(sc_bpf_health(kit.bpf).slots_used, 2);
	kit_expect_proc(web, &(struct kit_proc){.forks = 1, .alive = 1});
	kill(pid, SIGKILL);
	cr_assert_eq(sc_wait_child(pid, NULL, 30000), 0);
	cr_expect_eq(sc_wait_until(is_removed, path, 30000), 0);
}

Test(tree, a_cgroup_too_deep_counts_into_the_deepest_that_has_a_slot)
{
	char name[64];
	struct sc_str path;
	int fd, deepest = -1;

	sc_str_init(&path, name, sizeof(name));
	sc_str_add(&path, "d");
	fd = kit_mkdir(name);
	for (int depth = 2; depth <= 20; depth++) {
		sc_str_add(&path, "/d");
		fd = kit_mkdir(name);
		if (depth == SC_DEPTH_MAX - 1) /* the root is the first of the chain */
			deepest = fd;
	}
	cr_expect_eq(kit_slot(fd), SC_SLOT_NONE);
	cr_expect_eq(kit.view.stats->too_deep, 20 - (SC_DEPTH_MAX - 1));
	kit_run(fd, exit_with, &one);
	kit_expect_proc(deepest,
			&(struct kit_proc){.forks = 1, .exits = 1, .failures = 1, .unexpected = 1});
	kit_expect_proc(sc_box.dirfd,
			&(struct kit_proc){.forks = 1, .exits = 1, .failures = 1, .unexpected = 1});
}

Test(tree, without_a_free_slot_a_cgroup_counts_into_its_parent)
{
	int a, b, c, inner;

	sc_bpf_close(&kit.bpf);
	kit_open(&(struct sc_bpf_options){.slots = 3});
	a = kit_mkdir("a");
	b = kit_mkdir("b");
	c = kit_mkdir("c");
	inner = kit_mkdir("a/inner");
	cr_expect_neq(kit_slot(a), SC_SLOT_NONE);
	cr_expect_neq(kit_slot(b), SC_SLOT_NONE);
	cr_expect_eq(kit_slot(c), SC_SLOT_NONE);
	cr_expect_eq(kit_slot(inner), SC_SLOT_NONE);
	cr_expect_eq(kit.view.stats->slots_exhausted, 2);
	cr_expect_eq(sc_bpf_health(kit.bpf).slots_free, 0);
	kit_run(inner, exit_with, &zero);
	kit_run(c, exit_with, &zero);
	kit_expect_proc(a, &(struct kit_proc){.forks = 1, .exits = 1});
	kit_expect_proc(b, &(struct kit_proc){0});
	kit_expect_proc(sc_box.dirfd, &(struct kit_proc){.forks = 2, .exits = 2});
}

Test(tree, a_slot_is_recycled_only_when_its_cgroup_is_gone_and_empty)
{
	int a = kit_mkdir("a");
	uint32_t slot = kit_slot(a), root = 0, beyond = KIT_SLOTS, free_before;
	pid_t pid = sc_helper_sleep(a);
	bool done = true;

	cr_expect_eq(sc_bpf_recycle(kit.bpf, &root, 1, NULL), 0);
	cr_expect_eq(sc_bpf_recycle(kit.bpf, &beyond, 1, NULL), 0);
	cr_expect_eq(sc_bpf_recycle(kit.bpf, &slot, 1, &done), 0);
	cr_expect_not(done);
	kill(pid, SIGKILL);
	cr_assert_eq(sc_wait_gone(pid, 30000), 0);
	/* The directory goes although a zombie remembers it. */
	cr_assert_eq(sc_sandbox_rmdir(&sc_box, "a"), 0);
	cr_expect(kit.view.nodes[slot].flags & SC_NODE_GONE);
	cr_expect_gt(kit.view.nodes[slot].gone_ns, kit.view.nodes[slot].born_ns);
	cr_expect_eq(sc_bpf_recycle(kit.bpf, &slot, 1, &done), 0);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	kit_wait_count(&kit.view.counts[slot], proc_zombies, 0);
	free_before = sc_bpf_health(kit.bpf).slots_free;
	cr_expect_eq(sc_bpf_recycle(kit.bpf, (uint32_t[]){slot, slot}, 2, NULL), 1);
	cr_expect_eq(sc_bpf_health(kit.bpf).slots_free, free_before + 1);
	cr_expect_eq(kit.view.nodes[slot].cgroup_id, 0);
	cr_expect_eq(kit.view.counts[slot].proc_exits, 0);
	cr_expect_eq(kit_root_counts()->proc_exits, 1);
}

Test(tree, recycled_slots_begin_at_zero)
{
	char name[16];
	int n = kit_times(3 * KIT_SLOTS) + KIT_SLOTS;

	for (int i = 0; i < n; i++) {
		uint32_t slot;
		int fd;

		snprintf(name, sizeof(name), "c%d", i);
		fd = kit_mkdir(name);
		slot = kit_slot(fd);
		cr_assert_neq(slot, SC_SLOT_NONE);
		cr_assert_eq(kit.view.counts[slot].proc_exits, 0);
		kit_run(fd, exit_with, &zero);
		cr_assert_eq(kit.view.counts[slot].proc_exits, 1);
		kit_wait_count(&kit.view.counts[slot], proc_zombies, 0);
		close(fd);
		cr_assert_eq(sc_sandbox_rmdir(&sc_box, name), 0);
		cr_assert_eq(sc_bpf_recycle(kit.bpf, &slot, 1, NULL), 1);
	}
	cr_expect_eq(kit.view.stats->slots_exhausted, 0);
	kit_wait_count(kit_root_counts(), proc_exits, n);
}

/* Drains everything; returns how many there were of the kind, for the cgroup (0 = any). */
static uint64_t drain(enum sc_wake_kind kind, uint64_t id, uint64_t *all)
{
	struct sc_wake wakes[16];
	uint64_t found = 0;

	for (int n; (n = sc_bpf_drain(kit.bpf, wakes, SC_ARRAY_SIZE(wakes))) > 0;) {
		for (int i = 0; i < n; i++)
			found += wakes[i].kind == kind && (!id || wakes[i].cgroup_id == id);
		*all += (uint64_t)n;
	}
	return found;
}

struct woken {
	enum sc_wake_kind kind;
	uint64_t id;
};

static bool has_woken(void *arg)
{
	struct woken *w = arg;
	uint64_t all = 0;

	return drain(w->kind, w->id, &all) > 0;
}

Test(tree, wakes_for_what_happens_to_a_cgroup)
{
	int web = kit_mkdir("web");
	struct woken w = {SC_WAKE_MADE, sc_cgroup_id(web)};
	pid_t pid;

	cr_expect_eq(sc_wait_until(has_woken, &w, 30000), 0, "made");
	kit_run(web, exit_with, &one);
	w.kind = SC_WAKE_EXIT;
	cr_expect_eq(sc_wait_until(has_woken, &w, 30000), 0, "exit");
	pid = sc_helper_sleep(web);
	kill(pid, SIGKILL);
	w.kind = SC_WAKE_CRASH;
	cr_expect_eq(sc_wait_until(has_woken, &w, 30000), 0, "crash");
	cr_assert_eq(sc_wait_child(pid, NULL, 30000), 0);
	kit_run(web, exit_with, &zero);
	w.kind = SC_WAKE_EMPTY;
	cr_expect_eq(sc_wait_until(has_woken, &w, 30000), 0, "empty");
	cr_assert_eq(sc_sandbox_rmdir(&sc_box, "web"), 0);
	w.kind = SC_WAKE_GONE;
	cr_expect_eq(sc_wait_until(has_woken, &w, 30000), 0, "gone");
}

static int fail_many(void *arg)
{
	for (int i = 0; i < *(int *)arg; i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(1);
		if (waitpid(pid, NULL, 0) != pid)
			return 1;
	}
	return 0;
}

Test(tree, every_lost_wake_is_counted)
{
	int n = 3200, web = kit_mkdir("web");
	uint64_t received = 0, exits;
	const struct sc_stats *s = kit.view.stats;

	/* Nobody reads: 64 KiB hold 2048 records. */
	cr_assert_eq(kit_run(web, fail_many, &n), 0);
	cr_expect_gt(s->wake_lost, 1000);
	exits = drain(SC_WAKE_EXIT, sc_cgroup_id(web), &received);
	cr_expect_gt(exits, 1000);
	cr_expect_eq(s->wake_attempts, s->wake_lost + received);
	cr_expect_eq(sc_bpf_health(kit.bpf).wakes_received, received);
	cr_expect_eq(kit_counts(web)->proc_failures, n, "a lost wake loses no count");
}
