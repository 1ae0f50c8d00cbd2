/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds that cut a group of cgroups from the network: quarantine, circuit break, and the rung
 * that refuses what is new. They differ in the mode of the cut, which the caller has chosen. The
 * hand takes one step a turn, so that a kill behind it waits for one step alone: the gate first,
 * because it is closed in microseconds, then the rules, then the connections that are left.
 */
#include "action/run.h"

#include "base/str.h"

enum cut_step { STEP_GATE, STEP_RULES, STEP_FLOWS, STEP_COUNT };

static const struct sc_cut *cut_of(const struct sc_action_run *run)
{
	SC_ASSERT(run->request.cut);
	return run->request.cut;
}

/* Being undone asks nothing of the host: what cannot be done is said by the outcome. */
static int cut_prepare(struct sc_action_run *run, const struct sc_effector *eff)
{
	const struct sc_cut *cut = cut_of(run);
	const struct sc_traffic *traffic = eff->traffic;
	char why[SC_ACTION_TEXT_MAX / 2] = "";
	int r;

	run->prepared_ns = eff->ops->now_ns(eff->ctx);
	if (!traffic)
		return sc_run_end(run, eff, SC_ACTION_OUTCOME_FAILED, -EOPNOTSUPP,
				  "not available on this host: it cannot %s", run->ops->text);
	if (cut->mode == SC_CUT_NONE)
		return 0;
	r = traffic->ops->can(traffic->ctx, cut->mode, why, sizeof(why));
	if (r < 0)
		return sc_run_end(run, eff, SC_ACTION_OUTCOME_FAILED, r,
				  "not available on this host: %s", why);
	for (uint32_t i = 0; i < cut->n_members; i++)
		if (eff->ops->is_guarded(eff->ctx, cut->members[i].cgroup_id))
			return sc_run_end(run, eff, SC_ACTION_OUTCOME_FAILED, -EPERM,
					  "refused: the agent or pid 1 is inside");
	return 0;
}

static void cut_apply(struct sc_action_run *run, const struct sc_effector *eff)
{
	const struct sc_traffic_ops *ops = eff->traffic->ops;
	const struct sc_cut *cut = cut_of(run);
	void *ctx = eff->traffic->ctx;
	uint64_t begin_ns = eff->ops->now_ns(eff->ctx);
	int r = 0;

	switch ((enum cut_step)run->cut_steps) {
	case STEP_GATE:
		r = ops->set_gate(ctx, cut, &run->cut);
		run->first_begin_ns = begin_ns;
		run->first_end_ns = eff->ops->now_ns(eff->ctx);
		break;
	case STEP_RULES:
		r = ops->set_rules(ctx, cut, &run->cut);
		break;
	case STEP_FLOWS:
		r = ops->end_flows(ctx, cut, &run->cut);
		break;
	case STEP_COUNT:
		SC_ASSERT(!"applied once more than there are steps");
	}
	run->phase = SC_RUN_ACTED;
	run->writes++;
	run->cut_steps++;
	if (r < 0)
		run->error = r;
	else
		run->writes_ok++;
}

static void describe(struct sc_action_run *run, struct sc_str *s)
{
	const struct sc_cut_report *report = &run->cut;
	const struct sc_cut *cut = cut_of(run);

	sc_str_addf(s, "%u cgroup%s cut, in %u network namespace%s", cut->n_members,
		    cut->n_members == 1 ? "" : "s", report->namespaces,
		    report->namespaces == 1 ? "" : "s");
	if (report->flows_ended)
		sc_str_addf(s, "; %u connections ended", report->flows_ended);
	if (report->flows_left)
		sc_str_addf(s, "; %u connections could not be ended", report->flows_left);
	if (report->foreign)
		sc_str_addf(s, "; %u sockets were made elsewhere", report->foreign);
}

/* The gate alone holds a quarantine in every namespace; who is refused is told so by the rules. */
static enum sc_action_step end_cut(struct sc_action_run *run, const struct sc_effector *eff)
{
	const struct sc_cut_report *report = &run->cut;
	bool is_undo = cut_of(run)->mode == SC_CUT_NONE;
	bool all = report->has_gate && report->has_rules && !run->error;
	bool none = !report->has_gate && !report->has_rules;
	char text[SC_ACTION_TEXT_MAX];
	struct sc_str s;

	sc_str_init(&s, text, sizeof(text));
	if (run->error)
		sc_str_addf(&s, "%s (%s)", report->text[0] ? report->text : "not all of it holds",
			    strerror(-run->error));
	else if (is_undo)
		sc_str_add(&s, "no longer cut");
	else
		describe(run, &s);
	if (is_undo)
		sc_run_end(run, eff,
			   run->error ? SC_ACTION_OUTCOME_FAILED : SC_ACTION_OUTCOME_RESTORED,
			   run->error, "%s", text);
	else
		sc_run_end(run, eff,
			   all    ? SC_ACTION_OUTCOME_ISOLATED
			   : none ? SC_ACTION_OUTCOME_FAILED
				  : SC_ACTION_OUTCOME_PARTIAL,
			   run->error, "%s", text);
	return SC_STEP_DONE;
}

static enum sc_action_step cut_verify(struct sc_action_run *run, const struct sc_effector *eff,
				      uint64_t now_ns, uint64_t *next_ns)
{
	(void)now_ns;
	(void)next_ns;
	if (run->phase == SC_RUN_DONE)
		return SC_STEP_DONE;
	SC_ASSERT(run->phase == SC_RUN_ACTED);
	return run->cut_steps < STEP_COUNT ? SC_STEP_APPLY : end_cut(run, eff);
}

/* A group has no members that an intent was about: what stands is compared and set again. */
static int cut_reconcile(uint64_t cgroup_id, const struct sc_effector *eff, uint64_t intent_boot_ns,
			 struct sc_action_facts *facts)
{
	(void)cgroup_id;
	(void)eff;
	(void)intent_boot_ns;
	*facts = (struct sc_action_facts){.exists = true, .is_members_all = true};
	return 0;
}

#define CUT_OPS                                                                                  \
	.is_reversible = true, .is_available = true, .prepare = cut_prepare, .apply = cut_apply, \
	.verify = cut_verify, .release = cut_apply, .reconcile = cut_reconcile

const struct sc_action_ops sc_action_circuit_break = {
	.kind = SC_ACTION_CIRCUIT_BREAK,
	.text = "refuse connections of a component, at once and with an answer",
	CUT_OPS,
};

const struct sc_action_ops sc_action_quarantine = {
	.kind = SC_ACTION_QUARANTINE,
	.text = "cut a tenant from the network, both ways, every protocol",
	CUT_OPS,
};

const struct sc_action_ops sc_action_refuse_new = {
	.kind = SC_ACTION_REFUSE_NEW,
	.text = "refuse new connections of the cgroup, let established ones finish",
	CUT_OPS,
};
