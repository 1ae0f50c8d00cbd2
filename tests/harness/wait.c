/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for the event, with a deadline; and reading the cgroup files that tell of it. */
#include "harness/harness.h"

#include "base/clock.h"
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* The kernel spaces out the notifications of cgroup.events, so the file is read again this often.
 */
#define REREAD_MS      5
#define TIME_SCALE_MAX 1000

uint64_t sc_scaled_ms(unsigned int ms)
{
	const char *text = getenv("SC_TIME_SCALE");
	unsigned long scale = text ? strtoul(text, NULL, 10) : 1;

	if (scale < 1 || scale > TIME_SCALE_MAX)
		scale = 1;
	return (uint64_t)ms * scale;
}

static uint64_t deadline_of(unsigned int ms)
{
	return sc_mono_ns() + sc_scaled_ms(ms) * SC_NS_PER_MS;
}

/* Rounded up, so that a poll does not end just before the deadline. */
static int ms_left(uint64_t deadline)
{
	uint64_t now = sc_mono_ns();

	return now >= deadline ? 0 : (int)((deadline - now) / SC_NS_PER_MS) + 1;
}

int sc_cgroup_write(int cgroup_fd, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(cgroup_fd, name, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : sc_write_all(fd, text, strlen(text));
}

static int64_t find_key(char *text, const char *key)
{
	size_t n = strlen(key);

	for (char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, key, n) && line[n] == ' ')
			return strtoll(line + n + 1, NULL, 10);
	}
	return -ENOENT;
}

int64_t sc_cgroup_key(int cgroup_fd, const char *name, const char *key)
{
	char text[4096];
	ssize_t n = sc_read_file_at(cgroup_fd, name, text, sizeof(text));

	return n < 0 ? n : find_key(text, key);
}

int sc_cgroup_count(int cgroup_fd)
{
	_cleanup_close_ int fd = openat(cgroup_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	_cleanup_fclose_ FILE *f = fd < 0 ? NULL : fdopen(SC_TAKE_FD(fd), "r");
	int lines = 0;
	int c;

	if (!f)
		return -errno;
	while ((c = fgetc(f)) != EOF)
		lines += c == '\n';
	return ferror(f) ? -EIO : lines;
}

uint64_t sc_cgroup_id(int cgroup_fd)
{
	struct stat st;

	return fstat(cgroup_fd, &st) ? 0 : st.st_ino;
}

static int wait_events(int cgroup_fd, const char *key, bool want, unsigned int ms)
{
	_cleanup_close_ int fd = openat(cgroup_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	uint64_t deadline = deadline_of(ms);
	struct pollfd p = {.fd = fd, .events = POLLPRI};
	char text[256];

	if (fd < 0)
		return errno == ENOENT && !want ? 0 : -errno;
	for (;;) {
		ssize_t n = sc_read_fd(fd, text, sizeof(text));

		if (n == -ENODEV)
			return want ? -ENODEV : 0;
		if (n < 0)
			return (int)n;
		if ((find_key(text, key) == 1) == want)
			return 0;
		if (ms_left(deadline) == 0)
			return -ETIMEDOUT;
		poll(&p, 1, SC_MIN(ms_left(deadline), REREAD_MS));
	}
}

int sc_wait_populated(int cgroup_fd, bool want, unsigned int ms)
{
	return wait_events(cgroup_fd, "populated", want, ms);
}

int sc_wait_frozen(int cgroup_fd, bool want, unsigned int ms)
{
	return wait_events(cgroup_fd, "frozen", want, ms);
}

int sc_wait_gone(pid_t pid, unsigned int ms)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	uint64_t deadline = deadline_of(ms);
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (fd < 0)
		return errno == ESRCH ? 0 : -errno;
	for (;;) {
		int n = poll(&p, 1, ms_left(deadline));

		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
}

int sc_wait_child(pid_t pid, int *status, unsigned int ms)
{
	int unused;
	int err = sc_wait_gone(pid, ms);

	if (err)
		return err;
	return waitpid(pid, status ? status : &unused, 0) < 0 ? -errno : 0;
}

int sc_wait_until(bool (*holds)(void *arg), void *arg, unsigned int ms)
{
	uint64_t deadline = deadline_of(ms);

	while (!holds(arg)) {
		if (ms_left(deadline) == 0)
			return -ETIMEDOUT;
		poll(NULL, 0, 1);
	}
	return 0;
}
