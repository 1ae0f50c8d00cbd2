/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a run that is the same for every kind. The kinds decide; nothing here acts by itself.
 */
#include "action/run.h"

#include "base/clock.h"
#include "base/str.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

/* A signal handler of the hand may interrupt a write; the kernel does not do it today. */
#define WRITE_TRIES_MAX 4
/* First look after a write and the rarest later one: reading cgroup.events costs 2 us. */
#define LOOK_NS_MIN (SC_NS_PER_MS / 10)
#define LOOK_NS_MAX (20 * SC_NS_PER_MS)
/* The grain of /proc/PID/stat field 22. */
#define START_GRAIN_NS (10 * SC_NS_PER_MS)

bool sc_run_is_gone(int err)
{
	return err == -ESTALE || err == -ENODEV || err == -ENOENT;
}

int sc_run_end(struct sc_action_run *run, const struct sc_effector *eff,
	       enum sc_action_outcome outcome, int err, const char *fmt, ...)
{
	va_list ap;

	run->outcome = outcome;
	run->phase = SC_RUN_DONE;
	if (!run->verified_ns)
		run->verified_ns = eff->ops->now_ns(eff->ctx);
	va_start(ap, fmt);
	vsnprintf(run->text, sizeof(run->text), fmt, ap);
	va_end(ap);
	return err;
}

static void close_fd(const struct sc_effector *eff, int *fd)
{
	if (*fd >= 0)
		eff->ops->close(eff->ctx, *fd);
	*fd = -1;
}

static int end_open(struct sc_action_run *run, const struct sc_effector *eff, int err,
		    const char *what)
{
	if (sc_run_is_gone(err))
		return sc_run_end(run, eff, SC_ACTION_OUTCOME_GONE, -ESTALE,
				  "the target is gone: no cgroup has its id");
	return sc_run_end(run, eff, SC_ACTION_OUTCOME_FAILED, err, "%s: %s", what, strerror(-err));
}

/* From a threaded cgroup up to its domain, never above the scope. 0, -EXDEV or -errno. */
static int climb(struct sc_action_run *run, const struct sc_effector *eff)
{
	const struct sc_effector_ops *ops = eff->ops;
	enum sc_cgroup_type type = SC_CGROUP_DOMAIN;
	int r;

	for (;;) {
		int up;

		r = ops->cgroup_type(eff->ctx, run->dir_fd, &type);
		if (r < 0 || type != SC_CGROUP_THREADED)
			return r;
		if (!run->request.scope_root_id || run->acted_id == run->request.scope_root_id)
			return -EXDEV;
		up = ops->open_parent(eff->ctx, run->dir_fd);
		if (up < 0)
			return up;
		close_fd(eff, &run->dir_fd);
		run->dir_fd = up;
		r = ops->cgroup_id(eff->ctx, up, &run->acted_id);
		if (r < 0)
			return r;
	}
}

static int open_files(struct sc_action_run *run, const struct sc_effector *eff,
		      const char *act_file)
{
	const struct sc_effector_ops *ops = eff->ops;
	bool frozen;
	int r;

	run->events_fd = ops->open_file(eff->ctx, run->dir_fd, "cgroup.events", false);
	if (run->events_fd < 0)
		return end_open(run, eff, run->events_fd, "cannot open cgroup.events");
	run->act_fd = ops->open_file(eff->ctx, run->dir_fd, act_file, true);
	/* No such file in a cgroup that still answers: the kernel is too old for it. */
	r = ops->read_events(eff->ctx, run->events_fd, &run->found_populated, &frozen);
	if (r == 0 && run->act_fd == -ENOENT)
		return sc_run_end(run, eff, SC_ACTION_OUTCOME_FAILED, -EOPNOTSUPP,
				  "not available on this host: the kernel has no %s", act_file);
	if (run->act_fd < 0)
		return end_open(run, eff, run->act_fd, "cannot open the file to act through");
	return r < 0 ? end_open(run, eff, r, "cannot read cgroup.events") : 0;
}

int sc_run_open(struct sc_action_run *run, const struct sc_effector *eff, const char *act_file,
		bool climbs)
{
	const struct sc_effector_ops *ops = eff->ops;
	int r;

	run->prepared_ns = ops->now_ns(eff->ctx);
	run->acted_id = run->request.cgroup_id;
	run->dir_fd = ops->open_cgroup(eff->ctx, run->acted_id);
	if (run->dir_fd < 0)
		return end_open(run, eff, run->dir_fd, "cannot open the target");
	r = climbs ? climb(run, eff) : 0;
	if (r == -EXDEV)
		return sc_run_end(run, eff, SC_ACTION_OUTCOME_FAILED, r,
				  "refused: the target is threaded and its domain is out of scope");
	if (r < 0)
		return end_open(run, eff, r, "cannot read cgroup.type");
	if (ops->is_guarded(eff->ctx, run->acted_id))
		return sc_run_end(run, eff, SC_ACTION_OUTCOME_FAILED, -EPERM,
				  "refused: the agent or pid 1 is inside");
	return open_files(run, eff, act_file);
}

int sc_run_write(struct sc_action_run *run, const struct sc_effector *eff, int fd, bool value)
{
	uint64_t begin_ns = eff->ops->now_ns(eff->ctx), end_ns;
	int r = -EINTR;

	atomic_store(&run->write_begin_ns, begin_ns);
	for (unsigned int i = 0; r == -EINTR && i < WRITE_TRIES_MAX; i++)
		r = eff->ops->write_flag(eff->ctx, fd, value);
	end_ns = eff->ops->now_ns(eff->ctx);
	atomic_store(&run->write_end_ns, end_ns);
	if (run->writes++ == 0) {
		run->first_begin_ns = begin_ns;
		run->first_end_ns = end_ns;
	}
	if (r < 0)
		run->error = r;
	else
		run->writes_ok++;
	return r;
}

bool sc_action_is_stuck(const struct sc_action_run *run, uint64_t now_ns)
{
	uint64_t begin_ns = atomic_load(&run->write_begin_ns);

	return begin_ns > atomic_load(&run->write_end_ns) && now_ns > begin_ns &&
	       now_ns - begin_ns > SC_ACTION_STUCK_NS;
}

uint64_t sc_run_deadline(const struct sc_action_run *run)
{
	uint64_t after_ns = run->request.deadline_ns;

	return run->first_begin_ns + (after_ns ? after_ns : SC_ACTION_DEADLINE_NS);
}

uint64_t sc_run_next_look(const struct sc_action_run *run, uint64_t now_ns)
{
	uint64_t since_ns = now_ns > run->first_begin_ns ? now_ns - run->first_begin_ns : 0;
	uint64_t deadline_ns = sc_run_deadline(run);
	uint64_t wait_ns = SC_MAX(since_ns / 4, LOOK_NS_MIN);

	wait_ns = SC_MIN(wait_ns, LOOK_NS_MAX);
	return now_ns + wait_ns < deadline_ns ? now_ns + wait_ns : SC_MAX(deadline_ns, now_ns);
}

/* Describes the first of them; with wants, counts and describes only those it is true for. */
static void describe(struct sc_action_run *run, const struct sc_effector *eff, const pid_t *pids,
		     uint32_t n, bool (*wants)(const struct sc_member *member))
{
	uint32_t looks = wants ? SC_ACTION_BATCH_MAX : SC_ACTION_LEFT_MAX;
	struct sc_member member;

	run->left = wants ? 0 : n;
	run->left_described = 0;
	for (uint32_t i = 0; i < n && i < looks; i++) {
		if (eff->ops->describe_member(eff->ctx, pids[i], &member) < 0)
			continue; /* it died meanwhile */
		if (wants && !wants(&member))
			continue;
		run->left += wants ? 1 : 0;
		if (run->left_described < SC_ACTION_LEFT_MAX)
			run->left_members[run->left_described++] = member;
	}
}

void sc_run_describe_left(struct sc_action_run *run, const struct sc_effector *eff,
			  bool (*wants)(const struct sc_member *member))
{
	pid_t pids[SC_ACTION_MEMBERS_MAX];
	bool is_all;
	int n = eff->ops->list_members(eff->ctx, run->dir_fd, pids, SC_ARRAY_SIZE(pids), &is_all);

	describe(run, eff, pids, n < 0 ? 0 : (uint32_t)n, wants);
}

void sc_run_add_left(struct sc_action_run *run)
{
	size_t len = strlen(run->text);
	struct sc_str s;

	sc_str_init(&s, run->text + len, sizeof(run->text) - len);
	sc_str_addf(&s, "; %u left", run->left);
	for (uint32_t i = 0; i < run->left_described; i++) {
		const struct sc_member *m = &run->left_members[i];

		sc_str_addf(&s, "%s %d (%s) %c", i ? "," : ":", m->pid, m->comm, m->state);
		if (m->wchan[0])
			sc_str_addf(&s, " in %s", m->wchan);
	}
}

int sc_run_reconcile(uint64_t cgroup_id, const struct sc_effector *eff, uint64_t intent_boot_ns,
		     struct sc_action_facts *facts)
{
	const struct sc_effector_ops *ops = eff->ops;
	struct sc_action_facts f = {.exists = true, .is_members_all = true};
	pid_t pids[SC_ACTION_MEMBERS_MAX];
	int dir_fd = -1, events_fd = -1, freeze_fd = -1, n = 0, r;

	dir_fd = r = ops->open_cgroup(eff->ctx, cgroup_id);
	if (r >= 0)
		events_fd = r = ops->open_file(eff->ctx, dir_fd, "cgroup.events", false);
	if (r >= 0)
		r = ops->read_events(eff->ctx, events_fd, &f.populated, &f.frozen);
	if (r >= 0)
		freeze_fd = r = ops->open_file(eff->ctx, dir_fd, "cgroup.freeze", false);
	if (r >= 0)
		r = ops->read_flag(eff->ctx, freeze_fd, &f.wants_frozen);
	if (r >= 0)
		n = r = ops->list_members(eff->ctx, dir_fd, pids, SC_ARRAY_SIZE(pids),
					  &f.is_members_all);
	for (int i = 0; i < n; i++) {
		struct sc_member member;

		if (ops->describe_member(eff->ctx, pids[i], &member) < 0)
			continue; /* it died meanwhile */
		f.members++;
		if (member.start_boot_ns && member.start_boot_ns + START_GRAIN_NS <= intent_boot_ns)
			f.members_older++;
	}
	close_fd(eff, &freeze_fd);
	close_fd(eff, &events_fd);
	close_fd(eff, &dir_fd);
	if (sc_run_is_gone(r))
		f = (struct sc_action_facts){.is_members_all = true};
	else if (r < 0)
		return r;
	*facts = f;
	return 0;
}

static void let_go(struct sc_action_run *run, const struct sc_effector *eff)
{
	for (uint32_t i = 0; i < run->witnesses; i++)
		close_fd(eff, &run->witness_fd[i]);
	close_fd(eff, &run->freeze_fd);
	close_fd(eff, &run->events_fd);
	close_fd(eff, &run->act_fd);
	close_fd(eff, &run->dir_fd);
	if (run->is_marked)
		eff->ops->set_killing(eff->ctx, run->acted_id, false);
	run->is_marked = false;
}

int sc_action_prepare(struct sc_action_run *run, const struct sc_action_request *request,
		      const struct sc_effector *eff)
{
	int r;

	/* Done with nothing held: a prepare that was refused. */
	SC_ASSERT(run->phase == SC_RUN_IDLE || (run->phase == SC_RUN_DONE && run->dir_fd < 0));
	memset(run, 0, sizeof(*run));
	run->request = *request;
	run->ops = sc_action_ops_of(request->kind);
	run->dir_fd = run->act_fd = run->events_fd = run->freeze_fd = -1;
	run->phase = SC_RUN_READY;
	r = run->ops->prepare(run, eff);
	SC_ASSERT((r < 0) == (run->phase == SC_RUN_DONE));
	if (r < 0)
		let_go(run, eff);
	return r;
}

void sc_action_close(struct sc_action_run *run, const struct sc_effector *eff)
{
	if (run->phase != SC_RUN_IDLE)
		let_go(run, eff);
	run->phase = SC_RUN_IDLE;
}
