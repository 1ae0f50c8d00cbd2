/* SPDX-License-Identifier: Apache-2.0 */
/* The real effector: each operation is one or two calls into sys, and decides nothing but whom
 * never to signal. */
#include "engine/effector.h"

#include "base/clock.h"
#include "base/str.h"
#include "sys/cgroup.h"
#include "sys/pidfd.h"

#include <errno.h>

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

/* What cannot be told counts as guarded; a pid 1 that this pid namespace cannot see does not. */
static bool is_guarded(void *ctx, uint64_t id)
{
	const struct sc_cgroup_fs *fs = fs_of(ctx);
	int holds_init = sc_cgroup_has_process(fs, id, 1);

	return sc_cgroup_has_process(fs, id, getpid()) != 0 ||
	       (holds_init != 0 && holds_init != -ESRCH);
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

static int place_member(void *ctx, int pidfd, pid_t pid, uint64_t id, enum sc_member_place *place)
{
	int is_inside = sc_cgroup_has_process(fs_of(ctx), id, pid);

	/* Asked last: only while the pidfd's process lives was the pid surely its own. */
	if (sc_pidfd_is_dead(pidfd))
		*place = SC_MEMBER_DEAD;
	else if (is_inside < 0)
		return is_inside;
	else
		*place = is_inside ? SC_MEMBER_INSIDE : SC_MEMBER_OUTSIDE;
	return 0;
}

static int signal_member(void *ctx, pid_t pid, uint64_t id, int sig)
{
	_cleanup_close_ int pidfd = -1;
	enum sc_member_place place;
	struct sc_process process;
	int r;

	if (pid <= 1 || pid == getpid())
		return -EPERM;
	pidfd = sc_pidfd_open(pid);
	if (pidfd < 0)
		return pidfd;
	r = sc_process_read(pid, &process);
	if (r < 0)
		return r;
	if (process.is_kernel_thread)
		return -EPERM;
	r = place_member(ctx, pidfd, pid, id, &place);
	if (r < 0)
		return r;
	if (place != SC_MEMBER_INSIDE)
		return place == SC_MEMBER_DEAD ? -ESRCH : -EXDEV;
	return sc_pidfd_signal(pidfd, sig);
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
	.place_member = place_member,
	.signal_member = signal_member,
	.set_killing = set_killing,
	.now_ns = now_ns,
};

struct sc_effector sc_effector_real(struct sc_effector_host *host)
{
	return (struct sc_effector){.ops = &real_ops, .ctx = host};
}
