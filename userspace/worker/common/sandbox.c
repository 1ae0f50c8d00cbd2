/* SPDX-License-Identifier: Apache-2.0 */
/* The tables come first: they are what this file is about. */
#include "worker/common/sandbox.h"

#include "base/mem.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define ANY        .arg = -1
#define NONE_OF(m) .mask = (m), .value = 0
#define ALL_OF(m)  .mask = (m), .value = (m)
#define EXACTLY(v) .mask = UINT32_MAX, .value = (v)

/* A call that is allowed, where arg is not negative only with (argument & mask) == value. */
struct rule {
	int call;
	int arg;
	uint64_t mask, value;
};

/* Threads, memory, time, descriptors that are open. */
static const int always[] = {
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(pread64),
	SCMP_SYS(preadv),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(pwrite64),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(sendfile),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(select),
	SCMP_SYS(pselect6),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(timerfd_gettime),
	SCMP_SYS(signalfd4),
	SCMP_SYS(pipe2),
	SCMP_SYS(close),
	SCMP_SYS(dup),
	SCMP_SYS(dup3),
	SCMP_SYS(fcntl),
	SCMP_SYS(fstat),
	SCMP_SYS(lseek),
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(membarrier),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(getrandom),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getrusage),
	SCMP_SYS(sysinfo),
	SCMP_SYS(uname),
	SCMP_SYS(tgkill),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/* Some of what these calls can do. */
static const struct rule partly[] = {
	/* Threads, no processes and no namespaces. */
	{SCMP_SYS(clone), 0, ALL_OF(CLONE_VM | CLONE_THREAD)},
	{SCMP_SYS(prctl), 0, EXACTLY(PR_SET_NAME)},
	/* Limits are asked for when a thread is made, not set. */
	{SCMP_SYS(prlimit64), 2, .mask = UINT64_MAX, .value = 0},
	{SCMP_SYS(ioctl), 1, EXACTLY(FIONREAD)},
	{SCMP_SYS(ioctl), 1, EXACTLY(FIONBIO)},
	{SCMP_SYS(ioctl), 1, EXACTLY(TCGETS)},
	{SCMP_SYS(mmap), 2, NONE_OF(PROT_EXEC)},
	{SCMP_SYS(mprotect), 2, NONE_OF(PROT_EXEC)},
};

static const struct rule to_connect[] = {
	{SCMP_SYS(socket), 0, EXACTLY(AF_UNIX)},
	{SCMP_SYS(socket), 0, EXACTLY(AF_INET)},
	{SCMP_SYS(socket), 0, EXACTLY(AF_INET6)},
	{SCMP_SYS(socketpair), 0, EXACTLY(AF_UNIX)},
	{SCMP_SYS(connect), ANY},
};

#define WRITING (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | __O_TMPFILE)

/* Modules of the name service are libraries: code is mapped, too. */
static const struct rule to_read_files[] = {
	{SCMP_SYS(openat), 2, NONE_OF(WRITING)},
	{SCMP_SYS(open), 1, NONE_OF(WRITING)},
	{SCMP_SYS(newfstatat), ANY},
	{SCMP_SYS(stat), ANY},
	{SCMP_SYS(lstat), ANY},
	{SCMP_SYS(statx), ANY},
	{SCMP_SYS(access), ANY},
	{SCMP_SYS(faccessat), ANY},
	{SCMP_SYS(faccessat2), ANY},
	{SCMP_SYS(readlink), ANY},
	{SCMP_SYS(readlinkat), ANY},
	{SCMP_SYS(getdents64), ANY},
	{SCMP_SYS(getcwd), ANY},
	{SCMP_SYS(mmap), 2, ALL_OF(PROT_EXEC)},
	{SCMP_SYS(mprotect), 2, ALL_OF(PROT_EXEC)},
};

/* No library does these by itself: who tries has been taken over. */
static const int intrusions[] = {
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(bpf),
	SCMP_SYS(mount),
	SCMP_SYS(setns),
	SCMP_SYS(unshare),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(perf_event_open),
};

static const int not_for_programs[] = {
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(kcmp),
	SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(mount),
	SCMP_SYS(umount2),
	SCMP_SYS(pivot_root),
	SCMP_SYS(move_mount),
	SCMP_SYS(fsopen),
	SCMP_SYS(fsmount),
	SCMP_SYS(open_tree),
	SCMP_SYS(mount_setattr),
	SCMP_SYS(chroot),
	SCMP_SYS(setns),
	SCMP_SYS(unshare),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(reboot),
	SCMP_SYS(swapon),
	SCMP_SYS(swapoff),
	SCMP_SYS(acct),
	SCMP_SYS(quotactl),
	SCMP_SYS(keyctl),
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
	SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime),
	SCMP_SYS(clock_adjtime),
	SCMP_SYS(adjtimex),
	SCMP_SYS(sethostname),
	SCMP_SYS(setdomainname),
	SCMP_SYS(syslog),
	SCMP_SYS(fanotify_init),
	SCMP_SYS(iopl),
	SCMP_SYS(ioperm),
	SCMP_SYS(modify_ldt),
	SCMP_SYS(personality),
};

/* What unshare(2) may not make, clone(2) may not either. */
static const uint64_t namespaces[] = {
	CLONE_NEWNS,  CLONE_NEWCGROUP, CLONE_NEWUTS,  CLONE_NEWIPC,
	CLONE_NEWPID, CLONE_NEWNET,    CLONE_NEWUSER,
};

static void release(scmp_filter_ctx *ctx)
{
	if (*ctx)
		seccomp_release(*ctx);
}

static int allow(scmp_filter_ctx ctx, const struct rule *rules, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct scmp_arg_cmp when = {.arg = (unsigned int)SC_MAX(rules[i].arg, 0),
					    .op = SCMP_CMP_MASKED_EQ,
					    .datum_a = rules[i].mask,
					    .datum_b = rules[i].value};
		int r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, rules[i].call,
					       rules[i].arg >= 0, &when);

		if (r < 0)
			return r;
	}
	return 0;
}

static int add_calls(scmp_filter_ctx ctx, uint32_t action, const int *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int r = seccomp_rule_add(ctx, action, calls[i], 0);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Its flags lie in memory, where a filter cannot look; libc then uses clone(2). */
static int refuse_clone3(scmp_filter_ctx ctx)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

/* Everything but the list, and sockets of families that no program needs. */
static int fill_for_programs(scmp_filter_ctx ctx)
{
	int r = add_calls(ctx, SCMP_ACT_ERRNO(EPERM), not_for_programs,
			  SC_ARRAY_SIZE(not_for_programs));

	for (int family = 0; r == 0 && family < AF_MAX; family++) {
		struct scmp_arg_cmp is_this = SCMP_A0_32(SCMP_CMP_EQ, (uint32_t)family);

		if (family != AF_UNIX && family != AF_INET && family != AF_INET6 &&
		    family != AF_NETLINK)
			r = seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
						   &is_this);
	}
	for (size_t i = 0; r == 0 && i < SC_ARRAY_SIZE(namespaces); i++) {
		struct scmp_arg_cmp has_this = {.arg = 0,
						.op = SCMP_CMP_MASKED_EQ,
						.datum_a = namespaces[i],
						.datum_b = namespaces[i]};

		r = seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
					   &has_this);
	}
	return r < 0 ? r : refuse_clone3(ctx);
}

static int fill_list(scmp_filter_ctx ctx, unsigned int flags)
{
	int r = add_calls(ctx, SCMP_ACT_ALLOW, always, SC_ARRAY_SIZE(always));

	if (r == 0)
		r = allow(ctx, partly, SC_ARRAY_SIZE(partly));
	if (r == 0 && (flags & SC_SANDBOX_CONNECT))
		r = allow(ctx, to_connect, SC_ARRAY_SIZE(to_connect));
	if (r == 0 && (flags & SC_SANDBOX_READ_FILES))
		r = allow(ctx, to_read_files, SC_ARRAY_SIZE(to_read_files));
	if (r == 0)
		r = add_calls(ctx, SCMP_ACT_KILL_PROCESS, intrusions, SC_ARRAY_SIZE(intrusions));
	return r < 0 ? r : refuse_clone3(ctx);
}

int sc_sandbox_enter(unsigned int flags)
{
	bool runs = flags & SC_SANDBOX_RUN;
	_cleanup_(release)
		scmp_filter_ctx ctx = seccomp_init(runs ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM));
	int r;

	if (!ctx)
		return -ENOMEM;
	r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (r == 0)
		r = runs ? fill_for_programs(ctx) : fill_list(ctx, flags);
	/* Others of the same user must not look into its memory, which may hold a password. */
	if (r == 0 && prctl(PR_SET_DUMPABLE, 0) < 0)
		r = -errno;
	return r < 0 ? r : seccomp_load(ctx);
}
