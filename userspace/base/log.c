/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

static enum sc_log_level log_level = SC_LOG_INFO;
static _Atomic unsigned int dropped; /* since the last line that was written */

static const struct {
	const char *name;
	const char *prefix; /* sd-daemon(3) */
} levels[] = {
	[SC_LOG_ERROR] = {"error", "<3>"},
	[SC_LOG_WARNING] = {"warning", "<4>"},
	[SC_LOG_INFO] = {"info", "<6>"},
	[SC_LOG_DEBUG] = {"debug", "<7>"},
};
_Static_assert(SC_ARRAY_SIZE(levels) == SC_LOG_LEVEL_COUNT, "one row per level");

const char *sc_log_level_name(enum sc_log_level level)
{
	return levels[level].name;
}

int sc_log_set_level(const char *name)
{
	for (int i = 0; i < SC_LOG_LEVEL_COUNT; i++) {
		if (strcmp(levels[i].name, name) == 0) {
			log_level = (enum sc_log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

static bool is_writable(void)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && p.revents & POLLOUT;
}

/*
 * A reader that has stopped (a journald behind a hung disk, a full pipe) must not stop the agent:
 * a line that would wait is dropped, and the next that is written says how many were.
 */
static void put(const char *line, size_t n)
{
	char note[64];
	unsigned int lost;

	if (!is_writable()) {
		atomic_fetch_add(&dropped, 1);
		return;
	}
	(void)sc_write_all(STDERR_FILENO, line, n);
	lost = atomic_exchange(&dropped, 0);
	if (lost == 0)
		return;
	if (!is_writable()) {
		atomic_fetch_add(&dropped, lost);
		return;
	}
	n = (size_t)snprintf(note, sizeof(note), "scram: %u messages were dropped here\n", lost);
	(void)sc_write_all(STDERR_FILENO, note, n);
}

void sc_log(enum sc_log_level level, const char *fmt, ...)
{
	char raw[1024];
	char line[1200];
	struct sc_str out;
	va_list ap;
	int keep = errno;

	if (level > log_level)
		return;
	va_start(ap, fmt);
	vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	sc_str_init(&out, line, sizeof(line) - 1);
	if (getenv("JOURNAL_STREAM"))
		sc_str_add(&out, levels[level].prefix);
	else
		sc_str_addf(&out, "scram: %s: ", levels[level].name);
	sc_str_add_printable(&out, raw, strlen(raw));
	line[out.len] = '\n';
	put(line, out.len + 1);
	errno = keep;
}
