/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's port on the programs it starts. */
#pragma once

#include "engine/ports.h"

#include <limits.h>

struct sc_processes_host {
	int dir_fd;     /* of the agent's own executable; -1: no program can be started */
	int root_fd;    /* of the supervised root; borrowed, -1 = none */
	char group[40]; /* name of the workers' cgroup there */
	char group_dir[PATH_MAX];
	char group_path[PATH_MAX];
};

/*
 * Finds the directory of the agent's own executable; start tells when that fails. root_fd is
 * borrowed, root_path as in /proc/PID/cgroup, and run_dir tells agents apart.
 */
void sc_processes_open(struct sc_processes_host *host, int root_fd, const char *root_path,
		       const char *run_dir);
void sc_processes_close(struct sc_processes_host *host);

struct sc_process_port sc_processes_real(struct sc_processes_host *host);
