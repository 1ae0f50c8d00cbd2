/* SPDX-License-Identifier: Apache-2.0 */
/* The cgroup of one run: made anew for each, since a cgroup that was killed once may kill what is
 * born into it (Linux 6.18). */
#include "worker/probe/exec_impl.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static int write_to(int dirfd, const char *name, const char *text, size_t n)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : sc_write_all(fd, text, n);
}

/* A file is missing where its controller is: then the limits of setrlimit(2) are all there is. */
static int set_limit(int dirfd, const char *name, unsigned long value)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%lu", value);
	int r = write_to(dirfd, name, text, (size_t)n);

	return r == -ENOENT ? 0 : r;
}

static int set_limits(int dirfd)
{
	int r = set_limit(dirfd, "pids.max", SC_EXEC_PIDS_MAX);

	if (r == 0)
		r = set_limit(dirfd, "memory.max", SC_EXEC_MEMORY_MAX);
	if (r == 0)
		r = set_limit(dirfd, "memory.swap.max", 0);
	if (r == 0)
		r = set_limit(dirfd, "memory.oom.group", 1);
	/* None below it: one directory is what is removed afterwards. */
	if (r == 0)
		r = set_limit(dirfd, "cgroup.max.descendants", 0);
	return r;
}

int sc_exec_group_make(struct sc_exec_group *g, int parent_fd, uint64_t number)
{
	int r;

	snprintf(g->name, sizeof(g->name), "run-%llu", (unsigned long long)number);
	g->parent_fd = parent_fd;
	g->fd = g->end.fd = -1;
	if (parent_fd < 0)
		return -ENOENT;
	if (mkdirat(parent_fd, g->name, 0755) < 0)
		return -errno;
	g->fd = openat(parent_fd, g->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	r = g->fd < 0 ? -errno : set_limits(g->fd);
	if (r == 0)
		g->end.fd = openat(g->fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (r == 0 && g->end.fd < 0)
		r = -errno;
	if (r < 0) {
		sc_close(&g->fd);
		(void)unlinkat(parent_fd, g->name, AT_REMOVEDIR);
	}
	return r;
}

int sc_exec_group_kill(struct sc_exec_group *g)
{
	return g->fd < 0 ? -ENOENT : write_to(g->fd, "cgroup.kill", "1", 1);
}

int sc_exec_group_remove(struct sc_exec_group *g)
{
	char text[256];

	if (g->fd < 0)
		return 0;
	/* Read anew, so that the next change is told. */
	(void)sc_read_fd(g->end.fd, text, sizeof(text));
	if (unlinkat(g->parent_fd, g->name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return -errno;
	sc_close(&g->end.fd);
	sc_close(&g->fd);
	return 0;
}
