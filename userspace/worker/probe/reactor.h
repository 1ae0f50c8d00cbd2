/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this one thread waits for: descriptors (base/loop.h), alarms, and transfers of libcurl. All
 * calls back happen inside sc_reactor_turn; what they start may call back in a later turn only.
 */
#pragma once

#include "base/loop.h"

#include <curl/curl.h>
#include <stddef.h>

/* A moment at which something is to be done. Lives in its owner's memory, zeroed but for ring and
 * owner; must be stopped before that goes. */
struct sc_alarm {
	uint64_t at_ns; /* CLOCK_MONOTONIC; 0 = not set */
	void (*ring)(void *owner);
	void *owner;
	struct sc_alarm *next, **link; /* the reactor's, while it is set */
};

struct sc_reactor {
	struct sc_loop loop;
	CURLM *multi;
	struct sc_alarm
		*alarms; /* those that are set, in no order: there are some hundred at most */
};

/* curl_global_init must have been called. 0 or -errno, nothing held then. */
int sc_reactor_init(struct sc_reactor *r);
/* Everything that was added must be gone from it. */
void sc_reactor_done(struct sc_reactor *r);

/* Sets the alarm, again where it is set; a moment that has passed rings in the next turn. It is no
 * longer set when it rings. */
void sc_alarm_set(struct sc_reactor *r, struct sc_alarm *alarm, uint64_t at_ns);
/* Harmless when it is not set. */
void sc_alarm_stop(struct sc_alarm *alarm);

/*
 * Waits until something is ready or due and hands that out, alarms first: what comes too late for
 * its alarm is too late, also where the process was stopped meanwhile. 0 or -errno.
 */
int sc_reactor_turn(struct sc_reactor *r);
