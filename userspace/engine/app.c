/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/app.h"

#include "base/clock.h"

#include <errno.h>
#include <math.h>

struct sc_app_sender {
	uint64_t paid_ns; /* CLOCK_MONOTONIC up to which the allowance is used up */
	uint64_t refused; /* as the kernel told last */
	uint64_t session; /* hash of the session id; means something once there is one */
};

/* The loop reads while this is written: each number is stored once and whole. */
#define STORE(field, value) __atomic_store_n(&(field), (value), __ATOMIC_RELAXED)

static void store_number(double *field, double value)
{
	__atomic_store(field, &value, __ATOMIC_RELAXED);
}

int sc_app_init(struct sc_app *app, const struct sc_kernel_port *kernel,
		const struct sc_notify_port *port)
{
	*app = (struct sc_app){.port = port, .slots = kernel->slots};
	app->entries = calloc(kernel->slots, sizeof(*app->entries));
	app->senders = calloc(kernel->slots, sizeof(*app->senders));
	if (app->entries && app->senders)
		return 0;
	sc_app_done(app);
	return -ENOMEM;
}

void sc_app_done(struct sc_app *app)
{
	free(app->entries);
	free(app->senders);
	app->entries = NULL;
	app->senders = NULL;
}

/* The slot may have been another cgroup's: then nothing is left of that one's reports before the
 * new id can be seen. */
static void claim(struct sc_app *app, uint32_t slot, uint64_t cgroup_id)
{
	struct sc_app_entry *entry = &app->entries[slot];

	if (entry->cgroup_id == cgroup_id)
		return;
	__atomic_store_n(&entry->cgroup_id, 0, __ATOMIC_RELEASE);
	app->senders[slot] = (struct sc_app_sender){0};
	STORE(entry->heartbeat_ns, 0);
	STORE(entry->session_ns, 0);
	STORE(entry->sessions, 0);
	STORE(entry->refused, 0);
	store_number(&entry->queue_depth, NAN);
	for (unsigned int i = 0; i < SC_APP_GAUGES; i++)
		store_number(&entry->gauges[i], NAN);
	__atomic_store_n(&entry->cgroup_id, cgroup_id, __ATOMIC_RELEASE);
}

/*
 * A token bucket as one number: the time up to which what was sent is paid for. Where the kernel
 * keeps the same at the socket, nothing is judged twice: what it let pass may come in a heap.
 */
static bool may_send(struct sc_app_sender *sender, uint64_t now_ns)
{
	uint64_t burst_ns = SC_APP_BURST * SC_APP_COST_NS;
	uint64_t from = SC_MAX(sender->paid_ns, now_ns > burst_ns ? now_ns - burst_ns : 0);

	if (from + SC_APP_COST_NS > now_ns)
		return false;
	sender->paid_ns = from + SC_APP_COST_NS;
	return true;
}

static void refuse(struct sc_app *app, uint32_t slot, uint64_t n)
{
	STORE(app->entries[slot].refused, app->entries[slot].refused + n);
}

/* What never came. */
static void take_refused(struct sc_app *app, uint32_t slot, uint64_t refused)
{
	struct sc_app_sender *sender = &app->senders[slot];

	refuse(app, slot, refused >= sender->refused ? refused - sender->refused : refused);
	sender->refused = refused;
}

static void take_session(struct sc_app *app, uint32_t slot, uint64_t session, uint64_t now_ns)
{
	struct sc_app_entry *entry = &app->entries[slot];

	if (entry->sessions && app->senders[slot].session == session)
		return;
	app->senders[slot].session = session;
	STORE(entry->session_ns, now_ns);
	STORE(entry->sessions, entry->sessions + 1);
}

static void take_message(struct sc_app *app, uint32_t slot, const struct sc_app_message *message,
			 uint64_t now_ns)
{
	struct sc_app_entry *entry = &app->entries[slot];

	if (message->has & 1U << SC_APP_HEARTBEAT)
		STORE(entry->heartbeat_ns, now_ns);
	if (message->has & 1U << SC_APP_SESSION)
		take_session(app, slot, message->session, now_ns);
	if (message->has & 1U << SC_APP_QUEUE_DEPTH)
		store_number(&entry->queue_depth, message->queue_depth);
	for (unsigned int i = 0; i < SC_APP_GAUGES; i++)
		if (message->has & 1U << (SC_APP_GAUGE_FIRST + i))
			store_number(&entry->gauges[i], message->gauges[i]);
}

static void take_datagram(struct sc_app *app, const struct sc_app_datagram *datagram,
			  const char *text, uint64_t now_ns)
{
	struct sc_app_message message;
	uint32_t slot = datagram->slot;

	if (slot >= app->slots) {
		atomic_fetch_add(&app->strangers, 1);
		return;
	}
	claim(app, slot, datagram->cgroup_id);
	take_refused(app, slot, datagram->refused);
	if (!app->port->refused && !may_send(&app->senders[slot], now_ns)) {
		atomic_fetch_add(&app->throttled, 1);
		refuse(app, slot, 1);
		return;
	}
	if (sc_app_message_parse(text, datagram->size, &message) < 0) {
		atomic_fetch_add(&app->malformed, 1);
		refuse(app, slot, 1);
		return;
	}
	atomic_fetch_add(&app->reports, 1);
	take_message(app, slot, &message, now_ns);
}

/* After a gap nobody's silence is counted from before it: whoever reported meanwhile may have found
 * no room. */
static void note_heard(struct sc_app *app, uint64_t now_ns)
{
	uint64_t heard = atomic_load(&app->heard_ns);

	if (heard == 0 || now_ns - heard > SC_APP_STALE_NS)
		atomic_store(&app->since_ns, now_ns);
	atomic_store(&app->heard_ns, now_ns);
}

void sc_app_listen(struct sc_app *app, uint64_t now_ns)
{
	char text[SC_APP_MESSAGE_MAX];

	if (!app->port->receive)
		return;
	for (unsigned int i = 0; i < SC_APP_BATCH; i++) {
		struct sc_app_datagram datagram;
		int r = app->port->receive(app->port->ctx, text, sizeof(text), &datagram);

		if (r == 0)
			note_heard(app, now_ns);
		if (r <= 0)
			return;
		take_datagram(app, &datagram, text, now_ns);
	}
}

void sc_app_fill_source(struct sc_app *app, struct sc_source *source)
{
	/* In this order: the time since when is stored before the time of the last look. */
	source->app_heard_ns = atomic_load(&app->heard_ns);
	source->app_since_ns = atomic_load(&app->since_ns);
}

void sc_app_json(struct sc_app *app, struct sc_json *j)
{
	const struct sc_notify_port *port = app->port;
	uint64_t in_kernel = port->refused ? port->refused(port->ctx) : 0;

	sc_json_key(j, "reports");
	sc_json_object_begin(j);
	sc_json_member_u64(j, "taken", atomic_load(&app->reports));
	sc_json_member_u64(j, "from_strangers", atomic_load(&app->strangers));
	sc_json_member_u64(j, "over_allowance", atomic_load(&app->throttled) + in_kernel);
	sc_json_member_bool(j, "limited_at_the_sender", port->refused != NULL);
	sc_json_member_u64(j, "malformed", atomic_load(&app->malformed));
	sc_json_object_end(j);
}
