/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's port on the programs it starts. */
#pragma once

#include "engine/ports.h"

/* The directory of the agent's own executable, or -errno. */
int sc_processes_open_dir(void);

/* dir_fd is borrowed; where it is negative no program can be started, which start tells. */
struct sc_process_port sc_processes_real(int *dir_fd);
