/* SPDX-License-Identifier: Apache-2.0 */
#include "action/cuts.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

/* Room for the largest answers; too much for a stack. */
static struct sc_cut_change changes[SC_CUTS_CHANGES_MAX];
static struct sc_cut_entry entries[SC_CUTS_MEMBERSHIPS_MAX];
static struct sc_cuts *cuts;

static void setup(void)
{
	cr_assert_eq(sc_cuts_new(&cuts), 0);
}

static void teardown(void)
{
	sc_cuts_free(&cuts);
	cr_assert_null(cuts);
}

TestSuite(cuts, .init = setup, .fini = teardown);

static struct sc_cut cut_of(uint32_t number, enum sc_cut_mode mode,
			    const struct sc_cut_member *members, uint32_t n)
{
	return (struct sc_cut){.number = number, .mode = mode, .members = members, .n_members = n};
}

static int set(uint32_t number, enum sc_cut_mode mode, const struct sc_cut_member *members,
	       uint32_t n)
{
	struct sc_cut cut = cut_of(number, mode, members, n);

	return sc_cuts_set(cuts, &cut, changes);
}

Test(cuts, a_new_cut_changes_each_of_its_cgroups_once)
{
	const struct sc_cut_member two[] = {{10, 1}, {20, 2}};

	cr_assert_eq(set(3, SC_CUT_DROP, two, 2), 2);
	for (int i = 0; i < 2; i++) {
		cr_expect_eq(changes[i].before.mode, SC_CUT_NONE);
		cr_expect_eq(changes[i].after.cgroup_id, two[i].cgroup_id);
		cr_expect_eq(changes[i].after.level, two[i].level);
		cr_expect_eq(changes[i].after.number, 3);
		cr_expect_eq(changes[i].after.mode, SC_CUT_DROP);
	}
	cr_expect_eq(sc_cuts_count(cuts), 1);
	cr_expect_eq(sc_cuts_mode(cuts, 3), SC_CUT_DROP);
	cr_expect_eq(set(3, SC_CUT_DROP, two, 2), 0, "told again, nothing changes");
}

Test(cuts, members_that_leave_and_join_are_the_only_changes)
{
	const struct sc_cut_member old[] = {{10, 1}, {20, 1}, {30, 1}};
	const struct sc_cut_member now[] = {{20, 1}, {25, 1}, {30, 1}, {40, 1}};
	struct sc_cut_member got[SC_CUT_MEMBERS_MAX];

	set(0, SC_CUT_REFUSE_ALL, old, 3);
	cr_assert_eq(set(0, SC_CUT_REFUSE_ALL, now, 4), 3);
	cr_expect(changes[0].before.cgroup_id == 10 && changes[0].after.mode == SC_CUT_NONE);
	cr_expect(changes[1].after.cgroup_id == 25 && changes[1].before.mode == SC_CUT_NONE);
	cr_expect(changes[2].after.cgroup_id == 40 && changes[2].before.mode == SC_CUT_NONE);
	cr_assert_eq(sc_cuts_members(cuts, 0, got), 4);
	cr_expect_eq(memcmp(got, now, sizeof(now)), 0);
}

Test(cuts, the_stronger_holds_and_its_release_leaves_the_weaker)
{
	const struct sc_cut_member one[] = {{10, 4}};

	set(1, SC_CUT_REFUSE_NEW, one, 1);
	cr_assert_eq(set(2, SC_CUT_DROP, one, 1), 1);
	cr_expect_eq(changes[0].before.number, 1);
	cr_expect_eq(changes[0].after.number, 2);
	cr_expect_eq(set(7, SC_CUT_REFUSE_ALL, one, 1), 0, "weaker than what holds");
	cr_assert_eq(set(2, SC_CUT_NONE, NULL, 0), 1);
	cr_expect_eq(changes[0].after.number, 7);
	cr_expect_eq(changes[0].after.mode, SC_CUT_REFUSE_ALL);
	cr_assert_eq(set(7, SC_CUT_NONE, NULL, 0), 1);
	cr_expect_eq(changes[0].after.number, 1);
	cr_assert_eq(set(1, SC_CUT_NONE, NULL, 0), 1);
	cr_expect_eq(changes[0].after.mode, SC_CUT_NONE);
	cr_expect_eq(sc_cuts_count(cuts), 0);
}

Test(cuts, equals_go_to_the_lowest_number_whatever_came_first)
{
	const struct sc_cut_member one[] = {{10, 1}};

	set(9, SC_CUT_DROP, one, 1);
	set(4, SC_CUT_DROP, one, 1);
	set(6, SC_CUT_DROP, one, 1);
	cr_expect_eq(sc_cuts_entry(cuts, 10).number, 4);
}

Test(cuts, a_mode_moves_up_and_down_the_steps_of_a_breaker)
{
	static const enum sc_cut_mode steps[] = {SC_CUT_REFUSE_NEW, SC_CUT_TRY, SC_CUT_REFUSE_NEW,
						 SC_CUT_DROP, SC_CUT_NONE};
	const struct sc_cut_member one[] = {{10, 1}};

	for (size_t i = 0; i < SC_ARRAY_SIZE(steps); i++) {
		cr_assert_eq(set(0, steps[i], one, 1), 1);
		cr_expect_eq(changes[0].after.mode, steps[i]);
	}
}

Test(cuts, another_attempt_is_a_change_and_tries_belong_to_try_alone)
{
	const struct sc_cut_member one[] = {{10, 1}};
	struct sc_cut cut = cut_of(0, SC_CUT_TRY, one, 1);

	cut.tries = 3;
	cut.attempt = 1;
	cr_assert_eq(sc_cuts_set(cuts, &cut, changes), 1);
	cr_expect_eq(changes[0].after.tries, 3);
	cr_expect_eq(sc_cuts_set(cuts, &cut, changes), 0);
	cut.attempt = 2;
	cr_assert_eq(sc_cuts_set(cuts, &cut, changes), 1);
	cr_expect(changes[0].before.attempt == 1 && changes[0].after.attempt == 2);
	cut.mode = SC_CUT_DROP;
	cr_assert_eq(sc_cuts_set(cuts, &cut, changes), 1);
	cr_expect(changes[0].after.tries == 0 && changes[0].after.attempt == 0);
}

Test(cuts, members_that_cannot_be_are_refused_and_nothing_changes)
{
	static const struct sc_cut_member bad[][2] = {
		{{20, 1}, {10, 1}}, /* descending */
		{{10, 1}, {10, 1}}, /* twice */
		{{10, 0}, {20, 1}}, /* the root of the hierarchy */
		{{10, 1}, {20, 32}}, {{0, 1}, {20, 1}},
	};
	const struct sc_cut_member one[] = {{10, 1}};
	static struct sc_cut_member many[SC_CUT_MEMBERS_MAX + 1];

	set(0, SC_CUT_DROP, one, 1);
	for (size_t i = 0; i < SC_ARRAY_SIZE(bad); i++)
		cr_expect_eq(set(0, SC_CUT_REFUSE_ALL, bad[i], 2), -EINVAL, "case %zu", i);
	for (uint32_t i = 0; i < SC_ARRAY_SIZE(many); i++)
		many[i] = (struct sc_cut_member){i + 1, 1};
	cr_expect_eq(set(0, SC_CUT_REFUSE_ALL, many, SC_ARRAY_SIZE(many)), -EINVAL);
	cr_expect_eq(sc_cuts_entry(cuts, 10).mode, SC_CUT_DROP);
	cr_expect_eq(set(0, SC_CUT_NONE, bad[0], 2), 1, "none asks for no members");
}

Test(cuts, the_largest_cut_fits_and_goes_in_one_set)
{
	static struct sc_cut_member a[SC_CUT_MEMBERS_MAX], b[SC_CUT_MEMBERS_MAX];

	for (uint32_t i = 0; i < SC_CUT_MEMBERS_MAX; i++) {
		a[i] = (struct sc_cut_member){2 * i + 1, 1};
		b[i] = (struct sc_cut_member){2 * i + 2, 1};
	}
	cr_expect_eq(set(0, SC_CUT_DROP, a, SC_CUT_MEMBERS_MAX), SC_CUT_MEMBERS_MAX);
	cr_expect_eq(set(0, SC_CUT_DROP, b, SC_CUT_MEMBERS_MAX), SC_CUTS_CHANGES_MAX);
	cr_expect_eq(sc_cuts_entries(cuts, entries), SC_CUT_MEMBERS_MAX);
}

Test(cuts, as_many_cuts_fit_as_there_may_be)
{
	static struct sc_cut_member m[SC_CUTS_MEMBERSHIPS_MAX / SC_CUTS_MAX];

	for (uint32_t c = 0; c < SC_CUTS_MAX; c++) {
		for (uint32_t i = 0; i < SC_ARRAY_SIZE(m); i++)
			m[i] = (struct sc_cut_member){1 + c * 100 + i, 1 + i % 31};
		cr_assert_eq(set(c, SC_CUT_DROP, m, SC_ARRAY_SIZE(m)), SC_ARRAY_SIZE(m));
	}
	cr_expect_eq(sc_cuts_count(cuts), SC_CUTS_MAX);
	cr_expect_eq(sc_cuts_entries(cuts, entries), SC_CUTS_MEMBERSHIPS_MAX);
	set(5, SC_CUT_NONE, NULL, 0);
	cr_expect_eq(sc_cuts_entry(cuts, 501).mode, SC_CUT_NONE);
	cr_expect_eq(sc_cuts_entry(cuts, 601).number, 6);
	sc_cuts_clear(cuts);
	cr_expect_eq(sc_cuts_entries(cuts, entries), 0);
	cr_expect_eq(set(0, SC_CUT_DROP, m, SC_ARRAY_SIZE(m)), SC_ARRAY_SIZE(m));
}

Test(cuts, memberships_beyond_the_limit_are_refused_and_nothing_changes)
{
	static struct sc_cut_member m[SC_CUT_MEMBERS_MAX];

	for (uint32_t i = 0; i < SC_CUT_MEMBERS_MAX; i++)
		m[i] = (struct sc_cut_member){i + 1, 1};
	for (uint32_t c = 0; c < SC_CUTS_MEMBERSHIPS_MAX / SC_CUT_MEMBERS_MAX; c++)
		cr_assert_geq(set(c, SC_CUT_DROP, m, SC_CUT_MEMBERS_MAX), 0);
	cr_expect_eq(set(500, SC_CUT_DROP, m, 1), -ENOSPC);
	cr_expect_eq(sc_cuts_mode(cuts, 500), SC_CUT_NONE);
	cr_expect_eq(set(3, SC_CUT_REFUSE_ALL, m, SC_CUT_MEMBERS_MAX), 0, "its own it may replace");
	cr_expect_eq(set(3, SC_CUT_REFUSE_ALL, m, 1000), 0);
	cr_expect_eq(set(500, SC_CUT_DROP, m, 24), 0);
}

/* What the table must say, computed from scratch each time. */
#define ORACLE_CUTS 12
#define ORACLE_IDS  24

struct oracle {
	enum sc_cut_mode mode[ORACLE_CUTS];
	uint32_t attempt[ORACLE_CUTS];
	bool has[ORACLE_CUTS][ORACLE_IDS + 1];
};

static struct sc_cut_entry oracle_entry(const struct oracle *o, uint64_t id)
{
	struct sc_cut_entry best = {.cgroup_id = id};

	for (uint32_t c = ORACLE_CUTS; c-- > 0;)
		if (o->mode[c] != SC_CUT_NONE && o->has[c][id] && o->mode[c] >= best.mode)
			best = (struct sc_cut_entry){
				.cgroup_id = id,
				.level = 1 + (uint32_t)id % 7,
				.number = c,
				.mode = o->mode[c],
				.tries = o->mode[c] == SC_CUT_TRY ? 2 : 0,
				.attempt = o->mode[c] == SC_CUT_TRY ? o->attempt[c] : 0,
			};
	return best;
}

static bool is_equal(const struct sc_cut_entry *a, const struct sc_cut_entry *b)
{
	return a->cgroup_id == b->cgroup_id && a->level == b->level && a->number == b->number &&
	       a->mode == b->mode && a->tries == b->tries && a->attempt == b->attempt;
}

static uint32_t roll(uint64_t *seed, uint32_t below)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*seed >> 33) % below;
}

/* Tells both of a random cut, and applies the changes to what was held before. */
static void step(struct oracle *o, struct sc_cut_entry held[ORACLE_IDS + 1], uint64_t *seed)
{
	struct sc_cut_member m[ORACLE_IDS];
	struct sc_cut cut = {.number = roll(seed, ORACLE_CUTS), .tries = 2, .members = m};
	int n;

	cut.mode = (enum sc_cut_mode)roll(seed, SC_CUT_MODE_COUNT);
	cut.attempt = roll(seed, 2);
	o->mode[cut.number] = cut.mode;
	o->attempt[cut.number] = cut.attempt;
	for (uint64_t id = 1; id <= ORACLE_IDS; id++) {
		o->has[cut.number][id] = roll(seed, 3) == 0;
		if (o->has[cut.number][id])
			m[cut.n_members++] = (struct sc_cut_member){id, 1 + (uint32_t)id % 7};
	}
	n = sc_cuts_set(cuts, &cut, changes);
	cr_assert_geq(n, 0);
	for (int i = 0; i < n; i++) {
		uint64_t id = changes[i].before.cgroup_id;

		cr_assert(is_equal(&changes[i].before, &held[id]));
		cr_assert_not(is_equal(&changes[i].before, &changes[i].after));
		cr_assert(i == 0 || id > changes[i - 1].before.cgroup_id);
		held[id] = changes[i].after;
	}
}

Test(cuts, agrees_with_an_oracle_after_every_random_step)
{
	struct sc_cut_entry held[ORACLE_IDS + 1] = {0};
	static struct oracle o;
	uint64_t seed = 42;

	for (uint64_t id = 1; id <= ORACLE_IDS; id++)
		held[id].cgroup_id = id;
	for (int round = 0; round < 20000; round++) {
		uint32_t n_held = 0;

		step(&o, held, &seed);
		for (uint64_t id = 1; id <= ORACLE_IDS; id++) {
			struct sc_cut_entry want = oracle_entry(&o, id);

			cr_assert(is_equal(&held[id], &want), "round %d, id %d", round, (int)id);
			n_held += want.mode != SC_CUT_NONE;
		}
		cr_assert_eq(sc_cuts_entries(cuts, entries), n_held);
	}
}

Test(cuts, the_order_in_which_cuts_were_told_does_not_matter)
{
	static struct sc_cut_entry first[ORACLE_IDS + 1];
	uint64_t seed = 7;

	for (int order = 0; order < 50; order++) {
		uint32_t numbers[ORACLE_CUTS];

		sc_cuts_clear(cuts);
		for (uint32_t c = 0; c < ORACLE_CUTS; c++)
			numbers[c] = c;
		for (uint32_t c = ORACLE_CUTS - 1; c > 0; c--) {
			uint32_t other = order ? roll(&seed, c + 1) : c, was = numbers[c];

			numbers[c] = numbers[other];
			numbers[other] = was;
		}
		for (uint32_t c = 0; c < ORACLE_CUTS; c++) {
			struct sc_cut_member m[ORACLE_IDS];
			uint32_t n = 0;

			for (uint64_t id = 1; id <= ORACLE_IDS; id++)
				if ((id * 7 + numbers[c] * 5) % 3 == 0)
					m[n++] = (struct sc_cut_member){id, 1};
			set(numbers[c], (enum sc_cut_mode)(1 + numbers[c] % 4), m, n);
		}
		for (uint64_t id = 1; id <= ORACLE_IDS; id++) {
			struct sc_cut_entry got = sc_cuts_entry(cuts, id);

			if (order == 0)
				first[id] = got;
			cr_assert(is_equal(&got, &first[id]));
		}
	}
}
