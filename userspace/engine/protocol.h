/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol of the control socket and of the links to the workers: the framing, its limits, the
 * names of the operations and the exit statuses that a reply carries.
 *
 * A message is a 32-bit little-endian length and that many bytes, one JSON object. A request is
 * {"op": NAME, ...}; its reply is {"exit": N, "error": TEXT or null, ...}. One connection may carry
 * several requests, one after another.
 *
 * A link carries the same, and from the core to the worker also events, {"event": NAME, ...}: a
 * message that begins with SC_EVENT_HEAD is one, any other is the reply to the oldest request. A
 * message of the core may carry one descriptor.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SC_CONTROL_SOCKET "control.sock" /* below the run directory */
#define SC_API_SOCKET     "api.sock"     /* likewise: HTTP */
#define SC_STATE_FILE     "state.json"   /* likewise */

#define SC_FRAME_HEADER_SIZE 4
#define SC_REQUEST_SIZE_MAX  (64UL * 1024) /* a request is one condition at most by the dozen */
#define SC_REPLY_SIZE_MAX    (16UL * 1024 * 1024) /* signals of 10,000 targets */

#define SC_EVENT_HEAD "{\"event\":\"" /* as base/json.h writes it */
/* Of the events that every worker gets. */
#define SC_EVENT_HELLO   "hello"
#define SC_EVENT_CHANGED "changed"
#define SC_EVENT_STOP    "stop"
/* To the api worker: what `listener` answers has changed. */
#define SC_EVENT_LISTENER "listener"

#define SC_SIGNALS_LIMIT_MAX   500 /* targets that a worker asks for at a time */
#define SC_FIRES_LIMIT_MAX     500
#define SC_FIRES_LIMIT_DEFAULT 50

/* Exit status of every verb but `verify`, and the "exit" of every reply. */
enum sc_exit {
	SC_EXIT_DONE = 0,
	SC_EXIT_FAILED = 1,
	SC_EXIT_USAGE = 2,
	SC_EXIT_UNREACHABLE = 3, /* told by the command line only */
	SC_EXIT_VETOED = 4,
	SC_EXIT_PENDING = 5,     /* waits for the approval of a second person */
	SC_EXIT_UNCONFIRMED = 6, /* acted, and the outcome could not be verified in time */
};

/* Alphabetical, as the names are. */
enum sc_op {
	SC_OP_ARM,
	SC_OP_BREAKER,
	SC_OP_DEMOTE,
	SC_OP_DISARM,
	SC_OP_DOCTOR,
	SC_OP_FIRE,
	SC_OP_FIRES,
	SC_OP_ISOLATE,
	SC_OP_LIST,
	SC_OP_LISTENER,    /* of the api worker alone */
	SC_OP_NOTIFY_DONE, /* of the probe worker alone */
	SC_OP_NOTIFY_TEST,
	SC_OP_PING,
	SC_OP_PROBE_ANSWER, /* of the probe worker alone */
	SC_OP_PROBE_LIST,   /* likewise */
	SC_OP_PROMOTE,
	SC_OP_READY,   /* of workers alone */
	SC_OP_REFUSED, /* of the api worker alone */
	SC_OP_REGISTER,
	SC_OP_RELEASE,
	SC_OP_RELOAD,
	SC_OP_SECRET,          /* of the probe worker alone */
	SC_OP_SEGMENT,         /* of workers alone */
	SC_OP_SHIP_QUARANTINE, /* of the ship worker alone */
	SC_OP_SHIP_STATE,      /* likewise */
	SC_OP_SHOW,
	SC_OP_SIGNALS,
	SC_OP_STATUS,
	SC_OP_UNREGISTER,
	SC_OP_WHY,
	SC_OP_COUNT
};

const char *sc_op_name(enum sc_op op);
/* The operation of that name, or -ENOENT. */
int sc_op_find(const char *name);
/* True when the operation changes something: the agent records who asked. */
bool sc_op_is_write(enum sc_op op);
/* True when only a worker may ask it, over its link. */
bool sc_op_is_of_workers(enum sc_op op);

/*
 * Takes one message apart from a stream socket, in as many steps as the bytes arrive. After a
 * complete message, data[0..size) is the payload and data[size] is NUL; reset before the next one.
 */
struct sc_frame_reader {
	char *data;
	size_t size; /* of the payload, once the header is whole */
	size_t size_max;
	size_t have; /* bytes received, the header included */
	bool heap;
	bool takes_fd; /* a descriptor that comes along is kept; else the kernel drops it */
	int fd;        /* the one of this message, its taker's; -1 = none */
	unsigned char header[SC_FRAME_HEADER_SIZE];
};

/* Over the caller's buffer; takes payloads of up to buf_size - 1 bytes and never allocates. */
void sc_frame_reader_init(struct sc_frame_reader *r, char *buf, size_t buf_size);
/* Allocates what the header announces, up to size_max; release with sc_frame_reader_done. */
void sc_frame_reader_init_heap(struct sc_frame_reader *r, size_t size_max);
void sc_frame_reader_done(struct sc_frame_reader *r);
void sc_frame_reader_reset(struct sc_frame_reader *r);

/*
 * Receives what is there without waiting. Returns 1 when a message is complete, 0 when more must
 * arrive (poll for POLLIN), -ENODATA when the peer closed between two messages, -ECONNRESET when it
 * closed inside one, -EMSGSIZE when the announced length is 0 or above the limit, -ENOMEM, or the
 * -errno of recv(2). Never reads past the message.
 */
int sc_frame_read(struct sc_frame_reader *r, int fd);

/* One message on its way out; data and fd are borrowed until it is sent. */
struct sc_frame_writer {
	const char *data;
	size_t size;
	size_t sent; /* bytes sent, the header included */
	int fd;      /* goes along with the message; -1 = none. Set it after init. */
	unsigned char header[SC_FRAME_HEADER_SIZE];
};

/* size is 1..SC_REPLY_SIZE_MAX (asserted: the sender bounds its own messages). */
void sc_frame_writer_init(struct sc_frame_writer *w, const char *data, size_t size);

/*
 * Sends what the socket takes without waiting, and without SIGPIPE. Returns 1 when all is sent, 0
 * when the socket is full (poll for POLLOUT), or the -errno of sendmsg(2).
 */
int sc_frame_write(struct sc_frame_writer *w, int fd);
