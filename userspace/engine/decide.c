/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a candidate or a person's request to a verdict, and to a fire where nothing vetoes.
 * Everything that can lead to an action passes sc_engine_decide.
 */
#include "engine/core.h"

#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "record/fold.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

void sc_operand_json(struct sc_json *j, const struct sc_operand *o)
{
	sc_json_object_begin(j);
	sc_json_member_text(j, "text", o->text);
	sc_json_member_double(j, "value", o->value);
	sc_json_member_text(j, "op", o->op);
	sc_json_member_double(j, "threshold", o->threshold);
	sc_json_member_text(j, "unit", sc_unit_name(o->unit));
	sc_json_member_text(j, "truth", sc_truth_name(o->truth));
	if (!isnan(o->age_s))
		sc_json_member_double(j, "age_s", o->age_s);
	sc_json_object_end(j);
}

/* The values, thresholds and truth that the fire rests on, copied now. */
static void write_evidence(struct sc_engine *e, const struct sc_condition *c, uint32_t slot,
			   struct sc_fire *fire)
{
	struct sc_operand operands[SC_PREDICATE_OPERANDS_MAX];
	struct sc_json json;
	struct sc_str text;
	size_t n, written = 0;

	if (!c->predicate)
		return;
	n = sc_predicate_operands((struct sc_predicate *)c->predicate, e->plan, slot, operands,
				  SC_PREDICATE_OPERANDS_MAX);
	n = SC_MIN(n, (size_t)SC_PREDICATE_OPERANDS_MAX);
	do { /* as many operands as fit; how many there were is told */
		sc_str_init(&text, fire->evidence, sizeof(fire->evidence));
		sc_json_init(&json, &text);
		sc_json_object_begin(&json);
		sc_json_member_u64(&json, "operands_in_all", n);
		sc_json_key(&json, "operands");
		sc_json_array_begin(&json);
		for (size_t i = 0; i < n - written; i++)
			sc_operand_json(&json, &operands[i]);
		sc_json_array_end(&json);
		sc_json_object_end(&json);
		written++;
	} while (text.truncated && written <= n);
}

/* A condition without a scope is judged on the whole tree: what it cuts is its group alone. */
static void name_cut(struct sc_engine *e, const struct sc_fire_request *rq, struct sc_fire *fire)
{
	const struct sc_condition *c = sc_engine_condition_of(e, rq);
	const struct sc_group *group = sc_isolation_group(e, &c->spec->action, fire->action,
							  rq->slot);

	sc_strcopy(fire->mode, sizeof(fire->mode),
		   sc_cut_mode_name(sc_isolation_mode(&c->spec->action, fire->action)));
	if (!group)
		return;
	snprintf(fire->group, sizeof(fire->group), "%s %s", sc_group_kind_name(group->kind),
		 group->name);
	if (!c->spec->scope)
		sc_strcopy(fire->target, sizeof(fire->target), fire->group);
}

static void fill_fire(struct sc_engine *e, const struct sc_fire_request *rq, struct sc_fire *fire)
{
	const struct sc_condition *c = sc_engine_condition_of(e, rq);
	const struct sc_target *target = sc_targets_get(e->targets, rq->slot);
	const char *path = target ? target->path : rq->outside;

	*fire = (struct sc_fire){
		.action = sc_engine_kind_of(c, rq->rung),
		.cgroup_id = target ? target->cgroup_id : 0,
		.fired_at_ns = e->now.real_ns,
		.fired_at_mono_ns = e->now.mono_ns,
		.fired_at_boot_ns = e->now.boot_ns,
		.dry_run = sc_engine_is_dry_run(c, rq),
		.forced = rq->forced,
		.two_person = c->spec->requires_two_person ? SC_TWO_PERSON_PENDING
							   : SC_TWO_PERSON_NOT_REQUIRED,
		.rung = rq->rung,
		.timing = {.detected_ns = rq->asker == SC_ASKER_AUTO ? e->cause_ns : e->now.mono_ns,
			   .decided_ns = e->now.mono_ns},
	};
	sc_uuid(fire->id);
	sc_strcopy(fire->condition_id, sizeof(fire->condition_id), c->spec->id);
	if (!sc_strcopy(fire->target, sizeof(fire->target), path ? path : ""))
		sc_log_warning(
			"fire %s: the path of its target is longer than %zu bytes, and cut in "
			"the record; its cgroup id is %llu",
			fire->id, sizeof(fire->target) - 1, (unsigned long long)fire->cgroup_id);
	sc_strcopy(fire->boot_id, sizeof(fire->boot_id), e->boot_id);
	sc_strcopy(fire->fired_by, sizeof(fire->fired_by), rq->fired_by);
	sc_strcopy(fire->principal, sizeof(fire->principal), rq->principal);
	sc_strcopy(fire->reason, sizeof(fire->reason), rq->reason);
	if (rq->key)
		sc_strcopy(fire->key, sizeof(fire->key), rq->key);
	if (sc_action_kind_cuts(fire->action) && !rq->impossible)
		name_cut(e, rq, fire);
	if (rq->evidence)
		sc_strcopy(fire->evidence, sizeof(fire->evidence), rq->evidence);
	else if (rq->slot != SC_SLOT_NONE)
		write_evidence(e, c, rq->slot, fire);
}

/* The first rung of a ladder whose next rung this is: what it froze is thawed after the kill. */
static struct sc_active *rung_before(struct sc_engine *e, const struct sc_fire *fire)
{
	for (size_t i = 0; i < SC_ACTIVE_MAX; i++) {
		struct sc_active *a = &e->active[i];

		if (fire->rung > 0 && a->stage == SC_ACTIVE_STANDING &&
		    a->fire.cgroup_id == fire->cgroup_id && a->fire.rung + 1 == fire->rung &&
		    strcmp(a->fire.condition_id, fire->condition_id) == 0)
			return a;
	}
	return NULL;
}

/* A person who takes a rung back ends the ladder: the next rung does not follow. */
static bool is_ladder_ended(const struct sc_engine *e, const struct sc_fire_request *rq)
{
	const struct sc_condition *c = sc_conditions_get(e->set, rq->condition);
	const struct sc_target *t = sc_targets_get(e->targets, rq->slot);
	const struct sc_fire *fire;

	for (unsigned int i = 0; rq->rung > 0 && (fire = sc_fold_fire_at(e->fold, i)); i++)
		if (t && fire->cgroup_id == t->cgroup_id && fire->rung + 1 == rq->rung &&
		    strcmp(fire->condition_id, c->spec->id) == 0)
			return fire->state == SC_FIRE_RELEASED &&
			       strncmp(fire->released_by, SC_PRINCIPAL_AGENT,
				       strlen(SC_PRINCIPAL_AGENT)) != 0;
	return false;
}

static void record_end(struct sc_engine *e, enum sc_record_kind kind,
		       const struct sc_fire_request *rq, struct sc_fire *fire)
{
	(void)sc_records_fire(e, kind, fire);
	e->fires_total++;
	if (rq->slot == SC_SLOT_NONE)
		return; /* it touched no target */
	(void)sc_conditions_fired(e->set, rq->condition, rq->slot, rq->rung, e->now.mono_ns);
	sc_conditions_settled(e->set, rq->condition, rq->slot, e->now.mono_ns);
	sc_engine_remember_fire(e, fire);
}

/* True when this veto is another than the last one of who asks. */
static bool is_worth_telling(struct sc_engine *e, const struct sc_fire_request *rq, uint32_t reason)
{
	bool is_new;

	if (rq->slot == SC_SLOT_NONE)
		return true;
	if (!rq->is_breaker)
		return sc_conditions_vetoed(e->set, rq->condition, rq->slot, reason);
	is_new = *rq->veto != reason;
	*rq->veto = reason;
	return is_new;
}

static int veto(struct sc_engine *e, const struct sc_fire_request *rq, struct sc_fire *fire,
		const struct sc_verdict *verdict)
{
	bool worth = is_worth_telling(e, rq, sc_verdict_reason(verdict));

	if (rq->asker == SC_ASKER_AUTO && !worth)
		return SC_EXIT_VETOED;
	sc_strcopy(fire->veto, sizeof(fire->veto), sc_interlock_name(verdict->first));
	sc_strcopy(fire->dispatch_result, sizeof(fire->dispatch_result),
		   verdict->reason[verdict->first].text);
	e->vetoes_total++;
	(void)sc_records_fire(e, SC_RECORD_FIRE_VETOED, fire);
	sc_log_info("fire of %s on %s vetoed by %s: %s", fire->condition_id, fire->target,
		    fire->veto, fire->dispatch_result);
	return SC_EXIT_VETOED;
}

static int fail(struct sc_engine *e, const struct sc_fire_request *rq, struct sc_fire *fire,
		const char *why)
{
	sc_strcopy(fire->error, sizeof(fire->error), why);
	fire->outcome = SC_OUTCOME_FAILED;
	(void)sc_records_fire(e, SC_RECORD_FIRE_INTENT, fire);
	record_end(e, SC_RECORD_FIRE_FAILED, rq, fire);
	sc_log_error("fire of %s on %s failed: %s", fire->condition_id, fire->target, why);
	return SC_EXIT_FAILED;
}

/* An intent that stayed open would be finished by the next start. */
static int refuse_unrecorded(struct sc_engine *e, struct sc_fire *fire)
{
	sc_strcopy(fire->error, sizeof(fire->error), "the journal cannot record it; see doctor");
	fire->outcome = SC_OUTCOME_FAILED;
	(void)sc_records_fire(e, SC_RECORD_FIRE_FAILED, fire);
	return SC_EXIT_FAILED;
}

static void write_undo(struct sc_fire *fire)
{
	struct sc_json json;
	struct sc_str text;

	sc_str_init(&text, fire->undo, sizeof(fire->undo));
	sc_json_init(&json, &text);
	sc_json_object_begin(&json);
	if (fire->action == SC_ACTION_FREEZE) {
		sc_json_member_text(&json, "write", "cgroup.freeze");
		sc_json_member_u64(&json, "value", 0);
		sc_json_member_u64(&json, "cgroup_id", fire->cgroup_id);
	} else if (sc_action_kind_cuts(fire->action)) {
		sc_json_member_text(&json, "cut", fire->group[0] ? fire->group : fire->target);
		sc_json_member_text(&json, "mode", sc_cut_mode_name(SC_CUT_NONE));
	} else if (fire->action == SC_ACTION_READONLY) {
		sc_json_member_text(&json, "readonly", sc_readonly_way_name(SC_READONLY_NO_WAY));
		sc_json_member_u64(&json, "cgroup_id", fire->cgroup_id);
	} else {
		sc_json_member_text(&json, "write", NULL); /* a kill cannot be undone */
	}
	sc_json_object_end(&json);
}

/* 0, or -errno with run.text set and nothing held. */
static int prepare(struct sc_engine *e, const struct sc_fire_request *rq,
		   const struct sc_fire *fire, struct sc_active *a,
		   struct sc_action_request *request)
{
	int r;

	if (sc_action_kind_cuts(fire->action)) {
		a->isolation = sc_isolation_begin(e, sc_engine_condition_of(e, rq), fire, rq->slot,
						  a->run.text);
		if (!a->isolation)
			return -EOPNOTSUPP;
		request->cut = &a->isolation->cut;
	}
	if (fire->action == SC_ACTION_READONLY) {
		a->fire = *fire;
		a->slot = rq->slot;
		request->readonly = sc_readonly_wish(e, a);
	}
	r = sc_action_prepare(&a->run, request, &e->ports->effector);
	if (r < 0 && a->run.outcome == SC_ACTION_OUTCOME_GONE)
		return 0; /* it vanished: success */
	if (r < 0 && a->isolation)
		sc_isolation_abandon(e, a->isolation);
	else if (a->isolation)
		a->isolation->is_busy = true;
	return r;
}

/* What keeps its place until it is released. */
static bool may_stand(const struct sc_condition *c, const struct sc_fire *fire)
{
	return fire->action == SC_ACTION_FREEZE || fire->action == SC_ACTION_READONLY ||
	       c->spec->action.rekill;
}

static int begin(struct sc_engine *e, const struct sc_fire_request *rq, struct sc_fire *fire)
{
	const struct sc_condition *c = sc_engine_condition_of(e, rq);
	const struct sc_target *root = sc_targets_get(e->targets, e->ports->kernel.root_slot);
	struct sc_active *before = rung_before(e, fire);
	struct sc_isolation *cut_before = sc_isolation_rung_before(e, fire);
	struct sc_active *a = sc_fires_free_place(e);
	struct sc_action_request request = {
		.kind = fire->action,
		.cgroup_id = fire->cgroup_id,
		.scope_root_id = root ? root->cgroup_id : 0,
		.grace_ns = c->spec->action.grace_ns,
		.was_populated = e->ports->kernel.counts[rq->slot].proc_alive > 0,
		.thaws_after = before != NULL,
	};

	if (!a || (may_stand(c, fire) && sc_fires_free_places(e) <= SC_ACTIVE_RESERVED))
		return fail(e, rq, fire, "too many fires are under way; release what stands");
	sc_hand_alert(&e->hand);
	if (before || cut_before)
		sc_strcopy(fire->supersedes, sizeof(fire->supersedes),
			   before ? before->fire.id : cut_before->cut.fire_id);
	if (c->spec->ttl_ns && sc_action_ops_of(fire->action)->is_reversible)
		fire->expires_at_boot_ns = e->now.boot_ns + c->spec->ttl_ns;
	fire->rekill = c->spec->action.rekill && fire->action == SC_ACTION_PROCESS_EXIT;
	if (prepare(e, rq, fire, a, &request) < 0) {
		char why[SC_ACTION_TEXT_MAX];

		sc_strcopy(why, sizeof(why), a->run.text);
		sc_action_close(&a->run, &e->ports->effector);
		return fail(e, rq, fire, why);
	}
	write_undo(fire);
	fire->timing.intent_ns = sc_mono_ns();
	if (!sc_records_fire(e, SC_RECORD_FIRE_INTENT, fire) && rq->asker != SC_ASKER_AUTO) {
		sc_action_close(&a->run, &e->ports->effector);
		if (a->isolation)
			sc_isolation_abandon(e, a->isolation);
		return refuse_unrecorded(e, fire);
	}
	a->fire = *fire;
	a->slot = rq->slot;
	a->waiter = rq->waiter;
	a->waits_for_outcome = rq->waits_for_outcome;
	a->ends_when_clear = fire->action == SC_ACTION_FREEZE && rq->rung + 1 < c->spec->rungs;
	sc_fires_dispatch(e, a);
	e->fires_total++;
	(void)sc_conditions_fired(e->set, rq->condition, rq->slot, rq->rung, e->now.mono_ns);
	sc_engine_remember_fire(e, fire);
	return SC_EXIT_DONE;
}

int sc_engine_decide(struct sc_engine *e, const struct sc_fire_request *rq, struct sc_fire *fire,
		     struct sc_verdict *verdict)
{
	const struct sc_condition *c = sc_engine_condition_of(e, rq);
	struct sc_interlock_facts facts;
	struct sc_verdict own_verdict;
	struct sc_fire own_fire;
	char protect_buf[SC_INTERLOCK_TEXT_MAX];
	const char *impossible;

	fire = fire ? fire : &own_fire;
	verdict = verdict ? verdict : &own_verdict;
	if (is_ladder_ended(e, rq))
		return SC_EXIT_VETOED;
	sc_engine_fill_facts(e, rq, &facts, protect_buf, sizeof(protect_buf));
	sc_interlocks_ask(&facts, verdict);
	fill_fire(e, rq, fire);
	if (verdict->answer == SC_ANSWER_VETO)
		return veto(e, rq, fire, verdict);
	if (rq->asker != SC_ASKER_AUTO && !sc_journal_can_record(e->journal)) {
		sc_strcopy(fire->error, sizeof(fire->error),
			   "the journal cannot record it; see doctor");
		return SC_EXIT_FAILED;
	}
	impossible = rq->impossible ? rq->impossible
				    : sc_group_lacking(e, &c->spec->action, fire->action);
	if (impossible) {
		fire->two_person = SC_TWO_PERSON_NOT_REQUIRED; /* nobody is waited for */
		return fail(e, rq, fire, impossible);
	}
	if (verdict->answer == SC_ANSWER_PENDING && sc_pending_count(e) >= SC_PENDING_MAX)
		return fail(e, rq, fire, "too many fires wait for a second person already");
	if (verdict->answer == SC_ANSWER_PENDING) {
		record_end(e, SC_RECORD_FIRE_PENDING, rq, fire);
		sc_log_warning("fire %s of %s waits for a second person", fire->id,
			       fire->condition_id);
		return SC_EXIT_PENDING;
	}
	if (fire->dry_run) {
		record_end(e, SC_RECORD_FIRE_DRY_RUN, rq, fire);
		sc_log_info("dry-run: %s would %s %s", c->spec->id,
			    sc_action_kind_name(fire->action), fire->target);
		return SC_EXIT_DONE;
	}
	if (e->meta[rq->condition].why_not[0])
		return fail(e, rq, fire, e->meta[rq->condition].why_not);
	return begin(e, rq, fire);
}
