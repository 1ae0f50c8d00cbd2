/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each record does to the fold. Bodies are parsed only in a replay and for the rare records
 * that people cause; the loop hands its fires over as they are.
 */
#include "record/fold_internal.h"

#include "base/str.h"

#include <errno.h>
#include <string.h>

static sc_fold_fn *const folders[SC_RECORD_KIND_COUNT];

int sc_fold_fire_body(struct sc_fold *fold, const struct sc_fold_input *in)
{
	struct sc_fire *fire = &fold->scratch;
	const char *id = json_string_value(json_object_get(in->body, "id"));
	const struct sc_fire *known = id ? sc_fold_fire_by_id(fold, id) : NULL;
	int r;

	if (!id || !*id)
		return -EBADMSG;
	if (known)
		*fire = *known;
	else
		memset(fire, 0, sizeof(*fire));
	r = sc_fire_parse(in->text, in->n, fire);
	if (r == 0)
		sc_fold_fire(fold, fire);
	return r;
}

/* The condition that the body's `id` names, made when it is new. NULL: no id, or no room. */
static struct sc_fold_condition *condition_of(struct sc_fold *fold, const struct sc_fold_input *in)
{
	const char *id = json_string_value(json_object_get(in->body, "id"));
	struct sc_fold_condition *c = id ? sc_fold_condition_by_id(fold, id) : NULL;

	if (!id || !*id || strlen(id) >= sizeof(c->id))
		return NULL;
	if (c || fold->condition_count == SC_FOLD_CONDITIONS_MAX)
		return c;
	c = &fold->conditions[fold->condition_count++];
	memset(c, 0, sizeof(*c));
	sc_strcopy(c->id, sizeof(c->id), id);
	return c;
}

int sc_fold_registered(struct sc_fold *fold, const struct sc_fold_input *in)
{
	struct sc_fold_condition *c;

	if (in->n >= sizeof(c->body))
		return -E2BIG;
	c = condition_of(fold, in);
	if (!c)
		return -EBADMSG;
	memcpy(c->body, in->text, in->n);
	c->body[in->n] = '\0';
	c->has_live = false; /* its own `live` counts again */
	return 0;
}

static int fold_deleted(struct sc_fold *fold, const struct sc_fold_input *in)
{
	const char *id = json_string_value(json_object_get(in->body, "id"));
	struct sc_fold_condition *c = id ? sc_fold_condition_by_id(fold, id) : NULL;

	if (!id)
		return -EBADMSG;
	if (!c)
		return 0;
	fold->condition_count--;
	memmove(c, c + 1, (size_t)(fold->conditions + fold->condition_count - c) * sizeof(*c));
	return 0;
}

int sc_fold_set_live(struct sc_fold *fold, const struct sc_fold_input *in, bool live)
{
	struct sc_fold_condition *c = condition_of(fold, in);

	if (!c)
		return -EBADMSG;
	c->has_live = true;
	c->live = live;
	c->file_live = json_is_true(json_object_get(in->body, "file_live"));
	return 0;
}

static int fold_promoted(struct sc_fold *fold, const struct sc_fold_input *in)
{
	return sc_fold_set_live(fold, in, true);
}

static int fold_demoted(struct sc_fold *fold, const struct sc_fold_input *in)
{
	return sc_fold_set_live(fold, in, false);
}

/* --- the agent --- */

void sc_fold_set_text(char *out, size_t size, const struct sc_fold_input *in, const char *key)
{
	const char *text = json_string_value(json_object_get(in->body, key));

	sc_strcopy(out, size, text ? text : "");
}

void sc_fold_set_switch(struct sc_fold_switch *s, const struct sc_fold_input *in)
{
	s->is_on = true;
	sc_fold_set_text(s->reason, sizeof(s->reason), in, "reason");
	sc_fold_set_text(s->operator_name, sizeof(s->operator_name), in, "operator");
	sc_strcopy(s->since, sizeof(s->since), in->since ? in->since : "");
	if (json_object_get(in->body, "since"))
		sc_fold_set_text(s->since, sizeof(s->since), in, "since");
}

static int fold_disarm(struct sc_fold *fold, const struct sc_fold_input *in)
{
	sc_fold_set_switch(&fold->disarmed, in);
	return 0;
}

static int fold_arm(struct sc_fold *fold, const struct sc_fold_input *in)
{
	(void)in;
	fold->disarmed = (struct sc_fold_switch){0};
	return 0;
}

static int fold_drain(struct sc_fold *fold, const struct sc_fold_input *in)
{
	const char *action = json_string_value(json_object_get(in->body, "action"));

	if (!action)
		return -EBADMSG;
	if (strcmp(action, "cancel") != 0)
		sc_fold_set_switch(&fold->draining, in);
	else
		fold->draining = (struct sc_fold_switch){0};
	return 0;
}

static int fold_config(struct sc_fold *fold, const struct sc_fold_input *in)
{
	sc_fold_set_text(fold->config_digest, sizeof(fold->config_digest), in, "digest");
	return 0;
}

static int fold_started(struct sc_fold *fold, const struct sc_fold_input *in)
{
	(void)in;
	fold->starts++;
	fold->stopped_cleanly = false;
	return 0;
}

static int fold_stopped(struct sc_fold *fold, const struct sc_fold_input *in)
{
	(void)in;
	fold->stopped_cleanly = true;
	return 0;
}

void sc_fold_apply(struct sc_fold *fold, enum sc_record_kind kind, const char *body, size_t n,
		   const char *since)
{
	struct sc_fold_input in = {.text = body, .n = n, .since = since};
	json_t *root;

	if ((unsigned int)kind >= SC_RECORD_KIND_COUNT || !folders[kind])
		return;
	root = json_loadb(body, n, JSON_REJECT_DUPLICATES, NULL);
	in.body = root;
	if (!json_is_object(root) || folders[kind](fold, &in) < 0)
		fold->refused++;
	json_decref(root);
}

int sc_fold_record(void *fold, const struct sc_record *record)
{
	sc_fold_apply(fold, record->kind, record->body, record->body_len, record->time);
	return 0;
}

/* Every kind that carries state; the others are there to be read by people. */
static sc_fold_fn *const folders[SC_RECORD_KIND_COUNT] = {
	[SC_RECORD_SNAPSHOT] = sc_fold_part,
	[SC_RECORD_AGENT_STARTED] = fold_started,
	[SC_RECORD_AGENT_STOPPED] = fold_stopped,
	[SC_RECORD_CONFIG_LOADED] = fold_config,
	[SC_RECORD_CONDITION_REGISTERED] = sc_fold_registered,
	[SC_RECORD_CONDITION_DELETED] = fold_deleted,
	[SC_RECORD_CONDITION_PROMOTED] = fold_promoted,
	[SC_RECORD_CONDITION_DEMOTED] = fold_demoted,
	[SC_RECORD_FIRE_INTENT] = sc_fold_fire_body,
	[SC_RECORD_FIRE_VETOED] = sc_fold_fire_body,
	[SC_RECORD_FIRE_PENDING] = sc_fold_fire_body,
	[SC_RECORD_FIRE_APPROVED] = sc_fold_fire_body,
	[SC_RECORD_FIRE_REJECTED] = sc_fold_fire_body,
	[SC_RECORD_FIRE_TIMED_OUT] = sc_fold_fire_body,
	[SC_RECORD_FIRE_DRY_RUN] = sc_fold_fire_body,
	[SC_RECORD_FIRE_DISPATCHED] = sc_fold_fire_body,
	[SC_RECORD_FIRE_VERIFIED] = sc_fold_fire_body,
	[SC_RECORD_FIRE_FAILED] = sc_fold_fire_body,
	[SC_RECORD_FIRE_REKILLED] = sc_fold_fire_body,
	[SC_RECORD_FIRE_RELEASED] = sc_fold_fire_body,
	[SC_RECORD_BREAKER_TRANSITION] = sc_fold_transition,
	[SC_RECORD_DRAIN] = fold_drain,
	[SC_RECORD_DISARM] = fold_disarm,
	[SC_RECORD_ARM] = fold_arm,
	[SC_RECORD_NOTIFY_SINK] = sc_fold_notify_sink,
	[SC_RECORD_NOTIFY_OUTCOME] = sc_fold_notify_outcome,
};
