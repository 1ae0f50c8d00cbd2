/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/probe/notify_event.h"

#include "base/json.h"
#include "base/mem.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

/* Shape of the JSON: a receiver can refuse what it does not know. */
#define FORMAT 1

/* What is told of a fire, in this order; the evidence is asked of the agent. */
static const char *const fire_members[] = {
	"id",
	"condition_id",
	"fired_at",
	"fired_by",
	"principal",
	"reason",
	"state",
	"action",
	"target",
	"cgroup_id",
	"group",
	"mode",
	"dry_run",
	"forced",
	"dispatched",
	"outcome",
	"dispatch_result",
	"error",
	"veto",
	"killed",
	"remaining",
	"supersedes",
	"rung",
	"two_person_status",
	"second_operator",
	"released_at",
	"released_by",
};

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* --- the fields --- */

static void take_field(char *out, size_t size, const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);
	struct sc_str s;

	sc_str_init(&s, out, size);
	if (json_is_string(v))
		sc_str_add_printable(&s, json_string_value(v), json_string_length(v));
}

static bool is_fire(enum sc_record_kind kind)
{
	return kind >= SC_RECORD_FIRE_INTENT && kind <= SC_RECORD_FIRE_RELEASED;
}

#define TAKE(field, key) take_field(f->field, sizeof(f->field), body, key)

static void take_fields(struct sc_notification *n, const json_t *body, enum sc_record_kind kind)
{
	struct sc_notify_fields *f = &n->fields;
	const char *id = is_fire(kind) ? "condition_id" : "id";

	if (is_fire(kind))
		TAKE(fire, "id");
	sc_strcopy(n->condition_id, sizeof(n->condition_id), text_of(body, id));
	take_field(f->condition, sizeof(f->condition), body, id);
	TAKE(target, "target");
	/* What is cut has a name of its own: tenant acme. */
	if (*text_of(body, "group"))
		TAKE(target, "group");
	TAKE(component, "component");
	TAKE(action, "action");
	TAKE(outcome, "outcome");
	TAKE(state, is_fire(kind) ? "state" : "to");
	TAKE(by, is_fire(kind) ? "fired_by" : "operator");
	if (!*f->by)
		TAKE(by, "by");
	TAKE(principal, "principal");
	TAKE(reason, "reason");
	if (!*f->reason)
		TAKE(reason, "text"); /* of a fact */
	f->is_dry_run = json_is_true(json_object_get(body, "dry_run"));
}

/* --- the line --- */

static void add_subject(struct sc_str *out, const struct sc_notification *n)
{
	static const char target[] = "@SCRAM_TARGET@", component[] = "@SCRAM_COMPONENT@";
	const char *at = n->message->subject;

	while (*at) {
		size_t plain = strcspn(at, "@");

		sc_str_addn(out, at, plain);
		at += plain;
		if (!strncmp(at, target, sizeof(target) - 1)) {
			sc_str_add(out, *n->fields.target ? n->fields.target : "the host");
			at += sizeof(target) - 1;
		} else if (!strncmp(at, component, sizeof(component) - 1)) {
			sc_str_add(out, n->fields.component);
			at += sizeof(component) - 1;
		} else if (*at) {
			sc_str_addn(out, at++, 1);
		}
	}
}

static void add_detail(struct sc_str *out, const char **between, const char *text)
{
	if (!*text)
		return;
	sc_str_addf(out, "%s%s", *between, text);
	*between = ", ";
}

static void write_text(struct sc_notification *n, const struct sc_notify_origin *origin,
		       const json_t *body)
{
	const struct sc_notify_fields *f = &n->fields;
	const char *between = ": ";
	char veto[160], error[1100];
	struct sc_str out;

	take_field(veto, sizeof(veto), body, "veto");
	take_field(error, sizeof(error), body, "error");
	sc_str_init(&out, n->text, sizeof(n->text));
	sc_str_addf(&out, "%s: ", origin->hostname);
	add_subject(&out, n);
	add_detail(&out, &between, f->condition);
	add_detail(&out, &between, f->action);
	add_detail(&out, &between, strcmp(f->outcome, "none") != 0 ? f->outcome : "");
	add_detail(&out, &between, veto);
	add_detail(&out, &between, error);
	if (*f->by)
		sc_str_addf(&out, "; by %s", f->by);
	if (*f->reason)
		sc_str_addf(&out, "; %s", f->reason);
}

/* --- the JSON --- */

static void add_member(struct sc_json *j, const char *key, const json_t *v)
{
	if (json_is_string(v))
		sc_json_member_text(j, key, json_string_value(v));
	else if (json_is_integer(v))
		sc_json_member_i64(j, key, json_integer_value(v));
	else if (json_is_boolean(v))
		sc_json_member_bool(j, key, json_is_true(v));
	else if (json_is_real(v))
		sc_json_member_double(j, key, json_real_value(v));
	else
		sc_json_member_text(j, key, NULL);
}

static void add_fire(struct sc_json *j, const json_t *body)
{
	sc_json_object_begin(j);
	for (size_t i = 0; i < SC_ARRAY_SIZE(fire_members); i++)
		add_member(j, fire_members[i], json_object_get(body, fire_members[i]));
	sc_json_object_end(j);
}

/* Of other records what is flat. */
static void add_details(struct sc_json *j, json_t *body)
{
	const char *key;
	json_t *v;

	sc_json_object_begin(j);
	json_object_foreach (body, key, v)
		if (!json_is_object(v) && !json_is_array(v))
			add_member(j, key, v);
	sc_json_object_end(j);
}

static void write_body(const struct sc_notification *n, const struct sc_notify_origin *origin,
		       enum sc_record_kind kind, json_t *body, struct sc_str *out)
{
	struct sc_json j;

	sc_json_init(&j, out);
	sc_json_object_begin(&j);
	sc_json_member_u64(&j, "format", FORMAT);
	sc_json_member_text(&j, "host", origin->host);
	sc_json_member_text(&j, "hostname", origin->hostname);
	sc_json_key(&j, "agent");
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "version", origin->version);
	sc_json_member_text(&j, "commit", origin->commit);
	sc_json_object_end(&j);
	sc_json_member_u64(&j, "seq", n->seq);
	sc_json_member_text(&j, "time", n->time);
	sc_json_member_text(&j, "kind", sc_record_kind_name(kind));
	sc_json_member_text(&j, "message", n->message->name);
	sc_json_member_text(&j, "message_id", n->message->id);
	sc_json_member_i64(&j, "priority", n->message->priority);
	sc_json_member_text(&j, "text", n->text);
	sc_json_member_text(&j, "condition", *n->condition_id ? n->condition_id : NULL);
	sc_json_member_bool(&j, "dry_run", n->fields.is_dry_run);
	sc_json_key(&j, "fire");
	if (is_fire(kind))
		add_fire(&j, body);
	else
		sc_json_null(&j);
	sc_json_key(&j, "details");
	if (is_fire(kind))
		sc_json_null(&j);
	else
		add_details(&j, body);
	sc_json_object_end(&j);
}

/* --- all of it --- */

static int make(const struct sc_notify_origin *origin, const struct sc_record *record, json_t *body,
		struct sc_notification **out)
{
	const char *state = json_string_value(json_object_get(body, "to"));
	const struct sc_message *message = sc_message_of(record->kind, state);
	_cleanup_(sc_notification_unref) struct sc_notification *n = NULL;
	struct sc_str text;

	if (!message)
		return 0;
	n = calloc(1, sizeof(*n));
	if (!n)
		return -ENOMEM;
	n->refs = 1;
	n->message = message;
	n->seq = record->seq;
	sc_strcopy(n->time, sizeof(n->time), record->time);
	take_fields(n, body, record->kind);
	write_text(n, origin, body);
	sc_str_init_heap(&text);
	write_body(n, origin, record->kind, body, &text);
	n->body = text.data;
	n->size = text.len;
	if (text.truncated)
		return -ENOMEM;
	*out = SC_TAKE_PTR(n);
	return 1;
}

int sc_notification_new(const struct sc_notify_origin *origin, const struct sc_record *record,
			struct sc_notification **out)
{
	json_t *body;
	int r;

	/* Most records are not told of: they are not parsed. */
	if (record->kind != SC_RECORD_BREAKER_TRANSITION && !sc_message_of(record->kind, NULL))
		return 0;
	body = json_loadb(record->body, record->body_len, JSON_REJECT_DUPLICATES, NULL);
	r = json_is_object(body) ? make(origin, record, body, out) : -EBADMSG;
	json_decref(body);
	return r;
}

struct sc_notification *sc_notification_ref(struct sc_notification *n)
{
	n->refs++;
	return n;
}

void sc_notification_unref(struct sc_notification **n)
{
	if (*n && --(*n)->refs == 0) {
		free((*n)->body);
		free(*n);
	}
	*n = NULL;
}
