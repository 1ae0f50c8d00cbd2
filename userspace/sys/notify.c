/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/notify.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"
#include "sys/pidfd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* include/uapi/asm-generic/socket.h and include/linux/socket.h; newer than Debian 12's headers. */
#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#ifndef SCM_PIDFD
#define SCM_PIDFD 4
#endif

/* struct pidfd_info of include/uapi/linux/pidfd.h in its first size, since Linux 6.13. */
struct process_info {
	uint64_t mask;
	uint64_t cgroup_id;
	uint32_t ids[11]; /* of the process, its parent and its users */
	int32_t exit_code;
};
_Static_assert(sizeof(struct process_info) == 64, "PIDFD_INFO_SIZE_VER0");
#define GET_INFO     _IOWR(0xFF, 11, struct process_info)
#define INFO_CGROUP  (1U << 2)
#define INFO_AT_EXIT (1U << 3) /* of a process that was reaped, since 6.15 */

/* What came along with a datagram. */
struct sender {
	int pidfd;       /* -1 = none */
	pid_t pid;       /* 0 = none, or not in this pid namespace or below */
	int64_t sent_ns; /* CLOCK_REALTIME */
};

static bool set_flag(int fd, int option, int value)
{
	return setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value)) == 0;
}

/*
 * Descriptors that a sender attaches come before the pidfd and would take its room, and closing a
 * stranger's file may block. So the pidfd is asked for only where attaching can be forbidden;
 * elsewhere there is no room for more than credentials and time, and the kernel drops the rest.
 */
static bool ask_for_pidfd(int fd)
{
	return sc_refuse_descriptors(fd) && set_flag(fd, SO_PASSPIDFD, 1);
}

static int bind_for_all(int fd, const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	mode_t mask;
	int r;

	(void)sc_strcopy(addr.sun_path, sizeof(addr.sun_path), path);
	/* The run directory's lock is held: a socket found here belongs to a dead predecessor. */
	(void)unlink(path);
	mask = umask(0111);
	r = bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	umask(mask);
	return r;
}

int sc_notify_open(struct sc_notify *notify, const struct sc_cgroup_fs *fs, const char *run_dir)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	*notify = (struct sc_notify){.fd = -1, .fs = fs, .has_info = true};
	if (fd < 0)
		return -errno;
	if (snprintf(notify->path, sizeof(notify->path), "%s/%s", run_dir, SC_NOTIFY_SOCKET) >=
	    (int)sizeof(notify->path))
		return -ENAMETOOLONG;
	if (!set_flag(fd, SO_PASSCRED, 1) || !set_flag(fd, SO_TIMESTAMPNS, 1))
		return -errno;
	notify->has_pidfd = ask_for_pidfd(fd);
	r = bind_for_all(fd, notify->path);
	if (r < 0)
		return r;
	notify->fd = SC_TAKE_FD(fd);
	return 0;
}

void sc_notify_close(struct sc_notify *notify)
{
	if (notify->fd < 0)
		return;
	(void)unlink(notify->path);
	sc_close(&notify->fd);
	sc_notify_limit_free(notify);
}

static void take_control(struct msghdr *header, struct sender *who)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET)
			continue;
		if (c->cmsg_type == SCM_CREDENTIALS) {
			struct ucred cred;

			memcpy(&cred, CMSG_DATA(c), sizeof(cred));
			who->pid = cred.pid;
		} else if (c->cmsg_type == SCM_TIMESTAMPNS) {
			struct timespec at;

			memcpy(&at, CMSG_DATA(c), sizeof(at));
			who->sent_ns = (int64_t)at.tv_sec * (int64_t)SC_NS_PER_S + at.tv_nsec;
		} else if (c->cmsg_type == SCM_PIDFD) {
			memcpy(&who->pidfd, CMSG_DATA(c), sizeof(who->pidfd));
		}
	}
}

/* 0, or -errno: -ENOTTY where the kernel has no such call, -ESRCH when the process is gone. */
static int ask_pidfd(int pidfd, uint64_t *cgroup_id)
{
	struct process_info info = {.mask = INFO_CGROUP | INFO_AT_EXIT};

	if (ioctl(pidfd, GET_INFO, &info) < 0)
		return -errno;
	if (!(info.mask & INFO_CGROUP))
		return -ESRCH;
	*cgroup_id = info.cgroup_id;
	return 0;
}

static int read_proc(const struct sc_cgroup_fs *fs, pid_t pid, uint64_t *cgroup_id)
{
	char path[PATH_MAX];
	_cleanup_close_ int fd = -1;
	int r = sc_cgroup_path_of(pid, path, sizeof(path));

	if (r < 0)
		return r;
	fd = sc_cgroup_open_path(fs, path);
	return fd < 0 ? fd : sc_cgroup_id_of(fd, cgroup_id);
}

/* By its number, which another process may have by now: that one started later than the datagram
 * was sent. */
static int ask_pid(struct sc_notify *notify, const struct sender *who, uint64_t *cgroup_id)
{
	struct sc_time now = sc_time_now();
	int64_t waited = now.real_ns > who->sent_ns ? now.real_ns - who->sent_ns : 0;
	_cleanup_close_ int pidfd = who->pid > 0 ? sc_pidfd_open(who->pid) : -ESRCH;
	struct sc_process process;
	uint64_t found = 0;
	int r = pidfd < 0 ? pidfd : sc_process_read(who->pid, &process);

	if (r < 0)
		return r;
	if (process.start_boot_ns + (uint64_t)waited > now.boot_ns)
		return -ESRCH;
	if (notify->has_info)
		r = ask_pidfd(pidfd, &found);
	if (r == -ENOTTY || r == -EINVAL)
		notify->has_info = false;
	if (!notify->has_info)
		r = read_proc(notify->fs, who->pid, &found);
	/* Held by the pidfd all the time: what was read was read of this process. */
	if (r == 0 && sc_pidfd_is_dead(pidfd))
		r = -ESRCH;
	if (r == 0)
		*cgroup_id = found;
	return r;
}

int sc_notify_receive(struct sc_notify *notify, void *buf, size_t room,
		      struct sc_notify_datagram *out)
{
	enum { FEW = CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(struct timespec)) };
	_Alignas(struct cmsghdr) char control[FEW + CMSG_SPACE(sizeof(int))];
	struct iovec iov = {.iov_base = buf, .iov_len = room};
	struct msghdr header = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = notify->has_pidfd ? sizeof(control) : FEW,
	};
	struct sender who = {.pidfd = -1};
	ssize_t n = recvmsg(notify->fd, &header, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	take_control(&header, &who);
	*out = (struct sc_notify_datagram){.size = (size_t)n};
	if (who.pidfd < 0 || ask_pidfd(who.pidfd, &out->cgroup_id) < 0)
		(void)ask_pid(notify, &who, &out->cgroup_id);
	if (who.pidfd >= 0)
		(void)close(who.pidfd);
	return 1;
}
