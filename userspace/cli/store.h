/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line has scram-ship do. */
#pragma once

struct sc_args;

/* Becomes scram-ship, which lies beside this program, with the NULL-ended options. Returns only
 * when it cannot: the exit status, complained of. */
int sc_store_exec(const struct sc_args *args, const char *const options[]);
