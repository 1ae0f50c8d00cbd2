/* SPDX-License-Identifier: Apache-2.0 */
/*
 * global-readonly: takes the right to write from the supervised cgroups, or from the tree of one of
 * them. The hand sets the whole wish at once; a fire adds its tree to it, a release leaves it out.
 */
#include "action/run.h"

#include "base/str.h"

static const struct sc_readonly *wish_of(const struct sc_action_run *run)
{
	SC_ASSERT(run->request.readonly);
	return run->request.readonly;
}

/* Being undone asks nothing of the host: what cannot be done is said by the outcome. */
static int readonly_prepare(struct sc_action_run *run, const struct sc_effector *eff)
{
	const struct sc_readonly *wish = wish_of(run);
	const struct sc_readonly_port *port = eff->readonly;
	char why[SC_READONLY_TEXT_MAX] = "";

	run->prepared_ns = eff->ops->now_ns(eff->ctx);
	if (!port)
		return sc_run_end(run, eff, SC_ACTION_OUTCOME_FAILED, -EOPNOTSUPP,
				  "not available on this host: it cannot %s", run->ops->text);
	if (wish->n_roots == 0 ||
	    port->ops->way(port->ctx, wish->n_paths > 0, why, sizeof(why)) != SC_READONLY_NO_WAY)
		return 0;
	return sc_run_end(run, eff, SC_ACTION_OUTCOME_FAILED, -EOPNOTSUPP,
			  "not available on this host: %s", why);
}

static void set(struct sc_action_run *run, const struct sc_effector *eff, enum sc_run_phase phase)
{
	int r;

	run->readonly = (struct sc_readonly_report){0};
	run->first_begin_ns = eff->ops->now_ns(eff->ctx);
	r = eff->readonly->ops->set(eff->readonly->ctx, wish_of(run), &run->readonly);
	run->first_end_ns = eff->ops->now_ns(eff->ctx);
	run->phase = phase;
	run->writes++;
	run->writes_ok += r == 0;
	run->error = r;
}

static void readonly_apply(struct sc_action_run *run, const struct sc_effector *eff)
{
	set(run, eff, SC_RUN_ACTED);
}

static void readonly_release(struct sc_action_run *run, const struct sc_effector *eff)
{
	set(run, eff, SC_RUN_UNDONE);
}

static void end_undone(struct sc_action_run *run, const struct sc_effector *eff)
{
	const struct sc_readonly_report *report = &run->readonly;

	if (run->error)
		sc_run_end(run, eff, SC_ACTION_OUTCOME_FAILED, run->error, "%s",
			   report->text[0] ? report->text : strerror(-run->error));
	else
		sc_run_end(run, eff, SC_ACTION_OUTCOME_RESTORED, 0, "%s",
			   wish_of(run)->n_roots ? "writable again, but for what others hold"
						 : "writable again");
}

static void describe(const struct sc_readonly_report *report, struct sc_str *s)
{
	sc_str_addf(s, "read-only by %s",
		    report->way == SC_READONLY_LSM ? "the BPF LSM" : "mounts");
	if (report->way == SC_READONLY_MOUNTS)
		sc_str_addf(s, ", in %u mount namespace%s", report->namespaces,
			    report->namespaces == 1 ? "" : "s");
	sc_str_add(s, report->is_tried ? "; a write inside was tried and refused"
				       : "; nobody inside to try a write as");
}

static enum sc_action_step readonly_verify(struct sc_action_run *run, const struct sc_effector *eff,
					   uint64_t now_ns, uint64_t *next_ns)
{
	const struct sc_readonly_report *report = &run->readonly;
	char text[SC_ACTION_TEXT_MAX];
	struct sc_str s;

	(void)now_ns;
	(void)next_ns;
	if (run->phase == SC_RUN_DONE)
		return SC_STEP_DONE;
	SC_ASSERT(run->phase == SC_RUN_ACTED || run->phase == SC_RUN_UNDONE);
	if (run->phase == SC_RUN_UNDONE) {
		end_undone(run, eff);
		return SC_STEP_DONE;
	}
	sc_str_init(&s, text, sizeof(text));
	if (report->holds)
		describe(report, &s);
	else
		sc_str_add(&s, report->text[0] ? report->text : "nothing there could be held");
	sc_run_end(run, eff,
		   report->holds     ? SC_ACTION_OUTCOME_READONLY
		   : report->is_some ? SC_ACTION_OUTCOME_PARTIAL
				     : SC_ACTION_OUTCOME_FAILED,
		   run->error, "%s", text);
	return SC_STEP_DONE;
}

const struct sc_action_ops sc_action_readonly = {
	.kind = SC_ACTION_READONLY,
	.text = "deny writes to supervised cgroups",
	.is_reversible = true,
	.is_available = true,
	.prepare = readonly_prepare,
	.apply = readonly_apply,
	.verify = readonly_verify,
	.release = readonly_release,
	.reconcile = sc_run_reconcile,
};
