/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes on after the first act of the running agent: the next rung, the end of a freeze by
 * itself or by hand, and what is killed again.
 */
#include "live/engine_kit.h"

#include "base/clock.h"

#include <signal.h>
#include <string.h>

TestSuite(engine_ladder, .init = sc_kit_init, .fini = sc_kit_fini, .timeout = 300);

#define FREEZE_BY_HAND                                                               \
	"conditions:\n"                                                              \
	"  - {id: still, scope: \"@ROOT@/*\", action: {kind: freeze}, live: true}\n" \
	"  - {id: brief, scope: \"@ROOT@/*\", action: {kind: freeze}, ttl: 3s, live: true}\n"
#define LADDER(when, dwell)                                                                        \
	"conditions:\n"                                                                            \
	"  - {id: ladder, scope: \"@ROOT@/*\", when: \"" when "\", action: {kind: process-exit}, " \
	"escalate: [{kind: freeze, dwell: " dwell "}, {kind: process-exit}], auto_fire: true, "    \
	"live: true}\n"

/* What a new process in the cgroup finds: it must be able to run. */
static void expect_usable(int cgroup_fd)
{
	pid_t pid = sc_kit_joiner(cgroup_fd);

	cr_expect_eq(sc_wait_frozen(cgroup_fd, false, 30000), 0);
	sc_kit_expect_untouched(pid, cgroup_fd);
}

Test(engine_ladder, freezes_first_then_kills_and_leaves_nothing_frozen)
{
	int web = sc_kit_mkdir("web");
	json_t *freeze, *kill;

	sc_kit_start(LADDER("increase(proc.crashes[60s]) >= 3", "4s"));
	sc_kit_sleeper(web);
	sc_kit_crash(web, 3);
	sc_kit_wait("ladder", "outcome", "frozen", 1);
	cr_expect(sc_kit_is_frozen(web), "killed or thawed before its dwell was over");
	cr_expect_eq(sc_cgroup_count(web), 1);
	sc_kit_wait("ladder", "outcome", "emptied", 1);
	cr_expect_eq(sc_wait_populated(web, false, 30000), 0);
	freeze = sc_kit_get("ladder", "action", "freeze", 0);
	kill = sc_kit_get("ladder", "action", "process-exit", 0);
	cr_expect_eq(sc_kit_number(freeze, "rung"), 0);
	cr_expect_eq(sc_kit_number(kill, "rung"), 1);
	cr_expect_str_eq(sc_kit_text(kill, "supersedes"), sc_kit_text(freeze, "id"));
	cr_expect_geq(sc_kit_number(kill, "decided_ns") - sc_kit_number(freeze, "decided_ns"),
		      4 * SC_NS_PER_S);
	cr_expect_str_eq(sc_kit_text(freeze, "state"), "released");
	expect_usable(web);
	json_decref(freeze);
	json_decref(kill);
}

Test(engine_ladder, ends_with_a_thaw_when_it_clears_before_the_next_rung)
{
	int web = sc_kit_mkdir("web");
	pid_t first, second;
	json_t *fire;

	sc_kit_start(LADDER("proc.alive >= 2", "5s"));
	sc_kit_wait_grace();
	first = sc_kit_sleeper(web);
	second = sc_kit_sleeper(web);
	sc_kit_wait("ladder", "outcome", "frozen", 1);
	cr_expect(sc_kit_is_frozen(web));
	sc_kit_end(second); /* a frozen process can be killed */
	cr_expect_eq(sc_wait_frozen(web, false, 30000), 0);
	sc_kit_wait("ladder", "state", "released", 1);
	fire = sc_kit_get("ladder", NULL, NULL, 0);
	cr_expect_str_eq(sc_kit_text(fire, "released_by"), "agent: its condition cleared");
	sc_kit_expect_untouched(first, web);
	cr_expect_eq(sc_kit_count("ladder", "action", "process-exit"), 0);
	json_decref(fire);
}

Test(engine_ladder, freeze_ends_with_its_ttl)
{
	int web = sc_kit_mkdir("web");
	pid_t pid = sc_kit_sleeper(web);
	uint64_t begin, end;
	json_t *fire;

	sc_kit_start(FREEZE_BY_HAND);
	begin = sc_mono_ns();
	cr_assert_eq(sc_kit_fire("brief", "web", "--wait"), 0);
	cr_expect(sc_kit_is_frozen(web));
	fire = sc_kit_get("brief", NULL, NULL, 0);
	cr_expect_neq(sc_kit_number(fire, "expires_at_boot_ns"), 0);
	json_decref(fire);
	cr_assert_eq(sc_wait_frozen(web, false, 30000), 0);
	end = sc_mono_ns();
	cr_expect_geq(end - begin, 3 * SC_NS_PER_S);
	sc_kit_wait("brief", "state", "released", 1);
	sc_kit_expect_untouched(pid, web);
}

Test(engine_ladder, release_thaws_by_fire_and_by_cgroup_and_twice_is_harmless)
{
	int web = sc_kit_mkdir("web");
	pid_t pid = sc_kit_sleeper(web);
	char line[1024];
	json_t *fire;

	sc_kit_start(FREEZE_BY_HAND);
	cr_assert_eq(sc_kit_fire("still", "web", "--wait"), 0);
	fire = sc_kit_get("still", NULL, NULL, 0);
	snprintf(line, sizeof(line), "release %s --operator tester", sc_kit_text(fire, "id"));
	cr_expect_eq(sc_rig_run(&sc_kit, line), 0);
	cr_expect_not(sc_kit_is_frozen(web));
	cr_expect_eq(sc_rig_run(&sc_kit, line), 0);
	json_decref(fire);

	cr_assert_eq(sc_kit_fire("still", "web", "--wait"), 0);
	cr_expect(sc_kit_is_frozen(web));
	snprintf(line, sizeof(line), "release %.8s --operator tester", "ffffffff");
	cr_expect_eq(sc_rig_run(&sc_kit, line), 1, "no such fire");
	cr_expect(sc_kit_is_frozen(web));
	snprintf(line, sizeof(line), "release %s --operator tester", sc_kit_path("web"));
	cr_expect_eq(sc_rig_run(&sc_kit, line), 0);
	cr_expect_not(sc_kit_is_frozen(web));
	cr_expect_eq(sc_rig_run(&sc_kit, line), 0);
	cr_expect_eq(sc_kit_count("still", "released_by", "tester"), 2);
	sc_kit_expect_untouched(pid, web);
}

Test(engine_ladder, release_of_a_cgroup_takes_back_all_that_stands_on_it)
{
	int web = sc_kit_mkdir("web");
	char line[1024];
	pid_t pid;

	sc_kit_start("conditions:\n"
		     "  - {id: gone, scope: \"@ROOT@/*\", action: {kind: process-exit, config: "
		     "{rekill: true}}, live: true}\n"
		     "  - {id: still, scope: \"@ROOT@/*\", action: {kind: freeze}, live: true}\n");
	sc_kit_sleeper(web);
	cr_assert_eq(sc_kit_fire("gone", "web", "--wait"), 0);
	cr_assert_eq(sc_kit_fire("still", "web", "--wait"), 0);
	cr_expect(sc_kit_is_frozen(web));
	snprintf(line, sizeof(line), "release %s --operator tester", sc_kit_path("web"));
	cr_expect_eq(sc_rig_run(&sc_kit, line), 0);
	cr_expect_eq(sc_kit_count(NULL, "released_by", "tester"), 2);
	pid = sc_kit_joiner(web);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	sc_kit_expect_untouched(pid, web);
}

Test(engine_ladder, freeze_of_what_scram_froze_already_is_thawed_with_the_first)
{
	int web = sc_kit_mkdir("web");
	pid_t pid = sc_kit_sleeper(web);
	int status = -1;

	sc_kit_start("conditions:\n"
		     "  - {id: one, scope: \"@ROOT@/*\", action: {kind: freeze}, live: true}\n"
		     "  - {id: two, scope: \"@ROOT@/*\", action: {kind: freeze}, live: true}\n");
	cr_assert_eq(sc_kit_fire("one", "web", "--wait"), 0);
	cr_assert_eq(sc_kit_fire("two", "web", "--wait"), 0);
	cr_expect(sc_kit_is_frozen(web));
	cr_expect_eq(sc_rig_stop(&sc_kit, SIGTERM, &status), 0);
	cr_expect_eq(status, 0);
	cr_expect_eq(sc_wait_frozen(web, false, 30000), 0, "left frozen by an agent that ended");
	sc_kit_expect_untouched(pid, web);
}

Test(engine_ladder, freeze_by_another_hand_is_not_thawed)
{
	int web = sc_kit_mkdir("web");
	char line[1024];

	sc_kit_sleeper(web);
	sc_kit_start(FREEZE_BY_HAND);
	cr_assert_eq(sc_cgroup_write(web, "cgroup.freeze", "1"), 0);
	cr_assert_eq(sc_wait_frozen(web, true, 30000), 0);
	cr_assert_eq(sc_kit_fire("brief", "web", "--wait"), 0);
	snprintf(line, sizeof(line), "release %s --operator tester", sc_kit_path("web"));
	cr_expect_eq(sc_rig_run(&sc_kit, line), 0);
	sc_kit_wait_ticks(200); /* longer than the ttl */
	cr_expect(sc_kit_is_frozen(web));
	cr_expect_eq(sc_rig_stop(&sc_kit, SIGTERM, NULL), 0);
	cr_expect(sc_kit_is_frozen(web));
}

Test(engine_ladder, removed_cgroup_ends_what_stands_on_it)
{
	int web = sc_kit_mkdir("web");

	sc_kit_start(FREEZE_BY_HAND);
	sc_kit_end(sc_kit_sleeper(web));
	cr_assert_eq(sc_kit_fire("still", "web", "--wait"), 0);
	sc_kit_rmdir("web");
	sc_kit_wait("still", "state", "released", 1);
	sc_kit_expect("status --json", 0, "\"active\": []");
}

static bool was_killed_again(void *arg)
{
	json_t *fire = sc_kit_get("gone", NULL, NULL, 0);
	bool was = sc_kit_number(fire, "rekills") >= *(const unsigned int *)arg;

	json_decref(fire);
	return was;
}

/* A16 */
Test(engine_ladder, populated_again_is_killed_again_until_released)
{
	int web = sc_kit_mkdir("web");
	char line[1024];
	pid_t pid;

	sc_kit_start("conditions:\n"
		     "  - {id: gone, scope: \"@ROOT@/*\", when: \"increase(proc.crashes[60s]) >= "
		     "3\", action: {kind: process-exit, config: {rekill: true}}, auto_fire: true, "
		     "live: true}\n");
	sc_kit_wait_grace();
	sc_kit_sleeper(web);
	sc_kit_crash(web, 3);
	sc_kit_wait("gone", "outcome", "emptied", 1);
	for (unsigned int n = 1; n <= 3; n++) {
		pid = sc_kit_joiner(web);
		cr_expect_eq(sc_wait_child(pid, NULL, 30000), 0, "lives on after rekill %u", n - 1);
		cr_expect_eq(sc_wait_until(was_killed_again, &n, 30000), 0);
	}
	cr_expect_eq(sc_kit_count("gone", NULL, NULL), 1, "one fire, however often it kills");
	snprintf(line, sizeof(line), "release %s --operator tester", sc_kit_path("web"));
	cr_expect_eq(sc_rig_run(&sc_kit, line), 0);
	pid = sc_kit_joiner(web);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	sc_kit_expect_untouched(pid, web);
}

Test(engine_ladder, restart_after_the_frozen_or_killed_cgroup_was_removed_is_a_start_like_any_other)
{
	pid_t pid;

	sc_kit_start("conditions:\n"
		     "  - {id: gone, scope: \"@ROOT@/*\", action: {kind: process-exit, config: "
		     "{rekill: true}}, live: true}\n"
		     "  - {id: long, scope: \"@ROOT@/*\", action: {kind: freeze}, ttl: 1h, live: "
		     "true}\n");
	pid = sc_kit_sleeper(sc_kit_mkdir("frozen"));
	sc_kit_sleeper(sc_kit_mkdir("killed"));
	cr_assert_eq(sc_kit_fire("long", "frozen", "--wait"), 0);
	cr_assert_eq(sc_kit_fire("gone", "killed", "--wait"), 0);
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGKILL, NULL), 0);
	sc_kit_end(pid);
	sc_kit_rmdir("frozen");
	sc_kit_rmdir("killed");
	cr_assert_eq(sc_rig_start(&sc_kit, NULL), 0);
	sc_kit_wait(NULL, "state", "released", 2);
	sc_kit_restart(SIGTERM);
	cr_expect_eq(sc_kit_count(NULL, NULL, NULL), 2);
}

Test(engine_ladder, release_of_a_rung_by_a_person_ends_the_ladder)
{
	int web = sc_kit_mkdir("web");
	char line[SC_SANDBOX_PATH_MAX + 32];
	pid_t pid;

	sc_kit_start(LADDER("increase(proc.crashes[60s]) >= 3", "4s"));
	pid = sc_kit_sleeper(web);
	sc_kit_crash(web, 3);
	sc_kit_wait("ladder", "outcome", "frozen", 1);
	snprintf(line, sizeof(line), "release %s", sc_kit_path("web"));
	cr_assert_eq(sc_rig_run(&sc_kit, line), 0);
	cr_assert_eq(sc_wait_frozen(web, false, 30000), 0);
	sc_kit_wait_ticks(250); /* 5 s: longer than the dwell, and still true */
	cr_expect_eq(sc_kit_count("ladder", "action", "process-exit"), 0);
	sc_kit_expect_untouched(pid, web);
}
