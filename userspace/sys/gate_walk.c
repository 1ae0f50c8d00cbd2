/* SPDX-License-Identifier: Apache-2.0 */
/* What takes a walk through the gate's maps: the audit, and the remote ends. */
#include "sys/gate_impl.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

/* Entries asked for in one system call: more than can fall into one bucket of the hash. */
#define BATCH 256

int sc_gate_walk(const struct sc_gate *g, sc_gate_visit_fn *visit, void *ctx)
{
	struct sc_gate_entry entries[BATCH];
	uint64_t ids[BATCH];
	uint32_t at = 0, *from = NULL;
	bool is_last = false;

	while (!is_last) {
		uint32_t n = BATCH;

		if (bpf_map_lookup_batch(g->fds[SC_GATE_MAP_GATES], from, &at, ids, entries, &n,
					 NULL) < 0) {
			if (errno != ENOENT)
				return -errno;
			is_last = true;
		}
		from = &at;
		for (uint32_t i = 0; i < n; i++) {
			int err = visit(ctx, ids[i], &entries[i]);

			if (err)
				return err;
		}
	}
	return 0;
}

struct gone {
	uint64_t id, gone_ns;
	uint32_t cut;
};

struct audit {
	struct gone *gone; /* room for SC_GATE_ENTRIES_MAX */
	uint32_t gone_n, entries;
};

static int look_at(void *ctx, uint64_t cgroup_id, const struct sc_gate_entry *entry)
{
	struct audit *a = ctx;

	a->entries++;
	if (entry->gone_ns && a->gone_n < SC_GATE_ENTRIES_MAX)
		a->gone[a->gone_n++] = (struct gone){cgroup_id, entry->gone_ns, entry->cut};
	return 0;
}

/* By cut, the latest first. */
static int compare_gone(const void *a, const void *b)
{
	const struct gone *x = a, *y = b;

	if (x->cut != y->cut)
		return x->cut < y->cut ? -1 : 1;
	return (x->gone_ns < y->gone_ns) - (x->gone_ns > y->gone_ns);
}

static uint32_t forget_oldest(const struct sc_gate *g, struct audit *a)
{
	uint32_t forgotten = 0, of_cut = 0;

	qsort(a->gone, a->gone_n, sizeof(*a->gone), compare_gone);
	for (uint32_t i = 0; i < a->gone_n; i++) {
		of_cut = i && a->gone[i].cut == a->gone[i - 1].cut ? of_cut + 1 : 1;
		if (of_cut > SC_GATE_GONE_MAX &&
		    bpf_map_delete_elem(g->fds[SC_GATE_MAP_GATES], &a->gone[i].id) == 0)
			forgotten++;
	}
	return forgotten;
}

int sc_gate_audit(const struct sc_gate *g, struct sc_gate_health *out)
{
	_cleanup_free_ struct gone *gone = calloc(SC_GATE_ENTRIES_MAX, sizeof(*gone));
	struct sc_gate_health health = {.lost = 0};
	struct audit a = {.gone = gone};
	int err;

	if (!gone)
		return -ENOMEM;
	sc_gate_faults(g, &health);
	err = sc_gate_walk(g, look_at, &a);
	if (err)
		return err;
	health.forgotten = forget_oldest(g, &a);
	health.entries = a.entries - health.forgotten;
	health.state = *g->state;
	*out = health;
	return 0;
}

static void offer(const struct sc_gate *g, struct sc_gate_top *tops,
		  const struct sc_gate_peer *peer, uint64_t packets)
{
	struct sc_gate_top *top;

	if (peer->cut >= SC_GATE_CUTS_MAX || peer->serial != g->cuts[peer->cut].serial)
		return;
	top = &tops[peer->cut];
	if (packets > top->packets)
		*top = (struct sc_gate_top){packets, *peer};
}

int sc_gate_tops(const struct sc_gate *g, struct sc_gate_top *tops)
{
	struct sc_gate_peer peers[BATCH];
	uint64_t packets[BATCH];
	uint32_t at = 0, *from = NULL;
	bool is_last = false;

	memset(tops, 0, SC_GATE_CUTS_MAX * sizeof(*tops));
	while (!is_last) {
		uint32_t n = BATCH;

		if (bpf_map_lookup_batch(g->fds[SC_GATE_MAP_PEERS], from, &at, peers, packets, &n,
					 NULL) < 0) {
			if (errno != ENOENT)
				return -errno;
			is_last = true;
		}
		from = &at;
		for (uint32_t i = 0; i < n; i++)
			offer(g, tops, &peers[i], packets[i]);
	}
	return 0;
}

static const char *protocol_name(uint8_t protocol, char other[static 8])
{
	switch (protocol) {
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_ICMPV6:
		return "icmpv6";
	case IPPROTO_SCTP:
		return "sctp";
	default:
		snprintf(other, 8, "ip%u", protocol);
		return other;
	}
}

void sc_gate_peer_text(const struct sc_gate_peer *peer, char out[static SC_GATE_PEER_TEXT_MAX])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	bool is_ipv4 = memcmp(peer->address, mapped, sizeof(mapped)) == 0;
	bool has_brackets = !is_ipv4 && peer->port;
	char address[INET6_ADDRSTRLEN] = "?", other[8], port[8] = "";

	inet_ntop(is_ipv4 ? AF_INET : AF_INET6, peer->address + (is_ipv4 ? 12 : 0), address,
		  sizeof(address));
	if (peer->port)
		snprintf(port, sizeof(port), ":%u", peer->port);
	snprintf(out, SC_GATE_PEER_TEXT_MAX, "%s%s%s%s/%s", has_brackets ? "[" : "", address,
		 has_brackets ? "]" : "", port, protocol_name(peer->protocol, other));
}
