/* SPDX-License-Identifier: Apache-2.0 */
/* Plans: what is declared, allocated and handed on from one set of conditions to the next. */
#include "signal/plan.h"

#include "base/mem.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define SLOTS_DEFAULT     16384
#define HISTORIES_DEFAULT 64
#define STREAMS_DEFAULT   128
#define SCOPES_DEFAULT    256
/* 21 MB once every one is touched: six signals that move in 10,000 cgroups at the same time. */
#define BLOCKS_DEFAULT 65536

static uint32_t limit_or(uint32_t limit, uint32_t otherwise)
{
	return limit ? limit : otherwise;
}

struct sc_plan *sc_plan_new(const struct sc_plan_limits *limits)
{
	_cleanup_(sc_plan_free) struct sc_plan *plan = calloc(1, sizeof(*plan));
	struct sc_plan_limits l = limits ? *limits : (struct sc_plan_limits){0};

	if (!plan)
		return NULL;
	plan->limits.slots = limit_or(l.slots, SLOTS_DEFAULT);
	plan->limits.histories = limit_or(l.histories, HISTORIES_DEFAULT);
	plan->limits.streams = limit_or(l.streams, STREAMS_DEFAULT);
	plan->limits.scopes = limit_or(l.scopes, SCOPES_DEFAULT);
	plan->limits.blocks = limit_or(l.blocks, BLOCKS_DEFAULT);
	for (unsigned int s = 0; s < SC_SIGNAL_COUNT; s++)
		plan->signal_index[s] = -1;
	plan->histories = calloc(plan->limits.histories, sizeof(*plan->histories));
	plan->streams = calloc(plan->limits.streams, sizeof(*plan->streams));
	plan->scopes = sc_scopes_new(plan->limits.slots, plan->limits.scopes);
	if (!plan->histories || !plan->streams || !plan->scopes)
		return NULL;
	return SC_TAKE_PTR(plan);
}

void sc_plan_free(struct sc_plan **plan)
{
	struct sc_plan *p = SC_TAKE_PTR(*plan);

	if (!p)
		return;
	for (uint32_t i = 0; i < p->signals_n; i++) {
		free(p->signals[i].values);
		free(p->signals[i].last);
		free(p->signals[i].seen_ns);
	}
	for (uint32_t i = 0; i < p->histories_n; i++) {
		free(p->histories[i].blocks);
		free(p->histories[i].values);
		free(p->histories[i].changed);
	}
	sc_scopes_free(&p->scopes);
	sc_pool_done(&p->pool);
	free(p->histories);
	free(p->streams);
	free(p->probes);
	free(p->states);
	free(p->scratch_numbers);
	free(p->scratch_truths);
	free(p);
}

int sc_plan_add_signal(struct sc_plan *plan, enum sc_signal signal)
{
	struct sc_plan_signal *entry;

	SC_ASSERT(!plan->started && (unsigned int)signal < SC_SIGNAL_COUNT);
	if (plan->signal_index[signal] >= 0)
		return plan->signal_index[signal];
	entry = &plan->signals[plan->signals_n];
	entry->signal = signal;
	entry->is_host = sc_signal_info(signal)->source == SC_SOURCE_AGENT;
	entry->histories = -1;
	plan->signal_index[signal] = (int)plan->signals_n;
	return (int)plan->signals_n++;
}

static const enum sc_history_kind kind_of_function[] = {
	[SC_WINDOW_RATE] = SC_HISTORY_GROWTH, [SC_WINDOW_INCREASE] = SC_HISTORY_GROWTH,
	[SC_WINDOW_AVG] = SC_HISTORY_MEAN,    [SC_WINDOW_MAX] = SC_HISTORY_HIGHEST,
	[SC_WINDOW_MIN] = SC_HISTORY_LOWEST,  [SC_WINDOW_CHANGES] = SC_HISTORY_CHANGES,
	[SC_WINDOW_AGE] = SC_HISTORY_AGE,
};
_Static_assert(SC_ARRAY_SIZE(kind_of_function) == SC_WINDOW_FUNCTION_COUNT, "a kind for each");

static int find_history(const struct sc_plan *plan, enum sc_history_kind kind,
			enum sc_signal signal, uint64_t window_ns)
{
	for (uint32_t i = 0; i < plan->histories_n; i++) {
		const struct sc_history *h = &plan->histories[i];

		if (h->kind == kind && h->signal == signal && h->window_ns == window_ns)
			return (int)i;
	}
	return -ENOENT;
}

static int add_history(struct sc_plan *plan, enum sc_history_kind kind, enum sc_signal signal,
		       uint64_t window_ns)
{
	struct sc_plan_signal *entry = &plan->signals[plan->signal_index[signal]];
	int found = find_history(plan, kind, signal, window_ns);

	if (found >= 0)
		return found;
	if (plan->histories_n == plan->limits.histories)
		return -ENOSPC;
	plan->histories[plan->histories_n] = (struct sc_history){
		.kind = kind,
		.signal = signal,
		.window_ns = window_ns,
		.bucket_ns = (window_ns + SC_BUCKETS - 1) / SC_BUCKETS + (window_ns == 0),
		.since_ns = SC_TIME_PENDING,
		.next = entry->histories,
	};
	entry->histories = (int)plan->histories_n;
	return (int)plan->histories_n++;
}

int sc_plan_add_stream(struct sc_plan *plan, enum sc_window_function function,
		       enum sc_signal signal, uint64_t window_ns)
{
	int history;

	SC_ASSERT(!plan->started && (unsigned int)function < SC_WINDOW_FUNCTION_COUNT);
	if (function == SC_WINDOW_AGE)
		window_ns = 0;
	else if (window_ns < SC_WINDOW_MIN_NS || window_ns > SC_WINDOW_MAX_NS)
		return -EINVAL;
	for (uint32_t i = 0; i < plan->streams_n; i++) {
		const struct sc_plan_stream *s = &plan->streams[i];

		if (s->function == function && s->signal == signal && s->window_ns == window_ns)
			return (int)i;
	}
	if (plan->streams_n == plan->limits.streams)
		return -ENOSPC;
	sc_plan_add_signal(plan, signal);
	history = add_history(plan, kind_of_function[function], signal, window_ns);
	if (history < 0)
		return history;
	plan->streams[plan->streams_n] = (struct sc_plan_stream){
		.function = function,
		.signal = signal,
		.window_ns = window_ns,
		.history = history,
		.scale = function == SC_WINDOW_RATE ? 1e9 / (double)window_ns : 1,
	};
	return (int)plan->streams_n++;
}

int sc_plan_add_scope(struct sc_plan *plan, const char *glob)
{
	SC_ASSERT(!plan->started);
	return sc_scopes_intern(plan->scopes, glob);
}

int sc_plan_add_probe(struct sc_plan *plan, uint32_t probe)
{
	SC_ASSERT(!plan->started);
	if (probe >= SC_PROBES_MAX)
		return -ENOSPC;
	plan->probes_n = SC_MAX(plan->probes_n, probe + 1);
	return (int)probe;
}

static void *take_bytes(struct sc_plan *plan, size_t n, size_t size)
{
	plan->bytes += n * size;
	return calloc(n, size);
}

static double *new_column(struct sc_plan *plan)
{
	double *column = take_bytes(plan, (size_t)plan->limits.slots + 1, sizeof(*column));

	for (uint32_t slot = 0; column && slot <= plan->limits.slots; slot++)
		column[slot] = NAN;
	return column;
}

static int start_signal(struct sc_plan *plan, struct sc_plan_signal *s)
{
	size_t slots = (size_t)plan->limits.slots + 1;

	s->values = new_column(plan);
	if (!s->values)
		return -ENOMEM;
	if (s->histories < 0)
		return 0;
	s->last = new_column(plan);
	s->seen_ns = take_bytes(plan, slots, sizeof(*s->seen_ns));
	return s->last && s->seen_ns ? 0 : -ENOMEM;
}

static int start_history(struct sc_plan *plan, struct sc_history *h)
{
	size_t slots = (size_t)plan->limits.slots + 1;

	h->values = new_column(plan);
	if (!h->values)
		return -ENOMEM;
	if (h->kind == SC_HISTORY_AGE) {
		h->changed = take_bytes(plan, slots, sizeof(*h->changed));
		return h->changed ? 0 : -ENOMEM;
	}
	h->blocks = take_bytes(plan, slots, sizeof(*h->blocks));
	return h->blocks ? 0 : -ENOMEM;
}

static int allocate(struct sc_plan *plan)
{
	size_t slots = (size_t)plan->limits.slots + 1;
	size_t scratch = (size_t)SC_SCRATCH_COLUMNS * SC_CHUNK;
	uint32_t blocks = plan->histories_n ? plan->limits.blocks : 0;

	for (uint32_t i = 0; i < plan->signals_n; i++)
		if (start_signal(plan, &plan->signals[i]) < 0)
			return -ENOMEM;
	for (uint32_t i = 0; i < plan->histories_n; i++)
		if (start_history(plan, &plan->histories[i]) < 0)
			return -ENOMEM;
	plan->states = take_bytes(plan, slots, sizeof(*plan->states));
	plan->probes = take_bytes(plan, plan->probes_n + 1, sizeof(*plan->probes));
	plan->scratch_numbers = take_bytes(plan, scratch, sizeof(*plan->scratch_numbers));
	plan->scratch_truths = take_bytes(plan, scratch, sizeof(*plan->scratch_truths));
	plan->bytes += (size_t)blocks * sizeof(struct sc_block);
	if (!plan->states || !plan->probes || !plan->scratch_numbers || !plan->scratch_truths)
		return -ENOMEM;
	for (uint32_t i = 0; i < plan->probes_n; i++)
		plan->probes[i] = SC_PLAN_PROBE_NONE;
	return sc_pool_init(&plan->pool, blocks);
}

static void adopt_signal(struct sc_plan *plan, struct sc_plan_signal *s, const struct sc_plan *old)
{
	const struct sc_plan_signal *from;
	size_t slots = (size_t)plan->limits.slots + 1;

	if (old->signal_index[s->signal] < 0)
		return;
	from = &old->signals[old->signal_index[s->signal]];
	memcpy(s->values, from->values, slots * sizeof(*s->values));
	if (s->last && from->last) {
		memcpy(s->last, from->last, slots * sizeof(*s->last));
		memcpy(s->seen_ns, from->seen_ns, slots * sizeof(*s->seen_ns));
	}
}

static void adopt_history(struct sc_plan *plan, struct sc_history *h, const struct sc_plan *old)
{
	int found = find_history(old, h->kind, h->signal, h->window_ns);
	const struct sc_history *from;

	if (found < 0)
		return;
	from = &old->histories[found];
	h->since_ns = from->since_ns;
	h->lost_ns = from->lost_ns;
	for (uint32_t slot = 0; slot <= plan->limits.slots; slot++)
		sc_history_adopt(h, &plan->pool, from, &old->pool, slot);
}

static void adopt(struct sc_plan *plan, const struct sc_plan *old)
{
	size_t slots = (size_t)plan->limits.slots + 1;

	SC_ASSERT(old->started && old->limits.slots == plan->limits.slots);
	memcpy(plan->states, old->states, slots * sizeof(*plan->states));
	for (uint32_t i = 0; i < plan->signals_n; i++)
		adopt_signal(plan, &plan->signals[i], old);
	for (uint32_t i = 0; i < plan->histories_n; i++)
		adopt_history(plan, &plan->histories[i], old);
	plan->tick = old->tick;
	plan->backwards = old->backwards;
	plan->replaced = old->replaced;
	plan->pool.exhausted += old->pool.exhausted;
}

int sc_plan_start(struct sc_plan *plan, const struct sc_targets *targets, const struct sc_plan *old)
{
	int r;

	SC_ASSERT(!plan->started);
	r = allocate(plan);
	if (r < 0)
		return r;
	r = sc_scopes_start(plan->scopes, targets);
	if (r < 0)
		return r;
	if (old)
		adopt(plan, old);
	plan->started = true;
	return 0;
}

const struct sc_scopes *sc_plan_scopes(const struct sc_plan *plan)
{
	return plan->scopes;
}

struct sc_signal_set sc_plan_signals(const struct sc_plan *plan)
{
	struct sc_signal_set set = {0};

	for (uint32_t i = 0; i < plan->signals_n; i++)
		sc_signal_set_add(&set, plan->signals[i].signal);
	return set;
}

struct sc_plan_stats sc_plan_stats(const struct sc_plan *plan)
{
	return (struct sc_plan_stats){
		.backwards = plan->backwards,
		.replaced = plan->replaced,
		.blocks_exhausted = plan->pool.exhausted,
		.blocks_used = plan->pool.used,
		.blocks_max = plan->pool.max,
		.signals = plan->signals_n,
		.streams = plan->streams_n,
		.histories = plan->histories_n,
		.bytes = plan->bytes,
	};
}
