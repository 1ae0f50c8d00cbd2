/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process-exit: everything in the cgroup dies, by SIGTERM and a grace if asked, then by
 * cgroup.kill, which covers descendants and concurrent forks. Written again while the cgroup is not
 * empty; done is what cgroup.events says, never the write.
 */
#include "action/run.h"

#include <signal.h>

/* SIGTERM is a courtesy, sent once: members beyond these only see the kill. */
#define TERM_MEMBERS_MAX 4096

/* Holds some members, to tell later whether they died here or walked out. */
static void take_witnesses(struct sc_action_run *run, const struct sc_effector *eff,
			   const pid_t *pids)
{
	for (uint32_t i = 0; i < run->members && run->witnesses < SC_ACTION_WITNESS_MAX; i++) {
		int fd = eff->ops->open_member(eff->ctx, pids[i]);

		if (fd < 0)
			continue;
		run->witness_pid[run->witnesses] = pids[i];
		run->witness_fd[run->witnesses++] = fd;
	}
}

/* The target's own cgroup.freeze, also when its domain is killed in its place; -1 when it cannot be
 * had. */
static int open_freeze(struct sc_action_run *run, const struct sc_effector *eff)
{
	int dir_fd = eff->ops->open_cgroup(eff->ctx, run->request.cgroup_id);
	int fd;

	if (dir_fd < 0)
		return -1;
	fd = eff->ops->open_file(eff->ctx, dir_fd, "cgroup.freeze", true);
	eff->ops->close(eff->ctx, dir_fd);
	return SC_MAX(fd, -1);
}

static int kill_prepare(struct sc_action_run *run, const struct sc_effector *eff)
{
	pid_t pids[SC_ACTION_MEMBERS_MAX];
	int r = sc_run_open(run, eff, "cgroup.kill", true);

	if (r < 0)
		return r;
	if (run->request.thaws_after)
		run->freeze_fd = open_freeze(run, eff);
	r = eff->ops->list_members(eff->ctx, run->dir_fd, pids, SC_ARRAY_SIZE(pids),
				   &run->is_members_all);
	/* The count is for people; the kill does not depend on it. */
	run->members = r < 0 ? 0 : (uint32_t)r;
	take_witnesses(run, eff, pids);
	return 0;
}

static void send_terms(struct sc_action_run *run, const struct sc_effector *eff)
{
	pid_t pids[TERM_MEMBERS_MAX];
	bool is_all;
	int n = eff->ops->list_members(eff->ctx, run->dir_fd, pids, SC_ARRAY_SIZE(pids), &is_all);

	for (int i = 0; i < n; i += SC_ACTION_BATCH_MAX) {
		size_t batch = SC_MIN((size_t)(n - i), (size_t)SC_ACTION_BATCH_MAX);
		int sent = eff->ops->signal_members(eff->ctx, run->dir_fd, pids + i, batch,
						    SIGTERM);

		run->terms += sent > 0 ? (uint32_t)sent : 0;
	}
	run->grace_end_ns = eff->ops->now_ns(eff->ctx) + run->request.grace_ns;
}

/* A first write, or one more: the wait for the next doubles each time. */
static void write_kill(struct sc_action_run *run, const struct sc_effector *eff)
{
	sc_run_write(run, eff, run->act_fd, true);
	run->retry_at_ns = eff->ops->now_ns(eff->ctx) +
			   (SC_ACTION_RETRY_NS << SC_MIN(run->writes - 1, 6U));
	run->phase = SC_RUN_ACTED;
}

static void kill_apply(struct sc_action_run *run, const struct sc_effector *eff)
{
	bool frozen;

	if (!run->is_marked)
		eff->ops->set_killing(eff->ctx, run->acted_id, true);
	run->is_marked = true;
	if (run->phase == SC_RUN_THAW) {
		run->has_thawed = eff->ops->write_flag(eff->ctx, run->freeze_fd, false) == 0;
		run->phase = SC_RUN_DONE;
		return;
	}
	SC_ASSERT(run->phase == SC_RUN_READY || run->phase == SC_RUN_GRACE ||
		  run->phase == SC_RUN_ACTED);
	if (run->phase == SC_RUN_READY && run->request.grace_ns) {
		send_terms(run, eff);
		run->phase = SC_RUN_GRACE;
		return;
	}
	/* Who came since prepare is a member too. */
	if (!run->found_populated)
		eff->ops->read_events(eff->ctx, run->events_fd, &run->found_populated, &frozen);
	write_kill(run, eff);
}

/* The cgroup is empty: a witness that lives, lives elsewhere. */
static uint32_t count_escaped(const struct sc_action_run *run, const struct sc_effector *eff)
{
	uint32_t escaped = 0;

	for (uint32_t i = 0; i < run->witnesses; i++)
		if (eff->ops->is_member_alive(eff->ctx, run->witness_fd[i], run->witness_pid[i]))
			escaped++;
	return escaped;
}

/* Ends the run; what scram froze is thawed on this exit too, once nothing in it can run any more.
 */
static enum sc_action_step finish(struct sc_action_run *run)
{
	bool thaws = run->freeze_fd >= 0 && run->outcome != SC_ACTION_OUTCOME_FAILED;

	run->phase = thaws ? SC_RUN_THAW : SC_RUN_DONE;
	return thaws ? SC_STEP_APPLY : SC_STEP_DONE;
}

/* True when scram did something that members die of. */
static bool has_hit(const struct sc_action_run *run)
{
	return run->writes_ok || run->pidfd_kills || run->terms;
}

static enum sc_action_step end_gone(struct sc_action_run *run, const struct sc_effector *eff)
{
	run->killed = has_hit(run) ? run->members : 0;
	sc_run_end(run, eff, SC_ACTION_OUTCOME_GONE, 0, "the cgroup is gone");
	return finish(run);
}

static enum sc_action_step end_empty(struct sc_action_run *run, const struct sc_effector *eff)
{
	bool was_there = run->found_populated, has_left;

	/* What is looked at from here on is not part of the kill. */
	run->verified_ns = eff->ops->now_ns(eff->ctx);
	run->escaped = count_escaped(run, eff);
	has_left = run->witnesses && run->escaped == run->witnesses;
	run->killed = has_hit(run) && !has_left ? run->members - run->escaped : 0;
	if (has_left)
		sc_run_end(run, eff, SC_ACTION_OUTCOME_NOTHING, 0,
			   "killed 0 processes: those watched left the cgroup and live on");
	else if (run->request.was_populated && (!was_there || !has_hit(run)))
		sc_run_end(run, eff, SC_ACTION_OUTCOME_NOTHING, 0,
			   "killed 0 processes: the target was populated at the decision and "
			   "emptied by itself");
	else if (!was_there)
		sc_run_end(run, eff, SC_ACTION_OUTCOME_EMPTIED, 0,
			   "was already empty, killed 0 processes");
	else
		sc_run_end(run, eff, SC_ACTION_OUTCOME_EMPTIED, 0,
			   "emptied; killed %s%u, kill writes %u, pidfd kills %u, SIGTERMs %u",
			   run->is_members_all ? "" : "over ", run->killed, run->writes,
			   run->pidfd_kills, run->terms);
	return finish(run);
}

static enum sc_action_step end_partial(struct sc_action_run *run, const struct sc_effector *eff)
{
	const char *why = run->error ? strerror(-run->error) : "";

	sc_run_describe_left(run, eff, NULL);
	run->killed = run->members > run->left ? run->members - run->left : 0;
	if (has_hit(run))
		sc_run_end(run, eff, SC_ACTION_OUTCOME_PARTIAL, 0, "not empty after %u writes%s%s",
			   run->writes, why[0] ? ", cgroup.kill: " : "", why);
	else
		sc_run_end(run, eff, SC_ACTION_OUTCOME_FAILED, run->error, "cgroup.kill: %s", why);
	sc_run_add_left(run);
	return finish(run);
}

static enum sc_action_step kill_verify(struct sc_action_run *run, const struct sc_effector *eff,
				       uint64_t now_ns, uint64_t *next_ns)
{
	bool populated, frozen;
	int r;

	if (run->phase == SC_RUN_DONE)
		return SC_STEP_DONE;
	SC_ASSERT(run->phase == SC_RUN_GRACE || run->phase == SC_RUN_ACTED);
	r = eff->ops->read_events(eff->ctx, run->events_fd, &populated, &frozen);
	if (sc_run_is_gone(r))
		return end_gone(run, eff);
	if (r == 0 && !populated)
		return end_empty(run, eff);
	if (run->phase == SC_RUN_GRACE) {
		*next_ns = SC_MIN(run->grace_end_ns, now_ns + SC_ACTION_RETRY_NS);
		return now_ns >= run->grace_end_ns ? SC_STEP_APPLY : SC_STEP_AGAIN;
	}
	if (now_ns >= sc_run_deadline(run))
		return end_partial(run, eff);
	/* The kernel refuses the write, whatever the reason: the members can still be killed
	 * singly. */
	if (!run->writes_ok)
		sc_action_kill_members(run, eff);
	if (now_ns >= run->retry_at_ns)
		return SC_STEP_APPLY;
	*next_ns = SC_MIN(sc_run_next_look(run, now_ns), run->retry_at_ns);
	return SC_STEP_AGAIN;
}

int sc_action_kill_members(struct sc_action_run *run, const struct sc_effector *eff)
{
	pid_t pids[SC_ACTION_MEMBERS_MAX], batch[SC_ACTION_BATCH_MAX];
	uint32_t n;
	bool is_all;
	int r;

	SC_ASSERT(run->request.kind == SC_ACTION_PROCESS_EXIT && run->dir_fd >= 0);
	r = eff->ops->list_members(eff->ctx, run->dir_fd, pids, SC_ARRAY_SIZE(pids), &is_all);
	if (r <= 0)
		return sc_run_is_gone(r) ? 0 : r;
	n = SC_MIN((uint32_t)r, (uint32_t)SC_ACTION_BATCH_MAX);
	/* Each batch begins where the last ended: members that cannot die hold up nobody. */
	for (uint32_t i = 0; i < n; i++)
		batch[i] = pids[(run->pidfd_next + i) % (uint32_t)r];
	run->pidfd_next += n;
	r = eff->ops->signal_members(eff->ctx, run->dir_fd, batch, n, SIGKILL);
	if (r > 0)
		run->pidfd_kills += (uint32_t)r;
	return sc_run_is_gone(r) ? 0 : r;
}

const struct sc_action_ops sc_action_process_exit = {
	.kind = SC_ACTION_PROCESS_EXIT,
	.text = "kill every process of the cgroup",
	.is_available = true,
	.prepare = kill_prepare,
	.apply = kill_apply,
	.verify = kill_verify,
	.reconcile = sc_run_reconcile,
};
