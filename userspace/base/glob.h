/* SPDX-License-Identifier: Apache-2.0 */
/* Globs over cgroup paths: `*` and `?` stay within one path segment, `**` crosses them. */
#pragma once

#include <stdbool.h>

#define SC_GLOB_STARS_MAX 8

/*
 * 0, or -EINVAL for an empty pattern, one that does not begin with '/', has an empty segment or
 * more than SC_GLOB_STARS_MAX groups of stars (which bounds the time a match can take).
 */
int sc_glob_check(const char *pattern);

/* True when the whole path matches. Any other byte stands for itself; there are no escapes or
 * classes. */
bool sc_glob_match(const char *pattern, const char *path);
