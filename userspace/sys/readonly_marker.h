/* SPDX-License-Identifier: Apache-2.0 */
/* The file by which programs learn at their start that they shall not write: see
 * scram/force_readonly.h, which reads it, and scram/readonly.h for its form. */
#pragma once

#include <stdbool.h>

/* Writes it, whole or not at all. 0 or -errno. */
int sc_marker_set(int run_dir_fd, const char *fire_id);
/* Removes it; 0 also when there was none. */
int sc_marker_clear(int run_dir_fd);
/* True when it names this fire and this start of the machine. */
bool sc_marker_is(int run_dir_fd, const char *fire_id);
/* True when there is one, whatever it says. */
bool sc_marker_exists(int run_dir_fd);
