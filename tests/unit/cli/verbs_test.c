/* SPDX-License-Identifier: Apache-2.0 */
/* Whole verbs against a fake agent: what they send, their exit status, what they print. */
#include "cli/cli.h"
#include "unit/cli/fake_agent.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdint.h>
#include <string.h>

#define ARGV_MAX 12

static void quiet(void)
{
	cr_redirect_stdout();
	cr_redirect_stderr();
}

/* scram WORDS... --run-dir DIR; returns the exit status. */
static int scram(const char *run_dir, const char *const *words)
{
	char *argv[ARGV_MAX + 4] = {"scram"};
	int argc = 1;

	for (; *words; words++)
		argv[argc++] = (char *)(uintptr_t)*words;
	argv[argc++] = "--run-dir";
	argv[argc++] = (char *)(uintptr_t)run_dir;
	return sc_cli_main(argc, argv);
}

/* What is typed, what must be sent (NULL = not looked at), what is answered, the exit status. */
static const struct {
	const char *words[ARGV_MAX];
	const char *request;
	const char *reply;
	int status;
} exchanges[] = {
	{{"ping"}, "{\"op\":\"ping\"}", "{\"exit\":0,\"pid\":1}", 0},
	{{"list"}, "{\"op\":\"list\"}", "{\"exit\":0,\"conditions\":[]}", 0},
	{{"fires"}, "{\"limit\":50,\"op\":\"fires\"}", "{\"exit\":0,\"fires\":[]}", 0},
	{{"fires", "--limit", "500"},
	 "{\"limit\":500,\"op\":\"fires\"}",
	 "{\"exit\":0,\"fires\":[]}",
	 0},
	{{"show", "0f8fad5b"},
	 "{\"fire\":\"0f8fad5b\",\"op\":\"show\"}",
	 "{\"exit\":1,\"error\":\"no such fire\"}",
	 1},
	{{"fire", "x", "--reason", "r", "--operator", "ann"},
	 "{\"id\":\"x\",\"reason\":\"r\",\"operator\":\"ann\",\"wait\":false,\"force\":"
	 "false,"
	 "\"op\":\"fire\"}",
	 "{\"exit\":0,\"fire_id\":\"f\"}",
	 0},
	{{"fire", "--wait", "--force", "--target=/w", "x", "--reason=r", "--operator=ann"},
	 "{\"id\":\"x\",\"reason\":\"r\",\"operator\":\"ann\",\"target\":\"/"
	 "w\",\"wait\":true,"
	 "\"force\":true,\"op\":\"fire\"}",
	 "{\"exit\":6,\"error\":\"2 are left\",\"fire_id\":\"f\"}",
	 6},
	{{"fire", "x", "--reason=r", "--operator=ann"},
	 NULL,
	 "{\"exit\":4,\"error\":\"vetoed by protected\",\"veto\":\"protected\"}",
	 4},
	{{"fire", "x", "--reason=r", "--operator=ann"},
	 NULL,
	 "{\"exit\":5,\"error\":\"pending\"}",
	 5},
	{{"release", "/w", "--operator=ann"},
	 "{\"what\":\"/w\",\"operator\":\"ann\",\"op\":\"release\"}",
	 "{\"exit\":0,\"released\":[]}",
	 0},
	{{"quarantine", "acme", "--reason=r", "--operator=ann"},
	 "{\"kind\":\"quarantine\",\"name\":\"acme\",\"reason\":\"r\",\"operator\":\"ann\","
	 "\"wait\":false,\"force\":false,\"op\":\"isolate\"}",
	 "{\"exit\":0,\"fire_id\":\"f\"}",
	 0},
	{{"break", "web", "--mode=new", "--ttl=15m", "--wait", "--force", "--reason=r",
	  "--operator=ann"},
	 "{\"kind\":\"break\",\"name\":\"web\",\"mode\":\"new\",\"ttl\":\"15m\",\"reason\":\"r\","
	 "\"operator\":\"ann\",\"wait\":true,\"force\":true,\"op\":\"isolate\"}",
	 "{\"exit\":6,\"error\":\"partly\",\"fire_id\":\"f\"}",
	 6},
	{{"quarantine", "/w/bad", "--reason=r", "--operator=ann"},
	 NULL,
	 "{\"exit\":4,\"error\":\"vetoed by disarmed\",\"veto\":\"disarmed\"}",
	 4},
	{{"unquarantine", "acme", "--operator=ann", "--reason=r"},
	 "{\"group\":\"tenant acme\",\"kind\":\"quarantine\",\"operator\":\"ann\","
	 "\"reason\":\"r\",\"op\":\"release\"}",
	 "{\"exit\":0,\"released\":[],\"note\":\"nothing stands\"}",
	 0},
	{{"unbreak", "web", "--operator=ann"},
	 "{\"group\":\"component web\",\"kind\":\"break\",\"operator\":\"ann\",\"op\":\"release\"}",
	 "{\"exit\":6,\"error\":\"1 cut of it is not undone yet\",\"released\":[]}",
	 6},
	{{"unbreak", "/w/x", "--operator=ann"},
	 "{\"group\":\"cgroup /w/x\",\"kind\":\"break\",\"operator\":\"ann\",\"op\":\"release\"}",
	 "{\"exit\":0,\"released\":[]}",
	 0},
	{{"breaker"}, "{\"op\":\"status\"}", "{\"exit\":0,\"components\":[]}", 0},
	{{"breaker", "web"},
	 "{\"op\":\"status\"}",
	 "{\"exit\":0,\"components\":[{\"name\":\"web\"}]}",
	 0},
	{{"breaker", "web"}, NULL, "{\"exit\":0,\"components\":[{\"name\":\"db\"}]}", 1},
	{{"breaker", "web", "forced-open", "--reason=r", "--operator=ann"},
	 "{\"component\":\"web\",\"state\":\"forced-open\",\"operator\":\"ann\",\"reason\":\"r\","
	 "\"op\":\"breaker\"}",
	 "{\"exit\":0,\"component\":\"web\",\"state\":\"forced-open\"}",
	 0},
	{{"promote", "x", "--operator=ann", "--reason=watched"},
	 "{\"id\":\"x\",\"operator\":\"ann\",\"reason\":\"watched\",\"op\":\"promote\"}",
	 "{\"exit\":0}",
	 0},
	{{"demote", "x", "--operator=ann"},
	 "{\"id\":\"x\",\"operator\":\"ann\",\"op\":\"demote\"}",
	 "{\"exit\":0}",
	 0},
	{{"disarm", "--reason=r", "--operator=ann"},
	 "{\"operator\":\"ann\",\"reason\":\"r\",\"op\":\"disarm\"}",
	 "{\"exit\":0}",
	 0},
	{{"arm", "--operator=ann"}, "{\"operator\":\"ann\",\"op\":\"arm\"}", "{\"exit\":0}", 0},
	{{"reload"}, "{\"op\":\"reload\"}", "{\"exit\":1,\"error\":\"refused:\\nf:1:2: x\"}", 1},
	{{"signals"}, "{\"op\":\"signals\"}", "{\"exit\":0,\"targets\":[]}", 0},
	{{"signals", "/w"},
	 "{\"target\":\"/w\",\"op\":\"signals\"}",
	 "{\"exit\":0,\"targets\":[]}",
	 0},
	{{"why", "x", "/w"},
	 "{\"condition\":\"x\",\"target\":\"/w\",\"op\":\"why\"}",
	 "{\"exit\":0,\"targets\":[]}",
	 0},
	{{"unregister", "x", "--operator=ann"},
	 "{\"id\":\"x\",\"operator\":\"ann\",\"op\":\"unregister\"}",
	 "{\"exit\":0,\"id\":\"x\",\"removed_from_memory\":true}",
	 0},
	{{"doctor"}, "{\"op\":\"doctor\"}", "{\"exit\":0,\"checks\":[{\"level\":\"green\"}]}", 0},
	{{"doctor"}, NULL, "{\"exit\":0,\"checks\":[{\"level\":\"red\"}]}", 1},
	{{"status"}, "{\"op\":\"status\"}", "{\"exit\":0,\"ready\":true}", 0},
	{{"status"}, NULL, "{\"exit\":0,\"ready\":false}", 1},
	/* An error without a status of its own is a failure all the same. */
	{{"ping"}, NULL, "{\"exit\":0,\"error\":\"confused\"}", 1},
};

Test(verbs, send_their_request_and_pass_the_exit_status_on, .init = quiet)
{
	for (size_t i = 0; i < SC_ARRAY_SIZE(exchanges); i++) {
		struct fake_agent agent;
		int status;

		fake_agent_start(&agent, FAKE_ANSWERS, exchanges[i].reply);
		status = scram(agent.dir, exchanges[i].words);
		fake_agent_stop(&agent);
		cr_assert_eq(status, exchanges[i].status, "case %zu: %d", i, status);
		if (exchanges[i].request)
			cr_assert_str_eq(agent.request, exchanges[i].request, "case %zu", i);
	}
}

/* One release after another, until the agent says that nothing is left. */
Test(verbs, unquarantine_releases_all_that_stands_and_lists_it, .init = quiet)
{
	static const char *const words[] = {"unquarantine", "acme", "--operator=ann", NULL};
	struct fake_agent agent;

	fake_agent_start(&agent, FAKE_ANSWERS,
			 "{\"exit\":0,\"fire_id\":\"f1\",\"released\":[{\"id\":\"f1\",\"group\":"
			 "\"tenant acme\",\"target\":\"/\",\"action\":\"tenant-quarantine\"}]}\n"
			 "{\"exit\":0,\"fire_id\":\"f2\",\"released\":[{\"id\":\"f2\",\"group\":"
			 "\"tenant acme\",\"target\":\"/\",\"action\":\"tenant-quarantine\"}]}\n"
			 "{\"exit\":0,\"released\":[],\"note\":\"nothing stands there\"}");
	cr_assert_eq(scram(agent.dir, words), 0);
	fake_agent_stop(&agent);
	cr_assert_eq(agent.requests, 3);
	fflush(stdout);
	cr_assert_stdout_eq_str("released tenant acme from tenant-quarantine (fire f1)\n"
				"released tenant acme from tenant-quarantine (fire f2)\n");
}

/* A cut that does not come off does not keep the others standing, and is not told as done. */
Test(verbs, unbreak_goes_on_after_a_failure_and_is_not_done, .init = quiet)
{
	static const char *const words[] = {"unbreak", "web", "--operator=ann", NULL};
	struct fake_agent agent;

	fake_agent_start(&agent, FAKE_ANSWERS,
			 "{\"exit\":1,\"error\":\"busy\",\"fire_id\":\"f1\",\"released\":[]}\n"
			 "{\"exit\":0,\"fire_id\":\"f2\",\"released\":[{\"id\":\"f2\",\"group\":"
			 "\"component web\",\"action\":\"circuit-break-component\"}]}\n"
			 "{\"exit\":6,\"error\":\"1 cut is not undone yet\",\"released\":[]}");
	cr_assert_eq(scram(agent.dir, words), 1);
	fake_agent_stop(&agent);
	cr_assert_eq(agent.requests, 3);
	fflush(stdout);
	cr_assert_stdout_eq_str("released component web from circuit-break-component (fire f2)\n");
}

Test(verbs, json_is_the_data_alone, .init = quiet)
{
	static const char *const words[] = {"fires", "--json", NULL};
	struct fake_agent agent;

	fake_agent_start(&agent, FAKE_ANSWERS,
			 "{\"exit\":0,\"error\":null,\"fires\":[{\"id\":\"f\",\"killed\":0.1}]}");
	cr_assert_eq(scram(agent.dir, words), 0);
	fake_agent_stop(&agent);
	fflush(stdout);
	cr_assert_stdout_eq_str("[\n  {\n    \"id\": \"f\",\n    \"killed\": 0.1\n  }\n]\n");
}

Test(verbs, json_of_several_members_leaves_out_the_envelope, .init = quiet)
{
	static const char *const words[] = {"ping", "--json", NULL};
	struct fake_agent agent;

	fake_agent_start(&agent, FAKE_ANSWERS,
			 "{\"exit\":0,\"error\":null,\"pid\":7,\"host\":\"\xc2\x9b\"}");
	cr_assert_eq(scram(agent.dir, words), 0);
	fake_agent_stop(&agent);
	fflush(stdout);
	cr_assert_stdout_eq_str("{\n  \"pid\": 7,\n  \"host\": \"\\u009B\"\n}\n");
}

Test(verbs, refusal_prints_no_data, .init = quiet)
{
	static const char *const words[] = {"show", "ffffffff", "--json", NULL};
	struct fake_agent agent;

	fake_agent_start(&agent, FAKE_ANSWERS, "{\"exit\":1,\"error\":\"no such \\u001b[2Jfire\"}");
	cr_assert_eq(scram(agent.dir, words), 1);
	fake_agent_stop(&agent);
	fflush(stdout);
	fflush(stderr);
	cr_assert_stdout_eq_str("");
	cr_assert_stderr_eq_str("scram show: no such \\x1b[2Jfire\n");
}

Test(verbs, unreachable_agent_is_3, .init = quiet)
{
	static const char *const verbs[][ARGV_MAX] = {
		{"ping"},
		{"list"},
		{"fires"},
		{"show", "ffffffff"},
		{"status"},
		{"reload"},
		{"release", "/w"},
		{"quarantine", "acme", "--reason=r", "--operator=o"},
		{"unquarantine", "acme"},
		{"unbreak", "/w/x"},
		{"breaker"},
		{"fire", "x", "--reason=r", "--operator=o"},
		{"doctor", "--json"},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(verbs); i++)
		cr_assert_eq(scram("/nonexistent/scram", verbs[i]), 3, "%s", verbs[i][0]);
}

Test(verbs, fire_without_an_answer_says_that_it_may_have_happened, .init = quiet)
{
	static const char *const words[] = {"fire", "x", "--reason=r", "--operator=o", NULL};
	struct fake_agent agent;

	fake_agent_start(&agent, FAKE_HANGS_UP, NULL);
	cr_assert_eq(scram(agent.dir, words), 3);
	fake_agent_stop(&agent);
	fflush(stderr);
	cr_assert_stderr_eq_str("scram fire: the agent went away before it had answered\n"
				"  whether it was carried out is not known; look before you repeat "
				"it: scram status, "
				"scram fires\n");
}

/* B4 */
Test(verbs, status_of_a_dead_agent_is_its_state_file_and_never_ready, .init = quiet)
{
	static const char *const words[] = {"status", "--json", NULL};
	char dir[] = "/tmp/scram-test-XXXXXX";
	char path[64];
	FILE *file;

	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/state.json", dir);
	file = fopen(path, "w");
	fputs("{\"ready\":true,\"state\":\"ready\",\"pid\":7}", file);
	fclose(file);
	cr_expect_eq(scram(dir, words), 3);
	unlink(path);
	rmdir(dir);
	fflush(stdout);
	cr_assert_stdout_eq_str("{\n  \"ready\": false,\n  \"state\": \"dead\",\n  \"pid\": 7,\n"
				"  \"state_before\": \"ready\"\n}\n");
}

Test(verbs, arguments_that_make_no_sense_are_2_and_send_nothing, .init = quiet)
{
	static const char *const cases[][ARGV_MAX] = {
		{"fires", "--limit", "0"},
		{"fires", "--limit", "501"},
		{"fires", "--limit", "many"},
		{"fires", "--limit", "10x"},
		{"fire", "x", "--operator", "ann"},
		{"fire", "x", "--reason=r", "--operator=o", "--target=\xff"},
		{"release"},
		{"quarantine", "acme"},
		{"quarantine", "acme", "--reason=r", "--operator=o", "--ttl", "soon"},
		{"quarantine", "acme", "--reason=r", "--operator=o", "--ttl", "0"},
		{"quarantine", "acme", "--reason=r", "--operator=o", "--mode", "all"},
		{"break", "web", "--reason=r", "--operator=o", "--mode", "drop"},
		{"breaker", "web", "open", "--reason=r"},
		{"breaker", "web", "auto"},
		{"completion", "fish"},
		{"reference", "nothing"},
		{"help", "nothing"},
		{"run", "--interval", "0"},
		{"run", "--interval", "1h"},
		{"run", "--interval", "64MiB"},
		{"run", "--interval", "fast"},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct fake_agent agent;

		fake_agent_start(&agent, FAKE_ANSWERS, "{\"exit\":0}");
		cr_assert_eq(scram(agent.dir, cases[i]), 2, "case %zu", i);
		fake_agent_stop(&agent);
		cr_assert_str_empty(agent.request, "case %zu", i);
	}
}

Test(verbs, an_agent_elsewhere_is_never_mistaken_for_this_one, .init = quiet)
{
	static const char *const words[] = {"fire", "x", "--reason=r", "--operator=o", NULL};
	struct fake_agent agent;

	setenv("SCRAM_BASE_URL", "http://elsewhere:8400", 1);
	fake_agent_start(&agent, FAKE_ANSWERS, "{\"exit\":0}");
	cr_assert_eq(scram(agent.dir, words), 2);
	fake_agent_stop(&agent);
	cr_assert_str_empty(agent.request);
}

Test(verbs, register_takes_one_condition_a_list_or_the_whole, .init = quiet)
{
	static const struct {
		const char *file;
		const char *request;
	} cases[] = {
		{"{\"id\":\"a\"}", "{\"conditions\":[{\"id\":\"a\"}],\"op\":\"register\"}"},
		{"[{\"id\":\"a\"}]", "{\"conditions\":[{\"id\":\"a\"}],\"op\":\"register\"}"},
		{"{\"conditions\":[{\"id\":\"a\"}]}",
		 "{\"conditions\":[{\"id\":\"a\"}],\"op\":\"register\"}"},
		{"{\"id\":\"a\",\"id\":\"b\"}", NULL},
		{"nonsense", NULL},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct fake_agent agent;
		char path[128];
		const char *words[] = {"register", path, NULL};
		FILE *file;
		int status;

		fake_agent_start(&agent, FAKE_ANSWERS, "{\"exit\":0,\"registered\":[\"a\"]}");
		snprintf(path, sizeof(path), "%s/conditions.json", agent.dir);
		file = fopen(path, "w");
		fputs(cases[i].file, file);
		fclose(file);
		status = scram(agent.dir, words);
		unlink(path);
		fake_agent_stop(&agent);
		cr_assert_eq(status, cases[i].request ? 0 : 1, "case %zu", i);
		cr_assert_str_eq(agent.request, cases[i].request ? cases[i].request : "");
	}
}
