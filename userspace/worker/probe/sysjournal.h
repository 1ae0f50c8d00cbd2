/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system's journal, by its native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL): one
 * datagram of fields. libsystemd speaks it too, but its calls wait for a journald that hangs, and
 * say that all is well where none listens.
 */
#pragma once

#include "worker/probe/notify_event.h"

struct sc_str;

#define SC_SYSJOURNAL_SOCKET "/run/systemd/journal/socket"

/* The datagram: every field as NAME=value or, with line feeds in it, in the long form. */
void sc_sysjournal_format(const struct sc_notification *n, const struct sc_notify_origin *origin,
			  struct sc_str *out);

/*
 * Sends it, without waiting, to the socket at the path. 0; -EAGAIN: journald does not read just
 * now; -ENOENT, -ECONNREFUSED: none listens; or another -errno.
 */
int sc_sysjournal_send(const char *path, const struct sc_notification *n,
		       const struct sc_notify_origin *origin);
