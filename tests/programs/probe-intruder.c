/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe-intruder [FILE...]: a probe that tries what a program must not be able to do to the worker
 * that runs it, or to the host; each FILE is one that it must not be able to write to. Says true
 * when all was refused; else what was not, on standard error, and ends with status 3.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int failures;

static void expect(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s; ", what);
	failures++;
}

/* As intended with the error that says so; 0 = any. */
static void refused(long r, int error, const char *what)
{
	expect(r < 0 && (!error || errno == error), what);
}

static void try_open(pid_t pid, const char *file)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	refused(open(path, O_RDONLY | O_CLOEXEC), EACCES, path);
}

static void try_worker(pid_t worker)
{
	char byte, path[64], to[64];
	struct iovec here = {&byte, 1}, there = {(void *)0x400000, 1};
	int pidfd;

	refused(ptrace(PTRACE_ATTACH, worker, NULL, NULL), EPERM, "ptrace");
	refused(process_vm_readv(worker, &here, 1, &there, 1, 0), EPERM, "process_vm_readv");
	refused(process_vm_writev(worker, &here, 1, &there, 1, 0), EPERM, "process_vm_writev");
	try_open(worker, "mem");
	try_open(worker, "environ");
	try_open(worker, "fd");
	snprintf(path, sizeof(path), "/proc/%d/fd/3", worker);
	refused(readlink(path, to, sizeof(to)), EACCES, "its link by /proc");
	pidfd = (int)syscall(SYS_pidfd_open, worker, 0);
	expect(pidfd >= 0, "no pidfd to try with");
	refused(syscall(SYS_pidfd_getfd, pidfd, 3, 0), EPERM, "its link by pidfd_getfd");
	for (int fd = 3; fd < 1024; fd++)
		expect(fd == pidfd || fcntl(fd, F_GETFD) < 0, "a descriptor came along");
}

static void try_kernel(void)
{
	static const int families[] = {AF_PACKET, AF_VSOCK, AF_BLUETOOTH, AF_ALG, AF_XDP};
	static const int spaces[] = {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID};
	struct timespec now = {0};

	refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL), EPERM, "PTRACE_TRACEME");
	refused(mount("none", "/tmp", "tmpfs", 0, NULL), EPERM, "mount");
	refused(umount2("/proc", MNT_DETACH), EPERM, "umount");
	refused(setns(open("/proc/self/ns/net", O_RDONLY), 0), EPERM, "setns");
	for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
		refused(unshare(spaces[i]), EPERM, "unshare");
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		refused(socket(families[i], SOCK_DGRAM, 0), EPERM, "a family of sockets");
	refused(syscall(SYS_clone3, NULL, 0), ENOSYS, "clone3");
	refused(syscall(SYS_bpf, 0, NULL, 0), EPERM, "bpf");
	refused(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0), EPERM, "perf");
	refused(syscall(SYS_io_uring_setup, 1, NULL), EPERM, "io_uring");
	refused(syscall(SYS_userfaultfd, 0), EPERM, "userfaultfd");
	refused(syscall(SYS_keyctl, 0, 0, 0, 0, 0), EPERM, "keys");
	refused(syscall(SYS_init_module, NULL, 0, ""), EPERM, "modules");
	refused(chroot("/tmp"), EPERM, "chroot");
	refused(clock_settime(CLOCK_REALTIME, &now), EPERM, "clock");
	refused(setuid(0), EPERM, "setuid");
	refused(setgid(0), EPERM, "setgid");
}

static void expect_no_rights(void)
{
	static const char *const lines[] = {"\nCapEff:\t0000000000000000\n",
					    "\nCapPrm:\t0000000000000000\n", "\nNoNewPrivs:\t1\n",
					    "\nSeccomp:\t2\n"};
	char text[8192];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	close(fd);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect(strstr(text, lines[i]) != NULL, lines[i]);
	expect(getuid() != 0 && geteuid() != 0, "it is root");
}

int main(int argc, char **argv)
{
	try_worker(getppid());
	try_kernel();
	expect_no_rights();
	for (int i = 1; i < argc; i++)
		refused(open(argv[i], O_WRONLY | O_CLOEXEC), 0, argv[i]);
	if (failures)
		return 3;
	puts("true");
	return 0;
}
