/* SPDX-License-Identifier: Apache-2.0 */
#include "base/glob.h"

#include <errno.h>
#include <string.h>

int sc_glob_check(const char *pattern)
{
	unsigned int stars = 0;

	if (pattern[0] != '/')
		return -EINVAL;
	for (const char *p = pattern; *p; p++) {
		if (p[0] == '/' && p[1] == '/')
			return -EINVAL;
		if (p[0] == '*' && p[1] != '*')
			stars++;
	}
	return stars > SC_GLOB_STARS_MAX ? -EINVAL : 0;
}

/* Two places to come back to: the last `*` of this segment, and the last `**`; the nearer is tried
 * first. */
bool sc_glob_match(const char *pattern, const char *path)
{
	const char *star = NULL, *star_at = NULL;
	const char *deep = NULL, *deep_at = NULL;

	for (;;) {
		if (pattern[0] == '*' && pattern[1] == '*') {
			while (*pattern == '*')
				pattern++;
			deep = pattern;
			deep_at = path;
			star = NULL;
			continue;
		}
		if (*pattern == '*') {
			star = ++pattern;
			star_at = path;
			continue;
		}
		if (*path && (*pattern == *path || (*pattern == '?' && *path != '/'))) {
			pattern++;
			path++;
			continue;
		}
		if (!*pattern && !*path)
			return true;
		if (star && *star_at && *star_at != '/') {
			pattern = star;
			path = ++star_at;
		} else if (deep && *deep_at) {
			pattern = deep;
			path = ++deep_at;
			star = NULL;
		} else {
			return false;
		}
	}
}
