/* SPDX-License-Identifier: Apache-2.0 */
/* A running set: made from a registry in one go, carried over from its predecessor, looked into. */
#include "condition/set.h"

#include <scram/snapshot.h>

#include <errno.h>
#include <string.h>

struct sc_pair *sc_pair_get(const struct sc_conditions *set, size_t i, uint32_t slot)
{
	SC_ASSERT(i < set->n);
	if (!set->state[i].pair || slot >= set->slots || !set->state[i].pair[slot])
		return NULL;
	return &set->pool[set->state[i].pair[slot]];
}

struct sc_pair *sc_pair_take(struct sc_conditions *set, size_t i, uint32_t slot)
{
	struct sc_condition_state *state = &set->state[i];
	struct sc_pair *pair = sc_pair_get(set, i, slot);
	uint32_t index = set->free;

	if (pair || !state->pair || slot >= set->slots)
		return pair;
	if (!index) {
		state->stats.pairs_refused++;
		return NULL;
	}
	pair = &set->pool[index];
	set->free = pair->next;
	*pair = (struct sc_pair){0};
	state->pair[slot] = (uint16_t)index;
	state->pairs++;
	return pair;
}

void sc_pair_give_back(struct sc_conditions *set, size_t i, uint32_t slot)
{
	struct sc_condition_state *state = &set->state[i];
	uint32_t index = state->pair[slot];

	SC_ASSERT(index && state->pairs);
	set->pool[index].next = set->free;
	set->free = index;
	state->pair[slot] = 0;
	state->pairs--;
}

void sc_conditions_free(struct sc_conditions **set)
{
	struct sc_conditions *s = *set;

	if (!s)
		return;
	for (size_t i = 0; i < s->n; i++) {
		sc_condition_spec_done(&s->spec[i]);
		sc_predicate_free(&s->predicate[i]);
		free(s->state[i].pair);
		free(s->state[i].unknown);
	}
	free(s->condition);
	free(s->spec);
	free(s->predicate);
	free(s->state);
	free(s->pool);
	free(s);
	*set = NULL;
}

static struct sc_conditions *alloc_set(size_t n, const struct sc_conditions_limits *limits)
{
	_cleanup_(sc_conditions_free) struct sc_conditions *set = calloc(1, sizeof(*set));
	uint32_t pairs = limits->pairs ? limits->pairs : SC_PAIRS_DEFAULT;

	if (!set)
		return NULL;
	set->slots = limits->slots;
	set->root = SC_SLOT_NONE;
	set->pool_size = SC_MIN(pairs, SC_PAIRS_MAX) + 1;
	set->condition = calloc(n + 1, sizeof(*set->condition));
	set->spec = calloc(n + 1, sizeof(*set->spec));
	set->predicate = calloc(n + 1, sizeof(*set->predicate));
	set->state = calloc(n + 1, sizeof(*set->state));
	set->pool = calloc(set->pool_size, sizeof(*set->pool));
	if (!set->condition || !set->spec || !set->predicate || !set->state || !set->pool)
		return NULL;
	for (uint32_t p = 1; p < set->pool_size; p++)
		set->pool[p].next = p + 1 < set->pool_size ? p + 1 : 0;
	set->free = 1;
	return SC_TAKE_PTR(set);
}

static int out_of_memory(struct sc_diag *diag)
{
	return sc_diag_set(diag, -ENOMEM, 0, 0, "out of memory");
}

/* Where the condition is judged: the members of its scope, its one target, or the root slot (-1).
 */
static int add_scope(struct sc_plan *plan, const struct sc_condition_spec *spec, int *scope,
		     struct sc_diag *diag)
{
	const char *glob = spec->scope ? spec->scope : spec->action.target;

	*scope = -1;
	if (!glob)
		return 0;
	*scope = sc_plan_add_scope(plan, glob);
	if (*scope == -ENOMEM)
		return out_of_memory(diag);
	if (*scope == -ENOSPC)
		return sc_diag_set(diag, -ENOSPC, spec->line, 1,
				   "too many different scopes; share some between conditions");
	if (*scope < 0)
		return sc_diag_set(diag, -EINVAL, spec->line, 1, "%s is not a glob of cgroup paths",
				   glob);
	return 0;
}

/* Compiles one registration into the next free place of the set. */
static int add_condition(struct sc_conditions *set, const struct sc_registration *reg,
			 const struct sc_predicate_env *env, struct sc_diag *diag)
{
	struct sc_predicate_env here = *env;
	struct sc_condition_spec *spec = &set->spec[set->n];
	struct sc_condition_state *state = &set->state[set->n];
	struct sc_condition *c = &set->condition[set->n];
	int err;

	if (sc_condition_spec_copy(spec, reg->spec))
		return out_of_memory(diag);
	set->n++;
	*c = (struct sc_condition){
		.spec = spec, .origin = reg->origin, .live = reg->live, .scope = -1};
	if (!spec->when)
		return 0;
	here.line = spec->when_line;
	here.column = spec->when_column;
	sc_diag_set(diag, 0, spec->line, 1, "out of memory");
	err = sc_predicate_compile(&set->predicate[set->n - 1], spec->when, &here, diag);
	if (!err)
		err = add_scope(env->plan, spec, &c->scope, diag);
	if (err)
		return err;
	c->predicate = set->predicate[set->n - 1];
	c->evaluated = spec->auto_fire;
	if (!c->evaluated)
		return 0;
	state->pair = calloc(set->slots, sizeof(*state->pair));
	state->unknown = calloc(set->slots, sizeof(*state->unknown));
	return state->pair && state->unknown ? 0 : out_of_memory(diag);
}

int sc_conditions_new(struct sc_conditions **out, const struct sc_registry *reg,
		      const struct sc_predicate_env *env, const struct sc_conditions_limits *limits,
		      struct sc_conditions_fault *fault)
{
	_cleanup_(sc_conditions_free) struct sc_conditions *set = alloc_set(sc_registry_count(reg),
									    limits);

	*fault = (struct sc_conditions_fault){0};
	if (!set)
		return out_of_memory(&fault->diag);
	set->plan = env->plan;
	for (size_t i = 0; i < sc_registry_count(reg); i++) {
		struct sc_registration r = sc_registry_get(reg, i);
		int err = add_condition(set, &r, env, &fault->diag);

		if (err) {
			fault->id = r.spec->id;
			fault->file = r.spec->file;
			return err;
		}
	}
	fault->diag = (struct sc_diag){0};
	*out = SC_TAKE_PTR(set);
	return 0;
}

static void adopt_pairs(struct sc_conditions *set, size_t i, const struct sc_conditions *old,
			size_t was)
{
	bool went_live = set->condition[i].live && !old->condition[was].live;

	for (uint32_t slot = 0; slot < SC_MIN(set->slots, old->slots); slot++) {
		const struct sc_pair *from = sc_pair_get(old, was, slot);
		struct sc_pair *to;

		set->state[i].unknown[slot] = old->state[was].unknown[slot];
		to = from ? sc_pair_take(set, i, slot) : NULL;
		if (!to)
			continue;
		*to = *from;
		if (went_live && to->phase == SC_PHASE_LATCHED)
			to->phase = SC_PHASE_COOLDOWN;
	}
}

void sc_conditions_adopt(struct sc_conditions *set, const struct sc_conditions *old)
{
	for (size_t i = 0; i < set->n; i++) {
		int was = sc_conditions_find(old, set->spec[i].id);

		if (was < 0 || !set->condition[i].evaluated || !old->condition[was].evaluated ||
		    !sc_condition_spec_same_judgement(&set->spec[i], &old->spec[was]))
			continue;
		set->state[i].stats = old->state[was].stats;
		adopt_pairs(set, i, old, (size_t)was);
	}
	if (set->root == SC_SLOT_NONE)
		set->root = old->root;
}

size_t sc_conditions_count(const struct sc_conditions *set)
{
	return set->n;
}

const struct sc_condition *sc_conditions_get(const struct sc_conditions *set, size_t i)
{
	SC_ASSERT(i < set->n);
	return &set->condition[i];
}

int sc_conditions_find(const struct sc_conditions *set, const char *id)
{
	size_t low = 0;
	size_t high = set->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = strcmp(set->spec[mid].id, id);

		if (order == 0)
			return (int)mid;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return -ENOENT;
}

size_t sc_conditions_bytes(const struct sc_conditions *set)
{
	size_t per_slot = sizeof(*set->state->pair) + sizeof(*set->state->unknown);
	size_t bytes = sizeof(*set) + set->pool_size * sizeof(*set->pool);

	bytes += set->n * (sizeof(*set->condition) + sizeof(*set->spec) + sizeof(*set->state));
	for (size_t i = 0; i < set->n; i++)
		bytes += set->state[i].pair ? set->slots * per_slot : 0;
	return bytes;
}

void sc_conditions_set_root(struct sc_conditions *set, uint32_t slot)
{
	set->root = slot;
}

struct sc_pair_view sc_conditions_pair(const struct sc_conditions *set, size_t i, uint32_t slot)
{
	const struct sc_pair *pair = sc_pair_get(set, i, slot);
	struct sc_pair_view view = {.phase = SC_PHASE_CLEAR};

	if (set->state[i].unknown && slot < set->slots)
		view.unknown_ticks = set->state[i].unknown[slot];
	if (!pair)
		return view;
	view.phase = (enum sc_phase)pair->phase;
	view.samples = pair->samples;
	view.rung = pair->rung;
	view.veto = pair->veto;
	view.since_ns = pair->since_ns;
	view.fired_ns = pair->fired_ns;
	return view;
}

struct sc_condition_stats sc_conditions_stats(const struct sc_conditions *set, size_t i)
{
	struct sc_condition_stats stats;

	SC_ASSERT(i < set->n);
	stats = set->state[i].stats;
	stats.pairs = set->state[i].pairs;
	stats.unknown_raised = stats.unknown_run >= SC_CONDITION_UNKNOWN_TICKS;
	stats.alarm = stats.unknown_raised && set->spec[i].on_unknown == SC_ON_UNKNOWN_ALARM;
	return stats;
}
