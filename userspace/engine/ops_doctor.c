/* SPDX-License-Identifier: Apache-2.0 */
/* doctor: one line per finding about the host and the agent, each with what to do. */
#include "engine/ops.h"

#include <string.h>

#define PRIVILEGES_MAX 16
#define TEXT_MAX       512

enum level { GREEN, YELLOW, RED };

static void add(struct sc_op_call *call, const char *name, enum level level, const char *text,
		const char *fix)
{
	static const char *const names[] = {"green", "yellow", "red"};

	sc_json_object_begin(&call->json);
	sc_json_member_text(&call->json, "name", name);
	sc_json_member_text(&call->json, "level", names[level]);
	sc_json_member_text(&call->json, "text", text);
	sc_json_member_text(&call->json, "fix", level == GREEN ? NULL : fix);
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
		add(call, rows[i].name, rows[i].error ? YELLOW : GREEN, text, rows[i].fix);
	}
}

static void check_features(struct sc_op_call *call)
{
	const struct sc_ports *ports = call->e->ports;
	char name[64];

	for (size_t i = 0; i < ports->n_features; i++) {
		const struct sc_feature_report *f = &ports->features[i];

		snprintf(name, sizeof(name), "signals of %s", f->name);
		add(call, name, f->attached ? GREEN : YELLOW, f->attached ? "attached" : f->reason,
		    "conditions on these signals cannot fire here; see docs for the kernel needed");
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
	add(call, "journal", s.broken || s.lost || s.sync_errors ? RED : GREEN, text,
	    "free room in the state directory, replace the disk, or find who deleted its files; "
	    "then `scram verify`");
}

static void check_halt(struct sc_op_call *call)
{
	const struct sc_engine *e = call->e;

	if (e->forced_readonly)
		add(call, "observe-only", RED, "forced at boot: nothing is acted on",
		    "restart without SCRAM_FORCE_READONLY=1 and scram.force_readonly=1");
	if (e->disarmed.is_on)
		add(call, "disarmed", RED, e->disarmed.reason, "scram arm --reason R --operator O");
	if (e->draining)
		add(call, "draining", YELLOW, "no new automatic fires",
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
			add(call, name, c->live ? RED : YELLOW, e->meta[i].why_not,
			    "scram why ID; demote it or give the host what it lacks");
		if (!s.unknown_raised)
			continue;
		snprintf(text, sizeof(text), "unknown on %u of %u targets for %u ticks",
			 s.targets_unknown, s.targets, s.unknown_run);
		add(call, name, s.alarm ? RED : YELLOW, text, "scram why ID CGROUP");
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
	add(call, "slots",
	    s->slots_exhausted ? RED
	    : free_slots < 64  ? YELLOW
			       : GREEN,
	    text, "restart the agent: it sizes itself by the cgroups there are");
	snprintf(text, sizeof(text), "%llu events could not be counted",
		 (unsigned long long)e->events_lost);
	add(call, "lost events", e->events_lost ? RED : GREEN, text,
	    "see `lost` of `scram status --json`");
	snprintf(text, sizeof(text), "%llu of %llu ticks took longer than the interval",
		 (unsigned long long)e->ticks.overruns, (unsigned long long)e->ticks.full);
	add(call, "ticks", e->ticks.overruns * 100 > e->ticks.full ? YELLOW : GREEN, text,
	    "a longer tick:, or fewer conditions over many cgroups");
	if (atomic_load(&e->collector.pass_failures))
		add(call, "collector", YELLOW, strerror(-atomic_load(&e->collector.pass_error)),
		    "signals of the kernel are stale meanwhile; see `scram signals`");
}

static void check_group(struct sc_op_call *call)
{
	bool there = call->e->control.group != (gid_t)-1;

	add(call, "group scram", GREEN,
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
	check_group(call);
	sc_json_array_end(&call->json);
}
