/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tick of one condition: evaluate a chunk of its targets, step the pairs that are not trivially
 * quiet, and hand out what is due. And the way back: what the engine tells of a candidate. Nothing
 * here allocates.
 */
#include "condition/set.h"

#include <scram/snapshot.h>

#include <assert.h>
#include <errno.h>

/* Where the targets of one evaluation come from, and how far it is. */
struct selection {
	const struct sc_scopes *scopes;
	int scope;
	uint32_t root;
	const uint32_t *slots; /* of an early tick; NULL = all members */
	uint32_t n;
	uint32_t cursor;
};

struct evaluation {
	struct sc_conditions *set;
	size_t i;
	uint64_t now_ns;
	struct sc_candidates *out;
	bool is_full;
	uint32_t resume; /* pairs of lower slots had their turn in the last tick */
	struct sc_condition_stats tally;
};

static bool is_member(const struct selection *sel, uint32_t slot)
{
	if (sel->scope < 0)
		return slot == sel->root && slot != SC_SLOT_NONE;
	return sc_scope_has(sel->scopes, (uint32_t)sel->scope, slot);
}

/* The next targets, SC_CHUNK at most; 0 = no more. */
static uint32_t select_chunk(struct selection *sel, uint32_t chunk[static SC_CHUNK])
{
	uint32_t got = 0;

	if (!sel->slots && sel->scope >= 0)
		return sc_scope_fill(sel->scopes, (uint32_t)sel->scope, &sel->cursor, chunk,
				     SC_CHUNK);
	if (!sel->slots) {
		chunk[0] = sel->root;
		return sel->cursor++ == 0 && sel->root != SC_SLOT_NONE;
	}
	while (got < SC_CHUNK && sel->cursor < sel->n) {
		chunk[got] = sel->slots[sel->cursor++];
		got += is_member(sel, chunk[got]);
	}
	return got;
}

static void add_candidate(struct evaluation *e, uint32_t slot, const struct sc_pair *pair)
{
	struct sc_condition_state *state = &e->set->state[e->i];
	bool is_next = pair->phase == SC_PHASE_LATCHED;

	if (slot < e->resume)
		return;
	if (e->out->n == e->out->max) {
		if (e->is_full && !state->resume)
			state->resume = slot;
		state->stats.candidates_refused++;
		e->out->overflow++;
		return;
	}
	e->out->item[e->out->n++] = (struct sc_candidate){
		.condition = (uint32_t)e->i,
		.slot = slot,
		.rung = is_next ? pair->rung + 1u : 0,
		.since_ns = pair->since_ns,
	};
}

static void step_pair(struct evaluation *e, uint32_t slot, enum sc_truth truth)
{
	struct sc_condition_state *state = &e->set->state[e->i];
	struct sc_pair *pair;

	if (!state->pair[slot] && truth != SC_TRUE)
		return;
	pair = sc_pair_take(e->set, e->i, slot);
	if (!pair)
		return;
	if (sc_fsm_step(pair, &e->set->spec[e->i], (enum sc_fsm_input)truth, e->now_ns))
		add_candidate(e, slot, pair);
	if (pair->phase == SC_PHASE_CLEAR)
		sc_pair_give_back(e->set, e->i, slot);
}

static void count_truth(struct evaluation *e, uint32_t slot, enum sc_truth truth)
{
	uint8_t *run = &e->set->state[e->i].unknown[slot];

	e->tally.targets_true += truth == SC_TRUE;
	e->tally.targets_unknown += truth == SC_UNKNOWN;
	if (truth != SC_UNKNOWN)
		*run = 0;
	else if (*run < SC_UNKNOWN_MAX)
		++*run;
	e->tally.unknown_run = SC_MAX(e->tally.unknown_run, (uint32_t)*run);
}

/* Most chunks are all false and have nothing pending: they are passed over without looking at
 * pairs. */
static bool is_quiet(const struct sc_condition_state *state, const uint8_t *truth, uint32_t n)
{
	unsigned int any = 0;

	static_assert(SC_FALSE == 0, "an OR over the truths tells whether all are false");
	if (state->pairs || state->stats.targets_unknown)
		return false;
	for (uint32_t k = 0; k < n; k++)
		any |= truth[k];
	return any == 0;
}

static void step_chunk(struct evaluation *e, const uint32_t *chunk, const uint8_t *truth,
		       uint32_t n)
{
	e->tally.targets += n;
	if (is_quiet(&e->set->state[e->i], truth, n))
		return;
	for (uint32_t k = 0; k < n; k++) {
		if (chunk[k] >= e->set->slots)
			continue;
		if (e->is_full)
			count_truth(e, chunk[k], (enum sc_truth)truth[k]);
		step_pair(e, chunk[k], (enum sc_truth)truth[k]);
	}
}

static void publish(const struct evaluation *e)
{
	struct sc_condition_stats *stats = &e->set->state[e->i].stats;

	stats->targets = e->tally.targets;
	stats->targets_true = e->tally.targets_true;
	stats->targets_unknown = e->tally.targets_unknown;
	stats->unknown_run = e->tally.unknown_run;
}

void sc_conditions_judge(struct sc_conditions *set, size_t i, const struct sc_pass *pass,
			 struct sc_candidates *out)
{
	uint32_t chunk[SC_CHUNK];
	uint8_t truth[SC_CHUNK];
	struct evaluation e = {
		.set = set, .i = i, .now_ns = pass->now_ns, .out = out, .is_full = !pass->slots};
	struct selection sel = {
		.scopes = sc_plan_scopes(set->plan), .slots = pass->slots, .n = pass->n};
	uint32_t got;

	SC_ASSERT(i < set->n);
	if (!set->condition[i].evaluated)
		return;
	sel.scope = set->condition[i].scope;
	sel.root = set->root;
	if (e.is_full) {
		e.resume = set->state[i].resume;
		set->state[i].resume = 0;
	}
	while ((got = select_chunk(&sel, chunk)) > 0) {
		sc_predicate_eval(set->predicate[i], set->plan, chunk, got, truth);
		step_chunk(&e, chunk, truth, got);
	}
	if (e.is_full)
		publish(&e);
}

int sc_conditions_fired(struct sc_conditions *set, size_t i, uint32_t slot, uint32_t rung,
			uint64_t now_ns)
{
	struct sc_pair *pair;

	SC_ASSERT(i < set->n && rung < SC_CONDITION_RUNGS_MAX);
	if (!set->condition[i].evaluated || slot >= set->slots)
		return 0;
	pair = sc_pair_take(set, i, slot);
	if (!pair)
		return -ENOSPC;
	sc_fsm_step(pair, &set->spec[i], SC_FSM_FIRE, now_ns);
	pair->rung = (uint8_t)rung;
	return 0;
}

void sc_conditions_settled(struct sc_conditions *set, size_t i, uint32_t slot, uint64_t now_ns)
{
	struct sc_pair *pair = sc_pair_get(set, i, slot);

	if (pair)
		sc_fsm_step(pair, &set->spec[i], SC_FSM_SETTLE, now_ns);
}

bool sc_conditions_vetoed(struct sc_conditions *set, size_t i, uint32_t slot, uint32_t reason)
{
	struct sc_pair *pair = sc_pair_get(set, i, slot);
	bool is_new;

	SC_ASSERT(reason != 0);
	if (!pair)
		return true;
	is_new = pair->veto != reason;
	pair->veto = reason;
	return is_new;
}

void sc_conditions_slot_reset(struct sc_conditions *set, uint32_t slot)
{
	for (size_t i = 0; i < set->n; i++) {
		if (!set->condition[i].evaluated || slot >= set->slots)
			continue;
		if (sc_pair_get(set, i, slot))
			sc_pair_give_back(set, i, slot);
		set->state[i].unknown[slot] = 0;
	}
}

void sc_conditions_restart_holds(struct sc_conditions *set)
{
	for (size_t i = 0; i < set->n; i++) {
		for (uint32_t slot = 0; set->state[i].pairs && slot < set->slots; slot++) {
			struct sc_pair *pair = sc_pair_get(set, i, slot);

			if (pair && pair->phase == SC_PHASE_RISING)
				sc_pair_give_back(set, i, slot);
			else if (pair)
				pair->clearing = 0;
		}
	}
}
