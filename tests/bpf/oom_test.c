/* SPDX-License-Identifier: Apache-2.0 */
/* Victims of the out-of-memory killer: each counts once, in the cgroup it lives in and above. */
#include "kit.h"

#include "base/io.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

TestSuite(oom, .init = kit_init, .fini = kit_fini, .timeout = 600);

#define LIMIT "16777216"

static int need_memory(const char *name)
{
	char text[64];
	int fd;

	sc_cgroup_write(sc_box.dirfd, "cgroup.subtree_control", "+memory");
	fd = kit_mkdir(name);
	if (sc_read_file_at(fd, "memory.current", text, sizeof(text)) < 0)
		cr_skip("the memory controller is not on in cgroup v2 here");
	kit_need(SC_BPF_OOM);
	return fd;
}

static void limit(int cgroup_fd)
{
	cr_assert_eq(sc_cgroup_write(cgroup_fd, "memory.max", LIMIT), 0);
	sc_cgroup_write(cgroup_fd, "memory.swap.max", "0");
}

static int eat_memory(void *arg)
{
	(void)arg;
	for (;;) {
		char *at = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				-1, 0);

		if (at == MAP_FAILED)
			return 1;
		memset(at, 1, 1 << 20);
	}
}

static void *eat_in_thread(void *arg)
{
	eat_memory(arg);
	return NULL;
}

static int eat_with_threads(void *arg)
{
	pthread_t threads[3];

	for (unsigned int i = 0; i < SC_ARRAY_SIZE(threads); i++)
		pthread_create(&threads[i], NULL, eat_in_thread, NULL);
	return eat_memory(arg);
}

static void expect_killed(pid_t pid)
{
	int status = 0;

	cr_assert_eq(sc_wait_child(pid, &status, 60000), 0);
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %x", status);
}

static void expect_kills(int cgroup_fd, __s64 want)
{
	kit_wait_count(kit_counts(cgroup_fd), oom_kills, want);
	cr_expect_eq((__s64)kit_kernel(cgroup_fd)->mem_events[SC_MEM_OOM_KILL], want,
		     "memory.events agree");
}

/* Whether a wake record of this kind named the slot. */
static bool has_woken(enum sc_wake_kind kind, uint32_t slot)
{
	struct sc_wake wakes[64];
	int n = sc_bpf_drain(kit.bpf, wakes, SC_ARRAY_SIZE(wakes));

	for (int i = 0; i < n; i++)
		if (wakes[i].kind == kind && wakes[i].slot == slot)
			return true;
	return false;
}

Test(oom, a_victim_counts_where_it_lived_not_where_the_limit_is)
{
	int web = need_memory("web"), inner, sibling, beside = kit_mkdir("beside");

	limit(web);
	cr_assert_eq(sc_cgroup_write(web, "cgroup.subtree_control", "+memory"), 0);
	inner = kit_mkdir("web/inner");
	sibling = kit_mkdir("web/sibling");
	expect_killed(sc_helper_call(inner, eat_memory, NULL));
	cr_expect(has_woken(SC_WAKE_OOM, kit_slot(inner)), "an early tick looks at the victim's");
	expect_kills(inner, 1);
	expect_kills(web, 1);
	expect_kills(sibling, 0);
	expect_kills(beside, 0);
	cr_expect_eq(kit_root_counts()->oom_kills, 1);
	kit_expect_proc(inner,
			&(struct kit_proc){.forks = 1, .exits = 1, .kills = 1, .unexpected = 1});
}

Test(oom, all_of_a_group_count)
{
	int web = need_memory("web"), inner;
	pid_t idle[2];
	__u64 kills;

	cr_assert_eq(sc_cgroup_write(web, "cgroup.subtree_control", "+memory"), 0);
	inner = kit_mkdir("web/inner");
	limit(inner);
	cr_assert_eq(sc_cgroup_write(inner, "memory.oom.group", "1"), 0);
	for (unsigned int i = 0; i < SC_ARRAY_SIZE(idle); i++)
		idle[i] = sc_helper_sleep(inner);
	expect_killed(sc_helper_call(inner, eat_memory, NULL));
	for (unsigned int i = 0; i < SC_ARRAY_SIZE(idle); i++)
		expect_killed(idle[i]);
	kit_wait_count(kit_counts(inner), oom_kills, 3);
	kit_wait_count(kit_counts(web), oom_kills, 3);
	/* Having killed the first, the kernel goes through the group, and may tell that one twice.
	 */
	kills = kit_kernel(inner)->mem_events[SC_MEM_OOM_KILL];
	cr_expect(kills == 3 || kills == 4, "%llu", kills);
	cr_expect_eq(kit_kernel(web)->mem_events[SC_MEM_OOM_KILL], kills);
	cr_expect_eq(kit_kernel(web)->mem_events[SC_MEM_OOM_GROUP_KILL], 1);
}

Test(oom, a_process_of_many_threads_counts_once)
{
	int web = need_memory("web");

	limit(web);
	expect_killed(sc_helper_call(web, eat_with_threads, NULL));
	kit_wait_count(kit_counts(web), proc_kills, 1);
	cr_expect_eq(kit_counts(web)->oom_kills, 1);
}

static int be_first_choice(void *arg)
{
	int *ready = arg, fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "1000", 4) != 4 || write(ready[1], "x", 1) != 1)
		return 1;
	pause();
	return 0;
}

/* Where the whole machine is out of memory no cgroup's limit is: sysrq asks for that. */
Test(oom, a_victim_of_the_whole_machine_counts_in_its_cgroup)
{
	int web, beside, ready[2], sysrq;
	char byte;
	pid_t pid;

	sc_need_file("/run/vm/command", "it kills a process of the machine: only in a guest");
	web = need_memory("web");
	beside = kit_mkdir("beside");
	cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = sc_helper_call(web, be_first_choice, ready);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	sysrq = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
	cr_assert_eq(write(sysrq, "f", 1), 1);
	expect_killed(pid);
	expect_kills(web, 1);
	expect_kills(beside, 0);
}
