/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cutting by name over the control socket: which condition is fired or registered for it, what is
 * refused, what a release by name gives back. Traffic is in memory.
 */
#include "unit/engine/fake_ports.h"

#include "record/fold.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* As long as a name may be: longer than what a cut holds of it. */
#define TEN  "abcdefghij"
#define LONG TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "ABCDEFGH"

static const char conditions[] =
	"tenants:\n"
	"  acme: {cgroups: [/w/1, /w/2]}\n"
	"  umbrella: {cgroups: [/w/3]}\n"
	"  dryco: {cgroups: [/w/6]}\n"
	"components:\n"
	"  shop: {cgroups: [/w/4], breaker: {live: true}}\n"
	"  till: {cgroups: [/w/4]}\n"
	"  " LONG ": {cgroups: [/w/4]}\n"
	"conditions:\n"
	"  - {id: cut-umbrella, ttl: 1h, action: {kind: tenant-quarantine, config: {tenant_id: "
	"umbrella}}, live: true}\n"
	"  - {id: cut-dryco, action: {kind: tenant-quarantine, config: {tenant_id: dryco}}}\n"
	"  - {id: break-till, action: {kind: process-exit}, scope: /w/4, live: true}\n"
	"  - {id: shut-shop, action: {kind: circuit-break-component, config: {component: shop, "
	"mode: new}}, live: true}\n";

static struct sc_engine *e;
static json_t *answer; /* the last */
static int peer = -1;

static void set_up(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	e = fake_engine_start(conditions);
	sc_engine_tick_full(e);
	e->control.group = getgid(); /* whoever runs the test may ask */
	peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", e->options->run_dir,
		 SC_CONTROL_SOCKET);
	cr_assert_eq(connect(peer, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void tear_down(void)
{
	json_decref(answer);
	answer = NULL;
	close(peer);
	fake_engine_stop(&e);
}

TestSuite(ops_isolate, .init = set_up, .fini = tear_down, .timeout = 300);

/* Sends the request and runs the engine until it has answered; returns the exit status. */
static int ask(const char *request)
{
	struct sc_frame_writer writer;
	struct sc_frame_reader reader;
	int exit;

	json_decref(answer);
	sc_frame_writer_init(&writer, request, strlen(request));
	cr_assert_eq(sc_frame_write(&writer, peer), 1);
	sc_frame_reader_init_heap(&reader, SC_REPLY_SIZE_MAX);
	for (int i = 0; i < 1000 && sc_frame_read(&reader, peer) == 0; i++) {
		fake_world.fake.now_ns += SC_NS_PER_MS;
		cr_assert_eq(sc_loop_once(&e->loop, 10), 0);
	}
	answer = json_loadb(reader.data, reader.size, 0, NULL);
	sc_frame_reader_done(&reader);
	cr_assert_not_null(answer);
	fake_let_fires_settle(e);
	exit = (int)json_integer_value(json_object_get(answer, "exit"));
	return exit;
}

#define SIGNED "\"reason\":\"a test\",\"operator\":\"ada\",\"wait\":true"
#define ISOLATE(kind, name, more) \
	"{\"op\":\"isolate\",\"kind\":\"" kind "\",\"name\":\"" name "\"," more SIGNED "}"
#define RELEASE(group, kind)                                                                \
	"{\"op\":\"release\",\"group\":\"" group "\",\"kind\":\"" kind "\",\"operator\":\"" \
	"eve\"}"

static const char *told(const char *key)
{
	const char *text = json_string_value(json_object_get(answer, key));

	return text ? text : "";
}

static const struct sc_fire *newest(void)
{
	return sc_fold_fire_at(e->fold, 0);
}

static const struct sc_condition *condition(const char *id)
{
	int i = sc_conditions_find(e->set, id);

	return i < 0 ? NULL : sc_conditions_get(e->set, (size_t)i);
}

static uint32_t gated(void)
{
	return sc_fake_traffic_gated(&fake_world.traffic);
}

Test(ops_isolate, a_live_condition_of_the_tenant_is_fired)
{
	size_t n = sc_conditions_count(e->set);

	cr_assert_eq(ask(ISOLATE("quarantine", "umbrella", "")), 0, "%s", told("error"));
	cr_expect_str_eq(newest()->condition_id, "cut-umbrella");
	cr_expect_str_eq(newest()->group, "tenant umbrella");
	cr_expect_eq(newest()->state, SC_FIRE_VERIFIED);
	cr_expect_str_eq(newest()->fired_by, "ada");
	cr_expect_gt(newest()->expires_at_boot_ns, 0, "the condition's ttl counts");
	cr_expect_eq(gated(), 1);
	cr_expect_eq(sc_conditions_count(e->set), n, "nothing is registered");
}

Test(ops_isolate, without_one_a_live_condition_is_registered_and_journaled)
{
	const struct sc_condition *c;

	cr_assert_eq(ask(ISOLATE("quarantine", "acme", "")), 0, "%s", told("error"));
	c = condition("quarantine-acme");
	cr_assert_not_null(c);
	cr_expect(c->live);
	cr_expect_eq(c->origin, SC_ORIGIN_RUNTIME);
	cr_expect_str_eq(c->spec->registered_by, "ada");
	cr_expect_null(c->predicate);
	cr_expect_str_eq(newest()->condition_id, "quarantine-acme");
	cr_expect_eq(newest()->state, SC_FIRE_VERIFIED);
	cr_expect_eq(gated(), 1);
	cr_expect_eq(sc_fold_condition_count(e->fold), 1, "the journal knows it");
}

Test(ops_isolate, a_second_time_reuses_it_and_leaves_one_cut)
{
	size_t n;

	cr_assert_eq(ask(ISOLATE("quarantine", "acme", "")), 0, "%s", told("error"));
	n = sc_conditions_count(e->set);
	cr_assert_eq(ask(ISOLATE("quarantine", "acme", "")), 0, "%s", told("error"));
	cr_expect_eq(sc_conditions_count(e->set), n);
	cr_expect_eq(gated(), 1);
}

Test(ops_isolate, a_ttl_of_its_own_is_a_condition_of_its_own_and_does_not_linger)
{
	cr_assert_eq(ask(ISOLATE("quarantine", "umbrella", "\"ttl\":\"5m\",")), 0, "%s",
		     told("error"));
	cr_expect_str_eq(newest()->condition_id, "quarantine-umbrella");
	cr_expect_eq(newest()->expires_at_boot_ns - newest()->fired_at_boot_ns, 300 * SC_NS_PER_S);
	cr_assert_eq(ask(ISOLATE("quarantine", "acme", "\"ttl\":\"5m\",")), 0, "%s", told("error"));
	cr_expect_gt(newest()->expires_at_boot_ns, 0);
	cr_assert_eq(ask(ISOLATE("quarantine", "acme", "")), 0, "%s", told("error"));
	cr_expect_eq(newest()->expires_at_boot_ns, 0, "not asked for, not taken over");
}

Test(ops_isolate, a_dry_run_is_not_used_in_silence)
{
	cr_assert_eq(ask(ISOLATE("quarantine", "dryco", "")), 1);
	cr_expect_not_null(strstr(told("error"), "scram promote cut-dryco"), "%s", told("error"));
	cr_expect_eq(gated(), 0);
	cr_expect_null(condition("quarantine-dryco"));
	cr_assert_eq(ask(ISOLATE("quarantine", "dryco", "\"force\":true,")), 0, "%s",
		     told("error"));
	cr_expect_str_eq(newest()->condition_id, "cut-dryco");
	cr_expect(newest()->forced && newest()->dispatched);
	cr_expect_eq(gated(), 1);
}

Test(ops_isolate, the_mode_of_a_break_is_the_one_asked_for)
{
	cr_assert_eq(ask(ISOLATE("break", "shop", "")), 0, "%s", told("error"));
	cr_expect_str_eq(newest()->condition_id, "shut-shop");
	cr_expect_str_eq(newest()->mode, "new");
	cr_assert_eq(ask(ISOLATE("break", "shop", "\"mode\":\"all\",")), 0, "%s", told("error"));
	cr_expect_str_eq(newest()->condition_id, "break-shop-all");
	cr_expect_str_eq(newest()->mode, "all");
}

/* break-till is a condition of the file that kills. */
Test(ops_isolate, an_id_that_means_something_else_is_left_alone)
{
	cr_assert_eq(ask(ISOLATE("break", "till", "")), 0, "%s", told("error"));
	cr_expect_str_eq(newest()->condition_id, "break-till-by-hand");
	cr_expect_eq(newest()->action, SC_ACTION_CIRCUIT_BREAK);
	cr_expect_str_eq(newest()->mode, "new", "what a file would have it be");
	cr_expect_eq(condition("break-till")->spec->action.kind, SC_ACTION_PROCESS_EXIT);
}

Test(ops_isolate, what_is_not_declared_is_cut_by_its_path)
{
	cr_assert_eq(ask(ISOLATE("quarantine", "/w/5", "")), 0, "%s", told("error"));
	cr_expect_str_eq(newest()->condition_id, "quarantine-/w/5");
	cr_expect_str_eq(newest()->target, "/w/5");
	cr_expect_str_eq(newest()->group, "");
	cr_expect_eq(fake_world.traffic.cuts[0].n_members, 1);
	cr_expect_eq(fake_world.traffic.cuts[0].members[0].cgroup_id, 105);
}

Test(ops_isolate, what_makes_no_sense_cuts_and_registers_nothing)
{
	static const struct {
		const char *request;
		int exit;
		const char *says;
	} cases[] = {
		{ISOLATE("quarantine", "acne", ""), 1, "there is acme;"},
		{ISOLATE("quarantine", "shop", ""), 1, "not declared"},
		{ISOLATE("quarantine", "/w/1", ""), 2, "scram quarantine acme"},
		{ISOLATE("quarantine", "/w/none", ""), 1, "no such cgroup"},
		{ISOLATE("quarantine", "/w/*", ""), 2, "glob"},
		{ISOLATE("quarantine", "acme", "\"mode\":\"all\","), 2, "mode"},
		{ISOLATE("break", "shop", "\"mode\":\"drop\","), 2, "mode"},
		{ISOLATE("quarantine", "acme", "\"ttl\":\"soon\","), 2, "ttl"},
		{ISOLATE("mend", "acme", ""), 2, "kind"},
		{"{\"op\":\"isolate\",\"kind\":\"quarantine\",\"name\":\"acme\"}", 2, "reason"},
	};
	size_t n = sc_conditions_count(e->set);

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		cr_expect_eq(ask(cases[i].request), cases[i].exit, "case %zu: %s", i,
			     told("error"));
		cr_expect_not_null(strstr(told("error"), cases[i].says), "case %zu: %s", i,
				   told("error"));
	}
	cr_expect_eq(sc_conditions_count(e->set), n);
	cr_expect_eq(gated(), 0);
	cr_expect_eq(sc_fold_fire_count(e->fold), 0);
}

Test(ops_isolate, disarmed_vetoes_and_force_overrides)
{
	cr_assert_eq(ask("{\"op\":\"disarm\",\"reason\":\"r\",\"operator\":\"o\"}"), 0);
	cr_assert_eq(ask(ISOLATE("quarantine", "acme", "")), 4);
	cr_expect_str_eq(told("veto"), "disarmed");
	cr_expect_eq(gated(), 0);
	cr_assert_eq(ask(ISOLATE("quarantine", "acme", "\"force\":true,")), 0, "%s", told("error"));
	cr_expect_eq(gated(), 1);
}

Test(ops_isolate, release_by_group_takes_one_cut_after_the_other_until_none_stands)
{
	cr_assert_eq(ask(ISOLATE("break", "shop", "")), 0);
	cr_assert_eq(ask(ISOLATE("break", "shop", "\"mode\":\"all\",")), 0);
	cr_assert_eq(ask(ISOLATE("quarantine", "acme", "")), 0);
	cr_assert_eq(gated(), 3);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(ask(RELEASE("component shop", "break")), 0, "%s", told("error"));
		cr_assert_eq(json_array_size(json_object_get(answer, "released")), 1);
		cr_expect(told("fire_id")[0]);
	}
	cr_assert_eq(ask(RELEASE("component shop", "break")), 0);
	cr_expect_eq(json_array_size(json_object_get(answer, "released")), 0);
	cr_expect(told("note")[0], "harmless, and told");
	cr_expect_str_empty(told("fire_id"));
	cr_expect_eq(gated(), 1, "the tenant is still cut");
	cr_assert_eq(ask("{\"op\":\"release\",\"what\":\"acme\",\"operator\":\"eve\"}"), 0);
	cr_expect_eq(gated(), 0, "by its name alone");
	cr_expect_str_eq(newest()->released_by, "eve");
}

Test(ops_isolate, on_a_cgroup_alone_only_the_kind_that_is_named_is_released)
{
	cr_assert_eq(ask(ISOLATE("quarantine", "/w/5", "")), 0);
	cr_assert_eq(ask(ISOLATE("break", "/w/5", "")), 0);
	cr_assert_eq(ask(RELEASE("cgroup /w/5", "break")), 0, "%s", told("error"));
	cr_assert_eq(ask(RELEASE("cgroup /w/5", "break")), 0);
	cr_expect_eq(json_array_size(json_object_get(answer, "released")), 0);
	cr_expect_eq(e->n_isolations, 1);
	cr_assert_eq(ask(RELEASE("cgroup /w/5", "quarantine")), 0, "%s", told("error"));
	cr_expect_eq(e->n_isolations, 0);
}

Test(ops_isolate, a_release_that_fails_is_told_and_does_not_block_the_next_question)
{
	cr_assert_eq(ask(ISOLATE("quarantine", "acme", "")), 0);
	sc_fake_traffic_lock(&fake_world.traffic);
	fake_world.traffic.gate_fails = UINT_MAX;
	fake_world.traffic.gate_error = -EIO;
	sc_fake_traffic_unlock(&fake_world.traffic);
	cr_expect_eq(ask(RELEASE("tenant acme", "quarantine")), 1);
	cr_expect(told("fire_id")[0]);
	cr_expect_eq(ask(RELEASE("tenant acme", "quarantine")), 6);
	cr_expect_not_null(strstr(told("error"), "not undone yet"), "%s", told("error"));
	cr_expect_eq(gated(), 1);
}

Test(ops_isolate, the_longest_name_is_cut_and_released_too)
{
	cr_assert_eq(ask(ISOLATE("break", LONG, "")), 0, "%s", told("error"));
	cr_assert_eq(ask(RELEASE("component " LONG, "break")), 0, "%s", told("error"));
	cr_expect_eq(json_array_size(json_object_get(answer, "released")), 1);
	cr_assert_eq(ask(ISOLATE("break", LONG, "")), 0, "%s", told("error"));
	cr_assert_eq(ask("{\"op\":\"release\",\"what\":\"" LONG "\"}"), 0, "%s", told("error"));
	cr_expect_eq(gated(), 0);
}

Test(ops_isolate, status_lists_what_is_cut)
{
	const json_t *cut;

	cr_assert_eq(ask(ISOLATE("quarantine", "acme", "\"ttl\":\"5m\",")), 0);
	cr_assert_eq(ask("{\"op\":\"status\"}"), 0);
	cut = json_array_get(json_object_get(answer, "isolations"), 0);
	cr_expect_str_eq(json_string_value(json_object_get(cut, "group")), "tenant acme");
	cr_expect_str_eq(json_string_value(json_object_get(cut, "mode")), "drop");
	cr_expect_str_eq(json_string_value(json_object_get(cut, "by")), "ada");
	cr_expect(json_is_string(json_object_get(cut, "expires")));
	cr_expect_eq(json_integer_value(json_object_get(cut, "members")), 2);
}

Test(ops_isolate, doctor_says_what_can_be_cut_and_what_does_not_hold)
{
	const json_t *checks;
	json_t *check;
	size_t i;
	unsigned int seen = 0;

	fake_world.traffic.can_error[SC_CUT_DROP] = -EOPNOTSUPP;
	e->traffic_armed = true;
	e->isolations[7] = (struct sc_isolation){.is_used = true, .is_failing = true};
	sc_strcopy(e->isolations[7].cut.name, sizeof(e->isolations[7].cut.name), "cgroup /w/9");
	cr_assert_eq(ask("{\"op\":\"doctor\"}"), 0);
	e->isolations[7] = (struct sc_isolation){0};
	checks = json_object_get(answer, "checks");
	json_array_foreach (checks, i, check) {
		const char *name = json_string_value(json_object_get(check, "name"));
		const char *level = json_string_value(json_object_get(check, "level"));

		if (strcmp(name, "quarantine") == 0 && strcmp(level, "yellow") == 0)
			seen |= 1;
		if (strcmp(name, "circuit break") == 0 && strcmp(level, "green") == 0)
			seen |= 2;
		if (strcmp(name, "cgroup /w/9") == 0 && strcmp(level, "red") == 0)
			seen |= 4;
	}
	cr_expect_eq(seen, 7, "%u", seen);
}

Test(ops_isolate, an_order_to_a_breaker_needs_a_component_and_a_state)
{
	static const struct {
		const char *component, *state;
		int exit;
	} cases[] = {
		{"shop", "forced-closed", 0},
		{"shop", "ajar", 2},
		{"ship", "forced-closed", 1},
		{"till", "forced-open", 1},
	};
	char text[256];

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text),
			 "{\"op\":\"breaker\",\"component\":\"%s\",\"state\":\"%s\"," SIGNED "}",
			 cases[i].component, cases[i].state);
		cr_expect_eq(ask(text), cases[i].exit, "%s: %s", text, told("error"));
	}
}

/* What is registered at run time may name anything; the file may lose a declaration. */
Test(ops_isolate, a_condition_that_names_no_declared_group_cuts_nothing)
{
	static const char *const actions[] = {
		"\"tenant-quarantine\",\"config\":{\"tenant_id\":\"nobody\"}",
		"\"circuit-break-component\",\"config\":{\"component\":\"nothing\"}",
	};
	static const char *const scopes[] = {"", "\"scope\":\"/w/*\","};
	char text[512];

	for (size_t i = 0; i < 4; i++) {
		bool has_scope = i / 2;

		snprintf(text, sizeof(text),
			 "{\"op\":\"register\",\"conditions\":[{\"id\":\"typo\",\"live\":true,%s"
			 "\"action\":{\"kind\":%s}}],\"operator\":\"ada\"}",
			 scopes[has_scope], actions[i % 2]);
		cr_assert_eq(ask(text), 0, "%s: %s", text, told("error"));
		snprintf(text, sizeof(text), "{\"op\":\"fire\",\"id\":\"typo\",%s" SIGNED "}",
			 has_scope ? "\"target\":\"/w/1\"," : "");
		cr_expect_eq(ask(text), SC_EXIT_FAILED, "%s", text);
		cr_expect(strstr(told("error"), "is not declared"), "%s", told("error"));
		cr_expect_eq(newest()->state, SC_FIRE_FAILED);
		cr_expect_eq(sc_fake_traffic_gated(&fake_world.traffic), 0);
		cr_expect_eq(sc_fake_traffic_ruled(&fake_world.traffic), 0);
	}
}
