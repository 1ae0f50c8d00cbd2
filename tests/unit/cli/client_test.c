/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/client.h"

#include "base/clock.h"
#include "unit/cli/fake_agent.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

static int call(const char *run_dir, uint64_t timeout_ms, json_t **reply, struct sc_diag *diag)
{
	struct sc_client client = {.run_dir = run_dir, .timeout_ns = timeout_ms * SC_NS_PER_MS};
	json_t *request = json_pack("{s:s}", "op", "ping");
	int r = sc_client_call(&client, request, reply, diag);

	json_decref(request);
	return r;
}

Test(client, asks_and_takes_the_answer)
{
	static const enum fake_manner manners[] = {FAKE_ANSWERS, FAKE_DRIBBLES};

	for (size_t i = 0; i < SC_ARRAY_SIZE(manners); i++) {
		struct fake_agent agent;
		struct sc_diag diag = {0};
		json_t *reply = NULL;

		fake_agent_start(&agent, manners[i], "{\"exit\":0,\"error\":null,\"pid\":7}");
		cr_assert_eq(call(agent.dir, 5000, &reply, &diag), 0, "%s", diag.text);
		cr_assert_eq(json_integer_value(json_object_get(reply, "pid")), 7);
		fake_agent_stop(&agent);
		cr_assert_str_eq(agent.request, "{\"op\":\"ping\"}");
		json_decref(reply);
	}
}

Test(client, takes_a_refusal_that_was_said_before_the_request_was_read)
{
	struct fake_agent agent;
	struct sc_diag diag = {0};
	json_t *reply = NULL;

	fake_agent_start(&agent, FAKE_REFUSES, "{\"exit\":1,\"error\":\"too many callers\"}");
	cr_assert_eq(call(agent.dir, 5000, &reply, &diag), 0, "%s", diag.text);
	cr_assert_eq(json_integer_value(json_object_get(reply, "exit")), 1);
	fake_agent_stop(&agent);
	json_decref(reply);
}

Test(client, bad_agents_have_their_error_and_leave_reply_untouched)
{
	static const struct {
		enum fake_manner manner;
		const char *text;
		int error;
		const char *says;
	} cases[] = {
		{FAKE_KEEPS_SILENT, "", -ETIMEDOUT, "did not answer"},
		{FAKE_HANGS_UP, "", -ECONNRESET, "went away"},
		{FAKE_STOPS_SHORT, "{\"exit\":0}", -ECONNRESET, "went away"},
		{FAKE_BOASTS, "", -EPROTO, "impossible length"},
		{FAKE_ANSWERS, "hello", -EPROTO, "another version"},
		{FAKE_ANSWERS, "[0]", -EPROTO, "no valid exit status"},
		{FAKE_ANSWERS, "{}", -EPROTO, "no valid exit status"},
		{FAKE_ANSWERS, "{\"exit\":\"0\"}", -EPROTO, "no valid exit status"},
		{FAKE_ANSWERS, "{\"exit\":-1}", -EPROTO, "no valid exit status"},
		{FAKE_ANSWERS, "{\"exit\":256}", -EPROTO, "no valid exit status"},
		{FAKE_ANSWERS, "{\"exit\":0,\"error\":5}", -EPROTO, "no valid exit status"},
		{FAKE_ANSWERS, "{\"exit\":4,\"exit\":0}", -EPROTO, "duplicate"},
		{FAKE_ANSWERS, "{\"exit\":0}trailing", -EPROTO, "another version"},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct fake_agent agent;
		struct sc_diag diag = {0};
		json_t *reply = NULL;

		fake_agent_start(&agent, cases[i].manner, cases[i].text);
		cr_assert_eq(
			call(agent.dir, cases[i].error == -ETIMEDOUT ? 50 : 5000, &reply, &diag),
			cases[i].error, "case %zu: %s", i, diag.text);
		cr_assert_not_null(strstr(diag.text, cases[i].says), "case %zu: %s", i, diag.text);
		cr_assert_null(reply);
		fake_agent_stop(&agent);
	}
}

Test(client, deadline_holds_for_a_silent_agent)
{
	struct fake_agent agent;
	struct sc_diag diag = {0};
	json_t *reply = NULL;
	uint64_t before;

	fake_agent_start(&agent, FAKE_KEEPS_SILENT, "");
	before = sc_mono_ns();
	cr_assert_eq(call(agent.dir, 100, &reply, &diag), -ETIMEDOUT);
	cr_assert_geq(sc_mono_ns() - before, 100 * SC_NS_PER_MS);
	fake_agent_stop(&agent);
}

Test(client, absent_and_dead_agents_are_told_apart_from_refusals)
{
	struct fake_agent agent;
	struct sc_diag diag = {0};
	json_t *reply = NULL;

	cr_assert_eq(call("/nonexistent/scram", 5000, &reply, &diag), -ENOENT);
	cr_assert_not_null(strstr(diag.text, "no agent listens at /nonexistent/scram"));
	fake_agent_start(&agent, FAKE_ANSWERS, "{\"exit\":0}");
	shutdown(agent.listen_fd, 2);
	cr_assert_eq(call(agent.dir, 5000, &reply, &diag), -ECONNREFUSED);
	fake_agent_stop(&agent);
}

Test(client, run_directory_may_be_longer_than_a_socket_address)
{
	char deep[256] = "/tmp/scram-test-XXXXXX";
	char link[300];
	char target[128];
	struct fake_agent agent;
	struct sc_diag diag = {0};
	json_t *reply = NULL;
	size_t base;

	fake_agent_start(&agent, FAKE_ANSWERS, "{\"exit\":0}");
	cr_assert_not_null(mkdtemp(deep));
	base = strlen(deep);
	deep[base] = '/';
	memset(deep + base + 1, 'd', 150);
	deep[base + 151] = '\0';
	cr_assert_eq(mkdir(deep, 0700), 0);
	snprintf(link, sizeof(link), "%s/control.sock", deep);
	snprintf(target, sizeof(target), "%s/control.sock", agent.dir);
	cr_assert_eq(symlink(target, link), 0);
	cr_expect_eq(call(deep, 5000, &reply, &diag), 0, "%s", diag.text);
	json_decref(reply);
	unlink(link);
	rmdir(deep);
	deep[base] = '\0';
	rmdir(deep);
	fake_agent_stop(&agent);
}

Test(client, request_over_the_limit_is_not_sent)
{
	struct fake_agent agent;
	struct sc_diag diag = {0};
	json_t *reply = NULL;
	_cleanup_free_ char *text = malloc(70001);
	struct sc_client client = {.timeout_ns = 5 * SC_NS_PER_S};
	json_t *request;

	memset(text, 'x', 70000);
	text[70000] = '\0';
	fake_agent_start(&agent, FAKE_ANSWERS, "{\"exit\":0}");
	client.run_dir = agent.dir;
	request = json_pack("{s:s}", "reason", text);
	cr_assert_eq(sc_client_call(&client, request, &reply, &diag), -E2BIG);
	json_decref(request);
	fake_agent_stop(&agent);
	cr_assert_str_empty(agent.request);
}
