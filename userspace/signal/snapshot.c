/* SPDX-License-Identifier: Apache-2.0 */
/* The tick of a plan: values in, windows on. Nothing here allocates. */
#include "signal/plan.h"

#include "base/mem.h"

#include <math.h>

void sc_plan_forget_slot(struct sc_plan *plan, uint32_t slot)
{
	for (uint32_t i = 0; i < plan->signals_n; i++) {
		plan->signals[i].values[slot] = NAN;
		if (plan->signals[i].last)
			plan->signals[i].last[slot] = NAN;
	}
	for (uint32_t i = 0; i < plan->histories_n; i++)
		sc_history_forget(&plan->histories[i], &plan->pool, slot);
	plan->states[slot] = (struct sc_slot_state){0};
}

void sc_plan_target_added(struct sc_plan *plan, uint32_t slot, const char *path)
{
	sc_scopes_target_added(plan->scopes, slot, path);
}

void sc_plan_target_removed(struct sc_plan *plan, uint32_t slot)
{
	sc_scopes_target_removed(plan->scopes, slot);
	sc_plan_forget_slot(plan, slot);
}

void sc_plan_reset_windows(struct sc_plan *plan)
{
	size_t slots = (size_t)plan->limits.slots + 1;

	SC_ASSERT(plan->started);
	for (uint32_t i = 0; i < plan->signals_n; i++)
		for (size_t slot = 0; plan->signals[i].last && slot < slots; slot++)
			plan->signals[i].last[slot] = NAN;
	for (uint32_t i = 0; i < plan->histories_n; i++) {
		struct sc_history *h = &plan->histories[i];

		for (uint32_t slot = 0; slot < slots; slot++)
			sc_history_forget(h, &plan->pool, slot);
		h->since_ns = SC_TIME_PENDING;
		h->lost_ns = 0;
	}
	sc_pool_reset(&plan->pool);
}

/*
 * A slot may have gone to another cgroup since the last tick: what was known is of the former one.
 * Sets used[] for slots that hold a cgroup.
 */
static void see_targets(struct sc_plan *plan, const struct sc_column_read *read,
			const uint32_t *slots, uint32_t n, bool *used)
{
	for (uint32_t i = 0; i < n; i++) {
		struct sc_slot_state *state = &plan->states[slots[i]];
		const struct sc_node *node = &read->source->nodes[slots[i]];
		uint64_t id = 0;

		SC_ASSERT(slots[i] < plan->limits.slots);
		if (slots[i] < read->source->slots)
			id = __atomic_load_n(&node->cgroup_id, __ATOMIC_ACQUIRE);
		used[i] = id != 0;
		if (id == state->cgroup_id)
			continue;
		plan->replaced += state->cgroup_id != 0 && id != 0;
		sc_plan_forget_slot(plan, slots[i]);
		if (id == 0)
			continue;
		state->cgroup_id = id;
		state->since_ns = read->now->mono_ns;
		if (__atomic_load_n(&node->flags, __ATOMIC_RELAXED) & SC_NODE_BORN)
			state->born_ns = __atomic_load_n(&node->born_ns, __ATOMIC_RELAXED);
	}
}

/* Under the same cgroup id no counter goes back: if one does, the source began anew and so does its
 * history. */
static void check_forward(struct sc_plan *plan, struct sc_plan_signal *s, const struct sc_feed *f)
{
	double *last = s->last ? s->last : s->values;

	for (uint32_t i = 0; i < f->n; i++) {
		uint32_t slot = f->slots[i];

		if (!(f->fresh[i] < last[slot]))
			continue;
		plan->backwards++;
		for (int h = s->histories; h >= 0; h = plan->histories[h].next)
			sc_history_forget(&plan->histories[h], &plan->pool, slot);
		last[slot] = f->fresh[i];
	}
}

static void tick_signal(struct sc_plan *plan, struct sc_plan_signal *s,
			const struct sc_column_read *read, const uint32_t *slots, uint32_t n)
{
	double fresh[SC_CHUNK];
	struct sc_column_read column = *read;
	const struct sc_feed feed = {
		.slots = slots,
		.n = n,
		.now_ns = read->now->mono_ns,
		.fresh = fresh,
		.before = s->values,
		.last = s->last,
		.seen_ns = s->seen_ns,
		.states = plan->states,
		.pool = &plan->pool,
	};

	column.before = s->values;
	sc_source_read(&column, s->signal, slots, n, fresh);
	if (sc_signal_info(s->signal)->type == SC_TYPE_COUNTER)
		check_forward(plan, s, &feed);
	for (int h = s->histories; h >= 0; h = plan->histories[h].next)
		sc_history_feed(&plan->histories[h], &feed);
	for (uint32_t i = 0; i < n; i++)
		s->values[slots[i]] = fresh[i];
	for (uint32_t i = 0; s->last && i < n; i++) {
		if (isnan(fresh[i]))
			continue;
		s->last[slots[i]] = fresh[i];
		s->seen_ns[slots[i]] = feed.now_ns;
	}
}

static void settle_times(struct sc_plan *plan, uint64_t now_ns)
{
	for (uint32_t i = 0; i < plan->histories_n; i++) {
		struct sc_history *h = &plan->histories[i];

		if (h->since_ns == SC_TIME_PENDING)
			h->since_ns = now_ns;
		if (h->lost_ns == SC_TIME_PENDING)
			h->lost_ns = now_ns;
	}
}

static void read_probes(struct sc_plan *plan, const struct sc_source *source, uint64_t now_ns)
{
	for (uint32_t i = 0; i < plan->probes_n; i++) {
		const struct sc_probe_answer *a = &source->probes[i];
		struct sc_plan_probe *p = &plan->probes[i];

		*p = SC_PLAN_PROBE_NONE;
		if (i >= source->probes_n || a->at_ns == 0)
			continue;
		p->age_ns = now_ns > a->at_ns ? now_ns - a->at_ns : 0;
		if (p->age_ns <= a->valid_ns)
			p->truth = a->truth;
	}
}

void sc_plan_tick(struct sc_plan *plan, const struct sc_source *source, const struct sc_time *now,
		  const uint32_t *slots, uint32_t n)
{
	struct sc_column_read read = {.source = source, .now = now};
	bool used[SC_CHUNK];

	SC_ASSERT(plan->started);
	plan->tick++;
	settle_times(plan, now->mono_ns);
	read_probes(plan, source, now->mono_ns);
	for (uint32_t i = 0; i < plan->signals_n; i++)
		if (plan->signals[i].is_host)
			tick_signal(plan, &plan->signals[i], &read, &plan->limits.slots, 1);
	read.used = used;
	for (uint32_t at = 0; at < n; at += SC_CHUNK) {
		uint32_t chunk = SC_MIN(n - at, (uint32_t)SC_CHUNK);

		see_targets(plan, &read, slots + at, chunk, used);
		for (uint32_t i = 0; i < plan->signals_n; i++)
			if (!plan->signals[i].is_host)
				tick_signal(plan, &plan->signals[i], &read, slots + at, chunk);
	}
}

uint64_t sc_plan_tick_number(const struct sc_plan *plan)
{
	return plan->tick;
}

struct sc_column sc_plan_signal_column(const struct sc_plan *plan, enum sc_signal signal)
{
	const struct sc_plan_signal *s = &plan->signals[plan->signal_index[signal]];

	SC_ASSERT(plan->started && plan->signal_index[signal] >= 0);
	return (struct sc_column){
		.values = s->is_host ? s->values + plan->limits.slots : s->values,
		.scale = 1,
		.is_host = s->is_host,
	};
}

struct sc_column sc_plan_stream_column(const struct sc_plan *plan, uint32_t stream)
{
	const struct sc_plan_stream *s = &plan->streams[stream];
	const struct sc_history *h = &plan->histories[s->history];
	bool is_host = plan->signals[plan->signal_index[s->signal]].is_host;

	SC_ASSERT(plan->started && stream < plan->streams_n);
	return (struct sc_column){
		.values = is_host ? h->values + plan->limits.slots : h->values,
		.scale = s->scale,
		.is_host = is_host,
	};
}

static double column_value(const struct sc_plan *plan, struct sc_column column, uint32_t slot)
{
	if (column.is_host)
		return *column.values * column.scale;
	return slot < plan->limits.slots ? column.values[slot] * column.scale : NAN;
}

double sc_plan_signal_value(const struct sc_plan *plan, enum sc_signal signal, uint32_t slot)
{
	if ((unsigned int)signal >= SC_SIGNAL_COUNT || plan->signal_index[signal] < 0)
		return NAN;
	return column_value(plan, sc_plan_signal_column(plan, signal), slot);
}

double sc_plan_stream_value(const struct sc_plan *plan, uint32_t stream, uint32_t slot)
{
	if (stream >= plan->streams_n)
		return NAN;
	return column_value(plan, sc_plan_stream_column(plan, stream), slot);
}

enum sc_truth sc_plan_probe_truth(const struct sc_plan *plan, uint32_t probe)
{
	SC_ASSERT(plan->started && probe < plan->probes_n);
	return plan->probes[probe].truth;
}

uint64_t sc_plan_probe_age_ns(const struct sc_plan *plan, uint32_t probe)
{
	SC_ASSERT(plan->started && probe < plan->probes_n);
	return plan->probes[probe].age_ns;
}
