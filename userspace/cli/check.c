/* SPDX-License-Identifier: Apache-2.0 */
/* scram check FILE...: the faults of configuration files, or their conditions in words. */
#include "cli/ask.h"

#include <scram/config.h>
#include <scram/predicate.h>

#include "base/json.h"

#include <errno.h>
#include <string.h>

static void add_printable(struct sc_str *out, const char *text)
{
	sc_str_add_printable(out, text, strlen(text));
}

/* What it judges, in words; compiled anew, for the words come from the compiled form. */
static void add_when(struct sc_str *out, const struct sc_config *config,
		     const struct sc_condition_spec *spec)
{
	_cleanup_predicate_ struct sc_predicate *predicate = NULL;
	_cleanup_(sc_plan_free) struct sc_plan *plan = sc_plan_new(NULL);
	const char *probes[SC_CONFIG_NAMES_MAX];
	struct sc_predicate_env env = {.plan = plan, .probes = probes};

	for (size_t i = 0; i < SC_MIN(config->probe_count, SC_ARRAY_SIZE(probes)); i++)
		probes[env.probes_n++] = config->probes[i].name;
	if (plan && sc_predicate_compile(&predicate, spec->when, &env, NULL) == 0)
		sc_predicate_describe(predicate, out);
	else
		add_printable(out, spec->when);
}

static void add_duration(struct sc_str *out, const char *before, uint64_t ns)
{
	if (ns == 0)
		return;
	sc_str_add(out, before);
	sc_condition_duration(out, ns);
}

/* Such as: process-exit of each cgroup in a scope when ...; by itself, live */
static void add_words(struct sc_str *out, const struct sc_config *config,
		      const struct sc_condition_spec *spec)
{
	const char *target = spec->scope ? spec->scope : spec->action.target;

	sc_str_add(out, sc_action_kind_name(spec->action.kind));
	if (target) {
		sc_str_add(out, spec->scope ? " of each cgroup " : " of ");
		add_printable(out, target);
	}
	if (spec->when) {
		sc_str_add(out, " when ");
		add_when(out, config, spec);
		add_duration(out, ", for ", spec->hold_ns);
	}
	for (uint32_t i = 0; i < spec->rungs; i++) {
		sc_str_addf(out, "%s%s", i ? ", then " : "; step by step: ",
			    sc_action_kind_name(spec->rung[i].kind));
		add_duration(out, " for ", spec->rung[i].dwell_ns);
	}
	sc_str_add(out, spec->auto_fire ? "; by itself" : "; by hand only");
	sc_str_add(out, spec->live ? ", live" : ", dry-run");
	if (spec->requires_two_person)
		sc_str_add(out, ", after a second person's approval");
	add_duration(out, ", undone after ", spec->ttl_ns);
	add_duration(out, spec->scope ? "; at most once per cgroup in " : "; at most once in ",
		     spec->cooldown_ns);
}

static void add_fault_json(struct sc_json *j, const struct sc_config_fault *fault)
{
	sc_json_object_begin(j);
	sc_json_member_text(j, "file", fault->file);
	sc_json_member_u64(j, "line", fault->diag.line);
	sc_json_member_u64(j, "column", fault->diag.column);
	sc_json_member_text(j, "text", fault->diag.text);
	sc_json_object_end(j);
}

static void add_json(struct sc_json *j, const char *file, const struct sc_config *config,
		     const struct sc_config_faults *faults)
{
	sc_json_object_begin(j);
	sc_json_member_text(j, "file", file);
	sc_json_member_bool(j, "ok", config != NULL);
	sc_json_member_text(j, "digest", config ? config->digest : NULL);
	sc_json_key(j, "faults");
	sc_json_array_begin(j);
	for (size_t i = 0; i < faults->n; i++)
		add_fault_json(j, &faults->item[i]);
	sc_json_array_end(j);
	sc_json_key(j, "conditions");
	sc_json_array_begin(j);
	for (size_t i = 0; config && i < config->condition_count; i++) {
		_cleanup_str_ struct sc_str words = {0};

		sc_str_init_heap(&words);
		add_words(&words, config, &config->conditions[i]);
		sc_json_object_begin(j);
		sc_json_member_text(j, "id", config->conditions[i].id);
		sc_json_member_text(j, "words", words.data);
		sc_json_object_end(j);
	}
	sc_json_array_end(j);
	sc_json_object_end(j);
}

static void add_text(struct sc_str *out, const char *file, const struct sc_config *config,
		     const struct sc_config_faults *faults)
{
	for (size_t i = 0; i < faults->n; i++)
		sc_config_fault_print(&faults->item[i], out);
	if (faults->dropped)
		sc_str_addf(out, "and %zu further faults\n", faults->dropped);
	if (!config)
		return;
	add_printable(out, file);
	sc_str_addf(out, ": %zu condition%s, no fault\n", config->condition_count,
		    config->condition_count == 1 ? "" : "s");
	for (size_t i = 0; i < config->condition_count; i++) {
		sc_str_add(out, "  ");
		add_printable(out, config->conditions[i].id);
		sc_str_add(out, ": ");
		add_words(out, config, &config->conditions[i]);
		sc_str_add(out, "\n");
	}
}

/* A file that is right but that the agent would refuse where it lies: owner and mode. A warning, on
 * standard error. */
static void warn_of_owner(const char *file)
{
	struct sc_config_faults faults = {0};
	struct sc_config strict = {0};
	_cleanup_str_ struct sc_str out = {0};

	sc_str_init_heap(&out);
	if (sc_config_load(&strict, file, 0, &faults) == 0)
		sc_config_done(&strict);
	for (size_t i = 0; i < faults.n; i++)
		sc_config_fault_print(&faults.item[i], &out);
	if (out.len)
		fprintf(stderr, "warning: where it lies, the agent would refuse it:\n%s", out.data);
	sc_config_faults_done(&faults);
}

/* Checks one file and adds what was found. Returns the exit status. */
static int check_file(const struct sc_args *args, const char *file, struct sc_json *j,
		      struct sc_str *out)
{
	struct sc_config_faults faults = {0};
	struct sc_config config = {0};
	int r = sc_config_load(&config, file, SC_CONFIG_ANY_OWNER, &faults);

	if (args->json)
		add_json(j, file, r < 0 ? NULL : &config, &faults);
	else
		add_text(out, file, r < 0 ? NULL : &config, &faults);
	if (r < 0 && faults.n == 0)
		sc_complain(args, SC_EXIT_FAILED, "%s: %s", file, strerror(-r));
	if (r == 0) {
		warn_of_owner(file);
		sc_config_done(&config);
	}
	sc_config_faults_done(&faults);
	return r < 0 ? SC_EXIT_FAILED : SC_EXIT_DONE;
}

int sc_verb_check(const struct sc_args *args)
{
	_cleanup_str_ struct sc_str out = {0};
	int status = SC_EXIT_DONE;
	struct sc_json j;
	int printed;

	sc_str_init_heap(&out);
	sc_json_init(&j, &out);
	if (args->json)
		sc_json_array_begin(&j);
	for (unsigned int i = 0; i < args->operand_count; i++)
		if (check_file(args, args->operands[i], &j, &out) != SC_EXIT_DONE)
			status = SC_EXIT_FAILED;
	if (args->json) {
		sc_json_array_end(&j);
		sc_str_add(&out, "\n");
	}
	printed = sc_print_text(&out);
	return status ? status : printed;
}
