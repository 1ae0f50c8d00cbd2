/* SPDX-License-Identifier: Apache-2.0 */
/* What the core remembers of probes, over time that the test gives. */
#include "engine/probe_set.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <string.h>

#define S SC_NS_PER_S

static char *const up[] = {"/bin/true"}, *const down[] = {"/bin/false"};

/* Valid for 12 s: twice every 5 s, and 2 s. */
static struct sc_probe exec_probe(const char *name, char *const *command)
{
	return (struct sc_probe){.name = (char *)(uintptr_t)name,
				 .kind = SC_PROBE_EXEC,
				 .command = {(char **)(uintptr_t)command, 1},
				 .budget_ns = 2 * S,
				 .every_ns = 5 * S};
}

static struct sc_probe_set *of(struct sc_probe *probes, size_t n, const struct sc_probe_set *old,
			       uint64_t now_ns)
{
	const struct sc_config config = {.probes = probes, .probe_count = n};
	struct sc_probe_set *set = sc_probe_set_new(&config, old, now_ns);

	cr_assert(set);
	return set;
}

static bool take(struct sc_probe_set *set, const char *name, enum sc_truth truth, uint64_t now_ns)
{
	const struct sc_probe_report report = {.generation = set->generation,
					       .name = name,
					       .truth = truth,
					       .fault = SC_PROBE_FAULT_EXIT,
					       .why = "exit status 7",
					       .took_us = 1500};

	return sc_probe_set_take(set, &report, now_ns);
}

#define _cleanup_set_ _cleanup_(sc_probe_set_free)

Test(probe_set, counts_what_is_said)
{
	struct sc_probe probes[] = {exec_probe("a", up), exec_probe("b", down)};
	_cleanup_set_ struct sc_probe_set *set = of(probes, 2, NULL, 100 * S);
	const struct sc_probe_state *s = &set->state[1];

	cr_expect_eq(set->answer[1].truth, SC_UNKNOWN);
	cr_expect_eq(set->answer[1].valid_ns, 12 * S);
	cr_expect(take(set, "b", SC_TRUE, 101 * S));
	cr_expect(take(set, "b", SC_FALSE, 102 * S));
	cr_expect(take(set, "b", SC_FALSE, 103 * S));
	cr_expect(take(set, "b", SC_UNKNOWN, 104 * S));
	cr_expect(s->runs == 4 && s->answers[SC_TRUE] == 1 && s->answers[SC_FALSE] == 2);
	cr_expect_eq(s->unknown[SC_PROBE_FAULT_EXIT], 1);
	cr_expect_str_eq(s->why, "exit status 7");
	cr_expect(s->took_us == 1500 && s->took_us_max == 1500);
	cr_expect(set->answer[1].truth == SC_UNKNOWN && set->answer[1].at_ns == 104 * S);
	cr_expect_eq(set->state[0].runs, 0, "the other is another");
}

Test(probe_set, drops_what_is_of_another_generation_or_of_no_probe)
{
	struct sc_probe probes[] = {exec_probe("a", up)};
	_cleanup_set_ struct sc_probe_set *set = of(probes, 1, NULL, S);
	struct sc_probe_report report = {.name = "a", .truth = SC_TRUE};

	for (report.generation = 0; report.generation < 4; report.generation++)
		cr_expect_eq(sc_probe_set_take(set, &report, 2 * S),
			     report.generation == set->generation);
	cr_expect_not(take(set, "b", SC_TRUE, 2 * S));
	cr_expect_not(take(set, "", SC_TRUE, 2 * S));
	cr_expect_eq(set->state[0].runs, 1);
}

/* The first is as it was, each other differs in one thing. */
Test(probe_set, a_reload_keeps_the_answers_of_equal_probes_alone)
{
	char token[] = "/etc/token", url[] = "http://127.0.0.1/x";
	struct sc_probe changed[] = {
		exec_probe("b", up), exec_probe("c", up), exec_probe("b", down),
		exec_probe("b", up), exec_probe("b", up), exec_probe("b", up),
		exec_probe("b", up), exec_probe("b", up),
	};

	changed[3].every_ns++;
	changed[4].budget_ns++;
	changed[5].token_file = token;
	changed[6].url = url;
	changed[7].kind = SC_PROBE_HTTP;
	for (size_t i = 0; i < SC_ARRAY_SIZE(changed); i++) {
		struct sc_probe before[] = {exec_probe("a", up), exec_probe("b", up)};
		struct sc_probe after[] = {exec_probe("a", up), changed[i]};
		_cleanup_set_ struct sc_probe_set *old = of(before, 2, NULL, S), *set = NULL;

		take(old, "a", SC_TRUE, 2 * S);
		take(old, "b", SC_TRUE, 3 * S);
		set = of(after, 2, old, 4 * S);
		cr_expect_eq(set->generation, old->generation + (i != 0), "row %zu", i);
		cr_expect(set->answer[0].truth == SC_TRUE && set->answer[0].at_ns == 2 * S);
		cr_expect_eq(set->answer[1].truth, i == 0 ? SC_TRUE : SC_UNKNOWN, "row %zu", i);
		cr_expect_eq(set->state[1].runs, i == 0, "row %zu", i);
		cr_expect_eq(set->answer[1].valid_ns,
			     2 * changed[i].every_ns + changed[i].budget_ns);
	}
}

/* Numbers in the plan are places in the list: where these move, so do the answers. */
Test(probe_set, an_answer_moves_with_its_probe)
{
	struct sc_probe before[] = {exec_probe("a", up), exec_probe("b", up)};
	struct sc_probe after[] = {exec_probe("z", up), exec_probe("b", up), exec_probe("a", up)};
	_cleanup_set_ struct sc_probe_set *old = of(before, 2, NULL, S), *set = NULL;

	take(old, "a", SC_FALSE, 2 * S);
	take(old, "b", SC_TRUE, 3 * S);
	set = of(after, 3, old, 4 * S);
	cr_expect_gt(set->generation, old->generation);
	cr_expect_eq(set->answer[0].truth, SC_UNKNOWN);
	cr_expect_eq(set->answer[1].truth, SC_TRUE);
	cr_expect_eq(set->answer[2].truth, SC_FALSE);
	sc_probe_set_free(&old);
	old = of(after, 0, set, 5 * S);
	cr_expect_gt(old->generation, set->generation, "all are gone");
}

Test(probe_set, knows_since_when_a_probe_is_unknown)
{
	struct sc_probe probes[] = {exec_probe("a", up)};
	_cleanup_set_ struct sc_probe_set *set = of(probes, 1, NULL, 100 * S);

	cr_expect_eq(sc_probe_set_unknown_for_ns(set, 0, 100 * S), 0);
	cr_expect_eq(sc_probe_set_unknown_for_ns(set, 0, 107 * S), 7 * S, "it never answered");
	take(set, "a", SC_UNKNOWN, 110 * S);
	cr_expect_eq(sc_probe_set_unknown_for_ns(set, 0, 120 * S), 20 * S, "nor then");
	take(set, "a", SC_TRUE, 121 * S);
	cr_expect_eq(sc_probe_set_unknown_for_ns(set, 0, 122 * S), 0);
	cr_expect_eq(sc_probe_set_unknown_for_ns(set, 0, 133 * S), 0);
	cr_expect_eq(sc_probe_set_unknown_for_ns(set, 0, 134 * S), S, "by its age");
	take(set, "a", SC_UNKNOWN, 140 * S);
	cr_expect_eq(sc_probe_set_unknown_for_ns(set, 0, 141 * S), 8 * S, "and since then");
	take(set, "a", SC_FALSE, 142 * S);
	take(set, "a", SC_UNKNOWN, 143 * S);
	take(set, "a", SC_UNKNOWN, 144 * S);
	cr_expect_eq(sc_probe_set_unknown_for_ns(set, 0, 150 * S), 7 * S,
		     "since the first of them");
}

Test(probe_set, shows_no_secret_and_no_control_character)
{
	struct sc_probe probes[] = {exec_probe("a", up)};
	_cleanup_set_ struct sc_probe_set *set = of(probes, 1, NULL, S);
	struct sc_probe_report report = {
		.generation = set->generation,
		.name = "a",
		.truth = SC_UNKNOWN,
		.fault = SC_PROBE_FAULT_OTHER,
		.why = "Bearer abcdef: \033[31mno\nhttp://u:pw@host/ token=xyz"};
	char longest[4000];

	cr_assert(sc_probe_set_take(set, &report, 2 * S));
	cr_expect_null(strstr(set->state[0].why, "abcdef"), "%s", set->state[0].why);
	cr_expect_null(strstr(set->state[0].why, "pw@"), "%s", set->state[0].why);
	cr_expect_null(strstr(set->state[0].why, "xyz"), "%s", set->state[0].why);
	cr_expect_null(strpbrk(set->state[0].why, "\033\n"), "%s", set->state[0].why);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	report.why = longest;
	cr_assert(sc_probe_set_take(set, &report, 3 * S));
	cr_expect_lt(strlen(set->state[0].why), sizeof(set->state[0].why));
	report.why = NULL;
	cr_assert(sc_probe_set_take(set, &report, 4 * S));
	cr_expect_neq(set->state[0].why[0], '\0', "something is always said");
}

Test(probe_set, faults_are_found_by_their_names)
{
	for (int i = 0; i < SC_PROBE_FAULT_COUNT; i++)
		cr_expect_eq(sc_probe_fault_find(sc_probe_fault_name((enum sc_probe_fault)i)), i);
	cr_expect_eq(sc_probe_fault_find("nonsense"), SC_PROBE_FAULT_OTHER);
	cr_expect_eq(sc_probe_fault_find(NULL), SC_PROBE_FAULT_OTHER);
}
