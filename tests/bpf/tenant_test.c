/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Family `tenant`: connections between the cgroups of two tenants. The test makes the sockets
 * itself, each in the cgroup that it shall belong to.
 */
#include "tenants.h"

#include "harness/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(tenant, .init = tenants_init, .fini = tenants_fini, .timeout = 300);

static uint32_t tenant_of(int cgroup_fd)
{
	return kit.view.nodes[kit_slot(cgroup_fd)].tenant;
}

Test(tenant, a_new_cgroup_begins_with_its_parents)
{
	int below = kit_mkdir("acme/deep/er");

	cr_expect_eq(tenant_of(at.deep), ACME);
	cr_expect_eq(tenant_of(below), ACME);
	cr_expect_eq(tenant_of(at.nobody), 0);
	cr_expect_eq(sc_bpf_set_tenant(kit.bpf, kit_slot(below), sc_cgroup_id(at.deep), OTHER),
		     -ESTALE);
	cr_expect_eq(sc_bpf_set_tenant(kit.bpf, KIT_SLOTS, sc_cgroup_id(at.deep), OTHER), -ESTALE);
	cr_expect_eq(tenant_of(below), ACME);
	close(below);
}

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_storage room;
};

static socklen_t address_of(const char *text, uint16_t port, union address *out)
{
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
		out->v4.sin_family = AF_INET;
		out->v4.sin_port = htons(port);
		return sizeof(out->v4);
	}
	cr_assert_eq(inet_pton(AF_INET6, text, &out->v6.sin6_addr), 1, "%s", text);
	out->v6.sin6_family = AF_INET6;
	out->v6.sin6_port = htons(port);
	return sizeof(out->v6);
}

static int bound_socket(int cgroup_fd, const char *address, uint16_t port)
{
	union address to;
	socklen_t size = address_of(address, port, &to);
	int fd, yes = 1;

	tenants_go(cgroup_fd);
	fd = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	tenants_go(at.home);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	cr_assert_eq(bind(fd, &to.any, size), 0, "%s: %s", address, strerror(errno));
	return fd;
}

#define PORT 4711

static int listen_in(int cgroup_fd, const char *address)
{
	int fd = bound_socket(cgroup_fd, address, PORT);

	cr_assert_eq(listen(fd, 128), 0);
	return fd;
}

/* Connects from an address and port (0 = any) of a cgroup, and resets the connection, so that both
 * can be used again. */
static void visit(int cgroup_fd, const char *from, uint16_t port, const char *to)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};
	int fd = bound_socket(cgroup_fd, from, port);
	union address there;
	socklen_t size = address_of(to, PORT, &there);

	cr_assert_eq(connect(fd, &there.any, size), 0, "%s: %s", to, strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static void expect_connects(__s64 want)
{
	cr_expect_eq(kit_counts(at.deep)->tenant_cross_connects, want, "%lld, not %lld",
		     kit_counts(at.deep)->tenant_cross_connects, want);
	cr_expect_eq(kit_counts(at.acme)->tenant_cross_connects, want);
	cr_expect_eq(kit_root_counts()->tenant_cross_connects, want);
	cr_expect_eq(kit_counts(at.other)->tenant_cross_connects, 0);
	cr_expect_eq(kit_counts(at.nobody)->tenant_cross_connects, 0);
}

Test(tenant, a_connection_to_another_tenants_listener_counts_once_for_the_client_and_all_above_it)
{
	static const struct {
		const char *listens, *from, *to;
	} cases[] = {
		{"127.0.0.1", "127.0.0.1", "127.0.0.1"},
		{"::1", "::1", "::1"},
		{"::", "127.0.0.1", "127.0.0.1"},
		{"127.0.0.1", "::ffff:127.0.0.1", "::ffff:127.0.0.1"},
		{"::", "::ffff:127.0.0.2", "::ffff:127.0.0.3"},
	};
	int n = kit_times(100);

	kit_need(SC_BPF_TENANT);
	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		int listener = listen_in(at.other, cases[i].listens);

		for (int k = 0; k < n; k++) {
			visit(at.deep, cases[i].from, 0, cases[i].to);
			close(accept(listener, NULL, NULL));
		}
		expect_connects((__s64)(i + 1) * n);
		close(listener);
	}
	cr_expect_eq(kit_counts(at.deep)->tcp_connect_successes, (__s64)SC_ARRAY_SIZE(cases) * n);
	cr_expect_eq(kit_counts(at.other)->tcp_connect_successes, 0);
}

Test(tenant, a_connection_within_a_tenant_or_with_nobodys_does_not_count)
{
	int *const pairs[][2] = {
		{&at.acme, &at.deep},   {&at.deep, &at.deep},  {&at.deep, &at.nobody},
		{&at.nobody, &at.deep}, {&at.home, &at.other}, {&at.deep, &at.home},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(pairs); i++) {
		int listener = listen_in(*pairs[i][1], "127.0.0.1");

		visit(*pairs[i][0], "127.0.0.1", 0, "127.0.0.1");
		close(listener);
		expect_connects(0);
	}
}

Test(tenant, a_refused_connection_does_not_count)
{
	union address to;
	socklen_t size = address_of("127.0.0.1", PORT, &to);
	int listener = listen_in(at.other, "127.0.0.1");
	int fd = bound_socket(at.deep, "127.0.0.1", 0);

	close(listener);
	cr_assert_eq(connect(fd, &to.any, size), -1);
	expect_connects(0);
	close(fd);
}

Test(tenant, the_same_loopback_addresses_in_another_network_namespace_are_another_connection)
{
	int nobodys = listen_in(at.nobody, "127.0.0.1"), others;

	visit(at.deep, "127.0.0.1", 40000, "127.0.0.1");
	cr_assert_eq(sc_netns_enter(), 0);
	others = listen_in(at.other, "127.0.0.1");
	visit(at.nobody, "127.0.0.1", 40000, "127.0.0.1");
	expect_connects(0);
	visit(at.deep, "127.0.0.1", 40000, "127.0.0.1");
	expect_connects(1);
	close(nobodys);
	close(others);
}

Test(tenant, a_connection_from_one_network_namespace_to_another_counts)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct sc_net net;
	int err = sc_net_open(&net);

	if (err == -ENOENT)
		cr_skip("ip(8) is not installed");
	cr_assert_eq(err, 0);
	for (size_t i = 0; i < SC_ARRAY_SIZE(families); i++) {
		bool is_v4 = families[i] == AF_INET;
		int listener, back = sc_net_enter(net.space[SC_NET_POD]);

		listener = listen_in(at.other, is_v4 ? "0.0.0.0" : "::");
		cr_assert_geq(sc_net_enter(net.space[SC_NET_HOST]), 0);
		visit(at.deep, is_v4 ? "0.0.0.0" : "::", 0,
		      sc_net_address(SC_NET_POD, SC_NET_HOST, families[i]));
		/* The server's end is established by a packet that is still on its way. */
		kit_wait_count(kit_counts(at.deep), tenant_cross_connects, (__s64)i + 1);
		close(listener);
		cr_assert_geq(sc_net_enter(back), 0);
	}
	sc_net_close(&net);
}
