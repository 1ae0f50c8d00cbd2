/* SPDX-License-Identifier: Apache-2.0 */
/* Family `tcp` over the loopback of an own network namespace, with both address families. */
#include "kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

static void tcp_init(void)
{
	kit_init();
	cr_assert_eq(sc_netns_enter(), 0);
}

TestSuite(tcp, .init = tcp_init, .fini = kit_fini, .timeout = 300);

#define PORT     4711
#define NO_PORT  4712
#define CONNECTS 20

static socklen_t loopback(int family, uint16_t port, struct sockaddr_storage *out)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
	struct sockaddr_in *v4 = (struct sockaddr_in *)out;

	memset(out, 0, sizeof(*out));
	out->ss_family = (sa_family_t)family;
	if (family == AF_INET6) {
		v6->sin6_port = htons(port);
		v6->sin6_addr = in6addr_loopback;
		return sizeof(*v6);
	}
	v4->sin_port = htons(port);
	v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sizeof(*v4);
}

struct server {
	int family;
	int ready[2];
};

/* Accepts for ever, and keeps every connection until its peer closes it. */
static int serve(void *arg)
{
	struct server *s = arg;
	struct sockaddr_storage at;
	socklen_t size = loopback(s->family, PORT, &at);
	int fd = socket(s->family, SOCK_STREAM, 0), yes = 1;
	char byte;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) || listen(fd, 128) ||
	    write(s->ready[1], "x", 1) != 1)
		return 1;
	for (;;) {
		int peer = accept(fd, NULL, NULL);

		if (peer < 0)
			return 2;
		if (fork() == 0) {
			(void)!read(peer, &byte, 1);
			_exit(0);
		}
		close(peer);
	}
}

static pid_t start_server(int cgroup_fd, struct server *s)
{
	pid_t pid;
	char byte;

	cr_assert_eq(pipe2(s->ready, O_CLOEXEC), 0);
	pid = sc_helper_call(cgroup_fd, serve, s);
	cr_assert_gt(pid, 0);
	cr_assert_eq(read(s->ready[0], &byte, 1), 1);
	return pid;
}

struct client {
	int family;
	uint16_t port;
	int connects;
	bool reset; /* close with a reset */
	int hold;   /* keep them until this descriptor can be read; -1 = close at once */
};

static int connect_many(void *arg)
{
	struct client *c = arg;
	struct linger now = {.l_onoff = 1, .l_linger = 0};
	struct sockaddr_storage to;
	socklen_t size = loopback(c->family, c->port, &to);
	char byte;

	for (int i = 0; i < c->connects; i++) {
		int fd = socket(c->family, SOCK_STREAM, 0);
		bool refused = connect(fd, (struct sockaddr *)&to, size) < 0;

		if (refused != (c->port == NO_PORT))
			return 1;
		if (c->reset)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		if (c->hold < 0)
			close(fd);
	}
	if (c->hold >= 0)
		(void)!read(c->hold, &byte, 1);
	return 0;
}

static __s64 latencies(const struct sc_counts *c)
{
	__s64 sum = 0;

	for (int i = 0; i < SC_LATENCY_BUCKETS; i++)
		sum += c->tcp_connect_latency[i];
	return sum;
}

static void counts_both_ends(int family)
{
	int server_fd = kit_mkdir("server"), client_fd = kit_mkdir("client"), gate[2];
	const struct sc_counts *server = kit_counts(server_fd), *client = kit_counts(client_fd);
	struct server s = {.family = family};
	struct client c = {.family = family, .port = PORT, .connects = CONNECTS};
	pid_t pid;

	kit_need(SC_BPF_TCP);
	cr_assert_eq(pipe2(gate, O_CLOEXEC), 0);
	c.hold = gate[0];
	start_server(server_fd, &s);
	pid = sc_helper_call(client_fd, connect_many, &c);
	kit_wait_count(client, tcp_established, CONNECTS);
	kit_wait_count(server, tcp_established, CONNECTS);
	cr_expect_eq(client->tcp_connects, CONNECTS);
	cr_expect_eq(client->tcp_connect_successes, CONNECTS);
	cr_expect_eq(server->tcp_connect_successes, 0);
	cr_expect_eq(client->tcp_accepts, 0);
	cr_expect_eq(client->tcp_connect_failures, 0);
	cr_expect_eq(server->tcp_accepts, CONNECTS);
	cr_expect_eq(server->tcp_connects, 0);
	cr_expect_eq(latencies(client), CONNECTS);
	cr_expect_eq(latencies(server), 0);
	cr_expect_gt(client->tcp_connect_us, 0);
	cr_expect_eq(kit_root_counts()->tcp_established, 2 * CONNECTS);
	cr_assert_eq(write(gate[1], "x", 1), 1);
	cr_assert_eq(sc_wait_child(pid, NULL, 30000), 0);
	kit_wait_count(client, tcp_established, 0);
	kit_wait_count(server, tcp_established, 0);
	kit_wait_count(kit_root_counts(), tcp_established, 0);
	cr_expect_eq(client->tcp_resets_sent + server->tcp_resets_sent, 0);
}

Test(tcp, counts_connections_of_ipv4)
{
	counts_both_ends(AF_INET);
}

Test(tcp, counts_connections_of_ipv6)
{
	counts_both_ends(AF_INET6);
}

static void refused(int family)
{
	int client_fd = kit_mkdir("client");
	const struct sc_counts *client = kit_counts(client_fd);
	struct client c = {.family = family, .port = NO_PORT, .connects = CONNECTS, .hold = -1};

	cr_assert_eq(kit_run(client_fd, connect_many, &c), 0);
	cr_expect_eq(client->tcp_connects, CONNECTS);
	cr_expect_eq(client->tcp_connect_failures, CONNECTS);
	cr_expect_eq(client->tcp_resets_received, CONNECTS);
	cr_expect_eq(client->tcp_established, 0);
	cr_expect_eq(latencies(client), 0);
}

Test(tcp, a_refused_connect_is_a_failure)
{
	refused(AF_INET);
}

Test(tcp, a_refused_connect_over_ipv6_is_a_failure)
{
	refused(AF_INET6);
}

Test(tcp, resets_count_at_both_ends)
{
	int server_fd = kit_mkdir("server"), client_fd = kit_mkdir("client");
	struct server s = {.family = AF_INET};
	struct client c = {
		.family = AF_INET, .port = PORT, .connects = CONNECTS, .reset = true, .hold = -1};

	start_server(server_fd, &s);
	cr_assert_eq(kit_run(client_fd, connect_many, &c), 0);
	kit_wait_count(kit_counts(server_fd), tcp_established, 0);
	cr_expect_eq(kit_counts(client_fd)->tcp_resets_sent, CONNECTS);
	cr_expect_eq(kit_counts(server_fd)->tcp_resets_received, CONNECTS);
	cr_expect_eq(kit_counts(client_fd)->tcp_established, 0);
}

/* A connection to an address that nobody answers: its SYN is sent again. */
static int connect_into_the_void(void *arg)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), user_timeout_ms = *(int *)arg;

	/* A listener whose queue is full drops the SYN, as a lost one. */
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof(user_timeout_ms));
	return connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
}

static int fill_queue(void *arg)
{
	struct sockaddr_storage at;
	socklen_t size = loopback(AF_INET, PORT, &at);
	struct server *s = arg;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (struct sockaddr *)&at, size) || listen(fd, 0))
		return 1;
	for (int i = 0; i < 4; i++) {
		int peer = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

		connect(peer, (struct sockaddr *)&at, size);
	}
	if (write(s->ready[1], "x", 1) != 1)
		return 1;
	pause();
	return 0;
}

Test(tcp, unanswered_connects_are_sent_again_and_fail)
{
	int server_fd = kit_mkdir("server"), client_fd = kit_mkdir("client"), timeout_ms = 2500;
	const struct sc_counts *client = kit_counts(client_fd);
	struct server s;
	char byte;

	cr_assert_eq(pipe2(s.ready, O_CLOEXEC), 0);
	sc_helper_call(server_fd, fill_queue, &s);
	cr_assert_eq(read(s.ready[0], &byte, 1), 1);
	cr_assert_eq(kit_run(client_fd, connect_into_the_void, &timeout_ms), 0);
	cr_expect_eq(client->tcp_connects, 1);
	cr_expect_geq(client->tcp_retransmits, 1);
	kit_wait_count(client, tcp_connect_failures, 1);
}

Test(tcp, a_connection_that_outlives_its_cgroup_leaves_the_parent_right)
{
	int outer = kit_mkdir("outer"), brief = kit_mkdir("outer/brief");
	int refuge = kit_mkdir("refuge"), server_fd = kit_mkdir("server"), gate[2];
	uint32_t slot = kit_slot(brief);
	struct server s = {.family = AF_INET};
	struct client c = {.family = AF_INET, .port = PORT, .connects = 3};
	pid_t pid;

	cr_assert_eq(pipe2(gate, O_CLOEXEC), 0);
	c.hold = gate[0];
	start_server(server_fd, &s);
	pid = sc_helper_call(brief, connect_many, &c);
	kit_wait_count(kit_counts(outer), tcp_established, 3);
	kit_move(refuge, pid);
	cr_assert_eq(sc_sandbox_rmdir(&sc_box, "outer/brief"), 0);
	cr_assert_eq(sc_bpf_recycle(kit.bpf, &slot, 1, NULL), 1);
	cr_assert_eq(write(gate[1], "x", 1), 1);
	cr_assert_eq(sc_wait_child(pid, NULL, 30000), 0);
	kit_wait_count(kit_counts(outer), tcp_established, 0);
	cr_expect_eq(kit.view.counts[slot].tcp_established, 0, "a late count hit the free slot");
	cr_expect_eq(kit.view.stats->connects_full, 0);
}
