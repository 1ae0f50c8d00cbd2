/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded queue between exactly one producer thread and one consumer thread: no lock, no wait, no
 * allocation after init. A full queue refuses; the producer decides what that means.
 */
#pragma once

#include "base/mem.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct sc_spsc {
	unsigned char *items;
	size_t item_size;
	uint32_t mask;                      /* capacity - 1; capacity is a power of two */
	_Alignas(64) _Atomic uint32_t head; /* next to pop */
	_Alignas(64) _Atomic uint32_t tail; /* next to push */
};

/* capacity is rounded up to a power of two. Returns 0 or -ENOMEM. */
static inline int sc_spsc_init(struct sc_spsc *q, size_t item_size, uint32_t capacity)
{
	uint32_t n = 2;

	while (n < capacity)
		n *= 2;
	q->items = calloc(n, item_size);
	q->item_size = item_size;
	q->mask = n - 1;
	atomic_init(&q->head, 0);
	atomic_init(&q->tail, 0);
	return q->items ? 0 : -ENOMEM;
}

static inline void sc_spsc_done(struct sc_spsc *q)
{
	free(q->items);
	q->items = NULL;
}

/* Copies item in; false when the queue is full. */
static inline bool sc_spsc_push(struct sc_spsc *q, const void *item)
{
	uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);

	if (tail - atomic_load_explicit(&q->head, memory_order_acquire) > q->mask)
		return false;
	memcpy(q->items + (size_t)(tail & q->mask) * q->item_size, item, q->item_size);
	atomic_store_explicit(&q->tail, tail + 1, memory_order_release);
	return true;
}

/* consumer: true when nothing waits now. */
static inline bool sc_spsc_is_empty(struct sc_spsc *q)
{
	return atomic_load_explicit(&q->head, memory_order_relaxed) ==
	       atomic_load_explicit(&q->tail, memory_order_acquire);
}

/* Copies the oldest item out; false when the queue is empty. */
static inline bool sc_spsc_pop(struct sc_spsc *q, void *item)
{
	uint32_t head = atomic_load_explicit(&q->head, memory_order_relaxed);

	if (head == atomic_load_explicit(&q->tail, memory_order_acquire))
		return false;
	memcpy(item, q->items + (size_t)(head & q->mask) * q->item_size, q->item_size);
	atomic_store_explicit(&q->head, head + 1, memory_order_release);
	return true;
}
