/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fire as JSON and back. The members are one table, so that what is written and what is read
 * cannot drift apart.
 */
#include <scram/fire.h>

#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <jansson.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#define YEAR_MAX 2261 /* the last whole one in 63 bits of nanoseconds */

enum type {
	TYPE_TEXT,     /* char array; empty is null */
	TYPE_STRING,   /* char array; always a string, as clients of the original service expect */
	TYPE_OBJECT,   /* char array holding a JSON object; empty is null */
	TYPE_EVIDENCE, /* the same, left out where no evidence is wanted */
	TYPE_U64,
	TYPE_U32,
	TYPE_BOOL,
	TYPE_TIME, /* int64_t, CLOCK_REALTIME ns as RFC 3339; 0 is null */
	TYPE_STATE,
	TYPE_ACTION,
	TYPE_TWO_PERSON,
	TYPE_OUTCOME,
};

struct text {
	const char *bytes;
	size_t n;
};

struct member {
	const char *name;
	enum type type;
	size_t offset;
	size_t size;
};

static const struct member members[];
static const size_t member_count;

static void write_value(struct sc_json *out, const struct member *m, const struct sc_fire *fire)
{
	const char *p = (const char *)fire + m->offset;
	char time[SC_TIME_TEXT_MAX];
	int64_t ns;

	switch (m->type) {
	case TYPE_TEXT:
		sc_json_text(out, *p ? p : NULL);
		break;
	case TYPE_STRING:
		sc_json_text(out, p);
		break;
	case TYPE_OBJECT:
	case TYPE_EVIDENCE:
		sc_json_raw(out, *p ? p : "null");
		break;
	case TYPE_U64:
		sc_json_u64(out, *(const uint64_t *)(const void *)p);
		break;
	case TYPE_U32:
		sc_json_u64(out, *(const uint32_t *)(const void *)p);
		break;
	case TYPE_BOOL:
		sc_json_bool(out, *(const bool *)p);
		break;
	case TYPE_TIME:
		ns = *(const int64_t *)(const void *)p;
		sc_time_text(ns, time);
		sc_json_text(out, ns ? time : NULL);
		break;
	case TYPE_STATE:
		sc_json_text(out, sc_fire_state_name(fire->state));
		break;
	case TYPE_ACTION:
		sc_json_text(out, sc_action_kind_name(fire->action));
		break;
	case TYPE_TWO_PERSON:
		sc_json_text(out, sc_two_person_name(fire->two_person));
		break;
	case TYPE_OUTCOME:
		sc_json_text(out, sc_fire_outcome_name(fire->outcome));
		break;
	}
}

void sc_fire_json(struct sc_json *out, const struct sc_fire *fire, enum sc_fire_detail detail)
{
	sc_json_object_begin(out);
	for (size_t i = 0; i < member_count; i++) {
		if (members[i].type == TYPE_EVIDENCE && detail == SC_FIRE_NO_EVIDENCE)
			continue;
		sc_json_key(out, members[i].name);
		write_value(out, &members[i], fire);
	}
	sc_json_object_end(out);
}

/* RFC 3339 in UTC with microseconds, as sc_time_text writes it. */
static int read_time(const json_t *v, int64_t *out)
{
	const char *text = json_string_value(v);
	struct tm tm = {0};
	unsigned int us = 0;
	int used = 0;

	if (json_is_null(v)) {
		*out = 0;
		return 0;
	}
	if (!text ||
	    sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%6uZ%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &us, &used) != 7 ||
	    text[used] != '\0' || tm.tm_year < 1970 || tm.tm_year > YEAR_MAX)
		return -EBADMSG;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*out = (int64_t)timegm(&tm) * (int64_t)SC_NS_PER_S + (int64_t)us * 1000;
	return 0;
}

static int read_text(const json_t *v, char *out, size_t size)
{
	if (json_is_null(v)) {
		out[0] = '\0';
		return 0;
	}
	if (!json_is_string(v))
		return -EBADMSG;
	/* Bytes that were no UTF-8 come back as longer characters: such a text may get cut, no
	 * more. */
	sc_strcopy(out, size, json_string_value(v));
	return 0;
}

/* The end of the member that begins at p: the comma or bracket behind it, or end. */
static const char *skip_member(const char *p, const char *end)
{
	unsigned int depth = 0;
	bool is_text = false;

	for (; p < end; p++) {
		if (is_text && *p == '\\')
			p++;
		else if (*p == '"')
			is_text = !is_text;
		else if (is_text)
			continue;
		else if (*p == '{' || *p == '[')
			depth++;
		else if ((*p == '}' || *p == ']') && depth-- == 0)
			return p;
		else if (*p == ',' && depth == 0)
			return p;
	}
	return end;
}

/*
 * Takes an object over byte by byte: evidence has to stay what it was, and a parser would write its
 * numbers anew. Finds it only in JSON without white space, as sc_json writes it.
 */
static int read_object(const struct text *json, const struct member *m, char *out)
{
	const char *end = json->bytes + json->n;
	size_t name_len = strlen(m->name);
	const char *after;

	for (const char *p = json->bytes + 1; p < end; p = after + 1) {
		const char *value = p + name_len + 3;
		size_t n;

		after = skip_member(p, end);
		if (after <= value || memcmp(p + 1, m->name, name_len) != 0 ||
		    memcmp(p + 1 + name_len, "\":", 2) != 0)
			continue;
		n = (size_t)(after - value);
		if (n == 4 && !memcmp(value, "null", 4))
			n = 0;
		if (n >= m->size || (n > 0 && *value != '{'))
			return -EBADMSG;
		memcpy(out, value, n);
		out[n] = '\0';
		return 0;
	}
	return -EBADMSG;
}

static int read_name(const json_t *v, int (*find)(const char *), unsigned int *out)
{
	int k = json_is_string(v) ? find(json_string_value(v)) : -ENOENT;

	if (k < 0)
		return -EBADMSG;
	*out = (unsigned int)k;
	return 0;
}

static int read_number(const json_t *v, uint64_t max, uint64_t *out)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || (uint64_t)n > max)
		return -EBADMSG;
	*out = (uint64_t)n;
	return 0;
}

static int read_flag(const json_t *v, bool *out)
{
	if (!json_is_boolean(v))
		return -EBADMSG;
	*out = json_is_true(v);
	return 0;
}

static int read_value(const struct text *json, const json_t *v, const struct member *m,
		      struct sc_fire *fire)
{
	void *p = (char *)fire + m->offset;
	unsigned int value = 0;
	uint64_t number = 0;
	int r;

	switch (m->type) {
	case TYPE_TEXT:
	case TYPE_STRING: /* of older journals it may be null */
		return read_text(v, p, m->size);
	case TYPE_OBJECT:
	case TYPE_EVIDENCE:
		return json_is_object(v) || json_is_null(v) ? read_object(json, m, p) : -EBADMSG;
	case TYPE_U64:
		return read_number(v, UINT64_MAX, p);
	case TYPE_U32:
		r = read_number(v, UINT32_MAX, &number);
		*(uint32_t *)p = (uint32_t)number;
		return r;
	case TYPE_BOOL:
		return read_flag(v, p);
	case TYPE_TIME:
		return read_time(v, p);
	case TYPE_STATE:
		r = read_name(v, sc_fire_state_find, &value);
		fire->state = (enum sc_fire_state)value;
		return r;
	case TYPE_ACTION:
		r = read_name(v, sc_action_kind_find, &value);
		fire->action = (enum sc_action_kind)value;
		return r;
	case TYPE_TWO_PERSON:
		r = read_name(v, sc_two_person_find, &value);
		fire->two_person = (enum sc_two_person)value;
		return r;
	case TYPE_OUTCOME:
		r = read_name(v, sc_fire_outcome_find, &value);
		fire->outcome = (enum sc_fire_outcome)value;
		return r;
	}
	return -EBADMSG;
}

int sc_fire_parse(const char *json, size_t n, struct sc_fire *fire)
{
	json_t *root = json_loadb(json, n, JSON_REJECT_DUPLICATES, NULL);
	const struct text text = {json, n};
	struct sc_fire f = *fire;
	int r = json_is_object(root) ? 0 : -EBADMSG;

	for (size_t i = 0; i < member_count && r == 0; i++) {
		const json_t *v = json_object_get(root, members[i].name);

		if (v)
			r = read_value(&text, v, &members[i], &f);
	}
	json_decref(root);
	if (r == 0)
		*fire = f;
	return r;
}

#define MEMBER(json_name, kind, field)                                   \
	{                                                                \
		json_name, TYPE_##kind, offsetof(struct sc_fire, field), \
			sizeof(((struct sc_fire *)NULL)->field)          \
	}

static const struct member members[] = {
	/* The HTTP API's own, in its order. */
	MEMBER("id", TEXT, id),
	MEMBER("condition_id", TEXT, condition_id),
	MEMBER("fired_at", TIME, fired_at_ns),
	MEMBER("fired_by", TEXT, fired_by),
	MEMBER("reason", STRING, reason),
	MEMBER("state_snapshot", EVIDENCE, evidence),
	MEMBER("dispatched", BOOL, dispatched),
	MEMBER("dispatch_result", TEXT, dispatch_result),
	MEMBER("two_person_status", TWO_PERSON, two_person),
	MEMBER("second_operator", TEXT, second_operator),
	MEMBER("second_at", TIME, second_at_ns),
	/* Ours. */
	MEMBER("state", STATE, state),
	MEMBER("action", ACTION, action),
	MEMBER("target", TEXT, target),
	MEMBER("group", TEXT, group),
	MEMBER("mode", TEXT, mode),
	MEMBER("cgroup_id", U64, cgroup_id),
	MEMBER("boot_id", TEXT, boot_id),
	MEMBER("principal", TEXT, principal),
	MEMBER("dry_run", BOOL, dry_run),
	MEMBER("forced", BOOL, forced),
	MEMBER("error", TEXT, error),
	MEMBER("veto", TEXT, veto),
	MEMBER("outcome", OUTCOME, outcome),
	MEMBER("killed", U32, killed),
	MEMBER("remaining", U32, remaining),
	MEMBER("rekill", BOOL, rekill),
	MEMBER("rekills", U32, rekills),
	MEMBER("undo", OBJECT, undo),
	MEMBER("expires_at_boot_ns", U64, expires_at_boot_ns),
	MEMBER("released_at", TIME, released_at_ns),
	MEMBER("released_by", TEXT, released_by),
	MEMBER("rung", U32, rung),
	MEMBER("supersedes", TEXT, supersedes),
	MEMBER("key", TEXT, key),
	MEMBER("fired_at_mono_ns", U64, fired_at_mono_ns),
	MEMBER("fired_at_boot_ns", U64, fired_at_boot_ns),
	MEMBER("detected_ns", U64, timing.detected_ns),
	MEMBER("decided_ns", U64, timing.decided_ns),
	MEMBER("intent_ns", U64, timing.intent_ns),
	MEMBER("act_begin_ns", U64, timing.act_begin_ns),
	MEMBER("act_end_ns", U64, timing.act_end_ns),
	MEMBER("verified_ns", U64, timing.verified_ns),
};
static const size_t member_count = SC_ARRAY_SIZE(members);
