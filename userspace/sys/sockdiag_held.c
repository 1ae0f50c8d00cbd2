/* SPDX-License-Identifier: Apache-2.0 */
/* Which sockets a process holds: the links "socket:[INODE]" of /proc/PID/fd (proc(5)). */
#include "sys/sockdiag.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

/* True with *inode set when the link is one to a socket. */
static bool socket_inode(int dirfd, const char *name, uint32_t *inode)
{
	char link[48], end;
	ssize_t n = readlinkat(dirfd, name, link, sizeof(link) - 1);

	if (n < 0)
		return false; /* closed meanwhile */
	link[n] = '\0';
	return sscanf(link, "socket:[%" SCNu32 "]%c", inode, &end) >= 1 && link[n - 1] == ']';
}

static void held_add(struct sc_held_sockets *held, uint32_t inode)
{
	if (held->n == held->max)
		held->is_short = true;
	else
		held->inodes[held->n++] = inode;
}

int sc_held_sockets_add(struct sc_held_sockets *held, pid_t pid)
{
	_Alignas(8) char entries[4096];
	_cleanup_close_ int dirfd = -1;
	char path[32];
	long n;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	while ((n = syscall(SYS_getdents64, dirfd, entries, sizeof(entries))) > 0) {
		for (long at = 0; at < n;) {
			const struct dirent64 *d = (const struct dirent64 *)&entries[at];
			uint32_t inode;

			if (socket_inode(dirfd, d->d_name, &inode))
				held_add(held, inode);
			at += d->d_reclen;
		}
	}
	if (n < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

void sc_held_sockets_sort(struct sc_held_sockets *held)
{
	size_t n = 0;

	qsort(held->inodes, held->n, sizeof(*held->inodes), compare);
	for (size_t i = 0; i < held->n; i++)
		if (!i || held->inodes[i] != held->inodes[i - 1])
			held->inodes[n++] = held->inodes[i];
	held->n = n;
}
