/* SPDX-License-Identifier: Apache-2.0 */
/* The whole state as parts that fit one record each, and back. */
#include "record/fold_internal.h"

#include "base/json.h"

#include <errno.h>
#include <string.h>

static void write_switch(struct sc_json *j, const char *key, const struct sc_fold_switch *s)
{
	if (!s->is_on)
		return;
	sc_json_key(j, key);
	sc_json_object_begin(j);
	sc_json_member_text(j, "reason", s->reason);
	sc_json_member_text(j, "operator", s->operator_name);
	sc_json_member_text(j, "since", s->since);
	sc_json_object_end(j);
}

static void write_agent(struct sc_json *j, const struct sc_fold *fold)
{
	sc_json_object_begin(j);
	sc_json_member_u64(j, "starts", fold->starts);
	sc_json_member_bool(j, "stopped_cleanly", fold->stopped_cleanly);
	sc_json_member_text(j, "digest", fold->config_digest);
	write_switch(j, "disarmed", &fold->disarmed);
	write_switch(j, "draining", &fold->draining);
	sc_json_object_end(j);
}

static int fold_agent(struct sc_fold *fold, const struct sc_fold_input *in)
{
	struct sc_fold_input part = {.body = json_object_get(in->body, "disarmed")};

	fold->starts = (uint64_t)json_integer_value(json_object_get(in->body, "starts"));
	fold->stopped_cleanly = json_is_true(json_object_get(in->body, "stopped_cleanly"));
	sc_fold_set_text(fold->config_digest, sizeof(fold->config_digest), in, "digest");
	fold->disarmed = fold->draining = (struct sc_fold_switch){0};
	if (part.body)
		sc_fold_set_switch(&fold->disarmed, &part);
	part.body = json_object_get(in->body, "draining");
	if (part.body)
		sc_fold_set_switch(&fold->draining, &part);
	return 0;
}

static void write_condition(struct sc_json *j, const struct sc_fold_condition *c)
{
	sc_json_member_text(j, "id", c->id);
	if (c->has_live) {
		sc_json_member_bool(j, "live", c->live);
		sc_json_member_bool(j, "file_live", c->file_live);
	}
	sc_json_key(j, "body");
	sc_json_raw(j, *c->body ? c->body : "{}");
}

static const struct sc_fire *nth_open_fire(const struct sc_fold *fold, unsigned int n)
{
	for (unsigned int i = 0; i < fold->fire_count; i++) {
		const struct sc_fire *fire = &fold->fires[fold->order[i]];

		if (!sc_fold_is_over(fire) && n-- == 0)
			return fire;
	}
	return NULL;
}

static void write_fire_item(struct sc_json *j, const struct sc_fire *fire,
			    enum sc_fire_detail detail)
{
	sc_json_member_text(j, "of", "fire");
	sc_json_key(j, "body");
	sc_fire_json(j, fire, detail);
}

static void write_breaker_item(struct sc_json *j, const struct sc_fold_breaker *b)
{
	char body[SC_FOLD_BODY_MAX];
	struct sc_str text;

	sc_str_init(&text, body, sizeof(body));
	sc_fold_breaker_json(b, &text);
	sc_json_member_text(j, "of", "breaker");
	sc_json_key(j, "body");
	sc_json_raw(j, body);
}

static void write_sink_item(struct sc_json *j, const struct sc_fold_sink *sink)
{
	sc_json_member_text(j, "of", "sink");
	sc_json_key(j, "body");
	sc_json_object_begin(j);
	sc_json_member_text(j, "sink", sink->name);
	sc_json_member_bool(j, "told", true);
	sc_json_member_u64(j, "from", sink->done + 1);
	sc_json_object_end(j);
}

/* Writes the members of an item; false: there is no such part. */
static bool write_part(const struct sc_fold *fold, unsigned int part, struct sc_json *j,
		       enum sc_fire_detail detail)
{
	const struct sc_fire *fire;

	if (part == 0) {
		sc_json_member_text(j, "of", "agent");
		sc_json_key(j, "body");
		write_agent(j, fold);
		return true;
	}
	part--;
	if (part < fold->condition_count) {
		sc_json_member_text(j, "of", "condition");
		write_condition(j, &fold->conditions[part]);
		return true;
	}
	part -= fold->condition_count;
	if (part < fold->breaker_count) {
		write_breaker_item(j, &fold->breakers[part]);
		return true;
	}
	part -= fold->breaker_count;
	if (part < fold->sink_count) {
		write_sink_item(j, &fold->sinks[part]);
		return true;
	}
	fire = nth_open_fire(fold, part - fold->sink_count);
	if (fire)
		write_fire_item(j, fire, detail);
	return fire != NULL;
}

static bool write_item(const struct sc_fold *fold, unsigned int part, struct sc_str *out,
		       enum sc_fire_detail detail)
{
	struct sc_json j;
	bool is_there;

	sc_json_init(&j, out);
	sc_json_object_begin(&j);
	is_there = write_part(fold, part, &j, detail);
	sc_json_object_end(&j);
	return is_there;
}

/* Part 0 is the agent, then come the conditions, the breakers, the sinks, and the fires that are
 * not over. */
bool sc_fold_snapshot(void *arg, unsigned int part, struct sc_str *body)
{
	const struct sc_fold *fold = arg;

	if (!write_item(fold, part, body, SC_FIRE_FULL)) {
		sc_str_reset(body);
		return false;
	}
	/* Room for what the journal puts around it. */
	if (body->truncated || body->len > SC_RECORD_BODY_MAX - 64) {
		sc_str_reset(body);
		write_item(fold, part, body, SC_FIRE_NO_EVIDENCE);
	}
	return true;
}

static int fold_condition_part(struct sc_fold *fold, const json_t *item,
			       const struct sc_fold_input *body)
{
	const json_t *live = json_object_get(item, "live");
	struct sc_fold_input in = {.body = item};
	int r = 0;

	if (json_object_size(body->body) > 0)
		r = sc_fold_registered(fold, body);
	if (r == 0 && live)
		r = sc_fold_set_live(fold, &in, json_is_true(live));
	return r;
}

/* The item's body as it was written: it is the last member of the last member. */
static int part_body(const struct sc_fold_input *in, const json_t *item, struct sc_fold_input *out)
{
	static const char key[] = "\"body\":";
	const char *at = memmem(in->text, in->n, key, sizeof(key) - 1);

	*out = (struct sc_fold_input){.body = json_object_get(item, "body")};
	if (!at || !json_is_object(out->body) || memcmp(in->text + in->n - 2, "}}", 2) != 0)
		return -EBADMSG;
	out->text = at + sizeof(key) - 1;
	out->n = (size_t)(in->text + in->n - 2 - out->text);
	return 0;
}

int sc_fold_part(struct sc_fold *fold, const struct sc_fold_input *in)
{
	const json_t *item = json_object_get(in->body, "item");
	const char *of = json_string_value(json_object_get(item, "of"));
	struct sc_fold_input body;
	int r;

	if (json_is_true(json_object_get(in->body, "last")))
		return 0;
	if (!of)
		return -EBADMSG;
	r = part_body(in, item, &body);
	if (r < 0)
		return r;
	if (!strcmp(of, "agent"))
		return fold_agent(fold, &body);
	if (!strcmp(of, "condition"))
		return fold_condition_part(fold, item, &body);
	if (!strcmp(of, "breaker"))
		return sc_fold_transition(fold, &body);
	if (!strcmp(of, "sink"))
		return sc_fold_notify_sink(fold, &body);
	return !strcmp(of, "fire") ? sc_fold_fire_body(fold, &body) : -EBADMSG;
}
