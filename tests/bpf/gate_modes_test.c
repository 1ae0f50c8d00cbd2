/* SPDX-License-Identifier: Apache-2.0 */
/* The weaker modes, what counts as a new connection, and which of several cuts decides. */
#include "gate_kit.h"

#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>

TestSuite(gate_modes, .init = gate_init, .fini = gate_fini, .timeout = 300);

Test(gate_modes, new_refuses_new_connections_and_nothing_else)
{
	int web = gate_mkdir("web"), inside = gate_listener(web, AF_INET);
	int outside = gate_listener(-1, AF_INET), in = gate_udp(web, AF_INET);
	int out = gate_udp(-1, AF_INET), client, server;

	gate_connect(web, outside, &client, &server);
	gate_cut_one(web, 1, SC_GATE_NEW);
	cr_expect_not(gate_connects(web, outside));
	cr_expect_not(gate_connects(-1, inside));
	cr_expect_not(gate_connects(web, gate_listener(-1, AF_INET6)));
	cr_expect_eq(send(client, "x", 1, 0), 1);
	cr_expect_eq(gate_drain(server), 1, "established connections go on");
	cr_expect(gate_reaches(in, out));
	cr_expect(gate_reaches(out, in));
	close(server);
	gate_settle();
	cr_expect_eq(recv(client, &(char){0}, 1, 0), 0, "and end");
}

Test(gate_modes, try_lets_so_many_through_and_a_new_attempt_as_many_again)
{
	int web = gate_mkdir("web"), outside = gate_listener(-1, AF_INET);
	const struct sc_gate_cut *cut = sc_gate_cut(kit_gate.gate, 1);
	struct sc_gate_wish wish = {
		.number = 1, .mode = SC_GATE_TRY, .fire_id = "f", .name = "component checkout"};

	for (uint32_t tries = 0; tries < 5; tries++) {
		wish.tries = tries;
		wish.attempt = tries + 1;
		cr_assert_eq(sc_gate_set(kit_gate.gate, &wish), 0);
		if (!tries)
			gate_put(web, 1);
		for (uint32_t i = 0; i < tries; i++)
			cr_expect(gate_connects(web, outside), "%u of %u", i, tries);
		cr_expect_not(gate_connects(web, outside), "%u were allowed", tries);
		cr_expect_eq(cut->passed, tries);
		cr_assert_eq(sc_gate_set(kit_gate.gate, &wish), 0, "the same attempt told again");
		cr_expect_not(gate_connects(web, outside), "is not a new one");
	}
}

Test(gate_modes, all_drops_everything_but_resets)
{
	int web = gate_mkdir("web"), outside = gate_listener(-1, AF_INET), client, server;
	int other, others;
	struct linger at_once = {.l_onoff = 1};
	int in = gate_udp(web, AF_INET), out = gate_udp(-1, AF_INET);

	gate_connect(web, outside, &client, &server);
	gate_connect(web, outside, &other, &others);
	gate_cut_one(web, 1, SC_GATE_ALL);
	cr_expect_not(gate_reaches(in, out));
	cr_expect_not(gate_reaches(out, in));
	cr_expect_not(gate_connects(web, outside));
	send(server, "x", 1, 0);
	gate_settle();
	cr_expect_eq(recv(client, &(char){0}, 1, 0), -1);
	cr_expect_eq(errno, EAGAIN);
	cr_assert_eq(setsockopt(others, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	close(others);
	gate_settle();
	cr_expect_eq(recv(other, &(char){0}, 1, 0), -1);
	cr_expect_eq(errno, ECONNRESET, "a client must not hang: %s", strerror(errno));
}

Test(gate_modes, a_change_of_mode_takes_effect_for_every_member_at_once)
{
	int a = gate_mkdir("a"), b = gate_mkdir("b"), out = gate_udp(-1, AF_INET);
	int from_a = gate_udp(a, AF_INET), from_b = gate_udp(b, AF_INET);

	gate_cut_one(a, 1, SC_GATE_NEW);
	gate_put(b, 1);
	cr_expect(gate_reaches(from_a, out) && gate_reaches(from_b, out));
	gate_cut(1, SC_GATE_DROP);
	cr_expect(!gate_reaches(from_a, out) && !gate_reaches(from_b, out));
	gate_cut(1, SC_GATE_TRY);
	cr_expect(gate_reaches(from_a, out) && gate_reaches(from_b, out));
	gate_cut(1, SC_GATE_NONE);
	cr_expect(gate_connects(a, gate_listener(-1, AF_INET)));
}

Test(gate_modes, of_a_cgroup_and_those_above_the_strongest_cut_decides)
{
	int top = gate_mkdir("t"), leaf, out = gate_udp(-1, AF_INET), from;
	static const struct {
		enum sc_gate_mode top, leaf;
		bool datagrams_pass;
	} rows[] = {
		{SC_GATE_NEW, SC_GATE_DROP, false}, {SC_GATE_DROP, SC_GATE_NEW, false},
		{SC_GATE_NEW, SC_GATE_TRY, true},   {SC_GATE_NONE, SC_GATE_ALL, false},
		{SC_GATE_ALL, SC_GATE_NONE, false}, {SC_GATE_NONE, SC_GATE_NEW, true},
	};

	leaf = gate_mkdir("t/leaf");
	from = gate_udp(leaf, AF_INET);
	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		gate_cut(1, rows[i].top);
		gate_cut(2, rows[i].leaf);
		if (rows[i].top)
			gate_put(top, 1);
		if (rows[i].leaf)
			gate_put(leaf, 2);
		cr_expect_eq(gate_reaches(from, out), rows[i].datagrams_pass, "row %zu", i);
		cr_expect_not(gate_connects(leaf, gate_listener(-1, AF_INET)), "row %zu", i);
	}
}

/* A packet written byte by byte, sent by a raw socket of a cgroup that refuses new connections. */
struct crafted {
	const char *name;
	uint8_t flags;      /* TCP's */
	uint8_t protocol;   /* 0: TCP */
	uint16_t fragment;  /* offset in units of 8 bytes */
	uint8_t length;     /* bytes behind the headers; 0: 20 */
	uint8_t extensions; /* IPv6: how many destination options stand before */
	bool passes;
};

static const struct crafted v4_rows[] = {
	{"SYN", .flags = TH_SYN},
	{"SYN with ECN", .flags = TH_SYN | 0xc0},
	{"SYN and ACK", TH_SYN | TH_ACK, .passes = true},
	{"ACK", TH_ACK, .passes = true},
	{"RST", TH_RST, .passes = true},
	{"FIN", TH_FIN | TH_ACK, .passes = true},
	{"header cut off before the flags", TH_ACK, .length = 13},
	{"header just long enough", TH_ACK, .length = 14, .passes = true},
	{"fragment over the flags", TH_ACK, .fragment = 1},
	{"later fragment", TH_SYN, .fragment = 4, .passes = true},
	{"UDP", 0, .protocol = IPPROTO_UDP, .passes = true},
	{"UDP fragment at 8", 0, .protocol = IPPROTO_UDP, .fragment = 1, .passes = true},
	{"unknown protocol", 0, .protocol = 253, .passes = true},
};

static int send_v4(int fd, const struct crafted *c)
{
	struct {
		struct iphdr ip;
		struct tcphdr tcp;
	} p = {
		.ip = {.version = 4,
		       .ihl = 5,
		       .ttl = 64,
		       .frag_off = htons(c->fragment),
		       .protocol = c->protocol ? c->protocol : IPPROTO_TCP,
		       .daddr = htonl(INADDR_LOOPBACK)},
		.tcp = {.th_sport = htons(9), .th_dport = htons(9), .th_off = 5},
	};
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	size_t size = sizeof(p.ip) + (c->length ? c->length : sizeof(p.tcp));

	p.tcp.th_flags = c->flags;
	return sendto(fd, &p, size, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

Test(gate_modes, what_hides_its_tcp_header_counts_as_a_new_connection)
{
	int web = gate_mkdir("web"), raw = gate_socket(web, AF_INET, SOCK_RAW, IPPROTO_RAW);

	cr_assert_geq(raw, 0);
	gate_cut_one(web, 1, SC_GATE_NEW);
	for (size_t i = 0; i < SC_ARRAY_SIZE(v4_rows); i++)
		cr_expect_eq(send_v4(raw, &v4_rows[i]), v4_rows[i].passes ? 0 : -EPERM, "%s",
			     v4_rows[i].name);
}

static const struct crafted v6_rows[] = {
	{"SYN", .flags = TH_SYN},
	{"ACK", TH_ACK, .passes = true},
	{"SYN behind one extension header", TH_SYN, .extensions = 1},
	{"ACK behind one", TH_ACK, .extensions = 1, .passes = true},
	{"SYN behind seven", TH_SYN, .extensions = 7},
	{"ACK behind seven", TH_ACK, .extensions = 7, .passes = true},
	{"ACK behind more than anyone sends", TH_ACK, .extensions = 8},
	{"cut off", TH_ACK, .length = 13},
	{"UDP behind one", 0, .protocol = IPPROTO_UDP, .extensions = 1, .passes = true},
	{"no next header", 0, .protocol = IPPROTO_NONE, .extensions = 1, .passes = true},
	{"later fragment", TH_SYN, .fragment = 4, .passes = true},
	{"fragment over the flags", TH_ACK, .fragment = 1},
};

static int send_v6(int fd, const struct crafted *c)
{
	struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	uint8_t protocol = c->protocol ? c->protocol : IPPROTO_TCP, packet[256] = {0};
	struct ip6_hdr *ip = (struct ip6_hdr *)packet;
	size_t size = sizeof(*ip);
	uint8_t *next = &ip->ip6_nxt;
	struct tcphdr *tcp;

	for (int i = 0; i < c->extensions; i++, size += 8) {
		*next = IPPROTO_DSTOPTS;
		next = packet + size;
		packet[size + 2] = 1; /* PadN, the rest zeros */
		packet[size + 3] = 4;
	}
	if (c->fragment) {
		*next = IPPROTO_FRAGMENT;
		next = packet + size;
		*(uint16_t *)(void *)(packet + size + 2) = htons((uint16_t)(c->fragment << 3));
		size += 8;
	}
	*next = protocol;
	tcp = (struct tcphdr *)(void *)(packet + size);
	tcp->th_flags = c->flags;
	tcp->th_off = 5;
	size += c->length ? c->length : sizeof(*tcp);
	ip->ip6_vfc = 0x60;
	ip->ip6_hlim = 64;
	ip->ip6_plen = htons((uint16_t)(size - sizeof(*ip)));
	ip->ip6_src = ip->ip6_dst = in6addr_loopback;
	return sendto(fd, packet, size, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? -errno : 0;
}

Test(gate_modes, extension_headers_hide_nothing)
{
	int web = gate_mkdir("web"), raw = gate_socket(web, AF_INET6, SOCK_RAW, IPPROTO_RAW);

	cr_assert_geq(raw, 0);
	gate_cut_one(web, 1, SC_GATE_NEW);
	for (size_t i = 0; i < SC_ARRAY_SIZE(v6_rows); i++)
		cr_expect_eq(send_v6(raw, &v6_rows[i]), v6_rows[i].passes ? 0 : -EPERM, "%s",
			     v6_rows[i].name);
}

Test(gate_modes, a_remote_end_is_written_as_people_write_it)
{
	static const struct {
		struct sc_gate_peer peer;
		const char *text;
	} rows[] = {
		{{.address = {[10] = 0xff, 0xff, 10, 0, 0, 7}, .port = 443, .protocol = 6},
		 "10.0.0.7:443/tcp"},
		{{.address = {[10] = 0xff, 0xff, 10, 0, 0, 7}, .protocol = 1}, "10.0.0.7/icmp"},
		{{.address = {0x20, 1, 0xd, 0xb8, [15] = 1}, .port = 53, .protocol = 17},
		 "[2001:db8::1]:53/udp"},
		{{.address = {[15] = 1}, .protocol = 58}, "::1/icmpv6"},
		{{.address = {[15] = 1}, .protocol = 253}, "::1/ip253"},
	};
	char text[SC_GATE_PEER_TEXT_MAX];

	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		sc_gate_peer_text(&rows[i].peer, text);
		cr_expect_str_eq(text, rows[i].text);
	}
}
