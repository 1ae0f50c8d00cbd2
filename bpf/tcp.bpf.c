/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Family `tcp`: connections, counted for the cgroup that made the socket; an accepted one belongs
 * to the cgroup of its listener. Both address families.
 */
#include "scram.bpf.h"

#define AF_INET     2
#define AF_INET6    10
#define IPPROTO_TCP 6

/* Connects under way: when each began. The key is the socket's address. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u64);
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

static __always_inline void connect_began(__u64 key, __u32 slot)
{
	__u64 now = bpf_ktime_get_ns();

	count(slot, tcp_connects, 1);
	if (bpf_map_update_elem(&connects, &key, &now, BPF_ANY))
		sc_stat_up(connects_full);
}

/* When the connect of this socket began; 0 when none is under way. Ends it. */
static __always_inline __u64 connect_take(__u64 key)
{
	__u64 *entry = bpf_map_lookup_elem(&connects, &key), began;

	if (!entry)
		return 0;
	/* 0 first: the deletion may be refused (see process_forget), and the address will be used
	 * again. */
	began = __sync_lock_test_and_set(entry, 0);
	bpf_map_delete_elem(&connects, &key);
	return began;
}

__noinline int count_latency(__u32 slot, __u64 us)
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
		__sync_fetch_and_add(&c->tcp_connect_us, us);
		if (bucket < SC_LATENCY_BUCKETS)
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
	__u64 key = (__u64)sk, began;
	bool connecting;
	__u32 slot;

	if (!is_of_interest(from, to))
		return 0;
	slot = slot_of_socket(sk);
	if (slot == SC_SLOT_NONE)
		return 0;
	if (to == TCP_SYN_SENT) {
		connect_began(key, slot);
		return 0;
	}
	if (from == TCP_ESTABLISHED) {
		count(slot, tcp_established, -1);
		return 0;
	}
	/* SYN_RECV follows SYN_SENT when both ends connect at once: still a connect of ours. */
	began = connect_take(key);
	connecting = from == TCP_SYN_SENT || began;
	if (to == TCP_ESTABLISHED) {
		count(slot, tcp_established, 1);
		if (!connecting)
			count(slot, tcp_accepts, 1);
		if (began)
			count_latency(slot, (bpf_ktime_get_ns() - began) / 1000);
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
