/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: <run-dir>/control.sock, for root and the group `scram`. It takes requests off
 * the wire and sends replies; what they mean is the business of ops.c. Runs on the loop thread and
 * never blocks: a slow or silent peer costs one of SC_CONTROL_PEERS_MAX places until its deadline.
 */
#pragma once

#include "base/loop.h"
#include "base/str.h"
#include "engine/protocol.h"

#include <stdint.h>
#include <sys/types.h>

#define SC_CONTROL_PEERS_MAX  32
#define SC_CONTROL_PEERS_ROOT 8 /* of these, for uid 0 alone */
/* A peer must finish its request, and take its reply, within this. */
#define SC_CONTROL_PEER_TIMEOUT_NS 10000000000ULL

struct sc_engine;

/* Who asked, as the kernel says (SO_PEERCRED at connect). */
struct sc_principal {
	uid_t uid;
	gid_t gid;
	pid_t pid;
};

struct sc_control_peer {
	struct sc_watch watch; /* fd -1 = free place */
	struct sc_control *control;
	struct sc_principal who;
	struct sc_frame_reader reader;
	struct sc_frame_writer writer;
	struct sc_str reply;
	uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0 = none while a reply is being waited for */
	uint32_t serial;      /* tells later users of the same place apart */
	bool waiting;         /* a request is being answered */
};

struct sc_control {
	struct sc_watch listener;
	struct sc_loop *loop;
	struct sc_engine *engine;
	gid_t group;      /* of `scram`; (gid_t)-1 = no such group */
	uint64_t refused; /* connections turned away */
	bool rests;       /* no connection could be taken; again at the next expiry */
	struct sc_control_peer peers[SC_CONTROL_PEERS_MAX];
};

/* Names a peer that may be gone by the time its answer is known. */
struct sc_reply_to {
	uint32_t place;
	uint32_t serial;
};
#define SC_REPLY_TO_NOBODY ((struct sc_reply_to){.place = SC_CONTROL_PEERS_MAX})

/* Makes the socket in run_dir and listens. 0 or -errno. */
int sc_control_open(struct sc_control *c, struct sc_loop *loop, struct sc_engine *engine,
		    const char *run_dir);
/* Closes everything and removes the socket file. */
void sc_control_close(struct sc_control *c, const char *run_dir);

/*
 * Sends *reply, whose memory it takes over (heap). A peer that has gone is not an error: the reply
 * is dropped.
 */
void sc_control_reply(struct sc_control *c, struct sc_reply_to to, struct sc_str *reply);

/* Drops peers whose deadline has passed; called about once a second. */
void sc_control_expire(struct sc_control *c, uint64_t mono_ns);
