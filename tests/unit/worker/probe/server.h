/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP server that does what it is told: a row for each path /0, /1, ... */
#pragma once

#include <stddef.h>
#include <sys/types.h>

enum sc_server_then {
	SC_SERVER_CLOSE,
	SC_SERVER_HANG,  /* says no more, and keeps the connection */
	SC_SERVER_DRIP,  /* goes on with one byte each 20 ms */
	SC_SERVER_FLOOD, /* goes on with `more`, again and again */
	SC_SERVER_FIRST, /* of the only row: speaks before it has read, then reads to the end */
};

struct sc_server_row {
	const char *name;
	const char *says;
	size_t size; /* 0: strlen */
	enum sc_server_then then;
	const char *more;
	const char *needs; /* all of it, line by line, must be in the request; else 400 */
};

struct sc_server {
	pid_t pid;
	int port;
};

/* A process of its own, which ends with the test. */
void sc_server_start(struct sc_server *s, const struct sc_server_row *rows, size_t n);
void sc_server_stop(struct sc_server *s);
