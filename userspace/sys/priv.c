/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/priv.h"

#include "base/io.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* A FIFO thread that runs this long without sleeping is ended by the kernel: our own fuse. */
#define RTTIME_US 5000000

static const struct {
	const char *name;
	const char *loss;
	const char *fix;
} texts[] = {
	[SC_PRIVILEGE_MEMORY_LOCKED] =
		{"memory locked", "under memory pressure the agent may wait for its own pages",
		 "give the service CAP_IPC_LOCK or LimitMEMLOCK=infinity"},
	[SC_PRIVILEGE_OOM_PROTECTED] =
		{"protected from the OOM killer", "the OOM killer may choose the agent",
		 "give the service CAP_SYS_RESOURCE or OOMScoreAdjust=-1000"},
	[SC_PRIVILEGE_LOOP_FIFO] = {"loop thread SCHED_FIFO 1",
				    "a fork bomb can delay a tick by hundreds of milliseconds",
				    "give the service CAP_SYS_NICE, and where RT_GROUP_SCHED is "
				    "on a share of cpu.rt_runtime_us"},
	[SC_PRIVILEGE_HAND_FIFO] = {"hand thread SCHED_FIFO 1",
				    "a fork bomb can delay the kill by hundreds of milliseconds",
				    "as for the loop thread"},
	[SC_PRIVILEGE_FILES] = {"open file limit raised",
				"many fires at once may run out of descriptors",
				"set LimitNOFILE=65536 for the service"},
	[SC_PRIVILEGE_CAPS_REDUCED] = {"capabilities reduced",
				       "the agent runs with every capability of root",
				       "give the service CAP_SETPCAP"},
};
_Static_assert(SC_ARRAY_SIZE(texts) == SC_PRIVILEGE_COUNT, "one row per privilege");

/* What the core does after its start: BPF maps and iterators, cgroup files of any owner, open by
 * handle, pidfd kills, FIFO for its own threads, the wait channel of processes that will not die;
 * for cuts rules and programs on packets, for what is read-only mounts, in other namespaces too
 * (setns(2) asks for CAP_SYS_ADMIN, as do the links of programs by their id, and for CAP_SYS_CHROOT
 * where mounts are meant); and workers, each as its own user, of which one is given a cgroup to
 * make others in (CAP_CHOWN). */
static const unsigned int kept_caps[] = {
	CAP_BPF,      CAP_PERFMON,  CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_KILL,
	CAP_SYS_NICE, CAP_IPC_LOCK, CAP_SYS_PTRACE,   CAP_NET_ADMIN,       CAP_SYS_ADMIN,
	CAP_SETUID,   CAP_SETGID,   CAP_CHOWN,        CAP_SYS_CHROOT,
};

const char *sc_privilege_name(enum sc_privilege p)
{
	return texts[p].name;
}

const char *sc_privilege_loss(enum sc_privilege p)
{
	return texts[p].loss;
}

const char *sc_privilege_fix(enum sc_privilege p)
{
	return texts[p].fix;
}

static void record(struct sc_privileges *p, enum sc_privilege row, int error)
{
	p->rows[row].asked = true;
	p->rows[row].error = error;
}

static int raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return -errno;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? -errno : 0;
}

static int spare_from_oom(void)
{
	_cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return sc_write_all(fd, "-1000", strlen("-1000"));
}

/* What is larger is mapped by itself, and given back when it is freed. The C library would raise
 * this to what was freed last: the kernel's types, of which libbpf makes copies of 5 MiB. Locked,
 * what they leave in the heap stays resident, and is cleared for tables that nobody touches. */
#define MAPPED_BYTES (128 * 1024)

void sc_priv_harden(struct sc_privileges *p)
{
	/* Unlimited first: MCL_FUTURE under a small limit would make later mappings fail. */
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	int error = 0;

	(void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
	(void)setrlimit(RLIMIT_MEMLOCK, &unlimited);
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		error = -errno;
	record(p, SC_PRIVILEGE_MEMORY_LOCKED, error);
	record(p, SC_PRIVILEGE_OOM_PROTECTED, spare_from_oom());
	record(p, SC_PRIVILEGE_FILES, raise_file_limit());
}

int sc_priv_fifo(struct sc_privileges *p, enum sc_privilege row)
{
	struct sched_param param = {.sched_priority = 1};
	struct rlimit fuse = {RTTIME_US, RTTIME_US};
	int error = 0;

	(void)setrlimit(RLIMIT_RTTIME, &fuse);
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) < 0)
		error = -errno;
	record(p, row, error);
	return error;
}

void sc_priv_reduce(struct sc_privileges *p)
{
	int error = 0;

	capng_clear(CAPNG_SELECT_BOTH);
	for (size_t i = 0; i < SC_ARRAY_SIZE(kept_caps); i++)
		capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET,
			     kept_caps[i]);
	if (capng_apply(CAPNG_SELECT_BOTH) < 0)
		error = -EPERM;
	record(p, SC_PRIVILEGE_CAPS_REDUCED, error);
}
