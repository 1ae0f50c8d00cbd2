/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agent and hog on a machine of 256 MiB: only in a guest of scripts/vm-run --memory 256. How fast
 * it was is printed and not judged, because an emulated machine is as fast as its host lets it be;
 * docs/kernels.md has figures.
 */
#include "live/engine_kit.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

TestSuite(starved, .init = sc_kit_init, .fini = sc_kit_fini, .timeout = 600);

#define ROUNDS      20
#define MIB         (1UL << 20)
#define THRESHOLD   (48 * MIB)
#define MACHINE_MAX (400 * MIB)
#define DEADLINE_MS 15000
#define CONDITION                                                                               \
	"limits: {irreversible_fires: 1000, blast_percent: 100}\n"                              \
	"conditions:\n"                                                                         \
	"  - {id: hog, scope: \"@ROOT@/*\", when: \"mem.current_bytes > 48MiB\", "              \
	"cooldown: 0s, max_targets: 100, action: {kind: process-exit}, auto_fire: true, live: " \
	"true, "                                                                                \
	"registered_by: t}\n"

struct hog {
	size_t bytes;
	uint64_t begin_ns, over_ns, full_ns, dead_ns; /* 0 = not yet */
};

/* Takes all it is told to, as fast as it can, and says when it went over the threshold. */
static int take(void *arg)
{
	struct hog *h = arg;
	char *at = mmap(NULL, h->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	h->begin_ns = sc_mono_ns();
	for (size_t i = 0; i < h->bytes; i += 4096) {
		at[i] = 1;
		if (i == THRESHOLD)
			h->over_ns = sc_mono_ns();
	}
	h->full_ns = sc_mono_ns();
	pause();
	return 0;
}

/* What can be had without the kernel's OOM killer, less what the agent may need to act. */
static size_t memory_left(void)
{
	char text[4096];
	const char *at;

	cr_assert_gt(sc_read_file_at(AT_FDCWD, "/proc/meminfo", text, sizeof(text)), 0);
	at = strstr(text, "MemAvailable:");
	return strtoull(at + strlen("MemAvailable:"), NULL, 10) * 1024 - 8 * MIB;
}

static bool log_says(const char *words)
{
	_cleanup_free_ char *text = calloc(1, SC_RIG_OUT_MAX);

	cr_assert_geq(sc_read_file_at(AT_FDCWD, sc_kit.log, text, SC_RIG_OUT_MAX), 0);
	return strstr(text, words) != NULL;
}

static int by_value(const void *a, const void *b)
{
	return (*(const double *)a > *(const double *)b) -
	       (*(const double *)a < *(const double *)b);
}

/* From the moment in which the hog was over the threshold until it was dead. */
static double hog_once(unsigned int round, struct hog *h)
{
	char name[16];
	pid_t pid;
	int fd;

	/* A fresh one: Linux kills what is born into a cgroup that was killed before. */
	snprintf(name, sizeof(name), "hog%u", round);
	fd = sc_kit_mkdir(name);
	*h = (struct hog){.bytes = memory_left()};
	cr_assert_gt(h->bytes, THRESHOLD, "only %zu bytes are left", h->bytes);
	pid = sc_helper_call(fd, take, h);
	cr_assert_eq(sc_wait_child(pid, NULL, DEADLINE_MS), 0, "nobody ended the hog");
	h->dead_ns = sc_mono_ns();
	close(fd);
	sc_kit_wait("hog", "outcome", "emptied", round + 1); /* gone, were it removed before */
	sc_kit_rmdir(name);
	return (double)(h->dead_ns - h->over_ns) / 1e6;
}

Test(starved, a_hog_is_killed_by_the_agent_and_not_by_the_kernel)
{
	struct hog *h = mmap(NULL, sizeof(*h), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			     -1, 0);
	double ms[ROUNDS], filled = 0;
	struct sysinfo machine;
	pid_t agent;

	sysinfo(&machine);
	if (machine.totalram * machine.mem_unit > MACHINE_MAX)
		cr_skip("only on a machine of 256 MiB: scripts/vm-run --memory 256");
	sc_cgroup_write(sc_kit.box.dirfd, "cgroup.subtree_control", "+memory");
	sc_cgroup_write(sc_kit.root_fd, "cgroup.subtree_control", "+memory");
	cr_assert_eq(sc_rig_config(&sc_kit, CONDITION), 0);
	cr_assert_eq(sc_rig_start(&sc_kit, NULL), 0);
	agent = sc_kit.pid;
	sc_kit_wait_grace();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		ms[i] = hog_once(i, h);
		fprintf(stderr, "round %u: %.0f ms, taken at %.0f MiB/s\n", i, ms[i],
			(double)(THRESHOLD / MIB) * 1e9 / (double)(h->over_ns - h->begin_ns));
		if (h->full_ns)
			filled = (double)(h->full_ns - h->begin_ns) / 1e6;
	}
	cr_expect_eq(sc_kit_count("hog", "outcome", "emptied"), ROUNDS);
	cr_expect_eq(sc_cgroup_key(sc_kit.root_fd, "memory.events", "oom_kill"), 0);
	cr_expect_eq(sc_rig_run(&sc_kit, "status"), 0, "the agent is well");
	cr_expect_eq(sc_kit.pid, agent);
	cr_expect_not(log_says("Cannot allocate"));
	qsort(ms, ROUNDS, sizeof(ms[0]), by_value);
	fprintf(stderr,
		"starved: over 48 MiB to dead: p50 %.0f ms, worst of %d %.0f ms; "
		"a hog had filled the machine in %.0f ms (0 = never)\n",
		ms[ROUNDS / 2], ROUNDS, ms[ROUNDS - 1], filled);
}
