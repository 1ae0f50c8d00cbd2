/* SPDX-License-Identifier: Apache-2.0 */
#include "signal/window.h"

#include "base/mem.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* Slots ahead of which a block is fetched: the time of one cache miss. */
#define PREFETCH 8

int sc_pool_init(struct sc_pool *pool, uint32_t max)
{
	size_t size = ((size_t)max + 1) * sizeof(*pool->blocks);

	*pool = (struct sc_pool){.max = max, .fresh = 1};
	/* Not cleared: pages are to stay untouched until a block of theirs is taken. */
	pool->blocks = aligned_alloc(_Alignof(struct sc_block), size);
	return pool->blocks ? 0 : -ENOMEM;
}

void sc_pool_done(struct sc_pool *pool)
{
	free(pool->blocks);
	*pool = (struct sc_pool){0};
}

void sc_pool_reset(struct sc_pool *pool)
{
	pool->fresh = 1;
	pool->free = 0;
	pool->used = 0;
}

/* The number of a block, its contents undefined; 0 when none is free. */
static uint32_t take_block(struct sc_pool *pool)
{
	uint32_t number = pool->free;

	if (number)
		pool->free = pool->blocks[number].next;
	else if (pool->fresh <= pool->max)
		number = pool->fresh++;
	else
		return 0;
	pool->used++;
	return number;
}

static void give_block(struct sc_history *h, struct sc_pool *pool, uint32_t slot)
{
	uint32_t number = h->blocks[slot];

	h->blocks[slot] = 0;
	if (number == 0 || number == SC_BLOCK_LOST)
		return;
	pool->blocks[number].next = pool->free;
	pool->free = number;
	pool->used--;
}

/*
 * An empty block for a slot whose value has just moved, or NULL when there is none to be had. After
 * a loss it begins now, and what was before stays unknown.
 */
static struct sc_block *begin_block(struct sc_history *h, const struct sc_feed *f, uint32_t slot,
				    uint64_t bucket)
{
	uint32_t number = take_block(f->pool);
	bool was_lost = h->blocks[slot] == SC_BLOCK_LOST;
	struct sc_block *b;

	if (!number) {
		f->pool->exhausted++;
		h->lost_ns = f->now_ns;
		h->blocks[slot] = SC_BLOCK_LOST;
		return NULL;
	}
	h->blocks[slot] = number;
	b = &f->pool->blocks[number];
	memset(b, 0, sizeof(*b));
	b->bucket = was_lost ? h->bucket : bucket;
	b->since_ns = was_lost ? f->now_ns : 0;
	return b;
}

/* The block of the slot if it has one; a loss is forgotten once W has passed since the latest one.
 */
static struct sc_block *current_block(struct sc_history *h, const struct sc_feed *f, uint32_t slot)
{
	uint32_t number = h->blocks[slot];

	if (number == 0)
		return NULL;
	if (number != SC_BLOCK_LOST)
		return &f->pool->blocks[number];
	if (f->now_ns - h->lost_ns > h->window_ns + h->bucket_ns)
		h->blocks[slot] = 0;
	return NULL;
}

static bool is_lost(const struct sc_history *h, const struct sc_block *b, uint32_t slot,
		    uint64_t now_ns)
{
	if (b)
		return b->since_ns && now_ns - b->since_ns < h->window_ns;
	return h->blocks[slot] == SC_BLOCK_LOST;
}

/* The history was kept when the target was born: nothing of its life is missing. */
static bool life_is_known(const struct sc_history *h, const struct sc_slot_state *state)
{
	return state->born_ns && state->born_ns + h->bucket_ns >= h->since_ns;
}

static uint64_t covered_since(const struct sc_history *h, const struct sc_slot_state *state)
{
	return SC_MAX(h->since_ns, state->since_ns);
}

static bool is_covered(const struct sc_history *h, const struct sc_slot_state *state,
		       uint64_t now_ns)
{
	return life_is_known(h, state) || now_ns - covered_since(h, state) >= h->window_ns;
}

static void advance_total(struct sc_block *b, uint64_t to)
{
	if (to - b->bucket > SC_BUCKETS) {
		memset(b->cells, 0, sizeof(b->cells));
		b->current.n = 0;
		b->total = 0;
		b->bucket = to;
	}
	while (b->bucket < to) {
		union sc_cell *leaving = &b->cells[b->bucket++ % SC_BUCKETS];

		b->total -= leaving->n;
		*leaving = b->current;
		b->current.n = 0;
	}
}

static double growth(const struct sc_history *h, const struct sc_feed *f, uint32_t slot,
		     double value)
{
	double last = f->last[slot];

	if (h->kind == SC_HISTORY_CHANGES)
		return !isnan(last) && value != last;
	if (isnan(last))
		return life_is_known(h, &f->states[slot]) ? value : 0;
	return value - last;
}

/* Growth and changes: whole numbers, added up. */
static double feed_total(struct sc_history *h, const struct sc_feed *f, uint32_t slot, double value)
{
	struct sc_block *b = current_block(h, f, slot);
	double delta = growth(h, f, slot, value);
	uint32_t room;

	if (!b && delta == 0)
		return is_lost(h, NULL, slot, f->now_ns) ? NAN : 0;
	if (!b)
		b = begin_block(h, f, slot, h->bucket);
	if (!b)
		return NAN;
	advance_total(b, h->bucket);
	room = UINT32_MAX - b->current.n;
	if (delta > 0) {
		uint32_t step = delta < (double)room ? (uint32_t)delta : room;

		b->current.n += step;
		b->total += step;
	}
	if (is_lost(h, b, slot, f->now_ns))
		return NAN;
	if (b->total > 0)
		return (double)b->total;
	give_block(h, f->pool, slot);
	return 0;
}

/*
 * A block for a gauge that stood still until now: the cells since the history began hold its last
 * value, up to the time when that was last seen.
 */
static struct sc_block *begin_gauge(struct sc_history *h, const struct sc_feed *f, uint32_t slot)
{
	uint64_t seen = f->seen_ns[slot] / h->bucket_ns;
	uint64_t first = covered_since(h, &f->states[slot]) / h->bucket_ns;
	struct sc_block *b = begin_block(h, f, slot, seen);
	float value = b && b->since_ns == 0 ? (float)f->last[slot] : NAN;

	if (!b)
		return NULL;
	for (uint64_t back = 1; back <= SC_BUCKETS; back++)
		b->cells[(b->bucket + SC_BUCKETS - back) % SC_BUCKETS].f = first + back <= b->bucket
										   ? value
										   : NAN;
	b->current.f = value;
	return b;
}

static float higher(float a, float b)
{
	return isnan(a) || b > a ? b : a;
}

static void advance_best(struct sc_block *b, uint64_t to, float held)
{
	uint64_t steps = to - b->bucket;

	if (steps == 0)
		return;
	for (uint64_t i = 0; i < SC_MIN(steps, (uint64_t)SC_BUCKETS + 1); i++) {
		b->cells[(b->bucket + i) % SC_BUCKETS] = b->current;
		b->current.f = held;
	}
	/* After more than SC_BUCKETS steps every cell holds the same: their order does not matter.
	 */
	b->bucket = to;
	b->best = held;
	for (unsigned int i = 0; i < SC_BUCKETS; i++)
		b->best = higher(b->best, b->cells[i].f);
}

/* Highest and lowest; the lowest is kept as the highest of the negated values. */
static double feed_best(struct sc_history *h, const struct sc_feed *f, uint32_t slot, double value)
{
	float sign = h->kind == SC_HISTORY_LOWEST ? -1.0F : 1.0F;
	struct sc_block *b = current_block(h, f, slot);
	bool has_moved = value != f->last[slot];
	uint64_t bucket = h->bucket;

	if (!b && !has_moved)
		return is_lost(h, NULL, slot, f->now_ns) ? NAN : value;
	if (!b) {
		b = begin_gauge(h, f, slot);
		if (!b)
			return NAN;
		for (unsigned int i = 0; i < SC_BUCKETS; i++)
			b->cells[i].f *= sign;
		b->current.f *= sign;
		b->best = b->current.f;
	}
	/* Cells before the history began hold NaN and stay out of the comparison. */
	advance_best(b, bucket, sign * (float)f->before[slot]);
	b->current.f = higher(b->current.f, sign * (float)value);
	b->best = higher(b->best, b->current.f);
	if (has_moved)
		b->moved = bucket;
	if (is_lost(h, b, slot, f->now_ns))
		return NAN;
	value = (double)(sign * b->best);
	if (bucket - b->moved > SC_BUCKETS)
		give_block(h, f->pool, slot);
	return value;
}

static void close_mean(struct sc_block *b)
{
	union sc_cell *leaving = &b->cells[b->bucket++ % SC_BUCKETS];

	if (!isnan(leaving->f)) {
		b->sum -= (double)leaving->f;
		b->known--;
	}
	leaving->f = b->known_ns ? (float)(b->integral / (double)b->known_ns) : NAN;
	if (!isnan(leaving->f)) {
		b->sum += (double)leaving->f;
		b->known++;
	}
	b->integral = 0;
	b->known_ns = 0;
}

/* Adds up anew, now and then: subtracting leaves a rounding error behind each time. */
static void sum_means(struct sc_block *b)
{
	b->sum = 0;
	b->known = 0;
	for (unsigned int i = 0; i < SC_BUCKETS; i++) {
		if (isnan(b->cells[i].f))
			continue;
		b->sum += (double)b->cells[i].f;
		b->known++;
	}
}

/* `held` was the value from `from` to `to`. */
static void integrate(struct sc_block *b, uint64_t bucket_ns, double held, uint64_t from,
		      uint64_t to)
{
	uint64_t reach = (SC_BUCKETS + 1) * bucket_ns;

	if (to - from > reach) {
		from = to - reach;
		for (unsigned int i = 0; i < SC_BUCKETS; i++)
			b->cells[i].f = NAN;
		sum_means(b);
		b->integral = 0;
		b->known_ns = 0;
		b->bucket = from / bucket_ns;
	}
	while (from < to) {
		uint64_t end = SC_MIN(to, (b->bucket + 1) * bucket_ns);

		if (!isnan(held)) {
			b->integral += held * (double)(end - from);
			b->known_ns += end - from;
		}
		from = end;
		if (from == (b->bucket + 1) * bucket_ns)
			close_mean(b);
	}
	if (b->bucket % SC_BUCKETS == 0)
		sum_means(b);
}

static double feed_mean(struct sc_history *h, const struct sc_feed *f, uint32_t slot, double value)
{
	struct sc_block *b = current_block(h, f, slot);
	bool has_moved = value != f->last[slot];
	uint64_t from = f->seen_ns[slot];
	double weight;

	if (!b && !has_moved)
		return is_lost(h, NULL, slot, f->now_ns) ? NAN : value;
	if (!b) {
		b = begin_gauge(h, f, slot);
		if (!b)
			return NAN;
		sum_means(b);
		if (b->since_ns) {
			from = f->now_ns;
		} else {
			uint64_t begin = SC_MAX(b->bucket * h->bucket_ns,
						covered_since(h, &f->states[slot]));

			b->known_ns = from > begin ? from - begin : 0;
			b->integral = f->last[slot] * (double)b->known_ns;
		}
	}
	integrate(b, h->bucket_ns, f->before[slot], from, f->now_ns);
	if (has_moved)
		b->moved = b->bucket;
	if (is_lost(h, b, slot, f->now_ns))
		return NAN;
	weight = b->known * (double)h->bucket_ns + (double)b->known_ns;
	if (weight > 0)
		value = (b->sum * (double)h->bucket_ns + b->integral) / weight;
	if (b->bucket - b->moved > SC_BUCKETS)
		give_block(h, f->pool, slot);
	return value;
}

static double feed_age(struct sc_history *h, const struct sc_feed *f, uint32_t slot, double value)
{
	const struct sc_slot_state *state = &f->states[slot];

	if (h->changed[slot] == 0)
		h->changed[slot] = value == 0 && life_is_known(h, state) ? state->born_ns
									 : f->now_ns;
	else if (!isnan(f->last[slot]) && value != f->last[slot])
		h->changed[slot] = f->now_ns;
	return f->now_ns > h->changed[slot] ? (double)(f->now_ns - h->changed[slot]) : 0;
}

/* A gauge's window begins when its slot was first seen, or when the history was. */
static double feed_gauge(struct sc_history *h, const struct sc_feed *f, uint32_t slot, double value)
{
	const struct sc_slot_state *state = &f->states[slot];
	double answer = value;

	if (!isnan(f->last[slot]) && f->seen_ns[slot] >= covered_since(h, state))
		answer = h->kind == SC_HISTORY_MEAN ? feed_mean(h, f, slot, value)
						    : feed_best(h, f, slot, value);
	return is_covered(h, state, f->now_ns) ? answer : NAN;
}

static void prefetch_block(const struct sc_pool *pool, uint32_t number)
{
	if (number != 0 && number != SC_BLOCK_LOST)
		__builtin_prefetch(&pool->blocks[number], 1);
}

void sc_history_feed(struct sc_history *history, const struct sc_feed *feed)
{
	history->bucket = feed->now_ns / history->bucket_ns;
	for (uint32_t i = 0; i < feed->n; i++) {
		uint32_t slot = feed->slots[i];
		double value = feed->fresh[i];

		if (i + PREFETCH < feed->n && history->blocks)
			prefetch_block(feed->pool, history->blocks[feed->slots[i + PREFETCH]]);
		if (isnan(value))
			history->values[slot] = NAN;
		else if (history->kind <= SC_HISTORY_CHANGES && value == feed->last[slot] &&
			 history->blocks[slot] == 0)
			history->values[slot] = 0; /* most slots, most of the time */
		else if (history->kind <= SC_HISTORY_CHANGES)
			history->values[slot] = feed_total(history, feed, slot, value);
		else if (history->kind == SC_HISTORY_AGE)
			history->values[slot] = feed_age(history, feed, slot, value);
		else
			history->values[slot] = feed_gauge(history, feed, slot, value);
	}
}

void sc_history_forget(struct sc_history *history, struct sc_pool *pool, uint32_t slot)
{
	if (history->blocks)
		give_block(history, pool, slot);
	if (history->changed)
		history->changed[slot] = 0;
	history->values[slot] = NAN;
}

void sc_history_adopt(struct sc_history *history, struct sc_pool *pool,
		      const struct sc_history *from, const struct sc_pool *from_pool, uint32_t slot)
{
	uint32_t number;

	history->values[slot] = from->values[slot];
	if (history->changed)
		history->changed[slot] = from->changed[slot];
	if (!history->blocks || from->blocks[slot] == 0)
		return;
	number = from->blocks[slot] == SC_BLOCK_LOST ? 0 : take_block(pool);
	if (number) {
		pool->blocks[number] = from_pool->blocks[from->blocks[slot]];
		history->blocks[slot] = number;
		return;
	}
	pool->exhausted += from->blocks[slot] != SC_BLOCK_LOST;
	history->blocks[slot] = SC_BLOCK_LOST;
	history->lost_ns = SC_TIME_PENDING;
	history->values[slot] = NAN;
}
