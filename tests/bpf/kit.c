/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

struct kit kit;

void kit_open(const struct sc_bpf_options *options)
{
	struct sc_bpf_options o = *options;
	char reason[SC_BPF_REASON_MAX];
	int err;

	if (!o.root_fd)
		o.root_fd = sc_box.dirfd;
	err = sc_bpf_open(&kit.bpf, &o, reason);
	cr_assert_eq(err, 0, "open: %s: %s", strerror(-err), reason);
	kit.view = sc_bpf_view(kit.bpf);
}

void kit_init(void)
{
	sc_box_init();
	kit_open(&(struct sc_bpf_options){.slots = KIT_SLOTS, .processes = 8192});
}

void kit_fini(void)
{
	sc_bpf_close(&kit.bpf);
	sc_box_fini();
}

void kit_need(enum sc_bpf_part part)
{
	cr_assert(sc_bpf_parts(kit.bpf) & 1U << part, "%s: %s", sc_bpf_part_name(part),
		  sc_bpf_part_reason(kit.bpf, part));
}

int kit_times(int n)
{
	return sc_scaled_ms(1) > 1 ? n / 10 : n;
}

uint32_t kit_slot_of_id(uint64_t cgroup_id)
{
	for (uint32_t slot = 0; slot < kit.view.slots; slot++)
		if (kit.view.nodes[slot].cgroup_id == cgroup_id)
			return slot;
	return SC_SLOT_NONE;
}

uint32_t kit_slot(int cgroup_fd)
{
	return kit_slot_of_id(sc_cgroup_id(cgroup_fd));
}

const struct sc_counts *kit_counts(int cgroup_fd)
{
	uint32_t slot = kit_slot(cgroup_fd);

	cr_assert_neq(slot, SC_SLOT_NONE, "the cgroup has no slot");
	return &kit.view.counts[slot];
}

const struct sc_counts *kit_root_counts(void)
{
	return &kit.view.counts[0];
}

const struct sc_kernel *kit_kernel(int cgroup_fd)
{
	uint32_t slot = kit_slot(cgroup_fd);

	cr_assert_neq(slot, SC_SLOT_NONE, "the cgroup has no slot");
	cr_assert_eq(sc_bpf_pass_cgroups(kit.bpf), 0);
	return &kit.view.kernel[slot];
}

const struct sc_tasks *kit_tasks(int cgroup_fd)
{
	uint32_t slot = kit_slot(cgroup_fd);

	cr_assert_neq(slot, SC_SLOT_NONE, "the cgroup has no slot");
	cr_assert_eq(sc_bpf_pass_tasks(kit.bpf), 0);
	return &kit.view.tasks[slot];
}

int kit_mkdir(const char *name)
{
	int fd = sc_sandbox_mkdir(&sc_box, name);

	cr_assert_geq(fd, 0, "mkdir %s: %s", name, strerror(-fd));
	return fd;
}

int kit_run(int cgroup_fd, int (*fn)(void *arg), void *arg)
{
	pid_t pid = sc_helper_call(cgroup_fd, fn, arg);
	int status = -1;

	cr_assert_gt(pid, 0);
	cr_assert_eq(sc_wait_child(pid, &status, 60000), 0, "the helper did not end");
	return status;
}

void kit_move(int cgroup_fd, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	cr_assert_eq(sc_cgroup_write(cgroup_fd, "cgroup.procs", text), 0);
}

/* The passes notice late what a tracepoint did not tell; an agent runs one a second. */
static void pass_twice(void)
{
	for (int i = 0; i < 3; i++)
		cr_assert_eq(sc_bpf_pass_tasks(kit.bpf), 0);
}

struct awaited {
	const __s64 *value;
	__s64 want;
};

static bool has_value(void *arg)
{
	struct awaited *a = arg;

	return __atomic_load_n(a->value, __ATOMIC_ACQUIRE) == a->want;
}

void kit_wait_value(const __s64 *value, __s64 want, const char *what)
{
	struct awaited a = {value, want};

	if (sc_wait_until(has_value, &a, 30000) == -ETIMEDOUT) {
		pass_twice();
		sc_wait_until(has_value, &a, 30000);
	}
	cr_assert_eq(*value, want, "%s is %lld, not %lld (%llu runs missed)", what, *value, want,
		     (unsigned long long)sc_bpf_health(kit.bpf).programs_missed);
}

void kit_expect_proc(int cgroup_fd, const struct kit_proc *want)
{
	const struct sc_counts *c = kit_counts(cgroup_fd);

	/* A reaped process leaves zombies only after a grace period of RCU. */
	kit_wait_count(c, proc_zombies, want->zombies);
	cr_expect_eq(c->proc_forks, want->forks, "forks %lld, not %lld", c->proc_forks,
		     want->forks);
	cr_expect_eq(c->proc_execs, want->execs, "execs %lld, not %lld", c->proc_execs,
		     want->execs);
	cr_expect_eq(c->proc_exits, want->exits, "exits %lld, not %lld", c->proc_exits,
		     want->exits);
	cr_expect_eq(c->proc_crashes, want->crashes, "crashes %lld, not %lld", c->proc_crashes,
		     want->crashes);
	cr_expect_eq(c->proc_kills, want->kills, "kills %lld, not %lld", c->proc_kills,
		     want->kills);
	cr_expect_eq(c->proc_failures, want->failures, "failures %lld, not %lld", c->proc_failures,
		     want->failures);
	cr_expect_eq(c->proc_unexpected_exits, want->unexpected, "unexpected %lld, not %lld",
		     c->proc_unexpected_exits, want->unexpected);
	cr_expect_eq(c->proc_alive, want->alive, "alive %lld, not %lld", c->proc_alive,
		     want->alive);
	cr_assert_eq(kit.view.stats->processes_full, 0);
}
