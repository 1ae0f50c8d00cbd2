/* SPDX-License-Identifier: Apache-2.0 */
/* The signals of the host as a whole, from /proc. For full ticks, not on the way from a wake record
 * to a kill. */
#include "engine/core.h"

#include "base/io.h"
#include "base/str.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

double sc_host_share_used(const char *meminfo, const char *total, const char *left)
{
	const char *at_total = strstr(meminfo, total), *at_left = strstr(meminfo, left);
	double kib;

	if (!at_total || !at_left)
		return NAN;
	kib = strtod(at_total + strlen(total), NULL);
	return kib > 0 ? 1 - strtod(at_left + strlen(left), NULL) / kib : NAN;
}

void sc_engine_read_host(struct sc_engine *e)
{
	char text[4096]; /* 1.5 KiB on Linux 6.18; what is looked for stands at its begin */
	double load;

	if (getloadavg(&load, 1) == 1)
		e->source.agent[SC_SIG_host_load1] = load;
	if (sc_read_file_at(AT_FDCWD, "/proc/meminfo", text, sizeof(text)) < 0)
		text[0] = '\0';
	e->source.agent[SC_SIG_host_mem_used] = sc_host_share_used(text,
								   "MemTotal:", "MemAvailable:");
	e->source.agent[SC_SIG_host_swap_used] = sc_host_share_used(text,
								    "SwapTotal:", "SwapFree:");
}
