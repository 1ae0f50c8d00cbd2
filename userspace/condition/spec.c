/* SPDX-License-Identifier: Apache-2.0 */
/* A condition as it was registered: defaults, ownership, comparison, and what can be checked of it
 * alone. */
#include <scram/condition.h>

#include "base/glob.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Every text a spec owns, so that copy, release and comparison are one loop each. */
static const struct {
	size_t offset;
	bool is_judged; /* part of what sc_condition_spec_same_judgement compares */
	bool is_place;  /* where it was written; not compared at all */
} texts[] = {
	{offsetof(struct sc_condition_spec, id), true, false},
	{offsetof(struct sc_condition_spec, description), false, false},
	{offsetof(struct sc_condition_spec, registered_by), false, false},
	{offsetof(struct sc_condition_spec, scope), true, false},
	{offsetof(struct sc_condition_spec, when), true, false},
	{offsetof(struct sc_condition_spec, action.component), true, false},
	{offsetof(struct sc_condition_spec, action.tenant_id), true, false},
	{offsetof(struct sc_condition_spec, action.checkpoint_id), true, false},
	{offsetof(struct sc_condition_spec, action.target), true, false},
	{offsetof(struct sc_condition_spec, file), false, true},
};

static char **text_at(struct sc_condition_spec *spec, size_t i)
{
	return (char **)(void *)((char *)spec + texts[i].offset);
}

static const char *text_of(const struct sc_condition_spec *spec, size_t i)
{
	return *(char *const *)(const void *)((const char *)spec + texts[i].offset);
}

void sc_condition_spec_init(struct sc_condition_spec *spec)
{
	*spec = (struct sc_condition_spec){
		.action = {.kind = SC_ACTION_PROCESS_EXIT, .code = SC_CODE_NONE},
		.on_unknown = SC_ON_UNKNOWN_IGNORE,
		.min_samples = 1,
		.cooldown_ns = SC_CONDITION_COOLDOWN_NS,
	};
}

void sc_condition_spec_done(struct sc_condition_spec *spec)
{
	for (size_t i = 0; i < SC_ARRAY_SIZE(texts); i++) {
		free(*text_at(spec, i));
		*text_at(spec, i) = NULL;
	}
	sc_notify_list_done(&spec->notify);
}

int sc_condition_spec_copy(struct sc_condition_spec *dst, const struct sc_condition_spec *src)
{
	struct sc_condition_spec copy = *src;

	for (size_t i = 0; i < SC_ARRAY_SIZE(texts); i++)
		*text_at(&copy, i) = NULL;
	if (sc_notify_list_copy(&copy.notify, &src->notify))
		return -ENOMEM;
	for (size_t i = 0; i < SC_ARRAY_SIZE(texts); i++) {
		if (!text_of(src, i))
			continue;
		*text_at(&copy, i) = strdup(text_of(src, i));
		if (!*text_at(&copy, i)) {
			sc_condition_spec_done(&copy);
			return -ENOMEM;
		}
	}
	*dst = copy;
	return 0;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool sc_condition_spec_same_judgement(const struct sc_condition_spec *a,
				      const struct sc_condition_spec *b)
{
	for (size_t i = 0; i < SC_ARRAY_SIZE(texts); i++)
		if (texts[i].is_judged && !same_text(text_of(a, i), text_of(b, i)))
			return false;
	for (uint32_t i = 0; i < SC_MIN(a->rungs, b->rungs); i++)
		if (a->rung[i].kind != b->rung[i].kind ||
		    a->rung[i].dwell_ns != b->rung[i].dwell_ns)
			return false;
	return a->action.kind == b->action.kind && a->action.code == b->action.code &&
	       a->action.grace_ns == b->action.grace_ns && a->action.rekill == b->action.rekill &&
	       a->action.mode == b->action.mode && a->auto_fire == b->auto_fire &&
	       a->requires_two_person == b->requires_two_person && a->on_unknown == b->on_unknown &&
	       a->min_samples == b->min_samples && a->max_targets == b->max_targets &&
	       a->hold_ns == b->hold_ns && a->clear_for_ns == b->clear_for_ns &&
	       a->cooldown_ns == b->cooldown_ns && a->ttl_ns == b->ttl_ns && a->rungs == b->rungs;
}

bool sc_condition_spec_equal(const struct sc_condition_spec *a, const struct sc_condition_spec *b)
{
	for (size_t i = 0; i < SC_ARRAY_SIZE(texts); i++)
		if (!texts[i].is_place && !same_text(text_of(a, i), text_of(b, i)))
			return false;
	return a->live == b->live && sc_notify_list_equal(&a->notify, &b->notify) &&
	       sc_condition_spec_same_judgement(a, b);
}

bool sc_condition_is_irreversible(const struct sc_condition_spec *spec)
{
	bool irreversible = spec->action.kind == SC_ACTION_PROCESS_EXIT ||
			    spec->action.kind == SC_ACTION_ROLLBACK;

	for (uint32_t i = 0; i < spec->rungs; i++)
		irreversible = irreversible || spec->rung[i].kind == SC_ACTION_PROCESS_EXIT;
	return irreversible;
}

void sc_condition_duration(struct sc_str *out, uint64_t ns)
{
	static const struct {
		uint64_t ns;
		const char *unit;
	} parts[] = {
		{86400 * SC_NS_PER_S, "d"},
		{3600 * SC_NS_PER_S, "h"},
		{60 * SC_NS_PER_S, "m"},
		{SC_NS_PER_S, "s"},
		{SC_NS_PER_MS, "ms"},
		{SC_NS_PER_US, "us"},
		{1, "ns"},
	};

	if (ns == 0)
		sc_str_add(out, "0s");
	for (size_t i = 0; i < SC_ARRAY_SIZE(parts); i++) {
		if (ns >= parts[i].ns)
			sc_str_addf(out, "%llu%s", (unsigned long long)(ns / parts[i].ns),
				    parts[i].unit);
		ns %= parts[i].ns;
	}
}

const char *sc_on_unknown_name(enum sc_on_unknown on_unknown)
{
	static const char *const names[] = {
		[SC_ON_UNKNOWN_IGNORE] = "ignore",
		[SC_ON_UNKNOWN_ALARM] = "alarm",
	};

	static_assert(SC_ARRAY_SIZE(names) == SC_ON_UNKNOWN_COUNT, "one name each");
	SC_ASSERT(on_unknown < SC_ON_UNKNOWN_COUNT);
	return names[on_unknown];
}

const char *sc_origin_name(enum sc_origin origin)
{
	static const char *const names[] = {
		[SC_ORIGIN_FILE] = "file",
		[SC_ORIGIN_RUNTIME] = "runtime",
	};

	static_assert(SC_ARRAY_SIZE(names) == SC_ORIGIN_COUNT, "one name each");
	SC_ASSERT(origin < SC_ORIGIN_COUNT);
	return names[origin];
}
