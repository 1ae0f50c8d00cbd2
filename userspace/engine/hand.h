/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hand thread: it makes the writes of an action, which can block behind kernel locks. The loop
 * hands it a run and gets it back; in between the run belongs to the hand.
 */
#pragma once

#include "base/spsc.h"
#include "engine/ports.h"

#include <pthread.h>
#include <stdatomic.h>

#define SC_HAND_ALERT_NS 400000ULL

enum sc_hand_verb { SC_HAND_APPLY, SC_HAND_RELEASE };

struct sc_hand_order {
	struct sc_action_run *run;
	enum sc_hand_verb verb;
	uint32_t active; /* the loop's number of the run, given back */
};

struct sc_hand {
	const struct sc_ports *ports;
	pthread_t thread;
	bool running;
	struct sc_spsc orders;
	struct sc_spsc done; /* uint32_t active */
	int order_bell;
	int done_bell; /* the loop watches this */
	_Atomic bool alert;
	_Atomic bool stop;
};

/* Room for max runs under way; 0 or -errno. */
int sc_hand_init(struct sc_hand *hand, const struct sc_ports *ports, uint32_t max);
int sc_hand_start(struct sc_hand *hand);
/* Finishes what was ordered, then ends the thread and frees everything. */
void sc_hand_done(struct sc_hand *hand);

/*
 * loop: an order will follow within SC_HAND_ALERT_NS. The hand wakes and looks out for it, so that
 * its wake-up (tens of microseconds) passes while the intent is being written.
 */
void sc_hand_alert(struct sc_hand *hand);
/* loop: passes the run over. There is always room: at most max runs exist. */
void sc_hand_order(struct sc_hand *hand, const struct sc_hand_order *order);
/* loop: the number of a run that has come back; false when there is none. */
bool sc_hand_take(struct sc_hand *hand, uint32_t *active);
