/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/protocol.h"

#include "base/mem.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct op {
	const char *name;
	bool writes;
	bool is_of_workers;
};

static const struct op ops[SC_OP_COUNT];

const char *sc_op_name(enum sc_op op)
{
	SC_ASSERT(op < SC_OP_COUNT);
	return ops[op].name;
}

int sc_op_find(const char *name)
{
	for (int i = 0; i < SC_OP_COUNT; i++)
		if (strcmp(ops[i].name, name) == 0)
			return i;
	return -ENOENT;
}

bool sc_op_is_write(enum sc_op op)
{
	SC_ASSERT(op < SC_OP_COUNT);
	return ops[op].writes;
}

bool sc_op_is_of_workers(enum sc_op op)
{
	SC_ASSERT(op < SC_OP_COUNT);
	return ops[op].is_of_workers;
}

void sc_frame_reader_init(struct sc_frame_reader *r, char *buf, size_t buf_size)
{
	SC_ASSERT(buf_size >= 2);
	*r = (struct sc_frame_reader){.data = buf, .size_max = buf_size - 1, .fd = -1};
}

void sc_frame_reader_init_heap(struct sc_frame_reader *r, size_t size_max)
{
	*r = (struct sc_frame_reader){.size_max = size_max, .heap = true, .fd = -1};
}

/* Of a reader that takes none, fd may be 0 as memory is. */
static void drop_fd(struct sc_frame_reader *r)
{
	if (r->takes_fd)
		sc_close(&r->fd);
}

void sc_frame_reader_done(struct sc_frame_reader *r)
{
	if (r->heap)
		free(r->data);
	drop_fd(r);
	*r = (struct sc_frame_reader){.fd = -1};
}

void sc_frame_reader_reset(struct sc_frame_reader *r)
{
	if (r->heap) {
		free(r->data);
		r->data = NULL;
	}
	drop_fd(r);
	r->size = 0;
	r->have = 0;
}

/* The header is whole: checks the length and makes room. */
static int begin_payload(struct sc_frame_reader *r)
{
	size_t size = (size_t)r->header[0] | (size_t)r->header[1] << 8 |
		      (size_t)r->header[2] << 16 | (size_t)r->header[3] << 24;

	if (size == 0 || size > r->size_max)
		return -EMSGSIZE;
	if (r->heap) {
		r->data = malloc(size + 1);
		if (!r->data)
			return -ENOMEM;
	}
	r->size = size;
	r->data[size] = '\0';
	return 0;
}

/* Keeps the descriptor that came; a second one of the same message is closed. */
static void keep_fd(struct sc_frame_reader *r, struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int fd;

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	sc_close(&r->fd);
	r->fd = fd;
}

static int receive(struct sc_frame_reader *r, int fd, void *buf, size_t n)
{
	union { /* room for one descriptor, aligned as cmsg(3) wants it */
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {.iov_base = buf, .iov_len = n};
	struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t got;

	if (r->takes_fd) {
		msg.msg_control = control.room;
		msg.msg_controllen = sizeof(control.room);
	}
	do
		got = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
	if (r->takes_fd)
		keep_fd(r, &msg);
	if (got == 0)
		return r->have ? -ECONNRESET : -ENODATA;
	r->have += (size_t)got;
	return 1;
}

int sc_frame_read(struct sc_frame_reader *r, int fd)
{
	int n;

	while (r->have < SC_FRAME_HEADER_SIZE) {
		n = receive(r, fd, r->header + r->have, SC_FRAME_HEADER_SIZE - r->have);
		if (n <= 0)
			return n;
		if (r->have < SC_FRAME_HEADER_SIZE)
			continue;
		n = begin_payload(r);
		if (n < 0)
			return n;
	}
	while (r->have < SC_FRAME_HEADER_SIZE + r->size) {
		size_t at = r->have - SC_FRAME_HEADER_SIZE;

		n = receive(r, fd, r->data + at, r->size - at);
		if (n <= 0)
			return n;
	}
	return 1;
}

void sc_frame_writer_init(struct sc_frame_writer *w, const char *data, size_t size)
{
	SC_ASSERT(size >= 1 && size <= SC_REPLY_SIZE_MAX);
	*w = (struct sc_frame_writer){.data = data, .size = size, .fd = -1};
	for (int i = 0; i < SC_FRAME_HEADER_SIZE; i++)
		w->header[i] = (unsigned char)(size >> (8 * i));
}

/* The descriptor goes with the first byte. */
static void attach_fd(struct msghdr *msg, void *room, size_t size, int fd)
{
	struct cmsghdr *c = room;

	memset(room, 0, size);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	msg->msg_control = room;
	msg->msg_controllen = size;
}

int sc_frame_write(struct sc_frame_writer *w, int fd)
{
	while (w->sent < SC_FRAME_HEADER_SIZE + w->size) {
		size_t header = w->sent < SC_FRAME_HEADER_SIZE ? SC_FRAME_HEADER_SIZE - w->sent : 0;
		size_t at = header ? 0 : w->sent - SC_FRAME_HEADER_SIZE;
		struct iovec part[2] = {
			{.iov_base = w->header + SC_FRAME_HEADER_SIZE - header, .iov_len = header},
			{.iov_base = (void *)(uintptr_t)(w->data + at), .iov_len = w->size - at},
		};
		struct msghdr msg = {.msg_iov = part, .msg_iovlen = 2};
		union {
			char room[CMSG_SPACE(sizeof(int))];
			struct cmsghdr align;
		} control;
		ssize_t n;

		if (w->fd >= 0 && w->sent == 0)
			attach_fd(&msg, control.room, sizeof(control.room), w->fd);
		n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
		w->sent += (size_t)n;
	}
	return 1;
}

static const struct op ops[SC_OP_COUNT] = {
	[SC_OP_ARM] = {"arm", true},
	[SC_OP_BREAKER] = {"breaker", true},
	[SC_OP_DEMOTE] = {"demote", true},
	[SC_OP_DISARM] = {"disarm", true},
	[SC_OP_DOCTOR] = {"doctor", false},
	[SC_OP_FIRE] = {"fire", true},
	[SC_OP_FIRES] = {"fires", false},
	[SC_OP_ISOLATE] = {"isolate", true},
	[SC_OP_LIST] = {"list", false},
	[SC_OP_LISTENER] = {"listener", false, true},
	[SC_OP_NOTIFY_DONE] = {"notify.done", false, true},
	[SC_OP_NOTIFY_TEST] = {"notify.test", true},
	[SC_OP_PING] = {"ping", false},
	[SC_OP_PROBE_ANSWER] = {"probe.answer", false, true},
	[SC_OP_PROBE_LIST] = {"probe.list", false, true},
	[SC_OP_PROMOTE] = {"promote", true},
	[SC_OP_READY] = {"ready", false, true},
	[SC_OP_REFUSED] = {"refused", false, true},
	[SC_OP_REGISTER] = {"register", true},
	[SC_OP_RELEASE] = {"release", true},
	[SC_OP_RELOAD] = {"reload", true},
	[SC_OP_SECRET] = {"secret", false, true},
	[SC_OP_SEGMENT] = {"segment", false, true},
	[SC_OP_SHIP_QUARANTINE] = {"ship.quarantine", false, true},
	[SC_OP_SHIP_STATE] = {"ship.state", false, true},
	[SC_OP_SHOW] = {"show", false},
	[SC_OP_SIGNALS] = {"signals", false},
	[SC_OP_STATUS] = {"status", false},
	[SC_OP_UNREGISTER] = {"unregister", true},
	[SC_OP_WHY] = {"why", false},
};
