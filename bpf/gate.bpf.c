/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The gate: what of a cut cgroup's packets passes, and which cut a new cgroup is born into. It is
 * attached to the supervised root, so that no one below it can take the programs away.
 */
#include "gate.bpf.h"

#include <bpf/bpf_endian.h>

char LICENSE[] SEC("license") = "GPL";

/* Answers of a cgroup_skb program. */
#define DROP 0
#define PASS 1

#define IPV6_HEADERS_MAX 8 /* extension headers looked behind */
#define GLOBS_NESTED_MAX 8 /* patterns looked at that match one path */
#define FRAGMENT_MASK    0x1fff

#define ETH_P_IP  0x0800
#define TCP_FLAGS 13 /* their offset in TCP's header */
#define TCP_SYN   0x02
#define TCP_RST   0x04
#define TCP_ACK   0x10

/* Extension headers of IPv6 (IANA protocol numbers). */
#define NEXT_HOPOPTS  0
#define NEXT_ROUTING  43
#define NEXT_FRAGMENT 44
#define NEXT_AH       51
#define NEXT_DSTOPTS  60
#define NEXT_MH       135

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, SC_GATE_GLOBS_MAX);
	__type(key, struct sc_gate_path);
	__type(value, struct sc_gate_glob);
} gate_globs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sc_gate_filter);
} gate_filter SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SC_GATE_PEERS_MAX);
	__type(key, struct sc_gate_peer);
	__type(value, __u64);
} gate_peers SEC(".maps");

/* What was read of a packet's headers. */
struct packet {
	struct sc_gate_peer peer; /* port and protocol 0: not read */
	__u32 transport;          /* offset of the header behind IP's */
	bool is_later_fragment;   /* not the first: it has no such header */
	bool is_unreadable;       /* what is behind the headers could not be found */
};

static __always_inline void read_ipv4(struct __sk_buff *skb, struct packet *p, bool is_out)
{
	struct iphdr ip;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip))) {
		p->is_unreadable = true;
		return;
	}
	p->peer.address[10] = p->peer.address[11] = 0xff;
	__builtin_memcpy(p->peer.address + 12, is_out ? &ip.daddr : &ip.saddr, 4);
	p->peer.protocol = ip.protocol;
	p->transport = ip.ihl * 4;
	p->is_later_fragment = ip.frag_off & bpf_htons(FRAGMENT_MASK);
	/* Eight bytes into a TCP header are its flags: nobody needs such a fragment but to hide
	 * them (RFC 3128). */
	p->is_unreadable = (bpf_ntohs(ip.frag_off) & FRAGMENT_MASK) == 1;
}

/* Length of an extension header in bytes (RFC 8200, RFC 4302); 0: not one that others follow. */
static __always_inline __u32 extension_length(__u8 protocol, __u8 units)
{
	switch (protocol) {
	case NEXT_HOPOPTS:
	case NEXT_ROUTING:
	case NEXT_DSTOPTS:
	case NEXT_MH:
		return (units + 1) * 8;
	case NEXT_FRAGMENT:
		return 8;
	case NEXT_AH:
		return (units + 2) * 4;
	default:
		return 0;
	}
}

static __always_inline void read_ipv6(struct __sk_buff *skb, struct packet *p, bool is_out)
{
	struct ipv6hdr ip;
	struct {
		__u8 next, units;
		__be16 fragment;
	} extension;

	if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip))) {
		p->is_unreadable = true;
		return;
	}
	__builtin_memcpy(p->peer.address, is_out ? &ip.daddr : &ip.saddr, 16);
	p->peer.protocol = ip.nexthdr;
	p->transport = sizeof(ip);
	for (int i = 0; i < IPV6_HEADERS_MAX; i++) {
		__u8 protocol = p->peer.protocol;

		if (!extension_length(protocol, 0))
			return;
		if (bpf_skb_load_bytes(skb, p->transport, &extension, sizeof(extension)))
			break;
		p->transport += extension_length(protocol, extension.units);
		p->peer.protocol = extension.next;
		if (protocol != NEXT_FRAGMENT || !(bpf_ntohs(extension.fragment) >> 3))
			continue;
		p->is_later_fragment = true;
		p->is_unreadable = bpf_ntohs(extension.fragment) >> 3 == 1;
		return;
	}
	p->is_unreadable = true;
}

static __always_inline bool has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE ||
	       protocol == IPPROTO_SCTP || protocol == IPPROTO_DCCP;
}

static __always_inline void read_packet(struct __sk_buff *skb, struct packet *p, bool is_out)
{
	__be16 ports[2];

	if (skb->protocol == bpf_htons(ETH_P_IP))
		read_ipv4(skb, p, is_out);
	else
		read_ipv6(skb, p, is_out);
	if (!has_ports(p->peer.protocol) || p->is_later_fragment || p->is_unreadable ||
	    bpf_skb_load_bytes(skb, p->transport, ports, sizeof(ports)))
		return;
	p->peer.port = bpf_ntohs(ports[is_out]);
}

enum tcp_step { TCP_NONE, TCP_FIRST, TCP_RESET, TCP_OTHER };

/*
 * Which step of a connection the packet is. What hides its TCP header (cut off before the flags,
 * behind a chain of extension headers) counts as the first: no honest sender makes such.
 */
static __always_inline enum tcp_step tcp_step(struct __sk_buff *skb, const struct packet *p)
{
	__u8 flags;

	if (p->peer.protocol != IPPROTO_TCP)
		return p->is_unreadable && !p->is_later_fragment ? TCP_FIRST : TCP_NONE;
	if (p->is_unreadable)
		return TCP_FIRST;
	if (p->is_later_fragment)
		return TCP_OTHER;
	if (bpf_skb_load_bytes(skb, p->transport + TCP_FLAGS, &flags, 1))
		return TCP_FIRST;
	if (flags & TCP_RST)
		return TCP_RESET;
	return (flags & (TCP_SYN | TCP_ACK)) == TCP_SYN ? TCP_FIRST : TCP_OTHER;
}

/* The number that passed may be over by what other CPUs let through in the same instant. */
static __always_inline bool takes_try(struct sc_gate_cut *cut)
{
	return cut->passed < cut->tries && __sync_fetch_and_add(&cut->passed, 1) < cut->tries;
}

static __always_inline bool passes(enum sc_gate_mode mode, struct sc_gate_cut *cut,
				   enum tcp_step step)
{
	switch (mode) {
	case SC_GATE_TRY:
		return step != TCP_FIRST || takes_try(cut);
	case SC_GATE_NEW:
		return step != TCP_FIRST;
	case SC_GATE_ALL:
		/* The answers of the rules that refuse come back as packets too. */
		return step == TCP_RESET;
	default:
		return false;
	}
}

static __always_inline void count_drop(struct __sk_buff *skb, struct sc_gate_cut *cut,
				       struct sc_gate_peer *peer, bool is_out)
{
	__u64 now = bpf_ktime_get_ns(), one = 1, *packets;

	__sync_fetch_and_add(is_out ? &cut->packets_out : &cut->packets_in, 1);
	__sync_fetch_and_add(is_out ? &cut->bytes_out : &cut->bytes_in, skb->len);
	if (!cut->first_ns)
		__sync_val_compare_and_swap(&cut->first_ns, 0, now);
	cut->last_ns = now;
	packets = bpf_map_lookup_elem(&gate_peers, peer);
	if (packets)
		__sync_fetch_and_add(packets, 1);
	else
		bpf_map_update_elem(&gate_peers, peer, &one, BPF_NOEXIST);
}

static __always_inline struct sc_gate_filter *filter_now(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&gate_filter, &zero);
}

/* The strongest hold on the socket's cgroup and those above it. */
static __always_inline __u64 hold_of_packet(struct __sk_buff *skb, __u32 levels)
{
	struct sc_gate_filter *filter = filter_now();
	__u64 strongest = 0, hold, id;

	if (!filter)
		return 0;
	for (__u32 level = 0; level < SC_GATE_LEVELS && levels >> level; level++) {
		if (!(levels >> level & 1))
			continue;
		id = bpf_skb_ancestor_cgroup_id(skb, level);
		if (!id) /* not as deep */
			break;
		if (!(filter->words[sc_gate_filter_word(id)] & sc_gate_filter_bit(id)))
			continue;
		hold = hold_of(id);
		if (hold > strongest)
			strongest = hold;
	}
	return strongest;
}

static __always_inline int judge(struct __sk_buff *skb, bool is_out)
{
	struct sc_gate_state *state = gate_state_now();
	struct packet p = {};
	struct sc_gate_cut *cut;
	__u64 hold;

	if (!state || !state->levels)
		return PASS;
	hold = hold_of_packet(skb, state->levels);
	if (!hold)
		return PASS;
	p.peer.cut = (__u32)hold;
	cut = bpf_map_lookup_elem(&gate_cuts, &p.peer.cut);
	if (!cut)
		return PASS;
	p.peer.serial = cut->serial;
	read_packet(skb, &p, is_out);
	if (passes(hold_mode(hold), cut, tcp_step(skb, &p)))
		return PASS;
	count_drop(skb, cut, &p.peer, is_out);
	return DROP;
}

SEC("cgroup_skb/ingress")
int gate_in(struct __sk_buff *skb)
{
	return judge(skb, false);
}

SEC("cgroup_skb/egress")
int gate_out(struct __sk_buff *skb)
{
	return judge(skb, true);
}

/* The strongest cut among the patterns that the path matches, from the longest on; its number and
 * serial in *found. */
static __always_inline struct sc_gate_cut *cut_of_path(struct sc_gate_path *path,
						       struct sc_gate_glob *found)
{
	struct sc_gate_cut *best = NULL;

	for (int i = 0; i < GLOBS_NESTED_MAX; i++) {
		struct sc_gate_glob *glob = bpf_map_lookup_elem(&gate_globs, path);
		struct sc_gate_cut *cut = glob ? cut_standing(glob->cut, glob->serial) : NULL;

		if (cut && (!best || cut->mode > best->mode)) {
			best = cut;
			*found = *glob;
		}
		if (!glob || glob->bits <= 8)
			break;
		path->bits = glob->bits - 8;
	}
	return best;
}

static __always_inline __u64 ancestor_id(struct cgroup *cgrp, __u32 level)
{
	struct cgroup *ancestor = NULL;
	void *table = (void *)cgrp + bpf_core_field_offset(struct cgroup, ancestors);

	bpf_probe_read_kernel(&ancestor, sizeof(ancestor), table + level * sizeof(ancestor));
	return ancestor ? BPF_CORE_READ(ancestor, kn, id) : 0;
}

/* True when a cgroup above it is in that cut already: what a tenant makes inside its own group
 * must not fill the map. */
static __always_inline bool is_held_above(struct cgroup *cgrp, __u32 levels, __u32 number)
{
	for (__u32 level = 0; level < SC_GATE_LEVELS && level < cgrp->level; level++) {
		__u64 hold = levels >> level & 1 ? hold_of(ancestor_id(cgrp, level)) : 0;

		if (hold && (__u32)hold == number)
			return true;
	}
	return false;
}

static __always_inline void take_in(struct sc_gate_state *state, struct cgroup *cgrp,
				    struct sc_gate_cut *cut, const struct sc_gate_glob *glob)
{
	struct sc_gate_filter *filter = filter_now();
	__u64 id = cgrp->kn->id;
	struct sc_gate_entry entry = {
		.cut = glob->cut,
		.serial = glob->serial,
		.level = cgrp->level,
		.is_made = 1,
		.born_ns = bpf_ktime_get_ns(),
	};

	if (!filter)
		return;
	if (entry.level >= SC_GATE_LEVELS) {
		__sync_fetch_and_add(&state->too_deep, 1);
		return;
	}
	__sync_fetch_and_or(&state->levels, 1U << entry.level);
	__sync_fetch_and_or(&filter->words[sc_gate_filter_word(id)], sc_gate_filter_bit(id));
	if (bpf_map_update_elem(&gates, &id, &entry, BPF_ANY))
		__sync_fetch_and_add(&state->entries_full, 1);
	else
		__sync_fetch_and_add(&cut->made, 1);
}

SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(gate_mkdir, struct cgroup *cgrp, const char *name)
{
	struct sc_gate_state *state = gate_state_now();
	struct sc_gate_path path = {};
	struct sc_gate_glob glob = {};
	struct sc_gate_cut *cut;
	long length;

	/* Ids of cgroup v1 collide with those of cgroup v2. */
	if (!state || !state->globs || cgrp->root->hierarchy_id != 0)
		return 0;
	length = bpf_probe_read_kernel_str(path.data, sizeof(path.data), name);
	if (length <= 0) {
		__sync_fetch_and_add(&state->paths_failed, 1);
		return 0;
	}
	path.bits = (__u32)length * 8;
	cut = cut_of_path(&path, &glob);
	if (cut && !is_held_above(cgrp, state->levels, glob.cut))
		take_in(state, cgrp, cut, &glob);
	return 0;
}

SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(gate_rmdir, struct cgroup *cgrp)
{
	struct sc_gate_state *state = gate_state_now();
	struct sc_gate_entry *entry;
	__u64 id;

	if (!state || !state->levels || cgrp->root->hierarchy_id != 0)
		return 0;
	id = cgrp->kn->id;
	entry = bpf_map_lookup_elem(&gates, &id);
	if (entry)
		entry->gone_ns = bpf_ktime_get_ns();
	return 0;
}
