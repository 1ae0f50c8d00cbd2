/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may ask the agent: the peers of the control socket <run-dir>/control.sock, for root and the
 * group `scram`, and the workers, each at the other end of a link. This takes requests off the
 * wire and sends replies and events; what requests mean is the business of ops.c. Runs on the loop
 * thread and never blocks: a slow or silent peer costs one of SC_CONTROL_PEERS_MAX places until its
 * deadline, a worker that does not read its life. control.c listens and expires, control_peer.c
 * talks.
 */
#pragma once

#include "base/loop.h"
#include "base/str.h"
#include "engine/protocol.h"

#include <stdint.h>
#include <sys/types.h>

#define SC_CONTROL_PEERS_MAX  32
#define SC_CONTROL_PEERS_ROOT 8 /* of these, for uid 0 alone */
#define SC_CONTROL_LINKS_MAX  4
#define SC_CONTROL_PLACES     (SC_CONTROL_PEERS_MAX + SC_CONTROL_LINKS_MAX)
/* A peer must finish its request, and take its reply, within this. */
#define SC_CONTROL_PEER_TIMEOUT_NS 10000000000ULL
/* Events on their way to one worker. */
#define SC_LINK_EVENTS_MAX (64UL * 1024)
/* What serving all links may take of each window: a flood must leave the loop thread moments of
 * sleep, or RLIMIT_RTTIME ends it, and the cpu to others. */
#define SC_LINK_BUDGET_NS 5000000ULL
#define SC_LINK_WINDOW_NS 10000000ULL

struct sc_engine;
struct sc_worker_row;

/* Who asked, as the kernel says (SO_PEERCRED at connect). */
struct sc_principal {
	uid_t uid;
	gid_t gid;
	pid_t pid;
	const struct sc_worker_row *worker; /* at the other end of a link; NULL = of the socket */
};

struct sc_control_peer {
	struct sc_watch watch; /* fd -1 = free place */
	struct sc_control *control;
	struct sc_principal who;
	struct sc_frame_reader reader;
	struct sc_frame_writer writer;
	struct sc_str reply;  /* empty = none to be sent */
	int reply_fd;         /* goes along; -1 = none */
	bool is_replying;     /* part of the reply is out */
	uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0 = none while a reply is being waited for */
	uint32_t serial;      /* tells later users of the same place apart */
	bool waiting;         /* a request is being answered */
	/* links alone */
	bool rests;   /* is read again in the next window */
	char *events; /* SC_LINK_EVENTS_MAX bytes: whole messages as they go over the wire */
	size_t events_size, events_sent;
};

struct sc_control {
	struct sc_watch listener;
	struct sc_watch rest_timer; /* the next window begins */
	struct sc_loop *loop;
	struct sc_engine *engine;
	gid_t group;                  /* of `scram`; (gid_t)-1 = no such group */
	uint64_t refused;             /* connections turned away */
	bool rests;                   /* no connection could be taken; again at the next expiry */
	uint64_t window_ns, spent_ns; /* of the links: begin of the window, and what it took */
	struct sc_control_peer peers[SC_CONTROL_PLACES];
};

/* Names a peer that may be gone by the time its answer is known. */
struct sc_reply_to {
	uint32_t place;
	uint32_t serial;
};
#define SC_REPLY_TO_NOBODY ((struct sc_reply_to){.place = SC_CONTROL_PLACES})

/* Makes the socket in run_dir and listens. 0 or -errno. */
int sc_control_open(struct sc_control *c, struct sc_loop *loop, struct sc_engine *engine,
		    const char *run_dir);
/* Closes everything and removes the socket file. */
void sc_control_close(struct sc_control *c, const char *run_dir);

/*
 * Sends *reply, whose memory it takes over (heap), and with it fd where that is not negative, which
 * is closed afterwards. A peer that has gone is not an error: the reply is dropped.
 */
void sc_control_reply_fd(struct sc_control *c, struct sc_reply_to to, struct sc_str *reply, int fd);
void sc_control_reply(struct sc_control *c, struct sc_reply_to to, struct sc_str *reply);

/* Drops peers whose deadline has passed; called about once a second. */
void sc_control_expire(struct sc_control *c, uint64_t mono_ns);

/* --- links; `link` is their number, below SC_CONTROL_LINKS_MAX --- */

struct sc_link_begin {
	int fd; /* the core's end: taken over when it begins */
	struct sc_principal who;
	struct sc_str hello; /* heap: taken over likewise */
	int listener_fd;     /* a copy goes along with hello; -1 = none; borrowed */
};

/*
 * Sends hello; nothing is read, and no event sent, before that is out. 0, or -errno with everything
 * still the caller's. When the link breaks, sc_workers_link_lost is told.
 */
int sc_control_link(struct sc_control *c, uint32_t link, struct sc_link_begin *begin);
/* Closes the link; nothing is told. Harmless when there is none. */
void sc_control_unlink(struct sc_control *c, uint32_t link);
/* Queues one event of n bytes. 0, -ENOTCONN, or -ENOBUFS when the worker has not read so much. */
int sc_control_tell(struct sc_control *c, uint32_t link, const char *event, size_t n);
/* Bytes that the worker has not taken off its socket yet. */
size_t sc_control_unread(const struct sc_control *c, uint32_t link);

/* --- control_peer.c, for control.c --- */
void sc_control_peer_init(struct sc_control *c, struct sc_control_peer *p);
/* Begins with a peer of the socket that was let in. */
int sc_control_peer_begin(struct sc_control_peer *p, int fd, const struct sc_principal *who);
/* why: for the worker at the other end of a link; NULL = the agent itself ends it. */
void sc_control_peer_drop(struct sc_control_peer *p, const char *why);
/* Reads again from the links that rest. */
void sc_control_end_rest(struct sc_control *c);
