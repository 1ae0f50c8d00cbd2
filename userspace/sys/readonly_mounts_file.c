/* SPDX-License-Identifier: Apache-2.0 */
/* The file that tells which mounts were changed: a line `boot ID`, then one for each mount. */
#include "sys/readonly_mounts_impl.h"

#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define FILE_MAX (SC_MOUNTS_RECORD_MAX * (SC_MOUNTS_PATH_MAX + 64) + 64)

/* `set NS ID PATH` or `cover NS ID PATH`; the path is the rest of the line. */
static bool parse(const char *line, struct sc_mount_record *r)
{
	char kind[8];
	int at = 0;

	if (sscanf(line, "%7s %" SCNu64 " %" SCNu64 " %n", kind, &r->ns, &r->id, &at) < 3 || !at)
		return false;
	r->is_cover = strcmp(kind, "cover") == 0;
	return (r->is_cover || strcmp(kind, "set") == 0) && line[at] == '/' &&
	       sc_strcopy(r->path, sizeof(r->path), line + at);
}

int sc_mounts_load(struct sc_mounts *m)
{
	_cleanup_free_ char *text = malloc(FILE_MAX);
	char *next, *line;
	ssize_t n;

	m->n = 0;
	n = sc_read_file_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", m->boot, sizeof(m->boot));
	if (n < 0)
		return (int)n;
	m->boot[strcspn(m->boot, "\n")] = '\0';
	if (!text)
		return -ENOMEM;
	n = sc_read_file_at(m->dir_fd, SC_MOUNTS_FILE, text, FILE_MAX);
	if (n < 0)
		return n == -ENOENT ? 0 : (int)n;
	next = text;
	line = strsep(&next, "\n");
	/* Of another boot: its mounts went with it. */
	if (strncmp(line, "boot ", 5) != 0 || strcmp(line + 5, m->boot) != 0)
		return 0;
	while ((line = strsep(&next, "\n")) && m->n < SC_MOUNTS_RECORD_MAX)
		m->n += parse(line, &m->records[m->n]);
	return 0;
}

int sc_mounts_save(const struct sc_mounts *m)
{
	_cleanup_str_ struct sc_str text = {0};

	if (m->n == 0)
		return unlinkat(m->dir_fd, SC_MOUNTS_FILE, 0) < 0 && errno != ENOENT ? -errno : 0;
	sc_str_init_heap(&text);
	sc_str_addf(&text, "boot %s\n", m->boot);
	for (uint32_t i = 0; i < m->n; i++) {
		const struct sc_mount_record *r = &m->records[i];

		sc_str_addf(&text, "%s %" PRIu64 " %" PRIu64 " %s\n", r->is_cover ? "cover" : "set",
			    r->ns, r->id, r->path);
	}
	if (text.truncated)
		return -ENOMEM;
	return sc_write_file_atomic(m->dir_fd, SC_MOUNTS_FILE, text.data, text.len, 0600);
}
