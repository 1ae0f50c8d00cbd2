/* SPDX-License-Identifier: Apache-2.0 */
/* One socket of netpeer, of any protocol: how a message goes out and comes back. */
#pragma once

#include "netframe.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <unistd.h>

/* Some 10,000 datagrams: a peer that gets no processor for a while loses none of them. */
#define RECEIVE_ROOM (8 * 1024 * 1024)

/* LOOSE: UDP that is not connected; each datagram says where it goes. */
enum proto { TCP, UDP, LOOSE, ICMP, UNIX, PACKET, PROTO_COUNT };
enum role { FREE, LISTENER, SINK, SERVED, CLIENT };

static const char *const PROTOS[] = {[TCP] = "tcp",   [UDP] = "udp",   [LOOSE] = "loose",
				     [ICMP] = "icmp", [UNIX] = "unix", [PACKET] = "packet"};

struct place {
	enum role role;
	enum proto proto;
	int fd;
	union address to;
	unsigned int ifindex; /* PACKET */
	union address from;   /* PACKET */
	uint32_t seq;
	unsigned char part[2048]; /* an echo that comes in pieces */
	size_t part_len;
};

static inline int make_socket(enum proto proto, int family)
{
	static const int types[] = {
		[TCP] = SOCK_STREAM, [UDP] = SOCK_DGRAM,   [LOOSE] = SOCK_DGRAM,
		[ICMP] = SOCK_RAW,   [UNIX] = SOCK_STREAM, [PACKET] = SOCK_DGRAM};
	const int room = RECEIVE_ROOM;
	int number = 0, fd;

	if (proto == ICMP)
		number = family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	fd = socket(proto == PACKET ? AF_PACKET : family,
		    types[proto] | SOCK_CLOEXEC | SOCK_NONBLOCK, number);
	if (types[proto] != SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	return fd;
}

static inline ssize_t send_frame(struct place *c, const struct message *m)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_ifindex = (int)c->ifindex, .sll_halen = ETH_ALEN};
	unsigned char frame[FRAME_MAX];
	size_t n = frame_udp(frame, &c->from, &c->to, m);

	memset(to.sll_addr, 0xff, ETH_ALEN);
	to.sll_protocol = htons(c->to.any.sa_family == AF_INET ? ETHERTYPE_IP : ETHERTYPE_IPV6);
	return sendto(c->fd, frame, n, 0, (struct sockaddr *)&to, sizeof(to));
}

static inline ssize_t send_ping(struct place *c, const struct message *m)
{
	unsigned char frame[FRAME_MAX];
	size_t n = frame_ping(frame, c->to.any.sa_family == AF_INET, m);

	return send(c->fd, frame, n, MSG_NOSIGNAL);
}

/* Sends the next message; 0 or errno. */
static inline int send_next(struct place *c)
{
	struct message m = {.magic = FRAME_MAGIC, .seq = ++c->seq};
	ssize_t n;

	if (c->proto == PACKET)
		n = send_frame(c, &m);
	else if (c->proto == ICMP)
		n = send_ping(c, &m);
	else if (c->proto == LOOSE)
		n = sendto(c->fd, &m, sizeof(m), 0, &c->to.any, address_len(&c->to));
	else
		n = send(c->fd, &m, sizeof(m), MSG_NOSIGNAL);
	return n < 0 ? errno : 0;
}

/* Takes in what one read gives: 0 with *seq of an echo (0 = none was whole), or errno. */
static inline int read_echo(struct place *c, uint32_t *seq)
{
	const bool is_stream = c->proto == TCP || c->proto == UNIX;
	size_t size = is_stream ? sizeof(struct message) - c->part_len : sizeof(c->part);
	ssize_t n = recv(c->fd, c->part + c->part_len, size, 0);
	struct message m;

	*seq = 0;
	if (n < 0)
		return errno;
	if (is_stream && n == 0)
		return ENODATA;
	if (c->proto == ICMP) {
		*seq = frame_pong(c->to.any.sa_family == AF_INET, c->part, (size_t)n);
		return 0;
	}
	c->part_len += (size_t)n;
	if (is_stream && c->part_len < sizeof(m))
		return 0;
	memcpy(&m, c->part, sizeof(m));
	*seq = c->part_len == sizeof(m) && m.magic == FRAME_MAGIC ? m.seq : 0;
	c->part_len = 0;
	return 0;
}

/* The address and interface that the kernel would send from: what a packet socket must say. */
static inline bool find_source(struct place *c)
{
	int fd = make_socket(UDP, c->to.any.sa_family);
	socklen_t len = sizeof(c->from);
	struct ifaddrs *all = NULL;

	if (connect(fd, &c->to.any, address_len(&c->to)) || getsockname(fd, &c->from.any, &len) ||
	    getifaddrs(&all))
		all = NULL;
	close(fd);
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		const union address *a = (const void *)i->ifa_addr;

		if (!a || a->any.sa_family != c->to.any.sa_family)
			continue;
		if (a->any.sa_family == AF_INET
			    ? a->v4.sin_addr.s_addr == c->from.v4.sin_addr.s_addr
			    : IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &c->from.v6.sin6_addr))
			c->ifindex = if_nametoindex(i->ifa_name);
	}
	freeifaddrs(all);
	return c->ifindex != 0;
}

static inline enum proto proto_of(const char *name)
{
	enum proto proto = TCP;

	while (proto < PROTO_COUNT && strcmp(PROTOS[proto], name))
		proto++;
	return proto;
}
