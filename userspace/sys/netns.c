/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/netns.h"

#include "sys/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>

#define NS_PATH_MAX 48
/* Opens a socket and little else. */
#define STACK_SIZE ((size_t)PTHREAD_STACK_MIN + 128 * 1024)

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

struct visit {
	int netns_fd;
	int (*fn)(void *arg);
	void *arg;
	int result;
};

static void *visit(void *arg)
{
	struct visit *v = arg;

	if (setns(v->netns_fd, CLONE_NEWNET) < 0)
		v->result = -errno;
	else
		v->result = v->fn(v->arg);
	return NULL;
}

/* By itself a new thread is not SCHED_FIFO where its maker is (SCHED_RESET_ON_FORK), and would keep
 * it waiting behind whoever is. */
static int keep_pace(pthread_attr_t *attr)
{
	struct sched_param param;
	int policy = sched_getscheduler(0);

	if (policy < 0 || sched_getparam(0, &param) < 0)
		return errno;
	policy &= ~SCHED_RESET_ON_FORK;
	if (policy != SCHED_FIFO)
		return 0;
	pthread_attr_setinheritsched(attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(attr, policy);
	return pthread_attr_setschedparam(attr, &param);
}

int sc_netns_run(int netns_fd, int (*fn)(void *arg), void *arg)
{
	struct visit v = {netns_fd, fn, arg, 0};
	pthread_attr_t attr;
	pthread_t thread;
	int r = pthread_attr_init(&attr);

	if (r)
		return -r;
	r = pthread_attr_setstacksize(&attr, STACK_SIZE);
	if (!r)
		r = keep_pace(&attr);
	if (!r)
		r = pthread_create(&thread, &attr, visit, &v);
	if (r == EPERM) { /* no SCHED_FIFO for it: then as it comes */
		pthread_attr_setinheritsched(&attr, PTHREAD_INHERIT_SCHED);
		r = pthread_create(&thread, &attr, visit, &v);
	}
	pthread_attr_destroy(&attr);
	if (r)
		return -r;
	pthread_join(thread, NULL);
	return v.result;
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
