/* SPDX-License-Identifier: Apache-2.0 */
/* A running set over a small world: targets in memory, counts written by the test, a clock of its
 * own. */
#include <scram/condition.h>
#include <scram/predicate.h>
#include <scram/snapshot.h>

#include <criterion/criterion.h>
#include <errno.h>
#include <malloc.h>
#include <string.h>

#define S     SC_NS_PER_S
#define SLOTS 1024
#define ROOT  0

/* False, true or unknown by what the test writes into alive and zombies: 1/2, 2/1, 1/0. */
#define WHEN "proc.alive / proc.zombies > 1"

struct world {
	struct sc_targets *targets;
	struct sc_registry *registry;
	struct sc_plan *plan;
	struct sc_conditions *set;
	struct sc_node nodes[SLOTS];
	struct sc_counts counts[SLOTS];
	struct sc_source source;
	struct sc_candidate items[SLOTS];
	struct sc_candidates out;
	struct sc_time now;
	uint32_t end;
};

static struct world w;

static void say(uint32_t slot, enum sc_truth truth)
{
	w.counts[slot].proc_alive = truth == SC_TRUE ? 2 : 1;
	w.counts[slot].proc_zombies = truth == SC_TRUE ? 1 : truth == SC_FALSE ? 2 : 0;
}

static uint32_t add_target(const char *path)
{
	uint32_t slot = w.end++;
	struct sc_target target = {.cgroup_id = 100 + slot, .parent = ROOT, .path = strdup(path)};

	w.nodes[slot] = (struct sc_node){.cgroup_id = target.cgroup_id, .flags = SC_NODE_BORN};
	say(slot, SC_FALSE);
	cr_assert_eq(sc_targets_add(w.targets, slot, &target), 0);
	return slot;
}

static void begin(void)
{
	memset(&w, 0, sizeof(w));
	w.targets = sc_targets_new(SLOTS);
	w.registry = sc_registry_new();
	w.source = (struct sc_source){.nodes = w.nodes,
				      .counts = w.counts,
				      .slots = SLOTS,
				      .features = SC_FEATURE_BIT(SC_FEATURE_PROC)};
	w.now.mono_ns = w.now.boot_ns = 1000 * S;
	w.out = (struct sc_candidates){.item = w.items, .max = SLOTS};
	add_target("/");
}

static void end(void)
{
	sc_conditions_free(&w.set);
	sc_plan_free(&w.plan);
	sc_registry_free(&w.registry);
	sc_targets_free(&w.targets);
}

TestSuite(set, .init = begin, .fini = end);

static struct sc_condition_spec make(const char *id)
{
	struct sc_condition_spec spec;

	sc_condition_spec_init(&spec);
	spec.id = strdup(id);
	spec.scope = strdup("/w/*");
	spec.when = strdup(WHEN);
	spec.auto_fire = true;
	return spec;
}

/* Registers spec, which is taken over. */
static void put(struct sc_condition_spec spec)
{
	cr_assert_geq(sc_registry_upsert(w.registry, &spec, NULL), 0);
	sc_condition_spec_done(&spec);
}

static void build(uint32_t pairs)
{
	struct sc_plan_limits plan_limits = {.slots = SLOTS, .blocks = 1024};
	struct sc_conditions_limits limits = {.slots = SLOTS, .pairs = pairs};
	struct sc_plan *old_plan = w.plan;
	struct sc_conditions *old = w.set;
	struct sc_predicate_env env;
	struct sc_conditions_fault fault;

	w.plan = sc_plan_new(&plan_limits);
	env = (struct sc_predicate_env){.plan = w.plan};
	cr_assert_eq(sc_conditions_new(&w.set, w.registry, &env, &limits, &fault), 0, "%s: %s",
		     fault.id, fault.diag.text);
	cr_assert_eq(sc_plan_start(w.plan, w.targets, old_plan), 0);
	sc_conditions_set_root(w.set, ROOT);
	if (old)
		sc_conditions_adopt(w.set, old);
	sc_conditions_free(&old);
	sc_plan_free(&old_plan);
}

/* One tick s seconds later; the candidates are in w.out. */
static uint32_t tick_slots(uint64_t s, const uint32_t *slots, uint32_t n)
{
	uint32_t all[SLOTS];

	for (uint32_t i = 0; i < w.end; i++)
		all[i] = i;
	w.now.mono_ns += s * S;
	w.now.boot_ns += s * S;
	w.out.n = 0;
	sc_plan_tick(w.plan, &w.source, &w.now, slots ? slots : all, slots ? n : w.end);
	for (size_t i = 0; i < sc_conditions_count(w.set); i++)
		sc_conditions_eval_one(w.set, i, w.now.mono_ns, slots, n, &w.out);
	return w.out.n;
}

static uint32_t tick(uint64_t s)
{
	return tick_slots(s, NULL, 0);
}

static enum sc_phase phase(size_t i, uint32_t slot)
{
	return sc_conditions_pair(w.set, i, slot).phase;
}

static void fire(size_t i, uint32_t slot)
{
	cr_assert_eq(sc_conditions_fired(w.set, i, slot, 0, w.now.mono_ns), 0);
	sc_conditions_settled(w.set, i, slot, w.now.mono_ns);
}

Test(set, judges_each_member_of_the_scope_by_itself)
{
	uint32_t a = add_target("/w/a"), b = add_target("/w/b"), other = add_target("/x");

	put(make("c"));
	build(0);
	say(b, SC_TRUE);
	say(other, SC_TRUE);
	cr_assert_eq(tick(1), 1);
	cr_assert_eq(w.items[0].slot, b);
	cr_assert_eq(w.items[0].since_ns, w.now.mono_ns);
	cr_assert_eq(phase(0, a), SC_PHASE_CLEAR);
	cr_assert_eq(sc_conditions_stats(w.set, 0).targets, 2);
	cr_assert_eq(sc_conditions_stats(w.set, 0).targets_true, 1);
}

Test(set, unknown_never_fires_and_is_raised_after_50_ticks)
{
	uint32_t a = add_target("/w/a");
	struct sc_condition_spec spec = make("c");

	spec.on_unknown = SC_ON_UNKNOWN_ALARM;
	put(spec);
	build(0);
	say(a, SC_UNKNOWN);
	for (unsigned int i = 1; i <= SC_CONDITION_UNKNOWN_TICKS; i++) {
		cr_assert_eq(sc_conditions_stats(w.set, 0).unknown_raised, false);
		cr_assert_eq(tick(1), 0);
		cr_assert_eq(sc_conditions_stats(w.set, 0).targets_unknown, 1);
		cr_assert_eq(sc_conditions_stats(w.set, 0).unknown_run, i);
	}
	cr_assert(sc_conditions_stats(w.set, 0).unknown_raised);
	cr_assert(sc_conditions_stats(w.set, 0).alarm);
	say(a, SC_FALSE);
	tick(1);
	cr_assert_eq(sc_conditions_stats(w.set, 0).unknown_run, 0);
	cr_assert_not(sc_conditions_stats(w.set, 0).alarm);
}

Test(set, an_early_tick_looks_at_the_named_slots_only)
{
	uint32_t a = add_target("/w/a"), b = add_target("/w/b"), other = add_target("/x");
	uint32_t named[] = {b, other};

	put(make("c"));
	build(0);
	tick(1);
	say(a, SC_TRUE);
	say(b, SC_TRUE);
	say(other, SC_TRUE);
	cr_assert_eq(tick_slots(1, named, 2), 1);
	cr_assert_eq(w.items[0].slot, b);
	cr_assert_eq(sc_conditions_stats(w.set, 0).targets, 2, "an early tick is no census");
	cr_assert_eq(tick(1), 2);
}

Test(set, without_scope_is_judged_once_on_root_or_target)
{
	struct sc_condition_spec on_root = make("a"), on_target = make("b");
	uint32_t web = add_target("/w/web");

	free(on_root.scope);
	on_root.scope = NULL;
	on_root.action.kind = SC_ACTION_READONLY;
	free(on_target.scope);
	on_target.scope = NULL;
	on_target.action.target = strdup("/w/web");
	put(on_root);
	put(on_target);
	build(0);
	say(ROOT, SC_TRUE);
	cr_assert_eq(tick(1), 1);
	cr_assert_eq(w.items[0].slot, ROOT);
	cr_assert_eq(w.items[0].condition, 0);
	say(ROOT, SC_FALSE);
	say(web, SC_TRUE);
	cr_assert_eq(tick(1), 1);
	cr_assert_eq(w.items[0].slot, web);
	cr_assert_eq(w.items[0].condition, 1);
}

Test(set, manual_conditions_are_never_evaluated)
{
	struct sc_condition_spec no_auto = make("a"), no_when = make("b");
	uint32_t a = add_target("/w/a");

	no_auto.auto_fire = false;
	free(no_when.when);
	no_when.when = NULL;
	put(no_auto);
	put(no_when);
	build(0);
	say(a, SC_TRUE);
	cr_assert_eq(tick(1), 0);
	cr_assert_eq(sc_conditions_fired(w.set, 0, a, 0, w.now.mono_ns), 0);
	cr_assert_not_null(sc_conditions_get(w.set, 0)->predicate);
	cr_assert_null(sc_conditions_get(w.set, 1)->predicate);
}

Test(set, a_fire_latches_and_cools_down)
{
	uint32_t a = add_target("/w/a");

	put(make("c"));
	build(0);
	say(a, SC_TRUE);
	cr_assert_eq(tick(1), 1);
	cr_assert_eq(sc_conditions_fired(w.set, 0, a, 0, w.now.mono_ns), 0);
	cr_assert_eq(phase(0, a), SC_PHASE_FIRED);
	cr_assert_eq(tick(1), 0, "no second one before the outcome");
	sc_conditions_settled(w.set, 0, a, w.now.mono_ns);
	cr_assert_eq(phase(0, a), SC_PHASE_LATCHED);
	cr_assert_eq(tick(100), 0);
	say(a, SC_FALSE);
	tick(1);
	cr_assert_eq(phase(0, a), SC_PHASE_CLEAR, "cooled down long ago");
	say(a, SC_TRUE);
	cr_assert_eq(tick(1), 1);
}

Test(set, a_veto_is_news_only_when_its_reason_changes)
{
	uint32_t a = add_target("/w/a");

	put(make("c"));
	build(0);
	say(a, SC_TRUE);
	tick(1);
	cr_assert(sc_conditions_vetoed(w.set, 0, a, 3));
	for (unsigned int i = 0; i < 3; i++) {
		cr_assert_eq(tick(1), 1, "vetoed is still due");
		cr_assert_not(sc_conditions_vetoed(w.set, 0, a, 3));
	}
	cr_assert(sc_conditions_vetoed(w.set, 0, a, 4));
	say(a, SC_FALSE);
	tick(1);
	say(a, SC_TRUE);
	tick(1);
	cr_assert(sc_conditions_vetoed(w.set, 0, a, 4), "rose again: news again");
}

Test(set, what_found_no_room_comes_first_the_next_time)
{
	bool seen[SLOTS] = {false};
	unsigned int distinct = 0;
	char path[32];

	for (unsigned int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "/w/t%u", i);
		say(add_target(path), SC_TRUE);
	}
	put(make("c"));
	build(0);
	w.out.max = 100;
	for (unsigned int round = 0; round < 3; round++) {
		cr_assert_eq(tick(1), 100);
		for (uint32_t k = 0; k < w.out.n; k++) {
			sc_conditions_vetoed(w.set, 0, w.items[k].slot, 1);
			distinct += !seen[w.items[k].slot];
			seen[w.items[k].slot] = true;
		}
	}
	cr_assert_eq(distinct, 300, "%u of 300 had their turn", distinct);
	cr_assert_gt(w.out.overflow, 0);
	cr_assert_gt(sc_conditions_stats(w.set, 0).candidates_refused, 0);
}

Test(set, a_full_pair_pool_is_counted_and_recovers)
{
	uint32_t a = add_target("/w/a"), b = add_target("/w/b"), c = add_target("/w/c");

	put(make("c"));
	build(2);
	say(a, SC_TRUE);
	say(b, SC_TRUE);
	say(c, SC_TRUE);
	cr_assert_eq(tick(1), 2);
	cr_assert_eq(sc_conditions_stats(w.set, 0).pairs_refused, 1);
	cr_assert_eq(sc_conditions_fired(w.set, 0, c, 0, w.now.mono_ns), -ENOSPC);
	say(a, SC_FALSE);
	tick(1);
	cr_assert_eq(tick(1), 2);
	cr_assert_eq(phase(0, c), SC_PHASE_RISING);
	cr_assert_eq(sc_conditions_stats(w.set, 0).pairs, 2);
}

Test(set, another_target_in_the_slot_begins_clear)
{
	uint32_t a = add_target("/w/a");

	put(make("c"));
	build(0);
	say(a, SC_TRUE);
	tick(1);
	fire(0, a);
	sc_conditions_slot_reset(w.set, a);
	cr_assert_eq(phase(0, a), SC_PHASE_CLEAR);
	cr_assert_eq(sc_conditions_stats(w.set, 0).pairs, 0);
	cr_assert_eq(tick(1), 1, "another cgroup: its own fire");
	sc_conditions_settled(w.set, 0, a, w.now.mono_ns);
	cr_assert_eq(phase(0, a), SC_PHASE_RISING,
		     "an outcome of the old one does not latch the new");
}

Test(set, a_jump_of_time_restarts_holds_and_keeps_fires)
{
	uint32_t a = add_target("/w/a"), b = add_target("/w/b");
	struct sc_condition_spec spec = make("c");

	spec.hold_ns = 10 * S;
	put(spec);
	build(0);
	say(a, SC_TRUE);
	say(b, SC_TRUE);
	tick(1);
	fire(0, b);
	sc_conditions_restart_holds(w.set);
	cr_assert_eq(tick(3600), 0, "the hold began again");
	cr_assert_eq(phase(0, a), SC_PHASE_RISING);
	cr_assert_eq(phase(0, b), SC_PHASE_LATCHED);
	cr_assert_eq(tick(10), 1);
}

Test(set, reload_carries_over_what_is_judged_as_before)
{
	uint32_t a = add_target("/w/a");
	struct sc_condition_spec changed;

	put(make("kept"));
	put(make("changed"));
	build(0);
	say(a, SC_TRUE);
	tick(1);
	fire(0, a);
	fire(1, a);
	changed = make("changed");
	changed.min_samples = 2;
	put(changed);
	put(make("added"));
	build(0);
	cr_assert_eq(sc_conditions_find(w.set, "added"), 0);
	cr_assert_eq(phase(2, a), SC_PHASE_LATCHED, "kept");
	cr_assert_gt(sc_conditions_pair(w.set, 2, a).fired_ns, 0);
	cr_assert_eq(phase(1, a), SC_PHASE_CLEAR, "changed: judged afresh");
	cr_assert_eq(sc_conditions_stats(w.set, 2).pairs, 1);
}

Test(set, promoted_after_a_dry_run_fires_for_real_once_cooled)
{
	uint32_t a = add_target("/w/a");

	put(make("c"));
	build(0);
	say(a, SC_TRUE);
	tick(1);
	fire(0, a);
	tick(1);
	cr_assert_eq(sc_registry_set_live(w.registry, "c", true, NULL), 1);
	build(0);
	cr_assert(sc_conditions_get(w.set, 0)->live);
	cr_assert_eq(tick(1), 0, "the cool-down holds across the promotion");
	cr_assert_eq(tick(60), 1);
}

Test(set, the_ladder_asks_for_its_next_rung)
{
	uint32_t a = add_target("/w/a");
	struct sc_condition_spec spec = make("c");

	spec.rungs = 2;
	spec.rung[0] = (struct sc_rung){SC_ACTION_FREEZE, 2 * S};
	spec.rung[1] = (struct sc_rung){SC_ACTION_PROCESS_EXIT, 0};
	put(spec);
	build(0);
	say(a, SC_TRUE);
	cr_assert_eq(tick(1), 1);
	cr_assert_eq(w.items[0].rung, 0);
	fire(0, a);
	cr_assert_eq(tick(1), 0);
	cr_assert_eq(tick(1), 1);
	cr_assert_eq(w.items[0].rung, 1);
	cr_assert_eq(sc_conditions_fired(w.set, 0, a, 1, w.now.mono_ns), 0);
	sc_conditions_settled(w.set, 0, a, w.now.mono_ns);
	cr_assert_eq(tick(100), 0);
}

Test(set, a_bad_predicate_names_the_condition_and_leaves_the_set_alone)
{
	struct sc_condition_spec spec = make("broken");
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
	put(make("a"));
	put(spec);
	cr_assert_eq(sc_conditions_new(&out, w.registry, &env, &limits, &fault), -EINVAL);
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
		put(make(id));
	}
	cr_assert_eq(sc_conditions_new(&set, w.registry, &env, &limits, &fault), 0);
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
		add_target(path);
	}
	put(make("c"));
	put(make("d"));
	build(0);
	tick(1);
	before = mallinfo2();
	for (unsigned int round = 0; round < 20; round++) {
		for (uint32_t slot = 1; slot < w.end; slot++)
			say(slot, (enum sc_truth)((slot + round) % SC_TRUTH_COUNT));
		tick(1);
		for (uint32_t k = 0; k < w.out.n; k++)
			fire(w.items[k].condition, w.items[k].slot);
	}
	after = mallinfo2();
	cr_assert_eq(before.uordblks, after.uordblks);
	cr_assert_eq(before.hblkhd, after.hblkhd);
}
