/* SPDX-License-Identifier: Apache-2.0 */
/* What is shipped for operators, and the sample of the manual, as `scram check` sees it; run from
 * the top of the tree. */
#include "cli/cli.h"

#include <scram/config.h>

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <glob.h>
#include <string.h>

#define EXAMPLES "conditions.d/examples"

static glob_t found;

static void begin(void)
{
	cr_assert_eq(glob(EXAMPLES "/*.yaml", 0, NULL, &found), 0,
		     "run the tests from the top of the tree");
	cr_redirect_stdout();
}

static void end(void)
{
	globfree(&found);
}

TestSuite(examples, .init = begin, .fini = end);

static int check(char *file)
{
	static char scram[] = "scram", verb[] = "check";
	char *argv[] = {scram, verb, file, NULL};

	return sc_cli_main(3, argv);
}

Test(examples, each_of_them_passes_the_check)
{
	cr_assert_geq(found.gl_pathc, 13);
	for (size_t i = 0; i < found.gl_pathc; i++)
		cr_assert_eq(check(found.gl_pathv[i]), 0, "%s", found.gl_pathv[i]);
}

Test(examples, the_sample_of_the_manual_passes_the_check)
{
	static char sample[] = "tests/corpus/config/good-sample.yaml";

	cr_assert_eq(check(sample), 0);
}

/* Where neither scope nor target say whom it is done to. */
static bool names_group(const struct sc_action_spec *action)
{
	return action->tenant_id || action->component || action->kind == SC_ACTION_READONLY;
}

/* A13, A15 */
Test(examples, none_acts_before_somebody_promotes_it)
{
	for (size_t i = 0; i < found.gl_pathc; i++) {
		_cleanup_(sc_config_faults_done) struct sc_config_faults faults;
		_cleanup_(sc_config_done) struct sc_config config = {0};

		cr_assert_eq(
			sc_config_load(&config, found.gl_pathv[i], SC_CONFIG_ANY_OWNER, &faults),
			0);
		cr_assert_geq(config.condition_count + config.component_count, 1);
		for (size_t k = 0; k < config.component_count; k++)
			cr_assert_not(config.components[k].breaker.live);
		for (size_t k = 0; k < config.condition_count; k++) {
			const struct sc_condition_spec *spec = &config.conditions[k];

			cr_assert_not(spec->live, "%s", spec->id);
			cr_assert(spec->auto_fire && spec->description, "%s", spec->id);
			cr_assert(spec->scope || spec->action.target || names_group(&spec->action),
				  "%s", spec->id);
			cr_assert_eq(spec->max_targets, 1, "%s", spec->id);
		}
	}
}

Test(examples, the_crash_loop_is_frozen_before_it_is_killed)
{
	_cleanup_(sc_config_faults_done) struct sc_config_faults faults;
	_cleanup_(sc_config_done) struct sc_config config = {0};

	cr_assert_eq(
		sc_config_load(&config, EXAMPLES "/crash-loop.yaml", SC_CONFIG_ANY_OWNER, &faults),
		0);
	cr_assert_eq(config.conditions[0].rungs, 2);
	cr_assert_eq(config.conditions[0].rung[0].kind, SC_ACTION_FREEZE);
	cr_assert_eq(config.conditions[0].rung[1].kind, SC_ACTION_PROCESS_EXIT);
}

/* A15 */
Test(examples, the_catalogue_does_to_whom_what_it_says)
{
	_cleanup_(sc_config_faults_done) struct sc_config_faults faults;
	_cleanup_(sc_config_done) struct sc_config lateral = {0};
	_cleanup_(sc_config_done) struct sc_config cascade = {0};
	const struct sc_condition_spec *spec;

	cr_assert_eq(sc_config_load(&lateral, EXAMPLES "/cross-tenant-lateral-movement.yaml",
				    SC_CONFIG_ANY_OWNER, &faults),
		     0);
	spec = &lateral.conditions[0];
	cr_assert_eq(spec->action.kind, SC_ACTION_QUARANTINE);
	cr_assert_null(spec->action.tenant_id, "it takes the tenant that was seen");
	cr_assert_str_eq(spec->scope, "/tenants/*");
	cr_assert_eq(lateral.tenant_count, 2);
	cr_assert_eq(sc_config_load(&cascade, EXAMPLES "/cascading-failure-detected.yaml",
				    SC_CONFIG_ANY_OWNER, &faults),
		     0);
	spec = &cascade.conditions[0];
	cr_assert_eq(spec->action.kind, SC_ACTION_PROCESS_EXIT);
	cr_assert_null(spec->scope, "judged once, so that it fires once");
	cr_assert_str_eq(spec->action.target, "/workload/gateway");
}

/* A14, A15: what no signal tells, a probe does. */
Test(examples, the_catalogue_asks_probes)
{
	static const struct {
		const char *file, *probe, *group;
		enum sc_probe_kind kind;
		enum sc_action_kind action;
		bool takes_two;
	} rows[] = {
		{EXAMPLES "/classified-field-in-non-classified-path.yaml", "classified-field",
		 "exporter", SC_PROBE_EXEC, SC_ACTION_CIRCUIT_BREAK, false},
		{EXAMPLES "/pact-key-forgery-detected.yaml", "pact-forgery", "initech",
		 SC_PROBE_HTTP, SC_ACTION_QUARANTINE, false},
		{EXAMPLES "/audit-chain-integrity-break.yaml", "audit-chain-broken", NULL,
		 SC_PROBE_EXEC, SC_ACTION_READONLY, true},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		_cleanup_(sc_config_faults_done) struct sc_config_faults faults;
		_cleanup_(sc_config_done) struct sc_config config = {0};
		const struct sc_condition_spec *spec;
		const char *group;

		cr_assert_eq(sc_config_load(&config, rows[i].file, SC_CONFIG_ANY_OWNER, &faults),
			     0);
		spec = &config.conditions[0];
		group = spec->action.component ? spec->action.component : spec->action.tenant_id;
		cr_assert_eq(config.probe_count, 1);
		cr_expect_str_eq(config.probes[0].name, rows[i].probe);
		cr_expect_eq(config.probes[0].kind, rows[i].kind);
		cr_expect_not_null(strstr(spec->when, rows[i].probe), "%s", spec->when);
		cr_expect_eq(spec->action.kind, rows[i].action);
		cr_expect_eq(spec->requires_two_person, rows[i].takes_two, "%s", spec->id);
		if (rows[i].group)
			cr_expect_str_eq(group, rows[i].group);
	}
}

Test(examples, read_only_after_the_store_takes_two_persons)
{
	_cleanup_(sc_config_faults_done) struct sc_config_faults faults;
	_cleanup_(sc_config_done) struct sc_config config = {0};

	cr_assert_eq(sc_config_load(&config, EXAMPLES "/emergency-readonly-on-pg-down.yaml",
				    SC_CONFIG_ANY_OWNER, &faults),
		     0);
	cr_expect_eq(config.conditions[0].action.kind, SC_ACTION_READONLY);
	cr_expect(config.conditions[0].requires_two_person);
	cr_expect_not_null(strstr(config.conditions[0].when, "store.down_s"));
}

Test(examples, all_of_them_can_be_used_together)
{
	static const char main_file[] = "include: [" EXAMPLES "/*.yaml]\n";
	char path[] = "scram-examples-XXXXXX";
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	cr_expect_eq(write(fd, main_file, strlen(main_file)), (ssize_t)strlen(main_file));
	close(fd);
	cr_expect_eq(check(path), 0);
	unlink(path);
}
