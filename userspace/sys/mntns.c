/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/mntns.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#define NS_PATH_MAX 48

/* A process on its way out has no namespaces any more. */
static int as_gone(int error)
{
	return error == ENOENT || error == EACCES ? -ESRCH : -error;
}

int sc_mntns_of(pid_t pid, uint64_t *inode)
{
	char path[NS_PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	if (stat(path, &st) < 0)
		return as_gone(errno);
	*inode = st.st_ino;
	return 0;
}

static int open_through(pid_t pid, uint64_t inode)
{
	_cleanup_close_ int fd = -1;
	char path[NS_PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return as_gone(errno);
	return fstat(fd, &st) == 0 && st.st_ino == inode ? SC_TAKE_FD(fd) : -ESRCH;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int sc_mntns_open(pid_t pid, uint64_t inode)
{
	_cleanup_(close_dir) DIR *proc = NULL;
	int fd = pid ? open_through(pid, inode) : -ESRCH;
	const struct dirent *d;

	if (fd != -ESRCH)
		return fd;
	proc = opendir("/proc");
	if (!proc)
		return -errno;
	while (fd < 0 && (d = readdir(proc))) {
		char *end;
		long other = strtol(d->d_name, &end, 10);
		uint64_t found;

		if (other > 0 && other <= INT_MAX && !*end &&
		    sc_mntns_of((pid_t)other, &found) == 0 && found == inode)
			fd = open_through((pid_t)other, inode);
	}
	return fd;
}
