/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the cgroup2 mount (it may be /sys/fs/cgroup or .../unified) and the cgroups of processes in
 * it. */
#include "sys/cgroup.h"

#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

/* Undoes \040 \011 \012 \134 (fs/proc_namespace.c, mangle). */
bool sc_mountinfo_field(const char *from, size_t n, char *to)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		char c = from[i];

		if (c == '\\' && n - i >= 4 && strspn(from + i + 1, "01234567") >= 3) {
			c = (char)((from[i + 1] - '0') * 64 + (from[i + 2] - '0') * 8 +
				   (from[i + 3] - '0'));
			i += 3;
		}
		if (len == PATH_MAX - 1)
			return false;
		to[len++] = c;
	}
	to[len] = '\0';
	return true;
}

bool sc_cgroup_mountinfo_line(const char *line, char *mount, char *root)
{
	const char *field[5], *p = line, *type = strstr(line, " - ");
	char m[PATH_MAX], r[PATH_MAX];

	if (!type || strncmp(type, " - cgroup2 ", 11))
		return false;
	for (size_t i = 0; i < SC_ARRAY_SIZE(field); i++) {
		field[i] = p;
		p = strchr(p, ' ');
		if (!p || p >= type)
			return false;
		p++;
	}
	if (!sc_mountinfo_field(field[3], strcspn(field[3], " "), r) ||
	    !sc_mountinfo_field(field[4], strcspn(field[4], " "), m))
		return false;
	/* A mount from above this cgroup namespace: its paths do not match those of
	 * /proc/PID/cgroup. */
	if (!strncmp(r, "/..", 3))
		return false;
	return sc_strcopy(root, PATH_MAX, strcmp(r, "/") ? r : "") &&
	       sc_strcopy(mount, PATH_MAX, m);
}

struct found {
	char mount[PATH_MAX], root[PATH_MAX];
};

/* The cgroup2 mount that holds path (the longest), or the first whole one when path is NULL. */
static int find_mount(const char *path, struct found *found)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	struct found one;
	size_t cap = 0, best = 0;
	bool has = false;

	if (!f)
		return -errno;
	while (getline(&line, &cap, f) > 0) {
		size_t n;

		if (!sc_cgroup_mountinfo_line(line, one.mount, one.root))
			continue;
		n = strlen(one.mount);
		if (path && (strncmp(path, one.mount, n) || (path[n] && path[n] != '/')))
			continue;
		if (has && (path ? n < best : !found->root[0] || one.root[0]))
			continue;
		*found = one;
		best = n;
		has = true;
	}
	return has ? 0 : -ENOENT;
}

int sc_cgroup_fs_open(struct sc_cgroup_fs *fs, const char *directory)
{
	_cleanup_free_ char *real = directory ? realpath(directory, NULL) : NULL;
	_cleanup_close_ int fd = -1;
	struct found found;
	struct statfs st;
	int r;

	if (directory && !real)
		return -errno;
	if (real && (statfs(real, &st) < 0 || st.f_type != CGROUP2_SUPER_MAGIC))
		return -EINVAL;
	r = find_mount(real, &found);
	if (r < 0)
		return r;
	fd = open(found.mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstatfs(fd, &st) < 0 || st.f_type != CGROUP2_SUPER_MAGIC)
		return -EINVAL; /* something else was mounted over it */
	fs->root_fd = SC_TAKE_FD(fd);
	memcpy(fs->mount, found.mount, sizeof(fs->mount));
	memcpy(fs->root, found.root, sizeof(fs->root));
	return 0;
}

void sc_cgroup_fs_close(struct sc_cgroup_fs *fs)
{
	sc_close(&fs->root_fd);
}

int sc_cgroup_open_path(const struct sc_cgroup_fs *fs, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	size_t skip = strlen(fs->root);
	long fd;

	if (strncmp(path, fs->root, skip) || path[skip] != '/')
		return strcmp(path, fs->root) ? -ENOENT : fcntl(fs->root_fd, F_DUPFD_CLOEXEC, 0);
	path += skip + 1;
	fd = syscall(SYS_openat2, fs->root_fd, path[0] ? path : ".", &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}

int sc_cgroup_path_of(pid_t pid, char *buf, size_t size)
{
	char name[32], text[PATH_MAX + 1024];
	const char *line;
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);
	n = sc_read_file_at(AT_FDCWD, name, text, sizeof(text));
	if (n < 0)
		return n == -ENOENT ? -ESRCH : (int)n;
	/* Hierarchy 0 is the unified one; it comes last, and no line before can hold a newline of
	 * its own. */
	line = !strncmp(text, "0::", 3) ? text : strstr(text, "\n0::");
	if (!line)
		return -ENOENT;
	line = strstr(line, "0::") + 3;
	n = (ssize_t)strcspn(line, "\n");
	if ((size_t)n >= size)
		return -ENAMETOOLONG;
	memcpy(buf, line, (size_t)n);
	buf[n] = '\0';
	return 0;
}

/* The directory of the cgroup of a process, or -ESRCH, -EXDEV, -errno. */
static int open_of(const struct sc_cgroup_fs *fs, pid_t pid)
{
	char path[PATH_MAX];
	int r = sc_cgroup_path_of(pid, path, sizeof(path));

	if (r == 0)
		r = sc_cgroup_open_path(fs, path);
	return r == -ENOENT ? -EXDEV : r;
}

/* Puts the parent's directory in the place of *fd; -ENOENT at the root, with *fd kept. */
static int go_up(const struct sc_cgroup_fs *fs, int *fd)
{
	int up = sc_cgroup_open_parent(fs, *fd);

	if (up < 0)
		return up;
	sc_close(fd);
	*fd = up;
	return 0;
}

int sc_cgroup_ids_of(const struct sc_cgroup_fs *fs, pid_t pid, uint64_t *ids, size_t max)
{
	_cleanup_close_ int fd = open_of(fs, pid);
	int r = fd < 0 ? fd : 0;
	size_t n = 0;

	while (r == 0) {
		if (n == max)
			return -E2BIG;
		r = sc_cgroup_id_of(fd, &ids[n++]);
		if (r == 0)
			r = go_up(fs, &fd);
	}
	return r == -ENOENT ? (int)n : r;
}
