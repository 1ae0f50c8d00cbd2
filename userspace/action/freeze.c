/* SPDX-License-Identifier: Apache-2.0 */
/*
 * freeze: the rung below a kill. Only what scram itself froze is thawed again. A timeout leaves the
 * wish standing: the ladder goes on to the kill, which needs no thaw; without one the thaw comes at
 * release, at the end of the ttl, at shutdown or at the next start.
 */
#include "action/run.h"

static int freeze_prepare(struct sc_action_run *run, const struct sc_effector *eff)
{
	int r = sc_run_open(run, eff, "cgroup.freeze", false);

	if (r < 0)
		return r;
	r = eff->ops->read_flag(eff->ctx, run->act_fd, &run->found_frozen);
	if (r == 0)
		return 0;
	if (sc_run_is_gone(r))
		return sc_run_end(run, eff, SC_ACTION_OUTCOME_GONE, -ESTALE, "the cgroup is gone");
	return sc_run_end(run, eff, SC_ACTION_OUTCOME_FAILED, r, "cannot read cgroup.freeze: %s",
			  strerror(-r));
}

/* Writes once more only when the last write failed; a standing wish is never written twice. */
static void write_freeze(struct sc_action_run *run, const struct sc_effector *eff, bool value)
{
	sc_run_write(run, eff, run->act_fd, value);
	run->retry_at_ns = eff->ops->now_ns(eff->ctx) + SC_ACTION_RETRY_NS;
}

static void freeze_apply(struct sc_action_run *run, const struct sc_effector *eff)
{
	if (run->phase == SC_RUN_UNDONE) {
		write_freeze(run, eff, false);
		run->has_thawed = run->writes_ok > 0;
		return;
	}
	SC_ASSERT(run->phase == SC_RUN_READY || run->phase == SC_RUN_ACTED);
	run->phase = SC_RUN_ACTED;
	if (run->found_frozen) {
		run->first_begin_ns = run->first_end_ns = eff->ops->now_ns(eff->ctx);
		return;
	}
	write_freeze(run, eff, true);
	run->has_frozen = run->writes_ok > 0;
}

static void freeze_release(struct sc_action_run *run, const struct sc_effector *eff)
{
	SC_ASSERT(run->phase == SC_RUN_READY || run->phase == SC_RUN_UNDONE);
	run->phase = SC_RUN_UNDONE;
	if (!run->found_frozen) {
		run->first_begin_ns = run->first_end_ns = eff->ops->now_ns(eff->ctx);
		return;
	}
	write_freeze(run, eff, false);
	run->has_thawed = run->writes_ok > 0;
}

/* A frozen v2 task sleeps in the signal path; one that runs or waits in D keeps `frozen` at 0. */
static bool is_not_frozen(const struct sc_member *member)
{
	return member->state == 'D' || member->state == 'R';
}

static enum sc_action_step end_frozen(struct sc_action_run *run, const struct sc_effector *eff)
{
	sc_run_end(run, eff, SC_ACTION_OUTCOME_FROZEN, 0, "%s",
		   run->found_frozen ? "was frozen already by another hand, scram will not thaw it"
				     : "frozen");
	return SC_STEP_DONE;
}

static enum sc_action_step end_late(struct sc_action_run *run, const struct sc_effector *eff,
				    const char *what)
{
	if (run->error && !run->writes_ok) {
		sc_run_end(run, eff, SC_ACTION_OUTCOME_FAILED, run->error, "cgroup.freeze: %s",
			   strerror(-run->error));
		return SC_STEP_DONE;
	}
	sc_run_describe_left(run, eff, is_not_frozen);
	sc_run_end(run, eff, SC_ACTION_OUTCOME_PARTIAL, 0, "not %s in time", what);
	sc_run_add_left(run);
	return SC_STEP_DONE;
}

/* Waiting goes on, or a failed write is tried again. */
static enum sc_action_step look_again(struct sc_action_run *run, uint64_t now_ns, uint64_t *next_ns)
{
	bool must_write = run->error && !run->writes_ok;

	if (must_write && now_ns >= run->retry_at_ns)
		return SC_STEP_APPLY;
	*next_ns = sc_run_next_look(run, now_ns);
	if (must_write)
		*next_ns = SC_MIN(*next_ns, run->retry_at_ns);
	return SC_STEP_AGAIN;
}

/* True when a cgroup above wants to be frozen: then this one stays so, whatever scram does. */
static bool is_frozen_from_above(const struct sc_action_run *run, const struct sc_effector *eff)
{
	const struct sc_effector_ops *ops = eff->ops;
	int fd = ops->open_parent(eff->ctx, run->dir_fd);
	bool wants = false;

	while (fd >= 0) {
		int file_fd = ops->open_file(eff->ctx, fd, "cgroup.freeze", false), up;

		if (file_fd >= 0) {
			if (ops->read_flag(eff->ctx, file_fd, &wants) < 0)
				wants = false;
			ops->close(eff->ctx, file_fd);
		}
		up = wants ? -1 : ops->open_parent(eff->ctx, fd);
		ops->close(eff->ctx, fd);
		fd = up;
	}
	return wants;
}

static enum sc_action_step verify_thawed(struct sc_action_run *run, const struct sc_effector *eff,
					 bool frozen, uint64_t now_ns, uint64_t *next_ns)
{
	bool has_written = run->writes_ok || !run->found_frozen;

	if (has_written && !frozen) {
		sc_run_end(run, eff, SC_ACTION_OUTCOME_THAWED, 0, "thawed");
		return SC_STEP_DONE;
	}
	if (has_written && is_frozen_from_above(run, eff)) {
		sc_run_end(run, eff, SC_ACTION_OUTCOME_THAWED, 0,
			   "taken back; a cgroup above is frozen by another hand");
		return SC_STEP_DONE;
	}
	if (now_ns >= sc_run_deadline(run))
		return end_late(run, eff, "thawed");
	return look_again(run, now_ns, next_ns);
}

static enum sc_action_step freeze_verify(struct sc_action_run *run, const struct sc_effector *eff,
					 uint64_t now_ns, uint64_t *next_ns)
{
	bool populated, frozen;
	int r;

	if (run->phase == SC_RUN_DONE)
		return SC_STEP_DONE;
	SC_ASSERT(run->phase == SC_RUN_ACTED || run->phase == SC_RUN_UNDONE);
	r = eff->ops->read_events(eff->ctx, run->events_fd, &populated, &frozen);
	if (sc_run_is_gone(r)) {
		sc_run_end(run, eff, SC_ACTION_OUTCOME_GONE, 0, "the cgroup is gone");
		return SC_STEP_DONE;
	}
	if (r == 0 && run->phase == SC_RUN_UNDONE)
		return verify_thawed(run, eff, frozen, now_ns, next_ns);
	if (r == 0 && frozen && (run->writes_ok || run->found_frozen))
		return end_frozen(run, eff);
	if (now_ns >= sc_run_deadline(run))
		return end_late(run, eff, run->phase == SC_RUN_UNDONE ? "thawed" : "frozen");
	return look_again(run, now_ns, next_ns);
}

const struct sc_action_ops sc_action_freeze = {
	.kind = SC_ACTION_FREEZE,
	.text = "stop every process of the cgroup, to go on later",
	.is_reversible = true,
	.is_available = true,
	.prepare = freeze_prepare,
	.apply = freeze_apply,
	.verify = freeze_verify,
	.release = freeze_release,
	.reconcile = sc_run_reconcile,
};
