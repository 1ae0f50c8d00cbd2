/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process: link, reactor, and the two ways out of it, by program and by HTTP. Probes
 * (schedule.h) and notifiers share these. Everything runs on one thread; the link is asked
 * synchronously, which the core answers at once.
 */
#pragma once

#include "worker/common/link.h"
#include "worker/probe/exec.h"
#include "worker/probe/http.h"
#include "worker/probe/reactor.h"

struct json_t;
struct sc_notify;
struct sc_schedule;

/* The longest secret that is read. */
#define SC_SECRET_MAX     4096
#define SC_SECRET_WHY_MAX 160

struct sc_prober {
	struct sc_link *link; /* borrowed */
	struct sc_reactor reactor;
	struct sc_execs execs;
	struct sc_watch link_watch;
	char host[64];       /* the host's id, of hello */
	uint64_t conditions; /* counter of the last `changed` that was looked at */
	struct sc_schedule *schedule;
	struct sc_notify *notify;
	bool stops;
	int link_error; /* the link is of no use any more: why */
};

/* `hello` is what sc_link_open gave. 0 or -errno; then nothing is held. */
int sc_prober_init(struct sc_prober *p, struct sc_link *link, const struct sc_link_message *hello);
/* Ends everything that runs. */
void sc_prober_done(struct sc_prober *p);
/* Works until the core says stop: 0; or the link breaks: -errno. After sc_link_ready. */
int sc_prober_run(struct sc_prober *p);

/* --- for the rooms in it --- */

/*
 * Asks the core, and gives the parsed reply, the caller's (json_decref), whatever its "exit"; with
 * fd not NULL, *fd is the descriptor that came along or -1, the caller's. NULL when the link broke,
 * which ends the process after this turn.
 */
struct json_t *sc_prober_ask(struct sc_prober *p, const char *request, size_t size, int *fd);

/*
 * Asks the core for the secret of the `probe` or `sink` (kind) of that name: 0 with its open file
 * in *fd, the caller's; -errno with why, in the core's words.
 */
int sc_secret_ask(struct sc_prober *p, const char *kind, const char *name, int *fd,
		  char why[static SC_SECRET_WHY_MAX]);

/*
 * Reads a secret from the descriptor, at most SC_SECRET_MAX bytes, into buf of SC_SECRET_MAX + 1: a
 * newline at the end is cut, a NUL put behind. Its length; -ENODATA: empty; -EFBIG; -EINVAL: what
 * cannot be a header value (sc_http_is_header_value) is in it, where is_text. The caller wipes buf
 * (sodium_memzero).
 */
ssize_t sc_secret_read(int fd, bool is_text, char *buf);
