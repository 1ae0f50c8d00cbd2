/* SPDX-License-Identifier: Apache-2.0 */
/* A condition as a request body, and as it comes back from the journal. */
#include <scram/config.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define ACTION "\"action\":{\"kind\":\"process-exit\",\"config\":{\"code\":137}}"

static int parse(const char *json, struct sc_condition_spec *spec, struct sc_diag *diag)
{
	return sc_condition_spec_from_json(json, strlen(json), spec, diag);
}

Test(json, takes_the_fields_of_the_original_service)
{
	_cleanup_(sc_condition_spec_done) struct sc_condition_spec spec = {0};
	struct sc_diag diag = {0};

	cr_assert_eq(parse("{\"id\":\"x\",\"description\":\"d\"," ACTION
			   ",\"auto_fire\":true,\"requires_two_person\":null,\"live\":true,"
			   "\"registered_by\":\"ops\"}",
			   &spec, &diag),
		     0, "%s", diag.text);
	cr_assert_str_eq(spec.id, "x");
	cr_assert_eq(spec.action.code, 137);
	cr_assert(spec.auto_fire, "auto_fire without when is taken here");
	cr_assert_null(spec.when);
	cr_assert_eq(spec.cooldown_ns, 60 * SC_NS_PER_S);
}

/* A12 */
Test(json, two_persons_are_the_default_of_readonly_alone)
{
	static const struct {
		const char *json;
		bool two;
	} cases[] = {
		{"{\"id\":\"x\",\"action\":{\"kind\":\"global-readonly\"}}", true},
		{"{\"id\":\"x\",\"action\":{\"kind\":\"global-readonly\"},\"requires_two_person\":"
		 "null}",
		 true},
		{"{\"id\":\"x\",\"action\":{\"kind\":\"global-readonly\"},\"requires_two_person\":"
		 "false}",
		 false},
		{"{\"id\":\"x\",\"action\":{\"kind\":\"process-exit\"}}", false},
		{"{\"id\":\"x\",\"action\":{\"kind\":\"process-exit\"},\"requires_two_person\":"
		 "true}",
		 true},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		_cleanup_(sc_condition_spec_done) struct sc_condition_spec spec = {0};

		cr_assert_eq(parse(cases[i].json, &spec, NULL), 0);
		cr_assert_eq(spec.requires_two_person, cases[i].two, "%s", cases[i].json);
	}
}

Test(json, takes_an_unknown_tenant_which_is_then_not_armed)
{
	_cleanup_(sc_condition_spec_done) struct sc_condition_spec spec = {0};

	cr_assert_eq(parse("{\"id\":\"x\",\"action\":{\"kind\":\"tenant-quarantine\",\"config\":"
			   "{\"tenant_id\":\"nobody\"}}}",
			   &spec, NULL),
		     0);
	cr_assert_str_eq(spec.action.tenant_id, "nobody");
}

Test(json, refuses_malformed_bodies_and_says_why)
{
	static const struct {
		const char *json;
		const char *what;
	} cases[] = {
		{"", "not valid JSON"},
		{"{", "not valid JSON"},
		{"{\"id\":\"x\"," ACTION "} x", "not valid JSON"},
		{"{\"id\":\"x\",\"id\":\"y\"," ACTION "}", "not valid JSON: duplicate"},
		{"{'id':'x'}", "not valid JSON"},
		{"{\"id\":\"a\\u0000b\"," ACTION "}", "not valid JSON"},
		{"{\"id\":\"\\ud800\"," ACTION "}", "not valid JSON"},
		{"{\"id\":\"\xff\"," ACTION "}", "not valid JSON"},
		{"[]", "a condition is a mapping"},
		{"{}", "without id"},
		{"{\"id\":null," ACTION "}", "without id"},
		{"{\"id\":\"x\"}", "without action"},
		{"{\"id\":\"\"," ACTION "}", "id is empty"},
		{"{\"id\":12," ACTION "}", "id is a text"},
		{"{\"id\":\"x\\n\"," ACTION "}", "unprintable"},
		{"{\"id\":\"x\",\"lvie\":true," ACTION "}", "did you mean live"},
		{"{\"id\":\"x\",\"live\":\"true\"," ACTION "}", "write true or false"},
		{"{\"id\":\"x\",\"live\":1," ACTION "}", "write true or false"},
		{"{\"id\":\"x\",\"hold\":5," ACTION "}", "duration"},
		{"{\"id\":\"x\",\"min_samples\":2.5," ACTION "}", "whole number"},
		{"{\"id\":\"x\",\"min_samples\":-1," ACTION "}", "whole number"},
		{"{\"id\":\"x\",\"max_targets\":1e3," ACTION "}", "whole number"},
		{"{\"id\":\"x\",\"action\":{\"kind\":\"reboot\"}}", "unknown action kind"},
		{"{\"id\":\"x\",\"action\":{\"kind\":\"process-exit\",\"config\":{\"code\":256}}}",
		 "outside 0..255"},
		{"{\"id\":\"x\",\"scope\":\"workload\"," ACTION "}", "scope"},
		{"{\"id\":\"x\",\"notify\":\"journal\"," ACTION "}", "notify is not a list"},
		{"{\"id\":\"x\",\"notify\":[null]," ACTION "}", "is no notifier"},
		{"{\"id\":\"x\",\"notify\":[{\"webhook\":\"/x\"}]," ACTION "}", "webhook is /x"},
		{"{\"id\":\"x\",\"action\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}", "nested too deep"},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct sc_condition_spec spec = {.line = 77};
		struct sc_diag diag = {0};

		cr_assert_lt(parse(cases[i].json, &spec, &diag), 0, "%s", cases[i].json);
		cr_assert(strstr(diag.text, cases[i].what), "%s: %s", cases[i].json, diag.text);
		cr_assert_eq(spec.line, 77, "touched on failure");
	}
}

Test(json, refuses_a_body_over_64_kib)
{
	_cleanup_str_ struct sc_str text;
	struct sc_condition_spec spec;

	sc_str_init_heap(&text);
	while (text.len <= 64 * 1024)
		sc_str_add(&text, "        ");
	cr_assert_eq(sc_condition_spec_from_json(text.data, text.len, &spec, NULL), -E2BIG);
}

Test(json, says_who_is_told_in_the_shape_of_the_file)
{
	static const char notify[] =
		"\"notify\":[{\"webhook\":\"https://example.org/x\",\"secret_file\":\"/s\"},"
		"{\"webhook\":\"http://example.org\"},{\"command\":[\"/bin/a\",\"b \\\"c\\\"\"]},"
		"\"journal\"]}";
	_cleanup_(sc_condition_spec_done) struct sc_condition_spec spec = {0};
	_cleanup_str_ struct sc_str body, text;
	struct sc_diag diag = {0};

	sc_str_init_heap(&body);
	sc_str_init_heap(&text);
	sc_str_addf(&body, "{\"id\":\"x\"," ACTION ",%s", notify);
	cr_assert_eq(parse(body.data, &spec, &diag), 0, "%s", diag.text);
	cr_assert_eq(spec.notify.n, 4);
	cr_assert_eq(spec.notify.item[0].kind, SC_NOTIFY_WEBHOOK);
	cr_assert_str_eq(spec.notify.item[0].secret_file, "/s");
	cr_assert_null(spec.notify.item[1].secret_file);
	cr_assert_eq(spec.notify.item[2].kind, SC_NOTIFY_COMMAND);
	cr_assert_str_eq(spec.notify.item[2].command.item[1], "b \"c\"");
	cr_assert_eq(spec.notify.item[3].kind, SC_NOTIFY_JOURNAL);
	sc_condition_spec_json(&spec, &text);
	cr_assert(strstr(text.data, notify), "%s", text.data);
}

Test(json, the_canonical_text_is_stable)
{
	static const char want[] =
		"{\"id\":\"x\",\"action\":{\"kind\":\"process-exit\",\"config\":{\"grace\":\"0s\","
		"\"rekill\":false}},\"auto_fire\":false,\"requires_two_person\":false,\"live\":"
		"false,"
		"\"hold\":\"1m30s\",\"min_samples\":1,\"clear_for\":\"0s\",\"cooldown\":\"1m\","
		"\"ttl\":\"none\",\"escalate\":[{\"kind\":\"freeze\",\"dwell\":\"2s\"},"
		"{\"kind\":\"process-exit\"}],\"on_unknown\":\"ignore\"}";
	_cleanup_(sc_condition_spec_done) struct sc_condition_spec spec = {0};
	_cleanup_str_ struct sc_str text;
	struct sc_diag diag = {0};

	cr_assert_eq(parse(want, &spec, &diag), 0, "%s", diag.text);
	sc_str_init_heap(&text);
	sc_condition_spec_json(&spec, &text);
	cr_assert_str_eq(text.data, want);
}
