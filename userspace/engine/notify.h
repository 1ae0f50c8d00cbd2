/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is told of what happens (the `notify:` key), as far as the core knows: which sinks there are,
 * what each may read of the world, and how telling them went. The probe worker reads the journal
 * and tells them; a fire knows of none of it. Loop thread.
 *
 * A sink is known by a name made of what it is (webhook-1a2b3c4d): the same in every life of the
 * agent and after every reload that leaves it as it was, so that its place in the journal and its
 * counters are kept, and receivers can tell repeats.
 */
#pragma once

#include <stdbool.h>

struct sc_engine;
struct sc_fire;
struct sc_json;
struct sc_notifiers;
struct sc_op_call;

/* Different sinks of one configuration; the others are told of nothing, which doctor shows. */
#define SC_SINKS_MAX 64

/* After the journal, before its first record of this life. 0 or -ENOMEM. */
int sc_notifiers_open(struct sc_engine *e);
void sc_notifiers_close(struct sc_engine *e);

/* The configuration was taken: records the sinks that are new, and those that are gone. */
void sc_notifiers_reloaded(struct sc_engine *e);
/* Somebody is to be told: the worker is wanted. */
bool sc_notifiers_are_wanted(const struct sc_engine *e);

/*
 * Adds the member `notify` to the reply of probe.list: {"sinks": [{"sink": NAME, "kind": webhook,
 * command or journal, "webhook": URL, "has_secret": bool, "command": [...], "from": SEQ}], "all":
 * [i...], "conditions": {ID: [i...]}}. The numbers are places in `sinks`; a sink has not yet been
 * told of records from `from` on.
 */
void sc_notifiers_add_list(struct sc_engine *e, struct sc_json *j);
/* The file with the secret of that sink of the running configuration; NULL when it has none. Valid
 * until the next reload. */
const char *sc_notifiers_secret_file(const struct sc_engine *e, const char *sink);

/* Adds `notify` to status. */
void sc_notifiers_json(struct sc_engine *e, struct sc_json *j);
/* Adds `told` to the answer of show: who was told of the fire, when, and whether it worked. */
void sc_notifiers_add_told(struct sc_engine *e, const struct sc_fire *fire, struct sc_json *j);
/* Red for a sink that the last word did not reach, and for those that found no room. */
void sc_doctor_notifiers(struct sc_op_call *call);
