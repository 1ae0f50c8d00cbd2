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
#include <string.h>

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

/* So many slots that follow each other are looked at together. */
#define GROUP 16u

static const uint8_t no_truth[SC_CHUNK];
static const uint16_t no_pair[GROUP];

static_assert(SC_FALSE == 0, "a column of zeros is one of false truths");

/* Adds the truths of n slots to the tally and to their runs of unknown; returns how many are
 * true. */
static uint32_t count_truths(struct sc_condition_stats *tally, const uint8_t *restrict truth,
			     uint8_t *restrict run, uint32_t n)
{
	uint32_t trues = 0, unknowns = 0;
	uint8_t longest = 0;

	for (uint32_t k = 0; k < n; k++) {
		uint8_t grown = (uint8_t)(run[k] + (run[k] < SC_UNKNOWN_MAX));

		trues += truth[k] == SC_TRUE;
		unknowns += truth[k] == SC_UNKNOWN;
		run[k] = truth[k] == SC_UNKNOWN ? grown : 0;
		longest = run[k] > longest ? run[k] : longest;
	}
	tally->targets_true += trues;
	tally->targets_unknown += unknowns;
	tally->unknown_run = SC_MAX(tally->unknown_run, (uint32_t)longest);
	return trues;
}

/* A group from this slot on; nothing is done where all are false as before and none has a pair. */
static void step_group(struct evaluation *e, uint32_t slot, const uint8_t *truth)
{
	struct sc_condition_state *state = &e->set->state[e->i];
	bool has_pair = memcmp(state->pair + slot, no_pair, sizeof(no_pair)) != 0;

	if (!has_pair && !memcmp(truth, no_truth, GROUP) &&
	    !memcmp(state->unknown + slot, no_truth, GROUP))
		return;
	if (!count_truths(&e->tally, truth, state->unknown + slot, GROUP) && !has_pair)
		return;
	for (uint32_t k = 0; k < GROUP; k++)
		step_pair(e, slot + k, (enum sc_truth)truth[k]);
}

static void step_one(struct evaluation *e, uint32_t slot, const uint8_t *truth)
{
	if (slot >= e->set->slots)
		return;
	if (e->is_full)
		count_truths(&e->tally, truth, &e->set->state[e->i].unknown[slot], 1);
	step_pair(e, slot, (enum sc_truth)truth[0]);
}

/* Only the slots of a full tick are sure to be ascending, and its tally is the one that is kept. */
static bool is_group(const struct evaluation *e, const uint32_t *chunk, uint32_t n)
{
	return e->is_full && n >= GROUP && chunk[GROUP - 1] - chunk[0] == GROUP - 1 &&
	       chunk[GROUP - 1] < e->set->slots;
}

static void step_chunk(struct evaluation *e, const uint32_t *chunk, const uint8_t *truth,
		       uint32_t n)
{
	const struct sc_condition_state *state = &e->set->state[e->i];
	uint32_t k = 0;

	e->tally.targets += n;
	/* Most chunks: passed over without touching what is kept for each slot. */
	if (!state->pairs && !state->stats.targets_unknown && !memcmp(truth, no_truth, n))
		return;
	while (k < n) {
		if (is_group(e, chunk + k, n - k)) {
			step_group(e, chunk[k], truth + k);
			k += GROUP;
		} else {
			step_one(e, chunk[k], truth + k);
			k++;
		}
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
