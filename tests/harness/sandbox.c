/* SPDX-License-Identifier: Apache-2.0 */
/* An own cgroup subtree and an own directory of files, and the janitor that removes both. */
#include "harness/harness.h"

#include "harness/janitor.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define SANDBOXES_MAX 64
#define RMDIR_MS      30000

/*
 * The mount point of cgroup2, from /proc/self/mountinfo (proc(5)): ID PARENT DEV ROOT POINT OPTIONS
 * [TAGS] - TYPE ... Read here anew, so that a mistake in the agent's own parser cannot hide in its
 * tests.
 */
static int find_mount(char *out, size_t size)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[4096];

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		char root[1024], point[1024];
		const char *type = strstr(line, " - ");

		if (!type || strncmp(type, " - cgroup2 ", 11) != 0)
			continue;
		if (sscanf(line, "%*s %*s %*s %1023s %1023s", root, point) != 2 ||
		    strcmp(root, "/") != 0 || strlen(point) >= size)
			continue;
		memcpy(out, point, strlen(point) + 1);
		return 0;
	}
	return -ENOENT;
}

/* Makes the first /scram-test-PID-N that does not exist yet; the demo calls its own otherwise. */
static int make_cgroup(struct sc_sandbox *box)
{
	const char *prefix = getenv("SC_SANDBOX_PREFIX");

	for (unsigned int n = 0; n < SANDBOXES_MAX; n++) {
		snprintf(box->cgroup, sizeof(box->cgroup), "/%s-%d-%u",
			 prefix ? prefix : "scram-test", getpid(), n);
		if (snprintf(box->dir, sizeof(box->dir), "%s%s", box->mount, box->cgroup) >=
		    (int)sizeof(box->dir))
			return -ENAMETOOLONG;
		if (mkdir(box->dir, 0755) == 0) {
			box->dirfd = open(box->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			return box->dirfd < 0 ? -errno : 0;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EMFILE;
}

static int make_tmp(struct sc_sandbox *box)
{
	const char *base = getenv("TMPDIR");

	snprintf(box->tmp, sizeof(box->tmp), "%s/scram-test-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(box->tmp))
		return -errno;
	/* The agent refuses files that others could have written: readable by all, written by us.
	 */
	return chmod(box->tmp, 0755) ? -errno : 0;
}

static int start_janitor(struct sc_sandbox *box)
{
	_cleanup_close_ int owner = (int)syscall(SYS_pidfd_open, getpid(), 0);
	int pair[2];

	if (owner < 0)
		return -errno;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	fflush(NULL); /* else the child would hold a copy of what is buffered */
	box->janitor = fork();
	if (box->janitor == 0)
		sc_janitor_run(box, owner, pair[1]);
	close(pair[1]);
	if (box->janitor < 0) {
		close(pair[0]);
		return -EAGAIN;
	}
	box->janitor_fd = pair[0];
	return 0;
}

int sc_sandbox_open(struct sc_sandbox *box)
{
	int err;

	*box = (struct sc_sandbox){.dirfd = -1, .janitor_fd = -1, .janitor = -1, .owner = getpid()};
	err = find_mount(box->mount, sizeof(box->mount));
	if (err)
		return err;
	err = make_cgroup(box);
	if (!err)
		err = make_tmp(box);
	if (!err)
		err = start_janitor(box);
	if (!err)
		return 0;
	if (box->tmp[0])
		rmdir(box->tmp);
	if (box->dirfd >= 0)
		rmdir(box->dir);
	sc_close(&box->dirfd);
	return err;
}

void sc_sandbox_close(struct sc_sandbox *box)
{
	int status;

	if (box->janitor_fd < 0 || box->owner != getpid())
		return;
	send(box->janitor_fd, SC_JANITOR_CLOSE, strlen(SC_JANITOR_CLOSE), MSG_NOSIGNAL);
	if (waitpid(box->janitor, &status, 0) < 0 || status)
		fprintf(stderr, "sandbox: %s was not cleaned up\n", box->dir);
	sc_close(&box->janitor_fd);
	sc_close(&box->dirfd);
}

int sc_sandbox_mkdir(struct sc_sandbox *box, const char *name)
{
	int fd;

	if (mkdirat(box->dirfd, name, 0755))
		return -errno;
	fd = openat(box->dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

struct removal {
	int dirfd;
	const char *name;
	int err;
};

static bool removed(void *arg)
{
	struct removal *r = arg;

	r->err = unlinkat(r->dirfd, r->name, AT_REMOVEDIR) ? -errno : 0;
	return r->err != -EBUSY;
}

int sc_sandbox_rmdir(struct sc_sandbox *box, const char *name)
{
	struct removal r = {.dirfd = box->dirfd, .name = name};

	sc_wait_until(removed, &r, RMDIR_MS);
	return r.err;
}

int sc_sandbox_also_remove(struct sc_sandbox *box, const char *path)
{
	size_t n = strlen(path);

	if (path[0] != '/' || n >= SC_SANDBOX_PATH_MAX)
		return -EINVAL;
	return send(box->janitor_fd, path, n, MSG_NOSIGNAL) < 0 ? -errno : 0;
}
