/* SPDX-License-Identifier: Apache-2.0 */
/* What counts as an answer, and what each wrong one is called. */
#include "worker/probe/verdict.h"

#include <criterion/criterion.h>
#include <string.h>

struct said {
	const char *text;
	size_t size;
};
#define SAID(literal)                                        \
	{                                                    \
		.text = literal, .size = sizeof(literal) - 1 \
	}

/* As a body and as an output, the same texts mean the same. */
static void judge(const struct said *said, struct sc_verdict *http, struct sc_verdict *exec)
{
	const struct sc_http_result body = {
		.end = SC_HTTP_ANSWERED, .status = 200, .body = said->text, .size = said->size};
	const struct sc_exec_result output = {
		.end = SC_EXEC_EXITED, .out = said->text, .out_size = said->size};

	sc_verdict_of_http(&body, 1, http);
	sc_verdict_of_exec(&output, 1, exec);
}

Test(verdict, exactly_a_boolean_is_an_answer)
{
	static const struct {
		struct said said;
		bool value;
	} rows[] = {
		{SAID("true"), true},
		{SAID("false"), false},
		{SAID("true\n"), true},
		{SAID(" \r\n\tfalse \n\n"), false},
		{SAID("{\"value\":true}"), true},
		{SAID("{ \"value\" : false }\n"), false},
		{SAID("{\"detail\":\"3 of 4\",\"value\":true}"), true},
		{SAID("{\n  \"value\": true\n}\n"), true},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		struct sc_verdict v[2];

		judge(&rows[i].said, &v[0], &v[1]);
		for (int k = 0; k < 2; k++) {
			cr_expect_eq(v[k].fault, SC_VERDICT_NO_FAULT, "%s: %s", rows[i].said.text,
				     v[k].why);
			cr_expect_eq(v[k].value, rows[i].value, "%s", rows[i].said.text);
		}
	}
}

Test(verdict, nothing_else_is_guessed_at)
{
	static const struct said rows[] = {
		SAID("\n"),
		SAID("TRUE"),
		SAID("True"),
		SAID("yes"),
		SAID("1"),
		SAID("0"),
		SAID("null"),
		SAID("\"true\""),
		SAID("[true]"),
		SAID("{}"),
		SAID("{\"value\":1}"),
		SAID("{\"value\":\"true\"}"),
		SAID("{\"value\":null}"),
		SAID("{\"Value\":true}"),
		SAID("{\"value\":{\"value\":true}}"),
		SAID("{\"value\":true,\"value\":true}"),
		SAID("{\"value\":true,\"a\":1,\"a\":2}"),
		SAID("{\"value\":tr"),
		SAID("{\"value\":true"),
		SAID("{\"value\":true,}"),
		SAID("{'value':true}"),
		SAID("true\nfalse"),
		SAID("true true"),
		SAID("true."),
		SAID("true\0"),
		SAID("\0true"),
		SAID("\xef\xbb\xbftrue"),
		SAID("{\"value\":true,\"x\":\"\xff\"}"),
		SAID("{\"value\":true,\"x\":NaN}"),
		SAID("<html><body>true</body></html>"),
	};
	char deep[8192] = "";
	const struct said nested = {.text = deep, .size = sizeof(deep)};
	struct sc_verdict v[2];

	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		judge(&rows[i], &v[0], &v[1]);
		for (int k = 0; k < 2; k++) {
			cr_expect_eq(v[k].fault, SC_VERDICT_ANSWER, "%s is taken for an answer",
				     rows[i].text);
			cr_expect_eq(strncmp(v[k].why, "its answer is no boolean: ", 26), 0, "%s",
				     v[k].why);
		}
	}
	memset(deep, '[', sizeof(deep));
	judge(&nested, &v[0], &v[1]);
	cr_expect(v[0].fault == SC_VERDICT_ANSWER && v[1].fault == SC_VERDICT_ANSWER);
	cr_expect_lt(strlen(v[0].why), 100);
}

Test(verdict, silence_is_an_answer_of_programs_alone)
{
	const struct sc_http_result body = {.end = SC_HTTP_ANSWERED, .status = 200, .body = ""};
	static const struct {
		int status;
		enum sc_verdict_fault fault;
		bool value;
	} rows[] = {{0, SC_VERDICT_NO_FAULT, true},
		    {1, SC_VERDICT_NO_FAULT, false},
		    {2, SC_VERDICT_EXIT, false},
		    {126, SC_VERDICT_EXIT, false},
		    {255, SC_VERDICT_EXIT, false}};
	struct sc_verdict v;

	sc_verdict_of_http(&body, 1, &v);
	cr_expect_eq(v.fault, SC_VERDICT_ANSWER);
	cr_expect_str_eq(v.why, "it said nothing");
	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		const struct sc_exec_result r = {
			.end = SC_EXEC_EXITED, .status = rows[i].status, .out = ""};

		sc_verdict_of_exec(&r, 1, &v);
		cr_expect_eq(v.fault, rows[i].fault, "exit status %d", rows[i].status);
		cr_expect_eq(v.value, rows[i].value, "exit status %d", rows[i].status);
	}
}

Test(verdict, a_program_that_speaks_must_end_well)
{
	const struct sc_exec_result r = {
		.end = SC_EXEC_EXITED, .status = 1, .out = "true\n", .out_size = 5};
	struct sc_verdict v;

	sc_verdict_of_exec(&r, 1, &v);
	cr_expect_eq(v.fault, SC_VERDICT_EXIT);
	cr_expect_str_eq(v.why, "exit status 1 with output");
}

Test(verdict, only_200_is_read)
{
	static const long statuses[] = {201, 202, 204, 206, 301, 302, 401, 403, 404, 429, 500, 503};
	struct sc_verdict v;
	char why[32];

	for (size_t i = 0; i < SC_ARRAY_SIZE(statuses); i++) {
		const struct sc_http_result r = {
			.end = SC_HTTP_ANSWERED, .status = statuses[i], .body = "true", .size = 4};

		sc_verdict_of_http(&r, 1, &v);
		snprintf(why, sizeof(why), "HTTP %ld", statuses[i]);
		cr_expect_eq(v.fault, SC_VERDICT_HTTP);
		cr_expect_str_eq(v.why, why);
	}
}

Test(verdict, what_programs_say_is_shown_without_secrets)
{
	struct sc_exec_result r = {.end = SC_EXEC_EXITED, .status = 3, .out = ""};
	struct sc_verdict v;

	snprintf(r.err, sizeof(r.err), "login failed: password=hunter2 at postgresql://u:pw@db/x");
	sc_verdict_of_exec(&r, 1, &v);
	cr_expect(strstr(v.why, "login failed"), "%s", v.why);
	cr_expect(strstr(v.why, "[redacted]") && !strstr(v.why, "hunter2") && !strstr(v.why, "pw@"),
		  "%s", v.why);
}

Test(verdict, a_long_text_of_others_is_cut)
{
	struct sc_exec_result r = {.end = SC_EXEC_SIGNALLED, .status = 11, .out = ""};
	struct sc_verdict v;

	memset(r.err, 'x', sizeof(r.err) - 1);
	sc_verdict_of_exec(&r, 1, &v);
	cr_expect_eq(strlen(v.why), sizeof(v.why) - 1);
	cr_expect_eq(strncmp(v.why, "killed by signal 11: xxx", 24), 0, "%s", v.why);
}

Test(verdict, each_end_has_its_class_and_words)
{
	static const struct {
		struct sc_exec_result r;
		const char *name, *why;
	} exec[] = {
		{{.end = SC_EXEC_OVER_BUDGET}, "budget", "over its budget of 1.5s"},
		{{.end = SC_EXEC_OVER_OUTPUT}, "output", "its output is over 64 KiB"},
		{{.end = SC_EXEC_NOT_RUN, .status = 2, .step = "program"},
		 "start",
		 "cannot be run (program): No such file or directory"},
		{{.end = SC_EXEC_SIGNALLED, .status = 9}, "exit", "killed by signal 9"},
	};
	static const struct {
		struct sc_http_result r;
		const char *name, *why;
	} http[] = {
		{{.end = SC_HTTP_OVER_BUDGET}, "budget", "over its budget of 1.5s"},
		{{.end = SC_HTTP_NOT_REACHED, .why = "Connection refused"},
		 "connect",
		 "cannot connect: Connection refused"},
		{{.end = SC_HTTP_NOT_TRUSTED, .why = "self-signed"}, "connect", "TLS: self-signed"},
		{{.end = SC_HTTP_OVER_ANSWER, .why = "the answer is over 64 KiB"},
		 "output",
		 "the answer is over 64 KiB"},
		{{.end = SC_HTTP_BROKEN, .why = "Empty reply from server"},
		 "http",
		 "no whole answer: Empty reply from server"},
	};
	struct sc_verdict v;

	for (size_t i = 0; i < SC_ARRAY_SIZE(exec); i++) {
		sc_verdict_of_exec(&exec[i].r, 1500000000, &v);
		cr_expect_str_eq(sc_verdict_fault_name(v.fault), exec[i].name);
		cr_expect_str_eq(v.why, exec[i].why);
	}
	for (size_t i = 0; i < SC_ARRAY_SIZE(http); i++) {
		sc_verdict_of_http(&http[i].r, 1500000000, &v);
		cr_expect_str_eq(sc_verdict_fault_name(v.fault), http[i].name);
		cr_expect_str_eq(v.why, http[i].why);
	}
}
