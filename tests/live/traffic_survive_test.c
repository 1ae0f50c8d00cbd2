/* SPDX-License-Identifier: Apache-2.0 */
/* Cuts against what happens to them: agents that die, strangers who flush rules, and long use. */
#include "live/traffic_kit.h"

#include "base/str.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(traffic_survive, .init = sc_traffic_init, .fini = sc_traffic_fini, .timeout = 300);

#define KILLS       100
#define ROUNDS      1000
#define STARTUP_MS  400 /* about what a start takes; most of the kills come within it */
#define RANDOM_SEED 7
#define STREAM_US   500

static const struct sc_traffic_path pod_out = {SC_NET_POD, SC_NET_OUTSIDE, SC_TRAFFIC_ECHO_PORT};
static const struct sc_traffic_path to_pod = {SC_NET_HOST, SC_NET_POD, SC_TRAFFIC_ECHO_PORT};

/*
 * Members of the tenant that send all the time, each by another protocol or from another place. No
 * connections: those end with the cut, and to what the other side still sends for one the host
 * itself answers.
 */
static const struct {
	size_t kind;
	enum sc_net_space space;
	const struct sc_traffic_path *path;
} senders[] = {
	{SC_ICMP6, SC_NET_HOST, &sc_traffic_out}, {SC_LOOSE4, SC_NET_HOST, &sc_traffic_out},
	{SC_ICMP4, SC_NET_HOST, &sc_traffic_out}, {SC_LOOSE6, SC_NET_HOST, &sc_traffic_out},
	{SC_LOOSE4, SC_NET_POD, &pod_out},        {SC_ICMP6, SC_NET_POD, &pod_out},
};

struct sending {
	struct sc_peer peer[SC_ARRAY_SIZE(senders)];
	long handle[SC_ARRAY_SIZE(senders)];
};

static void start_senders(struct sending *s, int cgroup_fd)
{
	for (size_t i = 0; i < SC_ARRAY_SIZE(senders); i++) {
		s->peer[i] = sc_traffic_peer(cgroup_fd, senders[i].space);
		s->handle[i] = sc_traffic_open(&s->peer[i], &sc_traffic_kinds[senders[i].kind],
					       senders[i].path, SC_TRAFFIC_OPEN_MS);
		cr_assert_geq(s->handle[i], 0, "%s", s->peer[i].word);
		sc_traffic_stream(&s->peer[i], s->handle[i], STREAM_US);
	}
}

/* They tried all the time, and can go on now. */
static void expect_sending(struct sending *s)
{
	struct sc_peer_counts counts;

	for (size_t i = 0; i < SC_ARRAY_SIZE(senders); i++) {
		cr_assert_eq(sc_peer_count(&s->peer[i], &counts), 0);
		cr_expect_gt(counts.failed, 10 * KILLS, "sender %zu: %ld refused", i,
			     counts.failed);
		cr_expect_str_eq(
			sc_peer_tell(&s->peer[i], "talk %ld %d", s->handle[i], SC_TRAFFIC_OPEN_MS),
			"ok");
	}
}

/* A cgroup of the tenant is made again, and a process in it sends its first packet. */
static void try_again_made(const char *name)
{
	int fd, err;

	sc_kit_rmdir(name);
	fd = sc_kit_mkdir(name);
	err = sc_net_shot(fd, sc_traffic_net.space[SC_NET_HOST],
			  sc_net_address(SC_NET_OUTSIDE, SC_NET_HOST, AF_INET),
			  SC_TRAFFIC_SINK_PORT);
	cr_expect_neq(err, 0, "the first packet was sent");
	close(fd);
}

/* Ends the agent somewhere in its start, or when it is ready. */
static void live_for_a_while(int round, unsigned int *seed)
{
	cr_assert_eq(sc_rig_launch(&sc_kit, NULL), 0);
	if (round % 4 == 3)
		cr_assert_eq(sc_rig_wait_ready(&sc_kit, SC_KIT_EVENT_MS), 0);
	else
		cr_assert_eq(sc_wait_gone(sc_kit.pid, (unsigned int)rand_r(seed) % STARTUP_MS),
			     -ETIMEDOUT, "the agent ended by itself");
}

Test(traffic_survive, no_packet_leaks_through_a_hundred_kills_of_the_agent)
{
	int acme = sc_kit_mkdir("acme"), beta = sc_kit_mkdir("beta");
	struct sc_peer pod = sc_traffic_peer(beta, SC_NET_POD);
	struct sc_peer bystander = sc_traffic_peer(beta, SC_NET_HOST);
	struct sc_peer fresh = sc_traffic_peer(acme, SC_NET_HOST);
	unsigned int seed = RANDOM_SEED;
	struct sending sending;
	json_t *status;
	long calm, before, arrived;

	sc_traffic_serve(&pod);
	close(sc_kit_mkdir("acme-again"));
	sc_traffic_start("");
	start_senders(&sending, acme);
	calm = sc_traffic_open(&bystander, &sc_traffic_kinds[SC_TCP4], &to_pod, SC_TRAFFIC_OPEN_MS);
	sc_traffic_stream(&bystander, calm, STREAM_US);
	sc_traffic_fire("cut");
	before = sc_traffic_arrived(&sc_traffic_world);
	for (int i = 0; i < KILLS; i++) {
		cr_assert_eq(sc_rig_stop(&sc_kit, SIGKILL, NULL), 0);
		try_again_made("acme-again");
		cr_expect_eq(sc_peer_number(&fresh, "volley 10.77.1.2 %d 5", SC_TRAFFIC_SINK_PORT),
			     0);
		cr_expect_lt(
			sc_traffic_open(&fresh, &sc_traffic_kinds[SC_TCP4], &sc_traffic_out, 1), 0);
		live_for_a_while(i, &seed);
		arrived = sc_traffic_arrived(&sc_traffic_world);
		cr_assert_eq(arrived, before, "%ld packets left the tenant in round %d",
			     arrived - before, i);
	}
	cr_assert_eq(sc_rig_wait_ready(&sc_kit, SC_KIT_EVENT_MS), 0);
	status = sc_rig_json(&sc_kit, "status");
	cr_expect_eq(json_array_size(json_object_get(status, "isolations")), 1);
	json_decref(status);
	cr_expect_eq(sc_kit_count("cut", NULL, NULL), 1, "nothing was fired twice");
	sc_traffic_expect_held(&fresh);
	sc_traffic_release("cut");
	sc_traffic_expect_open(&fresh);
	expect_sending(&sending);
	sc_traffic_expect_whole(&bystander, calm);
}

static char *rules(void)
{
	return sc_traffic_nft("-s list ruleset");
}

Test(traffic_survive, thousand_rounds_leave_the_rules_as_they_were)
{
	struct sc_peer member = sc_traffic_peer(sc_kit_mkdir("acme"), SC_NET_HOST);
	_cleanup_free_ char *first = NULL, *last = NULL, *cut_first = NULL, *cut_last = NULL;

	sc_traffic_start("");
	for (int i = 0; i < ROUNDS; i++) {
		cr_assert_eq(sc_kit_fire("cut", NULL, "--wait"), 0);
		if (i == 0)
			cut_first = rules();
		if (i == ROUNDS - 1)
			cut_last = rules();
		cr_assert_eq(sc_rig_run(&sc_kit, "unquarantine acme --operator tester"), 0);
		if (i == 0)
			first = rules();
	}
	last = rules();
	cr_expect_str_eq(first, last);
	cr_expect_str_eq(cut_first, cut_last);
	cr_expect_str_neq(first, cut_first);
	sc_traffic_expect_open(&member);
}

#define RULE_LINES_MAX 256

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines in an order of their own: that of the sets tells only which cut came first. */
static char *sorted_rules(void)
{
	_cleanup_free_ char *text = rules();
	char *line[RULE_LINES_MAX], *rest = NULL;
	struct sc_str sorted;
	size_t n = 0;

	for (char *l = strtok_r(text, "\n", &rest); l; l = strtok_r(NULL, "\n", &rest)) {
		cr_assert_lt(n, RULE_LINES_MAX);
		line[n++] = l;
	}
	qsort(line, n, sizeof(*line), by_text);
	sc_str_init_heap(&sorted);
	for (size_t i = 0; i < n; i++)
		sc_str_addf(&sorted, "%s\n", line[i]);
	return sorted.len ? sorted.data : strdup("");
}

struct compared {
	const char *want;
	char *is;
};

static bool is_put_back(void *arg)
{
	struct compared *c = arg;

	free(c->is);
	c->is = sorted_rules();
	return strcmp(c->is, c->want) == 0;
}

Test(traffic_survive, rules_taken_away_by_somebody_else_are_put_back_and_recorded)
{
	static const struct {
		const char *what, *rest; /* before and after the name of the table */
		bool is_named;
	} attacks[] = {
		{"flush ruleset", "", false},         {"delete table inet", "", true},
		{"flush table inet", "", true},       {"add rule inet", "input accept", true},
		{"flush chain inet", "output", true}, {"add chain inet", "stranger", true},
	};
	struct sc_peer member = sc_traffic_peer(sc_kit_mkdir("acme"), SC_NET_HOST);
	_cleanup_free_ char *text = NULL, *whole = NULL, *name = NULL;
	struct sc_peer shop = sc_traffic_peer(sc_kit_mkdir("shop"), SC_NET_HOST);
	long before;

	sc_traffic_start("");
	sc_traffic_fire("break-new");
	sc_traffic_fire("cut");
	text = rules();
	cr_assert_eq(sscanf(text, "table inet %ms", &name), 1, "%s", text);
	whole = sorted_rules();
	before = sc_traffic_arrived(&sc_traffic_world);
	for (size_t i = 0; i < SC_ARRAY_SIZE(attacks); i++) {
		struct compared c = {.want = whole};
		char line[128];

		snprintf(line, sizeof(line), "%s %s %s", attacks[i].what,
			 attacks[i].is_named ? name : "", attacks[i].rest);
		free(sc_traffic_nft(line));
		/* The gate behind the rules holds alone meanwhile. */
		cr_expect_str_neq(
			sc_traffic_try(&member, &sc_traffic_kinds[SC_UDP4], &sc_traffic_out, 1),
			"ok");
		cr_expect_eq(sc_wait_until(is_put_back, &c, SC_KIT_EVENT_MS), 0,
			     "after %s:\n%s\ninstead of\n%s", line, c.is, whole);
		free(c.is);
		sc_traffic_wait_journal("\"fact\"", "somebody changed what holds the cuts",
					(unsigned int)i + 1);
	}
	cr_expect_eq(sc_traffic_arrived(&sc_traffic_world), before);
	cr_expect_str_eq(sc_traffic_try(&shop, &sc_traffic_kinds[SC_TCP4], &sc_traffic_out,
					SC_TRAFFIC_OPEN_MS),
			 "refused");
	sc_traffic_release("cut");
	sc_traffic_expect_open(&member);
}

static bool is_attached(void *arg)
{
	return sc_traffic_attached() == *(unsigned int *)arg;
}

Test(traffic_survive, gate_detached_by_somebody_else_is_put_back_and_recorded)
{
	struct sc_peer member = sc_traffic_peer(sc_kit_mkdir("acme"), SC_NET_HOST);
	unsigned int programs;

	sc_traffic_start("");
	sc_traffic_fire("cut");
	programs = sc_traffic_attached();
	cr_expect_eq(programs, 2);
	cr_expect_eq(sc_traffic_detach(), programs);
	cr_expect_eq(sc_wait_until(is_attached, &programs, SC_KIT_EVENT_MS), 0,
		     "%u programs are attached", sc_traffic_attached());
	sc_traffic_wait_journal("\"fact\"", "somebody changed what holds the cuts", 1);
	sc_traffic_expect_held(&member);
	sc_traffic_release("cut");
	sc_traffic_expect_open(&member);
}

/* With the agent dead a person takes the cut away, in every namespace. */
Test(traffic_survive, release_offline_takes_a_cut_away_without_an_agent)
{
	int acme = sc_kit_mkdir("acme");
	struct sc_peer member = sc_traffic_peer(acme, SC_NET_HOST);
	struct sc_peer pod = sc_traffic_peer(acme, SC_NET_POD);
	json_t *fire;
	char line[128];

	sc_traffic_start("");
	sc_traffic_fire("cut");
	fire = sc_kit_get("cut", "state", "verified", 0);
	snprintf(line, sizeof(line), "release %s --offline --operator tester",
		 sc_kit_text(fire, "id"));
	json_decref(fire);
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGKILL, NULL), 0);
	sc_traffic_expect_held(&member);
	sc_kit_expect(line, 0, "released 1 fire");
	sc_traffic_expect_open(&member);
	cr_expect_str_eq(
		sc_traffic_try(&pod, &sc_traffic_kinds[SC_TCP4], &pod_out, SC_TRAFFIC_OPEN_MS),
		"ok");
	cr_assert_eq(sc_rig_start(&sc_kit, NULL), 0);
	sc_traffic_expect_open(&member);
}
