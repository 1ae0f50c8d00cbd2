/* SPDX-License-Identifier: Apache-2.0 */
/* The kind that is registered and refuses: prepare says so, nothing else is ever reached. */
#include "action/run.h"

static int refuse(struct sc_action_run *run, const struct sc_effector *eff)
{
	return sc_run_end(run, eff, SC_ACTION_OUTCOME_FAILED, -EOPNOTSUPP,
			  "not available on this host: this scram cannot %s", run->ops->text);
}

static void apply_nothing(struct sc_action_run *run, const struct sc_effector *eff)
{
	(void)eff;
	SC_ASSERT(run->phase == SC_RUN_IDLE && !"applied without prepare");
}

static enum sc_action_step verify_nothing(struct sc_action_run *run, const struct sc_effector *eff,
					  uint64_t now_ns, uint64_t *next_ns)
{
	(void)eff;
	(void)now_ns;
	(void)next_ns;
	SC_ASSERT(run->outcome == SC_ACTION_OUTCOME_FAILED);
	return SC_STEP_DONE;
}

static int reconcile_nothing(uint64_t cgroup_id, const struct sc_effector *eff,
			     uint64_t intent_boot_ns, struct sc_action_facts *facts)
{
	(void)cgroup_id;
	(void)eff;
	(void)intent_boot_ns;
	(void)facts;
	return -EOPNOTSUPP;
}

const struct sc_action_ops sc_action_rollback = {
	.kind = SC_ACTION_ROLLBACK,
	.text = "restore a checkpoint of the processes",
	.prepare = refuse,
	.apply = apply_nothing,
	.verify = verify_nothing,
	.reconcile = reconcile_nothing,
};
