/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be wrong with a spec by itself. Whether its predicate compiles and the names it uses are
 * declared is seen elsewhere; the reader of the file or the body adds the place.
 */
#include <scram/condition.h>

#include "base/glob.h"

#include <errno.h>
#include <string.h>

/* A refusal: which key, and why. */
struct refusal {
	const char **field;
	struct sc_diag *diag;
};

#define REFUSE(r, key, ...) \
	(*(r)->field = (key), sc_diag_set((r)->diag, -EINVAL, 0, 0, __VA_ARGS__))

static bool is_ascii_printable(const char *text)
{
	for (; *text; text++)
		if (*text < 0x20 || *text > 0x7e)
			return false;
	return true;
}

/* Descriptions may be of several lines and any language; control characters have no place in them.
 */
static bool is_prose(const char *text)
{
	for (; *text; text++)
		if (((unsigned char)*text < 0x20 && *text != '\n' && *text != '\t') ||
		    *text == 0x7f)
			return false;
	return true;
}

static int check_id(const struct sc_condition_spec *spec, struct refusal *r)
{
	size_t n = spec->id ? strlen(spec->id) : 0;

	if (n == 0)
		return REFUSE(r, "id", "id is empty; give it 1 to %d characters",
			      SC_CONDITION_ID_MAX);
	if (n > SC_CONDITION_ID_MAX)
		return REFUSE(r, "id", "id has %zu characters; %d are allowed", n,
			      SC_CONDITION_ID_MAX);
	if (!is_ascii_printable(spec->id) || spec->id[0] == ' ' || spec->id[n - 1] == ' ')
		return REFUSE(r, "id",
			      "id has an unprintable character or a blank at an end; use printable "
			      "ASCII");
	if (strncmp(spec->id, SC_BREAKER_PREFIX, strlen(SC_BREAKER_PREFIX)) == 0)
		return REFUSE(r, "id",
			      "id begins with " SC_BREAKER_PREFIX
			      ", which is for the breakers of components; give it another");
	return 0;
}

/* Names: printable ASCII and bounded; NULL is not given, empty is an error. */
static int check_name(const char *key, const char *name, struct refusal *r)
{
	if (!name)
		return 0;
	if (!*name)
		return REFUSE(r, key, "%s is empty; leave it out or give a name", key);
	if (strlen(name) > SC_CONDITION_NAME_MAX)
		return REFUSE(r, key, "%s has %zu characters; %d are allowed", key, strlen(name),
			      SC_CONDITION_NAME_MAX);
	if (!is_ascii_printable(name))
		return REFUSE(r, key, "%s has an unprintable character; use printable ASCII", key);
	return 0;
}

static int check_texts(const struct sc_condition_spec *spec, struct refusal *r)
{
	int err;

	if (spec->description && strlen(spec->description) > SC_CONDITION_TEXT_MAX)
		return REFUSE(r, "description", "description has %zu bytes; %d are allowed",
			      strlen(spec->description), SC_CONDITION_TEXT_MAX);
	if (spec->description && !is_prose(spec->description))
		return REFUSE(r, "description", "description has a control character; remove it");
	err = check_name("registered_by", spec->registered_by, r);
	if (err)
		return err;
	if (spec->when && !spec->when[strspn(spec->when, " \t\r\n")])
		return REFUSE(r, "when", "when is empty; leave it out for a manual condition");
	if (spec->when && strlen(spec->when) > SC_CONDITION_WHEN_MAX)
		return REFUSE(r, "when", "when has %zu bytes; %d are allowed", strlen(spec->when),
			      SC_CONDITION_WHEN_MAX);
	return 0;
}

static int check_paths(const struct sc_condition_spec *spec, struct refusal *r)
{
	const char *target = spec->action.target;

	if (spec->scope &&
	    (sc_glob_check(spec->scope) || strlen(spec->scope) > SC_CONDITION_PATH_MAX))
		return REFUSE(
			r, "scope",
			"scope is not a glob of cgroup paths; write it as in /proc/PID/cgroup, "
			"such as /workload/*");
	if (!target)
		return 0;
	if (sc_glob_check(target) || strpbrk(target, "*?") ||
	    strlen(target) > SC_CONDITION_PATH_MAX ||
	    (target[1] && target[strlen(target) - 1] == '/'))
		return REFUSE(
			r, "action.config.target",
			"target is not a cgroup path; write one path as in /proc/PID/cgroup, such "
			"as /workload/web");
	if (spec->scope)
		return REFUSE(
			r, "action.config.target",
			"target beside a scope; the action hits the matched cgroup, remove one");
	return 0;
}

/* Which keys of action.config go with which kind. */
static int check_action(const struct sc_condition_spec *spec, struct refusal *r)
{
	const struct sc_action_spec *a = &spec->action;
	bool kills = a->kind == SC_ACTION_PROCESS_EXIT;
	const struct {
		const char *key;
		bool given;
		bool fits;
	} keys[] = {
		{"code", a->code != SC_CODE_NONE, kills},
		{"grace", a->grace_ns != 0, kills},
		{"rekill", a->rekill, kills},
		{"mode", a->mode != SC_CUT_NONE, a->kind == SC_ACTION_CIRCUIT_BREAK},
		{"component", a->component, a->kind == SC_ACTION_CIRCUIT_BREAK},
		{"tenant_id", a->tenant_id, a->kind == SC_ACTION_QUARANTINE},
		{"checkpoint_id", a->checkpoint_id, a->kind == SC_ACTION_ROLLBACK},
		{"target", a->target,
		 a->kind != SC_ACTION_QUARANTINE && a->kind != SC_ACTION_CIRCUIT_BREAK},
	};
	int err;

	if (a->code != SC_CODE_NONE && (a->code < 0 || a->code > 255))
		return REFUSE(r, "action.config.code",
			      "code is outside 0..255; it is an exit status");
	if (a->mode != SC_CUT_NONE && a->mode != SC_CUT_REFUSE_NEW && a->mode != SC_CUT_REFUSE_ALL)
		return REFUSE(r, "action.config.mode", "mode is neither new nor all; it is one");
	for (size_t i = 0; i < SC_ARRAY_SIZE(keys); i++)
		if (keys[i].given && !keys[i].fits)
			return REFUSE(r, "action.config", "%s does not go with kind %s; remove it",
				      keys[i].key, sc_action_kind_name(a->kind));
	err = check_name("action.config.component", a->component, r);
	if (!err)
		err = check_name("action.config.tenant_id", a->tenant_id, r);
	if (!err)
		err = check_name("action.config.checkpoint_id", a->checkpoint_id, r);
	return err;
}

static int check_ladder(const struct sc_condition_spec *spec, struct refusal *r)
{
	if (spec->rungs == 0)
		return 0;
	if (spec->rungs > SC_CONDITION_RUNGS_MAX)
		return REFUSE(r, "escalate", "escalate has %u rungs; %d are allowed", spec->rungs,
			      SC_CONDITION_RUNGS_MAX);
	for (uint32_t i = 0; i < spec->rungs; i++) {
		enum sc_action_kind kind = spec->rung[i].kind;
		bool is_last = i + 1 == spec->rungs;

		if (kind != SC_ACTION_FREEZE && kind != SC_ACTION_REFUSE_NEW &&
		    kind != SC_ACTION_PROCESS_EXIT)
			return REFUSE(r, "escalate",
				      "a rung of kind %s; rungs are freeze, refuse-new or "
				      "process-exit",
				      sc_action_kind_name(kind));
		if (!is_last && kind == SC_ACTION_PROCESS_EXIT)
			return REFUSE(r, "escalate",
				      "a rung after process-exit; it can only be the last");
		if (!is_last && spec->rung[i].dwell_ns == 0)
			return REFUSE(r, "escalate",
				      "a rung without dwell; say how long to wait before the next");
		if (is_last && spec->rung[i].dwell_ns != 0)
			return REFUSE(r, "escalate",
				      "dwell on the last rung; nothing comes after it");
	}
	if (spec->rung[spec->rungs - 1].kind != spec->action.kind)
		return REFUSE(r, "escalate",
			      "the last rung is %s but the action is %s; make them equal",
			      sc_action_kind_name(spec->rung[spec->rungs - 1].kind),
			      sc_action_kind_name(spec->action.kind));
	return 0;
}

static int check_numbers(const struct sc_condition_spec *spec, struct refusal *r)
{
	if (spec->min_samples == 0 || spec->min_samples > SC_CONDITION_SAMPLES_MAX)
		return REFUSE(r, "min_samples", "min_samples is outside 1..%d",
			      SC_CONDITION_SAMPLES_MAX);
	if (spec->max_targets > SC_CONDITION_TARGETS_MAX)
		return REFUSE(r, "max_targets", "max_targets is outside 1..%d",
			      SC_CONDITION_TARGETS_MAX);
	if (spec->ttl_ns && sc_condition_is_irreversible(spec) && spec->rungs == 0)
		return REFUSE(r, "ttl", "ttl on %s, which cannot be undone; remove it",
			      sc_action_kind_name(spec->action.kind));
	return 0;
}

int sc_condition_spec_check(const struct sc_condition_spec *spec, const char **field,
			    struct sc_diag *diag)
{
	static int (*const checks[])(const struct sc_condition_spec *, struct refusal *) = {
		check_id, check_texts, check_paths, check_action, check_ladder, check_numbers,
	};
	struct refusal r = {.field = field, .diag = diag};

	for (size_t i = 0; i < SC_ARRAY_SIZE(checks); i++) {
		int err = checks[i](spec, &r);

		if (err)
			return err;
	}
	return 0;
}
