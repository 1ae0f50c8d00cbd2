/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line per message on standard error, with the syslog priority prefix <N> when the journal
 * reads it (JOURNAL_STREAM is set). Leaves never log: the caller that can name the operation logs
 * once.
 */
#pragma once

#include "base/mem.h"

enum sc_log_level { SC_LOG_ERROR, SC_LOG_WARNING, SC_LOG_INFO, SC_LOG_DEBUG, SC_LOG_LEVEL_COUNT };

/* error, warning, info or debug; returns -EINVAL and changes nothing for any other name. */
int sc_log_set_level(const char *name);
const char *sc_log_level_name(enum sc_log_level level);

/* Hostile bytes in the arguments are shown escaped; at most 1 KiB is written. Never allocates or
 * waits: what standard error cannot take at once is dropped, and counted in a later line. */
void sc_log(enum sc_log_level level, const char *fmt, ...) _printf_(2, 3);

#define sc_log_error(...)   sc_log(SC_LOG_ERROR, __VA_ARGS__)
#define sc_log_warning(...) sc_log(SC_LOG_WARNING, __VA_ARGS__)
#define sc_log_info(...)    sc_log(SC_LOG_INFO, __VA_ARGS__)
#define sc_log_debug(...)   sc_log(SC_LOG_DEBUG, __VA_ARGS__)
