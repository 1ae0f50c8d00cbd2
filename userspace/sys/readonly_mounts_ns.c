/* SPDX-License-Identifier: Apache-2.0 */
/* Inside one mount namespace: what makes a path read-only there, and gives it back. */
#include "sys/readonly_mounts_impl.h"

#include "base/str.h"
#include "sys/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Since 6.8 (linux/stat.h); older headers lack it. */
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x00004000U
#endif

uint64_t sc_mount_id(int fd, bool *is_root)
{
	struct statx st;

	/* No word to the file system, which may never answer. */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID_UNIQUE | STATX_MNT_ID,
		  &st) < 0 ||
	    !(st.stx_mask & (STATX_MNT_ID_UNIQUE | STATX_MNT_ID)))
		return 0;
	if (is_root)
		*is_root = st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
	return st.stx_mnt_id;
}

static int open_path(const char *path, uint64_t resolve)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC,
			       .resolve = RESOLVE_NO_SYMLINKS | resolve};
	long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

int sc_mount_open(const char *path)
{
	return open_path(path, 0);
}

/* As /proc/PID/mountinfo numbers it. */
static uint64_t listed_id(int fd)
{
	struct statx st;

	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &st) == 0
		       ? st.stx_mnt_id
		       : 0;
}

/* --- the mounts at and below a path --- */

#define BELOW_MAX 64

struct below {
	char points[BELOW_MAX][SC_MOUNTS_PATH_MAX]; /* that can be written to */
	uint32_t n;
	bool is_plain; /* few, short, and none of them hidden under another */
	uint64_t id;   /* of the mount that the path is in, and whether it refuses writes */
	bool is_readonly;
};

static bool is_at_or_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return strncmp(path, top, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

/* The options are a comma-separated list whose first word is ro or rw. */
static bool is_writable(const char *options)
{
	return strncmp(options, "rw", 2) == 0 && strchr(", \n", options[2]);
}

/* POINT OPTIONS [TAGS] - TYPE SOURCE OPTIONS: the mount's own options, and the file system's. */
static bool refuses_writes(const char *point)
{
	const char *options = strchr(point, ' '), *super = strstr(point, " - ");

	if (!options || !super)
		return false;
	super = strchr(super + 3, ' ');
	super = super ? strchr(super + 1, ' ') : NULL;
	return !is_writable(options + 1) || (super && !is_writable(super + 1));
}

/* ID PARENT DEV ROOT POINT OPTIONS ... (proc(5)). */
static void add_line(struct below *b, const char *line, const char *top)
{
	char point[PATH_MAX];
	const char *options;
	uint64_t id;
	int at = 0;

	if (sscanf(line, "%" SCNu64 " %*s %*s %*s %n", &id, &at) < 1 || !at)
		return;
	if (id == b->id)
		b->is_readonly = refuses_writes(line + at);
	if (!sc_mountinfo_field(line + at, strcspn(line + at, " "), point) ||
	    !is_at_or_below(point, top))
		return;
	options = strchr(line + at, ' ');
	for (uint32_t i = 0; i < b->n; i++)
		b->is_plain = b->is_plain && strcmp(b->points[i], point) != 0;
	if (!options || !is_writable(options + 1))
		return;
	if (b->n == BELOW_MAX || !sc_strcopy(b->points[b->n], SC_MOUNTS_PATH_MAX, point))
		b->is_plain = false;
	else
		b->n++;
}

/* By our own /proc (sc_ns_run): theirs may be missing, of another pid namespace, or a trap. */
static int list_below(struct below *b, const char *top, int fd)
{
	_cleanup_fclose_ FILE *f = fopen("thread-self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t cap = 0;

	b->n = 0;
	b->is_plain = true;
	b->is_readonly = false;
	b->id = listed_id(fd);
	if (!f)
		return -errno;
	while (getline(&line, &cap, f) > 0)
		add_line(b, line, top);
	return 0;
}

/* --- holding --- */

static struct sc_mount_record *find(struct sc_mounts *m, uint64_t ns, uint64_t id)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (m->records[i].ns == ns && m->records[i].id == id)
			return &m->records[i];
	return NULL;
}

static int add(struct sc_mount_hold *h, bool is_cover, uint64_t id, const char *path)
{
	struct sc_mounts *m = h->m;
	struct sc_mount_record *r;

	if (find(m, h->ns, id))
		return 0;
	if (m->n == SC_MOUNTS_RECORD_MAX)
		return -ENOSPC;
	r = &m->records[m->n];
	*r = (struct sc_mount_record){.is_cover = is_cover, .ns = h->ns, .id = id};
	if (!sc_strcopy(r->path, sizeof(r->path), path))
		return -ENAMETOOLONG;
	m->n++;
	return 0;
}

/* The record is in the file before the mount changes; it goes again where the kernel refuses. */
static int set_in_place(struct sc_mount_hold *h, int fd, const struct below *b)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	uint32_t before = h->m->n;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < b->n; i++) {
		/* The way to a mount is in the cache, but where a file system must be asked. */
		_cleanup_close_ int at = open_path(b->points[i], RESOLVE_CACHED);
		bool is_root = false;
		uint64_t id = at < 0 ? 0 : sc_mount_id(at, &is_root);

		r = !id || !is_root ? -ESTALE : add(h, false, id, b->points[i]);
	}
	if (r == 0)
		r = sc_mounts_save(h->m);
	if (r == 0 && mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		r = -errno;
	if (r < 0) {
		h->m->n = before;
		(void)sc_mounts_save(h->m);
		return r;
	}
	h->changed += b->n;
	return 0;
}

/* A read-only copy of the tree, laid over it: what is opened from now on is in the copy. Private,
 * so that nothing that is mounted below later goes astray. */
static int cover(struct sc_mount_hold *h, int fd)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY, .propagation = MS_PRIVATE};
	_cleanup_close_ int tree = open_tree(
		fd, "", AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	uint32_t before = h->m->n;
	uint64_t id;
	int r;

	if (tree < 0)
		return -errno;
	if (mount_setattr(tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return -errno;
	id = sc_mount_id(tree, NULL);
	r = id ? add(h, true, id, h->path) : -EOPNOTSUPP;
	if (r == 0)
		r = sc_mounts_save(h->m);
	if (r == 0 &&
	    move_mount(tree, "", fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		r = -errno;
	if (r < 0) {
		h->m->n = before;
		(void)sc_mounts_save(h->m);
		return r;
	}
	h->is_cover = true;
	h->changed++;
	return 0;
}

int sc_mount_hold(void *arg)
{
	struct sc_mount_hold *h = arg;
	_cleanup_free_ struct below *b = malloc(sizeof(*b));
	const struct sc_mount_record *known;
	bool is_root = false;
	uint64_t id;
	int r = b ? list_below(b, h->path, h->fd) : -ENOMEM;

	if (r < 0)
		return r;
	id = sc_mount_id(h->fd, &is_root);
	known = find(h->m, h->ns, id);
	h->is_cover = known && known->is_cover;
	/* A cover hides what is below it, writable as it was. */
	h->is_held = b->is_readonly && (h->is_cover || b->n == 0);
	if (h->is_held)
		return 0;
	r = is_root && b->is_plain ? set_in_place(h, h->fd, b) : -EINVAL;
	if (r < 0)
		r = cover(h, h->fd);
	h->is_held = r == 0;
	return r;
}

/* --- giving back --- */

int sc_mount_undo(void *arg)
{
	const struct sc_mount_undo *undo = arg;
	struct mount_attr attr = {.attr_clr = MOUNT_ATTR_RDONLY};
	bool is_root = false;
	char name[48];

	/* Something else is there by now: not ours to touch. */
	if (sc_mount_id(undo->fd, &is_root) != undo->record->id || !is_root)
		return 0;
	if (!undo->record->is_cover)
		return mount_setattr(undo->fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ? -errno
											   : 0;
	/* By the descriptor: the path may lead elsewhere by now. Who reads in it goes on; the mount
	 * is gone when the last one is. */
	snprintf(name, sizeof(name), "thread-self/fd/%d", undo->fd);
	return umount2(name, MNT_DETACH) < 0 ? -errno : 0;
}

int sc_mount_try(const char *path)
{
	_cleanup_close_ int at = sc_mount_open(path);
	_cleanup_close_ int fd = -1;
	char made[SC_MOUNTS_PATH_MAX + 32];
	struct stat st;

	if (at < 0 || fstat(at, &st) < 0 || !S_ISDIR(st.st_mode))
		return -ENOENT;
	fd = open(path, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (fd >= 0)
		return 0;
	if (errno == EROFS)
		return 1;
	/* A file system without nameless files. */
	snprintf(made, sizeof(made), "%s/.scram-try-%d", path, (int)getpid());
	if (mkdir(made, 0700) < 0)
		return errno == EROFS ? 1 : 0;
	rmdir(made);
	return 0;
}
