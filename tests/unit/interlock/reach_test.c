/* SPDX-License-Identifier: Apache-2.0 */
/* How far automatic fires reach: tables for small numbers, where a wrong rounding shows. */
#include <scram/interlock.h>

#include <criterion/criterion.h>

struct blast_case {
	uint32_t eligible;
	uint32_t affected;
	uint32_t max_targets;
	bool is_vetoed;
};

static enum sc_interlock_id first_veto(const struct sc_interlock_facts *facts)
{
	struct sc_verdict verdict;

	sc_interlocks_ask(facts, &verdict);
	return verdict.first;
}

static struct sc_interlock_facts quiet(void)
{
	return (struct sc_interlock_facts){
		.now_ns = 1000 * SC_NS_PER_S,
		.asker = SC_ASKER_AUTO,
		.has_target = true,
		.decided_id = 1,
		.current_id = 1,
		.irreversible = true,
		.still_true = true,
	};
}

/* By default max(1, 10 %): one of one to nineteen, two of twenty. */
static const struct blast_case blast_cases[] = {
	{1, 0, 0, false},
	{1, 1, 0, true},
	{2, 0, 0, false},
	{2, 1, 0, true},
	{3, 0, 0, false},
	{3, 1, 0, true},
	{3, 2, 0, true},
	{10, 0, 0, false},
	{10, 1, 0, true},
	{19, 1, 0, true},
	{20, 1, 0, false},
	{20, 2, 0, true},
	{29, 2, 0, true},
	{30, 2, 0, false},
	{1000, 99, 0, false},
	{1000, 100, 0, true},
	{3, 1, 2, false},
	{3, 2, 2, true},
	{3, 2, 3, false},
	{3, 3, 3, true},
	{1000, 1, 1, true},
	{4000000000u, 399999999, 0, false},
	{4000000000u, 400000000, 0, true},
	{4000000000u, UINT32_MAX, 0, true},
};

Test(blast_radius, limits_a_condition_to_its_share)
{
	for (size_t i = 0; i < SC_ARRAY_SIZE(blast_cases); i++) {
		const struct blast_case *c = &blast_cases[i];
		struct sc_interlock_facts facts = quiet();

		facts.condition = (struct sc_blast){c->affected, c->eligible};
		facts.max_targets = c->max_targets;
		cr_assert_eq(first_veto(&facts) == SC_INTERLOCK_BLAST_RADIUS, c->is_vetoed,
			     "%u of %u, limit %u", c->affected, c->eligible, c->max_targets);
	}
}

Test(blast_radius, limits_tenant_and_host_to_their_share)
{
	for (size_t i = 0; i < SC_ARRAY_SIZE(blast_cases); i++) {
		const struct blast_case *c = &blast_cases[i];
		struct sc_interlock_facts facts = quiet();

		if (c->max_targets)
			continue;
		facts.condition = (struct sc_blast){0, 100};
		facts.tenant = (struct sc_blast){c->affected, c->eligible};
		cr_assert_eq(first_veto(&facts) == SC_INTERLOCK_BLAST_RADIUS, c->is_vetoed,
			     "tenant: %u of %u", c->affected, c->eligible);
		facts.host = facts.tenant;
		facts.tenant = (struct sc_blast){0, 0};
		cr_assert_eq(first_veto(&facts) == SC_INTERLOCK_BLAST_RADIUS, c->is_vetoed,
			     "host: %u of %u", c->affected, c->eligible);
	}
}

Test(blast_radius, counts_irreversible_fires_on_the_host)
{
	static const struct {
		uint32_t recent;
		uint32_t max;
		bool irreversible;
		bool is_vetoed;
	} cases[] = {
		{0, 0, true, false},  {2, 0, true, false}, {3, 0, true, true}, {4, 0, true, true},
		{3, 0, false, false}, {3, 4, true, false}, {1, 1, true, true},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct sc_interlock_facts facts = quiet();

		facts.condition = (struct sc_blast){0, 100};
		facts.irreversible_recent = cases[i].recent;
		facts.irreversible_max = cases[i].max;
		facts.irreversible = cases[i].irreversible;
		cr_assert_eq(first_veto(&facts) == SC_INTERLOCK_BLAST_RADIUS, cases[i].is_vetoed,
			     "case %zu", i);
	}
}

Test(blast_radius, the_next_rung_adds_no_target_but_is_a_fire)
{
	struct sc_interlock_facts facts = quiet();

	facts.next_rung = true;
	facts.condition = (struct sc_blast){1, 1};
	cr_assert_eq(first_veto(&facts), SC_INTERLOCK_COUNT);
	facts.irreversible_recent = SC_IRREVERSIBLE_FIRES;
	cr_assert_eq(first_veto(&facts), SC_INTERLOCK_BLAST_RADIUS);
}

Test(majority_sick, needs_three_and_55_percent)
{
	static const struct {
		uint32_t sick;
		uint32_t eligible;
		bool is_vetoed;
	} cases[] = {
		{1, 1, false},
		{1, 2, false},
		{2, 2, false},
		{2, 3, false},
		{3, 3, true},
		{3, 4, true},
		{3, 5, true},
		{3, 6, false},
		{4, 7, true},
		{4, 8, false},
		{54, 100, false},
		{55, 100, true},
		{549, 1000, false},
		{550, 1000, true},
		{2199999999u, 4000000000u, false},
		{2200000000u, 4000000000u, true},
		{3, 0, true},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(cases); i++) {
		struct sc_interlock_facts facts = quiet();

		facts.condition = (struct sc_blast){0, 100};
		facts.sick = cases[i].sick;
		facts.sick_eligible = cases[i].eligible;
		cr_assert_eq(first_veto(&facts) == SC_INTERLOCK_MAJORITY_SICK, cases[i].is_vetoed,
			     "%u of %u", cases[i].sick, cases[i].eligible);
	}
}
