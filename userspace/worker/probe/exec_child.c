/* SPDX-License-Identifier: Apache-2.0 */
/* Between fork(2) and execve(2): system calls and nothing else. */
#include "worker/probe/exec_impl.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Where the failure pipe stands while the program is started. */
#define FAILURE_FD 3
/* Above all that is put in place. */
#define FIRST_FREE_FD 10

#define FILE_BYTES (16UL << 20)
#define FILES      256
/* The user's tasks that programs leave to the worker: a fork bomb must not keep it from working. */
#define TASKS_KEPT 64

static int reset_signals(void)
{
	static const unsigned long by_default[4]; /* the kernel's struct sigaction: SIG_DFL */
	sigset_t none;

	sigemptyset(&none);
	/* Not by libc, which keeps two of them for itself and so hands them on as it found them;
	 * SIGKILL and SIGSTOP cannot be set. */
	for (int signo = 1; signo < _NSIG; signo++)
		if (syscall(SYS_rt_sigaction, signo, by_default, NULL, _NSIG / 8) < 0 &&
		    signo != SIGKILL && signo != SIGSTOP)
			return -1;
	return sigprocmask(SIG_SETMASK, &none, NULL);
}

static int set_limit(__rlimit_resource_t resource, rlim_t value)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0)
		return -1;
	limit.rlim_max = SC_MIN(limit.rlim_max, value);
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(resource, &limit);
}

static int leave_tasks(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NPROC, &limit) < 0)
		return -1;
	if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max <= TASKS_KEPT)
		return 0;
	return set_limit(RLIMIT_NPROC, limit.rlim_max - TASKS_KEPT);
}

static int set_limits(uint64_t budget_ns)
{
	if (set_limit(RLIMIT_CPU, budget_ns / SC_NS_PER_S + 2) < 0 ||
	    set_limit(RLIMIT_FSIZE, FILE_BYTES) < 0 || set_limit(RLIMIT_NOFILE, FILES) < 0 ||
	    set_limit(RLIMIT_CORE, 0) < 0)
		return -1;
	return leave_tasks();
}

/* "0" is the writer. The worker's cgroup and this one have their parent in common, which was
 * delegated to this user: cgroup-v2.rst, "Delegation Containment". */
static int join(int group_fd)
{
	int fd;
	ssize_t n;

	if (group_fd < 0)
		return 0;
	fd = openat(group_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = write(fd, "0", 1);
	close(fd);
	return n == 1 ? 0 : -1;
}

static int die_with(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -1;
	errno = ESRCH;
	return getppid() == parent ? 0 : -1;
}

static int place_fds(const struct sc_exec_child *c)
{
	if (dup2(c->in, 0) < 0 || dup2(c->out, 1) < 0 || dup2(c->err, 2) < 0)
		return -1;
	return (int)syscall(SYS_close_range, FAILURE_FD + 1, ~0U, 0);
}

enum step { SESSION, SIGNALS, DIRECTORY, LIMITS, PARENT, CGROUP, FDS, PROGRAM, STEP_COUNT };

static const char *const step_names[] = {
	[SESSION] = "session", [SIGNALS] = "signals", [DIRECTORY] = "directory",
	[LIMITS] = "limits",   [PARENT] = "parent",   [CGROUP] = "cgroup",
	[FDS] = "descriptors", [PROGRAM] = "program",
};
_Static_assert(SC_ARRAY_SIZE(step_names) == STEP_COUNT, "one name per step");

static int do_step(enum step step, const struct sc_exec_child *c)
{
	switch (step) {
	case SESSION:
		return setsid() < 0 ? -1 : 0;
	case SIGNALS:
		return reset_signals();
	case DIRECTORY:
		(void)umask(077);
		return chdir("/");
	case LIMITS:
		return set_limits(c->budget_ns);
	case PARENT:
		return die_with(c->parent);
	case CGROUP:
		return join(c->group_fd);
	case FDS:
		return place_fds(c);
	case PROGRAM:
		return execve(c->argv[0], c->argv, (char *const *)(uintptr_t)c->env);
	case STEP_COUNT:
		break;
	}
	return 0;
}

static int lift(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
}

static _Noreturn void run_child(const struct sc_exec_child *c)
{
	struct sc_exec_failure failure = {0};
	int failure_fd = lift(c->failure_fd);
	struct sc_exec_child own = *c;

	/* The place of the failure pipe may be that of another one that is still needed. */
	own.in = lift(c->in);
	own.out = lift(c->out);
	own.err = lift(c->err);
	own.group_fd = c->group_fd < 0 ? -1 : lift(c->group_fd);
	if (failure_fd < 0 || dup3(failure_fd, FAILURE_FD, O_CLOEXEC) < 0)
		_exit(127);
	for (unsigned int step = 0; step < STEP_COUNT; step++) {
		if (do_step((enum step)step, &own) == 0)
			continue;
		failure.error = errno;
		failure.step = step;
		break;
	}
	(void)!write(FAILURE_FD, &failure, sizeof(failure));
	_exit(127);
}

pid_t sc_exec_fork(const struct sc_exec_child *c)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		run_child(c);
	return pid;
}

const char *sc_exec_step_name(unsigned int step)
{
	return step < STEP_COUNT ? step_names[step] : "start";
}
