/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the breaker of a component decides is carried out here. Opening goes through
 * sc_engine_decide as any fire does, so that the same interlocks stand before it and the same
 * records follow; the breaker is open only when that did not veto. What the cut is like afterwards
 * follows its state.
 */
#include "engine/components_impl.h"

#include "base/log.h"
#include "engine/protocol.h"

#include <errno.h>
#include <string.h>

/* Asks for the cut, by itself or (wish) for a person. DONE also for a dry-run; a veto or a failure
 * leaves its reason in last_error. */
static enum sc_exit ask(struct sc_engine *e, struct sc_component_watch *w,
			const struct sc_breaker *next, const struct sc_breaker_wish *wish,
			const char *note)
{
	int condition = sc_conditions_find(e->set, w->condition_id);
	char evidence[SC_FIRE_EVIDENCE_MAX];
	struct sc_fire_request rq = {
		.condition = (uint32_t)condition,
		.slot = e->ports->kernel.root_slot,
		.asker = wish ? SC_ASKER_MANUAL : SC_ASKER_AUTO,
		.fired_by = wish ? wish->by : "auto",
		.principal = wish ? wish->principal : SC_PRINCIPAL_AGENT,
		.is_breaker = true,
		.is_live = sc_breaker_cut(next, &w->spec) != SC_CUT_NONE,
		.veto = &w->veto,
		.evidence = evidence,
		.events_lost = w->is_cut_due ? 0 : w->events_lost, /* an order rests on none */
		.reason = note,
		.waiter = SC_REPLY_TO_NOBODY,
	};
	struct sc_fire fire = {0};
	struct sc_str text;
	int r;

	if (condition < 0) { /* of a registry that was built without this component: a mistake */
		sc_component_note_error(w, "there is no condition %s", w->condition_id);
		return SC_EXIT_FAILED;
	}
	sc_str_init(&text, evidence, sizeof(evidence));
	sc_component_evidence(w, &text);
	r = sc_engine_decide(e, &rq, &fire, NULL);
	if (r == SC_EXIT_FAILED)
		sc_component_note_error(w, "%s", fire.error);
	if (r == SC_EXIT_VETOED && fire.veto[0])
		sc_component_note_error(w, "its breaker may not open: %s: %s", fire.veto,
					fire.dispatch_result);
	if (r != SC_EXIT_VETOED)
		w->veto = 0;
	if (r == SC_EXIT_DONE && rq.is_live)
		sc_strcopy(w->cut_fire_id, sizeof(w->cut_fire_id), fire.id);
	return (enum sc_exit)r;
}

/* --- what was seen --- */

static bool is_true(struct sc_engine *e, struct sc_predicate *predicate)
{
	uint32_t root = e->ports->kernel.root_slot;
	uint8_t truth = SC_UNKNOWN;

	sc_predicate_eval(predicate, e->plan, &root, 1, &truth);
	return truth == SC_TRUE;
}

/* Counters, or the predicates that stand for them. */
static struct sc_breaker_look look_of(struct sc_engine *e, struct sc_component_watch *w,
				      const struct sc_component_growth *grown)
{
	struct sc_breaker_counts counts = grown->counts;
	bool failed = w->failure && is_true(e, w->failure);
	bool succeeded = w->success && is_true(e, w->success);
	struct sc_breaker_look look;

	if (w->holder.is_cut_off) /* refused by another cut: no evidence */
		counts = (struct sc_breaker_counts){.unexpected_exits = counts.unexpected_exits};
	counts.tries = sc_component_tries(e, w, &counts);
	look = sc_breaker_count(&w->breaker, &w->spec, &counts);
	look = sc_breaker_judge(&w->breaker, look, w->failure ? &failed : NULL,
				w->success ? &succeeded : NULL);
	if (failed && look.failures)
		sc_component_note_error(w, "true: %s", w->failure_text);
	else if (look.failures)
		sc_component_note_error(w, "%llu connects failed, %llu unexpected exits",
					(unsigned long long)counts.connect_failures,
					(unsigned long long)counts.unexpected_exits);
	return look;
}

/* --- transitions --- */

/* True when the step may be taken: what begins a cut must not be vetoed. */
static bool may_step(struct sc_engine *e, struct sc_component_watch *w,
		     const struct sc_breaker *next, const struct sc_breaker_transition *t)
{
	char note[SC_FIRE_REASON_MAX];

	if (t->to != SC_BREAKER_OPEN || w->cut)
		return true;
	snprintf(note, sizeof(note), "%s: %s", sc_breaker_reason_name(t->reason), w->last_error);
	return ask(e, w, next, NULL, note) != SC_EXIT_VETOED;
}

static void step(struct sc_engine *e, struct sc_component_watch *w,
		 const struct sc_breaker_look *look)
{
	struct sc_breaker next = w->breaker;
	struct sc_breaker_transition t;

	if (!sc_breaker_step(&next, &w->spec, look, e->now.boot_ns, &t)) {
		w->breaker = next;
		return;
	}
	w->breaker.run = next.run; /* a veto leaves it due, with the failures that there were */
	if (!may_step(e, w, &next, &t))
		return;
	w->breaker = next;
	sc_component_tell_transition(e, w, &t, SC_PRINCIPAL_AGENT, "");
}

/* --- when cut and state disagree, by another hand --- */

/* Whatever it was, it is closed now, and goes on by itself. */
static void close_by(struct sc_engine *e, struct sc_component_watch *w, const char *by)
{
	enum sc_breaker_state from = w->breaker.state;
	struct sc_breaker_transition t;

	(void)sc_breaker_order(&w->breaker, &w->spec, SC_BREAKER_ORDER_FORCED_CLOSED,
			       e->now.boot_ns, &t);
	(void)sc_breaker_order(&w->breaker, &w->spec, SC_BREAKER_ORDER_NONE, e->now.boot_ns, &t);
	t.from = from;
	sc_component_tell_transition(e, w, &t, by, "its cut was released");
}

/* The breaker wants a cut, and the one that was there is gone: released by a person or for a
 * reason of its own, or it never held. */
static void notice_lost_cut(struct sc_engine *e, struct sc_component_watch *w)
{
	bool ambiguous;
	const struct sc_fire *fire = w->cut_fire_id[0] ? sc_fold_fire_find(e->fold, w->cut_fire_id,
									   &ambiguous)
						       : NULL;

	if (!fire || !sc_fire_is_closed(fire->state) || sc_fire_is_standing(fire))
		return; /* it is on its way */
	w->cut_fire_id[0] = '\0';
	if (fire->state == SC_FIRE_RELEASED)
		close_by(e, w, fire->released_by);
	else
		sc_component_note_error(w, "%s", fire->error);
}

static bool is_by_itself(const struct sc_isolation *cut)
{
	return strcmp(cut->by, "auto") == 0;
}

/* A cut in the name of the breaker that a person fired: `fire breaker:NAME` is an order. */
static void notice_order(struct sc_engine *e, struct sc_component_watch *w)
{
	struct sc_breaker_transition t;

	if (sc_breaker_order(&w->breaker, &w->spec, SC_BREAKER_ORDER_FORCED_OPEN, e->now.boot_ns,
			     &t))
		sc_component_tell_transition(e, w, &t, w->cut->by, "fired by hand");
}

/* At the first tick: cuts that stood were taken up by now. What was released while there was no
 * agent stays so; what a reboot took is cut again where an operator wanted it. */
static void notice_restart(struct sc_engine *e, struct sc_component_watch *w)
{
	bool wants_cut = sc_breaker_cut(&w->breaker, &w->spec) != SC_CUT_NONE;

	w->is_restored = false;
	if (!wants_cut || w->cut)
		return;
	if (w->is_of_this_boot)
		close_by(e, w, SC_PRINCIPAL_AGENT);
	else
		w->is_cut_due = w->breaker.state == SC_BREAKER_FORCED_OPEN;
}

static void compare_with_world(struct sc_engine *e, struct sc_component_watch *w)
{
	bool wants_cut;

	if (w->is_restored)
		notice_restart(e, w);
	if (w->cut && !is_by_itself(w->cut))
		notice_order(e, w);
	wants_cut = sc_breaker_cut(&w->breaker, &w->spec) != SC_CUT_NONE;
	w->is_cut_due = w->is_cut_due && wants_cut && !w->cut;
	if (!w->cut && wants_cut)
		notice_lost_cut(e, w);
	if (w->cut)
		sc_strcopy(w->cut_fire_id, sizeof(w->cut_fire_id), w->cut->cut.fire_id);
	if (w->is_cut_due)
		w->is_cut_due = ask(e, w, &w->breaker, NULL, "forced-open before the reboot") ==
				SC_EXIT_VETOED;
}

void sc_component_breaker_tick(struct sc_engine *e, struct sc_component_watch *w,
			       const struct sc_component_growth *grown)
{
	struct sc_breaker_look look;
	bool was_trying;

	compare_with_world(e, w);
	was_trying = w->breaker.state == SC_BREAKER_HALF_OPEN;
	look = look_of(e, w, grown);
	step(e, w, &look);
	sc_component_hold(e, w,
			  was_trying && w->breaker.state == SC_BREAKER_CLOSED
				  ? SC_PRINCIPAL_AGENT ": recovered"
				  : SC_PRINCIPAL_AGENT ": its breaker cuts no more");
}

/* --- beginning and end --- */

void sc_component_restore(struct sc_engine *e, struct sc_component_watch *w)
{
	const struct sc_fold_breaker *known = sc_fold_breaker_find(e->fold, w->name);

	if (!known) {
		sc_breaker_init(&w->breaker, e->now.boot_ns);
		return;
	}
	w->is_restored = true;
	w->is_of_this_boot = strcmp(known->boot_id, e->boot_id) == 0;
	sc_breaker_restore(&w->breaker, &known->record, w->is_of_this_boot, e->now.boot_ns);
	sc_log_info("breaker of %s: %s, as the journal left it", w->name,
		    sc_breaker_state_name(w->breaker.state));
}

void sc_component_give_up(struct sc_engine *e, struct sc_component_watch *w)
{
	struct sc_breaker_transition t = {
		.from = w->breaker.state,
		.to = SC_BREAKER_CLOSED,
		.reason = SC_BREAKER_OPERATOR,
		.at_ns = e->now.boot_ns,
	};

	if (w->breaker.state == SC_BREAKER_CLOSED && w->breaker.order == SC_BREAKER_ORDER_NONE)
		return;
	sc_breaker_init(&w->breaker, e->now.boot_ns);
	sc_component_tell_transition(e, w, &t, SC_PRINCIPAL_AGENT, "declared no more");
}

/* --- orders --- */

static int order_of(const char *state)
{
	if (strcmp(state, "auto") == 0)
		return SC_BREAKER_ORDER_NONE;
	return strcmp(state, sc_breaker_order_name(SC_BREAKER_ORDER_NONE)) == 0
		       ? -ENOENT
		       : sc_breaker_order_find(state);
}

int sc_components_set_state(struct sc_engine *e, const struct sc_breaker_wish *wish)
{
	struct sc_component_watch *w = sc_component_find(e, wish->component);
	int order = order_of(wish->state);
	struct sc_breaker_transition t;
	struct sc_breaker next;
	enum sc_exit r;

	if (!w)
		return -ENOENT;
	if (order < 0)
		return -EINVAL;
	if (!w->has_breaker)
		return -EOPNOTSUPP;
	e->now = sc_time_now();
	next = w->breaker;
	if (!sc_breaker_order(&next, &w->spec, (enum sc_breaker_order)order, e->now.boot_ns, &t))
		return 0;
	sc_components_find_cuts(e);
	if (order == SC_BREAKER_ORDER_FORCED_OPEN && !w->cut) {
		w->veto = 0; /* a person is told each time */
		r = ask(e, w, &next, wish, wish->reason);
		if (r != SC_EXIT_DONE)
			return r == SC_EXIT_VETOED ? -EPERM : -EIO;
	}
	w->breaker = next;
	sc_component_tell_transition(e, w, &t, wish->by, wish->reason);
	sc_components_find_cuts(e);
	sc_component_hold(e, w, wish->by);
	return 0;
}
