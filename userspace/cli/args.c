/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/args.h"

#include <scram/engine.h>

#include "base/str.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

struct parse {
	struct sc_args *args;
	char *const *argv;
	int argc;
	int next;
	struct sc_diag *diag;
};

static const struct sc_option *find_in(const struct sc_option *options, const char *name, size_t n)
{
	for (; options && options->name; options++)
		if (strlen(options->name) == n && memcmp(options->name, name, n) == 0)
			return options;
	return NULL;
}

static void offer(struct sc_nearest *nearest, const struct sc_verb *verb,
		  const struct sc_option *options)
{
	for (; options && options->name; options++)
		if (sc_verb_takes(verb, options))
			sc_nearest_offer(nearest, options->name);
}

static int unknown_option(const struct parse *p, const char *arg)
{
	const struct sc_verb *verb = p->args->verb;
	const char *name = arg + strspn(arg, "-");
	struct sc_nearest nearest;

	sc_nearest_init(&nearest, name, strcspn(name, "="));
	offer(&nearest, verb, verb->options);
	offer(&nearest, verb, sc_common_options);
	if (nearest.best)
		return sc_diag_set(p->diag, -EINVAL, 0, 0, "unknown option %s; did you mean --%s?",
				   arg, nearest.best);
	return sc_diag_set(p->diag, -EINVAL, 0, 0, "unknown option %s", arg);
}

/* Sets *slot, unless it holds something else already. */
static int store(const struct parse *p, const char **slot, const char *name, const char *value)
{
	if (*slot && strcmp(*slot, value) != 0)
		return sc_diag_set(p->diag, -EINVAL, 0, 0, "--%s is given twice: %s and %s", name,
				   *slot, value);
	*slot = value;
	return 0;
}

static int take_value(struct parse *p, const struct sc_option *option, const char *equals,
		      const char **value)
{
	if (!option->value) {
		*value = "";
		if (equals)
			return sc_diag_set(p->diag, -EINVAL, 0, 0, "--%s takes no value",
					   option->name);
		return 0;
	}
	if (equals) {
		*value = equals + 1;
	} else {
		if (p->next >= p->argc || strncmp(p->argv[p->next], "--", 2) == 0)
			return sc_diag_set(p->diag, -EINVAL, 0, 0, "--%s needs a value: --%s %s",
					   option->name, option->name, option->value);
		*value = p->argv[p->next++];
	}
	if (!**value)
		return sc_diag_set(p->diag, -EINVAL, 0, 0, "--%s needs a value that is not empty",
				   option->name);
	return 0;
}

static int store_common(const struct parse *p, const struct sc_option *option, const char *value)
{
	struct sc_args *args = p->args;

	if (strcmp(option->name, "help") == 0)
		args->help = true;
	else if (strcmp(option->name, "json") == 0)
		args->json = true;
	else if (strcmp(option->name, "base-url") == 0)
		return store(p, &args->base_url, option->name, value);
	else if (strcmp(option->name, "run-dir") == 0)
		return store(p, &args->run_dir, option->name, value);
	else if (strcmp(option->name, "state-dir") == 0)
		return store(p, &args->state_dir, option->name, value);
	return 0;
}

static int parse_option(struct parse *p, const char *arg)
{
	const struct sc_verb *verb = p->args->verb;
	const char *name = strcmp(arg, "-h") == 0 ? "--help" : arg;
	const char *equals = strchr(name, '=');
	const struct sc_option *own;
	const struct sc_option *common;
	const char *value = NULL;
	size_t n;
	int r;

	if (name[1] != '-')
		return unknown_option(p, arg);
	name += 2;
	n = equals ? (size_t)(equals - name) : strlen(name);
	own = find_in(verb->options, name, n);
	common = find_in(sc_common_options, name, n);
	if (!own && (!common || !sc_verb_takes(verb, common)))
		return unknown_option(p, arg);
	r = take_value(p, own ? own : common, equals, &value);
	if (r < 0)
		return r;
	if (!own)
		return store_common(p, common, value);
	SC_ASSERT(own - verb->options < SC_VERB_OPTIONS_MAX);
	return store(p, &p->args->values[own - verb->options], own->name, value);
}

static int check_complete(const struct parse *p)
{
	const struct sc_args *args = p->args;
	const struct sc_verb *verb = args->verb;

	if (args->operand_count < verb->operands_min)
		return sc_diag_set(p->diag, -EINVAL, 0, 0, "%s needs %s", verb->name,
				   verb->operands);
	if (args->operand_count > verb->operands_max)
		return sc_diag_set(p->diag, -EINVAL, 0, 0, "unexpected operand: %s",
				   args->operands[verb->operands_max]);
	for (size_t i = 0; verb->options && verb->options[i].name; i++)
		if (verb->options[i].required && !args->values[i])
			return sc_diag_set(p->diag, -EINVAL, 0, 0, "%s needs --%s %s: %s",
					   verb->name, verb->options[i].name,
					   verb->options[i].value, verb->options[i].help);
	return 0;
}

int sc_args_parse(struct sc_args *args, const struct sc_verb *verb, int argc, char *const *argv,
		  struct sc_diag *diag)
{
	struct parse p = {.args = args, .argv = argv, .argc = argc, .diag = diag};
	bool options_ended = false;
	int r = 0;

	*args = (struct sc_args){.verb = verb};
	args->operands = calloc((size_t)argc + 1, sizeof(*args->operands));
	if (!args->operands)
		return sc_diag_set(diag, -ENOMEM, 0, 0, "out of memory");
	while (p.next < argc && r == 0) {
		const char *arg = argv[p.next++];

		if (!options_ended && strcmp(arg, "--") == 0)
			options_ended = true;
		else if (!options_ended && arg[0] == '-' && arg[1])
			r = parse_option(&p, arg);
		else
			args->operands[args->operand_count++] = arg;
	}
	if (!args->run_dir)
		args->run_dir = SC_DEFAULT_RUN_DIR;
	if (!args->state_dir)
		args->state_dir = SC_DEFAULT_STATE_DIR;
	if (r == 0 && !args->help)
		r = check_complete(&p);
	return r;
}

void sc_args_done(struct sc_args *args)
{
	free(args->operands);
	args->operands = NULL;
}

const char *sc_args_get(const struct sc_args *args, const char *name)
{
	const struct sc_option *own = find_in(args->verb->options, name, strlen(name));

	SC_ASSERT(own);
	return args->values[own - args->verb->options];
}

bool sc_args_has(const struct sc_args *args, const char *name)
{
	return sc_args_get(args, name) != NULL;
}

const char *sc_args_operator(const struct sc_args *args)
{
	const char *given = sc_args_get(args, "operator");
	const char *sudo = getenv("SUDO_USER");
	const struct passwd *user;

	if (given)
		return given;
	if (sudo && *sudo && getuid() == 0)
		return sudo;
	user = getpwuid(getuid());
	return user ? user->pw_name : "unknown";
}
