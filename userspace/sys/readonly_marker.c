/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/readonly_marker.h"

#include "base/io.h"
#include "base/str.h"

#include <scram/readonly.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define MARKER_MAX 512

/* Field 22 of /proc/1/stat, after the last parenthesis of the name (proc(5)). */
static void add_start_of_init(struct sc_str *s)
{
	char stat[1024];
	const char *at = NULL;

	if (sc_read_file_at(AT_FDCWD, "/proc/1/stat", stat, sizeof(stat)) > 0)
		at = strrchr(stat, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at)
		sc_str_addf(s, ":%.*s", (int)strcspn(at + 1, " \n"), at + 1);
}

static void write_marker(struct sc_str *s, const char *fire_id)
{
	char boot[64] = "";
	struct stat st;

	(void)sc_read_file_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, sizeof(boot));
	sc_str_addf(s, "epoch=%.*s", (int)strcspn(boot, "\n"), boot);
	add_start_of_init(s);
	sc_str_add(s, "\n");
	if (stat("/proc/self/ns/pid", &st) == 0)
		sc_str_addf(s, "pidns=%llu\n", (unsigned long long)st.st_ino);
	sc_str_addf(s, "fire=%s\n", fire_id);
}

int sc_marker_set(int run_dir_fd, const char *fire_id)
{
	char text[MARKER_MAX];
	struct sc_str s;

	sc_str_init(&s, text, sizeof(text));
	write_marker(&s, fire_id);
	/* For all to read. */
	return sc_write_file_atomic(run_dir_fd, SC_READONLY_MARKER, s.data, s.len, 0644);
}

int sc_marker_clear(int run_dir_fd)
{
	return unlinkat(run_dir_fd, SC_READONLY_MARKER, 0) < 0 && errno != ENOENT ? -errno : 0;
}

bool sc_marker_is(int run_dir_fd, const char *fire_id)
{
	char text[MARKER_MAX], there[MARKER_MAX];
	struct sc_str s;

	sc_str_init(&s, text, sizeof(text));
	write_marker(&s, fire_id);
	return sc_read_file_at(run_dir_fd, SC_READONLY_MARKER, there, sizeof(there)) > 0 &&
	       strcmp(there, text) == 0;
}

bool sc_marker_exists(int run_dir_fd)
{
	return faccessat(run_dir_fd, SC_READONLY_MARKER, F_OK, 0) == 0;
}
