/* SPDX-License-Identifier: Apache-2.0 */
/* The real effector: each operation is one or two calls into sys, and decides nothing but whom
 * never to signal. */
#include "wire/effector.h"

#include "base/clock.h"
#include "base/str.h"
#include "sys/cgroup.h"
#include "sys/pidfd.h"

#include <errno.h>

/* Members looked through for a batch; those beyond have their turn when these are dead. */
#define SIGNAL_LOOK_MAX 4096

static const struct sc_cgroup_fs *fs_of(void *ctx)
{
	const struct sc_effector_host *host = ctx;

	return host->fs;
}

static int open_cgroup(void *ctx, uint64_t cgroup_id)
{
	return sc_cgroup_open(fs_of(ctx), cgroup_id);
}

static int open_parent(void *ctx, int cgroup_fd)
{
	return sc_cgroup_open_parent(fs_of(ctx), cgroup_fd);
}

static int open_file(void *ctx, int cgroup_fd, const char *name, bool writes)
{
	(void)ctx;
	return sc_cgroup_open_file(cgroup_fd, name, writes);
}

static void close_fd(void *ctx, int fd)
{
	(void)ctx;
	sc_close(&fd);
}

static int cgroup_id(void *ctx, int cgroup_fd, uint64_t *id)
{
	(void)ctx;
	return sc_cgroup_id_of(cgroup_fd, id);
}

static int cgroup_type(void *ctx, int cgroup_fd, enum sc_cgroup_type *type)
{
	static const enum sc_cgroup_type types[] = {
		[SC_CGROUP_KIND_DOMAIN] = SC_CGROUP_DOMAIN,
		[SC_CGROUP_KIND_DOMAIN_THREADED] = SC_CGROUP_DOMAIN_THREADED,
		[SC_CGROUP_KIND_DOMAIN_INVALID] = SC_CGROUP_DOMAIN_INVALID,
		[SC_CGROUP_KIND_THREADED] = SC_CGROUP_THREADED,
	};
	int kind = sc_cgroup_kind_read(cgroup_fd);

	(void)ctx;
	_Static_assert(SC_ARRAY_SIZE(types) == SC_CGROUP_KIND_COUNT, "one each");
	if (kind < 0)
		return kind;
	*type = types[kind];
	return 0;
}

static bool is_guarded(void *ctx, uint64_t id)
{
	const struct sc_effector_host *host = ctx;

	if (!host->knows_own)
		return true;
	for (size_t i = 0; i < host->n_own_ids; i++)
		if (host->own_ids[i] == id)
			return true;
	return false;
}

static int read_events(void *ctx, int events_fd, bool *populated, bool *frozen)
{
	struct sc_cgroup_events events;
	int r = sc_cgroup_events_read(events_fd, &events);

	(void)ctx;
	if (r < 0)
		return r;
	*populated = events.populated;
	*frozen = events.frozen;
	return 0;
}

static int read_flag(void *ctx, int fd, bool *value)
{
	int r = sc_cgroup_flag_read(fd);

	(void)ctx;
	if (r < 0)
		return r;
	*value = r;
	return 0;
}

static int write_flag(void *ctx, int fd, bool value)
{
	(void)ctx;
	return sc_cgroup_flag_write(fd, value);
}

static int list_members(void *ctx, int cgroup_fd, pid_t *pids, size_t max, bool *is_all)
{
	(void)ctx;
	return sc_cgroup_members(cgroup_fd, pids, max, is_all);
}

static int describe_member(void *ctx, pid_t pid, struct sc_member *member)
{
	struct sc_process process;
	struct sc_str comm, wchan;
	int r = sc_process_read(pid, &process);

	(void)ctx;
	if (r < 0)
		return r;
	member->pid = pid;
	member->state = process.state;
	member->start_boot_ns = process.start_boot_ns;
	sc_str_init(&comm, member->comm, sizeof(member->comm));
	sc_str_add_printable(&comm, process.comm, strlen(process.comm));
	sc_str_init(&wchan, member->wchan, sizeof(member->wchan));
	sc_str_add_printable(&wchan, process.wchan, strlen(process.wchan));
	return 0;
}

static int open_member(void *ctx, pid_t pid)
{
	(void)ctx;
	return sc_pidfd_open(pid);
}

static bool is_member_alive(void *ctx, int pidfd, pid_t pid)
{
	struct sc_process process;

	(void)ctx;
	if (sc_pidfd_is_dead(pidfd) || sc_process_read(pid, &process) < 0)
		return false;
	/* Asked again: only while the pidfd's process lives was the pid surely its own. */
	return !process.is_exiting && !sc_pidfd_is_dead(pidfd);
}

/* A pidfd of a process that may be signalled, or -1. */
static int open_to_signal(pid_t pid)
{
	_cleanup_close_ int fd = -1;
	struct sc_process process;

	if (pid <= 1 || pid == getpid())
		return -1;
	fd = sc_pidfd_open(pid);
	if (fd < 0 || sc_process_read(pid, &process) < 0 || process.is_kernel_thread)
		return -1;
	return SC_TAKE_FD(fd);
}

static bool has_pid(const pid_t *pids, int n, pid_t pid)
{
	for (int i = 0; i < n; i++)
		if (pids[i] == pid)
			return true;
	return false;
}

/*
 * Members are asked for again after the pidfds were opened: who is listed then, and is still the
 * pidfd's process, is a member and no later owner of the pid. /proc/PID/cgroup would tell too, but
 * before Linux 6.8 reading it waits for the cgroup_mutex, which is just what a stuck write hangs
 * behind.
 */
static int signal_members(void *ctx, int cgroup_fd, const pid_t *pids, size_t n, int sig)
{
	pid_t members[SIGNAL_LOOK_MAX];
	int fds[SC_ACTION_BATCH_MAX], sent = 0, n_members;
	bool is_all;

	(void)ctx;
	SC_ASSERT(n <= SC_ARRAY_SIZE(fds));
	for (size_t i = 0; i < n; i++)
		fds[i] = open_to_signal(pids[i]);
	n_members = sc_cgroup_members(cgroup_fd, members, SC_ARRAY_SIZE(members), &is_all);
	for (size_t i = 0; i < n; i++) {
		if (fds[i] >= 0 && has_pid(members, n_members, pids[i]) &&
		    sc_pidfd_signal(fds[i], sig) == 0)
			sent++;
		sc_close(&fds[i]);
	}
	return n_members < 0 ? n_members : sent;
}

static void set_killing(void *ctx, uint64_t id, bool is_killing)
{
	struct sc_effector_host *host = ctx;

	if (host->set_killing)
		host->set_killing(host->ctx, id, is_killing);
}

static uint64_t now_ns(void *ctx)
{
	(void)ctx;
	return sc_mono_ns();
}

static const struct sc_effector_ops real_ops = {
	.open_cgroup = open_cgroup,
	.open_parent = open_parent,
	.open_file = open_file,
	.close = close_fd,
	.cgroup_id = cgroup_id,
	.cgroup_type = cgroup_type,
	.is_guarded = is_guarded,
	.read_events = read_events,
	.read_flag = read_flag,
	.write_flag = write_flag,
	.list_members = list_members,
	.describe_member = describe_member,
	.open_member = open_member,
	.is_member_alive = is_member_alive,
	.signal_members = signal_members,
	.set_killing = set_killing,
	.now_ns = now_ns,
};

int sc_effector_learn_own(struct sc_effector_host *host)
{
	uint64_t ids[SC_OWN_IDS_MAX];
	int own = sc_cgroup_ids_of(host->fs, getpid(), ids, SC_ARRAY_SIZE(ids)), init;
	size_t n = own < 0 ? 0 : (size_t)own;

	if (own < 0 && own != -EXDEV)
		return own;
	/* A pid 1 outside the mount, or unseen from this pid namespace, is inside no target. */
	init = sc_cgroup_ids_of(host->fs, 1, ids + n, SC_ARRAY_SIZE(ids) - n);
	if (init < 0 && init != -EXDEV && init != -ESRCH)
		return init;
	n += init < 0 ? 0 : (size_t)init;
	memcpy(host->own_ids, ids, n * sizeof(ids[0]));
	host->n_own_ids = n;
	host->knows_own = true;
	return 0;
}

struct sc_effector sc_effector_real(struct sc_effector_host *host)
{
	host->knows_own = false;
	(void)sc_effector_learn_own(host);
	return (struct sc_effector){.ops = &real_ops, .ctx = host};
}
