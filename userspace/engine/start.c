/* SPDX-License-Identifier: Apache-2.0 */
/* Coming up and going down: look at the world and say what is missing, recover, give the host back.
 * Everything is allocated here, before the loop begins. */
#include "engine/components.h"
#include "engine/listing.h"
#include "engine/notify.h"
#include "engine/probe_set.h"
#include "engine/secret.h"
#include "engine/refusals.h"
#include "engine/store.h"
#include "engine/workers.h"

#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "record/fold.h"
#include "version.h"

#include <scram/force_readonly.h>

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>

/* Read again at start beyond the last snapshot, which holds what is not over: room for about the
 * 1,024 closed fires that the fire list remembers. */
#define HISTORY_SEGMENTS 8
/* So long the locks of an agent that was just killed are waited for: a child of it, on the way to
 * another program (sys/spawn.c), has them for a moment more. */
#define LOCK_NS      (3 * SC_NS_PER_S)
#define LOCK_LOOK_MS 10

static int open_dir(const char *path, mode_t mode, const char *what)
{
	int r = sc_mkdir_p(path, mode);
	int fd = r < 0 ? -1 : open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	r = r < 0 ? r : -errno;
	sc_log_error("%s %s: %s", what, path, strerror(-r));
	return r;
}

/* Nothing tells when a lock becomes free. */
static bool may_look_again(uint64_t end_ns)
{
	return sc_mono_ns() < end_ns && poll(NULL, 0, LOCK_LOOK_MS) == 0;
}

/* Two agents must not share a socket and a state file; the state directory has the journal's own
 * lock. */
static int open_dirs(struct sc_engine *e)
{
	uint64_t end_ns = sc_mono_ns() + LOCK_NS;

	e->state_dir_fd = open_dir(e->options->state_dir, 0700, "state directory");
	e->run_dir_fd = open_dir(e->options->run_dir, 0755, "run directory");
	if (e->state_dir_fd < 0 || e->run_dir_fd < 0)
		return SC_MIN(e->state_dir_fd, e->run_dir_fd);
	do
		if (flock(e->run_dir_fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
	while (may_look_again(end_ns));
	sc_log_error("%s: another agent is running here; `scram status` shows it",
		     e->options->run_dir);
	return -EBUSY;
}

static int open_records(struct sc_engine *e)
{
	struct sc_journal_options options = {.state_dir = e->options->state_dir};
	uint64_t end_ns = sc_mono_ns() + LOCK_NS;
	struct sc_diag diag = {0};
	int r;

	do {
		e->now = sc_time_now();
		r = sc_journal_open(&options, &e->now, &e->journal, &diag);
	} while (r == -EBUSY && may_look_again(end_ns));
	if (r < 0) {
		sc_log_error("journal of %s: %s", e->options->state_dir,
			     r == -EBUSY    ? "another agent is running here"
			     : diag.text[0] ? diag.text
					    : strerror(-r));
		return r;
	}
	e->boot_id = sc_journal_boot_id(e->journal);
	r = sc_fold_new(&e->fold);
	if (r < 0)
		return r;
	r = sc_journal_replay(e->options->state_dir, HISTORY_SEGMENTS, sc_fold_record, e->fold);
	if (r < 0)
		sc_log_error("journal: what lies before a break in the chain is not taken up: %s",
			     strerror(-r));
	sc_journal_set_snapshot(e->journal, sc_fold_snapshot, e->fold);
	sc_engine_take_switches(e);
	return sc_syncer_init(&e->syncer, e->journal, e->run_dir_fd, e->state_dir_fd);
}

static int open_world(struct sc_engine *e)
{
	struct sc_ports *ports = NULL;
	char why[512] = "";
	int r = sc_ports_open(e->options, sc_engine_targets_max(e), &ports, why, sizeof(why));

	if (r < 0) {
		sc_log_error("%s", why[0] ? why : strerror(-r));
		return r;
	}
	if (ports->traffic.ops)
		ports->effector.traffic = &ports->traffic;
	if (ports->readonly.ops)
		ports->effector.readonly = &ports->readonly;
	e->ports = ports;
	for (size_t i = 0; i < ports->n_features; i++)
		if (!ports->features[i].attached)
			sc_log_warning("signals of %s are unknown: %s", ports->features[i].name,
				       ports->features[i].reason);
	e->source = (struct sc_source){
		/* The columns are read without tearing; nothing writes them here. */
		.nodes = (const struct sc_node *)ports->kernel.nodes,
		.counts = (const struct sc_counts *)ports->kernel.counts,
		.kernel = (const struct sc_kernel *)ports->kernel.kernel,
		.tasks = (const struct sc_tasks *)ports->kernel.tasks,
		.slots = ports->kernel.slots,
		.kernel_stale_ns = SC_KERNEL_STALE_NS,
		.tasks_stale_ns = SC_TASKS_STALE_NS,
	};
	e->targets = sc_targets_new(ports->kernel.slots);
	e->asked = calloc(ports->kernel.slots, sizeof(*e->asked));
	e->slots = calloc(ports->kernel.slots, sizeof(*e->slots));
	e->protected_slots = calloc(ports->kernel.slots, sizeof(*e->protected_slots));
	if (!e->targets || !e->asked || !e->slots || !e->protected_slots)
		return -ENOMEM;
	r = sc_app_init(&e->app, &ports->kernel, &ports->notify);
	e->source.app = e->app.entries;
	if (r == 0)
		r = sc_collector_init(&e->collector, &ports->kernel, &e->app);
	if (r == 0)
		r = sc_hand_init(&e->hand, ports, SC_ACTIVE_MAX);
	if (r == 0)
		r = sc_engine_learn_all(e);
	if (r == 0)
		r = sc_isolations_open(e);
	if (r == 0)
		r = sc_audit_init(e);
	if (r == 0)
		r = sc_readonly_open(e);
	return r;
}

static int load_conditions(struct sc_engine *e)
{
	_cleanup_str_ struct sc_str why;
	int r = sc_engine_restore_registry(e);

	sc_str_init_heap(&why);
	if (r == 0)
		r = sc_engine_load(e, &why);
	if (r == 0)
		r = sc_engine_restore_promotions(e, &why);
	if (r < 0)
		sc_engine_log_refusal("configuration refused", why.data);
	return r;
}

static void record_life(struct sc_engine *e, enum sc_record_kind kind)
{
	char body[1024];
	struct sc_str text;
	struct sc_json json;

	sc_str_init(&text, body, sizeof(body));
	sc_json_init(&json, &text);
	sc_json_object_begin(&json);
	sc_json_member_text(&json, "version", SC_VERSION);
	sc_json_member_text(&json, "commit", SC_COMMIT);
	sc_json_member_i64(&json, "pid", getpid());
	sc_json_member_text(&json, "cgroup_root", e->ports->cgroup_root_path);
	sc_json_member_bool(&json, "observe_only", e->forced_readonly);
	sc_json_object_end(&json);
	(void)sc_records_append(e, kind, body);
	e->seal_due = true;
}

static int start_threads(struct sc_engine *e)
{
	int r = sc_syncer_start(&e->syncer);

	if (r == 0)
		r = sc_collector_start(&e->collector);
	if (r == 0)
		r = sc_hand_start(&e->hand);
	if (r < 0)
		sc_log_error("cannot start a thread: %s", strerror(-r));
	return r;
}

int sc_engine_start(struct sc_engine *e)
{
	int r;

	e->started_ns = sc_mono_ns();
	e->last_tick = sc_time_now();
	/* Once, never polled: a flip while it runs changes nothing. And never the marker, which the
	 * agent must be able to take back. */
	e->forced_readonly = scram_is_forced_readonly_at_boot();
	r = open_dirs(e);
	if (r == 0)
		r = sc_workers_open(e);
	if (r == 0)
		r = sc_store_open(e);
	if (r == 0)
		r = sc_listing_open(e);
	if (r == 0)
		r = sc_secret_open(e);
	if (r == 0)
		r = open_records(e);
	if (r == 0)
		r = open_world(e);
	if (r == 0)
		r = sc_engine_open_loop(e);
	if (r == 0)
		r = sc_notifiers_open(e);
	if (r < 0)
		return r;
	record_life(e, SC_RECORD_AGENT_STARTED);
	r = load_conditions(e);
	if (r == 0)
		r = sc_engine_reconcile(e);
	if (r == 0)
		r = sc_control_open(&e->control, &e->loop, e, e->options->run_dir);
	if (r == 0)
		r = sc_workers_start(e);
	if (r < 0)
		sc_log_error("cannot start: %s", strerror(-r));
	if (r < 0)
		return r;
	if (e->forced_readonly)
		sc_log_warning("observe-only is forced at boot: nothing will be acted on");
	e->ports->settle(e->ports->ctx);
	r = start_threads(e);
	if (r == 0)
		e->ports->become_fifo(e->ports->ctx, false);
	/* The grace is for seeing enough: on a loaded host the way here may take as long. */
	e->started_ns = sc_mono_ns();
	e->last_tick = sc_time_now();
	return r == 0 ? sc_engine_arm_ticks(e) : r;
}

/* The last records still go to the store, where it is up: only the workers are served. */
static void bid_farewell(struct sc_engine *e)
{
	e->is_over = true;
	sc_loop_remove(&e->loop, &e->tick_timer);
	sc_loop_remove(&e->loop, &e->look_timer);
	sc_loop_remove(&e->loop, &e->wakes);
	sc_loop_remove(&e->loop, &e->hand_bell);
	sc_loop_remove(&e->loop, &e->collector_bell);
	sc_workers_farewell(e);
}

void sc_engine_stop(struct sc_engine *e)
{
	bool came_up = e->set && e->ports && e->journal;

	if (e->ports)
		sc_hand_done(&e->hand);
	if (came_up) {
		sc_standing_thaw_all(e);
		sc_components_finish(e);
		sc_refusals_keep(e, true);
		record_life(e, SC_RECORD_AGENT_STOPPED);
		sc_records_keep(e);
		e->stopping = true;
		bid_farewell(e);
		/* The last state file must not find its room taken by the one before. */
		sc_syncer_finish(&e->syncer);
		sc_state_keep(e, true);
	}
	if (e->control.loop)
		sc_control_close(&e->control, e->options->run_dir);
	if (e->ports)
		sc_collector_done(&e->collector);
	sc_app_done(&e->app);
	if (e->ports)
		sc_isolations_disarm(e);
	sc_isolations_close(e);
	sc_audit_done(e);
	sc_readonly_close(e);
	sc_components_free(e);
	sc_groups_free(&e->groups, e->n_groups);
	sc_syncer_done(&e->syncer);
	sc_workers_close(e);
	sc_store_close(e);
	sc_listing_close(e);
	sc_notifiers_close(e);
	sc_secret_close(e);
	sc_conditions_free(&e->set);
	sc_plan_free(&e->plan);
	sc_registry_free(&e->registry);
	free(e->meta);
	sc_probe_set_free(&e->probes);
	sc_config_done(&e->config);
	sc_targets_free(&e->targets);
	free(e->asked);
	free(e->slots);
	free(e->protected_slots);
	sc_journal_close(&e->journal);
	sc_fold_free(&e->fold);
	sc_ports_close((struct sc_ports **)&e->ports);
	sc_close(&e->tick_timer.fd);
	sc_close(&e->look_timer.fd);
	sc_close(&e->signals.fd);
	sc_loop_done(&e->loop);
	sc_close(&e->run_dir_fd);
	sc_close(&e->state_dir_fd);
	free(e);
}

struct sc_engine *sc_engine_new(const struct sc_run_options *options)
{
	struct sc_engine *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->options = options;
	sc_refusals_init(e);
	e->loop.epoll_fd = -1;
	e->state_dir_fd = e->run_dir_fd = -1;
	e->tick_timer.fd = e->look_timer.fd = e->signals.fd = -1;
	e->control.listener.fd = -1;
	e->syncer.bell = e->syncer.done_bell = -1;
	e->hand.order_bell = e->hand.done_bell = -1;
	e->collector.order_bell = e->collector.report_bell = -1;
	return e;
}
