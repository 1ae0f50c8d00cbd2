/* SPDX-License-Identifier: Apache-2.0 */
/* Changing what the running agent watches for: reload, promote and demote, register and unregister.
 */
#include "live/engine_kit.h"

#include "base/io.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>

TestSuite(engine_change, .init = sc_kit_init, .fini = sc_kit_fini, .timeout = 300);

#define CROWD(more)                                                                       \
	"  - {id: crowd, scope: \"@ROOT@/*\", when: \"proc.alive >= 2\", action: {kind: " \
	"process-exit}, auto_fire: true" more "}\n"
#define CRASHES(id, more)                                                                    \
	"  - {id: " id ", scope: \"@ROOT@/*\", when: \"increase(proc.crashes[60s]) >= 3\", " \
	"action: {kind: process-exit}, auto_fire: true" more "}\n"

static bool log_has(void *arg)
{
	static char text[256 * 1024];
	ssize_t n = sc_read_file_at(AT_FDCWD, sc_kit.log, text, sizeof(text));

	return n > 0 && strstr(text, arg);
}

/* SIGHUP, and the wait for what the agent says about it. */
static void reload(const char *answer)
{
	char copy[128];

	snprintf(copy, sizeof(copy), "%s", answer);
	cr_assert_eq(kill(sc_kit.pid, SIGHUP), 0);
	cr_assert_eq(sc_wait_until(log_has, copy, SC_KIT_EVENT_MS), 0, "no \"%s\" in the log",
		     answer);
}

/* How many records of this kind the journal holds: its lines, the newest segments. */
static unsigned int count_records(const char *kind)
{
	char want[64], path[SC_SANDBOX_PATH_MAX + 64];
	unsigned int n = 0;

	snprintf(want, sizeof(want), "\"kind\":\"%s\"", kind);
	for (unsigned int segment = 1; segment < 100; segment++) {
		static char line[64 * 1024];
		_cleanup_fclose_ FILE *f = NULL;

		snprintf(path, sizeof(path), "%s/journal/%08u.jsonl", sc_kit.state_dir, segment);
		f = fopen(path, "re");
		while (f && fgets(line, sizeof(line), f))
			n += strstr(line, want) != NULL;
	}
	return n;
}

Test(engine_change, reload_swaps_the_new_file_in_and_journals_its_digest)
{
	int web = sc_kit_mkdir("web");
	json_t *before, *after;

	sc_kit_start("conditions:\n" CROWD(", live: true"));
	before = sc_rig_json(&sc_kit, "status");
	cr_expect_eq(count_records("config.loaded"), 1);
	sc_kit_write("conditions:\n" CRASHES("loop", ", live: true"));
	reload("reloaded: 1 conditions");
	after = sc_rig_json(&sc_kit, "status");
	cr_expect_eq(strlen(sc_kit_text(after, "config_digest")), 64);
	cr_expect_str_neq(sc_kit_text(before, "config_digest"),
			  sc_kit_text(after, "config_digest"));
	cr_expect_eq(count_records("config.loaded"), 2);
	sc_kit_expect("why crowd", 1, "no such condition");
	sc_kit_sleeper(web);
	sc_kit_crash(web, 3);
	sc_kit_wait("loop", "outcome", "emptied", 1);
	json_decref(before);
	json_decref(after);
}

Test(engine_change, bad_file_is_refused_whole_and_the_running_set_goes_on_firing)
{
	static const char *const bad[] = {
		"conditions: [\n",
		"conditions:\n" CROWD(", live: true") CROWD(""),
		"conditions:\n" CRASHES("loop", "") "  - {id: x, when: \"proc.alive >\"}\n",
		"conditions:\n" CROWD(", live: true, unheard_of: 1"),
	};
	int web = sc_kit_mkdir("web");

	sc_kit_start("conditions:\n" CROWD(", live: true"));
	for (size_t i = 0; i < SC_ARRAY_SIZE(bad); i++) {
		json_t *condition;

		sc_kit_write(bad[i]);
		sc_kit_expect("reload", 1, "scram.yaml:");
		condition = sc_kit_condition("crowd");
		cr_expect(json_is_true(json_object_get(condition, "live")));
		json_decref(condition);
	}
	reload("reload refused, the running set stays");
	cr_expect_eq(count_records("config.loaded"), 1);
	sc_kit_sleeper(web);
	sc_kit_sleeper(web);
	sc_kit_wait("crowd", "outcome", "emptied", 1);
}

Test(engine_change, windows_and_latches_of_what_stays_survive_a_reload)
{
	int latched = sc_kit_mkdir("latched"), counted = sc_kit_mkdir("counted");
	pid_t first, second;

	sc_kit_start("conditions:\n" CROWD(", cooldown: 0s")
			     CRASHES("loop", ", live: true, max_targets: 5"));
	first = sc_kit_sleeper(latched);
	second = sc_kit_sleeper(latched);
	sc_kit_sleeper(counted);
	sc_kit_crash(counted, 2);
	sc_kit_wait("crowd", "state", "dry-run", 1);
	sc_kit_write("conditions:\n" CROWD(", cooldown: 0s, description: \"said anew\"") CRASHES(
		"loop", ", live: true, max_targets: 5") CRASHES("another", ""));
	reload("reloaded: 3 conditions");
	sc_kit_wait_ticks(SC_KIT_TICKS);
	cr_expect_str_eq(sc_kit_state("crowd", "latched"), "latched");
	cr_expect_eq(sc_kit_count("crowd", "state", "dry-run"), 1);
	/* Two crashes before, one after: three. */
	cr_expect_eq(sc_kit_count("loop", NULL, NULL), 0);
	sc_kit_crash(counted, 1);
	sc_kit_wait("loop", "outcome", "emptied", 1);
	sc_kit_expect_untouched(first, latched);
	sc_kit_expect_untouched(second, latched);
}

/* A13 */
Test(engine_change, promote_and_demote_hold_at_once_and_after_a_restart)
{
	int web = sc_kit_mkdir("web");
	pid_t pid;

	sc_kit_start("conditions:\n" CROWD(", cooldown: 100ms"));
	sc_kit_wait_grace();
	cr_assert_eq(sc_rig_run(&sc_kit, "promote crowd --operator tester"), 0);
	sc_kit_sleeper(web);
	sc_kit_sleeper(web);
	sc_kit_wait("crowd", "outcome", "emptied", 1);
	sc_kit_wait_state("crowd", "web", "clear");

	sc_kit_restart(SIGKILL);
	sc_kit_joiner(web);
	sc_kit_joiner(web);
	sc_kit_wait("crowd", "outcome", "emptied", 2);
	sc_kit_wait_state("crowd", "web", "clear");

	cr_assert_eq(sc_rig_run(&sc_kit, "demote crowd --operator tester"), 0);
	pid = sc_kit_joiner(web);
	sc_kit_joiner(web);
	sc_kit_wait("crowd", "state", "dry-run", 1);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	sc_kit_expect_untouched(pid, web);

	sc_kit_restart(SIGTERM);
	sc_kit_wait("crowd", "state", "dry-run", 2);
	cr_expect_eq(sc_kit_count("crowd", "outcome", "emptied"), 2);
	sc_kit_expect_untouched(pid, web);
	cr_expect_eq(sc_rig_run(&sc_kit, "promote nobody"), 1);
}

/* A13 */
Test(engine_change, what_a_dry_run_latched_fires_for_real_once_it_is_promoted)
{
	int web = sc_kit_mkdir("web");

	sc_kit_start("conditions:\n" CROWD(", cooldown: 200ms"));
	sc_kit_sleeper(web);
	sc_kit_sleeper(web);
	sc_kit_wait("crowd", "state", "dry-run", 1);
	cr_assert_eq(sc_rig_run(&sc_kit, "promote crowd --operator tester"), 0);
	sc_kit_wait("crowd", "outcome", "emptied", 1);
	cr_expect_eq(sc_wait_populated(web, false, 30000), 0);
}

/* Registers one condition from a file; the exit status, and what it says must contain text. */
static void expect_register(const char *json, int status, const char *text)
{
	char name[] = "one.json", line[SC_SANDBOX_PATH_MAX + 64];
	_cleanup_close_ int dirfd = open(sc_kit.box.tmp, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	cr_assert_eq(sc_write_file_atomic(dirfd, name, json, strlen(json), 0600), 0);
	snprintf(line, sizeof(line), "register %s/%s", sc_kit.box.tmp, name);
	sc_kit_expect(line, status, text);
}

Test(engine_change, condition_registered_at_run_time_fires_and_survives_until_unregistered)
{
	int web = sc_kit_mkdir("web");
	char json[1024];
	pid_t pid;

	sc_kit_start("conditions:\n" CRASHES("loop", ""));
	snprintf(json, sizeof(json),
		 "{\"id\": \"added\", \"scope\": \"%.400s/*\", \"when\": \"proc.alive >= 2\", "
		 "\"action\": {\"kind\": \"process-exit\"}, \"auto_fire\": true, \"live\": true, "
		 "\"cooldown\": \"100ms\"}",
		 sc_kit.root);
	expect_register(json, 0, "added");
	sc_kit_sleeper(web);
	sc_kit_sleeper(web);
	sc_kit_wait("added", "outcome", "emptied", 1);
	sc_kit_wait_state("added", "web", "clear");

	sc_kit_restart(SIGKILL);
	sc_kit_joiner(web);
	sc_kit_joiner(web);
	sc_kit_wait("added", "outcome", "emptied", 2);

	sc_kit_expect("unregister loop", 1, "change it there");
	cr_expect_eq(sc_rig_run(&sc_kit, "unregister added"), 0);
	cr_expect_eq(sc_rig_run(&sc_kit, "unregister added"), 1);
	pid = sc_kit_joiner(web);
	sc_kit_joiner(web);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	sc_kit_expect_untouched(pid, web);
	sc_kit_restart(SIGKILL);
	sc_kit_expect("why added", 1, "no such condition");
}

Test(engine_change, words_too_long_to_record_are_refused_and_nothing_changes)
{
	static const char *const verbs[] = {"promote", "demote", "unregister", "disarm"};
	char reason[3000];

	memset(reason, 'x', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	sc_kit_start("conditions:\n" CROWD(""));
	for (size_t i = 0; i < SC_ARRAY_SIZE(verbs); i++) {
		const char *const argv[] = {verbs[i], "--reason", reason, i < 3 ? "crowd" : NULL,
					    NULL};
		_cleanup_cli_ struct sc_cli cli = {0};
		json_t *condition;

		cr_assert_eq(sc_rig_cli(&sc_kit, &cli, argv), 0);
		cr_expect_eq(cli.status, 2, "%s: %s", verbs[i], cli.err);
		condition = sc_kit_condition("crowd");
		cr_expect(json_is_false(json_object_get(condition, "live")));
		json_decref(condition);
	}
	sc_kit_expect("status", 0, "scram is ready");
}

Test(engine_change, bad_registration_is_refused_and_nothing_changes)
{
	static const struct {
		const char *json;
		const char *text;
	} bad[] = {
		{"{\"id\": \"loop\", \"action\": {\"kind\": \"process-exit\"}}", "change it there"},
		{"{\"id\": \"x\", \"when\": \"proc.alive >\", \"auto_fire\": true, \"action\": "
		 "{\"kind\": \"process-exit\"}}",
		 ""},
		{"{\"id\": \"x\"}", "action"},
		{"{\"id\": \"x\", \"id\": \"y\", \"action\": {\"kind\": \"process-exit\"}}", ""},
	};
	json_t *list;

	sc_kit_start("conditions:\n" CRASHES("loop", ""));
	for (size_t i = 0; i < SC_ARRAY_SIZE(bad); i++)
		expect_register(bad[i].json, 1, bad[i].text);
	list = sc_rig_json(&sc_kit, "list");
	cr_expect_eq(json_array_size(list), 1);
	json_decref(list);
	cr_expect_eq(count_records("condition.registered"), 0);
}

Test(engine_change, registration_that_names_no_cgroup_kills_none)
{
	int web = sc_kit_mkdir("web");
	pid_t pid = sc_kit_sleeper(web);
	json_t *condition;

	sc_kit_start("conditions:\n" CRASHES("loop", ""));
	sc_kit_wait_grace();
	expect_register("{\"id\": \"all\", \"when\": \"proc.alive >= 0\", \"auto_fire\": true, "
			"\"live\": true, \"action\": {\"kind\": \"process-exit\"}}",
			0, "all");
	condition = sc_kit_condition("all");
	cr_expect_str_eq(sc_kit_text(condition, "armed"), "cannot fire");
	json_decref(condition);
	sc_kit_wait_ticks(SC_KIT_TICKS);
	sc_kit_expect_untouched(pid, web);
	cr_expect_eq(sc_kit_count("all", "state", "verified"), 0);
}
