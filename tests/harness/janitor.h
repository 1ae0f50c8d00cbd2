/* SPDX-License-Identifier: Apache-2.0 */
/* The process that removes a sandbox: part of sandbox.c, and of nothing else. */
#pragma once

#include "harness/harness.h"

/* The message that asks the janitor to clean up now; any other message is a path to remove at the
 * end. */
#define SC_JANITOR_CLOSE "."

/*
 * Never returns: waits until owner_pidfd ends or SC_JANITOR_CLOSE comes over sock, removes
 * everything and exits 0 when nothing is left of the sandbox.
 */
_Noreturn void sc_janitor_run(const struct sc_sandbox *box, int owner_pidfd, int sock);
