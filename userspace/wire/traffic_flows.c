/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends the connections that a cut found established: those of sockets made in its cgroups, and
 * those that its processes hold though they were made elsewhere, which no rule can tell apart.
 */
#include "wire/traffic_impl.h"

#include <errno.h>
#include <string.h>

/* Sockets held by the processes of one cut that are looked at, and its processes per cgroup. */
#define HELD_MAX    16384
#define PIDS_MAX    4096
#define ANSWERS_MAX 4096 /* a power of two */

/* One cut on its way through the namespaces. Whether a cgroup belongs to it is asked for each
 * socket of a namespace, so the answers are kept. */
struct sc_traffic_flows {
	const struct sc_traffic_wire *w;
	const struct sc_cut *cut;
	struct sc_held_sockets held;
	struct sc_sockdiag_want want;
	struct sc_sockdiag_result result;
	struct sc_netns_list list;
	uint64_t ids[SC_CUT_MEMBERS_MAX];
	uint32_t inodes[HELD_MAX];
	pid_t pids[PIDS_MAX];
	struct {
		uint64_t cgroup_id;
		bool owns;
	} answers[ANSWERS_MAX];
};

static bool owns(void *ctx, uint64_t cgroup_id)
{
	struct sc_traffic_flows *f = ctx;
	struct sc_gate *gate = atomic_load(&f->w->gate);
	size_t at = (size_t)((cgroup_id * 0x9e3779b97f4a7c15ULL) >> 52);
	struct sc_gate_entry entry;

	_Static_assert(ANSWERS_MAX == 1 << (64 - 52), "what the shift leaves");
	if (f->answers[at].cgroup_id == cgroup_id)
		return f->answers[at].owns;
	f->answers[at].cgroup_id = cgroup_id;
	f->answers[at].owns = sc_traffic_is_below(f->w, f->cut->members, f->cut->n_members,
						  cgroup_id);
	/* A removed cgroup has no place any more, but the gate remembers whose it was. */
	if (!f->answers[at].owns && gate && sc_gate_look(gate, cgroup_id, &entry) == 0)
		f->answers[at].owns = entry.cut == f->cut->number;
	return f->answers[at].owns;
}

/* True while the process is in the cgroup of that path or below it. */
static bool is_in(pid_t pid, const char *path)
{
	char now[PATH_MAX];
	size_t n = strlen(path);

	return sc_cgroup_path_of(pid, now, sizeof(now)) == 0 && strncmp(now, path, n) == 0 &&
	       (now[n] == '\0' || now[n] == '/');
}

/* Gathers what sockets the processes of one member hold. */
static int hold_member(struct sc_traffic_flows *f, uint64_t cgroup_id)
{
	_cleanup_close_ int fd = sc_cgroup_open(f->w->host.fs, cgroup_id);
	char path[PATH_MAX];
	bool is_all;
	int n = fd < 0 ? fd : sc_cgroup_path(f->w->host.fs, fd, path, sizeof(path));

	if (n == 0)
		n = sc_cgroup_members(fd, f->pids, PIDS_MAX, &is_all);
	if (n < 0)
		return n == -ESTALE || n == -ENOENT || n == -ENODEV ? 0 : n;
	f->held.is_short |= !is_all;
	for (int i = 0; i < n; i++) {
		size_t before = f->held.n;
		int r = sc_held_sockets_add(&f->held, f->pids[i]);

		/* Gone, and the number perhaps another's by now. */
		if (r == -ESRCH || !is_in(f->pids[i], path))
			f->held.n = before;
		else if (r < 0)
			return r;
	}
	return 0;
}

static int gather(struct sc_traffic_flows *f)
{
	int first = 0;

	f->held = (struct sc_held_sockets){.inodes = f->inodes, .max = HELD_MAX};
	for (uint32_t i = 0; i < f->cut->n_members; i++) {
		int r = hold_member(f, f->cut->members[i].cgroup_id);

		f->ids[i] = f->cut->members[i].cgroup_id;
		first = first < 0 ? first : r;
	}
	sc_held_sockets_sort(&f->held);
	sc_netns_list_init(&f->list);
	f->want = (struct sc_sockdiag_want){.cgroup_ids = f->ids,
					    .n_cgroup_ids = f->cut->n_members,
					    .owns = owns,
					    .ctx = f,
					    .held = &f->held,
					    .udp = true};
	return first < 0
		       ? first
		       : sc_traffic_list_spaces(f->w, f->cut->members, f->cut->n_members, &f->list);
}

static int end_in(struct sc_traffic_flows *f, int netns_fd, char *reason)
{
	struct sc_sockdiag *diag = NULL;
	int r = sc_sockdiag_open(&diag, netns_fd, reason);

	if (r == 0)
		r = sc_sockdiag_end(diag, &f->want, &f->result);
	if (r < 0 && !reason[0])
		snprintf(reason, SC_SOCKDIAG_REASON_MAX, "%s", strerror(-r));
	sc_sockdiag_close(&diag);
	return r;
}

static int end_everywhere(struct sc_traffic_flows *f, struct sc_cut_report *report)
{
	char reason[SC_SOCKDIAG_REASON_MAX] = "";
	int first = end_in(f, -1, reason);

	if (first < 0)
		sc_traffic_fail(report, first, "connections: %s", reason);
	for (uint32_t i = 0; i < f->list.n; i++) {
		_cleanup_close_ int fd = -1;
		int r;

		if (f->list.found[i].inode == f->w->own_space)
			continue;
		fd = sc_netns_open(f->list.found[i].pid, f->list.found[i].inode);
		if (fd == -ESRCH || fd == -ESTALE)
			continue; /* it has ended, and its sockets with it */
		reason[0] = '\0';
		r = fd < 0 ? fd : end_in(f, fd, reason);
		if (r < 0)
			sc_traffic_fail(report, r, "connections in net:[%llu]: %s",
					(unsigned long long)f->list.found[i].inode,
					reason[0] ? reason : strerror(-r));
		first = first < 0 ? first : r;
	}
	return first;
}

struct sc_traffic_flows *sc_traffic_flows_new(void)
{
	return calloc(1, sizeof(struct sc_traffic_flows));
}

int sc_traffic_end_flows(void *ctx, const struct sc_cut *cut, struct sc_cut_report *report)
{
	struct sc_traffic_wire *w = ctx;
	struct sc_traffic_flows *f = w->flows;
	int r, ended;

	if (cut->mode != SC_CUT_DROP && cut->mode != SC_CUT_REFUSE_ALL)
		return 0;
	memset(f->answers, 0, sizeof(f->answers));
	f->result = (struct sc_sockdiag_result){0};
	f->w = w;
	f->cut = cut;
	r = gather(f);
	if (r < 0)
		sc_traffic_fail(report, r, "connections: cannot list processes: %s", strerror(-r));
	ended = end_everywhere(f, report);
	report->flows_ended += f->result.ended;
	report->flows_left = f->result.left;
	report->foreign += f->result.foreign;
	if (f->held.is_short && !report->text[0])
		snprintf(report->text, sizeof(report->text),
			 "connections: more processes or sockets than can be looked at");
	return r < 0 ? r : ended;
}
