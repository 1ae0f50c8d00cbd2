/* SPDX-License-Identifier: Apache-2.0 */
/* Cutting a group, in the fake world: the steps and their order, what counts as done, the undo. */
#include "harness/fake_effector.h"
#include "harness/fake_traffic.h"

#include "base/mem.h"

#include <criterion/criterion.h>

#define WEB_ID 70

struct world {
	struct sc_fake fake;
	struct sc_fake_traffic net;
	struct sc_traffic traffic;
	struct sc_effector eff;
	struct sc_action_run run;
	struct sc_cut cut;
	struct sc_cut_member members[2];
	int web;
};

static void setup(struct world *w, enum sc_cut_mode mode)
{
	memset(w, 0, sizeof(*w));
	sc_fake_init(&w->fake);
	sc_fake_traffic_init(&w->net);
	w->traffic = sc_fake_traffic(&w->net);
	w->eff = sc_fake_effector(&w->fake);
	w->eff.traffic = &w->traffic;
	w->web = sc_fake_add_cgroup(&w->fake, 0, WEB_ID);
	w->members[0] = (struct sc_cut_member){.cgroup_id = WEB_ID, .level = 1};
	w->cut = (struct sc_cut){.number = 3,
				 .mode = mode,
				 .fire_id = "f-1",
				 .name = "tenant acme",
				 .members = w->members,
				 .n_members = 1};
	w->net.namespaces = 1;
	(void)w->traffic.ops->arm(w->traffic.ctx, NULL, 0);
}

/* The hand and the loop by turns, as the engine does; returns what prepare did. */
static int act(struct world *w)
{
	struct sc_action_request request = {.kind = SC_ACTION_QUARANTINE, .cut = &w->cut};
	int r = sc_action_prepare(&w->run, &request, &w->eff);
	uint64_t next = 0;

	while (r == 0 && w->run.phase != SC_RUN_DONE) {
		w->run.ops->apply(&w->run, &w->eff);
		while (w->run.ops->verify(&w->run, &w->eff, w->fake.now_ns, &next) == SC_STEP_AGAIN)
			continue;
	}
	sc_action_close(&w->run, &w->eff);
	return r;
}

static void expect(const struct world *w, enum sc_action_outcome outcome, const char *text)
{
	cr_assert_eq(w->run.outcome, outcome, "%s: %s", sc_action_outcome_name(w->run.outcome),
		     w->run.text);
	cr_assert(strstr(w->run.text, text), "'%s' lacks '%s'", w->run.text, text);
}

Test(cut, gate_first_then_rules_then_flows)
{
	struct world w;

	setup(&w, SC_CUT_DROP);
	w.net.flows = 5;
	cr_assert_eq(act(&w), 0);
	cr_assert_str_eq(w.net.calls, "grf");
	expect(&w, SC_ACTION_OUTCOME_ISOLATED, "1 cgroup cut");
	expect(&w, SC_ACTION_OUTCOME_ISOLATED, "5 connections ended");
	cr_assert_eq(sc_fake_traffic_gated(&w.net), 1);
	cr_assert_eq(sc_fake_traffic_ruled(&w.net), 1);
}

Test(cut, one_step_a_turn_so_that_a_kill_waits_for_one_alone)
{
	struct world w;
	struct sc_action_request request;
	uint64_t next;

	setup(&w, SC_CUT_DROP);
	request = (struct sc_action_request){.kind = SC_ACTION_QUARANTINE, .cut = &w.cut};
	cr_assert_eq(sc_action_prepare(&w.run, &request, &w.eff), 0);
	w.run.ops->apply(&w.run, &w.eff);
	cr_assert_str_eq(w.net.calls, "g");
	cr_assert_not(sc_action_is_applied(&w.run));
	cr_assert_eq(w.run.ops->verify(&w.run, &w.eff, 1, &next), SC_STEP_APPLY);
	w.run.ops->apply(&w.run, &w.eff);
	cr_assert_str_eq(w.net.calls, "gr");
	cr_assert(sc_action_is_applied(&w.run));
}

Test(cut, is_undone_in_the_same_way)
{
	struct world w;

	setup(&w, SC_CUT_DROP);
	cr_assert_eq(act(&w), 0);
	w.cut.mode = SC_CUT_NONE;
	cr_assert_eq(act(&w), 0);
	expect(&w, SC_ACTION_OUTCOME_RESTORED, "no longer cut");
	cr_assert_eq(sc_fake_traffic_gated(&w.net), 0);
	cr_assert_eq(sc_fake_traffic_ruled(&w.net), 0);
	cr_assert_eq(act(&w), 0, "twice is harmless");
	expect(&w, SC_ACTION_OUTCOME_RESTORED, "no longer cut");
}

Test(cut, half_of_it_is_told_as_half)
{
	static const struct {
		unsigned int gate, rules, flows;
		enum sc_action_outcome outcome;
	} rows[] = {
		{1, 0, 0, SC_ACTION_OUTCOME_PARTIAL},
		{0, 1, 0, SC_ACTION_OUTCOME_PARTIAL},
		{0, 0, 1, SC_ACTION_OUTCOME_PARTIAL},
		{1, 1, 0, SC_ACTION_OUTCOME_FAILED},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		struct world w;

		setup(&w, SC_CUT_REFUSE_ALL);
		w.net.gate_fails = rows[i].gate;
		w.net.rules_fails = rows[i].rules;
		w.net.flows_fails = rows[i].flows;
		w.net.gate_error = w.net.rules_error = w.net.flows_error = -ENOBUFS;
		cr_assert_eq(act(&w), 0);
		expect(&w, rows[i].outcome, strerror(ENOBUFS));
	}
}

Test(cut, an_undo_that_fails_is_no_undo)
{
	struct world w;

	setup(&w, SC_CUT_DROP);
	cr_assert_eq(act(&w), 0);
	w.cut.mode = SC_CUT_NONE;
	w.net.rules_fails = 1;
	w.net.rules_error = -EIO;
	cr_assert_eq(act(&w), 0);
	expect(&w, SC_ACTION_OUTCOME_FAILED, strerror(EIO));
	cr_assert_eq(act(&w), 0);
	expect(&w, SC_ACTION_OUTCOME_RESTORED, "no longer cut");
}

Test(cut, what_cannot_be_done_here_is_refused_with_nothing_done)
{
	struct world w;

	setup(&w, SC_CUT_DROP);
	w.net.can_error[SC_CUT_DROP] = -EOPNOTSUPP;
	cr_assert_eq(act(&w), -EOPNOTSUPP);
	expect(&w, SC_ACTION_OUTCOME_FAILED, "not available on this host");
	cr_assert_str_eq(w.net.calls, "");

	setup(&w, SC_CUT_DROP);
	w.eff.traffic = NULL;
	cr_assert_eq(act(&w), -EOPNOTSUPP);
	expect(&w, SC_ACTION_OUTCOME_FAILED, "not available on this host");
}

Test(cut, never_cuts_the_agent_or_pid_1)
{
	struct world w;

	setup(&w, SC_CUT_DROP);
	w.fake.cgroups[w.web].is_guarded = true;
	cr_assert_eq(act(&w), -EPERM);
	expect(&w, SC_ACTION_OUTCOME_FAILED, "the agent or pid 1 is inside");
	cr_assert_str_eq(w.net.calls, "");
}

Test(cut, a_group_without_a_cgroup_is_cut_in_advance)
{
	struct world w;

	setup(&w, SC_CUT_DROP);
	w.cut.n_members = 0;
	cr_assert_eq(act(&w), 0);
	expect(&w, SC_ACTION_OUTCOME_ISOLATED, "0 cgroups");
}
