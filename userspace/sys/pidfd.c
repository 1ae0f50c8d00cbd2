/* SPDX-License-Identifier: Apache-2.0 */
/* pidfd(2) and /proc/PID: small wrappers, nothing decided here. */
#include "sys/pidfd.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* include/linux/sched.h; shown in field 9 of /proc/PID/stat. */
#define PF_EXITING 0x00000004UL
#define PF_KTHREAD 0x00200000UL

#define STAT_MAX    1024
#define THREADS_MAX 64 /* threads of a process with a dead leader that are looked at */

int sc_pidfd_open(pid_t pid)
{
	long fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : (int)fd;
}

bool sc_pidfd_is_dead(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

int sc_pidfd_signal(int pidfd, int sig)
{
	return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) < 0 ? -errno : 0;
}

/* Goes to the start of field n (from 1) behind p, which is at field `at`; NULL when there are
 * fewer. */
static const char *skip_to_field(const char *p, unsigned int at, unsigned int n)
{
	for (; at < n; at++) {
		p = strchr(p, ' ');
		if (!p)
			return NULL;
		p++;
	}
	return p;
}

int sc_process_parse_stat(const char *text, struct sc_process *process)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	struct sc_process p = {0};
	const char *flags, *start;
	long hz = sysconf(_SC_CLK_TCK);
	unsigned long bits;

	if (!open || !close || close < open || close[1] != ' ' || !close[2] || close[3] != ' ')
		return -EINVAL;
	if ((size_t)(close - open) > sizeof(p.comm))
		return -EINVAL;
	memcpy(p.comm, open + 1, (size_t)(close - open - 1));
	p.state = close[2];
	flags = skip_to_field(close + 2, 3, 9);
	start = flags ? skip_to_field(flags, 9, 22) : NULL;
	if (!start || start[0] < '0' || start[0] > '9')
		return -EINVAL;
	bits = strtoul(flags, NULL, 10);
	p.is_kernel_thread = bits & PF_KTHREAD;
	p.is_exiting = bits & PF_EXITING;
	p.start_boot_ns = strtoull(start, NULL, 10) * (SC_NS_PER_S / (uint64_t)hz);
	*process = p;
	return 0;
}

static int read_stat_at(int dirfd, const char *name, struct sc_process *process)
{
	char text[STAT_MAX];
	ssize_t n = sc_read_file_at(dirfd, name, text, sizeof(text));

	if (n < 0)
		return n == -ENOENT ? -ESRCH : (int)n;
	return sc_process_parse_stat(text, process);
}

/* A leader that exited is shown as a zombie while other threads live, sleep and hold the cgroup. */
static void look_at_threads(int procfd, struct sc_process *process)
{
	int fd = openat(procfd, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_Alignas(8) char buf[2048];
	unsigned int seen = 0;
	long n;

	if (fd < 0)
		return;
	while (seen < THREADS_MAX && (n = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
		for (long at = 0; at < n && seen < THREADS_MAX; seen++) {
			const struct dirent64 *d = (const void *)(buf + at);
			struct sc_process thread;
			char name[280];

			at += d->d_reclen;
			if (d->d_name[0] == '.')
				continue;
			snprintf(name, sizeof(name), "%s/stat", d->d_name);
			if (read_stat_at(fd, name, &thread) == 0 && !strchr("ZX", thread.state)) {
				process->state = thread.state;
				close(fd);
				return;
			}
		}
	}
	close(fd);
}

int sc_process_read(pid_t pid, struct sc_process *process)
{
	_cleanup_close_ int fd = -1;
	struct sc_process p;
	char path[32];
	int r;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	r = read_stat_at(fd, "stat", &p);
	if (r < 0)
		return r;
	if (p.state == 'Z')
		look_at_threads(fd, &p);
	if (sc_read_file_at(fd, "wchan", p.wchan, sizeof(p.wchan)) < 0 || !strcmp(p.wchan, "0"))
		p.wchan[0] = '\0';
	*process = p;
	return 0;
}
