/* SPDX-License-Identifier: Apache-2.0 */
/* A tenant is cut from the network and given back: by the agent, with everybody else untouched. */
#include "live/traffic_kit.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

TestSuite(traffic_quarantine, .init = sc_traffic_init, .fini = sc_traffic_fini, .timeout = 300);

#define ROUNDS        50
#define FIRST_PACKETS 500
#define PREFIXES      100

static const struct sc_traffic_path to_pod = {SC_NET_HOST, SC_NET_POD, SC_TRAFFIC_ECHO_PORT};
static const struct sc_traffic_path to_itself = {SC_NET_HOST, SC_NET_HOST, SC_TRAFFIC_ECHO_PORT};

/* Neighbours on every path, with a socket of their own each, talking all the time. */
Test(traffic_quarantine, bystander_is_never_touched)
{
	static const struct {
		size_t kind;
		const struct sc_traffic_path *path;
	} flows[] = {
		{SC_TCP4, &to_pod},    {SC_LOOSE4, &to_pod}, {SC_ICMP4, &to_pod},
		{SC_TCP6, &to_pod},    {SC_UDP6, &to_pod},   {SC_TCP4, &to_itself},
		{SC_UDP6, &to_itself},
	};
	int acme = sc_kit_mkdir("acme"), beta = sc_kit_mkdir("beta");
	struct sc_peer pod = sc_traffic_peer(beta, SC_NET_POD);
	struct sc_peer host = sc_traffic_peer(beta, SC_NET_HOST);
	struct sc_peer member = sc_traffic_peer(acme, SC_NET_HOST);
	struct sc_peer peers[SC_ARRAY_SIZE(flows)];
	long handles[SC_ARRAY_SIZE(flows)];

	sc_traffic_serve(&pod);
	sc_traffic_serve(&host);
	sc_traffic_start("");
	for (size_t i = 0; i < SC_ARRAY_SIZE(flows); i++) {
		peers[i] = sc_traffic_peer(beta, SC_NET_HOST);
		handles[i] = sc_traffic_open(&peers[i], &sc_traffic_kinds[flows[i].kind],
					     flows[i].path, SC_TRAFFIC_OPEN_MS);
		cr_assert_geq(handles[i], 0, "%s", peers[i].word);
		sc_traffic_stream(&peers[i], handles[i], 2000);
	}
	for (int i = 0; i < ROUNDS; i++) {
		sc_traffic_fire("cut");
		cr_expect_str_neq(
			sc_traffic_try(&member, &sc_traffic_kinds[SC_UDP4], &sc_traffic_out, 1),
			"ok");
		sc_traffic_release("cut");
	}
	for (size_t i = 0; i < SC_ARRAY_SIZE(flows); i++)
		sc_traffic_expect_whole(&peers[i], handles[i]);
	sc_traffic_expect_open(&member);
}

/* No byte of the tenant's leaves while it is cut, and all of it flows again afterwards. */
Test(traffic_quarantine, release_gives_everything_back)
{
	int acme = sc_kit_mkdir("acme");
	struct sc_peer member = sc_traffic_peer(acme, SC_NET_HOST);
	struct sc_peer pod = sc_traffic_peer(acme, SC_NET_POD);
	_cleanup_free_ char *before = sc_traffic_nft("list ruleset");
	_cleanup_free_ char *after = NULL;
	long loose;

	cr_assert_str_eq(before, "");
	sc_traffic_start("");
	loose = sc_traffic_open(&member, &sc_traffic_kinds[SC_LOOSE4], &sc_traffic_out,
				SC_TRAFFIC_OPEN_MS);
	sc_traffic_fire("cut");
	sc_traffic_expect_held(&member);
	cr_expect_str_neq(sc_peer_tell(&member, "talk %ld %d", loose, SC_TRAFFIC_HELD_MS), "ok");
	sc_traffic_release("cut");
	cr_expect_str_eq(sc_peer_tell(&member, "talk %ld %d", loose, SC_TRAFFIC_OPEN_MS), "ok");
	sc_traffic_expect_open(&member);
	cr_expect_str_eq(sc_peer_tell(&pod, "open tcp %s %d %d",
				      sc_net_address(SC_NET_OUTSIDE, SC_NET_POD, AF_INET),
				      SC_TRAFFIC_ECHO_PORT, SC_TRAFFIC_OPEN_MS),
			 "ok");
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGTERM, NULL), 0);
	after = sc_traffic_nft("list ruleset");
	cr_expect_str_eq(after, "", "left: %s", after);
	cr_expect_eq(sc_traffic_attached(), 0, "programs are left on the supervised root");
	cr_expect_eq(sc_traffic_pins(), 0, "pins are left");
}

/* Isolation outlives the agent that made it, also one that ends in order. */
Test(traffic_quarantine, stands_while_no_agent_runs_and_is_taken_up_by_the_next)
{
	int acme = sc_kit_mkdir("acme");
	struct sc_peer member = sc_traffic_peer(acme, SC_NET_HOST);
	struct sc_peer pod = sc_traffic_peer(acme, SC_NET_POD);
	json_t *status;

	sc_traffic_start("");
	sc_traffic_fire("cut");
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGTERM, NULL), 0);
	sc_traffic_expect_held(&member);
	cr_assert_eq(sc_rig_start(&sc_kit, NULL), 0);
	sc_traffic_expect_held(&member);
	status = sc_rig_json(&sc_kit, "status");
	cr_expect_eq(json_array_size(json_object_get(status, "isolations")), 1);
	json_decref(status);
	sc_traffic_release("cut");
	sc_traffic_expect_open(&member);
	cr_expect_str_neq(sc_peer_tell(&pod, "count"), "gone", "nobody was killed");
}

/* The program that sees a directory being made closes the gate before anybody else can see it. */
Test(traffic_quarantine, first_packet_of_a_cgroup_made_again_is_held)
{
	const char *to = sc_net_address(SC_NET_OUTSIDE, SC_NET_HOST, AF_INET);
	int host = sc_traffic_net.space[SC_NET_HOST];
	int acme = sc_kit_mkdir("acme");
	unsigned int passed = 0;
	long before;

	sc_traffic_start("");
	cr_assert_eq(sc_net_shot(acme, host, to, SC_TRAFFIC_SINK_PORT), 0);
	sc_traffic_fire("cut");
	before = sc_traffic_arrived(&sc_traffic_world);
	for (int i = 0; i < FIRST_PACKETS; i++) {
		close(acme);
		sc_kit_rmdir("acme");
		acme = sc_kit_mkdir("acme");
		passed += sc_net_shot(acme, host, to, SC_TRAFFIC_SINK_PORT) == 0;
	}
	cr_expect_eq(passed, 0, "%u of %d were sent", passed, FIRST_PACKETS);
	cr_expect_eq(sc_traffic_arrived(&sc_traffic_world), before);
	sc_traffic_release("cut");
	cr_expect_eq(sc_net_shot(acme, host, to, SC_TRAFFIC_SINK_PORT), 0);
}

Test(traffic_quarantine, first_packet_of_a_new_cgroup_of_the_tenant_is_held)
{
	const char *to = sc_net_address(SC_NET_OUTSIDE, SC_NET_POD, AF_INET6);
	unsigned int passed = 0;
	long before;

	sc_kit_mkdir("acme");
	sc_traffic_start("");
	sc_traffic_fire("cut");
	before = sc_traffic_arrived(&sc_traffic_world);
	for (int i = 0; i < PREFIXES; i++) {
		char name[32];
		int fd;

		snprintf(name, sizeof(name), "acme-%d", i);
		fd = sc_kit_mkdir(name);
		passed += sc_net_shot(fd, sc_traffic_net.space[SC_NET_POD], to,
				      SC_TRAFFIC_SINK_PORT) == 0;
		close(fd);
	}
	cr_expect_eq(passed, 0, "%u of %d were sent", passed, PREFIXES);
	cr_expect_eq(sc_traffic_arrived(&sc_traffic_world), before);
}

static bool is_held(void *arg)
{
	return strcmp(sc_traffic_try(arg, &sc_traffic_kinds[SC_UDP4], &sc_traffic_out,
				     SC_TRAFFIC_HELD_MS),
		      "ok") != 0;
}

/* What the kernel cannot match is cut as soon as the agent knows of it, and the journal says how
 * long that took. */
Test(traffic_quarantine, glob_of_the_agent_alone_leaks_shortly_and_says_how_long)
{
	struct sc_peer late;

	sc_kit_mkdir("x1z");
	sc_traffic_start("");
	sc_traffic_fire("cut-gamma");
	late = sc_traffic_peer(sc_kit_mkdir("x2z"), SC_NET_HOST);
	cr_expect_eq(sc_wait_until(is_held, &late, SC_KIT_EVENT_MS), 0);
	sc_traffic_expect_held(&late);
	sc_traffic_wait_journal("\"fact\"", "a cgroup made later was cut", 1);
	sc_traffic_wait_journal("\"fact\"", "after its birth", 1);
}

static json_t *first_isolation(void)
{
	json_t *status = sc_rig_json(&sc_kit, "status");
	json_t *first = json_incref(json_array_get(json_object_get(status, "isolations"), 0));

	cr_assert(first, "status shows no isolation");
	json_decref(status);
	return first;
}

static bool has_top(void *arg)
{
	json_t *isolation = first_isolation();
	bool has = !strcmp(sc_kit_text(isolation, "top"), arg);

	json_decref(isolation);
	return has;
}

Test(traffic_quarantine, status_tells_what_is_cut_by_whom_and_how_much_was_held_back)
{
	struct sc_peer member = sc_traffic_peer(sc_kit_mkdir("acme"), SC_NET_HOST);
	static char top[] = "10.77.1.2:7001/udp";
	json_t *isolation;

	sc_traffic_start("");
	sc_traffic_fire("cut");
	cr_expect_eq(sc_peer_number(&member, "volley 10.77.1.2 %d 40", SC_TRAFFIC_SINK_PORT), 0);
	cr_expect_eq(member.number[1], 40, "all were refused");
	cr_expect_eq(sc_wait_until(has_top, top, SC_KIT_EVENT_MS), 0);
	isolation = first_isolation();
	cr_expect_str_eq(sc_kit_text(isolation, "group"), "tenant acme");
	cr_expect_str_eq(sc_kit_text(isolation, "condition_id"), "cut");
	cr_expect_str_eq(sc_kit_text(isolation, "mode"), "drop");
	cr_expect_str_eq(sc_kit_text(isolation, "by"), "tester");
	cr_expect_str_neq(sc_kit_text(isolation, "since"), "");
	cr_expect(json_is_null(json_object_get(isolation, "expires")));
	cr_expect_eq(sc_kit_number(isolation, "packets_out"), 40);
	/* 20 bytes of IP, 8 of UDP, 16 of message. */
	cr_expect_eq(sc_kit_number(isolation, "bytes_out"), 40 * 44);
	cr_expect_eq(sc_kit_number(isolation, "packets_in"), 0);
	cr_expect_eq(sc_kit_number(isolation, "top_packets"), 40);
	json_decref(isolation);
	sc_kit_expect("status", 0, "acme");
}

/* DESIGN: the shorthands take the same way as fire and release, through the same interlocks. */
Test(traffic_quarantine, shorthands_cut_and_release_by_name_and_by_path)
{
	struct sc_peer member = sc_traffic_peer(sc_kit_mkdir("acme"), SC_NET_HOST);
	struct sc_peer free_peer = sc_traffic_peer(sc_kit_mkdir("free"), SC_NET_HOST);
	char line[SC_SANDBOX_PATH_MAX + 128];

	sc_traffic_start("");
	sc_kit_expect("quarantine acme --reason test --operator tester --wait", 0, "");
	sc_traffic_expect_held(&member);
	sc_traffic_expect_open(&free_peer);
	sc_kit_expect("unquarantine acme --operator tester", 0, "");
	sc_traffic_expect_open(&member);
	snprintf(line, sizeof(line), "quarantine %s --reason test --operator tester --wait",
		 sc_kit_path("free"));
	sc_kit_expect(line, 0, "");
	sc_traffic_expect_held(&free_peer);
	sc_traffic_expect_open(&member);
	snprintf(line, sizeof(line), "unquarantine %s --operator tester", sc_kit_path("free"));
	sc_kit_expect(line, 0, "");
	sc_traffic_expect_open(&free_peer);
	sc_kit_expect("quarantine acne --reason test --operator tester", 1, "there is acme");
	sc_kit_expect("disarm --reason test --operator tester", 0, "");
	sc_kit_expect("quarantine acme --reason test --operator tester", 4, "disarmed");
	sc_traffic_expect_open(&member);
}

#define DECLARED(cgroups)                                                                    \
	"tenants: {acme: {cgroups: [" cgroups "]}}\n"                                        \
	"conditions:\n"                                                                      \
	"  - {id: cut, action: {kind: tenant-quarantine, config: {tenant_id: acme}}, live: " \
	"true}\n"

static bool is_open(void *arg)
{
	return !is_held(arg);
}

/* A cut is of what the tenant is now; of a tenant that is no more it stays as it was. */
Test(traffic_quarantine, reload_moves_the_cut_with_the_tenant)
{
	struct sc_peer member = sc_traffic_peer(sc_kit_mkdir("acme"), SC_NET_HOST);
	struct sc_peer other = sc_traffic_peer(sc_kit_mkdir("other"), SC_NET_HOST);
	json_t *isolation;
	char line[128];

	sc_kit_start(DECLARED("\"@ROOT@/acme\""));
	sc_traffic_fire("cut");
	sc_traffic_expect_open(&other);
	sc_kit_write(DECLARED("\"@ROOT@/acme\", \"@ROOT@/oth*\""));
	sc_kit_expect("reload", 0, "");
	cr_expect_eq(sc_wait_until(is_held, &other, SC_KIT_EVENT_MS), 0);
	sc_traffic_expect_held(&other);
	sc_traffic_expect_held(&member);
	sc_kit_write(DECLARED("\"@ROOT@/oth*\""));
	sc_kit_expect("reload", 0, "");
	cr_expect_eq(sc_wait_until(is_open, &member, SC_KIT_EVENT_MS), 0);
	sc_traffic_expect_held(&other);
	sc_kit_write("");
	sc_kit_expect("reload", 0, "");
	sc_kit_wait_ticks(SC_KIT_TICKS);
	sc_traffic_expect_held(&other);
	isolation = first_isolation();
	snprintf(line, sizeof(line), "release %s --operator tester",
		 sc_kit_text(isolation, "fire_id"));
	json_decref(isolation);
	sc_kit_expect(line, 0, "");
	sc_traffic_expect_open(&other);
	sc_traffic_expect_open(&member);
}
