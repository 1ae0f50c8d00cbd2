/* SPDX-License-Identifier: Apache-2.0 */
/* What doctor can see of the machine without the agent. */
#pragma once

#include "base/str.h"

#include <stddef.h>

struct sc_args;

enum sc_level { SC_LEVEL_GREEN, SC_LEVEL_YELLOW, SC_LEVEL_RED, SC_LEVEL_COUNT };

/* Green: as it should be. Yellow: something is lost, the rest works. Red: the agent cannot do its
 * work. */
struct sc_finding {
	enum sc_level level;
	char text[320];
	char fix[256]; /* a command, or what to change; empty when green */
};

struct sc_check {
	const char *name;
	void (*look)(const struct sc_args *args, struct sc_finding *finding);
	bool is_beside; /* an agent's own findings have nothing of it: told with them too */
};

/* *count of them, in the order in which they should be mended. */
const struct sc_check *sc_checks(size_t *count);
const char *sc_level_name(enum sc_level level);

/* One line of /proc/self/mountinfo: true when it mounts file system `type`; mount point and super
 * options are cut out. */
struct sc_mount {
	char point[256];
	char options[256];
};
bool sc_mount_parse(const char *line, const char *type, struct sc_mount *mount);
/* True when the list of security modules, `lockdown,capability,bpf`, has that name. */
bool sc_lsm_has(const char *list, const char *name);
/* Finds the maps that killed agents left below that directory, and the command that removes them;
 * no text where there is no such directory. */
void sc_find_pins(const char *path, struct sc_finding *finding);
/* "6.1.0-23-amd64" -> 6001; 0 when it is no release. */
unsigned int sc_kernel_number(const char *release);
