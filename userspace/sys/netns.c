/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/netns.h"

#include "sys/cgroup.h"
#include "sys/ns.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>

#define NS_PATH_MAX 48

/* A process on its way out has no namespaces any more. */
static int as_gone(int error)
{
	return error == ENOENT || error == EACCES ? -ESRCH : -error;
}

static int inode_at(const char *path, uint64_t *inode)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return as_gone(errno);
	*inode = st.st_ino;
	return 0;
}

int sc_netns_of(pid_t pid, uint64_t *inode)
{
	char path[NS_PATH_MAX];

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	return inode_at(path, inode);
}

int sc_netns_own(uint64_t *inode)
{
	return inode_at("/proc/thread-self/ns/net", inode);
}

int sc_netns_open(pid_t pid, uint64_t inode)
{
	_cleanup_close_ int fd = -1;
	char path[NS_PATH_MAX];
	struct stat st;

	if (pid == 0)
		return sc_netns_open_mounted(inode);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return as_gone(errno);
	if (fstat(fd, &st) < 0)
		return -errno;
	if (inode && st.st_ino != inode)
		return -ESTALE;
	return SC_TAKE_FD(fd);
}

int sc_netns_run(int netns_fd, int (*fn)(void *arg), void *arg)
{
	return sc_ns_run(netns_fd, CLONE_NEWNET, fn, arg);
}

void sc_netns_list_init(struct sc_netns_list *list)
{
	list->n = 0;
	list->is_all = true;
}

void sc_netns_list_add(struct sc_netns_list *list, uint64_t inode, pid_t pid)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (list->found[i].inode == inode)
			return;
	if (list->n == SC_NETNS_MAX)
		list->is_all = false;
	else
		list->found[list->n++] = (struct sc_netns_found){inode, pid};
}

static void add_process(struct sc_netns_list *list, pid_t pid)
{
	uint64_t inode;

	if (sc_netns_of(pid, &inode) == 0)
		sc_netns_list_add(list, inode, pid);
}

int sc_netns_list_cgroup(struct sc_netns_list *list, int cgroup_fd)
{
	bool is_all;
	int n = sc_cgroup_members(cgroup_fd, list->pids, SC_NETNS_PIDS_MAX, &is_all);

	if (n < 0)
		return n;
	list->is_all = list->is_all && is_all;
	for (int i = 0; i < n; i++)
		add_process(list, list->pids[i]);
	return 0;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int sc_netns_list_host(struct sc_netns_list *list)
{
	_cleanup_(close_dir) DIR *proc = opendir("/proc");
	const struct dirent *d;

	if (!proc)
		return -errno;
	while ((d = readdir(proc))) {
		char *end;
		long pid = strtol(d->d_name, &end, 10);

		if (pid > 0 && pid <= INT_MAX && !*end)
			add_process(list, (pid_t)pid);
	}
	return sc_netns_list_mounted(list);
}
