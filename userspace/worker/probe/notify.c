/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/probe/notify.h"

#include "worker/common/reader.h"
#include "worker/probe/notify_sink.h"
#include "worker/probe/prober.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

/* Sinks of one list: more are refused by the core. */
#define SINKS_MAX 64
/* Read in one turn: probes and other sinks have theirs in between. */
#define RECORDS_MAX 1024
/* So many records passed without a word to the core; it then need not read them again. */
#define PROGRESS 256
/* What is no fire is told of so often within a minute, each kind: a breaker that flaps, a limit
 * that is reached again and again, are not to drown a fire. */
#define CHATTER_MAX 20
#define CHATTER_NS  (60 * SC_NS_PER_S)

struct chatter {
	uint64_t since_ns; /* CLOCK_MONOTONIC */
	unsigned int told;
};

struct sc_notify {
	struct sc_prober *prober;
	struct sc_notify_origin origin;
	struct sc_sink *sinks[SINKS_MAX];
	size_t n;
	json_t *list; /* the last one: whom each condition names */
	struct sc_reader reader;
	bool is_at_place;  /* the reader stands where it is to go on */
	bool has_next;     /* reader.line is one that may not be read yet */
	uint64_t newest;   /* of the journal, as told */
	uint64_t read;     /* the last record that was looked at */
	uint64_t progress; /* as last told to the core */
	struct sc_alarm more;
	struct chatter chatter[SC_RECORD_KIND_COUNT];
	bool is_failing; /* the journal could not be read: told once */
};

/* --- whom --- */

/* The places of all, then of those of the condition; each sink once. */
static void mark(const json_t *places, bool *is_for, size_t n)
{
	const json_t *place;
	size_t i;

	json_array_foreach (places, i, place)
		if (json_is_integer(place) && json_integer_value(place) >= 0 &&
		    (size_t)json_integer_value(place) < n)
			is_for[json_integer_value(place)] = true;
}

static void put(struct sc_notify *t, struct sc_notification *n, bool is_held_back)
{
	const json_t *conditions = json_object_get(t->list, "conditions");
	bool is_for[SINKS_MAX] = {false};

	mark(json_object_get(t->list, "all"), is_for, t->n);
	if (n->condition_id[0])
		mark(json_object_get(conditions, n->condition_id), is_for, t->n);
	for (size_t i = 0; i < t->n; i++) {
		struct sc_sink *s = t->sinks[i];

		if (is_for[i] && is_held_back)
			sc_sink_hold_back(s, n);
		else if (is_for[i])
			sc_sink_put(s, n);
	}
}

static bool is_chatter(struct sc_notify *t, const struct sc_notification *n)
{
	struct chatter *c = &t->chatter[n->message->kind];
	uint64_t now = sc_mono_ns();

	if (n->fields.fire[0])
		return false;
	if (c->since_ns == 0 || now - c->since_ns >= CHATTER_NS)
		*c = (struct chatter){.since_ns = now};
	return ++c->told > CHATTER_MAX;
}

/* --- the journal --- */

static int open_segment(void *arg, uint64_t number)
{
	struct sc_notify *t = arg;

	return sc_link_segment(t->prober->link, number, &t->reader.first);
}

static int look_at(struct sc_notify *t)
{
	const struct sc_record *record = &t->reader.line.record;
	_cleanup_(sc_notification_unref) struct sc_notification *n = NULL;
	int r = sc_notification_new(&t->origin, record, &n);

	if (r == -ENOMEM)
		return r;
	if (r == -EBADMSG)
		sc_log_warning("record %llu is not what it should be: nobody is told of it",
			       (unsigned long long)record->seq);
	t->read = record->seq;
	if (r == 1)
		put(t, n, is_chatter(t, n));
	return 0;
}

/* Goes to the first record that somebody is to be told of. */
static int find_place(struct sc_notify *t)
{
	uint64_t taken = UINT64_MAX - 1;
	int r;

	if (t->is_at_place)
		return 0;
	for (size_t i = 0; i < t->n; i++)
		taken = SC_MIN(taken, t->sinks[i]->taken);
	t->has_next = false;
	r = sc_reader_seek(&t->reader, taken + 1);
	t->is_at_place = r == 0;
	return r;
}

/* 1: there may be more; 0: no more yet; -errno. */
static int read_some(struct sc_notify *t)
{
	int r = find_place(t);

	for (unsigned int i = 0; r == 0 && i < RECORDS_MAX; i++) {
		if (!t->has_next) {
			r = sc_reader_next(&t->reader);
			if (r <= 0)
				return r;
			t->has_next = true;
		}
		/* What the core has not told of may be meant for sinks that are not known yet. */
		if (t->reader.line.record.seq > t->newest)
			return 0;
		r = look_at(t);
		t->has_next = r < 0;
	}
	return r < 0 ? r : 1;
}

static bool is_idle(const struct sc_notify *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->sinks[i]->n_waiting)
			return false;
	return true;
}

/* Nobody waits for anything up to here: where it is to go on need not be as far back as the last
 * word to each sink. */
static void tell_progress(struct sc_notify *t)
{
	_cleanup_str_ struct sc_str request;

	if (t->read < t->progress + PROGRESS || !is_idle(t))
		return;
	t->progress = t->read;
	for (size_t i = 0; i < t->n; i++)
		t->sinks[i]->taken = SC_MAX(t->sinks[i]->taken, t->read);
	sc_str_init_heap(&request);
	sc_str_addf(&request, "{\"op\":\"notify.done\",\"sink\":null,\"seq\":%llu}",
		    (unsigned long long)t->read);
	if (!request.truncated)
		json_decref(sc_prober_ask(t->prober, request.data, request.len, NULL));
}

static void work(void *owner)
{
	struct sc_notify *t = owner;
	int r = 0;

	if (t->n == 0 || t->prober->link_error)
		return;
	if (t->read < t->newest || !t->is_at_place)
		r = read_some(t);
	if (r == 1)
		sc_alarm_set(&t->prober->reactor, &t->more, sc_mono_ns());
	if (r < 0 && r != -ENOENT && !t->is_failing)
		sc_log_warning("the journal cannot be read, nobody is told: %s", strerror(-r));
	t->is_failing = r < 0 && r != -ENOENT;
	if (r == 0)
		tell_progress(t);
	for (size_t i = 0; i < t->n; i++)
		sc_sink_tell_drops(t->sinks[i]);
}

void sc_notify_changed(struct sc_notify *t, uint64_t seq)
{
	t->newest = SC_MAX(t->newest, seq);
	work(t);
}

/* --- the list --- */

/* The one that is exactly this, out of the old ones: it keeps its queue. */
static struct sc_sink *take_or_make(struct sc_notify *t, struct sc_sink **old, size_t n_old,
				    const json_t *def)
{
	const char *name = json_string_value(json_object_get(def, "sink"));
	struct sc_sink *s;

	for (size_t i = 0; name && i < n_old; i++)
		if (old[i] && !strcmp(old[i]->name, name))
			return SC_TAKE_PTR(old[i]);
	s = sc_sink_new(t->prober, &t->origin, def);
	if (s && s->taken < t->read)
		t->is_at_place = false; /* it is further back than the others */
	return s;
}

int sc_notify_update(struct sc_notify *t, const json_t *list)
{
	const json_t *defs = json_object_get(list, "sinks"), *def;
	struct sc_sink *old[SINKS_MAX];
	size_t n_old = t->n, i;

	if (!json_is_array(defs) || json_array_size(defs) > SINKS_MAX)
		return -EPROTO;
	memcpy(old, t->sinks, sizeof(old));
	t->n = 0;
	json_array_foreach (defs, i, def) {
		t->sinks[t->n] = take_or_make(t, old, n_old, def);
		if (t->sinks[t->n])
			t->n++;
		else
			break; /* the places of the others would be wrong */
	}
	for (size_t k = 0; k < n_old; k++)
		sc_sink_free(&old[k]);
	json_decref(t->list);
	t->list = json_deep_copy(list);
	if (!t->list)
		return -ENOMEM;
	return t->n == json_array_size(defs) ? 0 : -EPROTO;
}

/* --- begin and end --- */

static void take_text(char *out, size_t size, const json_t *hello, const char *key)
{
	const char *text = json_string_value(json_object_get(hello, key));

	sc_strcopy(out, size, text ? text : "");
}

struct sc_notify *sc_notify_new(struct sc_prober *p, const json_t *hello)
{
	struct sc_notify *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->prober = p;
	t->more = (struct sc_alarm){.ring = work, .owner = t};
	take_text(t->origin.host, sizeof(t->origin.host), hello, "host");
	take_text(t->origin.version, sizeof(t->origin.version), hello, "version");
	take_text(t->origin.commit, sizeof(t->origin.commit), hello, "commit");
	if (gethostname(t->origin.hostname, sizeof(t->origin.hostname) - 1) < 0)
		sc_strcopy(t->origin.hostname, sizeof(t->origin.hostname), "?");
	if (sc_reader_init(&t->reader, open_segment, t) < 0)
		sc_notify_free(&t);
	return t;
}

void sc_notify_free(struct sc_notify **notify)
{
	struct sc_notify *t = *notify;

	*notify = NULL;
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		sc_sink_free(&t->sinks[i]);
	sc_alarm_stop(&t->more);
	sc_reader_done(&t->reader);
	json_decref(t->list);
	free(t);
}
