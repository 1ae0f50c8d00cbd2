/* SPDX-License-Identifier: Apache-2.0 */
/* Lists the processes of a cgroup and its descendants, within bounds and without allocating. */
#include "sys/cgroup.h"

#include "base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

struct list {
	pid_t *pids;
	size_t max, n;
	bool is_all;
};

/* One directory on the way down; kernfs sends a few hundred bytes of entries at a time. */
struct level {
	int fd;
	long len, at;
	_Alignas(8) char entries[1024];
};

static void list_add(struct list *list, pid_t pid)
{
	if (list->n == list->max)
		list->is_all = false;
	else
		list->pids[list->n++] = pid;
}

/* Reads numbers, one a line, until the file ends or the list is full. */
static int read_pids(int fd, struct list *list)
{
	char buf[1024];
	pid_t pid = 0;
	ssize_t n;

	while (list->is_all && (n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] != '\n') {
				pid = pid * 10 + (buf[i] - '0');
				continue;
			}
			if (pid > 0) /* 0: a process of another pid namespace */
				list_add(list, pid);
			pid = 0;
		}
	}
	return 0;
}

static int list_one(int dirfd, struct list *list, bool is_top)
{
	_cleanup_close_ int fd = openat(dirfd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int threads = -1;
	int r = fd < 0 ? -errno : read_pids(fd, list);

	/* A threaded cgroup; below the top its processes were listed with their domain. */
	if (r != -EOPNOTSUPP || !is_top)
		return r == -EOPNOTSUPP ? 0 : r;
	threads = openat(dirfd, "cgroup.threads", O_RDONLY | O_CLOEXEC);
	return threads < 0 ? -errno : read_pids(threads, list);
}

/* The next directory entry below the level, or NULL at the end. */
static const char *next_child(struct level *level)
{
	for (;;) {
		const struct dirent64 *d;

		if (level->at == level->len) {
			level->len = syscall(SYS_getdents64, level->fd, level->entries,
					     sizeof(level->entries));
			level->at = 0;
			if (level->len <= 0)
				return NULL;
		}
		d = (const void *)(level->entries + level->at);
		level->at += d->d_reclen;
		if (d->d_type == DT_DIR && strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			return d->d_name;
	}
}

/* Goes one directory down, lists it; false when the walk must not go deeper from here. */
static bool descend(struct level *levels, unsigned int depth, const char *name, struct list *list)
{
	struct level *next = &levels[depth + 1];

	if (depth + 1 == SC_CGROUP_DEPTH_MAX) {
		list->is_all = false;
		return false;
	}
	next->fd = openat(levels[depth].fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	next->len = next->at = 0;
	if (next->fd < 0)
		return false; /* removed meanwhile */
	list_one(next->fd, list, false);
	return true;
}

/* kernfs counts sub-directories in the link count (fs/kernfs/inode.c). */
static bool is_leaf(int dirfd)
{
	struct stat st;

	return fstat(dirfd, &st) == 0 && st.st_nlink == 2;
}

int sc_cgroup_members(int dirfd, pid_t *pids, size_t max, bool *is_all)
{
	struct list list = {.pids = pids, .max = max, .is_all = true};
	struct level levels[SC_CGROUP_DEPTH_MAX];
	unsigned int depth = 0, seen = 0;
	int r = list_one(dirfd, &list, true);

	if (r < 0)
		return r;
	if (is_leaf(dirfd)) {
		*is_all = list.is_all;
		return (int)list.n;
	}
	/* A description of our own: the caller's keeps its place in the directory. */
	levels[0].fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	levels[0].len = levels[0].at = 0;
	if (levels[0].fd < 0)
		return -errno;
	for (;;) {
		const char *name = list.is_all ? next_child(&levels[depth]) : NULL;

		if (name && ++seen > SC_CGROUP_WALK_MAX)
			list.is_all = false;
		else if (name && descend(levels, depth, name, &list))
			depth++;
		else if (!name) {
			sc_close(&levels[depth].fd);
			if (depth-- == 0)
				break;
		}
	}
	*is_all = list.is_all;
	return (int)list.n;
}
