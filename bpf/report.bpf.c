// SPDX-License-Identifier: GPL-2.0-only
/*
 * The filter of the notify socket. It runs in the program that sends, before its datagram takes a
 * place in the queue, of which there are ten (net.unix.max_dgram_qlen): what a cgroup sends over
 * its allowance ends here, at its own cost, and leaves the places to others.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

#define CGROUPS_MAX 4096 /* that report; the longest silent one is forgotten for another */
#define KEEP_WHOLE  -1

const volatile __u64 report_cost_ns = 1;  /* what one datagram takes of the allowance */
const volatile __u64 report_burst_ns = 1; /* what the allowance grows to */

__u64 reports_refused = 0; /* of all */

/* Two CPUs may let one datagram too many pass between them: nothing depends on the exact number. */
struct report_sender {
	__u64 paid_ns; /* CLOCK_MONOTONIC up to which the allowance is used up */
	__u64 refused;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CGROUPS_MAX);
	__type(key, __u64);
	__type(value, struct report_sender);
} report_senders SEC(".maps");

SEC("socket")
int limit_reports(struct __sk_buff *skb)
{
	__u64 id = bpf_get_current_cgroup_id();
	__u64 now = bpf_ktime_get_ns();
	__u64 from = now > report_burst_ns ? now - report_burst_ns : 0;
	struct report_sender *sender = bpf_map_lookup_elem(&report_senders, &id);
	struct report_sender fresh = {};

	(void)skb;
	if (!sender) {
		fresh.paid_ns = from + report_cost_ns;
		bpf_map_update_elem(&report_senders, &id, &fresh, BPF_NOEXIST);
		return KEEP_WHOLE;
	}
	if (sender->paid_ns > from)
		from = sender->paid_ns;
	if (from + report_cost_ns > now) {
		__sync_fetch_and_add(&sender->refused, 1);
		__sync_fetch_and_add(&reports_refused, 1);
		return 0;
	}
	sender->paid_ns = from + report_cost_ns;
	return KEEP_WHOLE;
}
