/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traps that other stoppers fell into, each set for the running agent: an undo that nobody wrote
 * down, a rehearsal that skips the checks, a record that goes nowhere, a stop that blinds the
 * watcher.
 */
#include "live/engine_kit.h"

#include "base/mem.h"
#include "base/str.h"
#include "sys/bpf.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

TestSuite(trap, .init = sc_kit_init, .fini = sc_kit_fini, .timeout = 300);

#define CRASHES(id, more)                                                           \
	"  - {id: " id ", scope: \"@ROOT@/*\", when: \"increase(proc.crashes[60s])" \
	" >= 3\", action: {kind: process-exit}, auto_fire: true" more "}\n"

static const char BY_HAND[] =
	"conditions:\n"
	"  - {id: kill, scope: \"@ROOT@/*\", action: {kind: process-exit}, live: true}\n"
	"  - {id: still, scope: \"@ROOT@/*\", action: {kind: freeze}, live: true}\n";

/* The line number of the first record of that kind in the first segment; 0 = none. */
static unsigned int find_record(const char *kind, char *line, int size)
{
	char want[64], path[SC_SANDBOX_PATH_MAX + 64];
	_cleanup_fclose_ FILE *f = NULL;

	snprintf(want, sizeof(want), "\"kind\":\"%s\"", kind);
	snprintf(path, sizeof(path), "%s/journal/00000001.jsonl", sc_kit.state_dir);
	f = fopen(path, "re");
	cr_assert_not_null(f, "%s", path);
	for (unsigned int n = 1; fgets(line, size, f); n++)
		if (strstr(line, want))
			return n;
	return 0;
}

Test(trap, undo_recipe_is_in_the_journal_before_the_action)
{
	static char line[64 * 1024];
	int web = sc_kit_mkdir("web");
	unsigned int intent, dispatched;
	char recipe[128];
	json_t *fire;

	sc_kit_start(BY_HAND);
	sc_kit_sleeper(web);
	cr_assert_eq(sc_kit_fire("still", "web", "--wait"), 0);
	fire = sc_kit_get("still", NULL, NULL, 0);
	cr_expect_leq(sc_kit_number(fire, "intent_ns"), sc_kit_number(fire, "act_begin_ns"));
	snprintf(recipe, sizeof(recipe),
		 "\"undo\":{\"write\":\"cgroup.freeze\",\"value\":0,\"cgroup_id\":%llu}",
		 (unsigned long long)sc_cgroup_id(web));
	dispatched = find_record("fire.dispatched", line, sizeof(line));
	intent = find_record("fire.intent", line, sizeof(line));
	cr_expect(strstr(line, recipe), "%s\nnot in\n%s", recipe, line);
	cr_expect(intent > 0 && intent < dispatched);
	json_decref(fire);
}

Test(trap, freeze_of_an_ancestor_of_the_agent_is_vetoed)
{
	char at_agent[1024];

	/* The sandbox itself is supervised: the agent's own cgroup and its parent are targets. */
	snprintf(at_agent, sizeof(at_agent), "--target %s/agent", sc_kit.box.cgroup);
	sc_strcopy(sc_kit.root_dir, sizeof(sc_kit.root_dir), sc_kit.box.dir);
	sc_kit_start("conditions:\n"
		     "  - {id: chill, scope: \"/**\", action: {kind: freeze}, live: true}\n");
	cr_expect_eq(sc_kit_fire("chill", NULL, at_agent), 4);
	snprintf(at_agent, sizeof(at_agent), "--target %s --force", sc_kit.box.cgroup);
	cr_expect_eq(sc_kit_fire("chill", NULL, at_agent), 4);
	cr_expect_eq(sc_kit_count("chill", "veto", "protected"), 2);
	cr_expect_not(sc_kit_is_frozen(sc_kit.agent_fd));
}

Test(trap, dry_run_passes_the_same_interlocks_and_cools_down_like_a_live_one)
{
	int first = sc_kit_mkdir("first"), second = sc_kit_mkdir("second");
	int kept = sc_kit_mkdir("kept");
	pid_t a = sc_kit_sleeper(first), b = sc_kit_sleeper(second), c = sc_kit_sleeper(kept);

	/* Of three targets one may be hit: the second is vetoed though nothing would happen. */
	sc_kit_start("protect: [\"@ROOT@/kept\"]\n"
		     "conditions:\n" CRASHES("try", ""));
	sc_kit_wait_grace();
	sc_kit_crash(kept, 3);
	sc_kit_wait("try", "veto", "protected", 1);
	sc_kit_crash(first, 3);
	sc_kit_wait("try", "state", "dry-run", 1);
	cr_expect_str_eq(sc_kit_state("try", "first"), "latched");
	sc_kit_crash(second, 3);
	sc_kit_wait("try", "state", "vetoed", 2);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	cr_expect_eq(sc_kit_count("try", "state", "dry-run"), 1);
	cr_expect_eq(sc_kit_count("try", "dispatched", "true"), 0);
	sc_kit_expect_untouched(a, first);
	sc_kit_expect_untouched(b, second);
	sc_kit_expect_untouched(c, kept);
}

static bool doctor_doubts_the_journal(void *arg)
{
	_cleanup_cli_ struct sc_cli cli = {0};

	(void)arg;
	sc_kit_cli(&cli, "doctor");
	return strstr(cli.out, "segments in doubt 1") != NULL;
}

/* B6 */
Test(trap, journal_deleted_under_the_agent_is_noticed_and_fires_are_recorded_on)
{
	int web = sc_kit_mkdir("web");
	char path[SC_SANDBOX_PATH_MAX + 64];

	sc_kit_start(BY_HAND);
	sc_kit_sleeper(web);
	snprintf(path, sizeof(path), "%s/journal/00000001.jsonl", sc_kit.state_dir);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(sc_wait_until(doctor_doubts_the_journal, NULL, SC_KIT_EVENT_MS), 0);
	sc_kit_expect("doctor", 1, "red     journal");
	sc_kit_expect("disarm --operator tester --reason looking", 0, "disarmed");
	sc_kit_expect("arm", 0, "armed");
	cr_expect_eq(sc_kit_fire("kill", "web", "--wait"), 0);
	sc_kit_expect("verify", 22, "missing");
	snprintf(path, sizeof(path), "%s/journal/00000002.jsonl", sc_kit.state_dir);
	cr_expect_eq(access(path, F_OK), 0);
}

Test(trap, long_action_holds_up_neither_the_ticks_nor_another_fire)
{
	static const char *const stubborn[] = {"/bin/sh", "-c",
					       "trap '' TERM; while :; do sleep 1; done", NULL};
	int slow = sc_kit_mkdir("slow"), web = sc_kit_mkdir("web");
	pid_t pid = sc_helper_exec(slow, stubborn, -1, -1);

	cr_assert_gt(pid, 0);
	sc_kit_start("conditions:\n"
		     "  - {id: ask, scope: \"@ROOT@/slow\", action: {kind: process-exit, config: "
		     "{grace: 50s}}, live: true}\n" CRASHES("crash", ", live: true"));
	sc_kit_wait_grace();
	cr_assert_eq(sc_kit_fire("ask", "slow", ""), 0);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	sc_kit_crash(web, 3);
	sc_kit_wait("crash", "outcome", "emptied", 1);
	sc_kit_wait("ask", "state", "dispatched", 1);
	cr_expect(sc_live_is_alive(pid), "still within its grace");
	sc_kit_end(pid);
	sc_kit_wait("ask", "outcome", "emptied", 1);
}

static bool is_pin_dir_locked(void)
{
	char dir[SC_BPF_PIN_DIR_MAX];
	_cleanup_close_ int fd = -1;

	cr_assert_eq(sc_bpf_pin_dir(sc_kit.run_dir, dir), 0);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(fd, 0, "%s: %s", dir, strerror(errno));
	return flock(fd, LOCK_EX | LOCK_NB) < 0;
}

/* A worker that the agent was about to start has it a moment longer. */
static bool is_pin_dir_free(void *arg)
{
	(void)arg;
	return !is_pin_dir_locked();
}

Test(trap, maps_that_a_killed_agent_leaves_are_told)
{
	sc_kit_start(BY_HAND);
	cr_expect(is_pin_dir_locked());
	cr_assert_eq(sc_rig_stop(&sc_kit, SIGKILL, NULL), 0);
	cr_assert_eq(sc_wait_until(is_pin_dir_free, NULL, SC_KIT_EVENT_MS), 0);
	sc_kit_expect("doctor", 3, "agents that were killed");
	sc_kit_expect("doctor", 3, "sudo rm -r /sys/fs/bpf/scram/");
	cr_assert_eq(sc_rig_start(&sc_kit, NULL), 0);
	cr_expect(is_pin_dir_locked());
}
