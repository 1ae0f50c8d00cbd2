/* SPDX-License-Identifier: Apache-2.0 */
/* Which sinks there are, and what their worker is told of them. How it went: notify_tell.c. */
#include "engine/notify_impl.h"

#include "base/json.h"
#include "base/log.h"
#include "record/line.h"

#include <errno.h>
#include <string.h>

/* Of the hash, in a sink's name: enough to tell some dozens apart. */
#define NAME_HASH_DIGITS 8

static const char *const kind_names[] = {
	[SC_NOTIFY_WEBHOOK] = "webhook",
	[SC_NOTIFY_COMMAND] = "command",
	[SC_NOTIFY_JOURNAL] = "journal",
};
_Static_assert(SC_ARRAY_SIZE(kind_names) == SC_NOTIFY_KIND_COUNT, "one name per kind");

const char *sc_notifier_kind(const struct sc_notify *spec)
{
	return kind_names[spec->kind];
}

/* --- which there are --- */

static void name_sink(struct sc_notifier *n)
{
	struct sc_notify_list one = {.item = (struct sc_notify *)n->spec, .n = 1};
	char hash[SC_HASH_TEXT_MAX];
	_cleanup_str_ struct sc_str text;
	struct sc_json j;

	if (n->spec->kind == SC_NOTIFY_JOURNAL) {
		sc_strcopy(n->name, sizeof(n->name), kind_names[SC_NOTIFY_JOURNAL]);
		return;
	}
	sc_str_init_heap(&text);
	sc_json_init(&j, &text);
	sc_notify_list_json(&one, &j);
	sc_hash_hex(text.data, text.len, hash);
	snprintf(n->name, sizeof(n->name), "%s-%.*s", kind_names[n->spec->kind], NAME_HASH_DIGITS,
		 hash);
}

/* Scheme, host and port. */
static void describe_url(const char *url, char *out, size_t size)
{
	const char *host = strstr(url, "://");
	size_t scheme = host ? (size_t)(host + 3 - url) : 0, n = strcspn(url + scheme, "/?#");
	const char *at = memrchr(url + scheme, '@', n);

	host = at ? at + 1 : url + scheme;
	snprintf(out, size, "%.*s%.*s", (int)scheme, url, (int)(url + scheme + n - host), host);
}

static void describe(struct sc_notifier *n)
{
	const struct sc_notify *spec = n->spec;

	if (spec->kind == SC_NOTIFY_WEBHOOK)
		describe_url(spec->webhook, n->to, sizeof(n->to));
	else
		sc_strcopy(n->to, sizeof(n->to),
			   spec->kind == SC_NOTIFY_COMMAND ? spec->command.item[0]
							   : "the system journal");
}

/* The place of an equal entry; -1 = none. */
static int place_of(const struct sc_notifier_list *list, const struct sc_notify *spec)
{
	for (unsigned int i = 0; i < list->n; i++)
		if (sc_notify_equal(list->item[i].spec, spec))
			return (int)i;
	return -1;
}

struct sc_notifier *sc_notifiers_find(struct sc_notifier_list *list, const char *name)
{
	for (unsigned int i = 0; name && i < list->n; i++)
		if (!strcmp(list->item[i].name, name))
			return &list->item[i];
	return NULL;
}

static void take(struct sc_notifiers *ns, const struct sc_notify_list *list, bool is_for_all)
{
	for (size_t i = 0; i < list->n; i++) {
		struct sc_notifier n = {.spec = &list->item[i]};
		const struct sc_notifier *was;

		if (place_of(&ns->now, n.spec) >= 0)
			continue;
		if (ns->now.n == SC_SINKS_MAX) {
			ns->left_out++;
			continue;
		}
		name_sink(&n);
		was = sc_notifiers_find(&ns->former, n.name);
		if (was) { /* its counters */
			n = *was;
			n.spec = &list->item[i];
		}
		n.is_for_all = is_for_all;
		describe(&n);
		ns->now.item[ns->now.n++] = n;
	}
}

/* --- what the journal has of it --- */

static void record_sink(struct sc_engine *e, const char *name, const char *to, uint64_t from)
{
	char body[1024];
	struct sc_str text;
	struct sc_json j;

	sc_str_init(&text, body, sizeof(body));
	sc_json_init(&j, &text);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "sink", name);
	sc_json_member_text(&j, "to", to);
	sc_json_member_bool(&j, "told", from != 0);
	sc_json_member_u64(&j, "from", from);
	sc_json_object_end(&j);
	(void)sc_records_append(e, SC_RECORD_NOTIFY_SINK, body);
}

static uint64_t newest_seq(const struct sc_engine *e)
{
	struct sc_journal_stats stats;

	sc_journal_stats(e->journal, &stats);
	return stats.seq;
}

/* A sink that is new is told of what comes; at a start of the whole of this life. */
static void record_changes(struct sc_engine *e, bool is_first)
{
	struct sc_notifiers *ns = e->notifiers;
	uint64_t from = is_first ? ns->first_seq : newest_seq(e) + 1;
	char gone[SC_SINK_NAME_MAX];
	const struct sc_fold_sink *s;

	for (unsigned int i = 0; (s = sc_fold_sink_at(e->fold, i)) != NULL;) {
		if (sc_notifiers_find(&ns->now, s->name)) {
			i++;
			continue;
		}
		sc_strcopy(gone, sizeof(gone), s->name);
		record_sink(e, gone, NULL, 0); /* the fold forgets it: the next has its place */
		i += sc_fold_sink_find(e->fold, gone) != NULL; /* unless memory was short */
	}
	for (unsigned int i = 0; i < ns->now.n; i++)
		if (!sc_fold_sink_find(e->fold, ns->now.item[i].name))
			record_sink(e, ns->now.item[i].name, ns->now.item[i].to, from);
}

void sc_notifiers_reloaded(struct sc_engine *e)
{
	struct sc_notifiers *ns = e->notifiers;
	bool is_first;

	if (!ns)
		return;
	is_first = !ns->is_loaded;
	ns->is_loaded = true;
	ns->former = ns->now;
	ns->now.n = ns->left_out = 0;
	take(ns, &e->config.notify, true);
	for (size_t i = 0; i < sc_conditions_count(e->set); i++)
		take(ns, &sc_conditions_get(e->set, i)->spec->notify, false);
	if (ns->left_out)
		sc_log_error("notify: more than %d different sinks are configured; %u are told of "
			     "nothing",
			     SC_SINKS_MAX, ns->left_out);
	record_changes(e, is_first);
}

/* --- begin and end --- */

int sc_notifiers_open(struct sc_engine *e)
{
	e->notifiers = calloc(1, sizeof(*e->notifiers));
	if (!e->notifiers)
		return -ENOMEM;
	e->notifiers->first_seq = newest_seq(e) + 1;
	return 0;
}

void sc_notifiers_close(struct sc_engine *e)
{
	free(e->notifiers);
	e->notifiers = NULL;
}

bool sc_notifiers_are_wanted(const struct sc_engine *e)
{
	return e->notifiers && e->notifiers->now.n > 0;
}

const char *sc_notifiers_secret_file(const struct sc_engine *e, const char *sink)
{
	const struct sc_notifier *n = e->notifiers ? sc_notifiers_find(&e->notifiers->now, sink)
						   : NULL;

	return n ? n->spec->secret_file : NULL;
}

/* --- the worker's list --- */

static void add_sink(const struct sc_engine *e, const struct sc_notifier *n, struct sc_json *j)
{
	const struct sc_fold_sink *told = sc_fold_sink_find(e->fold, n->name);
	const struct sc_notify *spec = n->spec;

	sc_json_object_begin(j);
	sc_json_member_text(j, "sink", n->name);
	sc_json_member_text(j, "kind", kind_names[spec->kind]);
	sc_json_member_text(j, "webhook", spec->webhook);
	sc_json_member_bool(j, "has_secret", spec->secret_file != NULL);
	sc_json_key(j, "command");
	sc_json_array_begin(j);
	for (size_t i = 0; i < spec->command.n; i++)
		sc_json_text(j, spec->command.item[i]);
	sc_json_array_end(j);
	sc_json_member_u64(j, "from", told ? told->done + 1 : newest_seq(e) + 1);
	sc_json_object_end(j);
}

static void add_places(const struct sc_notifier_list *sinks, const struct sc_notify_list *list,
		       struct sc_json *j)
{
	sc_json_array_begin(j);
	for (size_t i = 0; i < list->n; i++) {
		int place = place_of(sinks, &list->item[i]);

		if (place >= 0)
			sc_json_i64(j, place);
	}
	sc_json_array_end(j);
}

void sc_notifiers_add_list(struct sc_engine *e, struct sc_json *j)
{
	const struct sc_notifier_list *sinks = &e->notifiers->now;

	sc_json_key(j, "notify");
	sc_json_object_begin(j);
	sc_json_key(j, "sinks");
	sc_json_array_begin(j);
	for (unsigned int i = 0; i < sinks->n; i++)
		add_sink(e, &sinks->item[i], j);
	sc_json_array_end(j);
	sc_json_key(j, "all");
	add_places(sinks, &e->config.notify, j);
	sc_json_key(j, "conditions");
	sc_json_object_begin(j);
	for (size_t i = 0; i < sc_conditions_count(e->set); i++) {
		const struct sc_condition_spec *spec = sc_conditions_get(e->set, i)->spec;

		if (spec->notify.n == 0)
			continue;
		sc_json_key(j, spec->id);
		add_places(sinks, &spec->notify, j);
	}
	sc_json_object_end(j);
	sc_json_object_end(j);
}
