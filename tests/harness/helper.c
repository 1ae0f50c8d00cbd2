/* SPDX-License-Identifier: Apache-2.0 */
/* Helper processes that are born inside their cgroup. */
#include "harness/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

pid_t sc_helper_call(int cgroup_fd, int (*fn)(void *arg), void *arg)
{
	struct clone_args args = {.exit_signal = SIGCHLD};
	pid_t pid;

	if (cgroup_fd >= 0) {
		args.flags = CLONE_INTO_CGROUP;
		args.cgroup = (__u64)cgroup_fd;
	}
	fflush(NULL);
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		_exit(fn(arg) & 255);
	return pid < 0 ? -errno : pid;
}

static int sleep_for_ever(void *arg)
{
	(void)arg;
	while (pause())
		continue;
	return 0;
}

pid_t sc_helper_sleep(int cgroup_fd)
{
	return sc_helper_call(cgroup_fd, sleep_for_ever, NULL);
}

struct program {
	const char *const *argv;
	int space_fd;
	int out_fd;
	int err_fd;
};

static int exec_program(void *arg)
{
	const struct program *p = arg;
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	if (p->space_fd >= 0 && setns(p->space_fd, CLONE_NEWNET))
		return 126;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	dup2(null_fd, STDIN_FILENO);
	dup2(p->out_fd >= 0 ? p->out_fd : null_fd, STDOUT_FILENO);
	dup2(p->err_fd >= 0 ? p->err_fd : null_fd, STDERR_FILENO);
	close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	execvp(p->argv[0], (char *const *)p->argv);
	return 127;
}

pid_t sc_helper_exec(int cgroup_fd, const char *const argv[], int out_fd, int err_fd)
{
	return sc_helper_exec_in(cgroup_fd, -1, argv, out_fd, err_fd);
}

pid_t sc_helper_exec_in(int cgroup_fd, int space_fd, const char *const argv[], int out_fd,
			int err_fd)
{
	struct program p = {.argv = argv, .space_fd = space_fd, .out_fd = out_fd, .err_fd = err_fd};

	return sc_helper_call(cgroup_fd, exec_program, &p);
}

int sc_netns_enter(void)
{
	_cleanup_close_ int fd = -1;
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	if (unshare(CLONE_NEWNET))
		return -errno;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	return ioctl(fd, SIOCSIFFLAGS, &lo) ? -errno : 0;
}
