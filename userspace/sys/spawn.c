/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/spawn.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

/* The child's own, while it shares the agent's memory; it makes calls a few levels deep. */
#define STACK_BYTES (64UL * 1024)
/* Of the program's main thread, and what its other threads get unless it says otherwise. */
#define PROGRAM_STACK_BYTES (1024UL * 1024)
/* From the change of user to the program, which a loaded host or a disk can take its time over. */
#define RUN_S 5
/* The child's descriptors behind the link's, until it runs the program. */
enum { PROGRAM_FD = SC_SPAWN_LINK_FD + 1, PROCS_FD, FDS_END };
/* Above those. */
#define FIRST_FREE_FD 10

struct child {
	const struct sc_spawn *spawn;
	int program_fd, link_fd,
		procs_fd; /* copies, from FIRST_FREE_FD on; -1 = no cgroup to join */
	pid_t parent;
	/* What went wrong: written by the child, read by the parent, which waits meanwhile. */
	volatile int error;
	const char *volatile step;
};

/* glibc's own calls would change the user of every thread of the agent. */
static int drop_user(const struct child *c)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
	uid_t uid = c->spawn->uid;
	gid_t gid = c->spawn->gid;

	if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, gid, gid, gid) < 0 ||
	    syscall(SYS_setresuid, uid, uid, uid) < 0)
		return -1;
	/* Gone by the change of user, unless the agent was started with securebits. */
	return (int)syscall(SYS_capset, &head, none);
}

static int set_limit(int resource, uint64_t soft, uint64_t hard)
{
	struct rlimit64 old, limit;

	if (syscall(SYS_prlimit64, 0, resource, NULL, &old) < 0)
		return -1;
	limit.rlim_max = SC_MIN((uint64_t)old.rlim_max, hard);
	limit.rlim_cur = SC_MIN((uint64_t)limit.rlim_max, soft);
	return (int)syscall(SYS_prlimit64, 0, resource, &limit, NULL);
}

static int set_limits(const struct sc_spawn *s)
{
	const struct {
		int resource;
		uint64_t soft, hard;
	} limits[] = {
		{RLIMIT_DATA, s->memory_max, s->memory_max},
		{RLIMIT_NOFILE, s->files_max, s->files_max},
		{RLIMIT_NPROC, s->tasks_max, s->tasks_max},
		{RLIMIT_STACK, PROGRAM_STACK_BYTES, RLIM_INFINITY},
		{RLIMIT_CORE, 0, 0},
		{RLIMIT_MEMLOCK, 0, 0},
		{RLIMIT_RTPRIO, 0, 0},
		{RLIMIT_NICE, 0, 0},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(limits); i++)
		if (set_limit(limits[i].resource, limits[i].soft, limits[i].hard) < 0)
			return -1;
	return 0;
}

static int reset_oom(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, "0", 1);

	if (fd >= 0)
		close(fd);
	return n == 1 ? 0 : -1;
}

static int reset_scheduler(void)
{
	struct sched_param param = {0};

	if (sched_setscheduler(0, SCHED_OTHER, &param) < 0)
		return -1;
	return setpriority(PRIO_PROCESS, 0, 0);
}

/* By a move, for a child that is to run a function of ours cannot be born there without a clone3(2)
 * in assembler; it has made nothing yet that would be counted elsewhere. */
static int join_cgroup(const struct child *c)
{
	if (c->procs_fd < 0)
		return 0;
	return write(PROCS_FD, "0", 1) == 1 ? 0 : -1;
}

/* First of all: what the agent has open, its locks and programs among it, must not live on in a
 * child that is held up when the agent is killed. */
static int place_fds(const struct child *c)
{
	int null = open("/dev/null", O_RDONLY);

	if (null < 0 || (null != 0 && dup2(null, 0) < 0) || dup2(2, 1) < 0 ||
	    dup2(c->link_fd, SC_SPAWN_LINK_FD) < 0 ||
	    dup3(c->program_fd, PROGRAM_FD, O_CLOEXEC) < 0 ||
	    (c->procs_fd >= 0 && dup3(c->procs_fd, PROCS_FD, O_CLOEXEC) < 0))
		return -1;
	return (int)syscall(SYS_close_range, c->procs_fd < 0 ? PROCS_FD : FDS_END, ~0U, 0);
}

static int reset_signals(void)
{
	uint64_t none = 0;

	return (int)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
}

/* Again after the change of user, which clears it. The agent may be dead already. */
static int die_with(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -1;
	errno = ESRCH;
	return getppid() == parent ? 0 : -1;
}

/*
 * From the change of user on, whoever runs as that user can stop the child, and with it the thread
 * that waits for it. This signal ends a stopped process too, nobody else can take it back, and it
 * is forgotten when the program runs. Straight to the kernel: glibc would keep a table of timers.
 */
static int live_at_most(time_t seconds)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
	struct itimerspec spec = {.it_value = {.tv_sec = seconds}};
	int timer;

	if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) < 0)
		return -1;
	return (int)syscall(SYS_timer_settime, timer, 0, &spec, NULL);
}

static int run_program(const struct child *c)
{
	char *const argv[] = {(char *)(uintptr_t)c->spawn->program, NULL};

	return (int)syscall(SYS_execveat, PROGRAM_FD, "", argv, c->spawn->env, AT_EMPTY_PATH);
}

static int child_main(void *arg)
{
	struct child *c = arg;
	const char *step = "session";
	int r = setsid() < 0 ? -1 : 0;

#define STEP(name, call)             \
	do {                         \
		if (r == 0) {        \
			step = name; \
			r = (call);  \
		}                    \
	} while (0)
	STEP("descriptors", place_fds(c));
	STEP("the agent's end", die_with(c->parent));
	STEP(SC_SPAWN_STEP_CGROUP, join_cgroup(c));
	STEP("directory", chdir("/"));
	STEP("OOM score", reset_oom());
	STEP("scheduler", reset_scheduler());
	STEP("limits", set_limits(c->spawn));
	STEP("deadline", live_at_most(RUN_S));
	STEP("user", drop_user(c));
	STEP("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	STEP("the agent's end", die_with(c->parent));
	STEP("signals", reset_signals());
	STEP("program", run_program(c));
#undef STEP
	c->error = -errno;
	c->step = step;
	_exit(127);
}

/* A copy of fd that the child's own descriptors do not overwrite. */
static int lift(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
}

/* Signals wait meanwhile: a handler must not run in the child, in the agent's memory. */
static int clone_child(struct child *c, char *stack, int *pidfd)
{
	const int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD;
	sigset_t all, old;
	int pid;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = clone(child_main, stack + STACK_BYTES, flags, c, pidfd);
	if (pid < 0)
		pid = -errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return pid;
}

int sc_spawn(const struct sc_spawn *s, pid_t *pid, int *pidfd, const char **step)
{
	_cleanup_close_ int program = openat(s->dirfd, s->program, O_PATH | O_CLOEXEC);
	_cleanup_close_ int program_fd = program < 0 ? -1 : lift(program);
	_cleanup_close_ int link_fd = lift(s->link_fd);
	_cleanup_close_ int procs_fd = s->procs_fd > 0 ? lift(s->procs_fd) : -1;
	_cleanup_close_ int child_fd = -1;
	struct child c = {.spawn = s, .parent = getpid()};
	char *stack;
	int r;

	SC_ASSERT(s->uid != 0 && s->gid != 0);
	*step = "program";
	if (program_fd < 0 || link_fd < 0 || (s->procs_fd > 0 && procs_fd < 0))
		return -errno;
	c.program_fd = program_fd;
	c.link_fd = link_fd;
	c.procs_fd = procs_fd;
	stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	if (stack == MAP_FAILED)
		return -ENOMEM;
	*step = "process";
	r = clone_child(&c, stack, &child_fd);
	(void)munmap(stack, STACK_BYTES);
	if (r < 0)
		return r;
	if (c.error) {
		*step = c.step;
		(void)waitpid(r, NULL, 0);
		return c.error;
	}
	*pid = r;
	*pidfd = SC_TAKE_FD(child_fd);
	return 0;
}

/* The numbers after `key` at the beginning of a line of /proc/PID/status. */
static const char *find_line(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *at = text; at && *at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, key, n) == 0 && at[n] == ':')
			return at + n + 1;
	}
	return NULL;
}

static bool read_number(const char *text, const char *key, int base, uint64_t *out)
{
	const char *at = find_line(text, key);

	if (at)
		*out = strtoull(at, NULL, base);
	return at != NULL;
}

static bool read_uid(const char *text, uid_t *out)
{
	const char *at = find_line(text, "Uid");
	unsigned int real, effective, saved;

	if (!at || sscanf(at, "%u %u %u", &real, &effective, &saved) != 3)
		return false;
	*out = real == effective && real == saved ? real : 0;
	return true;
}

int sc_process_facts(pid_t pid, struct sc_process_facts *out)
{
	uint64_t permitted, effective, ambient, seccomp, no_gain, rss_kib = 0;
	struct sc_process_facts f = {0};
	char name[32], text[4096];
	const char *state;

	snprintf(name, sizeof(name), "/proc/%d/status", pid);
	if (sc_read_file_at(AT_FDCWD, name, text, sizeof(text)) < 0)
		return -ESRCH;
	state = find_line(text, "State");
	if (!state || !read_uid(text, &f.uid) || !read_number(text, "CapPrm", 16, &permitted) ||
	    !read_number(text, "CapEff", 16, &effective) ||
	    !read_number(text, "CapAmb", 16, &ambient) ||
	    !read_number(text, "Seccomp", 10, &seccomp) ||
	    !read_number(text, "NoNewPrivs", 10, &no_gain))
		return -EBADMSG;
	(void)read_number(text, "VmRSS", 10, &rss_kib); /* a zombie has none */
	f.caps = permitted | effective | ambient;
	f.seccomp = (int)seccomp;
	f.has_no_gain = no_gain == 1;
	f.state = state[strspn(state, " \t")];
	f.rss_bytes = rss_kib * 1024;
	*out = f;
	return 0;
}

int sc_process_reap(int pidfd, int *status)
{
	siginfo_t info = {0};

	if (waitid((idtype_t)P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) < 0)
		return -errno;
	if (info.si_pid == 0)
		return 0;
	*status = info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8 : info.si_status;
	return 1;
}
