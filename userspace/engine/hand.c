/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/hand.h"

#include "base/bell.h"
#include "base/clock.h"

int sc_hand_init(struct sc_hand *hand, const struct sc_ports *ports, uint32_t max)
{
	int r;

	*hand = (struct sc_hand){.ports = ports, .order_bell = -1, .done_bell = -1};
	r = sc_spsc_init(&hand->orders, sizeof(struct sc_hand_order), max);
	if (r == 0)
		r = sc_spsc_init(&hand->done, sizeof(uint32_t), max);
	if (r < 0)
		return r;
	hand->order_bell = sc_bell_open();
	hand->done_bell = sc_bell_open();
	return hand->order_bell < 0 || hand->done_bell < 0 ? -EMFILE : 0;
}

/* Spins, bounded: only after an alert, which comes only with a fire. */
static void look_out(struct sc_hand *hand)
{
	uint64_t end = sc_mono_ns() + SC_HAND_ALERT_NS;

	while (sc_spsc_is_empty(&hand->orders) && sc_mono_ns() < end)
		continue;
}

static void work(struct sc_hand *hand)
{
	struct sc_hand_order order;

	while (sc_spsc_pop(&hand->orders, &order)) {
		if (order.verb == SC_HAND_APPLY)
			order.run->ops->apply(order.run, &hand->ports->effector);
		else
			order.run->ops->release(order.run, &hand->ports->effector);
		SC_ASSERT(sc_spsc_push(&hand->done, &order.active));
		sc_bell_ring(hand->done_bell);
	}
}

static void *serve(void *arg)
{
	struct sc_hand *hand = arg;

	hand->ports->become_fifo(hand->ports->ctx, true);
	while (!atomic_load(&hand->stop)) {
		sc_bell_wait(hand->order_bell, -1);
		if (atomic_exchange(&hand->alert, false))
			look_out(hand);
		work(hand);
	}
	work(hand); /* what was ordered just before the stop */
	return NULL;
}

int sc_hand_start(struct sc_hand *hand)
{
	int r = pthread_create(&hand->thread, NULL, serve, hand);

	if (r != 0)
		return -r;
	(void)pthread_setname_np(hand->thread, "scram-hand");
	hand->running = true;
	return 0;
}

void sc_hand_done(struct sc_hand *hand)
{
	if (hand->running) {
		atomic_store(&hand->stop, true);
		sc_bell_ring(hand->order_bell);
		pthread_join(hand->thread, NULL);
		hand->running = false;
	}
	sc_spsc_done(&hand->orders);
	sc_spsc_done(&hand->done);
	sc_close(&hand->order_bell);
	sc_close(&hand->done_bell);
}

void sc_hand_alert(struct sc_hand *hand)
{
	atomic_store(&hand->alert, true);
	sc_bell_ring(hand->order_bell);
}

void sc_hand_order(struct sc_hand *hand, const struct sc_hand_order *order)
{
	SC_ASSERT(sc_spsc_push(&hand->orders, order));
	sc_bell_ring(hand->order_bell);
}

bool sc_hand_take(struct sc_hand *hand, uint32_t *active)
{
	return sc_spsc_pop(&hand->done, active);
}
