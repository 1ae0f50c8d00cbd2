/* SPDX-License-Identifier: Apache-2.0 */
/* A component's circuit breaker, from failing connections to the cut and back. */
#include "live/traffic_kit.h"

#include "base/clock.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

TestSuite(traffic_breaker, .init = sc_traffic_init, .fini = sc_traffic_fini, .timeout = 300);

#define FAILURES   5
#define TRIES      3
#define AT_ONCE_NS (900 * SC_NS_PER_MS)
#define DEAD_PORT  9
/* An address of the link that nobody has: a connection there neither comes about nor fails for a
 * good while. */
#define NOWHERE "10.77.1.99"

#define BREAKER(more)                                                                         \
	"components:\n"                                                                       \
	"  shop: {cgroups: [\"@ROOT@/shop\"], breaker: {live: true, mode: new, failures: 5, " \
	"tries: 3, successes: 1, " more "}}\n"

static const struct sc_traffic_path dead = {SC_NET_HOST, SC_NET_OUTSIDE, DEAD_PORT};

static struct sc_peer start(const char *yaml)
{
	struct sc_peer peer = sc_traffic_peer(sc_kit_mkdir("shop"), SC_NET_HOST);

	sc_kit_start(yaml);
	sc_kit_wait_grace();
	return peer;
}

/* The component as status has it: the caller's. */
static json_t *component(void)
{
	json_t *status = sc_rig_json(&sc_kit, "status");
	json_t *shop = json_incref(json_array_get(json_object_get(status, "components"), 0));

	cr_assert(shop, "status shows no component");
	json_decref(status);
	return shop;
}

static bool is_in_state(void *want)
{
	json_t *shop = component();
	bool is = !strcmp(sc_kit_text(shop, "circuit_state"), want);

	json_decref(shop);
	return is;
}

static void wait_state(const char *want)
{
	int err = sc_wait_until(is_in_state, (void *)want, SC_KIT_EVENT_MS);
	json_t *shop = component();

	cr_assert_eq(err, 0, "%s, never %s: %s", sc_kit_text(shop, "circuit_state"), want,
		     sc_kit_text(shop, "last_error"));
	json_decref(shop);
}

static void expect_try(struct sc_peer *peer, const struct sc_traffic_path *path, const char *want)
{
	uint64_t begin_ns = sc_mono_ns();

	cr_expect_str_eq(sc_traffic_try(peer, &sc_traffic_kinds[SC_TCP4], path, SC_TRAFFIC_OPEN_MS),
			 want);
	cr_expect_lt(sc_mono_ns() - begin_ns, AT_ONCE_NS);
}

/* In looks of their own: of a success and failures in one tick nobody knows which came last. */
static void fail(struct sc_peer *peer, unsigned int times)
{
	sc_kit_wait_ticks(2);
	for (unsigned int i = 0; i < times; i++)
		cr_expect_str_eq(
			sc_traffic_try(peer, &sc_traffic_kinds[SC_TCP4], &dead, SC_TRAFFIC_OPEN_MS),
			"refused");
}

static void expect_transitions(const char *reason, unsigned int n)
{
	char text[64];

	snprintf(text, sizeof(text), "\"%s\"", reason);
	sc_traffic_wait_journal("\"breaker.transition\"", text, n);
	cr_expect_eq(sc_traffic_journal("\"breaker.transition\"", text), n, "%s", reason);
}

/* B1 */
Test(traffic_breaker, opens_after_failures_refuses_at_once_and_closes_after_a_success)
{
	struct sc_peer client = start(BREAKER("open: 5s, open_max: 10s, half_open: 60s"));
	long open = sc_traffic_open(&client, &sc_traffic_kinds[SC_TCP4], &sc_traffic_out,
				    SC_TRAFFIC_OPEN_MS);
	struct sc_peer_counts before, after;

	fail(&client, FAILURES - 1);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	wait_state("closed");
	expect_try(&client, &sc_traffic_out, "ok"); /* ends the run of failures */
	fail(&client, FAILURES - 1);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	wait_state("closed");
	fail(&client, 1);
	wait_state("open");
	cr_assert_eq(sc_peer_count(&sc_traffic_world, &before), 0);
	expect_try(&client, &sc_traffic_out, "refused");
	cr_assert_eq(sc_peer_count(&sc_traffic_world, &after), 0);
	cr_expect_eq(after.accepted, before.accepted, "it came through");
	cr_expect_str_eq(sc_peer_tell(&client, "talk %ld %d", open, SC_TRAFFIC_OPEN_MS), "ok",
			 "what was open goes on");
	wait_state("half-open");
	expect_try(&client, &sc_traffic_out, "ok");
	wait_state("closed");
	expect_try(&client, &sc_traffic_out, "ok");
	expect_transitions("failure_threshold", 1);
	expect_transitions("cooldown_elapsed", 1);
	expect_transitions("recovered", 1);
}

/* B1 */
Test(traffic_breaker, half_open_lets_so_many_new_connections_through)
{
	struct sc_peer client = start(BREAKER("open: 300ms, open_max: 300ms, half_open: 60s"));
	struct sc_peer tries[2 * TRIES];
	int passed = 0;

	for (size_t i = 0; i < SC_ARRAY_SIZE(tries); i++) {
		tries[i] = sc_traffic_peer(-1, SC_NET_HOST);
		cr_assert_eq(sc_peer_join(&tries[i], openat(sc_kit.root_fd, "shop", O_PATH)), 0);
	}
	fail(&client, FAILURES);
	wait_state("half-open");
	/* All at once: none of those that pass is decided while the others come. */
	for (size_t i = 0; i < SC_ARRAY_SIZE(tries); i++)
		cr_assert_eq(sc_peer_send(&tries[i], "open tcp " NOWHERE " 7000 2000"), 0);
	for (size_t i = 0; i < SC_ARRAY_SIZE(tries); i++) {
		cr_assert_eq(sc_peer_answer(&tries[i]), 0);
		passed += strcmp(tries[i].word, "refused") != 0;
	}
	cr_expect_eq(passed, TRIES, "%d were let through", passed);
}

/* B1, B2 */
Test(traffic_breaker, failure_while_half_open_opens_it_again_and_the_third_time_is_loud_once)
{
	struct sc_peer client = start(BREAKER("open: 300ms, open_max: 600ms, half_open: 60s"));
	json_t *shop;

	fail(&client, FAILURES);
	for (unsigned int n = 1; n <= 4; n++) {
		wait_state("half-open");
		fail(&client, 1);
		expect_transitions("half_open_failed", n);
		if (n >= 2)
			sc_traffic_wait_journal("\"session-blocker\"", "shop", 1);
		cr_expect_eq(sc_traffic_journal("\"session-blocker\"", "shop"), n >= 2);
	}
	shop = component();
	cr_expect_eq(sc_kit_number(shop, "open_transitions"), 5);
	cr_expect(json_is_true(json_object_get(shop, "session_blocker_emitted")));
	json_decref(shop);
	wait_state("half-open");
	expect_try(&client, &sc_traffic_out, "ok");
	wait_state("closed");
	shop = component();
	cr_expect_eq(sc_kit_number(shop, "open_transitions"), 0, "closed counts anew");
	cr_expect(json_is_false(json_object_get(shop, "session_blocker_emitted")));
	json_decref(shop);
}

/* B1: by time alone, and with an end. */
Test(traffic_breaker, idle_breaker_goes_half_open_and_back)
{
	struct sc_peer client = start(BREAKER("open: 300ms, open_max: 2s, half_open: 300ms"));

	fail(&client, FAILURES);
	sc_traffic_wait_journal("\"breaker.transition\"", "\"half_open_untried\"", 2);
	sc_traffic_wait_journal("\"breaker.transition\"", "\"cooldown_elapsed\"", 3);
	cr_expect_eq(sc_traffic_journal("\"breaker.transition\"", "\"half_open_failed\""), 0);
	cr_expect_eq(sc_traffic_journal("\"breaker.transition\"", "\"recovered\""), 0);
}

/* The second of the day that a time in RFC 3339 names. */
static int second_of(const char *time)
{
	int h = 0, m = 0, s = 0;

	cr_assert_eq(sscanf(time, "%*d-%*d-%*dT%d:%d:%d", &h, &m, &s), 3, "%s", time);
	return (h * 60 + m) * 60 + s;
}

/* B1, B4: through SIGKILL; while no agent runs the cut stands and the state file tells of it. */
Test(traffic_breaker, open_breaker_outlives_the_agent)
{
	struct sc_peer client = start(BREAKER("open: 300s, open_max: 600s, half_open: 60s"));
	int retry, again;
	json_t *shop;

	fail(&client, FAILURES);
	wait_state("open");
	shop = component();
	retry = second_of(sc_kit_text(shop, "retry_at"));
	json_decref(shop);
	sc_kit_wait_ticks(SC_KIT_TICKS); /* the state file is written a moment later */
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGKILL, NULL), 0);
	expect_try(&client, &sc_traffic_out, "refused");
	sc_kit_expect("status", 3, "shop");
	cr_assert_eq(sc_rig_start(&sc_kit, NULL), 0);
	wait_state("open");
	shop = component();
	again = second_of(sc_kit_text(shop, "retry_at"));
	cr_expect_leq(abs(again - retry), 1, "the wait began anew: %d s later", again - retry);
	json_decref(shop);
	expect_try(&client, &sc_traffic_out, "refused");
	sc_kit_expect("breaker shop forced-closed --reason test --operator tester", 0, "");
	wait_state("forced-closed");
	expect_try(&client, &sc_traffic_out, "ok");
	expect_transitions("failure_threshold", 1);
}

/* What the world behind the cut shows follows the order within moments. */
struct outcome {
	struct sc_peer *peer;
	const char *want;
};

static bool comes_out_so(void *arg)
{
	struct outcome *o = arg;

	return !strcmp(sc_traffic_try(o->peer, &sc_traffic_kinds[SC_TCP4], &sc_traffic_out,
				      SC_TRAFFIC_OPEN_MS),
		       o->want);
}

static void order(struct sc_peer *client, const char *state, const char *want)
{
	struct outcome o = {client, want};
	char line[128];

	snprintf(line, sizeof(line), "breaker shop %s --reason test --operator tester", state);
	sc_kit_expect(line, 0, "");
	cr_expect_eq(sc_wait_until(comes_out_so, &o, SC_KIT_EVENT_MS), 0, "%s: never %s", state,
		     want);
}

/* B1: forced-open, forced-closed, disabled and metrics-only, and back. */
Test(traffic_breaker, operator_holds_it_open_closed_or_out_of_use)
{
	struct sc_peer client = start(BREAKER("open: 300s, open_max: 600s, half_open: 60s"));

	order(&client, "forced-open", "refused");
	wait_state("forced-open");
	order(&client, "forced-closed", "ok");
	fail(&client, 2 * FAILURES);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	wait_state("forced-closed");
	order(&client, "disabled", "ok");
	fail(&client, 2 * FAILURES);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	wait_state("disabled");
	order(&client, "metrics-only", "ok");
	fail(&client, FAILURES);
	wait_state("open");
	expect_try(&client, &sc_traffic_out, "ok");
	order(&client, "auto", "ok");
	wait_state("closed");
	fail(&client, FAILURES);
	wait_state("open");
	expect_try(&client, &sc_traffic_out, "refused");
	sc_kit_expect("breaker shop ajar --reason test --operator tester", 2, "forced-open");
	sc_kit_expect("breaker chop auto --reason test --operator tester", 1, "not declared");
}
