/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/signal/model.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static int compile_at(const char *text, unsigned int line, unsigned int column,
		      struct sc_diag *diag)
{
	static const char *const probes[] = {"lateral"};
	_cleanup_(sc_plan_free) struct sc_plan *plan = sc_plan_new(NULL);
	_cleanup_predicate_ struct sc_predicate *p = NULL;
	const struct sc_predicate_env env = {
		.plan = plan, .probes = probes, .probes_n = 1, .line = line, .column = column};
	int r = sc_predicate_compile(&p, text, &env, diag);

	cr_expect((r == 0) == (p != NULL), "%s", text);
	return r;
}

struct bad {
	const char *text;
	unsigned int line, column;
	const char *part; /* of the message */
};

static const struct bad bad_rows[] = {
	/* the words */
	{"", 1, 1, "empty"},
	{"  \n ", 1, 1, "empty"},
	{"proc.alive $ 3", 1, 12, "no meaning"},
	{"proc.alive = 3", 1, 12, "write `==`"},
	{"proc.alive > 3 && proc.forks > 1", 1, 16, "write `and`"},
	{"proc.alive > 3 || proc.forks > 1", 1, 16, "write `or`"},
	{"!proc.alive", 1, 1, "write `not`"},
	{"proc.alive <> 3", 1, 12, "write `!=`"},
	{"proc.alive > .5", 1, 14, "0.5"},
	{"probe('lateral')", 1, 7, "single quotes"},
	{"probe(\"lateral", 1, 7, "does not end"},
	{"probe(\"lat\neral\")", 1, 7, "does not end"},
	{"probe(\"a\\b\")", 1, 7, "backslash"},
	{"mem.current_bytes > 64mib", 1, 21, "unknown unit"},
	{"mem.current_bytes > 5MiBs", 1, 21, "unknown unit"},
	{"psi.cpu.some.avg10 > 5%x", 1, 22, "word goes on"},
	{"proc.alive > 9999999999999999999", 1, 14, "too large"},
	{"proc.alive > 3 \xff", 1, 16, "no meaning"},
	/* the grammar */
	{"proc.alive >", 1, 13, "ends here"},
	{"> 3", 1, 1, "belongs here"},
	{"proc.alive > 3 and", 1, 19, "ends here"},
	{"and proc.alive > 3", 1, 1, "unexpected `and`"},
	{"(proc.alive > 3", 1, 16, "close the parenthesis"},
	{"proc.alive > 3)", 1, 15, "unexpected `)`"},
	{"proc.alive > 3 proc.forks > 1", 1, 16, "an operator or the end"},
	{"1 < proc.alive < 3", 1, 16, "do not chain"},
	{"proc.alive == 3 == 3", 1, 17, "do not chain"},
	{"proc.alive > 3 not", 1, 16, "an operator or the end"},
	{"not", 1, 4, "ends here"},
	{"()", 1, 2, "belongs here"},
	{"proc.alive > * 3", 1, 14, "unexpected `*`"},
	{"proc.alive[60s] > 3", 1, 11, "inside of a function"},
	{"increase(proc.forks[60s) > 1", 1, 24, "close the window"},
	{"increase(proc.forks[60s] > 1", 1, 26, "close the arguments"},
	{"count(\"/w/*\" proc.alive > 1) > 1", 1, 14, "a comma"},
	{"count(proc.alive > 1) > 1", 1, 7, "a glob in double quotes"},
	{"proc.alive >\nproc.forks >\n  3", 2, 12, "do not chain"},
	{"proc.alive > 3\n  and bananas > 2", 2, 7, "unknown signal"},
	/* names */
	{"proc.crahses > 3", 1, 1, "did you mean proc.crashes?"},
	{"increas(proc.forks[60s]) > 3", 1, 1, "did you mean increase?"},
	{"increase(proc.fork[60s]) > 3", 1, 10, "did you mean proc.forks?"},
	{"wibble > 3", 1, 1, "unknown signal `wibble`"},
	{"wibble(3) > 3", 1, 1, "unknown function `wibble`"},
	{"increase > 3", 1, 1, "is a function"},
	{"increase() > 3", 1, 10, "the name of a signal"},
	{"increase(3) > 3", 1, 10, "the name of a signal"},
	{"probe(\"latera\")", 1, 7, "unknown probe"},
	{"probe(\"\")", 1, 7, "empty"},
	{"probe(lateral)", 1, 7, "in double quotes"},
	/* windows */
	{"increase(proc.forks) > 3", 1, 20, "needs a window"},
	{"increase(proc.forks[]) > 3", 1, 21, "a window is a duration"},
	{"increase(proc.forks[60]) > 3", 1, 21, "a window is a duration"},
	{"increase(proc.forks[5MiB]) > 3", 1, 21, "a window is a duration"},
	{"increase(proc.forks[0s]) > 3", 1, 21, "from 100ms to 7d"},
	{"increase(proc.forks[8d]) > 3", 1, 21, "from 100ms to 7d"},
	{"age(proc.forks[60s]) > 3s", 1, 15, "takes no window"},
	{"rate(proc.alive[60s]) > 3", 1, 6, "use avg_over"},
	{"increase(proc.alive[60s]) > 3", 1, 10, "it is a gauge"},
	{"avg_over(proc.forks[60s]) > 3", 1, 10, "use rate or increase"},
	/* aggregates */
	{"count(\"w/*\", proc.alive > 1) > 1", 1, 7, "not a glob"},
	{"count(\"\", proc.alive > 1) > 1", 1, 7, "empty"},
	{"count(\"/w/*\", proc.alive) > 1", 1, 15, "takes a condition"},
	{"sum(\"/w/*\", proc.alive > 1) > 1", 1, 13, "takes a number"},
	{"count(\"/w/*\", any(\"/x\", proc.alive > 1)) > 1", 1, 15, "do not nest"},
	{"any(\"/w/*\", probe(\"lateral\"))", 1, 13, "whole host"},
	{"any(\"/w/*\", proc.alive > 1) > 1", 1, 1, "not a number"},
	/* types and units */
	{"proc.alive", 1, 1, "not a condition"},
	{"3", 1, 1, "not a condition"},
	{"not proc.alive", 1, 5, "not a condition"},
	{"-(proc.alive > 1)", 1, 2, "not a number"},
	{"proc.alive and proc.forks > 1", 1, 1, "not a condition"},
	{"proc.alive > 1 and proc.forks", 1, 20, "not a condition"},
	{"(proc.alive > 1) + 1 > 2", 1, 1, "not a number"},
	{"mem.current_bytes > psi.cpu.some.avg10", 1, 19, "cannot compare"},
	{"mem.current_bytes > 40%", 1, 19, "cannot compare"},
	{"mem.current_bytes > 1000", 1, 21, "needs its unit"},
	{"psi.cpu.some.avg10 > 40", 1, 22, "40%"},
	{"age(proc.forks) > 30", 1, 19, "30s"},
	{"proc.alive > 30s", 1, 12, "cannot compare"},
	{"mem.current_bytes + 30s > 1MiB", 1, 19, "cannot add"},
	{"mem.current_bytes - 40% > 1MiB", 1, 19, "cannot subtract"},
	{"mem.current_bytes * mem.max_bytes > 1MiB", 1, 19, "cannot multiply"},
	{"mem.current_bytes / 30s > 1MiB", 1, 19, "cannot divide"},
	{"proc.alive / mem.current_bytes > 1", 1, 12, "cannot divide"},
	/* constants */
	{"1 > 0", 1, 1, "always true"},
	{"not 1 > 0", 1, 1, "always false"},
	{"proc.alive > 1 or 1 == 1", 1, 1, "always true"},
	{"0 > 1 and proc.alive > 1", 1, 1, "always false"},
	{"proc.alive / 0 > 1", 1, 14, "division by 0"},
	{"proc.alive / (2 - 2) > 1", 1, 14, "division by 0"},
};

Test(compile, malformed_text_is_refused_at_its_place)
{
	cr_expect_geq(SC_ARRAY_SIZE(bad_rows), 60);
	for (size_t i = 0; i < SC_ARRAY_SIZE(bad_rows); i++) {
		const struct bad *row = &bad_rows[i];
		struct sc_diag diag = {0};

		cr_expect_eq(compile_at(row->text, 1, 1, &diag), -EINVAL, "%s", row->text);
		cr_expect(diag.line == row->line && diag.column == row->column,
			  "`%s`: at %u:%u, expected %u:%u (%s)", row->text, diag.line, diag.column,
			  row->line, row->column, diag.text);
		cr_expect(strstr(diag.text, row->part), "`%s`: \"%s\" does not say \"%s\"",
			  row->text, diag.text, row->part);
		cr_expect_eq(compile_at(row->text, 1, 1, NULL), -EINVAL, "without a diag");
	}
}

Test(compile, places_are_counted_from_where_the_text_stands)
{
	struct sc_diag diag = {0};

	cr_expect_eq(compile_at("proc.alive > x", 7, 11, &diag), -EINVAL);
	cr_expect(diag.line == 7 && diag.column == 24, "%u:%u", diag.line, diag.column);
	cr_expect_eq(compile_at("proc.alive >\n x", 7, 11, &diag), -EINVAL);
	cr_expect(diag.line == 8 && diag.column == 2, "%u:%u", diag.line, diag.column);
}

struct good {
	const char *text;
	const char *words;
};

static const struct good good_rows[] = {
	{"increase(proc.crashes[60s]) >= 3", "the increase of proc.crashes over 1m is at least 3"},
	{"psi.memory.full.avg10 > 40% and mem.current_bytes > 0.9 * mem.max_bytes",
	 "psi.memory.full.avg10 is more than 40% and "
	 "mem.current_bytes is more than 0.9 times mem.max_bytes"},
	{"rate(tcp.connect_failures[30s]) / rate(tcp.connects[30s]) > 50% and "
	 "increase(tcp.connects[30s]) >= 20",
	 NULL},
	{"count(\"/workload/*\", increase(proc.unexpected_exits[60s]) > 0) >= 3",
	 "the number of cgroups matching /workload/* where "
	 "the increase of proc.unexpected_exits over 1m is more than 0 is at least 3"},
	{"app.heartbeat_age > 30s and pids.current > 0", NULL},
	{"probe(\"lateral\")", "the probe lateral says yes"},
	{"3 <= proc.alive", "proc.alive is at least 3"},
	{"not (proc.alive > 3 or proc.forks > 1)",
	 "not (proc.alive is more than 3 or proc.forks is more than 1)"},
	{"(proc.alive > 3 or proc.forks > 1) and proc.execs > 2",
	 "(proc.alive is more than 3 or proc.forks is more than 1) and proc.execs is more than 2"},
	{"any(\"/w/**\", proc.alive > 3 or proc.forks > 1) and proc.execs > 2",
	 "(for some cgroup matching /w/**, proc.alive is more than 3 or proc.forks is more than 1)"
	 " and proc.execs is more than 2"},
	{"age(proc.forks) > 1m30s", "the time since proc.forks last changed is more than 1m30s"},
	{"proc.alive > 1 and 1 < 2", "proc.alive is more than 1"},
	{"proc.alive - 1 - 2 > 2 * (3 + 4)", "proc.alive minus 1 minus 2 is more than 14"},
	{"proc.alive - (proc.zombies - 2) > 0",
	 "proc.alive minus (proc.zombies minus 2) is more than 0"},
	{"psi.cpu.some.avg10 > 0.4", NULL},
	{"mem.current_bytes > 0", NULL},
	{"mem.current_bytes / proc.alive > 64MiB", NULL},
	{"proc.zombies / proc.alive > 3", NULL},
	{"proc.zombies / proc.alive > 50%", NULL},
	{"max_over(proc.alive[1m30s]) != -1", NULL},
	{"all(\"/w/*\", proc.alive > 1)\n\tor\r\n probe( \"lateral\" )", NULL},
	{"sum(\"/w/*\", mem.current_bytes) > 1GiB", NULL},
	{"proc.forks > 1000", NULL},
	{"3 < count(\"/w/*\", proc.alive > 1)",
	 "the number of cgroups matching /w/* where proc.alive is more than 1 is more than 3"},
};

Test(compile, well_formed_text_is_taken_and_put_into_words)
{
	for (size_t i = 0; i < SC_ARRAY_SIZE(good_rows); i++) {
		static const char *const probes[] = {"lateral"};
		_cleanup_(sc_plan_free) struct sc_plan *plan = sc_plan_new(NULL);
		_cleanup_predicate_ struct sc_predicate *p = NULL;
		const struct sc_predicate_env env = {.plan = plan, .probes = probes, .probes_n = 1};
		struct sc_diag diag = {0};
		char words[512];
		struct sc_str out;

		cr_assert_eq(sc_predicate_compile(&p, good_rows[i].text, &env, &diag), 0, "%s: %s",
			     good_rows[i].text, diag.text);
		sc_str_init(&out, words, sizeof(words));
		sc_predicate_describe(p, &out);
		if (good_rows[i].words)
			cr_expect_str_eq(words, good_rows[i].words);
	}
}

/* n copies of `repeated` between `before` and `after`. */
static int compile_repeated(const char *before, const char *repeated, int n, const char *after,
			    struct sc_diag *diag)
{
	struct sc_str text;
	int r;

	sc_str_init_heap(&text);
	sc_str_add(&text, before);
	for (int i = 0; i < n; i++)
		sc_str_add(&text, repeated);
	sc_str_add(&text, after);
	r = compile_at(text.data, 1, 1, diag);
	sc_str_done(&text);
	return r;
}

Test(compile, limits_hold_and_say_so)
{
	static const struct {
		const char *before, *repeated, *after;
		int fits, too_many;
		const char *part;
	} rows[] = {
		{"", "not ", "proc.alive > 1", 32, 33, "nested deeper"},
		{"proc.alive > ", "-", "proc.forks", 32, 33, "nested deeper"},
		{"proc.alive > 1", " + 1", "", 100, 200, "operands and operators"},
		{"proc.alive > 1", " or proc.forks > 2", "", 31, 32, "more than 32 comparisons"},
		{"proc.alive > 1", "          ", "", 400, 410, "longer than 4096"},
		{"proc.alive > 1", " or probe(\"lateral\")", "", 31, 32, "comparisons"},
		{"proc.alive > 0", " + sum(\"/w\", proc.alive)", "", 16, 17,
		 "more than 16 aggregates"},
		{"proc.alive > ", "(proc.forks + ", "1", 0, 33, "nested deeper"},
		{"", "(", "", 0, 100000, "longer than 4096"},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		struct sc_diag diag = {0};

		if (rows[i].fits)
			cr_expect_eq(compile_repeated(rows[i].before, rows[i].repeated,
						      rows[i].fits, rows[i].after, &diag),
				     0, "row %zu: %s", i, diag.text);
		cr_expect_eq(compile_repeated(rows[i].before, rows[i].repeated, rows[i].too_many,
					      rows[i].after, &diag),
			     -EINVAL, "row %zu", i);
		cr_expect(strstr(diag.text, rows[i].part), "row %zu: %s", i, diag.text);
	}
}

Test(compile, too_many_windows_or_globs_are_refused)
{
	_cleanup_(sc_plan_free) struct sc_plan *plan = sc_plan_new(
		&(struct sc_plan_limits){.histories = 1, .scopes = 1});
	_cleanup_predicate_ struct sc_predicate *p = NULL;
	const struct sc_predicate_env env = {.plan = plan};
	struct sc_diag diag = {0};

	cr_expect_eq(sc_predicate_compile(
			     &p, "increase(proc.forks[1s]) > 1 or increase(proc.forks[2s]) > 1",
			     &env, &diag),
		     -EINVAL);
	cr_expect(strstr(diag.text, "too many different windows"), "%s", diag.text);
	cr_expect_eq(sc_predicate_compile(
			     &p, "any(\"/a\", proc.forks > 1) or any(\"/b\", proc.forks > 1)", &env,
			     &diag),
		     -EINVAL);
	cr_expect(strstr(diag.text, "too many different globs"), "%s", diag.text);
	cr_expect_null(p, "untouched on failure");
}

Test(compile, tells_what_it_needs)
{
	static const struct {
		const char *text;
		uint32_t features;
		bool per_target, probe;
	} rows[] = {
		{"increase(proc.forks[1s]) > 1", SC_FEATURE_BIT(SC_FEATURE_PROC), true, false},
		{"any(\"/a\", oom.kills > 1)", SC_FEATURE_BIT(SC_FEATURE_OOM), false, false},
		{"agent.tick_us > 9", SC_FEATURE_BIT(SC_FEATURE_AGENT), false, false},
		{"proc.alive > 9 or psi.io.some.avg10 > 1%",
		 SC_FEATURE_BIT(SC_FEATURE_PROC) | SC_FEATURE_BIT(SC_FEATURE_PSI), true, false},
		{"probe(\"lateral\")", 0, false, true},
		{"proc.alive > 9 or (0 > 1 and oom.kills > 1)", SC_FEATURE_BIT(SC_FEATURE_PROC),
		 true, false},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		static const char *const probes[] = {"lateral"};
		_cleanup_(sc_plan_free) struct sc_plan *plan = sc_plan_new(NULL);
		_cleanup_predicate_ struct sc_predicate *p = NULL;
		const struct sc_predicate_env env = {.plan = plan, .probes = probes, .probes_n = 1};
		struct sc_signal_set signals;

		cr_assert_eq(sc_predicate_compile(&p, rows[i].text, &env, NULL), 0);
		signals = sc_predicate_signals(p);
		cr_expect_eq(sc_signal_set_features(&signals), rows[i].features, "%s",
			     rows[i].text);
		cr_expect_eq(sc_predicate_is_per_target(p), rows[i].per_target, "%s", rows[i].text);
		cr_expect_eq(sc_predicate_has_probe(p), rows[i].probe, "%s", rows[i].text);
	}
}

Test(functions, the_reference_names_each_once)
{
	for (size_t i = 0; i < sc_functions_count(); i++) {
		struct sc_function_info info = sc_function_info(i);

		cr_expect(strncmp(info.usage, info.name, strlen(info.name)) == 0, "%s", info.name);
		cr_expect_gt(strlen(info.text), 10);
		for (size_t j = 0; j < i; j++)
			cr_expect_str_neq(info.name, sc_function_info(j).name);
	}
}
