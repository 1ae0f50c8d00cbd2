/* SPDX-License-Identifier: Apache-2.0 */
/* scram completion bash|zsh: printed from the table of verbs. */
#include "cli/ask.h"
#include "cli/completion.h"

#include <string.h>

static void add_bash_options(struct sc_str *out, const struct sc_verb *verb)
{
	for (const struct sc_option *o = verb->options; o && o->name; o++)
		sc_str_addf(out, " --%s", o->name);
	for (const struct sc_option *o = sc_common_options; o->name; o++)
		if (sc_verb_takes(verb, o))
			sc_str_addf(out, " --%s", o->name);
}

void sc_completion_bash(struct sc_str *out)
{
	size_t n;
	const struct sc_verb *verbs = sc_verbs(&n);

	sc_str_add(out, "# bash completion for scram, made by: scram completion bash\n"
			"_scram()\n{\n\tlocal current=${COMP_WORDS[COMP_CWORD]} options=\n"
			"\tif [[ $COMP_CWORD -eq 1 ]]; then\n"
			"\t\tmapfile -t COMPREPLY < <(compgen -W \"");
	for (size_t i = 0; i < n; i++)
		sc_str_addf(out, "%s%s", i ? " " : "", verbs[i].name);
	sc_str_add(out, "\" -- \"$current\")\n\t\treturn\n\tfi\n\tcase ${COMP_WORDS[1]} in\n");
	for (size_t i = 0; i < n; i++) {
		sc_str_addf(out, "\t%s) options=\"", verbs[i].name);
		add_bash_options(out, &verbs[i]);
		sc_str_add(out, "\" ;;\n");
	}
	sc_str_add(out,
		   "\tesac\n\tif [[ $current == -* ]]; then\n"
		   "\t\tmapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$current\")\n"
		   "\telse\n\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n\tfi\n}\n"
		   "complete -o filenames -F _scram scram\n");
}

/* Inside '...' of zsh's _arguments and _describe. */
static void add_zsh_text(struct sc_str *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			sc_str_add(out, "'\\''");
		else if (strchr("[]:\\", *text))
			sc_str_addf(out, "\\%c", *text);
		else
			sc_str_addn(out, text, 1);
	}
}

static void add_zsh_option(struct sc_str *out, const struct sc_option *option)
{
	sc_str_addf(out, " \\\n\t\t\t'--%s[", option->name);
	add_zsh_text(out, option->help);
	sc_str_add(out, "]");
	if (option->value) {
		sc_str_add(out, ":");
		add_zsh_text(out, option->value);
		sc_str_add(out, strcmp(option->value, "DIR") == 0    ? ":_directories"
				: strcmp(option->value, "FILE") == 0 ? ":_files"
								     : ":");
	}
	sc_str_add(out, "'");
}

void sc_completion_zsh(struct sc_str *out)
{
	size_t n;
	const struct sc_verb *verbs = sc_verbs(&n);

	sc_str_add(out,
		   "#compdef scram\n# zsh completion for scram, made by: scram completion zsh\n"
		   "_scram() {\n\tlocal -a verbs\n\tverbs=(\n");
	for (size_t i = 0; i < n; i++) {
		sc_str_addf(out, "\t\t'%s:", verbs[i].name);
		add_zsh_text(out, verbs[i].help);
		sc_str_add(out, "'\n");
	}
	sc_str_add(out, "\t)\n\tif (( CURRENT == 2 )); then\n\t\t_describe verb verbs\n"
			"\t\treturn\n\tfi\n\tlocal verb=$words[2]\n\tshift words\n"
			"\t(( CURRENT-- ))\n\tcase $verb in\n");
	for (size_t i = 0; i < n; i++) {
		sc_str_addf(out, "\t%s)\n\t\t_arguments", verbs[i].name);
		for (const struct sc_option *o = verbs[i].options; o && o->name; o++)
			add_zsh_option(out, o);
		for (const struct sc_option *o = sc_common_options; o->name; o++)
			if (sc_verb_takes(&verbs[i], o))
				add_zsh_option(out, o);
		sc_str_add(out, " \\\n\t\t\t'*:operand:_files'\n\t\t;;\n");
	}
	sc_str_add(out, "\tesac\n}\n_scram \"$@\"\n");
}

int sc_verb_completion(const struct sc_args *args)
{
	const char *shell = args->operands[0];
	_cleanup_str_ struct sc_str out = {0};

	sc_str_init_heap(&out);
	if (strcmp(shell, "bash") == 0)
		sc_completion_bash(&out);
	else if (strcmp(shell, "zsh") == 0)
		sc_completion_zsh(&out);
	else
		return sc_complain(args, SC_EXIT_USAGE,
				   "there is completion for bash and zsh, not %s", shell);
	return sc_print_text(&out);
}
