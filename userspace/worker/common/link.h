/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's end of its link to the core: requests out, replies and events in, framed as
 * engine/protocol.h says. The link is descriptor 3 from the first moment on. One thread uses it at
 * a time; it may block in each call, the core never does.
 *
 *	struct sc_link link;
 *	_cleanup_link_message_ struct sc_link_message hello = {.fd = -1};
 *
 *	r = sc_link_open(&link, &hello);            what is asked of this worker
 *	...                                          prepare, then close the sandbox
 *	r = sc_link_ready(&link, "listening on ..."); from here on it counts as up
 *	for (;;)
 *		r = sc_link_take(&link, -1, &m);     or poll sc_link_fd beside others
 */
#pragma once

#include "base/mem.h"
#include "engine/protocol.h"

#include <stdbool.h>
#include <stdint.h>

#define SC_LINK_FD 3

/* The core answers at once, except for fires and releases that it waits for. */
#define SC_LINK_ANSWER_MS 15000
/* Events kept while a reply is waited for; of `changed` only the last. */
#define SC_LINK_KEPT_MAX 64

enum sc_link_kind { SC_LINK_REPLY, SC_LINK_EVENT, SC_LINK_KIND_COUNT };

/* One message of the core. Initialise with fd -1 where it is cleaned up by scope. */
struct sc_link_message {
	enum sc_link_kind kind;
	char *text; /* one JSON object, NUL-terminated, heap */
	size_t size;
	int fd; /* what came along: the listening socket of `hello`, a segment; -1 = nothing */
};

/* Frees the text and closes fd unless taken (SC_TAKE_FD); harmless when empty. */
void sc_link_message_done(struct sc_link_message *m);
#define _cleanup_link_message_ _cleanup_(sc_link_message_done)

/* True for an event of that name: "hello", "changed", "stop", ... */
bool sc_link_is_event(const struct sc_link_message *m, const char *name);

struct sc_link {
	int fd;
	struct sc_frame_reader reader;
	bool is_asking; /* a request is without its reply */
	struct sc_link_message kept[SC_LINK_KEPT_MAX];
	unsigned int n_kept;
};

/*
 * Takes descriptor 3 and waits for the core's hello, which is the caller's. -ENOTSOCK or -EBADF:
 * not started by the core; -EPROTO: something else came first; -ETIMEDOUT, -ENODATA: the core is
 * gone, and other -errno. On failure nothing is held and *hello is untouched.
 */
int sc_link_open(struct sc_link *link, struct sc_link_message *hello);
/* The same with another descriptor, which it takes over when it returns 0. */
int sc_link_open_fd(struct sc_link *link, int fd, struct sc_link_message *hello);
void sc_link_close(struct sc_link *link);

/* For poll(2): readable when sc_link_take has something new. What was kept does not show there:
 * after an ask, take with timeout 0 until it returns 0. */
int sc_link_fd(const struct sc_link *link);

/*
 * Sends one request, {"op": NAME, ...}, of at most SC_REQUEST_SIZE_MAX bytes; its reply comes by
 * sc_link_take. One request at a time: -EBUSY while a reply is due. Other -errno: the link is
 * broken, and the worker has nothing left to do but to end.
 */
int sc_link_send(struct sc_link *link, const char *request, size_t size);

/*
 * Takes the next message, events that were kept first. Waits timeout_ms (-1 = until one comes, 0 =
 * not at all). 1 with *m filled, the caller's; 0 when none came. -ENODATA: the core closed the link
 * or is dead: end. -EPROTO: a reply that nobody asked for. *m is untouched unless 1.
 */
int sc_link_take(struct sc_link *link, int timeout_ms, struct sc_link_message *m);

/*
 * Sends a request and waits for its reply; events that come meanwhile are kept for sc_link_take in
 * their order. 0 with *reply filled, the caller's; -ETIMEDOUT after SC_LINK_ANSWER_MS, or an -errno
 * as of the calls above: the link is of no use any more.
 */
int sc_link_ask(struct sc_link *link, const char *request, size_t size,
		struct sc_link_message *reply);

/* Tells the core that the worker does its work from now on; `detail` is for people ("listening on
 * 127.0.0.1:8400") and may be NULL. 0 or -errno as sc_link_ask; -EPERM when the core says no. */
int sc_link_ready(struct sc_link *link, const char *detail);

/*
 * Asks for segment `number` of the journal. The read-only descriptor, the caller's, at offset 0
 * (seen by everybody who has it: use pread); -ENOENT when there is none, or another -errno. The
 * segment that is written to grows under the reader, NUL up to its end. *first is the oldest one
 * that is there, in either case; untouched where the core does not say.
 */
int sc_link_segment(struct sc_link *link, uint64_t number, uint64_t *first);
