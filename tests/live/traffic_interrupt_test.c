/* SPDX-License-Identifier: Apache-2.0 */
/* In the middle of cutting and of giving back the agent is killed, and the tenant makes cgroups. */
#include "live/traffic_kit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TestSuite(traffic_interrupt, .init = sc_traffic_init, .fini = sc_traffic_fini, .timeout = 300);

#define ROUNDS      24
#define RANDOM_SEED 11
#define CLI_MS      60000
/* What a verb takes, from its exec to the answer, on a machine that is idle and on one that is not:
 * kills fall before, into and after the act. */
static const unsigned int verb_ms[] = {8, 60};

/* Runs the verb and kills the agent at some moment meanwhile, then starts it again. */
static void interrupt(const char *const verb[], unsigned int delay_ms)
{
	const char *argv[SC_RIG_ARGS_MAX] = {sc_kit.scram};
	size_t n = 1;
	pid_t cli;

	while (*verb)
		argv[n++] = *verb++;
	argv[n++] = "--run-dir";
	argv[n++] = sc_kit.run_dir;
	cli = sc_helper_exec(sc_kit.agent_fd, argv, -1, -1);
	cr_assert_gt(cli, 0);
	sc_wait_gone(sc_kit.pid, delay_ms);
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGKILL, NULL), 0);
	cr_assert_eq(sc_wait_child(cli, NULL, CLI_MS), 0);
	cr_assert_eq(sc_rig_start(&sc_kit, NULL), 0);
}

/* True when the agent says that the tenant is cut; the world must look so, in each namespace. */
static bool is_cut(struct sc_peer *member, struct sc_peer *pod)
{
	static const struct sc_traffic_path pod_out = {SC_NET_POD, SC_NET_OUTSIDE,
						       SC_TRAFFIC_ECHO_PORT};
	json_t *status = sc_rig_json(&sc_kit, "status");
	size_t n = json_array_size(json_object_get(status, "isolations"));
	unsigned int ms = n ? SC_TRAFFIC_HELD_MS : SC_TRAFFIC_OPEN_MS;
	bool passes;

	json_decref(status);
	cr_expect_leq(n, 1);
	for (size_t i = SC_UDP4; i <= SC_ICMP4; i++) {
		passes = !strcmp(sc_traffic_try(member, &sc_traffic_kinds[i], &sc_traffic_out, ms),
				 "ok");
		cr_expect_neq(passes, n > 0, "cut: %d, but %s passes: %d", n > 0,
			      sc_traffic_kinds[i].name, passes);
	}
	passes = !strcmp(sc_traffic_try(pod, &sc_traffic_kinds[SC_UDP6], &pod_out, ms), "ok");
	cr_expect_neq(passes, n > 0, "cut: %d, but in its namespace it passes: %d", n > 0, passes);
	return n > 0;
}

/* Each fire and each release is finished by the next agent, or never was. */
Test(traffic_interrupt, what_a_killed_agent_had_begun_is_finished_or_never_was)
{
	static const char *const cut[] = {"fire",   "cut",        "--reason", "test",
					  "--wait", "--operator", "tester",   NULL};
	static const char *const release[] = {"unquarantine", "acme", "--operator", "tester", NULL};
	int acme = sc_kit_mkdir("acme");
	struct sc_peer member = sc_traffic_peer(acme, SC_NET_HOST);
	struct sc_peer pod = sc_traffic_peer(acme, SC_NET_POD);
	_cleanup_free_ char *rules = NULL;
	unsigned int seed = RANDOM_SEED, cuts = 0, releases = 0;
	bool was_cut = false;

	sc_traffic_start("");
	for (int i = 0; i < ROUNDS; i++) {
		unsigned int delay_ms = (unsigned int)rand_r(&seed) % verb_ms[i % 2];
		bool now_cut;

		interrupt(was_cut ? release : cut, delay_ms);
		now_cut = is_cut(&member, &pod);
		cuts += !was_cut && now_cut;
		releases += was_cut && !now_cut;
		was_cut = now_cut;
	}
	fprintf(stderr, "of %d kills in the middle %u left a cut, %u a release\n", ROUNDS, cuts,
		releases);
	cr_expect_gt(cuts + releases, 0, "no kill fell after an act");
	cr_expect_lt(cuts + releases, ROUNDS, "no kill fell before an act");
	if (was_cut)
		sc_kit_expect("unquarantine acme --operator tester", 0, "");
	cr_expect_not(is_cut(&member, &pod));
	sc_kit_expect("verify", 0, "");
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGTERM, NULL), 0);
	rules = sc_traffic_nft("list ruleset");
	cr_expect_str_eq(rules, "", "left: %s", rules);
	cr_expect_eq(sc_traffic_attached(), 0);
	cr_expect_eq(sc_traffic_pins(), 0);
}

#define CHURNED_MAX 400

/* Makes cgroup after cgroup of the tenant; from each a first packet goes out, and another one from
 * an older one. */
static int churn(void *arg)
{
	const char *to = sc_net_address(SC_NET_OUTSIDE, SC_NET_HOST, AF_INET);
	int host = sc_traffic_net.space[SC_NET_HOST], fds[CHURNED_MAX];

	(void)arg;
	for (int i = 0; i < CHURNED_MAX; i++) {
		char name[32];

		snprintf(name, sizeof(name), "acme-%d", i);
		if (mkdirat(sc_kit.root_fd, name, 0755))
			return 1;
		fds[i] = openat(sc_kit.root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		sc_net_shot(fds[i], host, to, SC_TRAFFIC_SINK_PORT);
		sc_net_shot(fds[i / 2], host, to, SC_TRAFFIC_SINK_PORT);
	}
	return 0;
}

static bool has_arrived(void *arg)
{
	return sc_traffic_arrived(&sc_traffic_world) > *(long *)arg;
}

/* One that is made just while its tenant is being cut is in the cut as well. */
Test(traffic_interrupt, tenant_that_makes_cgroups_all_the_time_is_cut_with_all_of_them)
{
	pid_t churner;
	long begin, cut;
	int status = 0;

	sc_kit_mkdir("acme");
	sc_traffic_start("");
	begin = sc_traffic_arrived(&sc_traffic_world);
	churner = sc_helper_call(sc_kit.agent_fd, churn, NULL);
	cr_assert_gt(churner, 0);
	begin += 20;
	cr_assert_eq(sc_wait_until(has_arrived, &begin, SC_KIT_EVENT_MS), 0);
	sc_traffic_fire("cut");
	sc_kit_wait_ticks(2);
	cut = sc_traffic_arrived(&sc_traffic_world);
	cr_assert_eq(sc_wait_child(churner, &status, SC_KIT_EVENT_MS), 0);
	cr_expect_eq(status, 0);
	cr_expect_eq(sc_traffic_arrived(&sc_traffic_world), cut, "%ld packets of it went out",
		     sc_traffic_arrived(&sc_traffic_world) - cut);
	cr_expect_lt(cut - begin, 2 * CHURNED_MAX - 100, "it was over before the cut");
	fprintf(stderr, "%ld packets before the cut held\n", cut - begin + 20);
}
