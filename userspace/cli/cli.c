/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include "cli/args.h"
#include "cli/ask.h"
#include "cli/usage.h"

#include <errno.h>
#include <string.h>

static int refuse_verb(const char *name)
{
	const struct sc_verb *nearest = sc_verb_nearest(name);
	_cleanup_str_ struct sc_str shown = {0};

	sc_str_init_heap(&shown);
	sc_str_add_printable(&shown, name, strlen(name));
	if (name[0] == '-')
		fprintf(stderr, "scram: the verb comes first, then its options: %s\n", shown.data);
	else if (nearest)
		fprintf(stderr, "scram: unknown verb %s; did you mean %s?\n", shown.data,
			nearest->name);
	else
		fprintf(stderr, "scram: unknown verb %s\n", shown.data);
	fprintf(stderr, "Try: scram help\n");
	return SC_EXIT_USAGE;
}

static int print_help(const struct sc_verb *verb)
{
	_cleanup_str_ struct sc_str out = {0};

	sc_str_init_heap(&out);
	sc_usage_verb(&out, verb);
	return sc_print_text(&out);
}

static int refuse_args(const struct sc_verb *verb, const struct sc_diag *diag)
{
	_cleanup_str_ struct sc_str usage = {0};

	sc_str_init_heap(&usage);
	sc_usage_line(&usage, verb);
	fprintf(stderr, "scram %s: %s\nUsage: %s\n", verb->name, diag->text, usage.data);
	return SC_EXIT_USAGE;
}

int sc_cli_main(int argc, char **argv)
{
	_cleanup_args_ struct sc_args args = {0};
	struct sc_diag diag = {0};
	const struct sc_verb *verb;
	const char *name = argc > 1 ? argv[1] : NULL;
	int r;

	if (!name) {
		_cleanup_str_ struct sc_str out = {0};

		sc_str_init_heap(&out);
		sc_usage_all(&out);
		fputs(out.data, stderr);
		return SC_EXIT_USAGE;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	else if (strcmp(name, "--version") == 0)
		name = "version";
	verb = sc_verb_find(name);
	if (!verb)
		return refuse_verb(name);
	r = sc_args_parse(&args, verb, argc - 2, argv + 2, &diag);
	if (r == -ENOMEM) {
		fprintf(stderr, "scram: %s\n", diag.text);
		return SC_EXIT_FAILED;
	}
	if (r < 0)
		return refuse_args(verb, &diag);
	return args.help ? print_help(verb) : verb->run(&args);
}
