/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells the gate of a cut. Strength never dips on the way: a stronger mode is set before the
 * cgroups are moved to the cut, a weaker one after those it loses have gone to others.
 */
#include "wire/traffic_impl.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>

static const enum sc_gate_mode modes[] = {
	[SC_CUT_NONE] = SC_GATE_NONE,      [SC_CUT_TRY] = SC_GATE_TRY,
	[SC_CUT_REFUSE_NEW] = SC_GATE_NEW, [SC_CUT_REFUSE_ALL] = SC_GATE_ALL,
	[SC_CUT_DROP] = SC_GATE_DROP,
};
_Static_assert(SC_ARRAY_SIZE(modes) == SC_CUT_MODE_COUNT, "one mode of the gate each");

/* The sockets of a removed cgroup live on: its entry stays until the cut ends, or it is one of too
 * many. */
static int forget(struct sc_gate *gate, uint64_t cgroup_id)
{
	struct sc_gate_entry entry;
	int r = sc_gate_look(gate, cgroup_id, &entry);

	if (r == 0 && entry.gone_ns)
		return 0;
	return r == -ENOENT ? 0 : sc_gate_drop(gate, cgroup_id);
}

/*
 * Moves the cgroups that this cut no longer holds to where they belong, then puts all its own, also
 * those that were there: what somebody removed is there again. Goes on after failures; the first of
 * them. The end of a cut forgets its entries itself.
 */
static int store_entries(struct sc_traffic_wire *w, struct sc_gate *gate, const struct sc_cut *cut,
			 int n)
{
	struct sc_traffic_hand *h = &w->hand;
	uint32_t n_members = sc_cuts_members(h->gated, cut->number, h->members);
	int first = 0;

	for (int i = 0; i < n; i++) {
		const struct sc_cut_entry *after = &h->changes[i].after;
		int r = 0;

		if (after->mode != SC_CUT_NONE && after->number != cut->number)
			r = sc_gate_put(gate, after->cgroup_id, after->level, after->number);
		else if (after->mode == SC_CUT_NONE && cut->mode != SC_CUT_NONE)
			r = forget(gate, after->cgroup_id);
		first = first < 0 ? first : r;
	}
	for (uint32_t i = 0; i < n_members; i++) {
		struct sc_cut_entry entry = sc_cuts_entry(h->gated, h->members[i].cgroup_id);
		int r = 0;

		if (entry.number == cut->number)
			r = sc_gate_put(gate, entry.cgroup_id, entry.level, entry.number);
		first = first < 0 ? first : r;
	}
	return first;
}

static int tell(struct sc_gate *gate, const struct sc_cut *cut)
{
	struct sc_gate_wish wish = {.number = cut->number,
				    .mode = modes[cut->mode],
				    .tries = cut->tries,
				    .attempt = cut->attempt,
				    .fire_id = cut->fire_id,
				    .name = cut->name};

	return sc_gate_set(gate, &wish);
}

/* A record that a predecessor left under this number is adopted only when it is about the same. */
static bool is_strange(const struct sc_gate *gate, const struct sc_cut *cut)
{
	const struct sc_gate_cut *record = sc_gate_cut(gate, cut->number);

	return record->mode != SC_GATE_NONE &&
	       strncmp(record->fire_id, cut->fire_id, sizeof(record->fire_id)) != 0 &&
	       strncmp(record->name, cut->name, sizeof(record->name)) != 0;
}

static int store(struct sc_traffic_wire *w, struct sc_gate *gate, const struct sc_cut *cut)
{
	struct sc_traffic_hand *h = &w->hand;
	enum sc_cut_mode was = sc_cuts_mode(h->gated, cut->number);
	bool is_weaker = cut->mode == SC_CUT_NONE || cut->mode < was;
	int n = sc_cuts_set(h->gated, cut, h->changes);
	int r = n, first = 0;

	if (n < 0)
		return n;
	if (was == SC_CUT_NONE && cut->mode != SC_CUT_NONE && is_strange(gate, cut))
		(void)sc_gate_end(gate, cut->number);
	if (!is_weaker)
		first = tell(gate, cut);
	r = store_entries(w, gate, cut, n);
	first = first < 0 ? first : r;
	if (is_weaker)
		r = tell(gate, cut);
	return first < 0 ? first : r;
}

static int set_globs(struct sc_gate *gate, const struct sc_cut *cut, struct sc_cut_report *report)
{
	int n = sc_gate_set_globs(gate, cut->number, cut->globs, cut->n_globs);

	report->is_globs_in_kernel = n >= 0 && (uint32_t)n == cut->n_globs;
	return n < 0 ? sc_traffic_fail(report, n, "gate: cannot take the globs: %s", strerror(-n))
		     : 0;
}

/* What the audit found detached is attached again before anything else is told. */
static int mend(struct sc_traffic_wire *w, struct sc_gate *gate, struct sc_cut_report *report)
{
	char reason[SC_GATE_REASON_MAX] = "";
	int r;

	if (!atomic_exchange(&w->is_gate_lost, false))
		return 0;
	r = sc_gate_repair(gate, reason);
	if (r == 0)
		return 0;
	atomic_store(&w->is_gate_lost, true);
	return sc_traffic_fail(report, r, "gate: cannot be attached again: %s", reason);
}

/* A gate that could not be loaded may stand pinned, and holds what a predecessor cut. */
static int end_pinned(struct sc_traffic_wire *w, const struct sc_cut *cut,
		      struct sc_cut_report *report)
{
	_cleanup_(sc_gate_close) struct sc_gate *gate = NULL;
	char reason[SC_GATE_REASON_MAX];
	int r = sc_gate_open_pinned(&gate, w->pin_dir, reason);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return sc_traffic_fail(report, r, "gate: %s", reason);
	/* It holds nothing any more even when its entries could not be removed. */
	if (!is_strange(gate, cut))
		(void)sc_gate_end(gate, cut->number);
	return 0;
}

int sc_traffic_set_gate(void *ctx, const struct sc_cut *cut, struct sc_cut_report *report)
{
	struct sc_traffic_wire *w = ctx;
	struct sc_gate *gate = atomic_load(&w->gate);
	int r, mended;

	if (!gate && cut->mode == SC_CUT_NONE)
		return end_pinned(w, cut, report);
	if (!gate)
		return sc_traffic_fail(report, -EOPNOTSUPP, "gate: not loaded here");
	report->gate_begin_ns = sc_mono_ns();
	mended = mend(w, gate, report);
	r = store(w, gate, cut);
	if (r < 0)
		return sc_traffic_fail(report, r, "gate: %s",
				       r == -ENOSPC ? "no room for more cgroups" : strerror(-r));
	if (cut->mode != SC_CUT_NONE && !cut->is_kept)
		r = set_globs(gate, cut, report);
	report->gate_end_ns = sc_mono_ns();
	report->has_gate = cut->mode != SC_CUT_NONE && mended == 0;
	return mended < 0 ? mended : r;
}
