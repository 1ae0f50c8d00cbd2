/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Family `tcp`: connections, counted for the cgroup that made the socket; an accepted one belongs
 * to the cgroup of its listener. Both address families.
 */
#include "crossing.h"

#define IPPROTO_TCP 6

#define CONNECTS 8192 /* a power of two */

/*
 * Connects under way: when each began, at a place that its socket's address determines. Where two
 * want one place the later has it, and the earlier's latency is lost: counted, and much cheaper
 * than a hash map.
 */
struct connect {
	__u64 socket;
	__u64 began_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CONNECTS);
	__type(key, __u32);
	__type(value, struct connect);
} connects SEC(".maps");

/* SC_SLOT_NONE for a socket that is none of ours: no TCP, not supervised, or absent, which reads as
 * zeros.
 */
static __always_inline __u32 slot_of_socket(const struct sock *sk)
{
	if (!sk ||
	    (sk->__sk_common.skc_family != AF_INET && sk->__sk_common.skc_family != AF_INET6))
		return SC_SLOT_NONE;
	/* Request and time-wait sockets end before the fields that are read below. */
	if (sk->__sk_common.skc_state == TCP_NEW_SYN_RECV ||
	    sk->__sk_common.skc_state == TCP_TIME_WAIT)
		return SC_SLOT_NONE;
	if (sk->sk_protocol != IPPROTO_TCP)
		return SC_SLOT_NONE;
	return slot_of(sk->sk_cgrp_data.cgroup);
}

/* The socket's address as a number: the verifier lets pointers be subtracted and nothing else. */
static __always_inline __u64 number_of(const struct sock *sk)
{
	__u64 number = (__u64)sk, base = (__u64)&sc_config;

	barrier_var(number);
	barrier_var(base);
	return number - base;
}

static __always_inline struct connect *connect_at(__u64 socket)
{
	/* Fibonacci hashing: sockets lie at multiples of their size. */
	__u32 place = (socket >> 6) * 0x9e3779b97f4a7c15ULL >> 51 & (CONNECTS - 1);

	return bpf_map_lookup_elem(&connects, &place);
}

static __always_inline void connect_began(__u64 socket, __u32 slot)
{
	struct connect *c = connect_at(socket);

	count(slot, tcp_connects, 1);
	if (!c)
		return;
	if (c->socket && c->socket != socket)
		sc_stat_up(connects_full);
	c->began_ns = bpf_ktime_get_ns();
	c->socket = socket;
}

/* When the connect of this socket began; 0 when that is not known. Ends it. */
static __always_inline __u64 connect_take(__u64 socket)
{
	struct connect *c = connect_at(socket);

	if (!c || c->socket != socket)
		return 0;
	c->socket = 0;
	return c->began_ns;
}

/* All that an established connection adds, in one go; us is 0 where the latency is not known. */
__noinline int count_established(__u32 slot, bool accepted, __u64 us)
{
	struct sc_node *node = node_at(slot);
	struct sc_counts *c;
	__u32 bucket = 0;

	if (!node)
		return 0;
	while (bucket < SC_LATENCY_BUCKETS - 1 && us >= 64ULL << bucket)
		bucket++;
	for_each_counts(c, node)
	{
		__sync_fetch_and_add(&c->tcp_established, 1);
		if (accepted)
			__sync_fetch_and_add(&c->tcp_accepts, 1);
		else
			__sync_fetch_and_add(&c->tcp_connect_successes, 1);
		if (!us || bucket >= SC_LATENCY_BUCKETS)
			continue;
		__sync_fetch_and_add(&c->tcp_connect_us, us);
		__sync_fetch_and_add(&c->tcp_connect_latency[bucket], 1);
	}
	return 0;
}

/* Most changes begin or end nothing; they pass before anything is looked up. */
static __always_inline bool is_of_interest(int from, int to)
{
	return to == TCP_SYN_SENT || to == TCP_ESTABLISHED || from == TCP_ESTABLISHED ||
	       (to == TCP_CLOSE && (from == TCP_SYN_SENT || from == TCP_SYN_RECV));
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_state_changed, const struct sock *sk, int from, int to)
{
	__u64 socket, began, us = 0;
	bool connecting;
	__u32 slot;

	if (!is_of_interest(from, to))
		return 0;
	slot = slot_of_socket(sk);
	if (slot == SC_SLOT_NONE)
		return 0;
	socket = number_of(sk);
	if (to == TCP_SYN_SENT) {
		connect_began(socket, slot);
		return 0;
	}
	if (from == TCP_ESTABLISHED) {
		count(slot, tcp_established, -1);
		return 0;
	}
	/* SYN_RECV follows SYN_SENT when both ends connect at once: still a connect of ours. */
	began = connect_take(socket);
	connecting = from == TCP_SYN_SENT || began;
	if (to == TCP_ESTABLISHED) {
		if (began) /* what takes less than 1 us took 1 */
			us = (bpf_ktime_get_ns() - began) / 1000 ?: 1;
		count_established(slot, !connecting, us);
		if (tenant_of(slot))
			crossing_look(sk, slot, connecting);
	} else if (connecting) {
		count(slot, tcp_connect_failures, 1);
	}
	return 0;
}

SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(tcp_sent_again, const struct sock *sk)
{
	__u32 slot = slot_of_socket(sk);

	if (slot != SC_SLOT_NONE)
		count(slot, tcp_retransmits, 1);
	return 0;
}

/* For a segment that belongs to no socket the kernel passes none; such a reset is nobody's. */
SEC("tp_btf/tcp_send_reset")
int BPF_PROG(tcp_reset_sent, const struct sock *sk)
{
	__u32 slot = slot_of_socket(sk);

	if (slot != SC_SLOT_NONE)
		count(slot, tcp_resets_sent, 1);
	return 0;
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(tcp_reset_received, const struct sock *sk)
{
	__u32 slot = slot_of_socket(sk);

	if (slot != SC_SLOT_NONE)
		count(slot, tcp_resets_received, 1);
	return 0;
}
