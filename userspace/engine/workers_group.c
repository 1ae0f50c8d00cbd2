/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cgroup that the worker who runs other people's programs makes theirs in. It is made anew with
 * each start of that worker, and removed when nobody needs it: also what a dead predecessor left.
 */
#include "engine/ops.h"
#include "engine/workers_impl.h"

#include "base/log.h"

#include <string.h>

/* On the sync thread. */
static void run_clear(struct sc_sync_job *job)
{
	struct sc_worker_clear *c = (struct sc_worker_clear *)job;
	const struct sc_process_port *port = &c->engine->ports->processes;

	c->result = port->clear_group(port->ctx);
}

static void finish_clear(struct sc_sync_job *job)
{
	struct sc_worker_clear *c = (struct sc_worker_clear *)job;

	if (c->result < 0)
		sc_log_warning("%s cannot be removed: %s", c->engine->ports->processes.group_dir,
			       strerror(-c->result));
}

void sc_workers_init_group(struct sc_engine *e)
{
	e->workers->clear = (struct sc_worker_clear){
		.job = {.run = run_clear, .finish = finish_clear},
		.engine = e,
		.is_due = e->ports->processes.clear_group != NULL,
	};
}

static bool needs_group(const struct sc_worker *w)
{
	return (w->is_wanted && w->wants_group) || w->start.job.is_busy ||
	       (w->pid && w->start.program.wants_group);
}

void sc_workers_look_group(struct sc_engine *e)
{
	struct sc_workers *ws = e->workers;
	struct sc_worker_clear *c = &ws->clear;

	if (!c->is_due || c->job.is_busy || ws->is_stopping)
		return;
	for (int i = 0; i < SC_WORKER_COUNT; i++)
		if (needs_group(&ws->worker[i]))
			return;
	c->is_due = false;
	sc_syncer_order(&e->syncer, &c->job);
}

void sc_workers_close_group(struct sc_engine *e)
{
	struct sc_worker_clear *c = &e->workers->clear;

	if (!c->engine || (!c->is_due && !c->job.is_busy))
		return;
	run_clear(&c->job);
	finish_clear(&c->job);
}

bool sc_worker_lacks_group(const struct sc_worker *w)
{
	return w->wants_group && !w->start.program.wants_group;
}

void sc_worker_add_group(const struct sc_worker *w, struct sc_json *j)
{
	const struct sc_program *p = &w->start.program;

	sc_json_member_text(j, "cgroup",
			    p->has_group ? w->engine->ports->processes.group_dir : NULL);
	sc_json_member_text(j, "cgroup_why", p->group_why[0] ? p->group_why : NULL);
}

void sc_worker_check_group(struct sc_op_call *call, const struct sc_worker *w)
{
	const struct sc_program *p = &w->start.program;
	bool has_limits = strstr(p->group_limits, "memory") && strstr(p->group_limits, "pids");
	char text[512];

	if (!w->pid || !p->wants_group)
		return;
	if (!p->has_group) {
		snprintf(text, sizeof(text),
			 "%s: programs are ended by their process group, which they can leave",
			 p->group_why);
		sc_doctor_add(call, "programs of probes", SC_DOCTOR_YELLOW, text,
			      "give the agent CAP_CHOWN and a supervised root that it may write");
		return;
	}
	snprintf(text, sizeof(text), "each runs in a cgroup of its own below %.256s, limited by %s",
		 call->e->ports->processes.group_path,
		 has_limits ? p->group_limits : "resource limits alone");
	sc_doctor_add(call, "programs of probes", has_limits ? SC_DOCTOR_GREEN : SC_DOCTOR_YELLOW,
		      text,
		      "write `+memory +pids` to cgroup.subtree_control of the supervised root, and "
		      "end scram-probe; on a host with cgroup v1 controllers, boot with v2 alone");
}
