/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

static enum sc_log_level log_level = SC_LOG_INFO;

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
	(void)sc_write_all(STDERR_FILENO, line, out.len + 1);
	errno = keep;
}
