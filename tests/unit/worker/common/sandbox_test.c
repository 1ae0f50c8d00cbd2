/* SPDX-License-Identifier: Apache-2.0 */
/* The filters, tried from inside: what each worker's flags allow, refuse and punish. */
#include "worker/common/sandbox.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define API    0U
#define SHIP   (SC_SANDBOX_CONNECT | SC_SANDBOX_READ_FILES)
#define PROBE  SC_SANDBOX_RUN
#define NOBODY 65534

/* Outcomes beside an errno. */
#define FINE   0
#define KILLED 1000

/* Each returns 0, or the errno of what was refused. */
static int try_shadow(void)
{
	return open("/etc/shadow", O_RDONLY | O_CLOEXEC) < 0 ? errno : 0;
}

static int try_passwd(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 ? errno : 0;
}

static int try_write(void)
{
	return open("/tmp/scram-sandbox-test", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 ? errno
											 : 0;
}

static int try_execve(void)
{
	char *const argv[] = {(char *)(uintptr_t) "/bin/true", NULL};

	return execv(argv[0], argv) < 0 ? errno : 0;
}

static int try_ptrace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 ? errno : 0;
}

static int try_family(int family)
{
	return socket(family, SOCK_DGRAM, 0) < 0 ? errno : 0;
}

static int try_inet(void)
{
	return try_family(AF_INET);
}

static int try_packet(void)
{
	return try_family(AF_PACKET);
}

static int try_vsock(void)
{
	return try_family(AF_VSOCK);
}

static int try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : 0;
}

static void *do_nothing(void *arg)
{
	return arg;
}

static int try_thread(void)
{
	pthread_t thread;
	int r = pthread_create(&thread, NULL, do_nothing, NULL);

	return r ? r : pthread_join(thread, NULL);
}

static int try_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? errno : 0;
}

static int try_namespace(void)
{
	return unshare(CLONE_NEWNS) < 0 ? errno : 0;
}

static int try_user_namespace(void)
{
	long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : 0;
}

static int try_clone3(void)
{
	return syscall(SYS_clone3, NULL, 0) < 0 ? errno : 0;
}

static int try_limit(void)
{
	struct rlimit more = {1, 1};

	return setrlimit(RLIMIT_NOFILE, &more) < 0 ? errno : 0;
}

static int try_kill(void)
{
	return kill(getppid(), 0) < 0 ? errno : 0;
}

static int try_bpf(void)
{
	return syscall(SYS_bpf, 0, NULL, 0) < 0 ? errno : 0;
}

/* As nobody, inside the sandbox. */
static int attempt_in_child(unsigned int flags, int (*attempt)(void))
{
	int status;
	pid_t pid = fork();

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		if (geteuid() == 0 && (setgid(NOBODY) || setuid(NOBODY)))
			_exit(200);
		if (sc_sandbox_enter(flags) < 0)
			_exit(201);
		_exit(attempt());
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS ? KILLED : -WTERMSIG(status);
	return WEXITSTATUS(status);
}

Test(sandbox, each_worker_may_do_its_work_and_nothing_else)
{
	static const struct {
		const char *name;
		int (*attempt)(void);
		int api, ship, probe;
	} rows[] = {
		{"open /etc/shadow", try_shadow, EPERM, EACCES, EACCES},
		{"open /etc/passwd", try_passwd, EPERM, FINE, FINE},
		{"make a file", try_write, EPERM, EPERM, FINE},
		{"execve", try_execve, KILLED, KILLED, FINE},
		{"ptrace", try_ptrace, KILLED, KILLED, EPERM},
		{"bpf", try_bpf, KILLED, KILLED, EPERM},
		{"unshare", try_namespace, KILLED, KILLED, EPERM},
		{"clone a user namespace", try_user_namespace, EPERM, EPERM, EPERM},
		{"clone3", try_clone3, ENOSYS, ENOSYS, ENOSYS},
		{"socket inet", try_inet, EPERM, FINE, FINE},
		{"socket packet", try_packet, EPERM, EPERM, EPERM},
		{"socket vsock", try_vsock, EPERM, EPERM, EPERM},
		{"fork", try_fork, EPERM, EPERM, FINE},
		{"thread", try_thread, FINE, FINE, FINE},
		{"map code", try_code, EPERM, FINE, FINE},
		{"set a limit", try_limit, EPERM, EPERM, FINE},
		{"signal its parent", try_kill, EPERM, EPERM, EPERM},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		cr_expect_eq(attempt_in_child(API, rows[i].attempt), rows[i].api, "api: %s: %d",
			     rows[i].name, attempt_in_child(API, rows[i].attempt));
		cr_expect_eq(attempt_in_child(SHIP, rows[i].attempt), rows[i].ship, "ship: %s: %d",
			     rows[i].name, attempt_in_child(SHIP, rows[i].attempt));
		cr_expect_eq(attempt_in_child(PROBE, rows[i].attempt), rows[i].probe,
			     "probe: %s: %d", rows[i].name,
			     attempt_in_child(PROBE, rows[i].attempt));
	}
	(void)unlink("/tmp/scram-sandbox-test");
}

static void *attempt_in_thread(void *arg)
{
	static const struct timespec moment = {.tv_nsec = 1000000};
	volatile int *go = arg;

	while (!__atomic_load_n(go, __ATOMIC_ACQUIRE))
		nanosleep(&moment, NULL);
	return (void *)(intptr_t)try_passwd();
}

static int enter_beside_a_thread(void)
{
	int go = 0;
	pthread_t thread;
	void *result = NULL;

	if (pthread_create(&thread, NULL, attempt_in_thread, &go))
		return 202;
	if (sc_sandbox_enter(API) < 0)
		return 203;
	__atomic_store_n(&go, 1, __ATOMIC_RELEASE);
	pthread_join(thread, &result);
	return (int)(intptr_t)result;
}

Test(sandbox, threads_that_were_there_before_are_in_it_too)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(enter_beside_a_thread());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect(WIFEXITED(status));
	cr_expect_eq(WEXITSTATUS(status), EPERM);
}
