/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When each probe is asked, and its answer told to the core. A probe is asked at once when it is
 * new, and then every `every`, a little apart from the others by its name; SC_SCHEDULE_RUNS_MAX run
 * at a time, the others wait for their turn, in order, their budget untouched. A probe never runs
 * twice at once, and not while processes of its last run are left.
 */
#pragma once

#include <stddef.h>

struct json_t;
struct sc_prober;
struct sc_schedule;

#define SC_SCHEDULE_RUNS_MAX 8

/* Empty; NULL without memory. The prober is borrowed. */
struct sc_schedule *sc_schedule_new(struct sc_prober *p);
/* Ends all runs. */
void sc_schedule_free(struct sc_schedule **schedule);

/*
 * Takes the reply to probe.list: probes that are as before go on undisturbed, runs of those that
 * are gone or changed are ended. 0; -EPROTO: it is not such a reply, nothing has changed; -ENOMEM:
 * probes may be missing.
 */
int sc_schedule_update(struct sc_schedule *s, const struct json_t *list);

/* How many run now, and how many there are. */
size_t sc_schedule_running(const struct sc_schedule *s);
size_t sc_schedule_count(const struct sc_schedule *s);
