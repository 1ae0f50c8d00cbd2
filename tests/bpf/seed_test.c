/* SPDX-License-Identifier: Apache-2.0 */
/* An agent that starts late counts what is already there, exactly, while it changes. */
#include "kit.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* For the map of processes, into which one test puts entries as a lost event would leave them. */
#include "sys/bpf_impl.h"

#include <bpf/bpf.h>

TestSuite(seed, .init = sc_box_init, .fini = kit_fini, .timeout = 600);

static int fork_for_ever(void *arg)
{
	int *batch = arg;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		for (int i = 0; i < *batch; i++)
			if (fork() == 0)
				_exit(0);
		while (waitpid(-1, NULL, 0) > 0)
			;
	}
	return 0;
}

static int hold_zombie(void *arg)
{
	(void)arg;
	if (fork() == 0)
		_exit(0);
	for (;;)
		pause();
	return 0;
}

struct agreement {
	const struct sc_counts *counts;
	__s64 alive, zombies;
};

/* Orphans of the storm belong to the test now, which reaps them. */
static bool agrees(void *arg)
{
	const struct agreement *a = arg;

	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return a->counts->proc_alive == a->alive && a->counts->proc_zombies == a->zombies;
}

/* After the storm: what is counted is what the kernel lists. */
static void expect_agreement(int fd, int alive, int zombies)
{
	struct agreement a = {kit_counts(fd), alive, zombies};

	if (sc_wait_until(agrees, &a, 30000))
		kit_wait_count(a.counts, proc_zombies, zombies);
	kit_wait_count(a.counts, proc_alive, alive);
	cr_expect_eq(kit_tasks(fd)->processes, (__u32)alive);
}

static void seed_under_storm(unsigned int round)
{
	int a = kit_mkdir("a"), inner = kit_mkdir("a/inner"), b = kit_mkdir("b"), batch = 8;
	pid_t sleepers[20], stormers[3], holder;

	for (unsigned int i = 0; i < SC_ARRAY_SIZE(sleepers); i++)
		sleepers[i] = sc_helper_sleep(i % 2 ? a : inner);
	holder = sc_helper_call(inner, hold_zombie, NULL);
	for (unsigned int i = 0; i < SC_ARRAY_SIZE(stormers); i++)
		stormers[i] = sc_helper_call(i % 2 ? inner : b, fork_for_ever, &batch);
	kit_open(&(struct sc_bpf_options){.slots = KIT_SLOTS, .processes = 8192});
	/* Stopped by SIGKILL at any moment, their children are reaped by somebody else. */
	for (unsigned int i = 0; i < SC_ARRAY_SIZE(stormers); i++) {
		kill(stormers[i], SIGKILL);
		cr_assert_eq(sc_wait_child(stormers[i], NULL, 30000), 0);
	}
	/* Half of the sleepers and who holds the zombie; then the other half, too. */
	expect_agreement(inner, 11, 1);
	expect_agreement(a, 21, 1);
	cr_expect_eq(sc_cgroup_count(inner), 11);
	cr_expect_eq(sc_cgroup_count(a), 10);
	expect_agreement(b, 0, 0);
	cr_expect_eq(kit.view.nodes[kit_slot(a)].flags & SC_NODE_BORN, 0);
	for (unsigned int i = 0; i < SC_ARRAY_SIZE(sleepers); i++) {
		kill(sleepers[i], SIGKILL);
		cr_assert_eq(sc_wait_child(sleepers[i], NULL, 30000), 0, "round %u", round);
	}
	kill(holder, SIGKILL);
	cr_assert_eq(sc_wait_child(holder, NULL, 30000), 0);
	expect_agreement(a, 0, 0);
	sc_bpf_close(&kit.bpf);
	close(inner);
	close(a);
	close(b);
	cr_assert_eq(sc_sandbox_rmdir(&sc_box, "a/inner"), 0);
	cr_assert_eq(sc_sandbox_rmdir(&sc_box, "a"), 0);
	cr_assert_eq(sc_sandbox_rmdir(&sc_box, "b"), 0);
}

Test(seed, agrees_with_the_kernel_after_starting_in_a_fork_storm)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (unsigned int round = 0; round < (unsigned int)kit_times(10) / 2 + 1; round++)
		seed_under_storm(round);
}

Test(seed, the_exit_of_a_process_older_than_the_agent_counts)
{
	int a = kit_mkdir("a");
	pid_t pid = sc_helper_sleep(a);

	kit_open(&(struct sc_bpf_options){.slots = KIT_SLOTS});
	kit_expect_proc(a, &(struct kit_proc){.alive = 1});
	kill(pid, SIGKILL);
	cr_assert_eq(sc_wait_child(pid, NULL, 30000), 0);
	kit_expect_proc(a, &(struct kit_proc){.exits = 1, .kills = 1, .unexpected = 1});
}

Test(seed, a_zombie_older_than_the_agent_is_one_until_it_is_reaped)
{
	int a = kit_mkdir("a");
	pid_t pid = sc_helper_sleep(a);

	kill(pid, SIGKILL);
	cr_assert_eq(sc_wait_gone(pid, 30000), 0);
	kit_open(&(struct sc_bpf_options){.slots = KIT_SLOTS});
	kit_expect_proc(a, &(struct kit_proc){.zombies = 1});
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	kit_expect_proc(a, &(struct kit_proc){0});
}

Test(seed, cgroups_made_during_the_start_are_all_found)
{
	char name[16];
	int made = 40;

	for (int i = 0; i < made; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		close(kit_mkdir(name));
	}
	kit_open(&(struct sc_bpf_options){.slots = KIT_SLOTS});
	cr_expect_eq(sc_bpf_health(kit.bpf).slots_used, (uint32_t)made + 1);
	cr_expect_eq(sc_bpf_seed(kit.bpf), 0);
	cr_expect_eq(sc_bpf_health(kit.bpf).slots_used, (uint32_t)made + 1, "seeded twice");
}

/* As struct sc_process of bpf/maps.h. */
struct entry {
	uint64_t start_ns, state, seen;
};

Test(seed, a_process_that_no_tracepoint_ended_is_taken_out_by_the_passes)
{
	int a = kit_mkdir("a"), fd;
	uint64_t alive_key = 1, dead_key = 2;
	struct entry lost = {.start_ns = 1};
	pid_t pid;

	kit_open(&(struct sc_bpf_options){.slots = KIT_SLOTS});
	pid = sc_helper_sleep(a);
	cr_assert_eq(sc_bpf_pass_tasks(kit.bpf), 0);
	fd = kit.bpf->fds[SC_MAP_PROCESSES];
	lost.seen = kit.view.stats->tasks_pass;
	lost.state = 1ULL << 32 | kit_slot(a); /* alive */
	cr_assert_eq(bpf_map_update_elem(fd, &alive_key, &lost, BPF_NOEXIST), 0);
	lost.state = 2ULL << 32 | kit_slot(a); /* a zombie */
	cr_assert_eq(bpf_map_update_elem(fd, &dead_key, &lost, BPF_NOEXIST), 0);
	cr_assert_eq(sc_bpf_pass_tasks(kit.bpf), 0);
	cr_expect_eq(kit.view.stats->processes_swept, 0, "one missed pass proves nothing");
	cr_assert_eq(sc_bpf_pass_tasks(kit.bpf), 0);
	cr_expect_eq(kit.view.stats->processes_swept, 2);
	/* They had never been counted, so taking them out leaves one less; the real one stays. */
	kit_expect_proc(a, &(struct kit_proc){.forks = 1, .exits = 1, .zombies = -1});
	kill(pid, SIGKILL);
	cr_assert_eq(sc_wait_child(pid, NULL, 30000), 0);
	cr_expect_eq(kit_counts(a)->proc_alive, -1);
	cr_expect_eq(bpf_map_delete_elem(fd, &alive_key), -ENOENT);
}
