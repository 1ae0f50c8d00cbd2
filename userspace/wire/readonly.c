/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/readonly.h"

#include "base/io.h"
#include "base/str.h"
#include "sys/bpf.h"
#include "sys/cgroup.h"
#include "sys/readonly_lsm.h"
#include "sys/readonly_marker.h"
#include "sys/readonly_mounts.h"
#include "sys/try_write.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Processes of one tree that are looked at for their mount namespaces. */
#define PIDS_MAX   16384
#define LEVELS_MAX 128

_Static_assert(SC_READONLY_ROOTS_MAX + SC_READONLY_SPARED_MAX + 2 <= SC_READONLY_MARKS_MAX,
	       "all marks fit the map");
_Static_assert(SC_READONLY_PATHS_MAX + 2 <= SC_READONLY_PLACES_MAX, "all places fit the map");
_Static_assert(SC_READONLY_PATH_MAX == SC_MOUNTS_PATH_MAX, "one form of paths");

struct wire {
	const struct sc_cgroup_fs *fs;
	char run_dir[PATH_MAX], state_dir[PATH_MAX];
	int run_dir_fd;
	bool is_armed;
	int lsm_error; /* of the probe; 0 = the kernel has it */
	char lsm_why[SC_LSM_REASON_MAX];
	/* The hand's after start. */
	struct sc_lsm *lsm;
	struct sc_mounts *mounts;
	struct sc_lsm_mark marks[SC_READONLY_MARKS_MAX];
	struct sc_readonly_place places[SC_READONLY_PLACES_MAX];
	pid_t pids[PIDS_MAX];
};

/* --- what the host can do --- */

static void arm(void *ctx)
{
	struct wire *w = ctx;

	if (w->is_armed)
		return;
	w->lsm_error = sc_lsm_probe(w->lsm_why);
	w->is_armed = true;
}

static enum sc_readonly_way way(void *ctx, bool has_paths, char *why, size_t size)
{
	struct wire *w = ctx;

	why[0] = '\0';
	arm(w);
	if (w->lsm_error == 0)
		return SC_READONLY_LSM;
	if (has_paths) {
		snprintf(why, size, "no BPF LSM (%.100s): the declared paths alone", w->lsm_why);
		return SC_READONLY_MOUNTS;
	}
	snprintf(why, size, "no BPF LSM (%.100s), and no readonly.paths are declared", w->lsm_why);
	return SC_READONLY_NO_WAY;
}

static bool stands(void *ctx)
{
	struct wire *w = ctx;

	return sc_lsm_stands(w->lsm) || sc_mounts_count(w->mounts) > 0 ||
	       sc_marker_exists(w->run_dir_fd);
}

static int fail(struct sc_readonly_report *report, int err, const char *what, const char *text)
{
	report->error = err;
	if (!report->text[0])
		snprintf(report->text, sizeof(report->text), "%s: %.150s", what,
			 text[0] ? text : strerror(-err));
	return err;
}

/* --- by the LSM --- */

static size_t add_mark(struct wire *w, size_t n, uint64_t id, uint32_t level,
		       enum sc_readonly_mark mark)
{
	if (level < SC_READONLY_LEVELS && n < SC_READONLY_MARKS_MAX)
		w->marks[n++] = (struct sc_lsm_mark){id, {mark, level}};
	return n;
}

static const struct sc_readonly_cgroup *root_of(const struct sc_readonly *wish, uint64_t id)
{
	for (uint32_t i = 0; i < wish->n_roots; i++)
		if (wish->roots[i].cgroup_id == id)
			return &wish->roots[i];
	return NULL;
}

/* Where such a process lives in a root itself, what is below that is denied all the same. */
static size_t spare_process(struct wire *w, size_t n, const struct sc_readonly *wish, pid_t pid)
{
	uint64_t ids[LEVELS_MAX];
	int levels = sc_cgroup_ids_of(w->fs, pid, ids, LEVELS_MAX);

	if (levels <= 0 || root_of(wish, ids[0]))
		return n;
	return add_mark(w, n, ids[0], (uint32_t)levels - 1, SC_READONLY_EXEMPT);
}

static bool has_inside(const struct wire *w, uint64_t cgroup_id, pid_t pid)
{
	uint64_t ids[LEVELS_MAX];

	return sc_cgroup_ids_of(w->fs, pid, ids, LEVELS_MAX) > 0 && ids[0] == cgroup_id;
}

/* What is spared comes first, so that it is never denied for an instant. */
static size_t fill_marks(struct wire *w, const struct sc_readonly *wish)
{
	size_t n = 0;

	for (uint32_t i = 0; i < wish->n_spared; i++)
		n = add_mark(w, n, wish->spared[i].cgroup_id, wish->spared[i].level,
			     SC_READONLY_EXEMPT);
	n = spare_process(w, n, wish, getpid());
	n = spare_process(w, n, wish, 1);
	for (uint32_t i = 0; i < wish->n_roots; i++) {
		const struct sc_readonly_cgroup *root = &wish->roots[i];
		bool is_ours = has_inside(w, root->cgroup_id, getpid()) ||
			       has_inside(w, root->cgroup_id, 1) || root->level == 0;

		n = add_mark(w, n, root->cgroup_id, root->level,
			     is_ours ? SC_READONLY_DENY_BELOW : SC_READONLY_DENY);
	}
	return n;
}

/* A declared directory that does not exist keeps nothing writable, and harms nobody. */
static size_t fill_places(struct wire *w, const struct sc_readonly *wish)
{
	size_t n = 0;

	n += sc_lsm_place(w->state_dir, &w->places[n]) == 0;
	n += sc_lsm_place(w->run_dir, &w->places[n]) == 0;
	for (uint32_t i = 0; i < wish->n_allow; i++)
		n += sc_lsm_place(wish->allow[i], &w->places[n]) == 0;
	return n;
}

/* Protected, or beside the agent or pid 1, which write whatever becomes of the rest. */
static bool is_spared(const struct wire *w, const struct sc_readonly *wish, const uint64_t *ids,
		      int n)
{
	if (has_inside(w, ids[0], getpid()) || has_inside(w, ids[0], 1))
		return true;
	for (int i = 0; i < n; i++)
		for (uint32_t k = 0; k < wish->n_spared; k++)
			if (ids[i] == wish->spared[k].cgroup_id)
				return true;
	return false;
}

/* The cgroup of a process that the root denies, other than the agent's and pid 1's; -ENOENT. */
static int open_denied(struct wire *w, const struct sc_readonly *wish, int root_fd)
{
	bool is_all;
	int n = sc_cgroup_members(root_fd, w->pids, PIDS_MAX, &is_all);

	for (int i = 0; i < n; i++) {
		uint64_t ids[LEVELS_MAX];
		int levels = sc_cgroup_ids_of(w->fs, w->pids[i], ids, LEVELS_MAX);

		if (levels <= 0 || is_spared(w, wish, ids, levels))
			continue;
		return sc_cgroup_open(w->fs, ids[0]);
	}
	return -ENOENT;
}

/* One of our own tries to write beside the first process that is there; where there is none, there
 * is nobody to be kept from writing either. */
static int try_as_member(struct wire *w, const struct sc_readonly *wish)
{
	const char *dirs[SC_READONLY_PATHS_MAX + 5];
	size_t n = 0;
	int r = -ENOENT;

	for (uint32_t i = 0; i < wish->n_paths; i++)
		dirs[n++] = wish->paths[i];
	dirs[n++] = "/";
	dirs[n++] = "/var";
	dirs[n++] = "/home";
	dirs[n++] = "/srv";
	dirs[n++] = "/usr";
	for (uint32_t i = 0; i < wish->n_roots && r == -ENOENT; i++) {
		_cleanup_close_ int root_fd = sc_cgroup_open(w->fs, wish->roots[i].cgroup_id);
		_cleanup_close_ int fd = root_fd < 0 ? -1 : open_denied(w, wish, root_fd);

		r = fd < 0 ? -ENOENT : sc_try_write(fd, dirs, n);
	}
	return r;
}

static int set_lsm(struct wire *w, const struct sc_readonly *wish,
		   struct sc_readonly_report *report)
{
	struct sc_lsm_wish lsm = {.marks = w->marks, .places = w->places};
	char reason[SC_LSM_REASON_MAX];
	int r;

	lsm.n_marks = wish->n_roots ? fill_marks(w, wish) : 0;
	lsm.n_places = wish->n_roots ? fill_places(w, wish) : 0;
	r = sc_lsm_set(w->lsm, &lsm, &report->is_repaired, reason);
	if (r < 0)
		return fail(report, r, "BPF LSM", reason);
	if (!wish->n_roots)
		return 0;
	report->is_some = true;
	r = wish->is_kept ? -ENOENT : try_as_member(w, wish);
	report->is_tried = r == 1;
	if (r == 0)
		return fail(report, -EACCES, "BPF LSM", "a write inside was not refused");
	report->holds = true;
	return 0;
}

/* --- by mounts --- */

/* The processes of all roots, but those spared. */
static size_t list_members(struct wire *w, const struct sc_readonly *wish, bool *is_all)
{
	size_t n = 0, kept = 0;

	*is_all = true;
	for (uint32_t i = 0; i < wish->n_roots; i++) {
		_cleanup_close_ int fd = sc_cgroup_open(w->fs, wish->roots[i].cgroup_id);
		bool all = true;
		int got = fd < 0 ? 0 : sc_cgroup_members(fd, w->pids + n, PIDS_MAX - n, &all);

		n += got > 0 ? (size_t)got : 0;
		*is_all = *is_all && all && got >= 0;
	}
	for (size_t i = 0; i < n; i++) {
		uint64_t ids[LEVELS_MAX];
		int levels = sc_cgroup_ids_of(w->fs, w->pids[i], ids, LEVELS_MAX);

		if (levels > 0 && !is_spared(w, wish, ids, levels))
			w->pids[kept++] = w->pids[i];
	}
	return kept;
}

static int set_mounts(struct wire *w, const struct sc_readonly *wish,
		      struct sc_readonly_report *report)
{
	struct sc_mounts_wish mounts = {.pids = w->pids,
					.paths = wish->paths,
					.n_paths = wish->n_paths,
					.keep = {w->state_dir, w->run_dir}};
	struct sc_mounts_result result;
	uint32_t stood = sc_mounts_count(w->mounts);
	bool is_all;
	int r, tried;

	mounts.n_pids = list_members(w, wish, &is_all);
	r = sc_mounts_set(w->mounts, &mounts, &result);
	report->namespaces = result.namespaces;
	report->covers = result.covers;
	report->mounts = sc_mounts_count(w->mounts) - result.covers;
	report->holders = result.holders;
	report->is_some = result.held > 0;
	report->is_repaired = stood > 0 && result.changed > 0 &&
			      stood == sc_mounts_count(w->mounts);
	sc_strcopy(report->text, sizeof(report->text), result.text);
	if (r < 0)
		return fail(report, r, "mounts", "");
	tried = wish->is_kept ? -ENOENT : sc_mounts_try(w->mounts, &mounts);
	report->is_tried = tried == 1;
	if (tried == 0)
		return fail(report, -EACCES, "mounts", "a write inside was not refused");
	if (!is_all)
		return fail(report, -E2BIG, "mounts", "too many processes to look at");
	report->holds = result.holders == 0;
	return 0;
}

static int release_mounts(struct wire *w, struct sc_readonly_report *report)
{
	char text[SC_MOUNTS_TEXT_MAX];
	int r = sc_mounts_release(w->mounts, text);

	return r < 0 ? fail(report, r, "mounts", text) : 0;
}

/* --- the port --- */

static int give_all_back(struct wire *w, struct sc_readonly_report *report)
{
	static const struct sc_readonly nothing;
	int r;

	(void)set_lsm(w, &nothing, report);
	(void)release_mounts(w, report);
	r = sc_marker_clear(w->run_dir_fd);
	if (r < 0)
		fail(report, r, "marker", "");
	return report->error;
}

/* The marker first: a program that starts in this instant is told. */
static int set(void *ctx, const struct sc_readonly *wish, struct sc_readonly_report *report)
{
	struct wire *w = ctx;
	char why[SC_READONLY_TEXT_MAX];
	int r;

	if (wish->n_roots == 0)
		return give_all_back(w, report);
	if (wish->is_cut)
		return fail(report, -E2BIG, "read-only",
			    "too many protected cgroups to spare; protect what is above them");
	report->way = way(w, wish->n_paths > 0, why, sizeof(why));
	if (report->way == SC_READONLY_NO_WAY)
		return fail(report, -EOPNOTSUPP, "read-only", why);
	r = sc_marker_is(w->run_dir_fd, wish->fire_id)
		    ? 0
		    : sc_marker_set(w->run_dir_fd, wish->fire_id);
	if (r < 0)
		(void)fail(report, r, "marker", "");
	r = report->way == SC_READONLY_LSM ? set_lsm(w, wish, report) : set_mounts(w, wish, report);
	if (r < 0 && !report->is_some && sc_mounts_count(w->mounts) == 0 && !sc_lsm_stands(w->lsm))
		(void)sc_marker_clear(w->run_dir_fd);
	report->holds = report->holds && !report->error;
	return report->error;
}

static const struct sc_readonly_ops ops = {.arm = arm, .way = way, .stands = stands, .set = set};

static void wire_free(struct wire *w)
{
	sc_lsm_close(&w->lsm);
	sc_mounts_close(&w->mounts);
	sc_close(&w->run_dir_fd);
	free(w);
}

static int open_wire(struct wire *w, const struct sc_readonly_host *host)
{
	int r = sc_mkdir_p(host->run_dir, 0755);

	w->fs = host->fs;
	if (!sc_strcopy(w->run_dir, sizeof(w->run_dir), host->run_dir) ||
	    !sc_strcopy(w->state_dir, sizeof(w->state_dir), host->state_dir))
		return -ENAMETOOLONG;
	if (r == 0)
		w->run_dir_fd = open(host->run_dir, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (r == 0 && w->run_dir_fd < 0)
		r = -errno;
	if (r == 0)
		r = sc_lsm_open(&w->lsm, host->pin_dir);
	return r == 0 ? sc_mounts_open(&w->mounts, w->run_dir_fd) : r;
}

int sc_readonly_wire_open(const struct sc_readonly_host *host, struct sc_readonly_port *out)
{
	struct wire *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->run_dir_fd = -1;
	r = open_wire(w, host);
	if (r < 0) {
		wire_free(w);
		return r;
	}
	*out = (struct sc_readonly_port){.ops = &ops, .ctx = w};
	return 0;
}

void sc_readonly_wire_close(struct sc_readonly_port *port)
{
	if (port->ctx)
		wire_free(port->ctx);
	*port = (struct sc_readonly_port){0};
}

int sc_readonly_offline_release(const char *run_dir, char *text)
{
	_cleanup_(sc_readonly_wire_close) struct sc_readonly_port port = {0};
	struct sc_readonly_host host = {.run_dir = run_dir, .state_dir = ""};
	struct sc_readonly_report report = {0};
	char pins[SC_BPF_PIN_DIR_MAX];
	int r = sc_bpf_pin_dir(run_dir, pins);

	host.pin_dir = pins;
	text[0] = '\0';
	if (r == 0)
		r = sc_readonly_wire_open(&host, &port);
	if (r < 0)
		return r;
	if (!stands(port.ctx))
		return -ENOENT;
	r = give_all_back(port.ctx, &report);
	sc_strcopy(text, SC_READONLY_TEXT_MAX, report.text);
	return r;
}
