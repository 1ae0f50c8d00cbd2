/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket that the api worker serves. The core makes it, before it gives up its rights, and
 * passes it on: a port that is in use is told at once and by the agent itself, ports below 1024
 * work, and clients that come while the worker is started again wait in its queue instead of being
 * refused. The core itself never reads from it.
 */
#pragma once

#include <stdbool.h>

struct sc_http_listener {
	int fd;        /* -1 = not open */
	bool is_off;   /* nothing is to listen */
	bool is_asked; /* named by an option or the environment: part of being ready */
	char host[256];
	char port[8];
	char where[272]; /* HOST:PORT, for people */
	char why[400];   /* it is not open; empty = it is, or was not tried */
};

/*
 * Takes the option (HOST:PORT, [IPV6]:PORT, "off", or NULL), else SCRAM_HTTP_HOST and
 * SCRAM_HTTP_PORT, else the default. Opens nothing. 0 or -EINVAL with why.
 */
int sc_http_listener_init(struct sc_http_listener *l, const char *option);
/* Listens; may ask a name server where the host is a name. 0, also when it is off or open already,
 * or -errno with why. */
int sc_http_listener_open(struct sc_http_listener *l);
/* Before a worker gets it: the one before may have shut it down for all that hold it. */
void sc_http_listener_renew(const struct sc_http_listener *l);
void sc_http_listener_close(struct sc_http_listener *l);
