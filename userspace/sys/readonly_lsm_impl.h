/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of sys/readonly_lsm.c share; nobody else includes this. */
#pragma once

#include "sys/readonly_lsm.h"

/* Makes the map of that descriptor hold what is wished, and nothing else. 0 or -errno. */
int sc_lsm_sync_marks(int fd, const struct sc_lsm_wish *wish);
int sc_lsm_sync_places(int fd, const struct sc_lsm_wish *wish);
