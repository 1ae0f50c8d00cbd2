/* SPDX-License-Identifier: Apache-2.0 */
/* The networks and peers of the traffic tests by themselves: without an agent everything passes. */
#include "harness/net.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static struct sc_net net;

static void set_up(void)
{
	int err;

	sc_box_init();
	err = sc_net_open(&net);
	cr_assert_eq(err, 0, "no network: %s", strerror(-err));
}

static void tear_down(void)
{
	sc_net_close(&net);
	sc_box_fini();
}

TestSuite(traffic_net, .init = set_up, .fini = tear_down, .timeout = 300);

static struct sc_peer start_in(int cgroup_fd, enum sc_net_space space)
{
	struct sc_peer peer;
	int err = sc_peer_start(&peer, cgroup_fd, net.space[space]);

	cr_assert_eq(err, 0, "no peer: %s", strerror(-err));
	return peer;
}

static const struct {
	const char *proto;
	int family;
} KINDS[] = {
	{"tcp", AF_INET},  {"udp", AF_INET},  {"icmp", AF_INET},
	{"tcp", AF_INET6}, {"udp", AF_INET6}, {"icmp", AF_INET6},
};

Test(traffic_net, every_space_reaches_every_other_by_every_protocol)
{
	int dirfd = sc_sandbox_mkdir(&sc_box, "web");
	struct sc_peer peers[SC_NET_SPACE_COUNT];
	long port[SC_NET_SPACE_COUNT];

	for (int i = 0; i < SC_NET_SPACE_COUNT; i++) {
		peers[i] = start_in(dirfd, i);
		port[i] = sc_peer_number(&peers[i], "listen tcp :: 0");
		cr_assert_gt(port[i], 0);
		cr_assert_eq(sc_peer_number(&peers[i], "listen udp :: %ld", port[i]), port[i]);
	}
	cr_expect_eq(sc_cgroup_count(dirfd), SC_NET_SPACE_COUNT);
	for (int i = 0; i < SC_NET_SPACE_COUNT * SC_NET_SPACE_COUNT; i++) {
		int from = i / SC_NET_SPACE_COUNT, to = i % SC_NET_SPACE_COUNT;

		for (size_t k = 0; k < SC_ARRAY_SIZE(KINDS); k++) {
			long handle = sc_peer_number(
				&peers[from], "open %s %s %ld 30000", KINDS[k].proto,
				sc_net_address(to, from, KINDS[k].family), port[to]);

			cr_expect_geq(handle, 0, "%d to %d: %s", from, to, peers[from].word);
			for (int n = 0; n < 3; n++)
				cr_expect_str_eq(
					sc_peer_tell(&peers[from], "talk %ld 30000", handle), "ok",
					"%d to %d by %s", from, to, KINDS[k].proto);
		}
	}
}

Test(traffic_net, answers_say_what_went_wrong)
{
	struct sc_peer client = start_in(-1, SC_NET_HOST), server = start_in(-1, SC_NET_OUTSIDE);
	const char *outside = sc_net_address(SC_NET_OUTSIDE, SC_NET_HOST, AF_INET);
	long port = sc_peer_number(&server, "listen tcp 0.0.0.0 0"), handle;

	cr_expect_str_eq(sc_peer_tell(&client, "open tcp %s 9 30000", outside), "refused");
	cr_expect_str_eq(sc_peer_tell(&client, "open tcp 192.0.2.1 9 30000"), "unreach");
	/* Nobody has that address: it is looked for until the deadline. */
	cr_expect_str_eq(sc_peer_tell(&client, "open tcp 10.77.1.99 9 20"), "timeout");
	cr_expect_str_eq(sc_peer_tell(&client, "sing"), "error");
	cr_expect_str_eq(sc_peer_tell(&client, "talk 5 20"), "error");
	handle = sc_peer_number(&client, "open tcp %s %ld 30000", outside, port);
	cr_assert_geq(handle, 0);
	cr_expect_str_eq(sc_peer_tell(&client, "watch %ld 20", handle), "timeout");
	cr_assert_eq(sc_peer_send(&client, "watch %ld 30000", handle), 0);
	sc_peer_end(&server);
	cr_assert_eq(sc_peer_answer(&client), 0);
	cr_expect(!strcmp(client.word, "eof") || !strcmp(client.word, "reset"), "%s", client.word);
	cr_expect_str_eq(sc_peer_tell(&server, "count"), "gone");
}

struct sink {
	struct sc_peer *peer;
	struct sc_peer_counts counts;
	long want;
};

static bool has_received(void *arg)
{
	struct sink *s = arg;

	cr_assert_eq(sc_peer_count(s->peer, &s->counts), 0);
	return s->counts.received >= s->want;
}

Test(traffic_net, sink_counts_volleys_shots_and_frames)
{
	int dirfd = sc_sandbox_mkdir(&sc_box, "web");
	struct sc_peer client = start_in(dirfd, SC_NET_HOST), server = start_in(-1, SC_NET_OUTSIDE);
	static const int families[] = {AF_INET, AF_INET6};
	long port = sc_peer_number(&server, "sink udp :: 0");
	struct sink sink = {.peer = &server};

	for (size_t i = 0; i < SC_ARRAY_SIZE(families); i++) {
		const char *to = sc_net_address(SC_NET_OUTSIDE, SC_NET_HOST, families[i]);
		long handle;

		cr_expect_eq(sc_peer_number(&client, "volley %s %ld 10", to, port), 10);
		cr_expect_eq(sc_net_shot(dirfd, net.space[SC_NET_HOST], to, (uint16_t)port), 0);
		handle = sc_peer_number(&client, "open packet %s %ld 30000", to, port);
		cr_expect_geq(handle, 0, "%s", client.word);
		cr_expect_str_eq(sc_peer_tell(&client, "talk %ld 30000", handle), "ok");
		sink.want += 12;
		cr_expect_eq(sc_wait_until(has_received, &sink, 30000), 0, "%ld of %ld received",
			     sink.counts.received, sink.want);
	}
	cr_expect_eq(sink.counts.received, sink.want);
}

struct settled {
	struct sc_peer *peer;
	struct sc_peer_counts counts;
};

static bool is_settled(void *arg)
{
	struct settled *s = arg;

	cr_assert_eq(sc_peer_count(s->peer, &s->counts), 0);
	return s->counts.sent >= 50 && s->counts.echoed == s->counts.sent;
}

Test(traffic_net, stream_loses_nothing)
{
	static const char *const protos[] = {"tcp", "udp"};
	struct sc_peer server = start_in(-1, SC_NET_POD);
	const char *pod = sc_net_address(SC_NET_POD, SC_NET_OUTSIDE, AF_INET6);
	long port = sc_peer_number(&server, "listen tcp :: 0");

	cr_assert_eq(sc_peer_number(&server, "listen udp :: %ld", port), port);
	for (size_t i = 0; i < SC_ARRAY_SIZE(protos); i++) {
		struct sc_peer client = start_in(-1, SC_NET_OUTSIDE);
		struct settled s = {.peer = &client};
		long handle = sc_peer_number(&client, "open %s %s %ld 30000", protos[i], pod, port);

		cr_expect_str_eq(sc_peer_tell(&client, "stream %ld 200", handle), "ok");
		cr_expect_eq(sc_wait_until(is_settled, &s, 30000), 0, "%s: %ld sent %ld echoed",
			     protos[i], s.counts.sent, s.counts.echoed);
		cr_expect_str_eq(sc_peer_tell(&client, "stream %ld 0", handle), "ok");
		cr_expect_eq(s.counts.failed, 0);
	}
}

Test(traffic_net, listener_can_be_served_by_another)
{
	struct sc_peer manager = start_in(-1, SC_NET_HOST), service = start_in(-1, SC_NET_HOST);
	struct sc_peer client = start_in(-1, SC_NET_OUTSIDE);
	struct sc_peer_counts counts = {0};
	long port = sc_peer_number(&manager, "listen tcp 0.0.0.0 0");
	int fd = (int)manager.number[1];
	const char *host = sc_net_address(SC_NET_HOST, SC_NET_OUTSIDE, AF_INET);

	cr_assert_eq(sc_peer_hand_over(&manager, fd, &service, "tcp"), 0);
	sc_peer_end(&manager);
	cr_expect_str_eq(sc_peer_tell(&client, "talk %ld 30000",
				      sc_peer_number(&client, "open tcp %s %ld 30000", host, port)),
			 "ok");
	cr_assert_eq(sc_peer_count(&service, &counts), 0);
	cr_expect_eq(counts.accepted, 1);
}

Test(traffic_net, peer_moves_and_speaks_over_unix_sockets)
{
	int web = sc_sandbox_mkdir(&sc_box, "web"), other = sc_sandbox_mkdir(&sc_box, "other");
	struct sc_peer server = start_in(web, SC_NET_HOST), client = start_in(web, SC_NET_POD);
	long handle;

	cr_assert_geq(sc_peer_number(&server, "listen unix %s/socket 0", sc_box.tmp), 0);
	handle = sc_peer_number(&client, "open unix %s/socket 0 30000", sc_box.tmp);
	cr_expect_str_eq(sc_peer_tell(&client, "talk %ld 30000", handle), "ok");
	cr_assert_eq(sc_peer_join(&client, other), 0);
	cr_expect_eq(sc_cgroup_count(web), 1);
	cr_expect_eq(sc_cgroup_count(other), 1);
	cr_expect_str_eq(sc_peer_tell(&client, "talk %ld 30000", handle), "ok");
}
