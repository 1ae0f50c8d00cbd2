/* SPDX-License-Identifier: Apache-2.0 */
/* The fake world: what the kernel's rules of cgroup v2 are to the actions, in a few lines each. */
#include "harness/fake_effector.h"

#include "base/mem.h"

#include <signal.h>

#define FD_BASE   1000
#define STEPS_MAX 10000

/* Counts the call; the error it must fail with, or 0. */
static int fails(struct sc_fake *fake)
{
	fake->calls++;
	if (!fake->fail_at || fake->calls < fake->fail_at)
		return 0;
	return fake->calls == fake->fail_at || fake->fails_for_ever ? fake->fail_error : 0;
}

static struct sc_fake_fd *fd_of(struct sc_fake *fake, int fd)
{
	SC_ASSERT(fd >= FD_BASE && fd < FD_BASE + SC_FAKE_FDS_MAX);
	SC_ASSERT(fake->fds[fd - FD_BASE].is_open);
	return &fake->fds[fd - FD_BASE];
}

static int take_fd(struct sc_fake *fake, enum sc_fake_file file, int cgroup, pid_t pid)
{
	for (int i = 0; i < SC_FAKE_FDS_MAX; i++) {
		if (fake->fds[i].is_open)
			continue;
		fake->fds[i] = (struct sc_fake_fd){true, file, cgroup, pid};
		return FD_BASE + i;
	}
	return -EMFILE;
}

static bool is_below(const struct sc_fake *fake, int cgroup, int top)
{
	for (; cgroup >= 0; cgroup = fake->cgroups[cgroup].parent)
		if (cgroup == top)
			return true;
	return false;
}

static struct sc_fake_member *member_of(struct sc_fake *fake, pid_t pid)
{
	for (int i = 0; i < SC_FAKE_MEMBERS_MAX; i++)
		if (fake->members[i].pid == pid)
			return &fake->members[i];
	return NULL;
}

static int cgroup_by_id(const struct sc_fake *fake, uint64_t id)
{
	for (int i = 0; i < SC_FAKE_CGROUPS_MAX; i++)
		if (fake->cgroups[i].exists && fake->cgroups[i].id == id)
			return i;
	return -ESTALE;
}

static int fake_open_cgroup(void *ctx, uint64_t id)
{
	int r = fails(ctx), cgroup = cgroup_by_id(ctx, id);

	if (r < 0 || cgroup < 0)
		return r < 0 ? r : cgroup;
	return take_fd(ctx, SC_FAKE_DIR, cgroup, 0);
}

static int fake_open_parent(void *ctx, int cgroup_fd)
{
	struct sc_fake *fake = ctx;
	int r = fails(fake), parent = fake->cgroups[fd_of(fake, cgroup_fd)->cgroup].parent;

	if (r < 0 || parent < 0)
		return r < 0 ? r : -ENOENT;
	return take_fd(fake, SC_FAKE_DIR, parent, 0);
}

static int fake_open_file(void *ctx, int cgroup_fd, const char *name, bool writes)
{
	struct sc_fake *fake = ctx;
	int r = fails(fake), at = fd_of(fake, cgroup_fd)->cgroup;
	enum sc_fake_file file;

	(void)writes;
	if (r < 0)
		return r;
	if (!fake->cgroups[at].exists)
		return -ENOENT;
	if (!strcmp(name, "cgroup.kill"))
		file = SC_FAKE_KILL;
	else if (!strcmp(name, "cgroup.freeze"))
		file = SC_FAKE_FREEZE;
	else
		file = SC_FAKE_EVENTS;
	if (file == SC_FAKE_KILL && fake->cgroups[at].lacks_kill)
		return -ENOENT;
	return take_fd(fake, file, at, 0);
}

static void fake_close(void *ctx, int fd)
{
	fd_of(ctx, fd)->is_open = false;
}

static int fake_cgroup_id(void *ctx, int cgroup_fd, uint64_t *id)
{
	struct sc_fake *fake = ctx;

	*id = fake->cgroups[fd_of(fake, cgroup_fd)->cgroup].id;
	return fails(fake);
}

static int fake_cgroup_type(void *ctx, int cgroup_fd, enum sc_cgroup_type *type)
{
	struct sc_fake *fake = ctx;

	*type = fake->cgroups[fd_of(fake, cgroup_fd)->cgroup].type;
	return fails(fake);
}

static bool fake_is_guarded(void *ctx, uint64_t id)
{
	const struct sc_fake *fake = ctx;
	int cgroup = cgroup_by_id(fake, id);

	return cgroup >= 0 && fake->cgroups[cgroup].is_guarded;
}

static int fake_read_events(void *ctx, int events_fd, bool *populated, bool *frozen)
{
	struct sc_fake *fake = ctx;
	int r = fails(fake), at = fd_of(fake, events_fd)->cgroup;

	if (r < 0)
		return r;
	if (!fake->cgroups[at].exists)
		return -ENODEV;
	*populated = sc_fake_alive(fake, at) > 0;
	*frozen = sc_fake_is_frozen(fake, at);
	return 0;
}

static int fake_read_flag(void *ctx, int fd, bool *value)
{
	struct sc_fake *fake = ctx;
	int r = fails(fake), at = fd_of(fake, fd)->cgroup;

	if (r < 0)
		return r;
	if (!fake->cgroups[at].exists)
		return -ENODEV;
	*value = fake->cgroups[at].wants_frozen;
	return 0;
}

static void kill_below(struct sc_fake *fake, int top)
{
	for (int i = 0; i < SC_FAKE_MEMBERS_MAX; i++) {
		struct sc_fake_member *m = &fake->members[i];

		if (m->is_alive && is_below(fake, m->cgroup, top) && !m->is_unkillable)
			m->is_alive = false;
	}
}

static int write_error(struct sc_fake *fake, const struct sc_fake_cgroup *cgroup)
{
	int r = fails(fake);

	if (r < 0)
		return r;
	if (!cgroup->exists)
		return -ENODEV;
	if (!fake->write_error)
		return 0;
	r = fake->write_error;
	if (fake->write_errors && --fake->write_errors == 0)
		fake->write_error = 0;
	return r;
}

static int fake_write_flag(void *ctx, int fd, bool value)
{
	struct sc_fake *fake = ctx;
	struct sc_fake_fd *f = fd_of(fake, fd);
	struct sc_fake_cgroup *cgroup = &fake->cgroups[f->cgroup];
	int r;

	if (fake->during_write)
		fake->during_write(fake, fake->during_write_arg);
	r = write_error(fake, cgroup);
	if (r < 0)
		return r;
	if (f->file == SC_FAKE_FREEZE) {
		*(value ? &fake->freeze_writes : &fake->thaw_writes) += 1;
		cgroup->wants_frozen = value;
		return 0;
	}
	SC_ASSERT(f->file == SC_FAKE_KILL && value);
	if (cgroup->type == SC_CGROUP_THREADED)
		return -EOPNOTSUPP;
	fake->kill_writes++;
	if (fake->kills_nothing)
		fake->kills_nothing--;
	else
		kill_below(fake, f->cgroup);
	return 0;
}

static int fake_list_members(void *ctx, int cgroup_fd, pid_t *pids, size_t max, bool *is_all)
{
	struct sc_fake *fake = ctx;
	int r = fails(fake), at = fd_of(fake, cgroup_fd)->cgroup;
	size_t n = 0;

	if (r < 0)
		return r;
	if (!fake->cgroups[at].exists)
		return -ENODEV;
	*is_all = true;
	for (int i = 0; i < SC_FAKE_MEMBERS_MAX; i++) {
		const struct sc_fake_member *m = &fake->members[i];

		if (!m->is_alive || !is_below(fake, m->cgroup, at))
			continue;
		if (n < max)
			pids[n++] = m->pid;
		else
			*is_all = false;
	}
	return (int)n;
}

static int fake_describe_member(void *ctx, pid_t pid, struct sc_member *member)
{
	struct sc_fake *fake = ctx;
	const struct sc_fake_member *m = member_of(fake, pid);
	int r = fails(fake);

	if (r < 0)
		return r;
	if (!m || !m->is_alive)
		return -ESRCH;
	*member = (struct sc_member){
		.pid = pid,
		.state = m->is_unkillable ? 'D' : 'S',
		.comm = "fake",
		.start_boot_ns = m->start_boot_ns,
	};
	if (m->is_unkillable)
		memcpy(member->wchan, "pipe_write", sizeof("pipe_write"));
	return 0;
}

static int fake_open_member(void *ctx, pid_t pid)
{
	struct sc_fake *fake = ctx;
	int r = fails(fake);

	if (r < 0)
		return r;
	return member_of(fake, pid) ? take_fd(fake, SC_FAKE_PIDFD, -1, pid) : -ESRCH;
}

static bool fake_is_member_alive(void *ctx, int pidfd, pid_t pid)
{
	SC_ASSERT(fd_of(ctx, pidfd)->pid == pid);
	return member_of(ctx, pid)->is_alive;
}

static bool signal_one(struct sc_fake *fake, struct sc_fake_member *m, int top, int sig)
{
	if (!m || !m->is_alive || m->is_protected || !is_below(fake, m->cgroup, top))
		return false;
	*(sig == SIGTERM ? &fake->terms : &fake->sigkills) += 1;
	if (!m->is_unkillable && (sig == SIGKILL || !m->ignores_term))
		m->is_alive = false;
	return true;
}

static int fake_signal_members(void *ctx, int cgroup_fd, const pid_t *pids, size_t n, int sig)
{
	struct sc_fake *fake = ctx;
	int r = fails(fake), top = fd_of(fake, cgroup_fd)->cgroup, sent = 0;

	SC_ASSERT(n <= SC_ACTION_BATCH_MAX);
	if (r < 0)
		return r;
	if (!fake->cgroups[top].exists)
		return -ENODEV;
	for (size_t i = 0; i < n; i++)
		sent += signal_one(fake, member_of(fake, pids[i]), top, sig);
	return sent;
}

static void fake_set_killing(void *ctx, uint64_t id, bool is_killing)
{
	struct sc_fake *fake = ctx;

	(void)id;
	*(is_killing ? &fake->marks : &fake->unmarks) += 1;
}

static uint64_t fake_now_ns(void *ctx)
{
	struct sc_fake *fake = ctx;

	return fake->now_ns;
}

void sc_fake_init(struct sc_fake *fake)
{
	*fake = (struct sc_fake){.now_ns = 1000000000, .next_pid = 100};
	sc_fake_add_cgroup(fake, -1, 1);
	fake->cgroups[0].is_guarded = true;
}

int sc_fake_add_cgroup(struct sc_fake *fake, int parent, uint64_t id)
{
	int i = 0;

	while (fake->cgroups[i].id)
		SC_ASSERT(++i < SC_FAKE_CGROUPS_MAX);
	fake->cgroups[i] = (struct sc_fake_cgroup){.id = id, .parent = parent, .exists = true};
	return i;
}

int sc_fake_add_members(struct sc_fake *fake, int cgroup, unsigned int n)
{
	int first = 0;

	while (fake->members[first].pid)
		SC_ASSERT(++first < SC_FAKE_MEMBERS_MAX);
	SC_ASSERT(first + (int)n <= SC_FAKE_MEMBERS_MAX);
	for (unsigned int i = 0; i < n; i++)
		fake->members[first + (int)i] = (struct sc_fake_member){
			.pid = fake->next_pid++,
			.cgroup = cgroup,
			.is_alive = true,
			.start_boot_ns = fake->now_ns,
		};
	return first;
}

unsigned int sc_fake_alive(const struct sc_fake *fake, int cgroup)
{
	unsigned int n = 0;

	for (int i = 0; i < SC_FAKE_MEMBERS_MAX; i++)
		if (fake->members[i].is_alive && is_below(fake, fake->members[i].cgroup, cgroup))
			n++;
	return n;
}

unsigned int sc_fake_open_fds(const struct sc_fake *fake)
{
	unsigned int n = 0;

	for (int i = 0; i < SC_FAKE_FDS_MAX; i++)
		n += fake->fds[i].is_open;
	return n;
}

bool sc_fake_is_frozen(const struct sc_fake *fake, int cgroup)
{
	bool wants = false;

	for (int at = cgroup; at >= 0; at = fake->cgroups[at].parent)
		wants |= fake->cgroups[at].wants_frozen;
	for (int i = 0; wants && i < SC_FAKE_MEMBERS_MAX; i++) {
		const struct sc_fake_member *m = &fake->members[i];

		if (m->is_alive && m->is_unkillable && is_below(fake, m->cgroup, cgroup))
			return false;
	}
	return wants;
}

unsigned int sc_fake_drive(struct sc_fake *fake, struct sc_action_run *run, bool releases)
{
	struct sc_effector eff = sc_fake_effector(fake);

	(releases ? run->ops->release : run->ops->apply)(run, &eff);
	for (unsigned int steps = 1; steps < STEPS_MAX; steps++) {
		uint64_t next_ns = 0;

		switch (run->ops->verify(run, &eff, fake->now_ns, &next_ns)) {
		case SC_STEP_APPLY:
			run->ops->apply(run, &eff);
			break;
		case SC_STEP_AGAIN:
			SC_ASSERT(next_ns > fake->now_ns);
			fake->now_ns = next_ns;
			break;
		case SC_STEP_DONE:
		case SC_STEP_COUNT:
			return steps;
		}
	}
	SC_ASSERT(!"the run never ends");
	return 0;
}

static const struct sc_effector_ops fake_ops = {
	.open_cgroup = fake_open_cgroup,
	.open_parent = fake_open_parent,
	.open_file = fake_open_file,
	.close = fake_close,
	.cgroup_id = fake_cgroup_id,
	.cgroup_type = fake_cgroup_type,
	.is_guarded = fake_is_guarded,
	.read_events = fake_read_events,
	.read_flag = fake_read_flag,
	.write_flag = fake_write_flag,
	.list_members = fake_list_members,
	.describe_member = fake_describe_member,
	.open_member = fake_open_member,
	.is_member_alive = fake_is_member_alive,
	.signal_members = fake_signal_members,
	.set_killing = fake_set_killing,
	.now_ns = fake_now_ns,
};

struct sc_effector sc_fake_effector(struct sc_fake *fake)
{
	return (struct sc_effector){.ops = &fake_ops, .ctx = fake};
}
