/* SPDX-License-Identifier: Apache-2.0 */
/* The netlink socket to nf_tables of one network namespace. */
#include "sys/nft_impl.h"

#include "sys/netns.h"

#include <errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <string.h>
#include <sys/socket.h>

/* What the kernel sends at once is at most 32 KiB (netlink_dump() in net/netlink/af_netlink.c). */
#define IN_SIZE (64 * 1024)
/* Answers to the questions after a change wait here until they are read: some 200 bytes each. */
#define RECEIVE_BUFFER (1024 * 1024)
#define SEND_BUFFER    (256 * 1024)
/* A request is a small fraction of this; more would be our mistake. */
#define SEND_MAX (16 * 1024 * 1024)

/* Within sc_netns_run: in the namespace whose rules are meant. */
static int connect_there(void *arg)
{
	struct nl_sock *sock = arg;

	nl_socket_set_local_port(sock, 0); /* the kernel chooses */
	return nl_connect(sock, NETLINK_NETFILTER) < 0 ? -(errno ? errno : EIO) : 0;
}

/* With the right to, past the limit of the host; else up to it. */
static void set_buffer(int fd, int force, int plain, int size)
{
	if (setsockopt(fd, SOL_SOCKET, force, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, plain, &size, sizeof(size));
}

int sc_nft_socket_open(struct sc_nft_socket *s, int netns_fd)
{
	int on = 1, r;

	*s = (struct sc_nft_socket){.fd = -1, .send_size = SEND_BUFFER};
	s->sock = nl_socket_alloc();
	s->in = malloc(IN_SIZE);
	if (!s->sock || !s->in)
		return -ENOMEM;
	errno = 0;
	r = netns_fd < 0 ? connect_there(s->sock) : sc_netns_run(netns_fd, connect_there, s->sock);
	if (r < 0)
		return r;
	s->fd = nl_socket_get_fd(s->sock);
	set_buffer(s->fd, SO_RCVBUFFORCE, SO_RCVBUF, RECEIVE_BUFFER);
	set_buffer(s->fd, SO_SNDBUFFORCE, SO_SNDBUF, SEND_BUFFER);
	/* Refusals in words, and without a copy of what was refused. */
	(void)setsockopt(s->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	(void)setsockopt(s->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	return 0;
}

void sc_nft_socket_done(struct sc_nft_socket *s)
{
	nl_socket_free(s->sock);
	free(s->in);
	s->sock = NULL;
	s->in = NULL;
}

static int send_batch(struct sc_nft_socket *s, const struct sc_nft_batch *b)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t n;

	if (b->len > SEND_MAX)
		return -EMSGSIZE;
	/* The kernel takes a request only whole, with some room for its own bookkeeping. */
	if (2 * b->len > (size_t)s->send_size) {
		s->send_size = (int)(4 * b->len);
		set_buffer(s->fd, SO_SNDBUFFORCE, SO_SNDBUF, s->send_size);
	}
	do
		n = sendto(s->fd, b->data, b->len, 0, (void *)&kernel, sizeof(kernel));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* Never waits: see enum sc_nft_exchange. */
static int receive(struct sc_nft_socket *s, struct sc_nft_reply *r)
{
	bool is_lost = false;

	while (!r->is_done) {
		ssize_t n = recv(s->fd, s->in, IN_SIZE, MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ENOBUFS)
			is_lost = true; /* told once; what was not lost is still there */
		else if (n < 0)
			return errno == EAGAIN ? -ENOBUFS : -errno;
		else
			sc_nft_reply_feed(r, s->in, SC_MIN((size_t)n, (size_t)IN_SIZE));
	}
	return is_lost ? -ENOBUFS : r->error;
}

int sc_nft_exchange(struct sc_nft_socket *s, struct sc_nft_batch *b, struct sc_nft_reply *r)
{
	const struct nlmsghdr *last = (const void *)(b->data + b->last);
	int e = b->error;

	if (!e) {
		r->first = b->first;
		r->last = last->nlmsg_seq;
		e = send_batch(s, b);
	}
	if (!e)
		e = receive(s, r);
	if (e == -ENOBUFS)
		snprintf(r->text, sizeof(r->text), "answers of nf_tables were lost");
	else if (e < 0 && !*r->text)
		snprintf(r->text, sizeof(r->text), "netlink: %s", strerror(-e));
	return e;
}
