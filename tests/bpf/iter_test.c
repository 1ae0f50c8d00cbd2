/* SPDX-License-Identifier: Apache-2.0 */
/* What the iterators read, against the kernel's own files. */
#include "kit.h"

#include "base/clock.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

TestSuite(iter, .init = kit_init, .fini = kit_fini, .timeout = 600);

static int burn(void *arg)
{
	uint64_t end = sc_mono_ns() + *(uint64_t *)arg;

	while (sc_mono_ns() < end)
		;
	return 0;
}

/* So much time of a processor, however long a busy host takes to give it. */
static int use_cpu(void *arg)
{
	struct timespec used;

	do
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	while ((uint64_t)used.tv_sec * SC_NS_PER_S + (uint64_t)used.tv_nsec < *(uint64_t *)arg);
	return 0;
}

Test(iter, cpu_time_is_that_of_cpu_stat)
{
	uint64_t ns = 100 * SC_NS_PER_MS;
	int web = kit_mkdir("web"), inner = kit_mkdir("web/inner");
	const struct sc_kernel *k;
	int64_t usage_us;

	kit_run(inner, use_cpu, &ns);
	k = kit_kernel(web);
	usage_us = sc_cgroup_key(web, "cpu.stat", "usage_usec");
	cr_assert(k->flags & SC_KERNEL_CPU);
	cr_expect_gt(usage_us, 50000);
	cr_expect_lt(llabs((int64_t)(k->cpu_usage_ns / 1000) - usage_us), 2000, "%llu, not %lld us",
		     k->cpu_usage_ns / 1000, (long long)usage_us);
	cr_expect_eq(kit.view.kernel[kit_slot(inner)].pass_ns != 0, 1);
	cr_expect_lt(sc_mono_ns() - k->pass_ns, 5 * SC_NS_PER_S);
}

Test(iter, populated_and_frozen_are_those_of_cgroup_events)
{
	int web = kit_mkdir("web"), inner = kit_mkdir("web/inner");
	pid_t pid;

	cr_expect_eq(kit_kernel(web)->flags & (SC_KERNEL_POPULATED | SC_KERNEL_FROZEN), 0);
	pid = sc_helper_sleep(inner);
	cr_expect(kit_kernel(web)->flags & SC_KERNEL_POPULATED);
	cr_assert_eq(sc_cgroup_write(web, "cgroup.freeze", "1"), 0);
	cr_assert_eq(sc_wait_frozen(inner, true, 30000), 0);
	cr_expect(kit_kernel(web)->flags & SC_KERNEL_FROZEN);
	cr_expect(kit_kernel(inner)->flags & SC_KERNEL_FROZEN, "frozen by its ancestor");
	cr_assert_eq(sc_cgroup_write(web, "cgroup.freeze", "0"), 0);
	cr_assert_eq(sc_wait_frozen(inner, false, 30000), 0);
	cr_expect_eq(kit_kernel(inner)->flags & SC_KERNEL_FROZEN, 0);
	kill(pid, SIGKILL);
	cr_assert_eq(sc_wait_child(pid, NULL, 30000), 0);
	cr_assert_eq(sc_wait_populated(web, false, 30000), 0);
	cr_expect_eq(kit_kernel(web)->flags & SC_KERNEL_POPULATED, 0);
}

struct pressure {
	double avg[3];
	unsigned long long total_us;
};

static bool read_pressure(int cgroup_fd, const char *file, const char *line, struct pressure *p)
{
	char text[512], *at;

	if (sc_read_file_at(cgroup_fd, file, text, sizeof(text)) < 0)
		return false;
	at = strstr(text, line);
	return at && sscanf(at + 5, "avg10=%lf avg60=%lf avg300=%lf total=%llu", &p->avg[0],
			    &p->avg[1], &p->avg[2], &p->total_us) == 4;
}

static int burn_with_rivals(void *arg)
{
	pid_t pids[6];

	for (unsigned int i = 0; i < SC_ARRAY_SIZE(pids); i++)
		if ((pids[i] = fork()) == 0)
			_exit(burn(arg));
	for (unsigned int i = 0; i < SC_ARRAY_SIZE(pids); i++)
		waitpid(pids[i], NULL, 0);
	return 0;
}

#define LOOKS_MAX 100

/* The pass between two looks at the file that agree. Reading the file brings the kernel's averages
 * up to date, so that both tell the same; the kernel does it by itself every two seconds, too. */
static const struct sc_kernel *pass_with_file(int cgroup_fd, struct pressure *p)
{
	const struct sc_kernel *k = NULL;
	struct pressure after = {0};

	for (int i = 0; i < LOOKS_MAX; i++) {
		cr_assert(read_pressure(cgroup_fd, "cpu.pressure", "some", p));
		k = kit_kernel(cgroup_fd);
		cr_assert(read_pressure(cgroup_fd, "cpu.pressure", "some", &after));
		if (memcmp(p, &after, sizeof(after)) == 0)
			return k;
	}
	cr_assert_fail("the file never stands still");
	return k;
}

Test(iter, pressure_is_that_of_the_files)
{
	uint64_t ns = 3 * SC_NS_PER_S;
	int web = kit_mkdir("web");
	const struct sc_kernel *k;
	struct pressure p;

	if (!read_pressure(web, "cpu.pressure", "some", &p))
		cr_skip("this kernel keeps no pressure");
	kit_run(web, burn_with_rivals, &ns);
	k = pass_with_file(web, &p);
	cr_assert(k->flags & SC_KERNEL_PSI);
	cr_expect_gt(p.total_us, 0);
	for (int w = 0; w < 3; w++)
		cr_expect_lt(
			fabs((double)k->psi_some[SC_PSI_CPU].avg[w] / SC_PSI_PERCENT - p.avg[w]),
			0.02, "window %d: %llu, not %.2f %%", w, k->psi_some[SC_PSI_CPU].avg[w],
			p.avg[w]);
	cr_expect_gt(k->psi_some[SC_PSI_CPU].avg[0], 0);
	cr_expect_leq(k->psi_some[SC_PSI_CPU].total_ns / 1000, p.total_us + 1);
	cr_expect_gt(k->psi_some[SC_PSI_CPU].total_ns / 1000 + 1, p.total_us);
	cr_expect_lt(llabs((int64_t)(sc_mono_ns() - k->psi_updated_ns)),
		     (int64_t)(sc_scaled_ms(4000) * SC_NS_PER_MS), "updated at %llu, now %llu",
		     k->psi_updated_ns, (unsigned long long)sc_mono_ns());
	cr_assert(read_pressure(web, "memory.pressure", "some", &p));
	cr_expect_leq(kit_kernel(web)->psi_some[SC_PSI_MEMORY].total_ns / 1000, p.total_us + 1);
}

#define HOG_BYTES (24UL << 20)

static int hold_memory(void *arg)
{
	int *ready = arg;
	char *at = mmap(NULL, HOG_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);

	memset(at, 1, HOG_BYTES);
	if (write(ready[1], "x", 1) != 1)
		return 1;
	pause();
	return 0;
}

/* A number file of a controller; -1 where the controller is not on. */
static long long read_number(int cgroup_fd, const char *file)
{
	char text[64];

	return sc_read_file_at(cgroup_fd, file, text, sizeof(text)) < 0 ? -1
									: strtoll(text, NULL, 10);
}

Test(iter, memory_and_pids_are_those_of_the_controllers)
{
	int web, ready[2];
	const struct sc_kernel *k;
	long long current;
	pid_t pid;
	char byte;

	sc_cgroup_write(sc_box.dirfd, "cgroup.subtree_control", "+memory +pids");
	web = kit_mkdir("web");
	if (read_number(web, "memory.current") < 0) {
		k = kit_kernel(web);
		cr_expect_eq(k->flags & (SC_KERNEL_MEMORY | SC_KERNEL_MEMORY_MAX | SC_KERNEL_PIDS),
			     0, "unknown must not look like a number");
		cr_skip("the memory controller is not on in cgroup v2 here");
	}
	cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
	pid = sc_helper_call(web, hold_memory, ready);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	k = kit_kernel(web);
	current = read_number(web, "memory.current");
	cr_assert(k->flags & SC_KERNEL_MEMORY);
	cr_expect_eq(k->flags & SC_KERNEL_MEMORY_MAX, 0, "memory.max is max");
	cr_expect_lt(llabs((long long)k->mem_current_pages * 4096 - current), 1 << 20);
	cr_expect_geq(k->mem_current_pages * 4096, HOG_BYTES);
	cr_assert(k->flags & SC_KERNEL_PIDS);
	cr_expect_eq(k->pids_current, 1);
	cr_assert_eq(sc_cgroup_write(web, "memory.max", "67108864"), 0);
	k = kit_kernel(web);
	cr_expect(k->flags & SC_KERNEL_MEMORY_MAX);
	cr_expect_eq(k->mem_max_pages * 4096, 67108864);
	kill(pid, SIGKILL);
	cr_assert_eq(sc_wait_child(pid, NULL, 30000), 0);
}

static int vfork_and_wait(void *arg)
{
	/* The parent sleeps uninterruptibly until the child, which shares its memory, is gone. */
	if (vfork() == 0) {
		char byte;

		(void)!read(*(int *)arg, &byte, 1);
		_exit(0);
	}
	return 0;
}

static bool has_dstate(void *arg)
{
	return kit_tasks(*(int *)arg)->dstate == 1;
}

static uint64_t boot_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * SC_NS_PER_S + (uint64_t)t.tv_nsec;
}

Test(iter, tasks_are_counted_with_their_state_and_age)
{
	int web = kit_mkdir("web"), inner = kit_mkdir("web/inner"), gate[2];
	const struct sc_tasks *t;
	uint64_t before, ended, pass;
	pid_t old, waiter;

	cr_expect_eq(kit_tasks(web)->processes, 0);
	cr_expect_eq(kit_tasks(web)->oldest_start_ns, 0);
	before = boot_ns();
	old = sc_helper_sleep(inner);
	cr_assert_eq(pipe2(gate, O_CLOEXEC), 0);
	waiter = sc_helper_call(web, vfork_and_wait, &gate[0]);
	cr_expect_eq(sc_wait_until(has_dstate, &web, 30000), 0);
	t = kit_tasks(web);
	cr_expect_eq(t->processes, 3);
	cr_expect_geq(t->oldest_start_ns, before);
	cr_expect_leq(t->oldest_start_ns, boot_ns());
	cr_expect_eq(kit_tasks(inner)->dstate, 0);
	cr_expect_eq(kit_tasks(inner)->processes, 1);
	pass = sc_bpf_tasks_pass(kit.bpf, &ended);
	cr_expect_eq(t->pass, pass);
	cr_expect_gt(ended, 0);
	cr_assert_eq(write(gate[1], "x", 1), 1);
	cr_assert_eq(sc_wait_child(waiter, NULL, 30000), 0);
	kill(old, SIGKILL);
	cr_assert_eq(sc_wait_child(old, NULL, 30000), 0);
	t = kit_tasks(web);
	cr_expect_eq(t->processes, 0);
	cr_expect_eq(t->dstate, 0);
	cr_expect_eq(t->pass, pass + 1);
}

Test(iter, every_cgroup_is_filled_in_one_pass)
{
	char name[16];

	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		close(kit_mkdir(name));
	}
	cr_assert_eq(sc_bpf_pass_cgroups(kit.bpf), 0);
	for (uint32_t slot = 0; slot < KIT_SLOTS; slot++)
		cr_expect_eq(kit.view.kernel[slot].pass_ns != 0,
			     kit.view.nodes[slot].cgroup_id != 0);
}
