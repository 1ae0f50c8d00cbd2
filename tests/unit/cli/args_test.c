/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/args.h"
#include "cli/cli.h"
#include "cli/usage.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <string.h>

#define ARGV_MAX 12

static int parse(struct sc_args *args, const char *verb, const char *const *words,
		 struct sc_diag *diag)
{
	static char *argv[ARGV_MAX];
	int argc = 0;

	for (; words[argc]; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc];
	return sc_args_parse(args, sc_verb_find(verb), argc, argv, diag);
}

/* A9 */
Test(args, options_and_operands_stand_in_any_order)
{
	static const char *const orders[][ARGV_MAX] = {
		{"web-down", "--reason", "it burns", "--operator", "ann", "--wait"},
		{"--wait", "--operator", "ann", "--reason", "it burns", "web-down"},
		{"--operator=ann", "web-down", "--wait", "--reason=it burns"},
		{"--reason=it burns", "--operator", "ann", "--wait", "--", "web-down"},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(orders); i++) {
		struct sc_diag diag = {0};
		struct sc_args args;

		cr_assert_eq(parse(&args, "fire", orders[i], &diag), 0, "%s", diag.text);
		cr_assert_eq(args.operand_count, 1);
		cr_assert_str_eq(args.operands[0], "web-down");
		cr_assert_str_eq(sc_args_get(&args, "reason"), "it burns");
		cr_assert_str_eq(sc_args_get(&args, "operator"), "ann");
		cr_assert(sc_args_has(&args, "wait"));
		cr_assert_not(sc_args_has(&args, "force"));
		cr_assert_null(sc_args_get(&args, "target"));
		cr_assert_str_eq(args.run_dir, "/run/scram");
		cr_assert_str_eq(args.state_dir, "/var/lib/scram");
		sc_args_done(&args);
	}
}

Test(args, mistakes_are_named)
{
	static const struct {
		const char *verb;
		const char *words[ARGV_MAX];
		const char *says;
	} cases[] = {
		{"fire", {"x", "--operator", "ann"}, "needs --reason TEXT"},
		{"fire", {"x", "--reason", "r"}, "needs --operator NAME"},
		{"fire", {"x", "--reason", "--operator", "ann"}, "--reason needs a value"},
		{"fire", {"x", "--operator", "ann", "--reason"}, "--reason needs a value"},
		{"fire", {"x", "--reason=", "--operator=ann"}, "not empty"},
		{"fire", {"--reason=r", "--operator=ann"}, "fire needs CONDITION"},
		{"fire", {"x", "y", "--reason=r", "--operator=ann"}, "unexpected operand: y"},
		{"fire", {"x", "--target=/a", "--target=/b"}, "given twice: /a and /b"},
		{"fire", {"x", "--wait=yes"}, "takes no value"},
		{"fire", {"x", "--opperator", "ann"}, "did you mean --operator?"},
		{"fire", {"x", "--opperator=ann"}, "did you mean --operator?"},
		{"fire", {"x", "--json"}, "unknown option --json"},
		{"fire", {"x", "-f"}, "unknown option -f"},
		{"release", {NULL}, "needs FIRE|CGROUP"},
		{"status", {"--jsn"}, "did you mean --json?"},
		{"status", {"--run-dri", "/x"}, "did you mean --run-dir?"},
		{"status", {"extra"}, "unexpected operand: extra"},
		{"status", {"--\x1b[31m"}, "unknown option --\\x1b[31m"},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct sc_diag diag = {0};
		struct sc_args args;

		cr_assert_eq(parse(&args, cases[i].verb, cases[i].words, &diag), -EINVAL,
			     "case %zu", i);
		cr_assert_not_null(strstr(diag.text, cases[i].says), "case %zu: %s", i, diag.text);
		sc_args_done(&args);
	}
}

Test(args, help_needs_nothing_else)
{
	static const char *const words[] = {"--help", NULL};
	static const char *const brief[] = {"-h", NULL};
	size_t n;
	const struct sc_verb *verbs = sc_verbs(&n);

	for (size_t i = 0; i < n; i++) {
		struct sc_diag diag = {0};
		struct sc_args args;

		cr_assert_eq(parse(&args, verbs[i].name, i % 2 ? words : brief, &diag), 0, "%s",
			     diag.text);
		cr_assert(args.help);
		sc_args_done(&args);
	}
}

Test(args, same_value_twice_is_harmless)
{
	static const char *const words[] = {"--run-dir", "/r", "--run-dir=/r", "--state-dir=/s",
					    NULL};
	struct sc_diag diag = {0};
	struct sc_args args;

	cr_assert_eq(parse(&args, "status", words, &diag), 0, "%s", diag.text);
	cr_assert_str_eq(args.run_dir, "/r");
	cr_assert_str_eq(args.state_dir, "/s");
	sc_args_done(&args);
}

Test(args, a_dash_alone_is_an_operand)
{
	static const char *const words[] = {"-", NULL};
	struct sc_diag diag = {0};
	struct sc_args args;

	cr_assert_eq(parse(&args, "register", words, &diag), 0, "%s", diag.text);
	cr_assert_str_eq(args.operands[0], "-");
	sc_args_done(&args);
}

Test(args, operator_defaults_to_who_called_sudo)
{
	static const char *const words[] = {NULL};
	static const char *const given[] = {"--operator", "ann", NULL};
	struct sc_diag diag = {0};
	struct sc_args args;

	setenv("SUDO_USER", "berta", 1);
	cr_assert_eq(parse(&args, "arm", words, &diag), 0);
	cr_assert_str_eq(sc_args_operator(&args),
			 geteuid() == 0 ? "berta" : sc_args_operator(&args));
	sc_args_done(&args);
	cr_assert_eq(parse(&args, "arm", given, &diag), 0);
	cr_assert_str_eq(sc_args_operator(&args), "ann");
	sc_args_done(&args);
	unsetenv("SUDO_USER");
	cr_assert_eq(parse(&args, "arm", words, &diag), 0);
	cr_assert_gt(strlen(sc_args_operator(&args)), 0);
	sc_args_done(&args);
}

Test(verbs, table_is_complete_and_in_order)
{
	size_t n;
	const struct sc_verb *verbs = sc_verbs(&n);

	cr_assert_eq(n, 32);
	for (size_t i = 0; i < n; i++) {
		size_t options = 0;

		cr_assert_not_null(verbs[i].run);
		cr_assert_not_null(verbs[i].operands);
		cr_assert_gt(strlen(verbs[i].help), 0);
		cr_assert_leq(verbs[i].operands_min, verbs[i].operands_max);
		cr_assert_eq(verbs[i].operands_max == 0, *verbs[i].operands == '\0');
		if (i)
			cr_assert_lt(strcmp(verbs[i - 1].name, verbs[i].name), 0, "%s",
				     verbs[i].name);
		for (const struct sc_option *o = verbs[i].options; o && o->name; o++, options++)
			if (options)
				cr_assert_lt(strcmp(o[-1].name, o->name), 0, "%s %s", verbs[i].name,
					     o->name);
		cr_assert_leq(options, SC_VERB_OPTIONS_MAX);
	}
}

Test(verbs, destruction_needs_a_reason_and_a_name)
{
	const struct sc_verb *fire = sc_verb_find("fire");
	unsigned int required = 0;

	for (const struct sc_option *o = fire->options; o->name; o++)
		required += o->required;
	cr_assert_eq(required, 2);
	cr_assert_eq(sc_verb_find("release")->operands_min, 1);
}

Test(verbs, usage_shows_what_is_required)
{
	_cleanup_str_ struct sc_str line;

	sc_str_init_heap(&line);
	sc_usage_line(&line, sc_verb_find("fire"));
	cr_assert_str_eq(line.data, "scram fire CONDITION [--force] --operator NAME --reason TEXT "
				    "[--target CGROUP] [--wait]");
}

Test(cli, usage_errors_are_2_and_suggest, .init = cr_redirect_stderr)
{
	char *none[] = {"scram", NULL};
	char *typo[] = {"scram", "statsu", NULL};
	char *option_first[] = {"scram", "--json", "status", NULL};
	char *bare_fire[] = {"scram", "fire", "x", NULL};

	cr_assert_eq(sc_cli_main(1, none), 2);
	cr_assert_eq(sc_cli_main(2, typo), 2);
	cr_assert_eq(sc_cli_main(3, option_first), 2);
	cr_assert_eq(sc_cli_main(3, bare_fire), 2);
}

Test(cli, nearest_verb_is_named)
{
	cr_assert_str_eq(sc_verb_nearest("statsu")->name, "status");
	cr_assert_str_eq(sc_verb_nearest("fier")->name, "fire");
	cr_assert_null(sc_verb_nearest("xylophone"));
}

Test(cli, help_and_version_are_0, .init = cr_redirect_stdout)
{
	char *help[] = {"scram", "help", NULL};
	char *help_verb[] = {"scram", "help", "fire", NULL};
	char *dashes[] = {"scram", "--help", NULL};
	char *version[] = {"scram", "--version", NULL};
	char *verb_help[] = {"scram", "fire", "--help", NULL};

	cr_assert_eq(sc_cli_main(2, help), 0);
	cr_assert_eq(sc_cli_main(3, help_verb), 0);
	cr_assert_eq(sc_cli_main(2, dashes), 0);
	cr_assert_eq(sc_cli_main(2, version), 0);
	cr_assert_eq(sc_cli_main(3, verb_help), 0);
}
