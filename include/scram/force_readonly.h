/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/*
 * For programs that can do their work without writing: whether they shall. C11 and POSIX, this file
 * alone, nothing to link.
 *
 *	#include <scram/force_readonly.h>
 *
 *	if (scram_force_readonly())
 *		... open the database read-only, refuse requests that change something ...
 *
 * True when, at the first call, one of these held:
 *
 *	the environment has SCRAM_FORCE_READONLY=1
 *	the kernel was booted with scram.force_readonly=1
 *	there is a marker of this boot: /run/scram/readonly, or the file that
 *	SCRAM_READONLY_MARKER names in the environment
 *
 * The answer is taken once, kept, and the same for all threads and until the program ends: a flip
 * while it runs changes nothing, and nothing is polled. Ask at start, before there is a thread that
 * changes the environment. Each program (strictly: each translation unit that asks) reads for
 * itself; a child that is forked inherits the answer, one that is executed asks anew.
 *
 * A marker counts unless it is surely of another start of the machine: in doubt it is read-only.
 */
#pragma once

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SCRAM_READONLY_MARKER_PATH
#define SCRAM_READONLY_MARKER_PATH "/run/scram/readonly"
#endif

/* The beginning of a file as text, ended by a NUL; its length, or -1. */
static inline int scram_ro_read_(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t n = 0;
	ssize_t got = 1;

	if (fd < 0)
		return -1;
	while (n < size - 1 && (got = read(fd, buf + n, size - 1 - n)) > 0)
		n += (size_t)got;
	close(fd);
	buf[n] = '\0';
	return got < 0 ? -1 : (int)n;
}

/* True when the word stands among blanks. */
static inline bool scram_ro_has_word_(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at++)
		if ((at == text || at[-1] == ' ') &&
		    (at[n] == '\0' || at[n] == ' ' || at[n] == '\n'))
			return true;
	return false;
}

/* Copies the value of the line KEY=VALUE; false when there is no such line, or no whole one. */
static inline bool scram_ro_line_(const char *text, const char *key, char *buf, size_t size)
{
	size_t n = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		size_t length;

		line += *line == '\n';
		if (strncmp(line, key, n) != 0 || line[n] != '=')
			continue;
		line += n + 1;
		length = strcspn(line, "\n");
		if (line[length] != '\n' || length == 0 || length >= size)
			return false;
		memcpy(buf, line, length);
		buf[length] = '\0';
		return true;
	}
	return false;
}

/* Field 22 of /proc/1/stat, counted after the last parenthesis of the name; false = not to be
 * had. */
static inline bool scram_ro_start_of_init_(char *buf, size_t size)
{
	char stat[1024];
	const char *at = scram_ro_read_("/proc/1/stat", stat, sizeof(stat)) > 0 ? strrchr(stat, ')')
										: NULL;
	size_t n;

	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	n = at ? strcspn(at + 1, " \n") : 0;
	if (n == 0 || n >= size)
		return false;
	memcpy(buf, at + 1, n);
	buf[n] = '\0';
	return true;
}

/* True when the number is that of the pid namespace we are in, or nobody can tell. */
static inline bool scram_ro_same_pidns_(const char *inode)
{
	char link[64];
	ssize_t n = readlink("/proc/self/ns/pid", link, sizeof(link) - 1);
	size_t length = strlen(inode);

	if (n <= 0)
		return false;
	link[n] = '\0';
	return strncmp(link, "pid:[", 5) == 0 && strncmp(link + 5, inode, length) == 0 &&
	       link[5 + length] == ']';
}

/* A marker is stale when its epoch is known, ours is known, and they differ. The start of pid 1 is
 * compared where both mean the same pid 1: a container has its own. */
static inline bool scram_ro_is_stale_(const char *marker)
{
	char epoch[128], boot[64], start[32], pidns[32];
	char *colon;

	if (!scram_ro_line_(marker, "epoch", epoch, sizeof(epoch)))
		return false;
	colon = strchr(epoch, ':');
	if (!colon || scram_ro_read_("/proc/sys/kernel/random/boot_id", boot, sizeof(boot)) <= 0)
		return false;
	*colon = '\0';
	boot[strcspn(boot, "\n")] = '\0';
	if (strcmp(epoch, boot) != 0)
		return true;
	if (!scram_ro_line_(marker, "pidns", pidns, sizeof(pidns)) ||
	    !scram_ro_same_pidns_(pidns) || !scram_ro_start_of_init_(start, sizeof(start)))
		return false;
	return strcmp(colon + 1, start) != 0;
}

static inline bool scram_ro_is_marked_(void)
{
	const char *path = getenv("SCRAM_READONLY_MARKER");
	char marker[512];
	struct stat st;

	path = path && path[0] ? path : SCRAM_READONLY_MARKER_PATH;
	if (scram_ro_read_(path, marker, sizeof(marker)) >= 0)
		return !scram_ro_is_stale_(marker);
	/* There, but not to be read. */
	return stat(path, &st) == 0;
}

/* What boots a whole host read-only, and the agent itself obeys: the environment and the kernel's
 * command line, as they are now. */
static inline bool scram_is_forced_readonly_at_boot(void)
{
	const char *env = getenv("SCRAM_FORCE_READONLY");
	char line[4096];

	if (env && strcmp(env, "1") == 0)
		return true;
	return scram_ro_read_("/proc/cmdline", line, sizeof(line)) > 0 &&
	       scram_ro_has_word_(line, "scram.force_readonly=1");
}

/* Never fails. Any thread, at any time; two that ask first at the same time agree. */
static inline bool scram_force_readonly(void)
{
	static _Atomic int answer; /* 0: not asked yet, 1: no, 2: yes */
	int unknown = 0, found;

	if (atomic_load(&answer) == 0) {
		found = scram_is_forced_readonly_at_boot() || scram_ro_is_marked_() ? 2 : 1;
		(void)atomic_compare_exchange_strong(&answer, &unknown, found);
	}
	return atomic_load(&answer) == 2;
}
