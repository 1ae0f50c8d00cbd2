/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose a datagram of the notify socket is: the kernel says it, by a pidfd where it can, else by a
 * process number that is checked. Every way is tried on a kernel that has the first.
 */
#include "sys/notify.h"

#include "base/clock.h"
#include "harness/harness.h"
#include "sys/cgroup.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PASSPIDFD 76 /* SO_PASSPIDFD */

TestSuite(notify, .init = sc_box_init, .fini = sc_box_fini, .timeout = 300);

static struct sc_cgroup_fs fs;
static struct sc_notify notify;

/* As the newest kernel tells it, as one before 6.16, as one before 6.13. */
enum way { BY_PIDFD, BY_NUMBER, BY_PROC, WAYS };

static void open_socket(enum way way)
{
	int off = 0;

	cr_assert_eq(sc_cgroup_fs_open(&fs, NULL), 0);
	cr_assert_eq(sc_notify_open(&notify, &fs, sc_box.tmp), 0);
	if (way == BY_PIDFD)
		return;
	(void)setsockopt(notify.fd, SOL_SOCKET, PASSPIDFD, &off, sizeof(off));
	notify.has_pidfd = false;
	notify.has_info = way == BY_NUMBER;
}

static void close_socket(void)
{
	sc_notify_close(&notify);
	sc_cgroup_fs_close(&fs);
}

static int send_text(const char *text)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ssize_t n;

	memcpy(addr.sun_path, notify.path, sizeof(addr.sun_path));
	n = sendto(fd, text, strlen(text), MSG_DONTWAIT, (struct sockaddr *)&addr, sizeof(addr));
	close(fd);
	return n < 0 ? errno : 0;
}

static int send_and_stay(void *arg)
{
	if (send_text(arg))
		return 1;
	for (;;)
		pause();
}

static int send_and_end(void *arg)
{
	return send_text(arg);
}

/* The cgroup told with the one datagram that comes. */
static uint64_t receive_one(void)
{
	struct sc_notify_datagram d = {.cgroup_id = 1234567};
	uint64_t deadline = sc_mono_ns() + 60 * SC_NS_PER_S;
	char buf[16] = "";
	int r;

	do
		r = sc_notify_receive(&notify, buf, sizeof(buf), &d);
	while (r == 0 && sc_mono_ns() < deadline);
	cr_assert_eq(r, 1, "%d", r);
	cr_expect_eq(d.size, 5);
	cr_expect_eq(memcmp(buf, "hello", 5), 0);
	return d.cgroup_id;
}

static void kill_and_reap(pid_t pid)
{
	kill(pid, SIGKILL);
	cr_assert_eq(sc_wait_child(pid, NULL, 30000), 0);
}

Test(notify, living_sender_is_told_by_its_cgroup)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");

	for (int way = 0; way < WAYS; way++) {
		pid_t pid;

		open_socket((enum way)way);
		pid = sc_helper_call(web, send_and_stay, "hello");
		cr_expect_eq(receive_one(), sc_cgroup_id(web), "way %d", way);
		kill_and_reap(pid);
		close_socket();
	}
}

Test(notify, every_user_may_write_and_the_file_goes_with_the_socket)
{
	struct stat st;

	open_socket(BY_PIDFD);
	cr_assert_eq(stat(notify.path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0666);
	close_socket();
	cr_expect_eq(stat(notify.path, &st), -1);
}

Test(notify, sender_that_is_gone_is_told_by_its_end_or_not_at_all)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");

	for (int way = 0; way < WAYS; way++) {
		uint64_t got;
		pid_t pid;

		open_socket((enum way)way);
		pid = sc_helper_call(web, send_and_end, "hello");
		cr_assert_eq(sc_wait_child(pid, NULL, 30000), 0);
		got = receive_one();
		cr_expect_eq(got, notify.has_pidfd ? sc_cgroup_id(web) : 0, "way %d", way);
		close_socket();
	}
}

/* /proc tells the start of a process in steps of 10 ms. */
static bool has_passed(void *arg)
{
	return sc_mono_ns() > *(uint64_t *)arg;
}

/* A process with this very number. */
static pid_t born_as(pid_t pid, int cgroup_fd)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD,
		.flags = CLONE_INTO_CGROUP,
		.cgroup = (__u64)cgroup_fd,
		.set_tid = (__u64)(uintptr_t)&pid,
		.set_tid_size = 1,
	};
	pid_t child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (child == 0)
		for (;;)
			pause();
	return child;
}

Test(notify, heir_of_a_process_number_is_not_taken_for_the_sender)
{
	int web = sc_sandbox_mkdir(&sc_box, "web"), other = sc_sandbox_mkdir(&sc_box, "other");

	for (int way = 0; way < WAYS; way++) {
		uint64_t later, got;
		pid_t pid, heir;

		open_socket((enum way)way);
		pid = sc_helper_call(web, send_and_end, "hello");
		cr_assert_eq(sc_wait_child(pid, NULL, 30000), 0);
		later = sc_mono_ns() + 25 * SC_NS_PER_MS;
		cr_assert_eq(sc_wait_until(has_passed, &later, 30000), 0);
		heir = born_as(pid, other);
		cr_assert_eq(heir, pid, "%s", strerror(errno));
		got = receive_one();
		cr_expect_neq(got, sc_cgroup_id(other), "way %d", way);
		cr_expect_eq(got, notify.has_pidfd ? sc_cgroup_id(web) : 0, "way %d", way);
		kill_and_reap(heir);
		close_socket();
	}
}

static int send_from_below(void *arg)
{
	pid_t pid;
	int status = 1;

	if (unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0)
		return 1;
	pid = fork();
	if (pid == 0)
		_exit(getpid() == 1 ? send_and_stay(arg) : 1);
	return waitpid(pid, &status, 0) == pid ? status : 1;
}

Test(notify, sender_in_namespaces_of_its_own_is_told_like_any_other)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");

	for (int way = 0; way < WAYS; way++) {
		pid_t pid;

		open_socket((enum way)way);
		pid = sc_helper_call(web, send_from_below, "hello");
		cr_expect_eq(receive_one(), sc_cgroup_id(web), "way %d", way);
		kill_and_reap(pid);
		close_socket();
	}
}

static unsigned int count_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static int send_descriptors(void *arg)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(8 * sizeof(int))] = {0};
	struct iovec iov = {.iov_base = arg, .iov_len = strlen(arg)};
	struct msghdr m = {
		.msg_name = &addr,
		.msg_namelen = sizeof(addr),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int fds[8], fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(addr.sun_path, notify.path, sizeof(addr.sun_path));
	for (int i = 0; i < 8; i++)
		fds[i] = fd;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	(void)sendmsg(fd, &m, MSG_DONTWAIT); /* may be refused: so much the better */
	return send_text(arg);
}

Test(notify, attached_descriptors_do_not_come_in)
{
	int web = sc_sandbox_mkdir(&sc_box, "web");

	for (int way = 0; way < WAYS; way++) {
		struct sc_notify_datagram d;
		unsigned int before;
		char buf[16];
		pid_t pid;

		open_socket((enum way)way);
		before = count_open();
		pid = sc_helper_call(web, send_descriptors, "hello");
		cr_assert_eq(sc_wait_child(pid, NULL, 30000), 0);
		receive_one();
		while (sc_notify_receive(&notify, buf, sizeof(buf), &d) == 1)
			continue;
		cr_expect_eq(count_open(), before, "way %d", way);
		close_socket();
	}
}

Test(notify, too_long_a_datagram_tells_its_size)
{
	struct sc_notify_datagram d;
	char buf[4];

	open_socket(BY_PIDFD);
	cr_assert_eq(send_text("0123456789"), 0);
	cr_assert_eq(sc_notify_receive(&notify, buf, sizeof(buf), &d), 1);
	cr_expect_eq(d.size, 10);
	cr_expect_eq(sc_notify_receive(&notify, buf, sizeof(buf), &d), 0);
	close_socket();
}

static int send_ten(void *arg)
{
	for (int i = 0; i < 10; i++)
		if (send_text(arg))
			return 1;
	return 0;
}

Test(notify, what_is_over_the_allowance_of_a_cgroup_takes_no_place)
{
	int web = sc_sandbox_mkdir(&sc_box, "web"), other = sc_sandbox_mkdir(&sc_box, "other");
	struct sc_notify_datagram d;
	char buf[16];
	int status = -1;

	open_socket(BY_PIDFD);
	if (sc_notify_limit(&notify, 100 * SC_NS_PER_S, 300 * SC_NS_PER_S) < 0) {
		close_socket();
		cr_skip_test("this kernel tells no cgroup to a socket filter");
	}
	cr_assert_eq(sc_wait_child(sc_helper_call(web, send_ten, "hello"), &status, 30000), 0);
	cr_expect_eq(status, 0, "the sender is not told");
	cr_assert_eq(sc_wait_child(sc_helper_call(other, send_and_end, "hello"), NULL, 30000), 0);
	for (int i = 0; i < 3; i++)
		cr_expect_eq(receive_one(), sc_cgroup_id(web));
	cr_expect_eq(receive_one(), sc_cgroup_id(other));
	cr_expect_eq(sc_notify_receive(&notify, buf, sizeof(buf), &d), 0);
	cr_expect_eq(sc_notify_refused(&notify), 7);
	cr_expect_eq(sc_notify_refused_of(&notify, sc_cgroup_id(web)), 7);
	cr_expect_eq(sc_notify_refused_of(&notify, sc_cgroup_id(other)), 0);
	close_socket();
}
