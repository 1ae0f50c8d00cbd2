/* SPDX-License-Identifier: Apache-2.0 */
/* What a process that runs as the worker's user can do to the start of the next worker. */
#include "harness/harness.h"
#include "sys/pidfd.h"
#include "sys/spawn.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Nobody's. */
#define USER 1879056500U

enum { ENDED, LEFT_WAITING, NOT_STARTED };

/* Is to start a program, as the agent's sync thread does; go[0] tells when. */
static int start_program(void *arg)
{
	static char *const env[] = {NULL};
	int *go = arg;
	struct sc_spawn s = {
		.dirfd = AT_FDCWD,
		.program = "/bin/true",
		.env = env,
		.link_fd = go[0],
		.uid = USER,
		.gid = USER,
		.memory_max = 1UL << 26,
		.files_max = 64,
		.tasks_max = 64,
	};
	const char *step;
	struct pollfd end = {.events = POLLIN};
	int status = 0;
	char c;
	pid_t pid;

	if (read(go[0], &c, 1) != 1 || sc_spawn(&s, &pid, &end.fd, &step) < 0)
		return NOT_STARTED;
	if (poll(&end, 1, -1) != 1 || sc_process_reap(end.fd, &status) != 1)
		return LEFT_WAITING;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? ENDED : LEFT_WAITING;
}

/* The child stands at the begin or end of a system call; goes on to the next unless this is it. */
static bool has_changed_user(pid_t child, bool *is_changing)
{
	struct __ptrace_syscall_info info = {0};

	cr_assert_gt(ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), &info), 0);
	if (info.op == PTRACE_SYSCALL_INFO_EXIT && *is_changing)
		return true;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY)
		*is_changing = info.entry.nr == SYS_setresuid;
	cr_assert_eq(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
	return false;
}

/* Stops the new child of the spawner as soon as it has the worker's user; returns its pid. */
static pid_t stop_at_change_of_user(pid_t spawner)
{
	bool is_changing = false;
	int status;
	pid_t pid;

	do {
		pid = waitpid(-1, &status, __WALL);
		cr_assert_gt(pid, 0);
		cr_assert(WIFSTOPPED(status), "process %d ended early: %x", pid, (unsigned)status);
		if (pid == spawner)
			cr_assert_eq(ptrace(PTRACE_DETACH, spawner, NULL, NULL), 0);
	} while (pid == spawner || !has_changed_user(pid, &is_changing));
	cr_assert_eq(kill(pid, SIGSTOP), 0);
	cr_assert_eq(ptrace(PTRACE_DETACH, pid, NULL, NULL), 0);
	return pid;
}

/* A spawner whose child is stopped; what the test has open, both have. */
static pid_t start_stopped(pid_t *child)
{
	const long options = PTRACE_O_TRACEVFORK | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
	pid_t spawner;
	int go[2];

	sc_need_root();
	cr_assert_eq(pipe2(go, O_CLOEXEC), 0);
	spawner = sc_helper_call(-1, start_program, go);
	cr_assert_gt(spawner, 0);
	cr_assert_eq(ptrace(PTRACE_SEIZE, spawner, NULL, options), 0);
	cr_assert_eq(write(go[1], "", 1), 1);
	*child = stop_at_change_of_user(spawner);
	return spawner;
}

Test(spawn, a_start_that_is_stopped_ends_by_itself, .timeout = 300)
{
	pid_t child, spawner = start_stopped(&child);
	int status = 0;

	cr_assert_eq(sc_wait_child(spawner, &status, 60000), 0, "the start is waited for still");
	cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == ENDED, "%x", (unsigned)status);
}

/* The agent is killed, and the next must be able to start at once. */
Test(spawn, a_start_that_is_held_up_holds_no_lock_of_the_agent, .timeout = 300)
{
	char path[] = "/tmp/scram-test-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC), again = open(path, O_RDONLY | O_CLOEXEC);
	pid_t child, spawner;

	cr_assert(fd >= 0 && again >= 0);
	unlink(path);
	cr_assert_eq(flock(fd, LOCK_EX), 0);
	spawner = start_stopped(&child);
	close(fd);
	cr_expect_lt(flock(again, LOCK_EX | LOCK_NB), 0, "the spawner has it");
	cr_assert_eq(kill(spawner, SIGKILL), 0);
	cr_assert_eq(sc_wait_child(spawner, NULL, 60000), 0);
	cr_expect_eq(flock(again, LOCK_EX | LOCK_NB), 0, "its child has it still");
	cr_expect_eq(sc_wait_gone(child, 60000), 0);
}

/* What /proc shows of a process is root's when nobody else may touch its memory. */
static bool is_closed(void *arg)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/mem", *(pid_t *)arg);
	return stat(path, &st) == 0 && st.st_uid == 0;
}

/* Programs that outlive a worker run as its user: the next one must be shut to them from the begin,
 * not from its sandbox on. */
Test(spawn, a_worker_that_waits_for_its_hello_is_closed_to_its_user, .timeout = 300)
{
	static const char *const programs[] = {"scram-api", "scram-probe", "scram-ship"};
	const char *scram = getenv("SCRAM");
	char path[PATH_MAX];
	_cleanup_close_ int dir = -1;

	sc_need_root();
	cr_assert_lt(snprintf(path, sizeof(path), "%s", scram ? scram : "build/scram"), PATH_MAX);
	dir = open(dirname(path), O_PATH | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(dir, 0);
	for (size_t i = 0; i < SC_ARRAY_SIZE(programs); i++) {
		char *const env[] = {NULL};
		struct sc_spawn s = {
			.dirfd = dir,
			.program = programs[i],
			.env = env,
			.uid = USER,
			.gid = USER,
			.memory_max = 1UL << 30,
			.files_max = 64,
			.tasks_max = 64,
		};
		struct pollfd end = {.events = POLLIN};
		const char *step;
		int pair[2], r;
		pid_t pid;

		cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
		s.link_fd = pair[1];
		r = sc_spawn(&s, &pid, &end.fd, &step);
		cr_assert_eq(r, 0, "%s: %s: %s", programs[i], step, strerror(-r));
		cr_expect_eq(sc_wait_until(is_closed, &pid, 60000), 0, "%s", programs[i]);
		/* A dead one is closed as well. */
		cr_expect_eq(poll(&end, 1, 0), 0, "%s has ended", programs[i]);
		cr_assert_eq(kill(pid, SIGKILL), 0);
		cr_assert_eq(waitpid(pid, NULL, 0), pid);
		close(end.fd);
		close(pair[0]);
		close(pair[1]);
	}
}
