/* SPDX-License-Identifier: Apache-2.0 */
/* What probes answer, in predicates. */
#include "unit/signal/model.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <math.h>

#define VALID (3 * SECOND)

static const char *const names[] = {"first", "second", "third"};

/* Slot 0 is a cgroup with four processes alive. */
static struct sc_predicate *prepare(struct model *w, const char *text)
{
	const struct sc_predicate_env env = {.plan = w->plan, .probes = names, .probes_n = 3};
	struct sc_predicate *p = NULL;
	struct sc_diag diag = {0};

	cr_assert_eq(sc_predicate_compile(&p, text, &env, &diag), 0, "%s: %s", text, diag.text);
	cr_assert_eq(sc_plan_start(w->plan, NULL, NULL), 0);
	sc_plan_target_added(w->plan, 0, "/w/x");
	model_seeded(w, 0, 1);
	w->counts[0].proc_alive = 4;
	return p;
}

static enum sc_truth truth_of(struct model *w, struct sc_predicate *p)
{
	uint32_t slot = 0;
	uint8_t truth = SC_TRUTH_COUNT;

	sc_predicate_eval(p, w->plan, &slot, 1, &truth);
	return (enum sc_truth)truth;
}

static void answer(struct model *w, struct sc_probe_answer *answers, uint32_t n)
{
	w->source.probes = answers;
	w->source.probes_n = n;
}

#define F SC_FALSE
#define T SC_TRUE
#define U SC_UNKNOWN

Test(probe, truths_combine_with_its_answer)
{
	static const struct {
		const char *text;
		enum sc_truth of_no, of_yes, of_unknown;
	} rows[] = {
		{"probe(\"second\")", F, T, U},
		{"not probe(\"second\")", T, F, U},
		{"probe(\"second\") and proc.alive > 3", F, T, U},
		{"probe(\"second\") and proc.alive > 4", F, F, F},
		{"probe(\"second\") or proc.alive > 3", T, T, T},
		{"probe(\"second\") or proc.alive > 4", F, T, U},
		{"probe(\"second\") and pids.current > 0", F, U, U},
		{"probe(\"second\") or pids.current > 0", U, T, U},
		{"not (probe(\"second\") and not probe(\"second\"))", T, T, U},
		{"probe(\"second\") and count(\"/w/*\", proc.alive > 3) > 0", F, T, U},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		_cleanup_model_ struct model *w = model_new(NULL);
		_cleanup_predicate_ struct sc_predicate *p = prepare(w, rows[i].text);
		struct sc_probe_answer answers[3] = {{T, 1, UINT64_MAX}, {.valid_ns = VALID}};
		const enum sc_truth wanted[] = {rows[i].of_no, rows[i].of_yes, rows[i].of_unknown};

		answer(w, answers, 3);
		for (enum sc_truth t = F; t <= U; t++) {
			answers[1].truth = t;
			answers[1].at_ns = w->now.mono_ns;
			model_tick(w, MS, 1);
			cr_expect_eq(truth_of(w, p), wanted[t], "%s, of %s: %s", rows[i].text,
				     sc_truth_name(t), sc_truth_name(truth_of(w, p)));
		}
	}
}

/* An answer counts up to its age, and no ns longer; one that never came does not count at all. */
Test(probe, an_old_answer_is_unknown)
{
	static const struct {
		uint64_t age_ns;
		enum sc_truth truth;
	} rows[] = {{0, T}, {1, T}, {VALID, T}, {VALID + 1, U}, {100 * VALID, U}};

	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		_cleanup_model_ struct model *w = model_new(NULL);
		_cleanup_predicate_ struct sc_predicate *p = prepare(w, "probe(\"first\")");
		struct sc_probe_answer given = {T, w->now.mono_ns + SECOND, VALID};

		answer(w, &given, 1);
		model_tick(w, SECOND + rows[i].age_ns, 1);
		cr_expect_eq(truth_of(w, p), rows[i].truth, "row %zu", i);
		cr_expect_eq(sc_plan_probe_age_ns(w->plan, 0), rows[i].age_ns, "row %zu", i);
	}
}

Test(probe, without_an_answer_it_is_unknown)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	_cleanup_predicate_ struct sc_predicate *p = prepare(w, "probe(\"third\")");
	struct sc_probe_answer answers[3] = {
		{T, 1, UINT64_MAX}, {T, 1, UINT64_MAX}, {T, 0, UINT64_MAX}};

	cr_expect_eq(truth_of(w, p), U, "before the first tick");
	model_tick(w, MS, 1);
	cr_expect_eq(truth_of(w, p), U, "no probe has answers here");
	answer(w, answers, 2);
	model_tick(w, MS, 1);
	cr_expect_eq(truth_of(w, p), U, "not this one");
	answer(w, answers, 3);
	model_tick(w, MS, 1);
	cr_expect_eq(truth_of(w, p), U, "it has never answered");
	cr_expect_eq(sc_plan_probe_age_ns(w->plan, 2), UINT64_MAX);
	answers[2].at_ns = w->now.mono_ns;
	model_tick(w, MS, 1);
	cr_expect_eq(truth_of(w, p), T);
}

/* Between two ticks nothing moves, whatever comes in. */
Test(probe, an_answer_counts_from_the_next_tick)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	_cleanup_predicate_ struct sc_predicate *p = prepare(w, "probe(\"first\")");
	struct sc_probe_answer given = {F, w->now.mono_ns, VALID};

	answer(w, &given, 1);
	model_tick(w, MS, 1);
	given = (struct sc_probe_answer){T, w->now.mono_ns, VALID};
	cr_expect_eq(truth_of(w, p), F);
	model_tick(w, MS, 0); /* an early tick that looks at nobody */
	cr_expect_eq(truth_of(w, p), T);
}

Test(probe, operands_tell_answer_and_age)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	_cleanup_predicate_ struct sc_predicate *p = prepare(
		w, "probe(\"first\") or probe(\"second\") or proc.alive > 4");
	struct sc_probe_answer answers[2] = {{T, w->now.mono_ns, VALID}, {.valid_ns = VALID}};
	struct sc_operand o[3];

	answer(w, answers, 2);
	model_tick(w, 1500 * MS, 1);
	cr_assert_eq(sc_predicate_operands(p, w->plan, 0, o, 3), 3);
	cr_expect_str_eq(o[0].text, "probe(\"first\")");
	cr_expect(o[0].truth == T && o[0].value == 1 && isnan(o[0].threshold));
	cr_expect_float_eq(o[0].age_s, 1.5, 1e-9);
	cr_expect(o[1].truth == U && isnan(o[1].value) && isnan(o[1].age_s));
	cr_expect(isnan(o[2].age_s), "a signal has no answer");
	model_tick(w, VALID, 1);
	cr_assert_eq(sc_predicate_operands(p, w->plan, 0, o, 3), 3);
	cr_expect(o[0].truth == U && isnan(o[0].value), "it is too old");
	cr_expect_float_eq(o[0].age_s, 4.5, 1e-9, "and its age says so");
}

Test(probe, a_predicate_knows_whom_it_asks)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	_cleanup_predicate_ struct sc_predicate *p = prepare(
		w, "probe(\"second\") and proc.alive > 0 or not probe(\"third\")");

	cr_expect(sc_predicate_has_probe(p));
	cr_expect_not(sc_predicate_asks(p, 0));
	cr_expect(sc_predicate_asks(p, 1) && sc_predicate_asks(p, 2));
	cr_expect_not(sc_predicate_asks(p, 3));
}

/* Nothing but one answer is remembered: a new plan knows it from its first tick on. */
Test(probe, a_plan_that_follows_another_reads_anew)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	_cleanup_predicate_ struct sc_predicate *p = prepare(w, "probe(\"first\")");
	struct sc_probe_answer given = {T, w->now.mono_ns, VALID};
	struct sc_plan *next = sc_plan_new(&(struct sc_plan_limits){.slots = MODEL_SLOTS});
	uint32_t slot = 0;

	answer(w, &given, 1);
	model_tick(w, MS, 1);
	cr_assert(next);
	cr_assert_eq(sc_plan_add_probe(next, 0), 0);
	cr_assert_eq(sc_plan_add_probe(next, SC_PROBES_MAX), -ENOSPC);
	cr_assert_eq(sc_plan_start(next, NULL, w->plan), 0);
	cr_expect_eq(sc_plan_probe_truth(next, 0), U);
	sc_plan_tick(next, &w->source, &w->now, &slot, 1);
	cr_expect_eq(sc_plan_probe_truth(next, 0), T);
	sc_plan_free(&next);
}

Test(probe, ticks_do_not_allocate)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	_cleanup_predicate_ struct sc_predicate *p = prepare(w, "probe(\"third\")");
	struct sc_probe_answer answers[3] = {{0}};
	uint64_t before = allocations();

	answer(w, answers, 3);
	for (int i = 0; i < 100; i++) {
		answers[2] = (struct sc_probe_answer){T, w->now.mono_ns, VALID};
		model_tick(w, MS, 1);
		(void)truth_of(w, p);
	}
	cr_expect_eq(allocations(), before);
}
