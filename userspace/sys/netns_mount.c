/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network namespaces that are bound to a file, as ip-netns(8) and container runtimes do. They live
 * on while no process is in them, and so does what we have put there.
 */
#include "sys/netns.h"

#include "base/io.h"
#include "sys/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ID PARENT DEV ROOT POINT OPTIONS [TAGS] - TYPE ... (proc(5)), where the root is net:[INODE]. */
static bool parse(const char *line, uint64_t *inode, char path[static PATH_MAX])
{
	const char *type = strstr(line, " - nsfs ");
	int point = 0;

	if (!type || sscanf(line, "%*s %*s %*s net:[%" SCNu64 "] %n", inode, &point) != 1 || !point)
		return false;
	return line + point < type &&
	       sc_mountinfo_field(line + point, strcspn(line + point, " "), path);
}

/* Something else may be mounted over it. */
static int open_there(const char *path, uint64_t inode)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == inode ? SC_TAKE_FD(fd) : -ESRCH;
}

int sc_netns_open_mounted(uint64_t inode)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	char path[PATH_MAX];
	uint64_t found;
	size_t cap = 0;
	int fd = -ESRCH;

	if (!f)
		return -errno;
	while (fd < 0 && getline(&line, &cap, f) > 0)
		if (parse(line, &found, path) && found == inode)
			fd = open_there(path, inode);
	return fd;
}

int sc_netns_list_mounted(struct sc_netns_list *list)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	char path[PATH_MAX];
	uint64_t inode;
	size_t cap = 0;

	if (!f)
		return -errno;
	while (getline(&line, &cap, f) > 0)
		if (parse(line, &inode, path))
			sc_netns_list_add(list, inode, 0);
	return 0;
}
