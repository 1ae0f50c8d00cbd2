/* SPDX-License-Identifier: Apache-2.0 */
/* What netpeer sends: addresses, the message that is echoed, and the datagrams made by hand. */
#pragma once

#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define FRAME_MAGIC   0x7363726dU
#define FRAME_ICMP_ID 0x5343
#define FRAME_MAX     128

struct message {
	uint32_t magic, seq, unused[2];
};

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un un;
};

static inline socklen_t address_len(const union address *a)
{
	switch (a->any.sa_family) {
	case AF_INET:
		return sizeof(a->v4);
	case AF_INET6:
		return sizeof(a->v6);
	default:
		return sizeof(a->un);
	}
}

/* What is neither an IPv4 nor an IPv6 address is the path of a unix socket. */
static inline union address address_parse(const char *text, const char *port)
{
	union address a = {.any.sa_family = AF_UNIX};
	uint16_t number = htons((uint16_t)strtoul(port, NULL, 10));

	if (inet_pton(AF_INET, text, &a.v4.sin_addr) == 1) {
		a.v4.sin_family = AF_INET;
		a.v4.sin_port = number;
	} else if (inet_pton(AF_INET6, text, &a.v6.sin6_addr) == 1) {
		a.v6.sin6_family = AF_INET6;
		a.v6.sin6_port = number;
	} else {
		snprintf(a.un.sun_path, sizeof(a.un.sun_path), "%s", text);
	}
	return a;
}

/* One's complement sum of RFC 1071, of an even number of bytes. */
static inline uint32_t frame_sum(uint32_t sum, const void *data, size_t n)
{
	const unsigned char *at = (const unsigned char *)data;

	for (size_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)(at[i] << 8 | at[i + 1]);
	return sum;
}

static inline uint16_t frame_sum_end(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* UDP in IP from one address to another, for a packet socket; returns the length. */
static inline size_t frame_udp(unsigned char out[static FRAME_MAX], const union address *from,
			       const union address *to, const struct message *m)
{
	const bool is_v4 = to->any.sa_family == AF_INET;
	struct udphdr udp = {.source = htons(9), .len = htons(sizeof(udp) + sizeof(*m))};
	struct ip v4 = {.ip_hl = 5, .ip_v = 4, .ip_ttl = 64, .ip_p = IPPROTO_UDP};
	struct ip6_hdr v6 = {.ip6_plen = udp.len};
	size_t head = is_v4 ? sizeof(v4) : sizeof(v6);
	uint32_t sum = IPPROTO_UDP + sizeof(udp) + sizeof(*m);

	udp.dest = is_v4 ? to->v4.sin_port : to->v6.sin6_port;
	v4.ip_len = htons(sizeof(v4) + sizeof(udp) + sizeof(*m));
	v4.ip_src = from->v4.sin_addr;
	v4.ip_dst = to->v4.sin_addr;
	v4.ip_sum = frame_sum_end(frame_sum(0, &v4, sizeof(v4)));
	v6.ip6_vfc = 6 << 4;
	v6.ip6_nxt = IPPROTO_UDP;
	v6.ip6_hlim = 64;
	v6.ip6_src = from->v6.sin6_addr;
	v6.ip6_dst = to->v6.sin6_addr;
	sum = frame_sum(sum, &v6.ip6_src, 2 * sizeof(v6.ip6_src));
	sum = frame_sum(sum, &udp, sizeof(udp));
	if (!is_v4) /* optional over IPv4 */
		udp.check = frame_sum_end(frame_sum(sum, m, sizeof(*m)));
	memcpy(out, is_v4 ? (void *)&v4 : (void *)&v6, head);
	memcpy(out + head, &udp, sizeof(udp));
	memcpy(out + head + sizeof(udp), m, sizeof(*m));
	return head + sizeof(udp) + sizeof(*m);
}

/* An ICMP echo request; for IPv6 the kernel fills in the checksum. */
static inline size_t frame_ping(unsigned char out[static FRAME_MAX], bool is_v4,
				const struct message *m)
{
	struct icmphdr head = {.type = is_v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST};

	head.un.echo.id = htons(FRAME_ICMP_ID);
	head.un.echo.sequence = htons((uint16_t)m->seq);
	head.checksum = frame_sum_end(frame_sum(frame_sum(0, &head, sizeof(head)), m, sizeof(*m)));
	memcpy(out, &head, sizeof(head));
	memcpy(out + sizeof(head), m, sizeof(*m));
	return sizeof(head) + sizeof(*m);
}

/* The sequence number of our echo reply as a raw socket gives it; 0 = it is something else. */
static inline uint32_t frame_pong(bool is_v4, const unsigned char *data, size_t n)
{
	size_t skip = is_v4 && n ? (size_t)(data[0] & 15) * 4 : 0;
	struct icmphdr head;

	if (n < skip + sizeof(head))
		return 0;
	memcpy(&head, data + skip, sizeof(head));
	if (head.type != (is_v4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) ||
	    head.un.echo.id != htons(FRAME_ICMP_ID))
		return 0;
	return ntohs(head.un.echo.sequence);
}
