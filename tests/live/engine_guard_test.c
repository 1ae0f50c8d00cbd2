/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each interlock of the running agent in the blocking direction: it vetoes, says so, and nothing
 * was touched. Those of the agent's own state first, then those of the target and its reach.
 */
#include "live/engine_kit.h"

#include "base/clock.h"
#include "sys/bpf.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

TestSuite(engine_guard, .init = sc_kit_init, .fini = sc_kit_fini, .timeout = 300);

#define SICK "increase(proc.crashes[60s]) >= 1"
#define AUTO(id, when, more)                                                                       \
	"  - {id: " id ", scope: \"@ROOT@/*\", when: \"" when "\", action: {kind: process-exit}, " \
	"auto_fire: true, live: true" more "}\n"
#define MANUAL(id, more) "  - {id: " id ", action: {kind: process-exit}, live: true" more "}\n"

/* A cgroup with one sleeper in it. */
struct place {
	char name[32];
	int fd;
	pid_t pid;
};

static struct place populate(const char *name)
{
	struct place p = {.fd = sc_kit_mkdir(name)};

	snprintf(p.name, sizeof(p.name), "%s", name);
	p.pid = sc_kit_sleeper(p.fd);
	return p;
}

/* c0..c(n-1), of which the first `sick` have crashed. */
static void populate_many(struct place *places, unsigned int n, unsigned int sick)
{
	for (unsigned int i = 0; i < n; i++) {
		char name[32];

		snprintf(name, sizeof(name), "c%u", i);
		places[i] = populate(name);
	}
	for (unsigned int i = 0; i < sick; i++)
		sc_kit_crash(places[i].fd, 1);
}

static unsigned int count_alive(const struct place *places, unsigned int n)
{
	unsigned int alive = 0;

	for (unsigned int i = 0; i < n; i++)
		alive += sc_live_is_alive(places[i].pid);
	return alive;
}

static void expect_untouched(const struct place *p)
{
	sc_kit_expect_untouched(p->pid, p->fd);
}

/* Vetoed by this interlock, at this place, and at none other; and nothing happens for a while. */
static void expect_vetoed(const char *id, const char *interlock, const struct place *p)
{
	sc_kit_wait(id, "veto", interlock, 1);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	cr_expect_eq(sc_kit_count(id, "state", "verified"), 0);
	expect_untouched(p);
}

Test(engine_guard, disarmed_stops_everything_also_after_a_restart_until_armed)
{
	struct place sick, other, forced;

	sc_kit_start("conditions:\n" AUTO("auto", SICK, "") MANUAL("kill", ""));
	sick = populate("sick");
	other = populate("other");
	forced = populate("forced");
	/* Without a reason too: whoever has to stop it in haste does so with one word. */
	sc_kit_expect("disarm", 0, "disarmed");
	sc_kit_expect("status", 0, "no reason given");
	cr_assert_eq(sc_rig_run(&sc_kit, "arm"), 0);
	cr_assert_eq(sc_rig_run(&sc_kit, "disarm --operator tester --reason maintenance"), 0);
	sc_kit_wait_grace();
	sc_kit_crash(sick.fd, 1);
	expect_vetoed("auto", "disarmed", &sick);
	cr_expect_eq(sc_kit_fire("kill", "other", "--wait"), 4);
	expect_untouched(&other);

	sc_kit_restart(SIGKILL);
	sc_kit_expect("status --json", 0, "\"state\": \"disarmed\"");
	cr_expect_eq(sc_kit_fire("kill", "other", "--wait"), 4);
	expect_untouched(&other);
	cr_expect_eq(sc_kit_fire("kill", "forced", "--wait --force"), 0);
	cr_expect_not(sc_live_is_alive(forced.pid));
	sc_kit_wait_grace();
	sc_kit_crash(sick.fd, 1);
	sc_kit_wait("auto", "veto", "disarmed", 2);
	expect_untouched(&sick);

	cr_assert_eq(sc_rig_run(&sc_kit, "arm --operator tester"), 0);
	sc_kit_wait("auto", "outcome", "emptied", 1);
	cr_expect_eq(sc_kit_fire("kill", "other", "--wait"), 0);
}

static bool is_draining(void *arg)
{
	json_t *status = sc_rig_json(&sc_kit, "status");
	bool is = strcmp(sc_kit_text(status, "state"), "draining") == 0;

	(void)arg;
	json_decref(status);
	return is;
}

/* C1 */
Test(engine_guard, drain_marker_stops_automatic_fires_and_no_manual_one)
{
	_cleanup_close_ int state = open(sc_kit.state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct place sick, other;
	int fd;

	sc_kit_start("conditions:\n" AUTO("auto", SICK, "") MANUAL("kill", ""));
	sick = populate("sick");
	other = populate("other");
	fd = openat(state, "drain", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	close(fd);
	sc_kit_wait_grace();
	cr_assert_eq(sc_wait_until(is_draining, NULL, SC_KIT_EVENT_MS), 0);
	sc_kit_crash(sick.fd, 1);
	expect_vetoed("auto", "drain", &sick);
	cr_expect_eq(sc_kit_fire("kill", "other", "--wait"), 0);
	cr_expect_not(sc_live_is_alive(other.pid));
	cr_assert_eq(unlinkat(state, "drain", 0), 0);
	sc_kit_wait("auto", "outcome", "emptied", 1);
}

/* A11 */
Test(engine_guard, forced_readonly_stops_everything_and_cannot_be_lifted)
{
	struct place sick;

	setenv("SCRAM_FORCE_READONLY", "1", 1);
	sc_kit_start("conditions:\n" AUTO("auto", SICK, "") MANUAL("kill", ""));
	sick = populate("sick");
	sc_kit_wait_grace();
	sc_kit_crash(sick.fd, 1);
	expect_vetoed("auto", "forced-readonly", &sick);
	cr_expect_eq(sc_kit_fire("kill", "sick", "--wait"), 4);
	cr_expect_eq(sc_kit_fire("kill", "sick", "--wait --force"), 4);
	sc_kit_expect("arm --operator tester", 4, "observe-only");
	sc_kit_expect("status --json", 0, "\"state\": \"observe-only\"");
	expect_untouched(&sick);
}

Test(engine_guard, protect_list_holds_for_what_is_below_and_what_is_above)
{
	struct place keep = populate("keep"), below = populate("keep/below");
	struct place above = populate("above"), inner = populate("above/inner");
	struct place near = populate("keeper");

	sc_kit_start("protect: [\"@ROOT@/keep\", \"@ROOT@/*/inner\"]\n"
		     "conditions:\n" AUTO("auto", SICK, ", max_targets: 9") MANUAL("kill", ""));
	sc_kit_crash(keep.fd, 1);
	sc_kit_wait_grace();
	expect_vetoed("auto", "protected", &keep);
	sc_kit_crash(inner.fd, 1);
	sc_kit_wait("auto", "veto", "protected", 2);
	cr_expect_eq(sc_kit_fire("kill", "keep", "--wait"), 4);
	cr_expect_eq(sc_kit_fire("kill", "keep/below", "--wait --force"), 4);
	cr_expect_eq(sc_kit_fire("kill", "above", "--wait"), 4, "it contains what is protected");
	cr_expect_eq(sc_kit_fire("kill", "above/inner", "--wait"), 4);
	expect_untouched(&keep);
	expect_untouched(&below);
	expect_untouched(&above);
	expect_untouched(&inner);
	cr_expect_eq(sc_kit_fire("kill", "keeper", "--wait"), 0, "a name that only begins so");
	cr_expect_not(sc_live_is_alive(near.pid));
}

/* The whole sandbox is supervised here, the agent's own cgroup with it. */
static void supervise_the_agent(void)
{
	snprintf(sc_kit.root, sizeof(sc_kit.root), "%s", sc_kit.box.cgroup);
	snprintf(sc_kit.root_dir, sizeof(sc_kit.root_dir), "%s", sc_kit.box.dir);
}

Test(engine_guard, agent_does_not_fire_at_itself_or_at_what_is_above_it)
{
	char root[SC_SANDBOX_PATH_MAX + 32];
	struct place agent = {.fd = sc_kit.agent_fd};

	supervise_the_agent();
	sc_kit_start("conditions:\n" AUTO("auto", "proc.alive >= 1", "") MANUAL("kill", ""));
	agent.pid = sc_kit.pid;
	expect_vetoed("auto", "protected", &agent);
	cr_expect_eq(sc_kit_fire("kill", "agent", "--wait"), 4);
	cr_expect_eq(sc_kit_fire("kill", "agent", "--wait --force"), 4);
	snprintf(root, sizeof(root), "--wait --target %s", sc_kit.box.cgroup);
	cr_expect_eq(sc_kit_fire("kill", NULL, root), 4, "the agent is below it");
	expect_untouched(&agent);
	cr_expect_eq(sc_rig_run(&sc_kit, "status"), 0);
}

Test(engine_guard, cgroup_of_pid_1_is_never_fired_at)
{
	struct place agent = {.fd = sc_kit.agent_fd};

	snprintf(sc_kit.root, sizeof(sc_kit.root), "%s", "");
	snprintf(sc_kit.root_dir, sizeof(sc_kit.root_dir), "%s", sc_kit.box.mount);
	sc_kit_start("conditions:\n" MANUAL("still", ""));
	agent.pid = sc_kit.pid;
	/* Not a live condition's business: a dry-run would be vetoed as well. */
	cr_expect_eq(sc_kit_fire("still", NULL, "--wait --target /"), 4);
	expect_untouched(&agent);
}

Test(engine_guard, cool_down_stops_the_next_fire_whoever_fired_first)
{
	struct place web = populate("web");
	pid_t later;

	sc_kit_start("conditions:\n" AUTO("auto", "proc.alive >= 2", ", cooldown: 30s"));
	sc_kit_wait_grace();
	cr_assert_eq(sc_kit_fire("auto", "web", "--wait"), 0);
	cr_expect_not(sc_live_is_alive(web.pid));
	sc_kit_wait_ticks(3);
	web.pid = sc_kit_joiner(web.fd);
	later = sc_kit_joiner(web.fd);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	cr_expect_eq(sc_kit_count("auto", NULL, NULL), 1);
	expect_untouched(&web);
	cr_expect(sc_live_is_alive(later));
	sc_kit_expect("why auto --json", 0, "cool-down 30.0 s");
}

Test(engine_guard, one_of_a_few_targets_is_all_that_may_be_hit)
{
	struct place c[6];

	populate_many(c, SC_ARRAY_SIZE(c), 0);
	sc_kit_start("conditions:\n" AUTO("auto", SICK, ""));
	sc_kit_wait_grace();
	sc_kit_crash(c[0].fd, 1);
	sc_kit_wait("auto", "outcome", "emptied", 1);
	sc_kit_crash(c[1].fd, 1);
	sc_kit_wait("auto", "veto", "blast-radius", 1);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	cr_expect_eq(count_alive(c, SC_ARRAY_SIZE(c)), 5);
	expect_untouched(&c[1]);
	sc_kit_expect("why auto --json", 0, "1 of 6 targets affected already, limit 1");
}

Test(engine_guard, three_kills_in_a_minute_are_all_that_the_host_gets_by_itself)
{
	struct place c[12];

	populate_many(c, SC_ARRAY_SIZE(c), 5);
	sc_kit_start("conditions:\n" AUTO("one", SICK, ", max_targets: 100")
			     AUTO("two", SICK, ", max_targets: 100"));
	for (unsigned int i = 0; i < 5; i++)
		sc_kit_crash(c[i].fd, 1);
	sc_kit_wait(NULL, "veto", "blast-radius", 5);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	cr_expect_eq(sc_kit_count(NULL, "state", "verified"), 3);
	/* Two conditions: some targets may be fired at twice, but three fires are three. */
	cr_expect_geq(count_alive(c, SC_ARRAY_SIZE(c)), 9);
	cr_expect_eq(count_alive(c + 5, SC_ARRAY_SIZE(c) - 5), 7);
}

Test(engine_guard, most_targets_sick_at_once_means_that_the_sensor_is_suspect)
{
	struct place c[5];

	populate_many(c, SC_ARRAY_SIZE(c), 0);
	sc_kit_start("conditions:\n" AUTO("auto", SICK, ", max_targets: 100"));
	cr_assert_eq(sc_rig_run(&sc_kit, "disarm --operator tester --reason test"), 0);
	sc_kit_wait_grace();
	for (unsigned int i = 0; i < 3; i++)
		sc_kit_crash(c[i].fd, 1);
	sc_kit_wait("auto", "veto", "disarmed", 3);
	cr_assert_eq(sc_rig_run(&sc_kit, "arm --operator tester"), 0);
	sc_kit_wait("auto", "veto", "majority-sick", 3);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	cr_expect_eq(count_alive(c, SC_ARRAY_SIZE(c)), 5);
	cr_expect_eq(sc_kit_count("auto", "state", "verified"), 0);
}

/* A12 */
Test(engine_guard, fire_that_needs_two_persons_is_pending_and_never_dispatched)
{
	struct place sick, other;

	sc_kit_start("conditions:\n" AUTO("auto", SICK, ", requires_two_person: true")
			     MANUAL("kill", ", requires_two_person: true"));
	sick = populate("sick");
	other = populate("other");
	sc_kit_crash(sick.fd, 1);
	sc_kit_wait("auto", "state", "pending", 1);
	cr_expect_eq(sc_kit_fire("kill", "other", "--wait"), 5);
	cr_expect_eq(sc_kit_fire("kill", "other", "--wait --force"), 5);
	cr_expect_eq(sc_kit_count("kill", "two_person_status", "pending"), 2);
	sc_kit_restart(SIGKILL);
	cr_expect_eq(sc_kit_count("kill", "state", "pending"), 2);
	cr_expect_eq(sc_kit_count("auto", "state", "pending"), 1);
	sc_kit_wait_grace();
	sc_kit_wait_ticks(SC_KIT_TICKS);
	cr_expect_eq(sc_kit_count(NULL, "state", "verified"), 0);
	expect_untouched(&sick);
	expect_untouched(&other);
}

Test(engine_guard, next_rung_does_not_hit_what_was_made_anew_under_the_same_path)
{
	int web = sc_kit_mkdir("web");
	struct place anew;

	sc_kit_start("conditions:\n"
		     "  - {id: ladder, scope: \"@ROOT@/*\", when: \"" SICK "\", action: {kind: "
		     "process-exit}, escalate: [{kind: freeze, dwell: 4s}, {kind: process-exit}], "
		     "auto_fire: true, live: true}\n");
	sc_kit_wait_grace();
	sc_kit_crash(web, 1);
	sc_kit_wait("ladder", "outcome", "frozen", 1);
	sc_kit_rmdir("web");
	close(web);
	anew = populate("web");
	sc_kit_wait_ticks(250); /* longer than the dwell */
	cr_expect_eq(sc_kit_count("ladder", "action", "process-exit"), 0);
	cr_expect_eq(sc_kit_count("ladder", "state", "released"), 1);
	expect_untouched(&anew);
}

static int pinned(const char *map)
{
	char path[SC_BPF_PIN_DIR_MAX + 16], dir[SC_BPF_PIN_DIR_MAX];
	int fd;

	cr_assert_eq(sc_bpf_pin_dir(sc_kit.run_dir, dir), 0);
	snprintf(path, sizeof(path), "%s/%s", dir, map);
	fd = bpf_obj_get(path);
	cr_assert_geq(fd, 0, "%s: %s", path, strerror(errno));
	return fd;
}

/* Writes into the pinned maps that the kernel side could not count n events of the cgroup. */
static void lose_events(int cgroup_fd, uint32_t n)
{
	_cleanup_close_ int nodes = pinned("nodes"), stats_fd = pinned("stats");
	uint64_t id = sc_cgroup_id(cgroup_fd);
	struct sc_node node = {0};
	struct sc_stats stats;
	uint32_t key = 0;

	cr_assert_eq(bpf_map_lookup_elem(stats_fd, &key, &stats), 0);
	stats.processes_full += n;
	cr_assert_eq(bpf_map_update_elem(stats_fd, &key, &stats, 0), 0);
	for (; node.cgroup_id != id; key++)
		cr_assert_eq(bpf_map_lookup_elem(nodes, &key, &node), 0);
	key--;
	node.lost += n;
	node.lost_ns = sc_mono_ns();
	cr_assert_eq(bpf_map_update_elem(nodes, &key, &node, 0), 0);
}

Test(engine_guard, lost_events_stop_automatic_fires_on_whom_they_are_of)
{
	struct place sick, other;

	sc_kit_start("conditions:\n" AUTO("auto", SICK, "") MANUAL("kill", ""));
	sick = populate("sick");
	other = populate("other");
	sc_kit_wait_grace();
	lose_events(sick.fd, 5);
	sc_kit_crash(sick.fd, 1);
	expect_vetoed("auto", "source-health", &sick);
	sc_kit_expect("why auto --json", 0, "5 events were lost");
	sc_kit_expect("doctor", 1, "5 events could not be counted");
	cr_expect_eq(sc_kit_fire("kill", "sick", "--wait"), 0);
	sc_kit_crash(other.fd, 1);
	sc_kit_wait("auto", "outcome", "emptied", 1);
}
