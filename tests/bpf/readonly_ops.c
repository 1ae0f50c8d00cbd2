/* SPDX-License-Identifier: Apache-2.0 */
#include "readonly_ops.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PAGE 4096

struct name {
	char text[PATH_MAX];
};

static struct name in(const struct readonly_place *p, const char *name)
{
	struct name n;

	snprintf(n.text, sizeof(n.text), "%s/%s", p->dir, name);
	return n;
}
#define IN(name) in(p, name).text

static int as_errno(long r)
{
	return r < 0 ? errno : 0;
}

static int opened(int fd)
{
	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int try_open(const struct readonly_place *p)
{
	return opened(open(IN("file"), O_WRONLY | O_CLOEXEC));
}

static int try_open_both(const struct readonly_place *p)
{
	return opened(open(IN("file"), O_RDWR | O_APPEND | O_CLOEXEC));
}

static int try_open_truncate(const struct readonly_place *p)
{
	return opened(open(IN("full"), O_RDONLY | O_TRUNC | O_CLOEXEC));
}

static int try_create(const struct readonly_place *p)
{
	return opened(open(IN("created"), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
}

static int try_tmpfile(const struct readonly_place *p)
{
	return opened(open(p->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
}

static int try_mkdir(const struct readonly_place *p)
{
	return as_errno(mkdir(IN("made"), 0700));
}

static int try_mknod(const struct readonly_place *p)
{
	return as_errno(mknod(IN("fifo"), S_IFIFO | 0600, 0));
}

static int try_symlink(const struct readonly_place *p)
{
	return as_errno(symlink("file", IN("symlink")));
}

static int try_link(const struct readonly_place *p)
{
	return as_errno(link(IN("file"), IN("link")));
}

static int try_unlink(const struct readonly_place *p)
{
	return as_errno(unlink(IN("victim")));
}

static int try_rmdir(const struct readonly_place *p)
{
	return as_errno(rmdir(IN("empty")));
}

static int try_rename(const struct readonly_place *p)
{
	return as_errno(rename(IN("from"), IN("to")));
}

static int try_exchange(const struct readonly_place *p)
{
	return as_errno(renameat2(AT_FDCWD, IN("left"), AT_FDCWD, IN("right"), RENAME_EXCHANGE));
}

static int try_truncate(const struct readonly_place *p)
{
	return as_errno(truncate(IN("full"), 1));
}

static int try_chmod(const struct readonly_place *p)
{
	return as_errno(chmod(IN("file"), 0640));
}

static int try_chown(const struct readonly_place *p)
{
	return as_errno(chown(IN("file"), 1, 1));
}

static int try_times(const struct readonly_place *p)
{
	return as_errno(utimensat(AT_FDCWD, IN("file"), NULL, 0));
}

static int try_setxattr(const struct readonly_place *p)
{
	return as_errno(setxattr(IN("file"), "trusted.scram", "x", 1, 0));
}

static int try_removexattr(const struct readonly_place *p)
{
	return as_errno(removexattr(IN("marked"), "trusted.scram"));
}

static int try_flags(const struct readonly_place *p)
{
	int fd = open(IN("file"), O_RDONLY | O_CLOEXEC), flags = 0, r;

	r = as_errno(ioctl(fd, FS_IOC_GETFLAGS, &flags));
	flags |= FS_NOATIME_FL;
	r = r ? r : as_errno(ioctl(fd, FS_IOC_SETFLAGS, &flags));
	close(fd);
	return r;
}

static int try_read(const struct readonly_place *p)
{
	int fd = open(IN("full"), O_RDONLY | O_CLOEXEC);
	char byte;
	int r = as_errno(fd < 0 ? -1 : read(fd, &byte, 1));

	close(fd);
	return r;
}

static int try_write(const struct readonly_place *p)
{
	return as_errno(write(p->fd, "x", 1));
}

static int try_pwritev(const struct readonly_place *p)
{
	struct iovec part = {(char[]){"xy"}, 2};

	return as_errno(pwritev2(p->fd, &part, 1, 0, RWF_DSYNC));
}

static int try_append(const struct readonly_place *p)
{
	return as_errno(write(p->append_fd, "x", 1));
}

static int try_ftruncate(const struct readonly_place *p)
{
	return as_errno(ftruncate(p->append_fd, 0));
}

static int try_fallocate(const struct readonly_place *p)
{
	return as_errno(fallocate(p->fd, 0, 0, 2 * PAGE));
}

static int try_copy(const struct readonly_place *p)
{
	int fd = open(IN("full"), O_RDONLY | O_CLOEXEC);
	int r = as_errno(copy_file_range(fd, NULL, p->fd, NULL, 16, 0));

	close(fd);
	return r;
}

static int try_sendfile(const struct readonly_place *p)
{
	int fd = open(IN("full"), O_RDONLY | O_CLOEXEC);
	int r = as_errno(sendfile(p->fd, fd, NULL, 16));

	close(fd);
	return r;
}

static int try_fchmod(const struct readonly_place *p)
{
	return as_errno(fchmod(p->fd, 0640));
}

static int try_map(const struct readonly_place *p)
{
	void *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);

	if (at == MAP_FAILED)
		return errno;
	munmap(at, PAGE);
	return 0;
}

static int try_map_private(const struct readonly_place *p)
{
	void *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, p->fd, 0);

	if (at == MAP_FAILED)
		return errno;
	munmap(at, PAGE);
	return 0;
}

static int try_protect(const struct readonly_place *p)
{
	int r = as_errno(mprotect(p->ro_map, PAGE, PROT_READ | PROT_WRITE));

	(void)mprotect(p->ro_map, PAGE, PROT_READ);
	return r;
}

static int try_store(const struct readonly_place *p)
{
	p->rw_map[1] = 'x';
	return as_errno(msync(p->rw_map, PAGE, MS_SYNC));
}

static int try_fsync(const struct readonly_place *p)
{
	return as_errno(fsync(p->fd));
}

static int try_pipe(const struct readonly_place *p)
{
	int fds[2], r;

	(void)p;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return errno;
	r = as_errno(write(fds[1], "x", 1));
	close(fds[0]);
	close(fds[1]);
	return r;
}

static int try_device(const struct readonly_place *p)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC), r;

	(void)p;
	r = as_errno(fd < 0 ? -1 : write(fd, "x", 1));
	close(fd);
	return r;
}

static int try_memory(const struct readonly_place *p)
{
	int fd = memfd_create("scram-test", MFD_CLOEXEC), r;

	(void)p;
	r = as_errno(fd < 0 ? -1 : write(fd, "x", 1));
	close(fd);
	return r;
}

static int put(const char *dir, const char *name, const char *text)
{
	char path[PATH_MAX];
	int fd, r;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	r = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

int readonly_lay(const char *dir)
{
	static const char *const gone[] = {"created", "fifo", "symlink", "link", "to"};
	static const char *const files[] = {"file",   "victim", "from", "left", "right",
					    "marked", "held",   "tail", "full"};
	char path[PATH_MAX];
	int r = 0;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	for (size_t i = 0; i < SC_ARRAY_SIZE(gone); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, gone[i]);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/made", dir);
	rmdir(path);
	for (size_t i = 0; r == 0 && i < SC_ARRAY_SIZE(files); i++)
		r = put(dir, files[i], "what is there before anybody tries");
	snprintf(path, sizeof(path), "%s/empty", dir);
	if (r == 0 && mkdir(path, 0700) < 0 && errno != EEXIST)
		r = -errno;
	snprintf(path, sizeof(path), "%s/marked", dir);
	(void)setxattr(path, "trusted.scram", "x", 1, 0);
	return r;
}

int readonly_hold(struct readonly_place *p, const char *dir)
{
	p->dir = dir;
	p->fd = open(IN("held"), O_RDWR | O_CLOEXEC);
	p->append_fd = open(IN("tail"), O_WRONLY | O_APPEND | O_CLOEXEC);
	if (p->fd < 0 || p->append_fd < 0 || ftruncate(p->fd, PAGE) < 0)
		return -errno;
	p->rw_map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
	p->ro_map = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, p->fd, 0);
	return p->rw_map == MAP_FAILED || p->ro_map == MAP_FAILED ? -errno : 0;
}

const struct readonly_op readonly_ops[] = {
	{"open for writing", false, true, try_open},
	{"open for reading and appending", false, true, try_open_both},
	{"open with truncation", false, true, try_open_truncate},
	{"create a file", false, true, try_create},
	{"create a file without a name", false, true, try_tmpfile},
	{"mkdir", false, true, try_mkdir},
	{"mknod", false, true, try_mknod},
	{"symlink", false, true, try_symlink},
	{"link", false, true, try_link},
	{"unlink", false, true, try_unlink},
	{"rmdir", false, true, try_rmdir},
	{"rename", false, true, try_rename},
	{"exchange two names", false, true, try_exchange},
	{"truncate", false, true, try_truncate},
	{"chmod", false, true, try_chmod},
	{"chown", false, true, try_chown},
	{"set times", false, true, try_times},
	{"set an extended attribute", false, true, try_setxattr},
	{"remove an extended attribute", false, true, try_removexattr},
	{"set flags (chattr)", false, true, try_flags},
	{"write", true, true, try_write},
	{"pwritev2", true, true, try_pwritev},
	{"append", true, true, try_append},
	{"ftruncate", true, true, try_ftruncate},
	{"fallocate", true, true, try_fallocate},
	{"copy_file_range into it", true, true, try_copy},
	{"sendfile into it", true, true, try_sendfile},
	{"fchmod", true, true, try_fchmod},
	{"map shared and writable", true, true, try_map},
	{"mprotect a shared mapping writable", true, true, try_protect},
	{"store into a mapping that was writable", true, false, try_store},
	{"map privately", true, false, try_map_private},
	{"fsync", true, false, try_fsync},
	{"read", false, false, try_read},
	{"write to a pipe", false, false, try_pipe},
	{"write to a character device", false, false, try_device},
	{"write to a memfd", false, false, try_memory},
};
const size_t readonly_ops_n = SC_ARRAY_SIZE(readonly_ops);
_Static_assert(SC_ARRAY_SIZE(readonly_ops) <= READONLY_OPS, "room for all answers");
