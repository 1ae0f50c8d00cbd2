/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup2 directories and files by descriptor. Nothing is decided here; finding the mount is
 * cgroup_mount.c. */
#include "sys/cgroup.h"

#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* include/linux/exportfs.h: a handle of kernfs is the 64-bit id of the node. */
#define FILEID_KERNFS 0xfe

static const char DELETED[] = " (deleted)";

struct kernfs_handle {
	struct file_handle head;
	uint64_t id;
};

int sc_cgroup_open(const struct sc_cgroup_fs *fs, uint64_t id)
{
	struct kernfs_handle handle = {
		.head = {.handle_bytes = sizeof(handle.id), .handle_type = FILEID_KERNFS},
	};
	_cleanup_close_ int fd = -1;
	uint64_t found;
	int r;

	/* The flexible f_handle lies where id is only if nothing pads between. */
	_Static_assert(offsetof(struct kernfs_handle, id) == sizeof(struct file_handle), "packed");
	handle.id = id;
	fd = open_by_handle_at(fs->root_fd, &handle.head, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? -ESTALE : -errno;
	r = sc_cgroup_id_of(fd, &found);
	if (r < 0)
		return r;
	return found == id ? SC_TAKE_FD(fd) : -ESTALE;
}

int sc_cgroup_id_of(int dirfd, uint64_t *id)
{
	struct stat st;

	/* 64-bit kernfs: the inode number is the id (include/linux/kernfs.h, kernfs_ino). */
	if (fstat(dirfd, &st) < 0)
		return -errno;
	*id = st.st_ino;
	return 0;
}

int sc_cgroup_open_parent(const struct sc_cgroup_fs *fs, int dirfd)
{
	uint64_t id, root_id;
	int fd, r;

	r = sc_cgroup_id_of(dirfd, &id);
	if (r == 0)
		r = sc_cgroup_id_of(fs->root_fd, &root_id);
	if (r < 0)
		return r;
	if (id == root_id)
		return -ENOENT;
	fd = openat(dirfd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int sc_cgroup_open_file(int dirfd, const char *name, bool writes)
{
	int fd = openat(dirfd, name, (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW);

	/* cgroup.kill cannot be read. */
	if (fd < 0 && writes && errno == EACCES)
		fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

/* True when the text at dirfd's link, less the mount, still names the directory with that id. */
static bool is_name_of(const struct sc_cgroup_fs *fs, const char *below, uint64_t id)
{
	struct stat st;

	return fstatat(fs->root_fd, below[0] ? below + 1 : ".", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_ino == id;
}

int sc_cgroup_path(const struct sc_cgroup_fs *fs, int dirfd, char *buf, size_t size)
{
	char link[64], text[PATH_MAX + sizeof(DELETED)];
	size_t skip = strcmp(fs->mount, "/") ? strlen(fs->mount) : 0;
	const char *below;
	uint64_t id = 0;
	ssize_t n;
	int len, r;

	r = sc_cgroup_id_of(dirfd, &id);
	if (r < 0)
		return r;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
	n = readlink(link, text, sizeof(text) - 1);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	if ((size_t)n < skip || strncmp(text, fs->mount, skip))
		return -EXDEV;
	below = text + skip;
	/* A name may end in " (deleted)" by a tenant's choice; only the id tells. */
	if (!is_name_of(fs, below, id))
		return -ESTALE;
	len = snprintf(buf, size, "%s%s", fs->root, below);
	if (len < 0 || (size_t)len >= size)
		return -ENAMETOOLONG;
	return len == 0 && !sc_strcopy(buf, size, "/") ? -ENAMETOOLONG : 0;
}

int sc_cgroup_events_parse(const char *text, struct sc_cgroup_events *events)
{
	struct sc_cgroup_events e = {0};
	bool has_populated = false;

	for (const char *line = text; line && *line;) {
		if (!strncmp(line, "populated ", 10)) {
			has_populated = line[10] == '0' || line[10] == '1';
			e.populated = line[10] == '1';
		} else if (!strncmp(line, "frozen ", 7)) {
			e.frozen = line[7] == '1';
		}
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	if (!has_populated)
		return -EINVAL;
	*events = e;
	return 0;
}

int sc_cgroup_events_read(int fd, struct sc_cgroup_events *events)
{
	char text[256];
	ssize_t n = sc_read_fd(fd, text, sizeof(text));

	return n < 0 ? (int)n : sc_cgroup_events_parse(text, events);
}

int sc_cgroup_flag_read(int fd)
{
	char text[16];
	ssize_t n = sc_read_fd(fd, text, sizeof(text));

	if (n < 0)
		return (int)n;
	if (strcmp(text, "0\n") && strcmp(text, "1\n"))
		return -EINVAL;
	return text[0] - '0';
}

int sc_cgroup_flag_write(int fd, bool value)
{
	return pwrite(fd, value ? "1" : "0", 1, 0) < 0 ? -errno : 0;
}

int sc_cgroup_kind_read(int dirfd)
{
	static const char *const names[] = {
		[SC_CGROUP_KIND_DOMAIN] = "domain\n",
		[SC_CGROUP_KIND_DOMAIN_THREADED] = "domain threaded\n",
		[SC_CGROUP_KIND_DOMAIN_INVALID] = "domain invalid\n",
		[SC_CGROUP_KIND_THREADED] = "threaded\n",
	};
	char text[64];
	ssize_t n = sc_read_file_at(dirfd, "cgroup.type", text, sizeof(text));

	_Static_assert(SC_ARRAY_SIZE(names) == SC_CGROUP_KIND_COUNT, "one name each");
	if (n == -ENOENT && faccessat(dirfd, "cgroup.procs", F_OK, 0) == 0)
		return SC_CGROUP_KIND_DOMAIN;
	if (n < 0)
		return (int)n;
	for (int k = 0; k < SC_CGROUP_KIND_COUNT; k++)
		if (!strcmp(text, names[k]))
			return k;
	return -EINVAL;
}
