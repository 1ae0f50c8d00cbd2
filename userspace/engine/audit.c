/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the world still holds the cuts that stand: somebody may flush the rules, detach a
 * program, or start a process in a network namespace of its own. The collector looks, on a copy of
 * the cuts; what is missing is set again through the hand, and recorded.
 */
#include "engine/core.h"

#include "base/bell.h"
#include "base/log.h"

#include <string.h>

#define INTERVAL_NS SC_NS_PER_S
/* Members looked at in one audit; further cuts have their turn in the next. */
#define MEMBERS_MAX 16384

struct sc_audit {
	struct sc_audit_job job;
	struct sc_cut cuts[SC_ISOLATIONS_MAX];
	struct sc_cut_member members[MEMBERS_MAX];
	struct sc_cut_counts counts[SC_CUTS_MAX];
	bool is_out;      /* with the collector */
	uint64_t next_ns; /* CLOCK_MONOTONIC */
	uint64_t changes; /* e->cut_changes when the copy was made */
	uint32_t first;   /* the isolation that the next audit begins with */
};

int sc_audit_init(struct sc_engine *e)
{
	e->audit = calloc(1, sizeof(*e->audit));
	if (!e->audit)
		return -ENOMEM;
	e->audit->job.cuts = e->audit->cuts;
	e->audit->job.counts = e->audit->counts;
	return 0;
}

void sc_audit_done(struct sc_engine *e)
{
	free(e->audit);
	e->audit = NULL;
}

/* Only what is settled: a cut under way is between two states. */
static bool is_settled(const struct sc_isolation *iso)
{
	return iso->is_used && iso->stands && !iso->is_busy && !iso->is_dirty &&
	       !iso->is_release_due;
}

static uint32_t copy_cuts(struct sc_engine *e)
{
	struct sc_audit *audit = e->audit;
	uint32_t n = 0, used = 0;

	for (uint32_t k = 0; k < SC_ISOLATIONS_MAX; k++) {
		const struct sc_isolation *iso =
			&e->isolations[(audit->first + k) % SC_ISOLATIONS_MAX];

		if (!is_settled(iso))
			continue;
		if (used + iso->cut.n_members > MEMBERS_MAX) {
			audit->first = iso->cut.number;
			break;
		}
		audit->cuts[n] = iso->cut;
		audit->cuts[n].members = audit->members + used;
		audit->cuts[n].globs = NULL;
		audit->cuts[n].n_globs = 0;
		memcpy(audit->members + used, iso->members,
		       iso->cut.n_members * sizeof(*iso->members));
		used += iso->cut.n_members;
		n++;
	}
	return n;
}

void sc_audit_look(struct sc_engine *e)
{
	struct sc_collect_order order = {.kind = SC_COLLECT_AUDIT};
	struct sc_audit *audit = e->audit;

	if (e->n_isolations == 0 || !e->traffic_armed || audit->is_out ||
	    e->now.mono_ns < audit->next_ns)
		return;
	audit->job.traffic = e->ports->effector.traffic;
	audit->job.n = copy_cuts(e);
	audit->job.out = (struct sc_cut_audit){0};
	audit->changes = e->cut_changes;
	audit->next_ns = e->now.mono_ns + INTERVAL_NS;
	order.audit = &audit->job;
	if (audit->job.n == 0 || !sc_collector_order(&e->collector, &order))
		return;
	audit->is_out = true;
	sc_bell_ring(e->collector.order_bell);
}

static void take_counts(struct sc_engine *e)
{
	for (uint32_t i = 0; i < e->audit->job.n; i++) {
		uint32_t number = e->audit->cuts[i].number;
		struct sc_isolation *iso = &e->isolations[number];

		if (iso->is_used && strcmp(iso->cut.fire_id, e->audit->cuts[i].fire_id) == 0)
			iso->counts = e->audit->counts[number];
	}
}

static void set_all_again(struct sc_engine *e)
{
	for (uint32_t i = 0; i < SC_ISOLATIONS_MAX; i++)
		e->isolations[i].is_dirty = e->isolations[i].is_dirty || e->isolations[i].stands;
	sc_isolations_look(e);
}

void sc_audit_take(struct sc_engine *e)
{
	const struct sc_cut_audit *out = &e->audit->job.out;

	e->audit->is_out = false;
	if (e->audit->job.result < 0) {
		sc_log_error("cannot look whether the cuts hold: %s",
			     out->text[0] ? out->text : strerror(-e->audit->job.result));
		return;
	}
	take_counts(e);
	/* What changed meanwhile was no stranger's doing; the next audit looks again. */
	if (e->audit->changes != e->cut_changes)
		return;
	if (out->differs || out->is_gate_lost) {
		e->cut_repairs++;
		sc_log_error("somebody changed what holds the cuts: %s; it is put back", out->text);
		sc_records_fact(e, "somebody changed what holds the cuts: %s; it is put back",
				out->text);
	}
	if (out->differs || out->is_gate_lost || out->new_spaces)
		set_all_again(e);
}
