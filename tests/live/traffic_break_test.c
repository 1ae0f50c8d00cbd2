/* SPDX-License-Identifier: Apache-2.0 */
/* A component is broken off: whoever asks is told at once, inside and outside. */
#include "live/traffic_kit.h"

#include "base/clock.h"

#include <signal.h>
#include <string.h>

TestSuite(traffic_break, .init = sc_traffic_init, .fini = sc_traffic_fini, .timeout = 300);

/* An answer that comes at once takes less, even on a busy host; one that does not, a second of
 * retransmission. */
#define AT_ONCE_NS (900 * SC_NS_PER_MS)

static const struct sc_traffic_path pod_out = {SC_NET_POD, SC_NET_OUTSIDE, SC_TRAFFIC_ECHO_PORT};
static const struct sc_traffic_path pod_in = {SC_NET_OUTSIDE, SC_NET_POD, SC_TRAFFIC_ECHO_PORT};

struct stage {
	struct sc_peer client, server, pod, free_peer;
};

static void set_up(struct stage *s)
{
	int shop = sc_kit_mkdir("shop-1");

	s->client = sc_traffic_peer(shop, SC_NET_HOST);
	s->server = sc_traffic_peer(shop, SC_NET_HOST);
	s->pod = sc_traffic_peer(sc_kit_mkdir("shop-2"), SC_NET_POD);
	s->free_peer = sc_traffic_peer(sc_kit_mkdir("free"), SC_NET_HOST);
	sc_traffic_serve(&s->server);
	sc_traffic_serve(&s->pod);
}

/* Every try ends with that word, and at once. */
static void expect_told(struct sc_peer *peer, const char *proto, const struct sc_traffic_path *path,
			const char *want)
{
	for (size_t i = 0; i < SC_TRAFFIC_KINDS; i++) {
		const struct sc_traffic_kind *kind = &sc_traffic_kinds[i];
		uint64_t begin_ns = sc_mono_ns();
		const char *word;

		if (strcmp(kind->proto, proto) != 0)
			continue;
		word = sc_traffic_try(peer, kind, path, SC_TRAFFIC_OPEN_MS);
		cr_expect_not_null(strstr(want, word), "%s: %s, not %s", kind->name, word, want);
		cr_expect_lt(sc_mono_ns() - begin_ns, AT_ONCE_NS, "%s after %llu ms", kind->name,
			     (unsigned long long)((sc_mono_ns() - begin_ns) / SC_NS_PER_MS));
	}
}

static long open_to(struct sc_peer *peer, size_t kind, const struct sc_traffic_path *path)
{
	long handle = sc_traffic_open(peer, &sc_traffic_kinds[kind], path, SC_TRAFFIC_OPEN_MS);

	cr_assert_geq(handle, 0, "%s", peer->word);
	cr_assert_str_eq(sc_peer_tell(peer, "talk %ld %d", handle, SC_TRAFFIC_OPEN_MS), "ok");
	return handle;
}

static void expect_talk(struct sc_peer *peer, long handle)
{
	cr_expect_str_eq(sc_peer_tell(peer, "talk %ld %d", handle, SC_TRAFFIC_OPEN_MS), "ok");
}

Test(traffic_break, new_refuses_what_is_new_and_lets_the_rest_finish)
{
	struct stage s;
	long out4, out6, in, pod;

	set_up(&s);
	sc_traffic_start("");
	out4 = open_to(&s.client, SC_TCP4, &sc_traffic_out);
	out6 = open_to(&s.client, SC_TCP6, &sc_traffic_out);
	in = open_to(&sc_traffic_world, SC_TCP4, &sc_traffic_in);
	pod = open_to(&s.pod, SC_TCP4, &pod_out);
	sc_traffic_fire("break-new");
	expect_talk(&s.client, out4);
	expect_talk(&s.client, out6);
	expect_talk(&sc_traffic_world, in);
	expect_talk(&s.pod, pod);
	expect_told(&s.client, "tcp", &sc_traffic_out, "refused");
	expect_told(&s.pod, "tcp", &pod_out, "refused");
	expect_told(&sc_traffic_world, "tcp", &sc_traffic_in, "refused");
	expect_told(&sc_traffic_world, "tcp", &pod_in, "refused");
	/* Datagrams have no beginning. */
	expect_told(&s.client, "udp", &sc_traffic_out, "ok");
	sc_traffic_expect_open(&s.free_peer);
	sc_traffic_release("break-new");
	expect_told(&s.client, "tcp", &sc_traffic_out, "ok");
	expect_told(&sc_traffic_world, "tcp", &sc_traffic_in, "ok");
	expect_told(&s.pod, "tcp", &pod_out, "ok");
}

static void expect_end(struct sc_peer *peer, const char *want)
{
	uint64_t begin_ns = sc_mono_ns();

	cr_assert_eq(sc_peer_answer(peer), 0);
	cr_expect_not_null(strstr(want, peer->word), "%s, not %s", peer->word, want);
	cr_expect_lt(sc_mono_ns() - begin_ns, AT_ONCE_NS);
}

Test(traffic_break, all_ends_what_is_established_and_tells_both_sides)
{
	struct sc_peer dialled, dialling;
	struct stage s;
	long out, in, pod;

	set_up(&s);
	dialled = sc_traffic_peer(-1, SC_NET_OUTSIDE);
	dialling = sc_traffic_peer(-1, SC_NET_OUTSIDE);
	cr_assert_geq(sc_peer_number(&dialled, "listen tcp :: 7009"), 0);
	sc_traffic_start("");
	out = sc_peer_number(&s.client, "open tcp 10.77.1.2 7009 30000");
	in = open_to(&dialling, SC_TCP6, &sc_traffic_in);
	pod = open_to(&s.pod, SC_TCP4, &pod_out);
	/* Nobody sends anything: each only waits. */
	cr_assert_eq(sc_peer_send(&s.client, "watch %ld %d", out, SC_TRAFFIC_OPEN_MS), 0);
	cr_assert_eq(sc_peer_send(&dialling, "watch %ld %d", in, SC_TRAFFIC_OPEN_MS), 0);
	cr_assert_eq(sc_peer_send(&s.pod, "watch %ld %d", pod, SC_TRAFFIC_OPEN_MS), 0);
	sc_traffic_fire("break");
	expect_end(&s.client, "aborted reset");
	expect_end(&s.pod, "aborted reset");
	expect_end(&dialling, "reset");
	expect_told(&s.client, "tcp", &sc_traffic_out, "refused");
	expect_told(&s.pod, "tcp", &pod_out, "refused");
	expect_told(&sc_traffic_world, "tcp", &sc_traffic_in, "refused");
	expect_told(&sc_traffic_world, "tcp", &pod_in, "refused");
	expect_told(&sc_traffic_world, "udp", &sc_traffic_in, "unreach");
	expect_told(&sc_traffic_world, "udp", &pod_in, "unreach");
	expect_told(&s.client, "udp", &sc_traffic_out, "unreach eperm");
	sc_traffic_expect_held(&s.client);
	sc_traffic_expect_open(&s.free_peer);
	sc_traffic_release("break");
	sc_traffic_expect_open(&s.client);
	expect_told(&sc_traffic_world, "udp", &sc_traffic_in, "ok");
}

struct told {
	struct sc_peer *peer;
	const char *want;
};

static bool is_told(void *arg)
{
	const struct told *t = arg;

	return !strcmp(
		sc_traffic_try(t->peer, &sc_traffic_kinds[SC_TCP4], &pod_out, SC_TRAFFIC_HELD_MS),
		t->want);
}

/* No rules are there yet: the gate holds it from the first packet on, and the next audit brings the
 * rules that answer. */
Test(traffic_break, network_namespace_that_comes_later_is_held_at_once_and_answered_soon)
{
	int shop = sc_kit_mkdir("shop");
	struct sc_peer first = sc_traffic_peer(shop, SC_NET_HOST), late;
	struct told refused = {&late, "refused"};
	long before;

	sc_traffic_start("");
	sc_traffic_fire("break");
	before = sc_traffic_arrived(&sc_traffic_world);
	late = sc_traffic_peer(shop, SC_NET_POD);
	for (size_t i = 0; i < SC_TRAFFIC_KINDS; i++)
		cr_expect_str_neq(
			sc_traffic_try(&late, &sc_traffic_kinds[i], &pod_out, SC_TRAFFIC_HELD_MS),
			"ok", "%s passes", sc_traffic_kinds[i].name);
	cr_expect_eq(sc_wait_until(is_told, &refused, SC_KIT_EVENT_MS), 0, "%s", late.word);
	expect_told(&late, "tcp", &pod_out, "refused");
	cr_expect_eq(sc_traffic_arrived(&sc_traffic_world), before);
	sc_traffic_release("break");
	expect_told(&late, "tcp", &pod_out, "ok");
	sc_traffic_expect_open(&first);
}

Test(traffic_break, shorthands_break_and_unbreak_a_component)
{
	struct stage s;

	set_up(&s);
	sc_traffic_start("");
	sc_kit_expect("break shop --mode new --reason test --operator tester --wait", 0, "");
	expect_told(&s.client, "tcp", &sc_traffic_out, "refused");
	expect_told(&s.client, "udp", &sc_traffic_out, "ok");
	sc_kit_expect("unbreak shop --operator tester", 0, "");
	expect_told(&s.client, "tcp", &sc_traffic_out, "ok");
	sc_kit_expect("break shop --mode all --reason test --operator tester --wait", 0, "");
	expect_told(&s.client, "udp", &sc_traffic_out, "unreach eperm");
	sc_kit_expect("unbreak shop --operator tester", 0, "");
	expect_told(&s.client, "udp", &sc_traffic_out, "ok");
}

/* Two cuts on one cgroup: the stronger holds, and leaves the weaker behind. */
Test(traffic_break, quarantine_over_a_break_leaves_the_break_behind)
{
	static const char more[] =
		"  - {id: lone, scope: \"@ROOT@/shop-1\", action: {kind: tenant-quarantine}, "
		"live: true}\n";
	struct stage s;

	set_up(&s);
	sc_traffic_start(more);
	sc_traffic_fire("break-new");
	expect_told(&s.client, "udp", &sc_traffic_out, "ok");
	cr_assert_eq(sc_kit_fire("lone", "shop-1", "--wait"), 0);
	sc_traffic_expect_held(&s.client);
	expect_told(&s.pod, "tcp", &pod_out, "refused");
	sc_traffic_release("lone");
	expect_told(&s.client, "tcp", &sc_traffic_out, "refused");
	expect_told(&s.client, "udp", &sc_traffic_out, "ok");
	sc_traffic_release("break-new");
	expect_told(&s.client, "tcp", &sc_traffic_out, "ok");
}

Test(traffic_break, ttl_ends_a_break_by_itself)
{
	static const char more[] = "  - {id: brief, action: {kind: circuit-break-component, "
				   "config: {component: shop}}, "
				   "ttl: 5s, live: true}\n";
	struct stage s;
	json_t *fire;

	set_up(&s);
	sc_traffic_start(more);
	sc_traffic_fire("brief");
	expect_told(&s.client, "tcp", &sc_traffic_out, "refused");
	sc_kit_wait("brief", "state", "released", 1);
	fire = sc_kit_get("brief", NULL, NULL, 0);
	cr_expect_str_eq(sc_kit_text(fire, "released_by"), "agent: its ttl ended");
	json_decref(fire);
	expect_told(&s.client, "tcp", &sc_traffic_out, "ok");
}

/* The rung refuses what is new while the rest may finish; when its time is over, the next kills. */
Test(traffic_break, rung_refuses_new_connections_and_then_the_next_kills)
{
	static const char more[] =
		"  - {id: ladder, scope: \"@ROOT@/web\", when: \"increase(proc.crashes[60s]) >= "
		"3\", "
		"action: {kind: process-exit}, escalate: [{kind: refuse-new, dwell: 6s}, "
		"{kind: process-exit}], auto_fire: true, live: true}\n";
	int web = sc_kit_mkdir("web");
	struct sc_peer client = sc_traffic_peer(web, SC_NET_HOST);
	json_t *refuse, *kill;
	long open;

	sc_traffic_start(more);
	open = open_to(&client, SC_TCP4, &sc_traffic_out);
	sc_kit_crash(web, 3);
	sc_kit_wait("ladder", "outcome", "isolated", 1);
	expect_told(&client, "tcp", &sc_traffic_out, "refused");
	expect_talk(&client, open);
	expect_told(&client, "udp", &sc_traffic_out, "ok");
	cr_expect(sc_live_is_alive(client.pid), "killed before the rung's time was over");
	sc_kit_wait("ladder", "outcome", "emptied", 1);
	cr_expect_eq(sc_wait_gone(client.pid, SC_KIT_EVENT_MS), 0);
	refuse = sc_kit_get("ladder", "action", "refuse-new", 0);
	kill = sc_kit_get("ladder", "action", "process-exit", 0);
	cr_expect_geq(sc_kit_number(kill, "decided_ns") - sc_kit_number(refuse, "decided_ns"),
		      6 * SC_NS_PER_S);
	cr_expect_str_eq(sc_kit_text(kill, "supersedes"), sc_kit_text(refuse, "id"));
	json_decref(refuse);
	json_decref(kill);
	sc_kit_wait("ladder", "state", "released", 1);
	client = sc_traffic_peer(sc_kit.agent_fd, SC_NET_HOST);
	cr_assert_eq(sc_peer_join(&client, web), 0);
	expect_told(&client, "tcp", &sc_traffic_out, "ok");
}
