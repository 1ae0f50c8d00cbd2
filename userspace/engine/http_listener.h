/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sockets that the api worker serves: a TCP port, and <run-dir>/api.sock, which is there also
 * where HTTP is off. The core makes them, before it gives up its rights, and passes them on: a port
 * that is in use is told at once and by the agent itself, ports below 1024 work, and clients that
 * come while the worker is started again wait in a queue instead of being refused. The core itself
 * never reads from them.
 *
 * api.sock is for those that may use the control socket: mode 0660 of root and the group scram, or
 * 0600 where there is no such group. What may be asked there is what may be asked over TCP; the
 * token is needed for writes here too, Host and Origin are not looked at.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

struct sc_http_listener {
	int fd;        /* -1 = not open */
	bool is_off;   /* nothing is to listen */
	bool is_asked; /* named by an option or the environment: part of being ready */
	char host[256];
	char port[8];
	char where[272]; /* HOST:PORT, for people */
	char why[400];   /* it is not open; empty = it is, or was not tried */
	int local_fd;    /* api.sock; -1 = not open */
	gid_t group;     /* of api.sock; (gid_t)-1 = there is no group scram */
	struct sockaddr_un local;
	char local_why[160]; /* as why */
};

/*
 * Takes the option (HOST:PORT, [IPV6]:PORT, "off", or NULL), else SCRAM_HTTP_HOST and
 * SCRAM_HTTP_PORT, else the default. Opens nothing. 0 or -EINVAL with why.
 */
int sc_http_listener_init(struct sc_http_listener *l, const char *option);
/* Listens; may ask a name server where the host is a name. 0, also when it is off or open already,
 * or -errno with why. */
int sc_http_listener_open(struct sc_http_listener *l);
/* Makes api.sock in run_dir, whose lock is held: one that is found there is of the dead. 0, or
 * -errno with local_why. */
int sc_http_listener_open_local(struct sc_http_listener *l, const char *run_dir);
/* Before a worker gets them: the one before may have shut them down for all that hold them. */
void sc_http_listener_renew(struct sc_http_listener *l);
/* Closes both and removes api.sock. */
void sc_http_listener_close(struct sc_http_listener *l);
