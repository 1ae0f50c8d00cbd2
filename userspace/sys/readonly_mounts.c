/* SPDX-License-Identifier: Apache-2.0 */
/* Which namespaces there are, and the order in which their mounts are changed and given back. */
#include "sys/readonly_mounts_impl.h"

#include "base/str.h"
#include "sys/mntns.h"
#include "sys/ns.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/statvfs.h>

/* Namespaces told apart; a host with one per container has some hundreds. */
#define SPACES_MAX 512

struct space {
	uint64_t inode;
	pid_t pid;
};

/* The distinct namespaces of the processes; returns how many. */
static size_t list_spaces(const struct sc_mounts_wish *wish, struct space spaces[SPACES_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < wish->n_pids && n < SPACES_MAX; i++) {
		uint64_t inode;
		size_t k = 0;

		if (sc_mntns_of(wish->pids[i], &inode) < 0)
			continue;
		while (k < n && spaces[k].inode != inode)
			k++;
		if (k == n)
			spaces[n++] = (struct space){inode, wish->pids[i]};
	}
	return n;
}

static bool is_wished(const struct sc_mounts_wish *wish, const char *path)
{
	for (size_t i = 0; i < wish->n_paths; i++) {
		size_t n = strlen(wish->paths[i]);

		if (strncmp(path, wish->paths[i], n) == 0 && (path[n] == '\0' || path[n] == '/'))
			return true;
	}
	return false;
}

/* The agent's own namespace is like others, but for what it must write itself. */
static bool is_own_ground(const struct sc_mounts_wish *wish, uint64_t ns, const char *path)
{
	size_t n = strlen(path);
	uint64_t own;

	if (sc_mntns_of(getpid(), &own) < 0 || own != ns)
		return false;
	for (size_t i = 0; i < SC_ARRAY_SIZE(wish->keep); i++)
		if (wish->keep[i] && strncmp(wish->keep[i], path, n) == 0 &&
		    (wish->keep[i][n] == '\0' || wish->keep[i][n] == '/'))
			return true;
	return false;
}

static void fail(struct sc_mounts_result *result, int err, const char *path)
{
	result->error = err;
	if (!result->text[0])
		snprintf(result->text, sizeof(result->text), "%.100s: %s", path, strerror(-err));
}

/* 0 also when what was changed is gone. */
static int undo(struct sc_mounts *m, int ns_fd, const struct sc_mount_record *record)
{
	_cleanup_close_ int fd = sc_ns_ask(&m->errands, ns_fd, sc_mount_open, record->path, true);
	struct sc_mount_undo undo = {record, fd};

	if (fd == -ETIMEDOUT || fd == -EBUSY)
		return fd;
	return fd < 0 ? 0 : sc_ns_run(ns_fd, CLONE_NEWNS, sc_mount_undo, &undo);
}

static void refuse(struct sc_mounts_result *result, const char *path)
{
	result->error = -EBUSY;
	snprintf(result->text, sizeof(result->text),
		 "%.100s holds the agent's own records: not made read-only", path);
}

static bool is_refused(const struct sc_mounts *m, uint64_t ns, const char *path)
{
	for (uint32_t i = 0; i < m->n_refused; i++)
		if (m->refused[i].ns == ns && strcmp(m->refused[i].path, path) == 0)
			return true;
	return false;
}

/* True when what the agent must write is read-only to it. */
static bool is_locked_out(const struct sc_mounts_wish *wish)
{
	struct statvfs st;

	for (size_t i = 0; i < SC_ARRAY_SIZE(wish->keep); i++)
		if (wish->keep[i] && statvfs(wish->keep[i], &st) == 0 && st.f_flag & ST_RDONLY)
			return true;
	return false;
}

/* A cover goes on to every namespace that gets mounts from where it is laid, and a path may be
 * another name of ours: what took the agent's own ground, since the record of that number, goes
 * again, and is not tried again until a release. False: it went. */
static bool keep_own_ground(const struct sc_mount_hold *hold, uint32_t first, int ns_fd,
			    const struct sc_mounts_wish *wish)
{
	struct sc_mounts *m = hold->m;
	struct sc_mount_record *refused = &m->refused[m->n_refused];

	if (!is_locked_out(wish))
		return true;
	while (m->n > first && undo(m, ns_fd, &m->records[m->n - 1]) == 0)
		m->n--;
	if (m->n_refused < SC_MOUNTS_REFUSED_MAX) {
		refused->ns = hold->ns;
		sc_strcopy(refused->path, sizeof(refused->path), hold->path);
		m->n_refused++;
	}
	return false;
}

static void hold_path(struct sc_mount_hold hold, const struct sc_mounts_wish *wish, int ns_fd,
		      struct sc_mounts_result *result)
{
	const char *path = hold.path;
	uint32_t first = hold.m->n;
	bool was_locked_out = is_locked_out(wish);
	_cleanup_close_ int fd = -1;
	int r;

	if (is_own_ground(wish, hold.ns, path) || is_refused(hold.m, hold.ns, path)) {
		refuse(result, path);
		return;
	}
	fd = sc_ns_ask(&hold.m->errands, ns_fd, sc_mount_open, path, true);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return;
	hold.fd = fd;
	r = fd < 0 ? fd : sc_ns_run(ns_fd, CLONE_NEWNS, sc_mount_hold, &hold);
	if (hold.changed && !was_locked_out && !keep_own_ground(&hold, first, ns_fd, wish)) {
		refuse(result, path);
		return;
	}
	result->changed += hold.changed;
	result->held += hold.is_held;
	result->covers += hold.is_held && hold.is_cover;
	if (r < 0)
		fail(result, r, path);
	if (hold.is_cover)
		result->holders += sc_mount_holders(wish, hold.ns, path, result->text);
}

/* Backwards, so that what was laid over something goes before it. Returns the last error. */
static int give_back(struct sc_mounts *m, const struct sc_mounts_wish *keep, const char **path)
{
	_cleanup_close_ int fd = -1;
	uint64_t ns = 0;
	int error = 0;

	for (uint32_t i = m->n; i-- > 0;) {
		struct sc_mount_record *record = &m->records[i];
		int r = 0;

		if (keep && is_wished(keep, record->path))
			continue;
		if (record->ns != ns) { /* to find it asks every process */
			sc_close(&fd);
			ns = record->ns;
			fd = sc_mntns_open(0, ns);
		}
		/* With its last process the namespace went, and its mounts. */
		if (fd >= 0)
			r = undo(m, fd, record);
		else if (fd != -ESRCH)
			r = fd;
		if (r < 0) {
			error = r;
			*path = record->path;
			continue;
		}
		memmove(record, record + 1, (m->n - i - 1) * sizeof(*record));
		m->n--;
	}
	return error;
}

int sc_mounts_set(struct sc_mounts *m, const struct sc_mounts_wish *wish,
		  struct sc_mounts_result *result)
{
	_cleanup_free_ struct space *spaces = calloc(SPACES_MAX, sizeof(*spaces));
	const char *path = "";
	size_t n;
	int r;

	*result = (struct sc_mounts_result){0};
	if (!spaces) {
		fail(result, -ENOMEM, "mount namespaces");
		return result->error;
	}
	r = give_back(m, wish, &path);
	if (r < 0)
		fail(result, r, path);
	n = list_spaces(wish, spaces);
	for (size_t i = 0; i < n; i++) {
		_cleanup_close_ int fd = sc_mntns_open(spaces[i].pid, spaces[i].inode);

		if (fd == -ESRCH)
			continue;
		result->namespaces++;
		for (size_t p = 0; p < wish->n_paths; p++)
			hold_path((struct sc_mount_hold){.m = m,
							 .path = wish->paths[p],
							 .ns = spaces[i].inode},
				  wish, fd, result);
	}
	r = sc_mounts_save(m);
	if (r < 0)
		fail(result, r, SC_MOUNTS_FILE);
	return result->error;
}

int sc_mounts_release(struct sc_mounts *m, char *text)
{
	const char *path = SC_MOUNTS_FILE;
	int r = give_back(m, NULL, &path);
	int saved = sc_mounts_save(m);

	m->n_refused = 0;

	r = r < 0 ? r : saved;
	text[0] = '\0';
	if (r < 0)
		snprintf(text, SC_MOUNTS_TEXT_MAX, "%.100s: %s", path, strerror(-r));
	return r;
}

int sc_mounts_try(struct sc_mounts *m, const struct sc_mounts_wish *wish)
{
	_cleanup_free_ struct space *spaces = calloc(SPACES_MAX, sizeof(*spaces));
	size_t n = spaces ? list_spaces(wish, spaces) : 0;
	int result = -ENOENT;

	for (size_t i = 0; i < n; i++) {
		_cleanup_close_ int fd = sc_mntns_open(spaces[i].pid, spaces[i].inode);

		for (size_t p = 0; fd >= 0 && p < wish->n_paths; p++) {
			int r = sc_ns_ask(&m->errands, fd, sc_mount_try, wish->paths[p], false);

			if (r == 0 || r == 1)
				result = result == 0 ? 0 : r;
		}
	}
	return result;
}

uint32_t sc_mounts_count(const struct sc_mounts *m)
{
	return m->n;
}

int sc_mounts_open(struct sc_mounts **out, int run_dir_fd)
{
	struct sc_mounts *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->dir_fd = run_dir_fd;
	r = sc_mounts_load(m);
	if (r < 0)
		free(m);
	else
		*out = m;
	return r;
}

void sc_mounts_close(struct sc_mounts **m)
{
	if (*m)
		sc_ns_errands_done(&(*m)->errands);
	free(*m);
	*m = NULL;
}
