/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/subgroup.h"

#include "sys/cgroup.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

static int open_dir(int parent_fd, const char *name)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int write_to(int dirfd, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC);

	return fd < 0 ? -errno : sc_write_all(fd, text, strlen(text));
}

static int write_number(int dirfd, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return write_to(dirfd, name, text);
}

/* --- its end --- */

/* The kernel tells a change of cgroup.events by POLLPRI. */
static int wait_until_empty(int dirfd)
{
	_cleanup_close_ int fd = sc_cgroup_open_file(dirfd, "cgroup.events", false);
	uint64_t end_ns = sc_mono_ns() + SC_SUBGROUP_CLEAR_MS * SC_NS_PER_MS;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLPRI};
		struct sc_cgroup_events events = {0};
		uint64_t now_ns = sc_mono_ns();
		int r = fd < 0 ? fd : sc_cgroup_events_read(fd, &events);

		if (r < 0 || !events.populated)
			return r;
		if (now_ns >= end_ns)
			return -EBUSY;
		(void)poll(&p, 1, (int)((end_ns - now_ns) / SC_NS_PER_MS) + 1);
	}
}

/* One level: the bounds that it was made with permit no other. */
static int remove_children(int dirfd)
{
	int fd = open_dir(dirfd, ".");
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int r = 0;

	if (!dir) {
		r = fd < 0 ? fd : -errno;
		sc_close(&fd);
		return r;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 ||
		    strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd, entry->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			r = -errno;
	}
	closedir(dir);
	return r;
}

int sc_subgroup_clear(int parent_fd, const char *name)
{
	_cleanup_close_ int dir = open_dir(parent_fd, name);
	int r;

	if (dir < 0)
		return dir == -ENOENT ? 0 : dir;
	r = write_to(dir, "cgroup.kill", "1");
	/* A kernel without the file (before 5.14) may still find it empty. */
	if (r == 0 || r == -ENOENT)
		r = wait_until_empty(dir);
	if (r == 0)
		r = remove_children(dir);
	if (r == 0 && unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

/* --- its begin --- */

static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += n)
		if ((at == text || at[-1] == ' ') && strchr(" \n", at[n]))
			return true;
	return false;
}

/* For those that will be made in it. */
static void hand_down_controllers(int dirfd, struct sc_subgroup *out)
{
	static const char *const wanted[] = {"cpu", "memory", "pids"};
	char there[1024], change[16];
	struct sc_str limits;

	sc_str_init(&limits, out->limits, sizeof(out->limits));
	if (sc_read_file_at(dirfd, "cgroup.controllers", there, sizeof(there)) < 0)
		return;
	for (size_t i = 0; i < SC_ARRAY_SIZE(wanted); i++) {
		snprintf(change, sizeof(change), "+%s", wanted[i]);
		if (!has_word(there, wanted[i]) ||
		    write_to(dirfd, "cgroup.subtree_control", change) < 0)
			continue;
		sc_str_addf(&limits, "%s%s", limits.len ? " " : "", wanted[i]);
	}
}

/* Where a controller is not, its file is missing. */
static int bound(int dirfd)
{
	int r = write_number(dirfd, "cgroup.max.descendants", SC_SUBGROUP_CGROUPS_MAX);

	if (r == 0)
		r = write_number(dirfd, "cgroup.max.depth", SC_SUBGROUP_DEPTH_MAX);
	if (r == 0)
		r = write_number(dirfd, "pids.max", SC_SUBGROUP_PIDS_MAX);
	if (r == 0 || r == -ENOENT)
		r = write_number(dirfd, "memory.max", SC_SUBGROUP_MEMORY_MAX);
	return r == -ENOENT ? 0 : r;
}

static int give(int dirfd, uid_t uid, gid_t gid)
{
	static const char *const files[] = {"cgroup.procs", "cgroup.subtree_control",
					    "cgroup.threads"};

	for (size_t i = 0; i < SC_ARRAY_SIZE(files); i++)
		if (fchownat(dirfd, files[i], uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
	return fchown(dirfd, uid, gid) < 0 ? -errno : 0;
}

static int fill(int dirfd, uid_t uid, gid_t gid, struct sc_subgroup *out)
{
	_cleanup_close_ int inner = -1;
	int r = bound(dirfd);

	if (r < 0)
		return r;
	hand_down_controllers(dirfd, out);
	if (mkdirat(dirfd, SC_SUBGROUP_INNER, 0755) < 0)
		return -errno;
	inner = open_dir(dirfd, SC_SUBGROUP_INNER);
	if (inner < 0)
		return inner;
	out->procs_fd = sc_cgroup_open_file(inner, "cgroup.procs", true);
	return out->procs_fd < 0 ? out->procs_fd : give(dirfd, uid, gid);
}

int sc_subgroup_make(int parent_fd, const char *name, uid_t uid, gid_t gid, struct sc_subgroup *out)
{
	struct sc_subgroup made = {.procs_fd = -1};
	_cleanup_close_ int dir = -1;
	int r = sc_subgroup_clear(parent_fd, name);

	if (r < 0)
		return r;
	if (mkdirat(parent_fd, name, 0755) < 0)
		return -errno;
	dir = open_dir(parent_fd, name);
	r = dir < 0 ? dir : fill(dir, uid, gid, &made);
	if (r < 0) {
		sc_close(&made.procs_fd);
		(void)sc_subgroup_clear(parent_fd, name);
		return r;
	}
	*out = made;
	return 0;
}
