/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one cgroup makes the kernel side lose is noted for it and those above it, and for nobody
 * else; and what finds no slot is not lost.
 */
#include "kit.h"

#include "base/str.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void loss_init(void)
{
	sc_box_init();
}

TestSuite(loss, .init = loss_init, .fini = kit_fini, .timeout = 300);

static const struct sc_node *node_of(int cgroup_fd)
{
	return &kit.view.nodes[kit_slot(cgroup_fd)];
}

static int reads_nothing(void *arg)
{
	char byte;

	return read(*(int *)arg, &byte, 1) < 0;
}

Test(loss, processes_that_are_not_remembered_are_noted_where_they_live_and_above)
{
	enum { N = 40, ROOM = 16 };
	int noisy, deep, quiet, gate[2];

	kit_open(&(struct sc_bpf_options){.slots = 8, .processes = ROOM});
	noisy = kit_mkdir("noisy");
	deep = kit_mkdir("noisy/deep");
	quiet = kit_mkdir("quiet");
	cr_assert_eq(pipe2(gate, O_CLOEXEC), 0);
	for (int i = 0; i < N; i++)
		cr_assert_gt(sc_helper_call(deep, reads_nothing, &gate[0]), 0);
	cr_expect_eq(node_of(deep)->lost, N - ROOM);
	cr_expect_eq(node_of(noisy)->lost, N - ROOM);
	cr_expect_eq(kit.view.nodes[0].lost, N - ROOM);
	cr_expect_gt(node_of(deep)->lost_ns, node_of(deep)->born_ns);
	cr_expect_eq(node_of(deep)->lost_ns, kit.view.nodes[0].lost_ns);
	cr_expect_eq(node_of(quiet)->lost, 0);
	cr_expect_eq(node_of(quiet)->lost_ns, 0);
}

static int fail_now(void *arg)
{
	(void)arg;
	return 1;
}

static int fail_below(void *arg)
{
	int pid = (int)fork();

	if (pid == 0)
		_exit(*(int *)arg);
	return sc_wait_child(pid, NULL, 30000) != 0;
}

/* The id map has room for twice the slots; all that is made after that is known to nobody. */
static void exhaust(const char *top, int slots)
{
	char name[64];

	for (int i = 0; i < 3 * slots; i++) {
		snprintf(name, sizeof(name), "%s/c%d", top, i);
		close(kit_mkdir(name));
	}
	cr_assert_gt(kit.view.stats->slots_exhausted, 0);
	cr_assert_gt(kit.view.stats->ids_full, 0);
}

Test(loss, what_finds_no_slot_and_no_place_in_the_id_map_is_counted_above_and_not_lost)
{
	enum { SLOTS = 8, DEPTH = 40, N = 5 };
	int greedy, quiet, unknown = -1, one = 1;
	char name[256];
	struct sc_str path;

	kit_open(&(struct sc_bpf_options){.slots = SLOTS, .processes = 1024});
	greedy = kit_mkdir("greedy");
	quiet = kit_mkdir("quiet");
	exhaust("greedy", SLOTS);
	/* Far deeper than anything that has a slot. */
	sc_str_init(&path, name, sizeof(name));
	sc_str_add(&path, "greedy/u");
	for (int i = 0; i < DEPTH; i++) {
		if (unknown >= 0)
			close(unknown);
		unknown = kit_mkdir(name);
		sc_str_add(&path, "/u");
	}
	cr_assert_eq(sc_bpf_slot_of(kit.bpf, sc_cgroup_id(unknown)), SC_SLOT_NONE);
	for (int i = 0; i < N; i++)
		kit_run(unknown, fail_now, NULL);
	kit_wait_count(kit_counts(greedy), proc_zombies, 0);
	cr_expect_eq(kit_counts(greedy)->proc_forks, N);
	cr_expect_eq(kit_counts(greedy)->proc_exits, N);
	cr_expect_eq(kit_counts(greedy)->proc_failures, N);
	cr_expect_eq(kit_counts(greedy)->proc_alive, 0);
	cr_expect_eq(kit_counts(greedy)->proc_unexpected_exits, N, "their parent is the test");
	cr_expect_eq(kit_root_counts()->proc_forks, N);
	cr_expect_eq(kit_counts(quiet)->proc_forks, 0);
	cr_expect_eq(node_of(greedy)->lost, 0);
	cr_expect_eq(kit.view.nodes[0].lost, 0);

	/* A failure whose parent is of the same cgroup was expected there. */
	cr_expect_eq(kit_run(unknown, fail_below, &one), 0);
	kit_wait_count(kit_counts(greedy), proc_zombies, 0);
	cr_expect_eq(kit_counts(greedy)->proc_failures, N + 1);
	cr_expect_eq(kit_counts(greedy)->proc_unexpected_exits, N);
}
