/* SPDX-License-Identifier: Apache-2.0 */
/* The shipped examples that are about more than one group of cgroups, from the event to the cut. */
#include "live/traffic_kit.h"

#include "base/io.h"
#include "base/str.h"

#include <fcntl.h>
#include <string.h>

TestSuite(traffic_tenant, .init = sc_traffic_init, .fini = sc_traffic_fini, .timeout = 300);

#define EXAMPLE_MAX 16384

static const struct sc_traffic_path to_itself = {SC_NET_HOST, SC_NET_HOST, SC_TRAFFIC_ECHO_PORT};
static const struct sc_traffic_path to_pod = {SC_NET_HOST, SC_NET_POD, SC_TRAFFIC_ECHO_PORT};

static void replace(struct sc_str *out, const char *text, const char *what, const char *by)
{
	const char *at;

	while ((at = strstr(text, what)) != NULL) {
		sc_str_addn(out, text, (size_t)(at - text));
		sc_str_add(out, by);
		text = at + strlen(what);
	}
	sc_str_add(out, text);
}

/* Starts the agent with the file as it is shipped, but live and below the supervised cgroup. */
static void start_example(const char *name, const char *top)
{
	_cleanup_free_ char *text = malloc(EXAMPLE_MAX);
	_cleanup_str_ struct sc_str live, whole;
	char path[128], moved[64];

	snprintf(path, sizeof(path), "conditions.d/examples/%s", name);
	snprintf(moved, sizeof(moved), "@ROOT@%s", top);
	cr_assert_gt(sc_read_file_at(AT_FDCWD, path, text, EXAMPLE_MAX), 0, "%s", path);
	sc_str_init_heap(&live);
	sc_str_init_heap(&whole);
	replace(&live, text, "live: false", "live: true");
	replace(&whole, live.data, top, moved);
	sc_kit_start(whole.data);
	sc_kit_wait_grace();
}

/* A15: cross-tenant-lateral-movement */
static void move_laterally(const struct sc_traffic_path *path, size_t kind)
{
	static const char id[] = "cross-tenant-lateral-movement";
	int acme, globex, both = sc_kit_mkdir("tenants");
	struct sc_peer intruder, other, victim, calm;
	json_t *fire;
	long handle;

	acme = sc_kit_mkdir("tenants/acme");
	globex = sc_kit_mkdir("tenants/globex");
	intruder = sc_traffic_peer(acme, SC_NET_HOST);
	other = sc_traffic_peer(acme, SC_NET_HOST);
	victim = sc_traffic_peer(globex, path->to);
	calm = sc_traffic_peer(globex, SC_NET_HOST);
	sc_traffic_serve(&victim);
	start_example("cross-tenant-lateral-movement.yaml", "/tenants");
	handle = sc_traffic_open(&calm, &sc_traffic_kinds[SC_UDP4], path, SC_TRAFFIC_OPEN_MS);
	sc_traffic_stream(&calm, handle, 1000);
	/* Among themselves and with the world tenants do what they like. */
	cr_expect_str_eq(sc_traffic_try(&calm, &sc_traffic_kinds[kind], path, SC_TRAFFIC_OPEN_MS),
			 "ok");
	sc_traffic_expect_open(&intruder);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	cr_expect_eq(sc_kit_count(id, NULL, NULL), 0);

	cr_expect_geq(sc_traffic_open(&intruder, &sc_traffic_kinds[kind], path, SC_TRAFFIC_OPEN_MS),
		      0, "%s", intruder.word);
	sc_kit_wait(id, "outcome", "isolated", 1);
	fire = sc_kit_get(id, NULL, NULL, 0);
	cr_expect_str_eq(sc_kit_text(fire, "group"), "tenant acme");
	cr_expect_str_eq(sc_kit_text(fire, "target"), sc_kit_path("tenants/acme"));
	cr_expect_str_eq(sc_kit_text(fire, "fired_by"), "auto");
	json_decref(fire);
	sc_traffic_expect_held(&intruder);
	sc_traffic_expect_held(&other);
	cr_expect(sc_live_is_alive(intruder.pid), "left as it is for those who come to look");
	sc_traffic_expect_whole(&calm, handle);
	cr_expect_str_eq(sc_traffic_try(&calm, &sc_traffic_kinds[kind], path, SC_TRAFFIC_OPEN_MS),
			 "ok");
	cr_expect_eq(sc_kit_count(id, NULL, NULL), 1);
	cr_expect_eq(sc_cgroup_key(both, "cgroup.events", "frozen"), 0);
}

Test(traffic_tenant, connection_to_another_tenants_listener_quarantines_the_one_who_connects)
{
	move_laterally(&to_itself, SC_TCP4);
}

Test(traffic_tenant, connection_into_another_tenants_namespace_is_seen_too)
{
	move_laterally(&to_pod, SC_TCP6);
}

/* A15: cascading-failure-detected */
Test(traffic_tenant, third_failing_component_stops_what_drives_them)
{
	static const char id[] = "cascading-failure-detected";
	static const char *const names[] = {"workload/a", "workload/b", "workload/c", "workload/d"};
	pid_t pids[SC_ARRAY_SIZE(names)], gateway;
	int fds[SC_ARRAY_SIZE(names)], driver;
	json_t *fire;

	sc_kit_mkdir("workload");
	driver = sc_kit_mkdir("workload/gateway");
	gateway = sc_kit_sleeper(driver);
	for (size_t i = 0; i < SC_ARRAY_SIZE(names); i++) {
		fds[i] = sc_kit_mkdir(names[i]);
		pids[i] = sc_kit_sleeper(fds[i]);
	}
	start_example("cascading-failure-detected.yaml", "/workload");
	sc_kit_crash(fds[0], 3);
	sc_kit_crash(fds[1], 1);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	cr_expect_eq(sc_kit_count(id, NULL, NULL), 0, "two are no cascade");
	sc_kit_crash(fds[2], 1);
	sc_kit_wait(id, "outcome", "emptied", 1);
	fire = sc_kit_get(id, NULL, NULL, 0);
	cr_expect_str_eq(sc_kit_text(fire, "target"), sc_kit_path("workload/gateway"));
	json_decref(fire);
	cr_expect_eq(sc_wait_child(gateway, NULL, SC_KIT_EVENT_MS), 0);
	for (size_t i = 0; i < SC_ARRAY_SIZE(names); i++)
		sc_kit_expect_untouched(pids[i], fds[i]);
	cr_expect_eq(sc_kit_count(id, NULL, NULL), 1);
}
