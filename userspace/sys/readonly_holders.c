/* SPDX-License-Identifier: Apache-2.0 */
/* Who still writes below a cover: by files open for writing, or from a directory below it. */
#include "sys/readonly_mounts_impl.h"

#include "base/io.h"
#include "base/str.h"
#include "sys/mntns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Looked at of one process; a database has some hundreds. */
#define FDS_MAX 4096
/* And of all below one cover: some 100 ms. */
#define FDS_ALL_MAX 65536

static bool leads_below(int dir_fd, const char *name, const char *path)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dir_fd, name, target, sizeof(target) - 1);
	size_t length = strlen(path);

	if (n <= 0)
		return false;
	target[n] = '\0';
	return strncmp(target, path, length) == 0 &&
	       (target[length] == '\0' || target[length] == '/');
}

static bool is_open_for_writing(int proc_fd, const char *fd)
{
	char name[48], text[256];
	const char *flags;

	snprintf(name, sizeof(name), "fdinfo/%.16s", fd);
	if (sc_read_file_at(proc_fd, name, text, sizeof(text)) < 0)
		return false;
	flags = strstr(text, "flags:");
	return flags && strtoul(flags + 6, NULL, 8) & O_ACCMODE;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Takes what it looks at from *left. */
static bool holds_file(int proc_fd, const char *path, uint32_t *left)
{
	int fd = openat(proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(close_dir) DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *d;

	for (int i = 0; dir && i<FDS_MAX && * left> 0 && (d = readdir(dir)); i++, --*left)
		if (d->d_name[0] != '.' && leads_below(dirfd(dir), d->d_name, path) &&
		    is_open_for_writing(proc_fd, d->d_name))
			return true;
	return false;
}

static void tell(pid_t pid, int proc_fd, const char *path, char text[static SC_MOUNTS_TEXT_MAX])
{
	char comm[32] = "?";
	char *at;

	if (text[0])
		return;
	(void)sc_read_file_at(proc_fd, "comm", comm, sizeof(comm));
	comm[strcspn(comm, "\n")] = '\0';
	for (at = comm; *at; at++) /* names are hostile text */
		*at = *at > 0x20 && *at < 0x7f ? *at : '?';
	snprintf(text, SC_MOUNTS_TEXT_MAX,
		 "%.80s was in use: %.16s (pid %d) can go on writing there", path, comm, (int)pid);
}

uint32_t sc_mount_holders(const struct sc_mounts_wish *wish, uint64_t ns, const char *path,
			  char text[static SC_MOUNTS_TEXT_MAX])
{
	uint32_t holders = 0, left = FDS_ALL_MAX;

	for (size_t i = 0; i < wish->n_pids; i++) {
		_cleanup_close_ int fd = -1;
		char proc[32];
		uint64_t its;

		if (sc_mntns_of(wish->pids[i], &its) < 0 || its != ns)
			continue;
		snprintf(proc, sizeof(proc), "/proc/%d", (int)wish->pids[i]);
		fd = open(proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || (!leads_below(fd, "cwd", path) && !holds_file(fd, path, &left)))
			continue;
		holders++;
		tell(wish->pids[i], fd, path, text);
	}
	if (left > 0)
		return holders;
	if (!text[0])
		snprintf(text, SC_MOUNTS_TEXT_MAX, "%.80s: too many open files to look at", path);
	return SC_MAX(holders, 1U);
}
