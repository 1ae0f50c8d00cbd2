/* SPDX-License-Identifier: Apache-2.0 */
#include <scram/condition.h>

#include "base/units.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static struct sc_condition_spec sample(void)
{
	struct sc_condition_spec spec;

	sc_condition_spec_init(&spec);
	spec.id = strdup("crash-loop");
	spec.description = strdup("keeps crashing");
	spec.scope = strdup("/workload/*");
	spec.when = strdup("increase(proc.crashes[60s]) >= 3");
	return spec;
}

Test(spec, defaults_are_those_of_the_reference)
{
	_cleanup_(sc_condition_spec_done) struct sc_condition_spec spec;

	sc_condition_spec_init(&spec);
	cr_assert_not(spec.auto_fire);
	cr_assert_not(spec.live);
	cr_assert_not(spec.requires_two_person);
	cr_assert_eq(spec.hold_ns, 0);
	cr_assert_eq(spec.min_samples, 1);
	cr_assert_eq(spec.clear_for_ns, 0);
	cr_assert_eq(spec.cooldown_ns, 60 * SC_NS_PER_S);
	cr_assert_eq(spec.ttl_ns, 0);
	cr_assert_eq(spec.on_unknown, SC_ON_UNKNOWN_IGNORE);
	cr_assert_eq(spec.action.grace_ns, 0);
	cr_assert_not(spec.action.rekill);
}

Test(spec, a_copy_is_equal_and_independent)
{
	_cleanup_(sc_condition_spec_done) struct sc_condition_spec a = sample();
	_cleanup_(sc_condition_spec_done) struct sc_condition_spec b;

	cr_assert_eq(sc_condition_spec_copy(&b, &a), 0);
	cr_assert(sc_condition_spec_equal(&a, &b));
	b.scope[1] = 'x';
	cr_assert_not(sc_condition_spec_equal(&a, &b));
}

static void notify_command(struct sc_condition_spec *spec, const char *command)
{
	struct sc_notify *notify = sc_notify_list_add(&spec->notify);

	cr_assert_not_null(notify);
	notify->kind = SC_NOTIFY_COMMAND;
	cr_assert_eq(sc_texts_add(&notify->command, command), 0);
}

Test(spec, who_is_told_is_copied_compared_and_no_part_of_the_judgement)
{
	_cleanup_(sc_condition_spec_done) struct sc_condition_spec a = sample();
	_cleanup_(sc_condition_spec_done) struct sc_condition_spec b;
	struct sc_notify *webhook;

	notify_command(&a, "/bin/true");
	webhook = sc_notify_list_add(&a.notify);
	webhook->kind = SC_NOTIFY_WEBHOOK;
	webhook->webhook = strdup("https://example.org/");
	webhook->secret_file = strdup("/etc/scram/secret");
	cr_assert_eq(sc_condition_spec_copy(&b, &a), 0);
	cr_assert(sc_condition_spec_equal(&a, &b));
	b.notify.item[1].secret_file[1] = 'x';
	cr_assert_not(sc_condition_spec_equal(&a, &b));
	b.notify.item[1].secret_file[1] = 'e';
	b.notify.item[0].command.item[0][1] = 'x';
	cr_assert_not(sc_condition_spec_equal(&a, &b));
	b.notify.item[0].command.item[0][1] = 'b';
	cr_assert(sc_condition_spec_equal(&a, &b));
	notify_command(&b, "/bin/false");
	cr_assert_not(sc_condition_spec_equal(&a, &b));
	cr_assert(sc_condition_spec_same_judgement(&a, &b));
}

Test(spec, live_and_prose_are_no_part_of_the_judgement)
{
	_cleanup_(sc_condition_spec_done) struct sc_condition_spec a = sample();
	_cleanup_(sc_condition_spec_done) struct sc_condition_spec b = sample();

	b.live = true;
	b.description[0] = 'K';
	b.line = 12;
	cr_assert(sc_condition_spec_same_judgement(&a, &b));
	cr_assert_not(sc_condition_spec_equal(&a, &b));
	b.hold_ns = 1;
	cr_assert_not(sc_condition_spec_same_judgement(&a, &b));
}

Test(spec, durations_come_back_exactly)
{
	static const uint64_t values[] = {0,
					  1,
					  999,
					  1500 * SC_NS_PER_MS,
					  90 * SC_NS_PER_S,
					  86400 * SC_NS_PER_S + 1,
					  100ULL * 86400 * SC_NS_PER_S};

	for (size_t i = 0; i < SC_ARRAY_SIZE(values); i++) {
		char buf[64];
		struct sc_str text;
		uint64_t back = 1;

		sc_str_init(&text, buf, sizeof(buf));
		sc_condition_duration(&text, values[i]);
		cr_assert_eq(sc_parse_duration(buf, &back), 0, "%s", buf);
		cr_assert_eq(back, values[i], "%s", buf);
	}
}

static void set(char **field, const char *text)
{
	free(*field);
	*field = strdup(text);
}

struct breakage {
	const char *name;
	const char *field;
	void (*apply)(struct sc_condition_spec *spec);
};

static void no_id(struct sc_condition_spec *s)
{
	set(&s->id, "");
}

static void newline_id(struct sc_condition_spec *s)
{
	set(&s->id, "a\nb");
}

static void relative_scope(struct sc_condition_spec *s)
{
	set(&s->scope, "workload");
}

static void empty_by(struct sc_condition_spec *s)
{
	set(&s->registered_by, "");
}

static void blank_when(struct sc_condition_spec *s)
{
	set(&s->when, " \n");
}

static void code_high(struct sc_condition_spec *s)
{
	s->action.code = 256;
}

static void tenant_on_kill(struct sc_condition_spec *s)
{
	set(&s->action.tenant_id, "acme");
}

static void two_places(struct sc_condition_spec *s)
{
	set(&s->action.target, "/a");
}

static void no_samples(struct sc_condition_spec *s)
{
	s->min_samples = 0;
}

static void many_targets(struct sc_condition_spec *s)
{
	s->max_targets = SC_CONDITION_TARGETS_MAX + 1;
}

static void ttl_on_kill(struct sc_condition_spec *s)
{
	s->ttl_ns = SC_NS_PER_S;
}

static void five_rungs(struct sc_condition_spec *s)
{
	s->rungs = SC_CONDITION_RUNGS_MAX + 1;
}

static void mode_on_kill(struct sc_condition_spec *s)
{
	s->action.mode = SC_CUT_REFUSE_NEW;
}

static void mode_drop(struct sc_condition_spec *s)
{
	s->action.kind = SC_ACTION_CIRCUIT_BREAK;
	s->action.mode = SC_CUT_DROP;
}

static void quarantine_rung(struct sc_condition_spec *s)
{
	s->rungs = 2;
	s->rung[0] = (struct sc_rung){SC_ACTION_QUARANTINE, SC_NS_PER_S};
	s->rung[1] = (struct sc_rung){SC_ACTION_PROCESS_EXIT, 0};
}

static void refuse_for_ever(struct sc_condition_spec *s)
{
	quarantine_rung(s);
	s->rung[0] = (struct sc_rung){SC_ACTION_REFUSE_NEW, 0};
}

static void long_id(struct sc_condition_spec *s)
{
	char id[SC_CONDITION_ID_MAX + 2];

	memset(id, 'x', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	set(&s->id, id);
}

static void breaker_id(struct sc_condition_spec *s)
{
	set(&s->id, "breaker:shop");
}

Test(spec, check_names_the_field_at_fault)
{
	static const struct breakage breakages[] = {
		{"empty id", "id", no_id},
		{"129 characters", "id", long_id},
		{"newline in id", "id", newline_id},
		{"id of a breaker", "id", breaker_id},
		{"relative scope", "scope", relative_scope},
		{"empty registered_by", "registered_by", empty_by},
		{"blank when", "when", blank_when},
		{"code 256", "action.config.code", code_high},
		{"tenant on process-exit", "action.config", tenant_on_kill},
		{"scope and target", "action.config.target", two_places},
		{"min_samples 0", "min_samples", no_samples},
		{"max_targets over", "max_targets", many_targets},
		{"ttl on process-exit", "ttl", ttl_on_kill},
		{"five rungs", "escalate", five_rungs},
		{"mode on process-exit", "action.config", mode_on_kill},
		{"mode that is none of a circuit-break", "action.config.mode", mode_drop},
		{"a rung that is none", "escalate", quarantine_rung},
		{"a rung that refuses without end", "escalate", refuse_for_ever},
	};
	const char *field = NULL;
	struct sc_diag diag;

	for (size_t i = 0; i < SC_ARRAY_SIZE(breakages); i++) {
		_cleanup_(sc_condition_spec_done) struct sc_condition_spec spec = sample();

		cr_assert_eq(sc_condition_spec_check(&spec, &field, &diag), 0, "%s", diag.text);
		breakages[i].apply(&spec);
		cr_assert_eq(sc_condition_spec_check(&spec, &field, &diag), -EINVAL, "%s",
			     breakages[i].name);
		cr_assert_str_eq(field, breakages[i].field, "%s: %s", breakages[i].name, diag.text);
	}
}

Test(spec, new_connections_are_refused_before_the_kill)
{
	_cleanup_(sc_condition_spec_done) struct sc_condition_spec spec = sample();
	const char *field = NULL;
	struct sc_diag diag;

	refuse_for_ever(&spec);
	spec.rung[0].dwell_ns = 10 * SC_NS_PER_S;
	cr_assert_eq(sc_condition_spec_check(&spec, &field, &diag), 0, "%s", diag.text);
	/* Alone it can be undone, and so may end by itself. */
	spec.rungs = 0;
	spec.action.kind = SC_ACTION_REFUSE_NEW;
	spec.ttl_ns = SC_NS_PER_S;
	cr_assert_eq(sc_condition_spec_check(&spec, &field, &diag), 0, "%s", diag.text);
	cr_assert_not(sc_condition_is_irreversible(&spec));
}

/* What was decided for new connections must not go on as a cut of all. */
Test(spec, how_hard_it_cuts_is_part_of_the_judgement)
{
	_cleanup_(sc_condition_spec_done) struct sc_condition_spec a = sample();
	_cleanup_(sc_condition_spec_done) struct sc_condition_spec b;

	a.action.kind = SC_ACTION_CIRCUIT_BREAK;
	a.action.mode = SC_CUT_REFUSE_NEW;
	cr_assert_eq(sc_condition_spec_copy(&b, &a), 0);
	cr_assert(sc_condition_spec_same_judgement(&a, &b));
	b.action.mode = SC_CUT_REFUSE_ALL;
	cr_assert_not(sc_condition_spec_same_judgement(&a, &b));
	cr_assert_not(sc_condition_spec_equal(&a, &b));
}

Test(spec, a_ladder_that_ends_in_a_kill_is_irreversible)
{
	struct sc_condition_spec spec;

	sc_condition_spec_init(&spec);
	cr_assert(sc_condition_is_irreversible(&spec));
	spec.action.kind = SC_ACTION_FREEZE;
	cr_assert_not(sc_condition_is_irreversible(&spec));
	spec.rungs = 1;
	spec.rung[0].kind = SC_ACTION_PROCESS_EXIT;
	cr_assert(sc_condition_is_irreversible(&spec));
}
