/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cleans up after a test whatever became of it. It trusts nothing of the test but the names it was
 * given, and it removes cgroups by directory, so that also what a test or an agent made there is
 * found.
 */
#include "harness/janitor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

/* Deaths take long on an emulated machine with a few hundred processes. */
#define REMOVE_MS   20000
#define EXTRAS_MAX  16
#define NFTW_FD_MAX 16
#define KEPT_FD_MIN 64

struct extras {
	char path[EXTRAS_MAX][SC_SANDBOX_PATH_MAX];
	unsigned int count;
};

/* True when the owner asks for the end, or is gone and everything it said was read. */
static bool read_messages(int sock, struct extras *extras)
{
	char text[SC_SANDBOX_PATH_MAX];

	for (;;) {
		ssize_t n = recv(sock, text, sizeof(text) - 1, MSG_DONTWAIT);

		if (n < 0)
			return errno != EAGAIN && errno != EINTR;
		if (n == 0)
			return true;
		text[n] = '\0';
		if (!strcmp(text, SC_JANITOR_CLOSE))
			return true;
		if (extras->count < EXTRAS_MAX)
			memcpy(extras->path[extras->count++], text, (size_t)n + 1);
	}
}

static void wait_for_the_end(int owner_pidfd, int sock, struct extras *extras)
{
	struct pollfd fds[2] = {{.fd = owner_pidfd, .events = POLLIN},
				{.fd = sock, .events = POLLIN}};

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		/* A helper that was forked may hold the other end: the owner's death alone decides
		 * then. */
		if (read_messages(sock, extras) || fds[0].revents)
			return;
	}
}

static int remove_node(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	if (remove(path) && errno != ENOENT)
		fprintf(stderr, "sandbox: cannot remove %s: %s\n", path, strerror(errno));
	return 0;
}

/* Removes the cgroups below parent/name and itself; false while one of them is busy. */
static bool remove_cgroups(int parent, const char *name)
{
	_cleanup_close_ int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool done = true;
	struct dirent *e;
	DIR *dir;

	if (fd < 0)
		return errno == ENOENT;
	dir = fdopendir(dup(fd));
	if (!dir)
		return false;
	while ((e = readdir(dir)) != NULL)
		if (e->d_type == DT_DIR && strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			done = remove_cgroups(fd, e->d_name) && done;
	closedir(dir);
	if (unlinkat(parent, name, AT_REMOVEDIR) && errno != ENOENT)
		done = false;
	return done;
}

static bool kill_and_remove(void *arg)
{
	const struct sc_sandbox *box = arg;

	/* Killed again each round: something outside may still be moving processes in. */
	sc_cgroup_write(box->dirfd, "cgroup.kill", "1");
	return remove_cgroups(AT_FDCWD, box->dir);
}

/*
 * Closes every other descriptor but the standard ones: a pipe of the test held open here would keep
 * its reader waiting. The three are moved out of the way first, since they may be 3, 4 and 5 in
 * another order.
 */
static void keep_only(int *a, int *b, int *c)
{
	*a = fcntl(*a, F_DUPFD, KEPT_FD_MIN);
	*b = fcntl(*b, F_DUPFD, KEPT_FD_MIN);
	*c = fcntl(*c, F_DUPFD, KEPT_FD_MIN);
	*a = dup2(*a, 3);
	*b = dup2(*b, 4);
	*c = dup2(*c, 5);
	close_range(6, ~0U, 0);
}

_Noreturn void sc_janitor_run(const struct sc_sandbox *box, int owner_pidfd, int sock)
{
	struct extras extras = {.count = 0};
	struct sc_sandbox mine = *box;

	/* Ctrl-C and time-outs are for the test; this process is what cleans up after them. */
	setsid();
	for (int s = 1; s < NSIG; s++)
		sigaction(s, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
	keep_only(&owner_pidfd, &sock, &mine.dirfd);

	wait_for_the_end(owner_pidfd, sock, &extras);
	if (sc_wait_until(kill_and_remove, &mine, REMOVE_MS)) {
		fprintf(stderr, "sandbox: cannot remove %s: processes are left in it\n", box->dir);
		_exit(1);
	}
	nftw(box->tmp, remove_node, NFTW_FD_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	for (unsigned int i = 0; i < extras.count; i++)
		nftw(extras.path[i], remove_node, NFTW_FD_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	_exit(0);
}
