/* SPDX-License-Identifier: Apache-2.0 */
/* Fires by hand: what they answer, and what they refuse. */
#include "live/engine_kit.h"

#include "base/clock.h"
#include "base/mem.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

TestSuite(engine_manual, .init = sc_kit_init, .fini = sc_kit_fini, .timeout = 300);

/* As many as may stand at one time: in engine/core.h, SC_ACTIVE_MAX less SC_ACTIVE_RESERVED. */
#define STANDING_MAX 56

static const char BY_HAND[] =
	"conditions:\n"
	"  - {id: kill, scope: \"@ROOT@/*\", action: {kind: process-exit}, live: true}\n"
	"  - {id: try, scope: \"@ROOT@/*\", action: {kind: process-exit}}\n"
	"  - {id: web, action: {kind: process-exit, config: {target: \"@ROOT@/web\"}}, live: "
	"true}\n"
	"  - {id: still, scope: \"@ROOT@/*\", action: {kind: freeze}, live: true}\n";

Test(engine_manual, fire_kills_and_says_so)
{
	int web = sc_kit_mkdir("web"), calm = sc_kit_mkdir("calm");
	pid_t bystander = sc_kit_sleeper(calm), pid = sc_kit_sleeper(web);
	json_t *fire;

	sc_kit_start(BY_HAND);
	cr_expect_eq(sc_kit_fire("kill", "web", "--wait"), 0);
	/* The outcome was verified before the answer: no waiting here. */
	cr_expect_eq(sc_cgroup_key(web, "cgroup.events", "populated"), 0);
	cr_expect_eq(sc_wait_child(pid, NULL, 30000), 0);
	fire = sc_kit_get("kill", NULL, NULL, 0);
	cr_expect_str_eq(sc_kit_text(fire, "state"), "verified");
	cr_expect_str_eq(sc_kit_text(fire, "outcome"), "emptied");
	cr_expect_str_eq(sc_kit_text(fire, "fired_by"), "tester");
	cr_expect_str_eq(sc_kit_text(fire, "principal"), "uid:0");
	cr_expect_str_eq(sc_kit_text(fire, "reason"), "test");
	sc_kit_expect_untouched(bystander, calm);
	json_decref(fire);
}

Test(engine_manual, fire_without_wait_is_dispatched_when_it_answers)
{
	int web = sc_kit_mkdir("web");
	json_t *fire;

	sc_kit_start(BY_HAND);
	sc_kit_sleeper(web);
	cr_expect_eq(sc_kit_fire("web", NULL, ""), 0);
	fire = sc_kit_get("web", NULL, NULL, 0);
	cr_expect(json_is_true(json_object_get(fire, "dispatched")));
	json_decref(fire);
	sc_kit_wait("web", "outcome", "emptied", 1);
	cr_expect_eq(sc_cgroup_key(web, "cgroup.events", "populated"), 0);
}

/* A5, A9 */
Test(engine_manual, fire_of_what_is_not_live_is_a_dry_run_unless_forced)
{
	int web = sc_kit_mkdir("web");
	pid_t pid = sc_kit_sleeper(web);
	json_t *fire;

	sc_kit_start(BY_HAND);
	cr_expect_eq(sc_kit_fire("try", "web", "--wait"), 0);
	fire = sc_kit_get("try", NULL, NULL, 0);
	cr_expect_str_eq(sc_kit_text(fire, "state"), "dry-run");
	cr_expect(json_is_false(json_object_get(fire, "dispatched")));
	sc_kit_expect_untouched(pid, web);
	json_decref(fire);
	cr_expect_eq(sc_kit_fire("try", "web", "--wait --force"), 0);
	fire = sc_kit_get("try", NULL, NULL, 0);
	cr_expect_str_eq(sc_kit_text(fire, "outcome"), "emptied");
	cr_expect(json_is_true(json_object_get(fire, "forced")));
	cr_expect(json_is_false(json_object_get(fire, "dry_run")));
	cr_expect_not(sc_live_is_alive(pid));
	json_decref(fire);
}

Test(engine_manual, fire_at_the_wrong_place_is_refused_and_nothing_is_touched)
{
	int web = sc_kit_mkdir("web"), other = sc_kit_mkdir("other"), deep;
	pid_t in_web = sc_kit_sleeper(web), in_other = sc_kit_sleeper(other), in_deep;
	char outside[1024];

	deep = sc_kit_mkdir("other/deep");
	in_deep = sc_kit_sleeper(deep);
	sc_kit_start(BY_HAND);
	cr_expect_eq(sc_kit_fire("kill", NULL, ""), 2, "a scoped condition without a target");
	cr_expect_eq(sc_kit_fire("kill", "other/deep", ""), 2, "outside its scope");
	cr_expect_eq(sc_kit_fire("web", "other", ""), 2, "another than its one target");
	cr_expect_eq(sc_kit_fire("kill", "none", ""), 1, "no such cgroup");
	cr_expect_eq(sc_kit_fire("nobody", "web", ""), 1, "no such condition");
	snprintf(outside, sizeof(outside), "--target %s/agent", sc_kit.box.cgroup);
	cr_expect_neq(sc_kit_fire("kill", NULL, outside), 0, "outside the supervised root");
	sc_kit_expect("fire kill --operator tester", 2, "reason");
	sc_kit_expect("fire kill --reason test", 2, "operator");
	cr_expect_eq(sc_kit_count(NULL, NULL, NULL), 0);
	sc_kit_expect_untouched(in_web, web);
	sc_kit_expect_untouched(in_other, other);
	sc_kit_expect_untouched(in_deep, deep);
}

Test(engine_manual, fire_outside_the_supervised_root_is_vetoed_and_recorded)
{
	static const char ANYWHERE[] =
		"conditions:\n"
		"  - {id: any, scope: \"/**\", action: {kind: process-exit}, live: true}\n"
		"  - {id: init, action: {kind: process-exit, config: {target: /init.scope}}, live: "
		"true}\n";
	char agent[1024], above[1024];
	const char *const lines[] = {agent, above, "--target / --force", "--target /none --wait"};
	json_t *fire;

	snprintf(agent, sizeof(agent), "--target %s/agent", sc_kit.box.cgroup);
	snprintf(above, sizeof(above), "--target %s", sc_kit.box.cgroup);
	sc_kit_start(ANYWHERE);
	for (size_t i = 0; i < SC_ARRAY_SIZE(lines); i++)
		cr_expect_eq(sc_kit_fire("any", NULL, lines[i]), 4, "%s", lines[i]);
	cr_expect_eq(sc_kit_fire("init", NULL, ""), 4);
	cr_expect_eq(sc_kit_count(NULL, "veto", "protected"), SC_ARRAY_SIZE(lines) + 1);
	cr_expect_eq(sc_kit_count(NULL, NULL, NULL), SC_ARRAY_SIZE(lines) + 1);
	fire = sc_kit_get("init", NULL, NULL, 0);
	cr_expect_str_eq(sc_kit_text(fire, "target"), "/init.scope");
	cr_expect(json_is_false(json_object_get(fire, "dispatched")));
	json_decref(fire);
	cr_expect_eq(sc_rig_run(&sc_kit, "ping"), 0, "the agent lives");
}

Test(engine_manual, fire_is_decided_when_it_is_asked_for_and_not_at_the_last_tick)
{
	int web = sc_kit_mkdir("web");

	sc_kit_start(BY_HAND);
	sc_kit_sleeper(web);
	for (int i = 0; i < 5; i++) {
		uint64_t asked_ns = sc_mono_ns();
		json_t *fire;

		cr_expect_eq(sc_kit_fire("try", "web", ""), 0);
		fire = sc_kit_get("try", NULL, NULL, 0);
		cr_expect_geq(sc_kit_number(fire, "decided_ns"), asked_ns);
		json_decref(fire);
	}
}

Test(engine_manual, list_shows_what_is_live_now_and_what_was_declared)
{
	static const char *const keys[] = {"description", "registered_by"};
	json_t *condition;

	sc_kit_start(BY_HAND);
	cr_expect_eq(sc_rig_run(&sc_kit, "promote try"), 0);
	condition = sc_kit_condition("try");
	cr_expect(json_is_true(json_object_get(condition, "live")));
	cr_expect(json_is_false(json_object_get(condition, "declared_live")));
	cr_expect(json_is_false(json_object_get(condition, "has_predicate")));
	for (size_t i = 0; i < SC_ARRAY_SIZE(keys); i++)
		cr_expect(json_is_null(json_object_get(condition, keys[i])), "%s", keys[i]);
	json_decref(condition);
	cr_expect_eq(sc_rig_run(&sc_kit, "demote try"), 0);
	condition = sc_kit_condition("try");
	cr_expect(json_is_false(json_object_get(condition, "live")));
	json_decref(condition);
}

Test(engine_manual, why_asks_for_a_person_where_only_a_person_fires)
{
	_cleanup_cli_ struct sc_cli cli = {0};

	sc_kit_mkdir("web");
	sc_kit_start(BY_HAND);
	sc_kit_cli(&cli, "why web");
	cr_expect_not_null(strstr(cli.out, "two-person"), "%s", cli.out);
	cr_expect_null(strstr(cli.out, "VETO"), "%s", cli.out);
	cr_expect_null(strstr(cli.out, "source-health"), "%s", cli.out);
}

Test(engine_manual, kill_of_an_empty_cgroup_is_no_failure)
{
	sc_kit_mkdir("web");
	sc_kit_start(BY_HAND);
	cr_expect_eq(sc_kit_fire("kill", "web", "--wait"), 0);
	sc_kit_wait("kill", "outcome", "emptied", 1);
}

Test(engine_manual, path_made_again_is_the_new_target_and_the_old_one_is_history)
{
	int web = sc_kit_mkdir("web");
	uint64_t old_id = sc_cgroup_id(web), new_id;
	pid_t pid;
	json_t *fire;

	sc_kit_start(BY_HAND);
	cr_assert_eq(sc_kit_fire("still", "web", "--wait"), 0);
	sc_kit_rmdir("web");
	close(web);
	web = sc_kit_mkdir("web");
	new_id = sc_cgroup_id(web);
	pid = sc_kit_sleeper(web);
	sc_kit_wait("still", "state", "released", 1);
	sc_kit_expect_untouched(pid, web);
	cr_assert_eq(sc_kit_fire("kill", "web", "--wait"), 0);
	fire = sc_kit_get("kill", NULL, NULL, 0);
	cr_expect_eq(sc_kit_number(fire, "cgroup_id"), new_id);
	cr_expect_neq(new_id, old_id);
	cr_expect_not(sc_live_is_alive(pid));
	json_decref(fire);
}

/* A2 */
Test(engine_manual, kinds_that_are_not_built_cannot_be_armed_or_fired)
{
	static const char *const ids[] = {"write-lock", "roll-back"};

	sc_kit_mkdir("web");
	sc_kit_start("conditions:\n"
		     "  - {id: write-lock, requires_two_person: false, action: {kind: "
		     "global-readonly}, live: true}\n"
		     "  - {id: roll-back, action: {kind: rollback-to-checkpoint, config: "
		     "{checkpoint_id: c1, target: \"@ROOT@/web\"}}}\n");
	for (size_t i = 0; i < SC_ARRAY_SIZE(ids); i++) {
		char line[64];
		json_t *condition = sc_kit_condition(ids[i]);

		snprintf(line, sizeof(line), "promote %s", ids[i]);
		sc_kit_expect(line, 1, "not available on this host");
		cr_expect_eq(sc_kit_fire(ids[i], NULL, "--force"), 1, "%s", ids[i]);
		cr_expect(strstr(sc_kit_text(condition, "why_not"), "not available on this host"));
		json_decref(condition);
	}
	sc_kit_expect("list", 0, "cannot fire");
	sc_kit_expect("status", 0, "not available on this host");
	cr_expect_eq(sc_kit_count(NULL, "state", "verified"), 0);
}

/* A5 */
Test(engine_manual, one_more_than_may_stand_is_refused_and_recorded)
{
	char name[16];
	pid_t last = 0;
	int fd = -1;

	for (int i = 0; i <= STANDING_MAX; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		fd = sc_kit_mkdir(name);
		last = sc_kit_sleeper(fd);
	}
	sc_kit_start(BY_HAND);
	for (int i = 0; i < STANDING_MAX; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		cr_assert_eq(sc_kit_fire("still", name, "--wait"), 0);
	}
	snprintf(name, sizeof(name), "c%d", STANDING_MAX);
	cr_expect_eq(sc_kit_fire("still", name, "--wait"), 1);
	cr_expect_eq(sc_kit_count("still", "state", "failed"), 1);
	sc_kit_expect_untouched(last, fd);
	cr_expect_eq(sc_kit_fire("kill", name, "--wait"), 0, "a kill still has a place");
	cr_expect_eq(sc_rig_run(&sc_kit, "ping"), 0);
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGTERM, NULL), 0);
	for (int i = 0; i < STANDING_MAX; i++) {
		snprintf(name, sizeof(name), "work/c%d", i);
		fd = openat(sc_kit.box.dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		cr_expect_not(sc_kit_is_frozen(fd), "%s is left frozen", name);
		close(fd);
	}
}
