/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/signal/model.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define MEMBERS 5

/* Slots 0 .. 4 under /w, their proc.alive as given; -1 = the slot is free and so unknown. */
static struct sc_predicate *prepare(struct model *w, const char *text, const int alive[MEMBERS])
{
	static const char *const probes[] = {"lateral"};
	const struct sc_predicate_env env = {.plan = w->plan, .probes = probes, .probes_n = 1};
	struct sc_predicate *p = NULL;
	struct sc_diag diag = {0};

	cr_assert_eq(sc_predicate_compile(&p, text, &env, &diag), 0, "%s: %s", text, diag.text);
	cr_assert_eq(sc_plan_start(w->plan, NULL, NULL), 0);
	for (uint32_t slot = 0; slot < MEMBERS; slot++) {
		sc_plan_target_added(w->plan, slot, "/w/x");
		if (alive[slot] < 0)
			continue;
		model_seeded(w, slot, slot + 1);
		w->counts[slot].proc_alive = alive[slot];
	}
	model_tick(w, MS, 10);
	return p;
}

static enum sc_truth truth_of(struct model *w, struct sc_predicate *p, uint32_t slot)
{
	uint8_t truth = SC_TRUTH_COUNT;

	sc_predicate_eval(p, w->plan, &slot, 1, &truth);
	return (enum sc_truth)truth;
}

/* Slot 0 has proc.alive 4 and proc.forks 0; everything of the iterators is unknown (U). */
Test(eval, truths_combine_as_kleene_says)
{
	static const struct {
		const char *text;
		enum sc_truth truth;
	} rows[] = {
		{"proc.alive > 3", SC_TRUE},
		{"proc.alive > 4", SC_FALSE},
		{"proc.alive >= 4 and proc.alive <= 4 and proc.alive == 4", SC_TRUE},
		{"proc.alive != 4 or proc.alive < 4", SC_FALSE},
		{"pids.current > 0", SC_UNKNOWN},
		{"pids.current != 0", SC_UNKNOWN},
		{"not pids.current > 0", SC_UNKNOWN},
		{"pids.current > 0 and proc.alive > 3", SC_UNKNOWN},
		{"pids.current > 0 and proc.alive > 4", SC_FALSE},
		{"proc.alive > 4 and pids.current > 0", SC_FALSE},
		{"pids.current > 0 or proc.alive > 3", SC_TRUE},
		{"proc.alive > 3 or pids.current > 0", SC_TRUE},
		{"pids.current > 0 or proc.alive > 4", SC_UNKNOWN},
		{"pids.current > 0 or pids.current > 0", SC_UNKNOWN},
		{"pids.current > 0 and pids.current > 0", SC_UNKNOWN},
		{"not proc.alive > 3", SC_FALSE},
		{"not proc.alive > 4", SC_TRUE},
		{"proc.alive / proc.forks > 1", SC_UNKNOWN},
		{"proc.forks / proc.forks == 1", SC_UNKNOWN},
		{"not proc.alive / proc.forks > 1", SC_UNKNOWN},
		{"proc.alive + pids.current > 0", SC_UNKNOWN},
		{"-proc.alive < -3", SC_TRUE},
		{"2 * proc.alive - 1 == 7", SC_TRUE},
		{"proc.alive - 1 - 1 == 2", SC_TRUE},
		{"proc.alive / 2 / 2 == 1", SC_TRUE},
		{"1 + 2 * 3 == proc.alive + 3", SC_TRUE},
		{"probe(\"lateral\")", SC_UNKNOWN},
		{"probe(\"lateral\") or proc.alive > 3", SC_TRUE},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		_cleanup_model_ struct model *w = model_new(NULL);
		_cleanup_predicate_ struct sc_predicate *p = prepare(w, rows[i].text,
								     (int[MEMBERS]){4, 0, 0, 0, 0});

		cr_expect_eq(truth_of(w, p, 0), rows[i].truth, "%s", rows[i].text);
	}
}

Test(eval, aggregates_are_as_certain_as_their_members_allow)
{
	static const struct {
		const char *text;
		int alive[MEMBERS];
		enum sc_truth truth;
	} rows[] = {
		{"count(\"/w/*\", proc.alive > 0) >= 2", {1, 1, 0, 0, 0}, SC_TRUE},
		{"count(\"/w/*\", proc.alive > 0) >= 3", {1, 1, 0, 0, 0}, SC_FALSE},
		{"count(\"/w/*\", proc.alive > 0) >= 2", {1, 1, -1, 0, 0}, SC_TRUE},
		{"count(\"/w/*\", proc.alive > 0) >= 3", {1, 1, -1, 0, 0}, SC_UNKNOWN},
		{"count(\"/w/*\", proc.alive > 0) >= 4", {1, 1, -1, 0, 0}, SC_FALSE},
		{"4 <= count(\"/w/*\", proc.alive > 0)", {1, 1, -1, 0, 0}, SC_FALSE},
		{"count(\"/w/*\", proc.alive > 0) == 2", {1, 1, 0, 0, 0}, SC_TRUE},
		{"count(\"/w/*\", proc.alive > 0) == 2", {1, 1, -1, 0, 0}, SC_UNKNOWN},
		{"count(\"/w/*\", proc.alive > 0) != 5", {1, 1, -1, 0, 0}, SC_TRUE},
		{"count(\"/w/*\", proc.alive > 0) == 2", {1, -1, -1, 0, 0}, SC_UNKNOWN},
		{"count(\"/w/*\", proc.alive > 0) != 2", {1, -1, -1, 0, 0}, SC_UNKNOWN},
		{"count(\"/w/*\", proc.alive > 0) < 3", {1, 1, 0, 0, 0}, SC_TRUE},
		{"count(\"/w/*\", proc.alive > 0) + 1 >= 3", {1, 1, -1, 0, 0}, SC_UNKNOWN},
		{"count(\"/w/*\", proc.alive > 0) >= 0.5 * count(\"/w/*\", 1 > 0)",
		 {1, 1, 1, 0, 0},
		 SC_TRUE},
		{"count(\"/none\", proc.alive > 0) == 0", {1, 1, 1, 1, 1}, SC_TRUE},
		{"any(\"/w/*\", proc.alive > 0)", {0, 0, 0, 0, 1}, SC_TRUE},
		{"any(\"/w/*\", proc.alive > 0)", {0, 0, 0, 0, 0}, SC_FALSE},
		{"any(\"/w/*\", proc.alive > 0)", {0, -1, 0, 0, 0}, SC_UNKNOWN},
		{"any(\"/w/*\", proc.alive > 0)", {0, -1, 1, 0, 0}, SC_TRUE},
		{"any(\"/none\", proc.alive > 0)", {1, 1, 1, 1, 1}, SC_FALSE},
		{"all(\"/w/*\", proc.alive > 0)", {1, 1, 1, 1, 1}, SC_TRUE},
		{"all(\"/w/*\", proc.alive > 0)", {1, 1, -1, 1, 1}, SC_UNKNOWN},
		{"all(\"/w/*\", proc.alive > 0)", {1, 0, -1, 1, 1}, SC_FALSE},
		{"all(\"/none\", proc.alive > 0)", {1, 1, 1, 1, 1}, SC_UNKNOWN},
		{"sum(\"/w/*\", proc.alive) == 15", {1, 2, 3, 4, 5}, SC_TRUE},
		{"sum(\"/w/*\", proc.alive) > 1", {1, 2, -1, 4, 5}, SC_UNKNOWN},
		{"sum(\"/none\", proc.alive) == 0", {1, 2, 3, 4, 5}, SC_TRUE},
		{"max(\"/w/*\", proc.alive) == 5", {1, 5, 3, 4, 2}, SC_TRUE},
		{"max(\"/w/*\", proc.alive) > 4", {1, 5, -1, 4, 2}, SC_TRUE},
		{"max(\"/w/*\", proc.alive) > 5", {1, 5, -1, 4, 2}, SC_UNKNOWN},
		{"max(\"/w/*\", proc.alive) < 5", {1, 5, -1, 4, 2}, SC_FALSE},
		{"max(\"/none\", proc.alive) >= 0", {1, 1, 1, 1, 1}, SC_UNKNOWN},
		{"min(\"/w/*\", proc.alive) == 1", {1, 5, 3, 4, 2}, SC_TRUE},
		{"min(\"/w/*\", proc.alive) < 2", {1, 5, -1, 4, 2}, SC_TRUE},
		{"min(\"/w/*\", proc.alive) > 0", {1, 5, -1, 4, 2}, SC_UNKNOWN},
		{"max(\"/w/*\", proc.alive) - min(\"/w/*\", proc.alive) == 4",
		 {1, 5, 3, 4, 2},
		 SC_TRUE},
		{"proc.alive > 0.4 * sum(\"/w/*\", proc.alive)", {6, 1, 1, 1, 1}, SC_TRUE},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		_cleanup_model_ struct model *w = model_new(NULL);
		_cleanup_predicate_ struct sc_predicate *p = prepare(w, rows[i].text,
								     rows[i].alive);

		cr_expect_eq(truth_of(w, p, 0), rows[i].truth, "row %zu: %s", i, rows[i].text);
	}
}

Test(eval, aggregates_follow_ticks_and_members)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	_cleanup_predicate_ struct sc_predicate *p = prepare(
		w, "count(\"/w/*\", proc.alive > 0) >= 2", (int[MEMBERS]){1, 1, 0, 0, 0});

	cr_expect_eq(truth_of(w, p, 0), SC_TRUE);
	w->counts[0].proc_alive = 0;
	cr_expect_eq(truth_of(w, p, 0), SC_TRUE, "the snapshot stands");
	model_tick(w, MS, 10);
	cr_expect_eq(truth_of(w, p, 0), SC_FALSE);
	w->counts[0].proc_alive = 1;
	sc_plan_target_removed(w->plan, 1);
	model_tick(w, MS, 10);
	cr_expect_eq(truth_of(w, p, 0), SC_FALSE, "one left");
}

Test(eval, any_order_of_slots_gives_the_same)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	_cleanup_predicate_ struct sc_predicate *p = prepare(
		w, "proc.alive > 500 and proc.forks < 900", (int[MEMBERS]){0});
	uint32_t scattered[MODEL_SLOTS];
	uint8_t straight[MODEL_SLOTS], other[MODEL_SLOTS];

	for (uint32_t slot = 0; slot < MODEL_SLOTS; slot++) {
		model_seeded(w, slot, slot + 1);
		w->counts[slot].proc_alive = w->counts[slot].proc_forks = slot;
		scattered[slot] = slot * 5 % MODEL_SLOTS;
	}
	model_tick(w, MS, MODEL_SLOTS);
	sc_predicate_eval(p, w->plan, w->slots, MODEL_SLOTS, straight);
	sc_predicate_eval(p, w->plan, scattered, MODEL_SLOTS, other);
	for (uint32_t i = 0; i < MODEL_SLOTS; i++) {
		cr_assert_eq(straight[i], i > 500 && i < 900);
		cr_assert_eq(other[i], straight[scattered[i]]);
	}
	/* Odd lengths at odd places, up to the very last slot. */
	for (uint32_t from = MODEL_SLOTS - 9; from < MODEL_SLOTS; from++) {
		sc_predicate_eval(p, w->plan, w->slots + from, MODEL_SLOTS - from, other);
		for (uint32_t i = from; i < MODEL_SLOTS; i++)
			cr_assert_eq(other[i - from], straight[i]);
	}
}

Test(operands, show_each_comparison_with_its_numbers)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	_cleanup_predicate_ struct sc_predicate *p = prepare(
		w,
		"increase( proc.forks[60s] )\n >= 3 and (3 > proc.alive or mem.current_bytes > "
		"0.5 * mem.max_bytes) or any(\"/w/*\", proc.alive > 9) or "
		"count(\"/w/*\", proc.alive > 0) > 1 or probe(\"lateral\") or "
		"proc.zombies / proc.alive > 50%",
		(int[MEMBERS]){4, 1, 0, 0, 0});
	struct sc_operand o[8];

	cr_assert_eq(sc_predicate_operands(p, w->plan, 0, o, 8), 7);
	cr_expect_str_eq(o[0].text, "increase( proc.forks[60s] )");
	cr_expect_str_eq(o[0].op, ">=");
	cr_expect(o[0].value == 0 && o[0].threshold == 3 && o[0].truth == SC_FALSE);
	cr_expect_eq(o[0].unit, SC_UNIT_COUNT);
	cr_expect_str_eq(o[1].text, "proc.alive", "the threshold stands right");
	cr_expect_str_eq(o[1].op, "<");
	cr_expect(o[1].value == 4 && o[1].threshold == 3 && o[1].truth == SC_FALSE);
	cr_expect_str_eq(o[2].text, "mem.current_bytes");
	cr_expect(isnan(o[2].value) && isnan(o[2].threshold) && o[2].truth == SC_UNKNOWN);
	cr_expect_eq(o[2].unit, SC_UNIT_BYTES);
	cr_expect_str_eq(o[3].text, "any(\"/w/*\", proc.alive > 9)");
	cr_expect_str_eq(o[3].op, "");
	cr_expect_eq(o[3].truth, SC_FALSE);
	cr_expect_str_eq(o[4].text, "count(\"/w/*\", proc.alive > 0)");
	cr_expect(o[4].value == 2 && o[4].threshold == 1 && o[4].truth == SC_TRUE);
	cr_expect_str_eq(o[5].text, "probe(\"lateral\")");
	cr_expect_eq(o[5].truth, SC_UNKNOWN);
	cr_expect(o[6].value == 0 && o[6].threshold == 0.5 && o[6].unit == SC_UNIT_RATIO);
	memset(o, 0x55, sizeof(o));
	cr_expect_eq(sc_predicate_operands(p, w->plan, 0, o, 1), 7, "tells how many there are");
	cr_expect_eq(o[1].op[0], 0x55, "and writes no more than asked for");
}

Test(operands, long_text_is_cut_and_says_so)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	_cleanup_predicate_ struct sc_predicate *p = prepare(
		w,
		"proc.alive + proc.forks + proc.execs + proc.exits + proc.crashes + proc.kills + "
		"proc.failures + proc.zombies + proc.unexpected_exits > 3",
		(int[MEMBERS]){4, 1, 0, 0, 0});
	struct sc_operand o;

	cr_assert_eq(sc_predicate_operands(p, w->plan, 0, &o, 1), 1);
	cr_expect_eq(strlen(o.text), sizeof(o.text) - 1);
	cr_expect_str_eq(o.text + sizeof(o.text) - 4, "...");
}

Test(eval, does_not_allocate)
{
	_cleanup_model_ struct model *w = model_new(NULL);
	_cleanup_predicate_ struct sc_predicate *p = prepare(
		w,
		"count(\"/w/*\", proc.alive > 0) > 1 and proc.alive / 2 > 1 or "
		"increase(proc.forks[1m]) > 2",
		(int[MEMBERS]){4, 1, 0, 0, 0});
	struct sc_operand operands[4];
	uint8_t truth[MODEL_SLOTS];
	uint64_t before = allocations();

	for (int i = 0; i < 10; i++) {
		model_tick(w, 100 * MS, MODEL_SLOTS);
		sc_predicate_eval(p, w->plan, w->slots, MODEL_SLOTS, truth);
		sc_predicate_operands(p, w->plan, 3, operands, 4);
	}
	cr_expect_eq(allocations(), before);
}
