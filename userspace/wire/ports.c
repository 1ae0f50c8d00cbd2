/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's ports on the real world: the one place where sys/ and engine/ meet. */
#include "wire/effector.h"
#include "engine/ports.h"
#include "wire/notify.h"
#include "wire/processes.h"
#include "wire/readonly.h"
#include "wire/traffic.h"
#include "sys/bpf.h"
#include "sys/cgroup.h"
#include "sys/priv.h"

#include "base/io.h"
#include "base/str.h"

#include <scram/signal.h>

#include <fcntl.h>
#include <string.h>

/* Slots: twice the cgroups there are, at least this many, at most what the configuration allows. */
#define SLOTS_MIN 8192U
/* Processes alive or unreaped that BPF remembers: as many as the host allows at all, so that no
 * tenant can fill the table and spoil the counts of others; 20 MiB of kernel memory at the most. */
#define PROCESSES_MIN 65536U
#define PROCESSES_MAX 262144U
/* The agent's cgroup and its ancestors, and pid 1's. */
#define OWN_IDS_MAX 128

struct wire {
	struct sc_ports ports;
	struct sc_cgroup_fs fs;
	int root_fd;
	struct sc_processes_host processes;
	char root_path[PATH_MAX];
	struct sc_bpf *bpf;
	struct sc_effector_host host;
	struct sc_notify_host notify;
	struct sc_privileges privileges;
	struct sc_feature_report features[SC_FEATURE_COUNT];
	uint64_t own_ids[OWN_IDS_MAX];
};

static const struct {
	enum sc_bpf_part part;
	enum sc_feature feature;
} parts[] = {
	{SC_BPF_PROC, SC_FEATURE_PROC},
	{SC_BPF_OOM, SC_FEATURE_OOM},
	{SC_BPF_TCP, SC_FEATURE_TCP},
	{SC_BPF_TENANT, SC_FEATURE_TENANT},
	{SC_BPF_CGROUPS, SC_FEATURE_CGROUP_ITER},
	{SC_BPF_TASKS, SC_FEATURE_TASK_ITER},
};

static unsigned int drain(void *ctx, struct sc_wake *out, unsigned int max)
{
	struct wire *w = ctx;
	int n = sc_bpf_drain(w->bpf, out, max);

	return n > 0 ? (unsigned int)n : 0;
}

static int pass_cgroups(void *ctx)
{
	struct wire *w = ctx;

	return sc_bpf_pass_cgroups(w->bpf);
}

static int pass_tasks(void *ctx, uint64_t *pass)
{
	struct wire *w = ctx;
	uint64_t when;
	int r = sc_bpf_pass_tasks(w->bpf);

	*pass = sc_bpf_tasks_pass(w->bpf, &when);
	return r;
}

static void recycle(void *ctx, const uint32_t *slots, size_t n)
{
	struct wire *w = ctx;

	(void)sc_bpf_recycle(w->bpf, slots, n, NULL);
}
_Static_assert(SC_RECYCLE_MAX <= SC_BPF_RECYCLE_MAX, "one call takes what the engine gives");

static int path_of(void *ctx, uint64_t cgroup_id, char *buf, size_t size)
{
	struct wire *w = ctx;
	_cleanup_close_ int fd = sc_cgroup_open(&w->fs, cgroup_id);

	return fd < 0 ? fd : sc_cgroup_path(&w->fs, fd, buf, size);
}

static int find(void *ctx, const char *path, struct sc_found_cgroup *out)
{
	struct wire *w = ctx;
	_cleanup_close_ int fd = sc_cgroup_open_path(&w->fs, path);
	int r = fd < 0 ? fd : sc_cgroup_id_of(fd, &out->cgroup_id);

	if (r == 0)
		r = sc_cgroup_path(&w->fs, fd, out->path, sizeof(out->path));
	if (r < 0)
		return r;
	out->slot = sc_bpf_slot_of(w->bpf, out->cgroup_id);
	return out->slot < w->ports.kernel.slots &&
			       w->ports.kernel.nodes[out->slot].cgroup_id == out->cgroup_id
		       ? 0
		       : -ENOENT;
}

static void set_tenant(void *ctx, uint32_t slot, uint64_t cgroup_id, uint32_t tenant)
{
	struct wire *w = ctx;

	(void)sc_bpf_set_tenant(w->bpf, slot, cgroup_id, tenant);
}

static void set_killing(void *ctx, uint64_t cgroup_id, bool is_killing)
{
	struct wire *w = ctx;
	uint32_t slot = sc_bpf_slot_of(w->bpf, cgroup_id);

	if (slot != SC_SLOT_NONE)
		(void)sc_bpf_set_killing(w->bpf, slot, cgroup_id, is_killing);
}

static void settle(void *ctx)
{
	struct wire *w = ctx;

	sc_priv_reduce(&w->privileges);
}

static void become_fifo(void *ctx, bool is_hand)
{
	struct wire *w = ctx;

	(void)sc_priv_fifo(&w->privileges,
			   is_hand ? SC_PRIVILEGE_HAND_FIFO : SC_PRIVILEGE_LOOP_FIFO);
}

static size_t list_privileges(void *ctx, struct sc_privilege_report *out, size_t max)
{
	struct wire *w = ctx;
	size_t n = 0;

	for (int i = 0; i < SC_PRIVILEGE_COUNT && n < max; i++)
		if (w->privileges.rows[i].asked)
			out[n++] = (struct sc_privilege_report){
				.name = sc_privilege_name((enum sc_privilege)i),
				.loss = sc_privilege_loss((enum sc_privilege)i),
				.fix = sc_privilege_fix((enum sc_privilege)i),
				.error = w->privileges.rows[i].error,
			};
	return n;
}

static int find_cgroups(struct wire *w, const char *cgroup_root, char *why, size_t size)
{
	int r = sc_cgroup_fs_open(&w->fs, cgroup_root);

	if (r < 0) {
		snprintf(why, size, "%s: %s; scram needs cgroup v2 (mount -t cgroup2 none DIR)",
			 cgroup_root ? cgroup_root : "no cgroup2 mount in /proc/self/mountinfo",
			 strerror(-r));
		return r;
	}
	w->root_fd = open(cgroup_root ? cgroup_root : w->fs.mount,
			  O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (w->root_fd < 0)
		r = -errno;
	else
		r = sc_cgroup_path(&w->fs, w->root_fd, w->root_path, sizeof(w->root_path));
	if (r < 0)
		snprintf(why, size, "%s: %s", cgroup_root ? cgroup_root : w->fs.mount,
			 strerror(-r));
	return r;
}

/* nr_descendants of cgroup.stat: how many cgroups there are already. */
static uint32_t count_cgroups(int root_fd)
{
	char text[1024];
	const char *at;

	if (sc_read_file_at(root_fd, "cgroup.stat", text, sizeof(text)) < 0)
		return 0;
	at = strstr(text, "nr_descendants ");
	return at ? (uint32_t)strtoul(at + strlen("nr_descendants "), NULL, 10) : 0;
}

static bool has_controller(int root_fd, const char *controller)
{
	char text[1024];
	size_t n = strlen(controller);

	if (sc_read_file_at(root_fd, "cgroup.controllers", text, sizeof(text)) < 0)
		return false;
	for (const char *at = text; (at = strstr(at, controller)); at += n)
		if ((at == text || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\n' || !at[n]))
			return true;
	return false;
}

static uint32_t count_processes_allowed(void)
{
	char text[32];
	unsigned long n;

	if (sc_read_file_at(AT_FDCWD, "/proc/sys/kernel/threads-max", text, sizeof(text)) < 0)
		return PROCESSES_MAX;
	n = SC_MIN(strtoul(text, NULL, 10), (unsigned long)PROCESSES_MAX);
	return SC_MAX((uint32_t)n, PROCESSES_MIN);
}

static int start_bpf(struct wire *w, const struct sc_run_options *options, uint32_t targets_max,
		     char *why, size_t size)
{
	char pins[SC_BPF_PIN_DIR_MAX];
	char reason[SC_BPF_REASON_MAX];
	uint32_t wanted = SC_MAX(count_cgroups(w->root_fd) * 2, SLOTS_MIN);
	uint32_t allowed = SC_MIN(targets_max, SC_BPF_SLOTS_MAX);
	struct sc_bpf_options bpf = {
		.root_fd = w->root_fd,
		.slots = SC_MIN(wanted, allowed),
		.processes = count_processes_allowed(),
	};
	int r = sc_bpf_pin_dir(options->run_dir, pins);

	if (r < 0) {
		snprintf(why, size, "no place to pin BPF maps: %s; mount -t bpf bpf /sys/fs/bpf",
			 strerror(-r));
		return r;
	}
	bpf.pin_dir = pins;
	r = sc_bpf_open(&w->bpf, &bpf, reason);
	if (r < 0)
		snprintf(why, size, "BPF: %s", reason);
	return r;
}

static void add_feature(struct wire *w, enum sc_feature feature, const char *reason)
{
	bool on = reason[0] == '\0';

	w->features[w->ports.n_features++] = (struct sc_feature_report){
		.name = sc_feature_name(feature), .attached = on, .reason = reason};
	if (on)
		w->ports.kernel.features |= SC_FEATURE_BIT(feature);
}

/* Its signals come through an iterator, where the controller is on cgroup v2. */
static void add_controller(struct wire *w, const char *controller, enum sc_feature feature,
			   enum sc_bpf_part part)
{
	const char *reason = sc_bpf_part_reason(w->bpf, part);

	if (!reason[0] && !has_controller(w->root_fd, controller))
		reason = "cgroup.controllers of the supervised root does not name it: it is not "
			 "mounted, or bound to cgroup v1";
	add_feature(w, feature, reason);
}

/* The kernel keeps none where its directory is missing: psi=0, or built without. */
static void add_pressure(struct wire *w)
{
	const char *reason = sc_bpf_part_reason(w->bpf, SC_BPF_CGROUPS);

	if (!reason[0] && access("/proc/pressure", F_OK) < 0)
		reason = "this kernel does not measure pressure (/proc/pressure is not there): "
			 "boot with psi=1";
	add_feature(w, SC_FEATURE_PSI, reason);
}

static void list_features(struct wire *w)
{
	uint32_t attached = sc_bpf_parts(w->bpf);

	for (size_t i = 0; i < SC_ARRAY_SIZE(parts); i++) {
		bool on = attached & (1U << parts[i].part);

		w->features[i] = (struct sc_feature_report){
			.name = sc_feature_name(parts[i].feature),
			.attached = on,
			.reason = sc_bpf_part_reason(w->bpf, parts[i].part),
		};
		if (on)
			w->ports.kernel.features |= SC_FEATURE_BIT(parts[i].feature);
	}
	w->ports.features = w->features;
	w->ports.n_features = SC_ARRAY_SIZE(parts);
	add_controller(w, "memory", SC_FEATURE_MEMORY, SC_BPF_CGROUPS);
	add_controller(w, "pids", SC_FEATURE_PIDS, SC_BPF_CGROUPS);
	add_controller(w, "cpu", SC_FEATURE_CPU, SC_BPF_CGROUPS);
	add_controller(w, "io", SC_FEATURE_IO, SC_BPF_IO);
	add_pressure(w);
}

/* Without the socket the agent does its work all the same. */
static void open_notify(struct wire *w, const char *run_dir)
{
	int r;

	w->notify.bpf = w->bpf;
	w->notify.nodes = w->ports.kernel.nodes;
	w->notify.slots = w->ports.kernel.slots;
	r = sc_notify_wire_open(&w->notify, run_dir, &w->fs, &w->ports.notify);
	add_feature(w, SC_FEATURE_APP,
		    r == 0 ? "" : "the notify socket cannot be made in the run directory");
}

/* A process outside the mount (-EXDEV) cannot be reached through it either. */
static void list_own_ids(struct wire *w)
{
	int n = sc_cgroup_ids_of(&w->fs, getpid(), w->own_ids, OWN_IDS_MAX / 2);

	w->ports.n_own_ids = n > 0 ? (size_t)n : 0;
	n = sc_cgroup_ids_of(&w->fs, 1, w->own_ids + w->ports.n_own_ids, OWN_IDS_MAX / 2);
	w->ports.n_own_ids += n > 0 ? (size_t)n : 0;
	w->ports.own_ids = w->own_ids;
}

/* Brings nothing up: that is done when the first cut is declared, or found. */
static int open_traffic(struct wire *w, const char *run_dir, char *why, size_t size)
{
	char pins[SC_BPF_PIN_DIR_MAX];
	struct sc_traffic_host host = {.fs = &w->fs, .root_fd = w->root_fd, .pin_dir = pins};
	int r = sc_bpf_pin_dir(run_dir, pins);

	if (r == 0)
		r = sc_traffic_wire_open(&host, &w->ports.traffic);
	if (r < 0)
		snprintf(why, size, "the tables of cuts: %s", strerror(-r));
	w->ports.effector.traffic = &w->ports.traffic;
	return r;
}

/* Likewise: what stands is asked for by the engine. */
static int open_readonly(struct wire *w, const struct sc_run_options *options, char *why,
			 size_t size)
{
	char pins[SC_BPF_PIN_DIR_MAX];
	struct sc_readonly_host host = {.fs = &w->fs,
					.pin_dir = pins,
					.run_dir = options->run_dir,
					.state_dir = options->state_dir};
	int r = sc_bpf_pin_dir(options->run_dir, pins);

	if (r == 0)
		r = sc_readonly_wire_open(&host, &w->ports.readonly);
	if (r < 0)
		snprintf(why, size, "what was made read-only: %s", strerror(-r));
	return r;
}

static void fill_ports(struct wire *w)
{
	struct sc_bpf_view view = sc_bpf_view(w->bpf);

	w->host = (struct sc_effector_host){.fs = &w->fs, .set_killing = set_killing, .ctx = w};
	w->ports = (struct sc_ports){
		.kernel = {.ctx = w,
			   .nodes = view.nodes,
			   .counts = view.counts,
			   .kernel = view.kernel,
			   .tasks = view.tasks,
			   .stats = view.stats,
			   .slots = view.slots,
			   .root_slot = 0,
			   .wake_fd = sc_bpf_wake_fd(w->bpf),
			   .drain = drain,
			   .pass_cgroups = pass_cgroups,
			   .pass_tasks = pass_tasks,
			   .recycle = recycle,
			   .find = find,
			   .set_tenant = set_tenant,
			   .path_of = path_of},
		.effector = sc_effector_real(&w->host),
		.processes = sc_processes_real(&w->processes),
		.settle = settle,
		.become_fifo = become_fifo,
		.privileges = list_privileges,
		.ctx = w,
		.cgroup_root_path = w->root_path,
	};
	list_features(w);
	list_own_ids(w);
}

static void wire_free(struct wire *w)
{
	sc_notify_close(&w->notify.socket);
	sc_traffic_wire_close(&w->ports.traffic);
	sc_readonly_wire_close(&w->ports.readonly);
	sc_bpf_close(&w->bpf);
	sc_close(&w->root_fd);
	sc_processes_close(&w->processes);
	if (w->fs.root_fd >= 0)
		sc_cgroup_fs_close(&w->fs);
	free(w);
}

int sc_ports_open(const struct sc_run_options *options, uint32_t targets_max, struct sc_ports **out,
		  char *why, size_t size)
{
	struct wire *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->root_fd = w->notify.socket.fd = -1;
	w->processes.dir_fd = -1;
	w->fs.root_fd = -1;
	r = find_cgroups(w, options->cgroup_root, why, size);
	if (r == 0)
		r = start_bpf(w, options, targets_max, why, size);
	if (r < 0) {
		wire_free(w);
		return r;
	}
	sc_priv_harden(&w->privileges);
	sc_processes_open(&w->processes, w->root_fd, w->root_path, options->run_dir);
	fill_ports(w);
	open_notify(w, options->run_dir);
	r = open_traffic(w, options->run_dir, why, size);
	if (r == 0)
		r = open_readonly(w, options, why, size);
	if (r < 0) {
		wire_free(w);
		return r;
	}
	*out = &w->ports;
	return 0;
}

void sc_ports_close(struct sc_ports **ports)
{
	if (*ports)
		wire_free((*ports)->ctx);
	*ports = NULL;
}
