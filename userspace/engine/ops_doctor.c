/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: one line per finding about the host and the agent, each with what to do. */
#include "engine/notify.h"
#include "engine/ops.h"

#include <string.h>

#define PRIVILEGES_MAX 16
#define TEXT_MAX       512

void sc_doctor_add(struct sc_op_call *call, const char *name, enum sc_doctor_level level,
		   const char *text, const char *fix)
{
	static const char *const names[] = {"green", "yellow", "red"};

	sc_json_object_begin(&call->json);
	sc_json_member_text(&call->json, "name", name);
	sc_json_member_text(&call->json, "level", names[level]);
	sc_json_member_text(&call->json, "text", text);
	sc_json_member_text(&call->json, "fix", level == SC_DOCTOR_GREEN ? NULL : fix);
	sc_json_object_end(&call->json);
}

static void check_privileges(struct sc_op_call *call)
{
	struct sc_privilege_report rows[PRIVILEGES_MAX];
	const struct sc_ports *ports = call->e->ports;
	size_t n = ports->privileges(ports->ctx, rows, PRIVILEGES_MAX);
	char text[TEXT_MAX];

	for (size_t i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "%s%s%s%s", rows[i].error ? "refused (" : "granted",
			 rows[i].error ? strerror(-rows[i].error) : "", rows[i].error ? "): " : "",
			 rows[i].error ? rows[i].loss : "");
		sc_doctor_add(call, rows[i].name,
			      rows[i].error ? SC_DOCTOR_YELLOW : SC_DOCTOR_GREEN, text,
			      rows[i].fix);
	}
}

static void check_features(struct sc_op_call *call)
{
	const struct sc_ports *ports = call->e->ports;
	char name[64];

	for (size_t i = 0; i < ports->n_features; i++) {
		const struct sc_feature_report *f = &ports->features[i];

		snprintf(name, sizeof(name), "signals of %s", f->name);
		sc_doctor_add(call, name, f->attached ? SC_DOCTOR_GREEN : SC_DOCTOR_YELLOW,
			      f->attached ? "attached" : f->reason,
			      "conditions on these signals cannot fire here; see docs for the "
			      "kernel needed");
	}
}

static void check_journal(struct sc_op_call *call)
{
	struct sc_journal_stats s;
	char text[TEXT_MAX];

	sc_journal_stats(call->e->journal, &s);
	snprintf(text, sizeof(text),
		 "%s: record %llu, on disk up to %llu, sealed up to %llu; kept in memory %llu, "
		 "lost %llu, segments in doubt %llu",
		 s.broken ? "broken" : "whole", (unsigned long long)s.seq,
		 (unsigned long long)s.durable_seq, (unsigned long long)s.sealed_seq,
		 (unsigned long long)s.held, (unsigned long long)s.lost,
		 (unsigned long long)s.sync_errors);
	sc_doctor_add(call, "journal",
		      s.broken || s.lost || s.sync_errors ? SC_DOCTOR_RED : SC_DOCTOR_GREEN, text,
		      "free room in the state directory, replace the disk, or find who deleted its "
		      "files; "
		      "then `scram verify`");
}

static void check_halt(struct sc_op_call *call)
{
	const struct sc_engine *e = call->e;

	if (e->forced_readonly)
		sc_doctor_add(call, "observe-only", SC_DOCTOR_RED,
			      "forced at boot: nothing is acted on",
			      "restart without SCRAM_FORCE_READONLY=1 and scram.force_readonly=1");
	if (e->disarmed.is_on)
		sc_doctor_add(call, "disarmed", SC_DOCTOR_RED, e->disarmed.reason,
			      "scram arm --reason R --operator O");
	if (e->draining)
		sc_doctor_add(call, "draining", SC_DOCTOR_YELLOW, "no new automatic fires",
			      "remove the file `drain` from the state directory");
}

static void check_conditions(struct sc_op_call *call)
{
	struct sc_engine *e = call->e;
	char name[SC_CONDITION_ID_MAX + 16];
	char text[TEXT_MAX];

	for (size_t i = 0; i < sc_conditions_count(e->set); i++) {
		const struct sc_condition *c = sc_conditions_get(e->set, i);
		struct sc_condition_stats s = sc_conditions_stats(e->set, i);

		snprintf(name, sizeof(name), "condition %s", c->spec->id);
		if (e->meta[i].why_not[0])
			sc_doctor_add(call, name, c->live ? SC_DOCTOR_RED : SC_DOCTOR_YELLOW,
				      e->meta[i].why_not,
				      "scram why ID; demote it or give the host what it lacks");
		if (!s.unknown_raised)
			continue;
		snprintf(text, sizeof(text), "unknown on %u of %u targets for %u ticks",
			 s.targets_unknown, s.targets, s.unknown_run);
		sc_doctor_add(call, name, s.alarm ? SC_DOCTOR_RED : SC_DOCTOR_YELLOW, text,
			      "scram why ID CGROUP");
	}
}

static void check_losses(struct sc_op_call *call)
{
	struct sc_engine *e = call->e;
	const volatile struct sc_stats *s = e->ports->kernel.stats;
	uint32_t free_slots = e->ports->kernel.slots - sc_targets_count(e->targets);
	char text[TEXT_MAX];

	snprintf(text, sizeof(text), "%u of %u slots are free; %llu cgroups found none", free_slots,
		 e->ports->kernel.slots, (unsigned long long)s->slots_exhausted);
	sc_doctor_add(call, "slots",
		      s->slots_exhausted ? SC_DOCTOR_RED
		      : free_slots < 64  ? SC_DOCTOR_YELLOW
					 : SC_DOCTOR_GREEN,
		      text, "restart the agent: it sizes itself by the cgroups there are");
	snprintf(text, sizeof(text), "%llu events could not be counted",
		 (unsigned long long)e->events_lost);
	sc_doctor_add(call, "lost events", e->events_lost ? SC_DOCTOR_RED : SC_DOCTOR_GREEN, text,
		      "see `lost` of `scram status --json`");
	snprintf(text, sizeof(text), "%llu of %llu ticks took longer than the interval",
		 (unsigned long long)e->ticks.overruns, (unsigned long long)e->ticks.full);
	sc_doctor_add(call, "ticks",
		      e->ticks.overruns * 100 > e->ticks.full ? SC_DOCTOR_YELLOW : SC_DOCTOR_GREEN,
		      text, "a longer tick:, or fewer conditions over many cgroups");
	if (atomic_load(&e->collector.pass_failures))
		sc_doctor_add(call, "collector", SC_DOCTOR_YELLOW,
			      strerror(-atomic_load(&e->collector.pass_error)),
			      "signals of the kernel are stale meanwhile; see `scram signals`");
}

static void check_mode(struct sc_op_call *call, const char *name, enum sc_cut_mode mode,
		       const char *holds, const char *fix)
{
	const struct sc_traffic *traffic = call->e->ports->effector.traffic;
	char why[TEXT_MAX] = "";
	int r = traffic->ops->can(traffic->ctx, mode, why, sizeof(why));

	sc_doctor_add(call, name, r == 0 ? SC_DOCTOR_GREEN : SC_DOCTOR_YELLOW,
		      r == 0   ? holds
		      : why[0] ? why
			       : strerror(-r),
		      fix);
}

/* What this host can cut, by mechanism. It is brought up only where something may be cut. */
static void check_traffic(struct sc_op_call *call)
{
	const struct sc_engine *e = call->e;

	if (!e->ports->effector.traffic || e->traffic_why[0])
		sc_doctor_add(
			call, "traffic", SC_DOCTOR_YELLOW,
			e->traffic_why[0] ? e->traffic_why
					  : "nothing can be cut from the network here",
			"run as root on the host, on a kernel of 6.1 or later with nf_tables");
	else if (!e->traffic_armed)
		sc_doctor_add(call, "traffic", SC_DOCTOR_GREEN,
			      "nothing is cut, and no condition cuts", NULL);
	if (!e->traffic_armed)
		return;
	check_mode(call, "quarantine", SC_CUT_DROP,
		   "the gate is attached and pinned: it holds in every network namespace",
		   "boot a kernel of 6.1 or later with CONFIG_CGROUP_BPF, mount /sys/fs/bpf");
	check_mode(call, "circuit break", SC_CUT_REFUSE_NEW,
		   "the table of nf_tables is there: what is refused is told at once",
		   "modprobe nf_tables nft_socket nft_reject_inet");
}

/* The kernel takes in what is made later by exact paths, and by those that end in their only `*`
 * or `**`. */
static bool is_kernels(const char *glob)
{
	size_t n = strcspn(glob, "*?");

	return glob[n + strspn(glob + n, "*")] == '\0' && strspn(glob + n, "*") <= 2;
}

static void check_globs(struct sc_op_call *call)
{
	const struct sc_engine *e = call->e;
	char name[SC_CUT_NAME_MAX + 16];
	char text[TEXT_MAX];

	for (uint32_t i = 0; i < e->n_groups; i++) {
		const struct sc_group *g = e->groups[i];

		for (uint32_t k = 0; k < g->n_globs; k++) {
			if (is_kernels(g->globs[k]))
				continue;
			snprintf(name, sizeof(name), "%s %s", sc_group_kind_name(g->kind), g->name);
			snprintf(text, sizeof(text),
				 "%s: while it is cut, a cgroup made later that only this matches "
				 "sends until the agent has seen it (milliseconds)",
				 g->globs[k]);
			sc_doctor_add(call, name, SC_DOCTOR_YELLOW, text,
				      "write paths, or globs with one * or ** at their end");
		}
	}
}

static void check_cuts(struct sc_op_call *call)
{
	const struct sc_engine *e = call->e;
	char text[TEXT_MAX];

	for (size_t i = 0; i < SC_ISOLATIONS_MAX; i++) {
		const struct sc_isolation *iso = &e->isolations[i];

		if (!iso->is_used)
			continue;
		if (iso->is_failing)
			sc_doctor_add(call, iso->cut.name, SC_DOCTOR_RED,
				      "the cut does not hold as it should",
				      "see the log of the agent, which goes on trying; scram "
				      "release FIRE");
		if (iso->is_release_due && !iso->is_busy)
			sc_doctor_add(call, iso->cut.name, SC_DOCTOR_RED,
				      "its release failed: it is still cut",
				      "see the log of the agent, which goes on trying");
		if (!iso->group && strncmp(iso->cut.name, "cgroup ", 7) != 0)
			sc_doctor_add(
				call, iso->cut.name, SC_DOCTOR_YELLOW,
				"is cut and not declared any more: it stays as it was cut",
				"declare it again, or scram release FIRE; scram status tells it");
	}
	if (e->cut_repairs == 0)
		return;
	snprintf(text, sizeof(text), "%llu times somebody else changed what holds the cuts",
		 (unsigned long long)e->cut_repairs);
	sc_doctor_add(call, "meddling", SC_DOCTOR_YELLOW, text,
		      "it was put back; find who flushes rules: nft monitor, bpftool cgroup tree");
}

static void check_readonly(struct sc_op_call *call)
{
	const struct sc_engine *e = call->e;
	char why[TEXT_MAX];
	enum sc_readonly_way way = sc_readonly_way(e, &e->config, why, sizeof(why));

	sc_doctor_add(
		call, "read-only", way == SC_READONLY_LSM ? SC_DOCTOR_GREEN : SC_DOCTOR_YELLOW,
		way == SC_READONLY_LSM ? "by the BPF LSM: every write of a cgroup can be denied"
				       : why,
		"boot with lsm=...,bpf on a kernel with CONFIG_BPF_LSM; else declare "
		"readonly.paths, mount points of what must not change");
	if (e->readonly.is_failing && e->readonly.text[0])
		sc_doctor_add(call, "read-only now", SC_DOCTOR_RED, e->readonly.text,
			      "who still writes must be ended: scram fire a process-exit on it");
	if (e->readonly.repairs == 0)
		return;
	snprintf(why, sizeof(why), "%llu times somebody else took away what keeps it so",
		 (unsigned long long)e->readonly.repairs);
	sc_doctor_add(call, "read-only, meddling", SC_DOCTOR_YELLOW, why,
		      "it was put back; find who unpins programs or remounts");
}

static void check_group(struct sc_op_call *call)
{
	bool there = call->e->control.group != (gid_t)-1;

	sc_doctor_add(call, "group scram", SC_DOCTOR_GREEN,
		      there ? "its members may use the control socket"
			    : "does not exist: only root may use the control socket",
		      NULL);
}

void sc_op_doctor(struct sc_op_call *call)
{
	sc_json_key(&call->json, "checks");
	sc_json_array_begin(&call->json);
	check_halt(call);
	check_journal(call);
	check_conditions(call);
	check_features(call);
	check_privileges(call);
	check_losses(call);
	check_traffic(call);
	check_globs(call);
	check_cuts(call);
	check_readonly(call);
	check_group(call);
	sc_doctor_workers(call);
	sc_doctor_probes(call);
	sc_doctor_store(call);
	sc_doctor_notifiers(call);
	sc_json_array_end(&call->json);
}
