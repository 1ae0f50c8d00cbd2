/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What agents that were killed have left in the BPF file system. The next agent with the same run
 * directory takes it over; where none comes, its memory stays taken until somebody removes it.
 */
#include "cli/checks.h"

#include "base/mem.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#define PATH_SIZE 128

struct left {
	struct sc_str remove; /* the command */
	unsigned int agents;
	unsigned int untold; /* of these, not in the command: it has no room for more */
};

/* Never half a path: what is cut short could be another's. */
static void add(struct left *left, const char *path)
{
	left->agents++;
	if (left->remove.len + strlen(path) + 2 <= left->remove.cap)
		sc_str_addf(&left->remove, " %s", path);
	else
		left->untold++;
}

static bool is_of(const char *name, const char *letters, size_t n)
{
	return strspn(name, letters) == strlen(name) && (n == 0 ? name[0] : strlen(name) == n);
}

static bool is_version(const char *name)
{
	return name[0] == 'v' && is_of(name + 1, "0123456789", 0);
}

static bool is_run_tag(const char *name)
{
	return is_of(name, "0123456789abcdef", 16);
}

/* A living agent holds a lock on the directory of its maps (sc_bpf_open). */
static bool is_abandoned(int dirfd, const char *name)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
}

/* Goes through one directory, and once more through each run directory's below it. */
static void look_into(const char *path, bool is_top, struct left *left)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char below[PATH_SIZE];

	while (dir && (entry = readdir(dir)) != NULL) {
		if (snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) >= PATH_SIZE)
			continue;
		if (is_version(entry->d_name) && is_abandoned(dirfd(dir), entry->d_name))
			add(left, below);
		else if (is_top && is_run_tag(entry->d_name))
			look_into(below, false, left);
	}
	if (dir)
		closedir(dir);
}

void sc_find_pins(const char *path, struct sc_finding *f)
{
	struct left left = {0};

	/* No agent has ever run, or not root. */
	if (access(path, R_OK) < 0)
		return;
	sc_str_init(&left.remove, f->fix, sizeof(f->fix));
	sc_str_add(&left.remove, "sudo rm -r");
	look_into(path, true, &left);
	f->level = left.agents ? SC_LEVEL_YELLOW : SC_LEVEL_GREEN;
	if (left.agents)
		snprintf(f->text, sizeof(f->text),
			 "maps of %u agents that were killed take memory until one starts with the "
			 "same --run-dir%s",
			 left.agents, left.untold ? "; the command names the first" : "");
	else
		sc_strcopy(f->text, sizeof(f->text), "nothing is left of agents that were killed");
	if (!left.agents)
		f->fix[0] = '\0';
}
