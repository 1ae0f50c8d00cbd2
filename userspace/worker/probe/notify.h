/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Those who are told of what happens. The journal is read as the core says that it grows; each
 * record worth it becomes a notification, which waits in the queue of each sink that it is for. A
 * sink works through its queue in order and by itself: one that hangs delays no other. How each
 * telling went goes to the core, which says at the next start where to go on.
 */
#pragma once

#include "worker/probe/notify_event.h"

#include <stdint.h>

struct json_t;
struct sc_notify;
struct sc_prober;

/* `hello` is the parsed event. NULL without memory. The prober is borrowed. */
struct sc_notify *sc_notify_new(struct sc_prober *p, const struct json_t *hello);
/* Ends what is under way, tells nobody; NULL is fine. */
void sc_notify_free(struct sc_notify **notify);

/* The member `notify` of the answer to probe.list; sinks that stay as they were keep their queues.
 * 0 or -errno. */
int sc_notify_update(struct sc_notify *notify, const struct json_t *list);
/* The journal has records up to seq; about once a second also when it has no new ones. */
void sc_notify_changed(struct sc_notify *notify, uint64_t seq);
