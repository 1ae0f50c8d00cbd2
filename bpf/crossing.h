/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TCP connections between tenants of this host. When the client's end is established, before its
 * last packet of the handshake leaves, its addresses are noted with its slot; when the server's end
 * is established by that packet, they are looked for. Only sockets of tenants get here.
 */
#pragma once

#include "scram.bpf.h"
#include <bpf/bpf_endian.h>

#define AF_INET     2
#define AF_INET6    10
#define V4_MAPPED   0xffff0000U /* the third word of ::ffff:0:0/96, as it lies in memory */
#define V4_LOOPBACK 127         /* the first byte of an address */
#define V6_LOOPBACK 0x01000000U /* the last word of ::1, as it lies in memory */

#define CROSSINGS 8192 /* a power of two */
/* A lost last packet of the handshake is made good after 1 s, and 2 s after that. What is older is
 * of another connection, and its addresses may by now be somebody else's. */
#define CROSSING_NS 3000000000ULL

enum { CLIENT = 0, SERVER = 4, PORTS = 8, SPACE = 9, WORDS };

/* Both ends, IPv4 as mapped to IPv6. */
union tuple {
	__u32 word[WORDS];
	__u64 pair[WORDS / 2];
};

/*
 * At a place that the addresses determine; where two want one place the later has it. The claim
 * ties the slot to the addresses: it is 0 while they are written, and who takes it takes both.
 */
struct crossing {
	union tuple tuple;
	__u64 began_ns;
	__u64 claim; /* another part of the hash << 32 | slot of the client; 0 = none */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CROSSINGS);
	__type(key, __u32);
	__type(value, struct crossing);
} crossings SEC(".maps");

static __always_inline void put_v4(__u32 *to, __be32 address)
{
	to[0] = to[1] = 0;
	to[2] = V4_MAPPED;
	to[3] = address;
}

static __always_inline void put_v6(__u32 *to, const struct in6_addr *address)
{
#pragma unroll
	for (int i = 0; i < 4; i++)
		to[i] = address->in6_u.u6_addr32[i];
}

static __always_inline bool is_loopback(const __u32 *address)
{
	if (address[0] || address[1])
		return false;
	if (address[2] == V4_MAPPED)
		return (address[3] & 0xff) == V4_LOOPBACK;
	return !address[2] && address[3] == V6_LOOPBACK;
}

/*
 * Loopback addresses mean another host in each network namespace. Others are taken to be one
 * host's, so that a connection from one namespace to another is seen.
 */
static __always_inline void fill_tuple(union tuple *t, const struct sock *sk, bool is_client)
{
	const struct sock_common *c = &sk->__sk_common;
	__u32 *local = &t->word[is_client ? CLIENT : SERVER];
	__u32 *remote = &t->word[is_client ? SERVER : CLIENT];
	__u32 near = c->skc_num, far = bpf_ntohs(c->skc_dport);

	if (c->skc_family == AF_INET) {
		put_v4(local, c->skc_rcv_saddr);
		put_v4(remote, c->skc_daddr);
	} else if (bpf_core_field_exists(c->skc_v6_daddr)) {
		put_v6(local, &c->skc_v6_rcv_saddr);
		put_v6(remote, &c->skc_v6_daddr);
	}
	t->word[PORTS] = is_client ? near << 16 | far : far << 16 | near;
	t->word[SPACE] = is_loopback(local) ? c->skc_net.net->ns.inum : 0;
}

static __always_inline __u64 hash_tuple(const union tuple *t)
{
	__u64 hash = 0;

#pragma unroll
	for (int i = 0; i < WORDS / 2; i++) {
		hash = (hash ^ t->pair[i]) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 32;
	}
	return hash;
}

static __always_inline bool is_equal(const union tuple *a, const union tuple *b)
{
	__u64 differs = 0;

#pragma unroll
	for (int i = 0; i < WORDS / 2; i++)
		differs |= a->pair[i] ^ b->pair[i];
	return !differs;
}

static __always_inline void crossing_began(struct crossing *c, const union tuple *t, __u64 claim)
{
	__sync_lock_test_and_set(&c->claim, 0);
	c->tuple = *t;
	c->began_ns = bpf_ktime_get_ns();
	__sync_lock_test_and_set(&c->claim, claim);
}

/* The slot of the client that noted these addresses, once; SC_SLOT_NONE when none did. */
static __always_inline __u32 crossing_take(struct crossing *c, const union tuple *t, __u64 claim)
{
	__u64 now = c->claim;

	if (now >> 32 != claim >> 32 || !is_equal(&c->tuple, t) ||
	    bpf_ktime_get_ns() - c->began_ns > CROSSING_NS)
		return SC_SLOT_NONE;
	if (__sync_val_compare_and_swap(&c->claim, now, 0) != now)
		return SC_SLOT_NONE;
	return (__u32)now;
}

/* An end of a connection is established, in a slot that has a tenant. */
static __always_inline void crossing_look(const struct sock *sk, __u32 slot, bool is_client)
{
	union tuple t = {};
	struct crossing *c;
	__u64 hash, claim;
	__u32 place, from;

	fill_tuple(&t, sk, is_client);
	hash = hash_tuple(&t);
	place = hash & (CROSSINGS - 1);
	c = bpf_map_lookup_elem(&crossings, &place);
	if (!c)
		return;
	claim = (hash >> 32 | 1) << 32 | slot;
	if (is_client) {
		crossing_began(c, &t, claim);
		return;
	}
	from = crossing_take(c, &t, claim);
	if (tenant_of(from) && tenant_of(from) != tenant_of(slot))
		count(from, tenant_cross_connects, 1);
}
