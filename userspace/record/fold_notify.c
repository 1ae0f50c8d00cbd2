/* SPDX-License-Identifier: Apache-2.0 */
/* Who is told of what happens, how far, and how it went. */
#include "record/fold_internal.h"

#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <string.h>

static struct sc_fold_sink *find(struct sc_fold *fold, const char *name)
{
	for (unsigned int i = 0; i < fold->sink_count; i++)
		if (!strcmp(fold->sinks[i].name, name))
			return &fold->sinks[i];
	return NULL;
}

static uint64_t take_number(const struct sc_fold_input *in, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(in->body, key));

	return n > 0 ? (uint64_t)n : 0;
}

static void forget(struct sc_fold *fold, struct sc_fold_sink *sink)
{
	if (!sink)
		return;
	fold->sink_count--;
	memmove(sink, sink + 1, (size_t)(fold->sinks + fold->sink_count - sink) * sizeof(*sink));
}

/* {"sink": NAME, "told": bool, "from": SEQ} */
int sc_fold_notify_sink(struct sc_fold *fold, const struct sc_fold_input *in)
{
	const char *name = json_string_value(json_object_get(in->body, "sink"));
	uint64_t from = take_number(in, "from");
	struct sc_fold_sink *sink;

	if (!name || !*name || strlen(name) >= SC_SINK_NAME_MAX)
		return -EBADMSG;
	sink = find(fold, name);
	if (!json_is_true(json_object_get(in->body, "told"))) {
		forget(fold, sink);
		return 0;
	}
	if (from == 0)
		return -EBADMSG;
	if (!sink && fold->sink_count == SC_FOLD_SINKS_MAX)
		return -ENOSPC;
	if (!sink) {
		sink = &fold->sinks[fold->sink_count++];
		*sink = (struct sc_fold_sink){0};
		sc_strcopy(sink->name, sizeof(sink->name), name);
	}
	sink->done = from - 1;
	return 0;
}

static void remember(struct sc_fold *fold, const struct sc_fold_input *in, const char *fire,
		     const char *sink)
{
	struct sc_fold_told *told = &fold->told[fold->told_count++ % SC_FOLD_TOLD_MAX];

	*told = (struct sc_fold_told){.seq = take_number(in, "seq"),
				      .ok = json_is_true(json_object_get(in->body, "ok"))};
	sc_strcopy(told->fire, sizeof(told->fire), fire);
	sc_strcopy(told->sink, sizeof(told->sink), sink);
	sc_strcopy(told->at, sizeof(told->at), in->since ? in->since : "");
	sc_fold_set_text(told->kind, sizeof(told->kind), in, "kind");
	sc_fold_set_text(told->why, sizeof(told->why), in, "why");
}

/* {"sink": NAME or null for each of them, "seq": N, "kind", "fire": ID or null, "ok", "why"} */
int sc_fold_notify_outcome(struct sc_fold *fold, const struct sc_fold_input *in)
{
	const char *name = json_string_value(json_object_get(in->body, "sink"));
	const char *fire = json_string_value(json_object_get(in->body, "fire"));
	uint64_t seq = take_number(in, "seq");

	for (unsigned int i = 0; i < fold->sink_count; i++) {
		struct sc_fold_sink *sink = &fold->sinks[i];

		if (!name || !strcmp(sink->name, name))
			sink->done = SC_MAX(sink->done, seq);
	}
	if (name && fire)
		remember(fold, in, fire, name);
	return 0;
}

const struct sc_fold_sink *sc_fold_sink_find(const struct sc_fold *fold, const char *name)
{
	return find((struct sc_fold *)fold, name);
}

const struct sc_fold_sink *sc_fold_sink_at(const struct sc_fold *fold, unsigned int i)
{
	return i < fold->sink_count ? &fold->sinks[i] : NULL;
}

const struct sc_fold_told *sc_fold_told_at(const struct sc_fold *fold, unsigned int i)
{
	uint64_t kept = SC_MIN(fold->told_count, (uint64_t)SC_FOLD_TOLD_MAX);

	return i < kept ? &fold->told[(fold->told_count - kept + i) % SC_FOLD_TOLD_MAX] : NULL;
}
