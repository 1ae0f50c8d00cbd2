/* SPDX-License-Identifier: Apache-2.0 */
/* What the interlocks look at: facts about a fire that is asked for, gathered and not judged. */
#include "engine/core.h"

#include "record/fold.h"

#include <string.h>

const struct sc_condition *sc_engine_condition_of(struct sc_engine *e,
						  const struct sc_fire_request *rq)
{
	return sc_conditions_get(e->set, rq->condition);
}

enum sc_action_kind sc_engine_kind_of(const struct sc_condition *c, uint32_t rung)
{
	SC_ASSERT(rung == 0 || rung < c->spec->rungs);
	return c->spec->rungs ? c->spec->rung[rung].kind : c->spec->action.kind;
}

/* What is dry-run goes through everything but the action. */
bool sc_engine_is_dry_run(const struct sc_condition *c, const struct sc_fire_request *rq)
{
	if (rq->is_breaker)
		return !rq->is_live;
	return !c->live && !rq->forced;
}

/* Live fires and dry-runs are counted apart: a dry-run is judged like a live one and never stops
 * one. Another fire on the same target reaches no further: only other targets are counted. */
static void count_recent(struct sc_engine *e, const char *condition_id, bool dry_run,
			 struct sc_interlock_facts *facts)
{
	uint64_t since = e->now.mono_ns > SC_IRREVERSIBLE_WINDOW_NS
				 ? e->now.mono_ns - SC_IRREVERSIBLE_WINDOW_NS
				 : 0;

	for (size_t i = 0; i < SC_RECENT_MAX; i++) {
		const struct sc_recent *r = &e->recent[i];

		if (r->at_ns == 0 || r->at_ns < since || r->dry_run != dry_run)
			continue;
		facts->condition.affected += r->is_last && r->cgroup_id != facts->decided_id &&
					     strcmp(r->condition_id, condition_id) == 0;
		facts->irreversible_recent += r->automatic && r->irreversible;
	}
}

/* The pair forgets its last fire when the agent restarts or the condition is loaded with another
 * judgement; this does not. */
static uint64_t last_fire(struct sc_engine *e, const char *condition_id, bool dry_run, uint64_t id)
{
	uint64_t last = 0;

	for (const struct sc_recent *r = e->recent; r < e->recent + SC_RECENT_MAX; r++)
		if (r->at_ns > last && r->cgroup_id == id && r->dry_run == dry_run &&
		    strcmp(r->condition_id, condition_id) == 0)
			last = r->at_ns;
	return last;
}

/* What stands from before the window still affects its target. */
static void count_standing(struct sc_engine *e, const char *condition_id,
			   struct sc_interlock_facts *facts)
{
	for (size_t i = 0; i < SC_ACTIVE_MAX; i++)
		facts->condition.affected += e->active[i].stage == SC_ACTIVE_STANDING &&
					     e->active[i].fire.rung == 0 &&
					     e->active[i].fire.cgroup_id != facts->decided_id &&
					     e->now.mono_ns - e->active[i].fire.fired_at_mono_ns >
						     SC_IRREVERSIBLE_WINDOW_NS &&
					     strcmp(e->active[i].fire.condition_id, condition_id) ==
						     0;
}

uint64_t sc_engine_events_lost(const struct sc_engine *e, uint32_t slot)
{
	const volatile struct sc_node *node = &e->ports->kernel.nodes[slot];
	uint64_t last_ns = node->lost_ns;

	return last_ns && e->now.mono_ns < last_ns + SC_IRREVERSIBLE_WINDOW_NS ? node->lost : 0;
}

/*
 * What was not counted in the target's subtree, or on the host where the predicate looks at other
 * targets too, while the last of it lies in the window. So nobody can hold up the fires of others
 * by making the kernel side lose what is his own.
 */
static uint64_t events_lost(const struct sc_engine *e, const struct sc_predicate *p, uint32_t slot)
{
	return sc_engine_events_lost(e, sc_predicate_has_aggregates(p) ? e->ports->kernel.root_slot
								       : slot);
}

/* How old the evidence is, and what was not counted of it: losses touch counted signals only. */
static void fill_evidence(struct sc_engine *e, const struct sc_condition *c, uint32_t slot,
			  struct sc_interlock_facts *facts)
{
	struct sc_signal_set used;

	if (!c->predicate)
		return;
	used = sc_predicate_signals(c->predicate);
	for (int s = 0; s < SC_SIGNAL_COUNT; s++) {
		enum sc_signal_source source = sc_signal_info((enum sc_signal)s)->source;
		uint64_t age;

		if (!sc_signal_set_has(&used, (enum sc_signal)s))
			continue;
		if (source == SC_SOURCE_COUNTS)
			facts->events_lost = events_lost(e, c->predicate, slot);
		if (source != SC_SOURCE_KERNEL && source != SC_SOURCE_TASKS)
			continue;
		age = sc_source_age_ns(&e->source, &e->now, slot, (enum sc_signal)s);
		facts->evidence_age_ns = SC_MAX(facts->evidence_age_ns, age);
		facts->evidence_age_max_ns = SC_MAX(facts->evidence_age_max_ns,
						    source == SC_SOURCE_TASKS
							    ? e->source.tasks_stale_ns
							    : e->source.kernel_stale_ns);
	}
}

static void fill_reach(struct sc_engine *e, const struct sc_fire_request *rq,
		       const struct sc_condition *c, struct sc_interlock_facts *facts)
{
	struct sc_condition_stats stats = sc_conditions_stats(e->set, rq->condition);
	bool dry_run = sc_engine_is_dry_run(c, rq);

	facts->max_targets = c->spec->max_targets;
	facts->blast_percent = e->config.limits.blast_percent;
	facts->irreversible_max = e->config.limits.irreversible_fires;
	facts->condition.eligible = c->scope >= 0 ? sc_scope_size(sc_plan_scopes(e->plan),
								  (uint32_t)c->scope)
						  : 1;
	facts->sick = stats.targets_true;
	facts->sick_eligible = stats.targets;
	count_recent(e, c->spec->id, dry_run, facts);
	facts->last_fire_ns = SC_MAX(facts->last_fire_ns,
				     last_fire(e, c->spec->id, dry_run, facts->decided_id));
	count_standing(e, c->spec->id, facts);
}

/* What is not supervised has no slot and no values: only what a person's fire needs is asked. */
static void fill_outside_facts(struct sc_engine *e, const struct sc_fire_request *rq,
			       struct sc_interlock_facts *facts)
{
	SC_ASSERT(rq->asker != SC_ASKER_AUTO);
	*facts = (struct sc_interlock_facts){
		.now_ns = e->now.mono_ns,
		.asker = rq->asker,
		.forced = rq->forced,
		.forced_readonly = e->forced_readonly,
		.disarmed = e->disarmed.is_on,
		.disarm_reason = e->disarmed.reason,
		.protected_by = rq->outside ? sc_engine_protected_by(e, SC_SLOT_NONE, NULL, 0)
					    : NULL,
	};
}

/* A cut reaches its group, wherever the condition was judged. */
static const char *protected_by(struct sc_engine *e, const struct sc_fire_request *rq, char *buf,
				size_t size)
{
	const struct sc_condition *c = sc_engine_condition_of(e, rq);
	enum sc_action_kind kind = sc_engine_kind_of(c, rq->rung);

	if (kind == SC_ACTION_READONLY)
		return sc_readonly_protected_by(e, rq->slot, buf, size);
	if (!sc_action_kind_cuts(kind))
		return sc_engine_protected_by(e, rq->slot, buf, size);
	return sc_isolation_protected_by(e, sc_isolation_group(e, &c->spec->action, kind, rq->slot),
					 rq->slot, buf, size);
}

static void fill_target_facts(struct sc_engine *e, const struct sc_fire_request *rq,
			      struct sc_interlock_facts *facts, char *protect_buf, size_t size)
{
	const struct sc_condition *c = sc_engine_condition_of(e, rq);
	const struct sc_target *target = sc_targets_get(e->targets, rq->slot);
	const volatile struct sc_node *node = &e->ports->kernel.nodes[rq->slot];
	struct sc_pair_view pair = sc_conditions_pair(e->set, rq->condition, rq->slot);
	enum sc_truth truth = rq->is_breaker ? SC_TRUE
					     : sc_engine_judge_now(e, rq->condition, rq->slot);
	enum sc_action_kind kind = sc_engine_kind_of(c, rq->rung);

	*facts = (struct sc_interlock_facts){
		.now_ns = e->now.mono_ns,
		.asker = rq->asker,
		.forced = rq->forced,
		.forced_readonly = e->forced_readonly,
		.disarmed = e->disarmed.is_on,
		.disarm_reason = e->disarmed.reason,
		.draining = e->draining,
		.started_ns = e->started_ns,
		.resumed_ns = e->resumed_ns,
		.evidence_unknown = truth == SC_UNKNOWN,
		.has_target = true,
		.protected_by = protected_by(e, rq, protect_buf, size),
		.decided_id = target ? target->cgroup_id : 0,
		.current_id = node->flags & SC_NODE_GONE ? 0 : node->cgroup_id,
		.irreversible = !sc_action_ops_of(kind)->is_reversible,
		.still_true = truth == SC_TRUE,
		.last_fire_ns = pair.fired_ns,
		.cooldown_ns = c->spec->cooldown_ns,
		.next_rung = rq->rung > 0,
		.requires_two_person = c->spec->requires_two_person,
	};
	fill_evidence(e, c, rq->slot, facts);
	if (rq->is_breaker)
		facts->events_lost = rq->events_lost;
	fill_reach(e, rq, c, facts);
}

void sc_engine_fill_facts(struct sc_engine *e, const struct sc_fire_request *rq,
			  struct sc_interlock_facts *facts, char *protect_buf, size_t size)
{
	if (rq->slot == SC_SLOT_NONE)
		fill_outside_facts(e, rq, facts);
	else
		fill_target_facts(e, rq, facts, protect_buf, size);
}

void sc_engine_remember_fire(struct sc_engine *e, const struct sc_fire *fire)
{
	struct sc_recent *r;

	if (fire->rung > 0 && sc_action_ops_of(fire->action)->is_reversible)
		return;
	for (r = e->recent; r < e->recent + SC_RECENT_MAX; r++)
		r->is_last = r->is_last &&
			     (r->cgroup_id != fire->cgroup_id || r->dry_run != fire->dry_run ||
			      strcmp(r->condition_id, fire->condition_id) != 0);
	r = &e->recent[e->recent_next++ % SC_RECENT_MAX];
	*r = (struct sc_recent){
		.at_ns = fire->fired_at_mono_ns,
		.cgroup_id = fire->cgroup_id,
		.is_last = true,
		.dry_run = fire->dry_run,
		.automatic = strcmp(fire->principal, SC_PRINCIPAL_AGENT) == 0,
		.irreversible = !sc_action_ops_of(fire->action)->is_reversible,
	};
	sc_strcopy(r->condition_id, sizeof(r->condition_id), fire->condition_id);
}
