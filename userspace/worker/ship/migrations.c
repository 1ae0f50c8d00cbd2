/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/ship/migrations.h"

#include "base/diag.h"
#include "base/io.h"
#include "base/str.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#define DIGITS       4
#define TAKEOVER_DIR "original"

void sc_migrations_free(struct sc_migrations **migrations)
{
	struct sc_migrations *m = *migrations;

	for (size_t i = 0; m && i < m->n; i++) {
		free(m->item[i].sql);
		free(m->item[i].takeover);
	}
	if (m)
		free(m->check);
	free(m);
	*migrations = NULL;
}

/* The version in NNNN_name.sql, 0 for any other file. */
static unsigned int version_of(const char *name)
{
	size_t n = strlen(name);
	unsigned int v = 0;

	if (n < DIGITS + 6 || n >= SC_MIGRATION_NAME_MAX || name[DIGITS] != '_' ||
	    strcmp(name + n - 4, ".sql") != 0)
		return 0;
	for (size_t i = 0; i < DIGITS; i++) {
		if (!isdigit((unsigned char)name[i]))
			return 0;
		v = v * 10 + (unsigned int)(name[i] - '0');
	}
	return v;
}

const char *sc_migration_table(const struct sc_migration *m, char *buf, size_t size)
{
	sc_strcopy(buf, size, m->name + DIGITS + 1);
	buf[strcspn(buf, ".")] = '\0';
	return buf;
}

/* The whole text, the caller's. */
static int read_sql(int dirfd, const char *name, char **out, struct sc_diag *diag)
{
	_cleanup_free_ char *sql = malloc(SC_MIGRATION_SIZE_MAX);
	ssize_t n;

	if (!sql)
		return -ENOMEM;
	n = sc_read_file_at(dirfd, name, sql, SC_MIGRATION_SIZE_MAX);
	if (n < 0)
		return sc_diag_set(diag, (int)n, 0, 0, "%s: %s", name, strerror((int)-n));
	if (strlen(sql) != (size_t)n)
		return sc_diag_set(diag, -EBADMSG, 0, 0, "%s: holds a NUL", name);
	*out = strdup(sql);
	return *out ? 0 : -ENOMEM;
}

/* As read_sql; a file that is not there is none. */
static int read_takeover(int dirfd, const char *name, char **out, struct sc_diag *diag)
{
	char path[sizeof(TAKEOVER_DIR "/") + SC_MIGRATION_NAME_MAX];

	snprintf(path, sizeof(path), TAKEOVER_DIR "/%s", name);
	if (faccessat(dirfd, path, F_OK, 0) < 0 && errno == ENOENT)
		return 0;
	return read_sql(dirfd, path, out, diag);
}

static int read_one(int dirfd, const char *name, struct sc_migration *out, struct sc_diag *diag)
{
	int r = read_sql(dirfd, name, &out->sql, diag);

	if (r < 0)
		return r;
	out->version = version_of(name);
	sc_strcopy(out->name, sizeof(out->name), name);
	sc_hash_hex(out->sql, strlen(out->sql), out->checksum);
	return read_takeover(dirfd, name, &out->takeover, diag);
}

static int by_version(const void *a, const void *b)
{
	const struct sc_migration *x = a;
	const struct sc_migration *y = b;

	return (x->version > y->version) - (x->version < y->version);
}

static void close_dir(DIR **d)
{
	if (*d)
		closedir(*d);
}

static int read_all(DIR *dir, struct sc_migrations *m, struct sc_diag *diag)
{
	const struct dirent *e;

	while ((errno = 0, e = readdir(dir)) != NULL) {
		int r;

		if (version_of(e->d_name) == 0)
			continue;
		if (m->n == SC_MIGRATIONS_MAX)
			return sc_diag_set(diag, -E2BIG, 0, 0, "more than %d migrations",
					   SC_MIGRATIONS_MAX);
		r = read_one(dirfd(dir), e->d_name, &m->item[m->n++], diag);
		if (r < 0)
			return r;
	}
	if (errno)
		return sc_diag_set(diag, -errno, 0, 0, "the directory cannot be read");
	qsort(m->item, m->n, sizeof(m->item[0]), by_version);
	for (size_t i = 1; i < m->n; i++)
		if (m->item[i].version == m->item[i - 1].version)
			return sc_diag_set(diag, -EEXIST, 0, 0, "%s and %s have one number",
					   m->item[i - 1].name, m->item[i].name);
	return read_takeover(dirfd(dir), "check.sql", &m->check, diag);
}

/* Beside the program: as it stands in the source tree, or installed under a prefix. */
static DIR *open_usual(void)
{
	static const char *const places[] = {"../migrations", "../share/scram/migrations"};
	char self[PATH_MAX];
	char path[PATH_MAX + 32];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	DIR *dir = NULL;

	if (n <= 0)
		return NULL;
	self[n] = '\0';
	*strrchr(self, '/') = '\0';
	for (size_t i = 0; i < SC_ARRAY_SIZE(places) && !dir; i++) {
		snprintf(path, sizeof(path), "%s/%s", self, places[i]);
		dir = opendir(path);
	}
	return dir;
}

int sc_migrations_read(const char *path, struct sc_migrations **out, struct sc_diag *diag)
{
	_cleanup_(close_dir) DIR *dir = path ? opendir(path) : open_usual();
	_cleanup_(sc_migrations_free) struct sc_migrations *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	if (!dir)
		return sc_diag_set(
			diag, -ENOENT, 0, 0,
			"no migrations at %s; SCRAM_MIGRATIONS_DIR names their directory",
			path ? path : "../migrations or ../share/scram/migrations of the program");
	r = read_all(dir, m, diag);
	if (r == 0 && m->n == 0)
		r = sc_diag_set(diag, -ENOENT, 0, 0,
				"no NNNN_name.sql in the migrations directory");
	if (r == 0)
		*out = SC_TAKE_PTR(m);
	return r;
}
