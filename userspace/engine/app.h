/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports of supervised programs: the collector takes them off the notify socket and writes the
 * table that the snapshot reads. A tick reads memory and nothing else.
 */
#pragma once

#include "base/clock.h"
#include "base/json.h"
#include "engine/app_message.h"
#include "engine/ports.h"

#include <scram/app.h>
#include <scram/snapshot.h>

#include <stdatomic.h>

/* What one cgroup may send: so many datagrams at once, and so many a second. */
#define SC_APP_BURST 100
#define SC_APP_PER_S 50
/* What one takes of the allowance, as time. */
#define SC_APP_COST_NS (SC_NS_PER_S / SC_APP_PER_S)
/* Datagrams taken before the collector looks at its other work again: about 1 ms. */
#define SC_APP_BATCH 256

struct sc_app_sender; /* per slot: allowance and session; the collector's own */

struct sc_app {
	const struct sc_notify_port *port;
	uint32_t slots;
	struct sc_app_entry *entries; /* by slot; what the loop reads */
	struct sc_app_sender *senders;
	_Atomic uint64_t heard_ns;  /* CLOCK_MONOTONIC when the socket was last found empty; 0 =
				      never */
	_Atomic uint64_t since_ns;  /* found so since then, without a gap of SC_APP_STALE_NS */
	_Atomic uint64_t reports;   /* taken */
	_Atomic uint64_t strangers; /* from cgroups that are not watched, or not to be told */
	_Atomic uint64_t throttled; /* over the allowance of their cgroup */
	_Atomic uint64_t malformed; /* too long, or not of the form */
};

/* Makes the table, whose pages are not touched before somebody reports. 0 or -ENOMEM. The port is
 * borrowed. */
int sc_app_init(struct sc_app *app, const struct sc_kernel_port *kernel,
		const struct sc_notify_port *port);
/* Harmless when it was never made. */
void sc_app_done(struct sc_app *app);

/* collector: takes what waits on the socket, at most SC_APP_BATCH datagrams. */
void sc_app_listen(struct sc_app *app, uint64_t now_ns);

/* loop: how current the table is. */
void sc_app_fill_source(struct sc_app *app, struct sc_source *source);
/* loop: adds `reports` to the status. */
void sc_app_json(struct sc_app *app, struct sc_json *j);
