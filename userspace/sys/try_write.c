/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/try_write.h"

#include "base/mem.h"

#include <scram/readonly_abi.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_ROOM 320

/* statvfs(3)'s ST_RDONLY, as statfs(2) tells it. */
#define IS_READONLY 1

static bool keeps_writes(const char *dir)
{
	struct statfs st;

#define CASE(number) case number:
	if (statfs(dir, &st) < 0 || st.f_flags & IS_READONLY)
		return false;
	switch ((uint64_t)st.f_type) {
		SC_READONLY_NO_STORES(CASE)
		return false;
	default:
		return true;
	}
#undef CASE
}

static bool is_refusal(int error)
{
	return error == EROFS || error == EPERM || error == EACCES;
}

/* In the child, whose memory is a copy of one that other threads were changing: system calls only.
 * 1 refused, 0 written. */
static char attempt(const char *dir, const char *made)
{
	int fd = open(dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	if (fd >= 0)
		return 0;
	if (is_refusal(errno))
		return 1;
	/* A file system without nameless files. */
	if (mkdir(made, 0700) < 0)
		return is_refusal(errno);
	rmdir(made);
	return 0;
}

/* The one byte of the answer, or what waiting for it came to. */
static int wait_answer(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char answer;
	int r = poll(&p, 1, SC_TRY_WRITE_MS);

	if (r == 0)
		return -ETIMEDOUT;
	return r > 0 && read(fd, &answer, 1) == 1 ? answer : -EIO;
}

static int ask_child(int cgroup_fd, const char *dir)
{
	struct clone_args args = {.flags = CLONE_INTO_CGROUP, .cgroup = (unsigned int)cgroup_fd};
	_cleanup_close_ int answer_fd = -1, ask_fd = -1;
	char made[PATH_ROOM];
	int pipe_fds[2], r;
	long pid;

	snprintf(made, sizeof(made), "%.256s/.scram-try-%d", dir, (int)getpid());
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	answer_fd = pipe_fds[0];
	ask_fd = pipe_fds[1];
	/* Without a signal at its end: whoever waits for children of the agent does not see it. */
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		char answer = attempt(dir, made);
		bool told = write(ask_fd, &answer, 1) == 1;

		(void)told; /* always status 0: a failure would count as one of the cgroup's */
		_exit(0);
	}
	r = wait_answer(answer_fd);
	if (r == -ETIMEDOUT)
		kill((pid_t)pid, SIGKILL);
	while (waitpid((pid_t)pid, NULL, __WALL) < 0 && errno == EINTR)
		continue;
	return r;
}

int sc_try_write(int cgroup_fd, const char *const dirs[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (keeps_writes(dirs[i]))
			return ask_child(cgroup_fd, dirs[i]);
	return -ENOENT;
}
