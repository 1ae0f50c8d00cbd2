/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sockets that send below IP, where the gate does not see them: processes of a cut cgroup can make
 * none, and send through none that they have. Needs an LSM that takes BPF programs.
 */
#include "gate.bpf.h"

#define AF_PACKET 17
#define AF_XDP    44
#define EPERM     1

char LICENSE[] SEC("license") = "GPL";

/* A cut that lets no packet pass holds the current task's cgroup, or one above it. */
static __always_inline bool is_current_shut(struct sc_gate_state *state)
{
	__u32 levels = state->levels;

	for (__u32 level = 0; level < SC_GATE_LEVELS && levels >> level; level++) {
		if (levels >> level & 1 &&
		    hold_mode(hold_of(bpf_get_current_ancestor_cgroup_id(level))) >= SC_GATE_ALL)
			return true;
	}
	return false;
}

static __always_inline int refusal(int family)
{
	struct sc_gate_state *state = gate_state_now();

	if ((family != AF_PACKET && family != AF_XDP) || !state || !state->levels)
		return 0;
	if (!is_current_shut(state))
		return 0;
	__sync_fetch_and_add(&state->denied, 1);
	return -EPERM;
}

SEC("lsm/socket_create")
int BPF_PROG(packet_create, int family, int type, int protocol, int kern, int before)
{
	return before || kern ? before : refusal(family);
}

SEC("lsm/socket_sendmsg")
int BPF_PROG(packet_send, struct socket *sock, struct msghdr *msg, int size, int before)
{
	struct sock *sk = sock->sk;

	return before || !sk ? before : refusal(sk->__sk_common.skc_family);
}
