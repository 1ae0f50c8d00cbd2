/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tick: collect, judge, decide, act. The only place where the stages of the pipeline meet; each
 * returns values, none calls the next. Nothing is allocated here.
 */
#include "engine/components.h"
#include "engine/store.h"

#include "base/log.h"

#include <string.h>

/* Longer without a tick is a jump: windows would date what happened meanwhile wrongly. */
#define TICK_GAP_MAX_NS (10 * SC_NS_PER_S)
/* Wake records are taken at once only so often in one interval; a tenant that crashes in a loop
 * cannot make the loop thread spin. Beyond that, the next full tick sees what they told. */
#define EARLY_PER_INTERVAL 100
/* A slot and its ancestors, for every wake record of one batch. */
#define EARLY_SLOTS_MAX 128

void sc_engine_fill_source(struct sc_engine *e)
{
	const struct sc_kernel_port *k = &e->ports->kernel;

	/* Not wake_lost: a lost wake record loses no count. Nor cgroups without a slot: theirs are
	 * in their ancestor's. */
	e->events_lost = k->stats->processes_full;
	e->source.slots = k->slots;
	e->source.features = k->features | SC_FEATURE_BIT(SC_FEATURE_AGENT);
	e->source.tasks_pass = atomic_load(&e->collector.task_pass);
	e->source.tasks_pass_ns = atomic_load(&e->collector.task_pass_ns);
	sc_app_fill_source(&e->app, &e->source);
	e->source.agent[SC_SIG_agent_events_lost] = (double)(e->events_lost + k->stats->wake_lost +
							     k->stats->processes_swept);
	e->source.agent[SC_SIG_agent_tick_us] = (double)e->ticks.last_us;
	e->source.agent[SC_SIG_agent_tick_late_us] = (double)e->ticks.late_us;
	e->source.agent[SC_SIG_agent_targets] = sc_targets_count(e->targets);
	e->source.agent[SC_SIG_agent_slots_free] = k->slots - sc_targets_count(e->targets);
	e->source.agent[SC_SIG_journal_broken] = e->journal_was_broken;
	sc_store_fill(e);
}

static void notice_jump(struct sc_engine *e)
{
	bool jumped = sc_time_jumped(&e->last_tick, &e->now, TICK_GAP_MAX_NS);

	e->last_tick = e->now;
	if (!jumped)
		return;
	sc_plan_reset_windows(e->plan);
	sc_conditions_restart_holds(e->set);
	e->resumed_ns = e->now.mono_ns;
	sc_log_warning("time jumped (suspend, or no tick for long): windows begin anew, automatic "
		       "fires wait %llu s",
		       (unsigned long long)(SC_RESUME_GRACE_NS / SC_NS_PER_S));
	sc_records_fact(e, "time jumped: windows reset, resume grace begins");
}

static void decide_all(struct sc_engine *e, const struct sc_candidates *due)
{
	for (uint32_t i = 0; i < due->n; i++) {
		struct sc_fire_request rq = {
			.condition = due->item[i].condition,
			.slot = due->item[i].slot,
			.rung = due->item[i].rung,
			.asker = SC_ASKER_AUTO,
			.fired_by = "auto",
			.principal = SC_PRINCIPAL_AGENT,
			.reason = "",
			.waiter = SC_REPLY_TO_NOBODY,
		};

		(void)sc_engine_decide(e, &rq, NULL, NULL);
	}
}

static void note_cost(struct sc_engine *e, size_t i, uint64_t ns)
{
	struct sc_condition_meta *meta = &e->meta[i];
	bool over = ns > SC_EVAL_BUDGET_NS;

	meta->eval_ns = ns;
	meta->eval_max_ns = SC_MAX(meta->eval_max_ns, ns);
	e->predicate_overruns += over;
	if (over && !meta->over_budget)
		sc_records_fact(e, "predicate of %s took %llu us, over its budget",
				sc_conditions_get(e->set, i)->spec->id,
				(unsigned long long)(ns / SC_NS_PER_US));
	meta->over_budget = over;
}

/* Judges every condition on all targets (slots NULL) or on these, and decides on what is due. */
static void judge_and_decide(struct sc_engine *e, const uint32_t *slots, uint32_t n_slots)
{
	uint32_t n = (uint32_t)sc_conditions_count(e->set);
	uint32_t left = SC_DECISIONS_MAX;

	for (uint32_t k = 0; k < n; k++) {
		uint32_t i = (e->first_condition + k) % n;
		struct sc_candidates due = {.item = e->candidates,
					    .max = SC_MIN(left, (uint32_t)SC_CANDIDATES_MAX)};
		/* Per condition: the time moves on with every decision. */
		struct sc_pass pass = {.now_ns = e->now.mono_ns, .slots = slots, .n = n_slots};
		uint64_t before = sc_mono_ns();

		sc_conditions_judge(e->set, i, &pass, &due);
		if (!slots)
			note_cost(e, i, sc_mono_ns() - before);
		decide_all(e, &due);
		left -= due.n;
		e->decisions_put_off += due.overflow;
	}
	if (n)
		e->first_condition = (e->first_condition + 1) % n;
}

static void note_tick(struct sc_engine *e, uint64_t begin_ns)
{
	struct sc_tick_stats *t = &e->ticks;
	uint64_t took = sc_mono_ns() - begin_ns;
	uint64_t late = begin_ns > e->due_ns ? begin_ns - e->due_ns : 0;

	t->last_us = took / SC_NS_PER_US;
	t->late_us = late / SC_NS_PER_US;
	t->sample_us[t->samples % SC_TICK_SAMPLES] = (uint32_t)t->last_us;
	t->sample_late_us[t->samples % SC_TICK_SAMPLES] = (uint32_t)t->late_us;
	t->samples++;
	t->full++;
	if (took > e->interval_ns && t->overruns++ == 0)
		sc_log_warning("a tick took %llu us, longer than the interval; the next comes late",
			       (unsigned long long)t->last_us);
	if (t->samples == 2 * SC_TICK_SAMPLES)
		t->samples = SC_TICK_SAMPLES; /* the ring is full and stays so */
}

void sc_engine_tick_full(struct sc_engine *e)
{
	uint32_t cursor = 0;
	uint64_t begin;
	uint32_t n;

	e->now = sc_time_now();
	begin = e->now.mono_ns; /* e->now moves on with every decision */
	e->cause_ns = begin;
	notice_jump(e);
	sc_engine_take_reports(e);
	sc_engine_scan_nodes(e);
	sc_engine_read_host(e);
	sc_engine_fill_source(e);
	n = sc_targets_fill(e->targets, &cursor, e->slots, e->ports->kernel.slots);
	sc_plan_tick(e->plan, &e->source, &e->now, e->slots, n);
	sc_components_tick(e);
	judge_and_decide(e, NULL, 0);
	sc_fires_look(e, SC_SLOT_NONE);
	sc_isolations_look(e);
	sc_audit_look(e);
	sc_records_keep(e);
	sc_collector_ask_pass(&e->collector, e->due_ns + e->interval_ns, e->interval_ns);
	e->early_budget = EARLY_PER_INTERVAL;
	note_tick(e, begin);
}

/* Adds the slot and everything that counts it; false when there is no room. */
static bool add_slots(const volatile struct sc_node *node, uint32_t *slots, uint32_t *n)
{
	for (uint32_t a = 0; a < node->ancestors && a < SC_DEPTH_MAX; a++) {
		uint32_t slot = node->ancestor[a];
		uint32_t i = 0;

		while (i < *n && slots[i] != slot)
			i++;
		if (i < *n)
			continue;
		if (*n == EARLY_SLOTS_MAX)
			return false;
		slots[(*n)++] = slot;
	}
	return true;
}

/* Takes the records of one batch; fills the slots that need judging. False: too many for an early
 * tick. */
static bool take_wakes(struct sc_engine *e, uint32_t *slots, uint32_t *n)
{
	struct sc_wake wakes[SC_WAKES_MAX];
	unsigned int got = e->ports->kernel.drain(e->ports->kernel.ctx, wakes, SC_WAKES_MAX);
	bool fits = true;

	for (unsigned int i = 0; i < got; i++) {
		uint32_t slot = wakes[i].slot;

		if (slot >= e->ports->kernel.slots)
			continue;
		switch ((enum sc_wake_kind)wakes[i].kind) {
		case SC_WAKE_MADE:
		case SC_WAKE_GONE:
			sc_engine_slot_changed(e, slot);
			break;
		case SC_WAKE_EMPTY:
			sc_fires_look(e, slot);
			break;
		case SC_WAKE_CRASH:
		case SC_WAKE_EXIT:
		case SC_WAKE_OOM:
			fits = fits && add_slots(&e->ports->kernel.nodes[slot], slots, n);
			e->cause_ns = SC_MIN(e->cause_ns, (uint64_t)wakes[i].time_ns);
			break;
		case SC_WAKE_KIND_COUNT:
			break;
		}
	}
	return fits;
}

static bool is_watched(struct sc_engine *e, uint32_t slot)
{
	return sc_targets_get(e->targets, slot) != NULL;
}

void sc_engine_tick_early(struct sc_engine *e)
{
	uint32_t slots[EARLY_SLOTS_MAX];
	uint32_t n = 0, kept = 0;
	bool fits;

	e->now = sc_time_now();
	e->cause_ns = e->now.mono_ns;
	fits = take_wakes(e, slots, &n);
	if (e->stopping)
		return; /* fires under way are looked at; nothing new begins */
	for (uint32_t i = 0; i < n; i++)
		if (is_watched(e, slots[i]))
			slots[kept++] = slots[i];
	if (!fits || kept == 0 || e->early_budget == 0) {
		e->early_wakes_dropped += kept > 0 || !fits;
		return; /* the next full tick sees it */
	}
	e->early_budget--;
	e->ticks.early++;
	sc_engine_fill_source(e);
	sc_plan_tick(e->plan, &e->source, &e->now, slots, kept);
	judge_and_decide(e, slots, kept);
}

enum sc_truth sc_engine_judge_now(struct sc_engine *e, uint32_t condition, uint32_t slot)
{
	const struct sc_condition *c = sc_conditions_get(e->set, condition);
	uint8_t truth = SC_UNKNOWN;

	if (!c->predicate || !is_watched(e, slot))
		return SC_UNKNOWN;
	e->now = sc_time_now();
	sc_engine_fill_source(e);
	sc_plan_tick(e->plan, &e->source, &e->now, &slot, 1);
	/* The set owns its predicates; evaluating one moves only its scratch. */
	sc_predicate_eval((struct sc_predicate *)c->predicate, e->plan, &slot, 1, &truth);
	return (enum sc_truth)truth;
}
