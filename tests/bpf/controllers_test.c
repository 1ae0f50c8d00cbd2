/* SPDX-License-Identifier: Apache-2.0 */
/* What the iterators read of the controllers, against the controllers' own files. */
#include "kit.h"

#include "base/clock.h"
#include "base/io.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

TestSuite(controllers, .init = kit_init, .fini = kit_fini, .timeout = 600);

#define MIB (1UL << 20)

/* A cgroup with the controllers ("+memory +pids") on, of which `file` is one's; else skips. */
static int need(const char *controllers, const char *file)
{
	const __u32 without = SC_KERNEL_PSI | SC_KERNEL_CPU | SC_KERNEL_POPULATED |
			      SC_KERNEL_FROZEN;
	char text[64];
	int fd;

	sc_cgroup_write(sc_box.dirfd, "cgroup.subtree_control", controllers);
	fd = kit_mkdir("web");
	if (sc_read_file_at(fd, file, text, sizeof(text)) < 0) {
		cr_expect_eq(kit_kernel(fd)->flags & ~without, 0,
			     "unknown must not look like a number");
		cr_expect_eq(kit_kernel(fd)->io_pass_ns, 0);
		cr_skip("the controller is not on in cgroup v2 here: %s", controllers + 1);
	}
	return fd;
}

static int take_memory(void *arg)
{
	size_t mib = *(size_t *)arg;
	char *at = mmap(NULL, mib * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);

	for (size_t i = 0; i < mib * MIB; i += 4096)
		at[i] = 1;
	return 0;
}

static void expect_memory_events(int cgroup_fd)
{
	static const char *const keys[] = {
		[SC_MEM_LOW] = "low",           [SC_MEM_HIGH] = "high",
		[SC_MEM_MAX] = "max",           [SC_MEM_OOM] = "oom",
		[SC_MEM_OOM_KILL] = "oom_kill", [SC_MEM_OOM_GROUP_KILL] = "oom_group_kill",
	};
	const struct sc_kernel *k = kit_kernel(cgroup_fd);

	_Static_assert(SC_ARRAY_SIZE(keys) == SC_MEM_EVENT_COUNT, "a key for each");
	cr_assert(k->flags & SC_KERNEL_MEMORY_EVENTS);
	for (int i = 0; i < SC_MEM_EVENT_COUNT; i++)
		cr_expect_eq((int64_t)k->mem_events[i],
			     sc_cgroup_key(cgroup_fd, "memory.events", keys[i]), "%s: %llu",
			     keys[i], k->mem_events[i]);
}

Test(controllers, memory_events_are_those_of_the_file_in_parents_too)
{
	int web = need("+memory", "memory.current"), inner, status;
	size_t mib = 48;
	pid_t pid;

	cr_assert_eq(sc_cgroup_write(web, "cgroup.subtree_control", "+memory"), 0);
	inner = kit_mkdir("web/inner");
	cr_assert_eq(sc_cgroup_write(inner, "memory.high", "8388608"), 0);
	cr_assert_eq(sc_cgroup_write(inner, "memory.max", "16777216"), 0);
	pid = sc_helper_call(inner, take_memory, &mib);
	/* memory.high slows it down without end where nothing can be reclaimed. */
	cr_assert_eq(sc_cgroup_write(inner, "memory.swap.max", "0"), 0);
	cr_assert_eq(sc_cgroup_write(inner, "memory.high", "max"), 0);
	cr_assert_eq(sc_wait_child(pid, &status, 60000), 0);
	cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	expect_memory_events(inner);
	expect_memory_events(web);
	cr_expect_eq(kit_kernel(web)->mem_events[SC_MEM_OOM_KILL], 1, "the subtree is included");
	cr_expect_gt(kit_kernel(inner)->mem_events[SC_MEM_MAX], 0);
}

Test(controllers, a_limit_is_known_when_it_is_set)
{
	const __u32 limits = SC_KERNEL_MEMORY_MAX | SC_KERNEL_MEMORY_HIGH | SC_KERNEL_SWAP_MAX |
			     SC_KERNEL_PIDS_MAX;
	int web = need("+memory +pids", "memory.current");
	const struct sc_kernel *k = kit_kernel(web);

	cr_expect_eq(k->flags & limits, 0, "all of them are `max`");
	cr_expect(k->flags & SC_KERNEL_SWAP);
	cr_expect_eq(k->mem_swap_pages, 0);
	cr_assert_eq(sc_cgroup_write(web, "memory.high", "33554432"), 0);
	cr_assert_eq(sc_cgroup_write(web, "memory.max", "67108864"), 0);
	cr_assert_eq(sc_cgroup_write(web, "memory.swap.max", "8388608"), 0);
	cr_assert_eq(sc_cgroup_write(web, "pids.max", "77"), 0);
	k = kit_kernel(web);
	cr_expect_eq(k->flags & limits, limits);
	cr_expect_eq(k->mem_high_pages * 4096, 32 * MIB);
	cr_expect_eq(k->mem_max_pages * 4096, 64 * MIB);
	cr_expect_eq(k->mem_swap_max_pages * 4096, 8 * MIB);
	cr_expect_eq(k->pids_max, 77);
}

static int fork_too_often(void *arg)
{
	int refused = 0;

	(void)arg;
	for (int i = 0; i < 5; i++) {
		pid_t pid = fork();

		if (pid == 0)
			pause();
		refused += pid < 0;
	}
	return refused;
}

Test(controllers, forks_that_a_limit_refused_are_those_of_the_file)
{
	int web = need("+pids", "pids.current"), status;
	const struct sc_kernel *k;

	cr_assert_eq(sc_cgroup_write(web, "pids.max", "3"), 0);
	status = kit_run(web, fork_too_often, NULL);
	cr_assert(WIFEXITED(status));
	cr_expect_eq(WEXITSTATUS(status), 3, "one process, two children, three refusals");
	k = kit_kernel(web);
	cr_assert(k->flags & SC_KERNEL_PIDS_EVENTS);
	cr_expect_eq((int64_t)k->pids_refused, sc_cgroup_key(web, "pids.events", "max"));
	cr_expect_eq(k->pids_refused, 3);
	cr_expect_eq(k->pids_current, 2);
}

static int burn(void *arg)
{
	uint64_t end = sc_mono_ns() + *(uint64_t *)arg;

	while (sc_mono_ns() < end)
		;
	return 0;
}

Test(controllers, throttling_is_that_of_cpu_stat)
{
	uint64_t ns = 600 * SC_NS_PER_MS;
	int web = need("+cpu", "cpu.max");
	const struct sc_kernel *k = kit_kernel(web);

	cr_expect(k->flags & SC_KERNEL_THROTTLED);
	cr_expect_eq(k->cpu_throttles, 0);
	cr_assert_eq(sc_cgroup_write(web, "cpu.max", "20000 100000"), 0);
	kit_run(web, burn, &ns);
	k = kit_kernel(web);
	cr_expect_gt(k->cpu_throttles, 0);
	cr_expect_eq((int64_t)k->cpu_throttles, sc_cgroup_key(web, "cpu.stat", "nr_throttled"));
	cr_expect_eq((int64_t)(k->cpu_throttled_ns / 1000),
		     sc_cgroup_key(web, "cpu.stat", "throttled_usec"));
}

struct disk {
	char path[64];
	int fd;
};

/* A block device of 8 MiB over memory; false where the kernel has no loop devices. */
static bool open_disk(struct disk *d)
{
	const char *const argv[] = {"modprobe", "loop", NULL};
	pid_t pid = sc_helper_exec(-1, argv, -1, -1);
	_cleanup_close_ int control = -1, file = -1;
	int number;

	if (pid > 0)
		sc_wait_child(pid, NULL, 10000);
	file = memfd_create("disk", MFD_CLOEXEC);
	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	if (file < 0 || number < 0 || ftruncate(file, 8 * MIB) < 0)
		return false;
	snprintf(d->path, sizeof(d->path), "/dev/loop%d", number);
	d->fd = open(d->path, O_RDWR | O_CLOEXEC);
	return d->fd >= 0 && ioctl(d->fd, LOOP_SET_FD, file) == 0;
}

/* 64 writes and 16 reads of 16 KiB each, past the page cache. */
static int use_disk(void *arg)
{
	int fd = open(arg, O_RDWR | O_DIRECT);
	void *block = aligned_alloc(4096, 16384);
	bool ok = fd >= 0 && block;

	memset(block, 'x', 16384);
	for (int i = 0; i < 64; i++)
		ok = ok && pwrite(fd, block, 16384, i * 16384) == 16384;
	for (int i = 0; i < 16; i++)
		ok = ok && pread(fd, block, 16384, i * 16384) == 16384;
	return ok ? 0 : 1;
}

static bool has_been_read(void *arg)
{
	return kit_kernel(*(int *)arg)->io_writes >= 64;
}

/* The sum of a key over the lines of io.stat, one per device. */
static uint64_t sum_of(const char *text, const char *key)
{
	uint64_t sum = 0;

	for (const char *at = text; (at = strstr(at, key)) != NULL; at++)
		sum += strtoull(at + strlen(key), NULL, 10);
	return sum;
}

Test(controllers, io_is_that_of_io_stat_in_parents_too)
{
	int web = need("+io", "io.stat"), inner, status;
	const struct sc_kernel *k;
	struct disk disk;
	char text[1024];

	kit_need(SC_BPF_IO);
	if (!open_disk(&disk))
		cr_skip("no loop device can be had here");
	cr_assert_eq(sc_cgroup_write(web, "cgroup.subtree_control", "+io"), 0);
	inner = kit_mkdir("web/inner");
	status = kit_run(inner, use_disk, disk.path);
	ioctl(disk.fd, LOOP_CLR_FD);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	cr_expect_eq(sc_wait_until(has_been_read, &web, 10000), 0);
	k = kit_kernel(web);
	cr_assert_geq(sc_read_file_at(web, "io.stat", text, sizeof(text)), 0);
	cr_expect_eq(k->io_write_bytes, sum_of(text, "wbytes="), "%llu; %s", k->io_write_bytes,
		     text);
	cr_expect_eq(k->io_read_bytes, sum_of(text, "rbytes="));
	cr_expect_eq(k->io_writes, sum_of(text, "wios="));
	cr_expect_eq(k->io_reads, sum_of(text, "rios="));
	cr_expect_eq(kit_kernel(inner)->io_write_bytes, MIB);
	cr_expect_eq(kit_kernel(inner)->io_read_bytes, MIB / 4);
}
