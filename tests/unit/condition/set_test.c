/* SPDX-License-Identifier: Apache-2.0 */
/* One set: what it judges, what it hands out, what it is told, and what it costs. */
#include "unit/condition/world.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <malloc.h>
#include <string.h>

TestSuite(set, .init = world_begin, .fini = world_end);

Test(set, judges_each_member_of_the_scope_by_itself)
{
	uint32_t a = world_add("/w/a"), b = world_add("/w/b"), other = world_add("/x");

	world_put(world_spec("c"));
	world_build(0);
	world_say(b, SC_TRUE);
	world_say(other, SC_TRUE);
	cr_assert_eq(world_tick(1), 1);
	cr_assert_eq(world.items[0].slot, b);
	cr_assert_eq(world.items[0].since_ns, world.now.mono_ns);
	cr_assert_eq(world_phase(0, a), SC_PHASE_CLEAR);
	cr_assert_eq(sc_conditions_stats(world.set, 0).targets, 2);
	cr_assert_eq(sc_conditions_stats(world.set, 0).targets_true, 1);
}

Test(set, unknown_never_fires_and_is_raised_after_50_ticks)
{
	uint32_t a = world_add("/w/a");
	struct sc_condition_spec spec = world_spec("c");

	spec.on_unknown = SC_ON_UNKNOWN_ALARM;
	world_put(spec);
	world_build(0);
	world_say(a, SC_UNKNOWN);
	for (unsigned int i = 1; i <= SC_CONDITION_UNKNOWN_TICKS; i++) {
		cr_assert_eq(sc_conditions_stats(world.set, 0).unknown_raised, false);
		cr_assert_eq(world_tick(1), 0);
		cr_assert_eq(sc_conditions_stats(world.set, 0).targets_unknown, 1);
		cr_assert_eq(sc_conditions_stats(world.set, 0).unknown_run, i);
	}
	cr_assert(sc_conditions_stats(world.set, 0).unknown_raised);
	cr_assert(sc_conditions_stats(world.set, 0).alarm);
	world_say(a, SC_FALSE);
	world_tick(1);
	cr_assert_eq(sc_conditions_stats(world.set, 0).unknown_run, 0);
	cr_assert_not(sc_conditions_stats(world.set, 0).alarm);
	world_say(a, SC_UNKNOWN);
	world_tick(1);
	cr_assert_eq(sc_conditions_stats(world.set, 0).unknown_run, 1, "a run, not a sum");
}

Test(set, an_early_tick_looks_at_the_named_slots_only)
{
	uint32_t a = world_add("/w/a"), b = world_add("/w/b"), other = world_add("/x");
	uint32_t named[] = {b, other};

	world_put(world_spec("c"));
	world_build(0);
	world_tick(1);
	world_say(a, SC_TRUE);
	world_say(b, SC_TRUE);
	world_say(other, SC_TRUE);
	cr_assert_eq(world_tick_slots(1, named, 2), 1);
	cr_assert_eq(world.items[0].slot, b);
	cr_assert_eq(sc_conditions_stats(world.set, 0).targets, 2, "an early tick is no census");
	cr_assert_eq(world_tick(1), 2);
}

Test(set, without_scope_is_judged_once_on_root_or_target)
{
	struct sc_condition_spec on_root = world_spec("a"), on_target = world_spec("b");
	uint32_t web = world_add("/w/web");

	free(on_root.scope);
	on_root.scope = NULL;
	on_root.action.kind = SC_ACTION_READONLY;
	free(on_target.scope);
	on_target.scope = NULL;
	on_target.action.target = strdup("/w/web");
	world_put(on_root);
	world_put(on_target);
	world_build(0);
	world_say(ROOT, SC_TRUE);
	cr_assert_eq(world_tick(1), 1);
	cr_assert_eq(world.items[0].slot, ROOT);
	cr_assert_eq(world.items[0].condition, 0);
	world_say(ROOT, SC_FALSE);
	world_say(web, SC_TRUE);
	cr_assert_eq(world_tick(1), 1);
	cr_assert_eq(world.items[0].slot, web);
	cr_assert_eq(world.items[0].condition, 1);
}

Test(set, manual_conditions_are_never_evaluated)
{
	struct sc_condition_spec no_auto = world_spec("a"), no_when = world_spec("b");
	uint32_t a = world_add("/w/a");

	no_auto.auto_fire = false;
	free(no_when.when);
	no_when.when = NULL;
	world_put(no_auto);
	world_put(no_when);
	world_build(0);
	world_say(a, SC_TRUE);
	cr_assert_eq(world_tick(1), 0);
	cr_assert_eq(sc_conditions_fired(world.set, 0, a, 0, world.now.mono_ns), 0);
	cr_assert_not_null(sc_conditions_get(world.set, 0)->predicate);
	cr_assert_null(sc_conditions_get(world.set, 1)->predicate);
}

Test(set, a_fire_latches_and_cools_down)
{
	uint32_t a = world_add("/w/a");

	world_put(world_spec("c"));
	world_build(0);
	world_say(a, SC_TRUE);
	cr_assert_eq(world_tick(1), 1);
	cr_assert_eq(sc_conditions_fired(world.set, 0, a, 0, world.now.mono_ns), 0);
	cr_assert_eq(world_phase(0, a), SC_PHASE_FIRED);
	cr_assert_eq(world_tick(1), 0, "no second one before the outcome");
	sc_conditions_settled(world.set, 0, a, world.now.mono_ns);
	cr_assert_eq(world_phase(0, a), SC_PHASE_LATCHED);
	cr_assert_eq(world_tick(100), 0);
	world_say(a, SC_FALSE);
	world_tick(1);
	cr_assert_eq(world_phase(0, a), SC_PHASE_CLEAR, "cooled down long ago");
	world_say(a, SC_TRUE);
	cr_assert_eq(world_tick(1), 1);
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 16;
}

/* What a full tick counts, against the runs of unknown that the test keeps by itself. */
static void check_census(const uint32_t *slots, const enum sc_truth *truth, uint32_t *run,
			 uint32_t n)
{
	struct sc_condition_stats stats = sc_conditions_stats(world.set, 0);
	uint32_t trues = 0, unknowns = 0, longest = 0;

	for (uint32_t k = 0; k < n; k++) {
		run[k] = truth[k] == SC_UNKNOWN ? SC_MIN(run[k] + 1, 255u) : 0;
		trues += truth[k] == SC_TRUE;
		unknowns += truth[k] == SC_UNKNOWN;
		longest = SC_MAX(longest, run[k]);
		cr_assert_eq(sc_conditions_pair(world.set, 0, slots[k]).unknown_ticks, run[k]);
	}
	cr_assert_eq(stats.targets, n);
	cr_assert_eq(stats.targets_true, trues);
	cr_assert_eq(stats.targets_unknown, unknowns);
	cr_assert_eq(stats.unknown_run, longest);
}

/* One condition looks at all members, the other one at the same slots one by one. */
static void check_same_steps(const uint32_t *slots, uint32_t n)
{
	struct sc_candidate items[2][SLOTS];
	struct sc_candidates due[2];
	struct sc_pass pass[2] = {{.now_ns = world.now.mono_ns},
				  {.now_ns = world.now.mono_ns, .slots = slots, .n = n}};

	for (size_t i = 0; i < 2; i++) {
		due[i] = (struct sc_candidates){.item = items[i], .max = SLOTS};
		sc_conditions_judge(world.set, i, &pass[i], &due[i]);
		for (uint32_t k = 0; k < due[i].n; k += 2)
			world_fire(i, items[i][k].slot);
	}
	cr_assert_eq(due[0].n, due[1].n);
	for (uint32_t k = 0; k < due[0].n; k++)
		cr_assert_eq(items[0][k].slot, items[1][k].slot);
	for (uint32_t k = 0; k < n; k++)
		cr_assert_eq(world_phase(0, slots[k]), world_phase(1, slots[k]));
}

Test(set, many_together_are_judged_as_one_by_one)
{
	enum { MEMBERS = 300, ROUNDS = 400 };
	struct sc_condition_spec a = world_spec("a"), b = world_spec("b");
	uint32_t slots[MEMBERS], run[MEMBERS] = {0}, all[SLOTS];
	enum sc_truth truth[MEMBERS];
	uint32_t random = 1;

	/* Runs of slots of many lengths, with holes between them. */
	for (uint32_t k = 0; k < MEMBERS; k++) {
		if (next_random(&random) % 20 == 0)
			world_add("/x");
		slots[k] = world_add("/w/a");
	}
	for (uint32_t i = 0; i < world.end; i++)
		all[i] = i;
	a.cooldown_ns = b.cooldown_ns = 3 * S;
	world_put(a);
	world_put(b);
	world_build(0);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint32_t quiet = 1 + next_random(&random) % 200;

		for (uint32_t k = 0; k < MEMBERS; k++) {
			bool is_quiet = next_random(&random) % quiet != 0;

			truth[k] = is_quiet ? (round / 100 == 2 ? SC_UNKNOWN : SC_FALSE)
					    : next_random(&random) % SC_TRUTH_COUNT;
			world_say(slots[k], truth[k]);
		}
		world.now.mono_ns += S;
		world.now.boot_ns += S;
		sc_plan_tick(world.plan, &world.source, &world.now, all, world.end);
		check_same_steps(slots, MEMBERS);
		check_census(slots, truth, run, MEMBERS);
	}
}

Test(set, a_veto_is_news_only_when_its_reason_changes)
{
	uint32_t a = world_add("/w/a");

	world_put(world_spec("c"));
	world_build(0);
	world_say(a, SC_TRUE);
	world_tick(1);
	cr_assert(sc_conditions_vetoed(world.set, 0, a, 3));
	for (unsigned int i = 0; i < 3; i++) {
		cr_assert_eq(world_tick(1), 1, "vetoed is still due");
		cr_assert_not(sc_conditions_vetoed(world.set, 0, a, 3));
	}
	cr_assert(sc_conditions_vetoed(world.set, 0, a, 4));
	world_say(a, SC_FALSE);
	world_tick(1);
	world_say(a, SC_TRUE);
	world_tick(1);
	cr_assert(sc_conditions_vetoed(world.set, 0, a, 4), "rose again: news again");
}

Test(set, what_found_no_room_comes_first_the_next_time)
{
	bool seen[SLOTS] = {false};
	unsigned int distinct = 0;
	char path[32];

	for (unsigned int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "/w/t%u", i);
		world_say(world_add(path), SC_TRUE);
	}
	world_put(world_spec("c"));
	world_build(0);
	world.out.max = 100;
	for (unsigned int round = 0; round < 3; round++) {
		cr_assert_eq(world_tick(1), 100);
		for (uint32_t k = 0; k < world.out.n; k++) {
			sc_conditions_vetoed(world.set, 0, world.items[k].slot, 1);
			distinct += !seen[world.items[k].slot];
			seen[world.items[k].slot] = true;
		}
	}
	cr_assert_eq(distinct, 300, "%u of 300 had their turn", distinct);
	cr_assert_gt(world.out.overflow, 0);
	cr_assert_gt(sc_conditions_stats(world.set, 0).candidates_refused, 0);
}

Test(set, a_full_pair_pool_is_counted_and_recovers)
{
	uint32_t a = world_add("/w/a"), b = world_add("/w/b"), c = world_add("/w/c");

	world_put(world_spec("c"));
	world_build(2);
	world_say(a, SC_TRUE);
	world_say(b, SC_TRUE);
	world_say(c, SC_TRUE);
	cr_assert_eq(world_tick(1), 2);
	cr_assert_eq(sc_conditions_stats(world.set, 0).pairs_refused, 1);
	cr_assert_eq(sc_conditions_fired(world.set, 0, c, 0, world.now.mono_ns), -ENOSPC);
	world_say(a, SC_FALSE);
	world_tick(1);
	cr_assert_eq(world_tick(1), 2);
	cr_assert_eq(world_phase(0, c), SC_PHASE_RISING);
	cr_assert_eq(sc_conditions_stats(world.set, 0).pairs, 2);
}

Test(set, a_bad_predicate_names_the_condition_and_leaves_the_set_alone)
{
	struct sc_condition_spec spec = world_spec("broken");
	struct sc_conditions_limits limits = {.slots = SLOTS};
	struct sc_conditions *out = NULL;
	struct sc_plan_limits small = {.slots = SLOTS, .blocks = 1024};
	struct sc_plan *plan = sc_plan_new(&small);
	struct sc_predicate_env env = {.plan = plan};
	struct sc_conditions_fault fault;

	free(spec.when);
	spec.when = strdup("proc.alvie > 1");
	spec.when_line = 7;
	spec.when_column = 11;
	world_put(world_spec("a"));
	world_put(spec);
	cr_assert_eq(sc_conditions_new(&out, world.registry, &env, &limits, &fault), -EINVAL);
	cr_assert_null(out);
	cr_assert_str_eq(fault.id, "broken");
	cr_assert_eq(fault.diag.line, 7);
	cr_assert_eq(fault.diag.column, 11);
	cr_assert(strstr(fault.diag.text, "proc.alive"), "%s", fault.diag.text);
	sc_plan_free(&plan);
}

Test(set, a_hundred_conditions_over_all_slots_stay_under_8_mib)
{
	struct sc_conditions_limits limits = {.slots = 16384};
	struct sc_plan *plan = sc_plan_new(NULL);
	struct sc_predicate_env env = {.plan = plan};
	struct sc_conditions *set = NULL;
	struct sc_conditions_fault fault;
	char id[16];

	for (unsigned int i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "c%u", i);
		world_put(world_spec(id));
	}
	cr_assert_eq(sc_conditions_new(&set, world.registry, &env, &limits, &fault), 0);
	cr_assert_lt(sc_conditions_bytes(set), 8u << 20, "%zu bytes", sc_conditions_bytes(set));
	sc_conditions_free(&set);
	sc_plan_free(&plan);
}

Test(set, a_tick_allocates_nothing)
{
	struct mallinfo2 before, after;
	char path[32];

	for (unsigned int i = 0; i < 600; i++) {
		snprintf(path, sizeof(path), "/w/t%u", i);
		world_add(path);
	}
	world_put(world_spec("c"));
	world_put(world_spec("d"));
	world_build(0);
	world_tick(1);
	before = mallinfo2();
	for (unsigned int round = 0; round < 20; round++) {
		for (uint32_t slot = 1; slot < world.end; slot++)
			world_say(slot, (enum sc_truth)((slot + round) % SC_TRUTH_COUNT));
		world_tick(1);
		for (uint32_t k = 0; k < world.out.n; k++)
			world_fire(world.items[k].condition, world.items[k].slot);
	}
	after = mallinfo2();
	cr_assert_eq(before.uordblks, after.uordblks);
	cr_assert_eq(before.hblkhd, after.hblkhd);
}
