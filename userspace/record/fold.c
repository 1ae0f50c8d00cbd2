/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fires live in a pool; `order` holds their places from the oldest to the newest. A body is parsed
 * only in a replay and for the rare records that people cause; the loop hands its fires over as
 * they are.
 */
#include "record/fold.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

struct sc_fold {
	struct sc_fire *fires;
	uint64_t keys[SC_FOLD_FIRES_MAX]; /* the first bytes of the ids, to look in one place */
	uint16_t order[SC_FOLD_FIRES_MAX];
	unsigned int fire_count;

	struct sc_fold_condition *conditions;
	unsigned int condition_count;

	struct sc_fold_switch disarmed;
	struct sc_fold_switch draining;
	char config_digest[SC_HASH_TEXT_MAX];
	uint64_t starts;
	bool stopped_cleanly;
	uint64_t refused;
	struct sc_fire scratch;
};

/* A record's body, parsed and as text. */
struct input {
	const json_t *body;
	const char *text;
	size_t n;
	const char *since; /* time of the record */
};

typedef int fold_fn(struct sc_fold *fold, const struct input *in);
static fold_fn *const folders[SC_RECORD_KIND_COUNT];

int sc_fold_new(struct sc_fold **out)
{
	_cleanup_(sc_fold_free) struct sc_fold *fold = calloc(1, sizeof(*fold));

	if (!fold)
		return -ENOMEM;
	fold->fires = calloc(SC_FOLD_FIRES_MAX, sizeof(*fold->fires));
	fold->conditions = calloc(SC_FOLD_CONDITIONS_MAX, sizeof(*fold->conditions));
	if (!fold->fires || !fold->conditions)
		return -ENOMEM;
	*out = SC_TAKE_PTR(fold);
	return 0;
}

void sc_fold_free(struct sc_fold **fold)
{
	if (!*fold)
		return;
	free((*fold)->fires);
	free((*fold)->conditions);
	free(*fold);
	*fold = NULL;
}

/* --- fires --- */

static uint64_t key_of(const char *id)
{
	char bytes[sizeof(uint64_t)] = {0};
	uint64_t key;

	memcpy(bytes, id, strnlen(id, sizeof(bytes)));
	memcpy(&key, bytes, sizeof(key));
	return key;
}

static struct sc_fire *fire_by_id(const struct sc_fold *fold, const char *id)
{
	uint64_t key = key_of(id);

	/* From the newest: that is most often the one asked for. */
	for (unsigned int i = fold->fire_count; i-- > 0;) {
		unsigned int place = fold->order[i];

		if (fold->keys[place] == key && !strcmp(fold->fires[place].id, id))
			return &fold->fires[place];
	}
	return NULL;
}

/* Nothing depends on it any more. */
static bool is_over(const struct sc_fire *fire)
{
	return sc_fire_is_closed(fire->state) && !sc_fire_is_standing(fire);
}

/* Gives up the oldest fire that is over; returns its place, or -ENOSPC. */
static int evict(struct sc_fold *fold)
{
	for (unsigned int i = 0; i < fold->fire_count; i++) {
		unsigned int place = fold->order[i];

		if (!is_over(&fold->fires[place]))
			continue;
		memmove(&fold->order[i], &fold->order[i + 1],
			(fold->fire_count - i - 1) * sizeof(fold->order[0]));
		fold->fire_count--;
		return (int)place;
	}
	return -ENOSPC;
}

static struct sc_fire *fire_add(struct sc_fold *fold, const char *id)
{
	int place = (int)fold->fire_count;

	if (fold->fire_count >= SC_FOLD_FIRES_RECENT) {
		int given_up = evict(fold);

		if (given_up >= 0)
			place = given_up;
		else if (fold->fire_count == SC_FOLD_FIRES_MAX)
			return NULL;
	}
	fold->order[fold->fire_count++] = (uint16_t)place;
	fold->keys[place] = key_of(id);
	return &fold->fires[place];
}

void sc_fold_fire(struct sc_fold *fold, const struct sc_fire *fire)
{
	struct sc_fire *known = fire_by_id(fold, fire->id);

	if (!known)
		known = fire_add(fold, fire->id);
	if (known)
		*known = *fire;
	else
		fold->refused++;
}

static int fold_fire(struct sc_fold *fold, const struct input *in)
{
	struct sc_fire *fire = &fold->scratch;
	const char *id = json_string_value(json_object_get(in->body, "id"));
	const struct sc_fire *known = id ? fire_by_id(fold, id) : NULL;
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

/* --- conditions --- */

static struct sc_fold_condition *condition_by_id(const struct sc_fold *fold, const char *id)
{
	for (unsigned int i = 0; i < fold->condition_count; i++)
		if (!strcmp(fold->conditions[i].id, id))
			return &fold->conditions[i];
	return NULL;
}

/* The condition that the body's `id` names, made when it is new. NULL: no id, or no room. */
static struct sc_fold_condition *condition_of(struct sc_fold *fold, const struct input *in)
{
	const char *id = json_string_value(json_object_get(in->body, "id"));
	struct sc_fold_condition *c = id ? condition_by_id(fold, id) : NULL;

	if (!id || !*id || strlen(id) >= sizeof(c->id))
		return NULL;
	if (c || fold->condition_count == SC_FOLD_CONDITIONS_MAX)
		return c;
	c = &fold->conditions[fold->condition_count++];
	memset(c, 0, sizeof(*c));
	sc_strcopy(c->id, sizeof(c->id), id);
	return c;
}

static int fold_registered(struct sc_fold *fold, const struct input *in)
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

static int fold_deleted(struct sc_fold *fold, const struct input *in)
{
	const char *id = json_string_value(json_object_get(in->body, "id"));
	struct sc_fold_condition *c = id ? condition_by_id(fold, id) : NULL;

	if (!id)
		return -EBADMSG;
	if (!c)
		return 0;
	fold->condition_count--;
	memmove(c, c + 1, (size_t)(fold->conditions + fold->condition_count - c) * sizeof(*c));
	return 0;
}

static int set_live(struct sc_fold *fold, const struct input *in, bool live)
{
	struct sc_fold_condition *c = condition_of(fold, in);

	if (!c)
		return -EBADMSG;
	c->has_live = true;
	c->live = live;
	c->file_live = json_is_true(json_object_get(in->body, "file_live"));
	return 0;
}

static int fold_promoted(struct sc_fold *fold, const struct input *in)
{
	return set_live(fold, in, true);
}

static int fold_demoted(struct sc_fold *fold, const struct input *in)
{
	return set_live(fold, in, false);
}

/* --- the agent --- */

static void set_text(char *out, size_t size, const struct input *in, const char *key)
{
	const char *text = json_string_value(json_object_get(in->body, key));

	sc_strcopy(out, size, text ? text : "");
}

static void set_switch(struct sc_fold_switch *s, const struct input *in)
{
	s->is_on = true;
	set_text(s->reason, sizeof(s->reason), in, "reason");
	set_text(s->operator_name, sizeof(s->operator_name), in, "operator");
	sc_strcopy(s->since, sizeof(s->since), in->since ? in->since : "");
	if (json_object_get(in->body, "since"))
		set_text(s->since, sizeof(s->since), in, "since");
}

static int fold_disarm(struct sc_fold *fold, const struct input *in)
{
	set_switch(&fold->disarmed, in);
	return 0;
}

static int fold_arm(struct sc_fold *fold, const struct input *in)
{
	(void)in;
	fold->disarmed = (struct sc_fold_switch){0};
	return 0;
}

static int fold_drain(struct sc_fold *fold, const struct input *in)
{
	const char *action = json_string_value(json_object_get(in->body, "action"));

	if (!action)
		return -EBADMSG;
	if (strcmp(action, "cancel") != 0)
		set_switch(&fold->draining, in);
	else
		fold->draining = (struct sc_fold_switch){0};
	return 0;
}

static int fold_config(struct sc_fold *fold, const struct input *in)
{
	set_text(fold->config_digest, sizeof(fold->config_digest), in, "digest");
	return 0;
}

static int fold_started(struct sc_fold *fold, const struct input *in)
{
	(void)in;
	fold->starts++;
	fold->stopped_cleanly = false;
	return 0;
}

static int fold_stopped(struct sc_fold *fold, const struct input *in)
{
	(void)in;
	fold->stopped_cleanly = true;
	return 0;
}

/* --- the snapshot --- */

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

static int fold_agent(struct sc_fold *fold, const struct input *in)
{
	struct input part = {.body = json_object_get(in->body, "disarmed")};

	fold->starts = (uint64_t)json_integer_value(json_object_get(in->body, "starts"));
	fold->stopped_cleanly = json_is_true(json_object_get(in->body, "stopped_cleanly"));
	set_text(fold->config_digest, sizeof(fold->config_digest), in, "digest");
	fold->disarmed = fold->draining = (struct sc_fold_switch){0};
	if (part.body)
		set_switch(&fold->disarmed, &part);
	part.body = json_object_get(in->body, "draining");
	if (part.body)
		set_switch(&fold->draining, &part);
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

		if (!is_over(fire) && n-- == 0)
			return fire;
	}
	return NULL;
}

static bool write_item(const struct sc_fold *fold, unsigned int part, struct sc_str *out,
		       enum sc_fire_detail detail)
{
	const struct sc_fire *fire = NULL;
	struct sc_json j;

	if (part > fold->condition_count) {
		fire = nth_open_fire(fold, part - 1 - fold->condition_count);
		if (!fire)
			return false;
	}
	sc_json_init(&j, out);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "of", fire ? "fire" : part ? "condition" : "agent");
	if (part > 0 && !fire) {
		write_condition(&j, &fold->conditions[part - 1]);
	} else {
		sc_json_key(&j, "body");
		if (fire)
			sc_fire_json(&j, fire, detail);
		else
			write_agent(&j, fold);
	}
	sc_json_object_end(&j);
	return true;
}

/* Part 0 is the agent, then come the conditions, then the fires that are not over. */
bool sc_fold_snapshot(void *arg, unsigned int part, struct sc_str *body)
{
	const struct sc_fold *fold = arg;

	if (!write_item(fold, part, body, SC_FIRE_FULL))
		return false;
	/* Room for what the journal puts around it. */
	if (body->truncated || body->len > SC_RECORD_BODY_MAX - 64) {
		sc_str_reset(body);
		write_item(fold, part, body, SC_FIRE_NO_EVIDENCE);
	}
	return true;
}

static int fold_condition_part(struct sc_fold *fold, const json_t *item, const struct input *body)
{
	const json_t *live = json_object_get(item, "live");
	struct input in = {.body = item};
	int r = 0;

	if (json_object_size(body->body) > 0)
		r = fold_registered(fold, body);
	if (r == 0 && live)
		r = set_live(fold, &in, json_is_true(live));
	return r;
}

/* The item's body as it was written: it is the last member of the last member. */
static int part_body(const struct input *in, const json_t *item, struct input *out)
{
	static const char key[] = "\"body\":";
	const char *at = memmem(in->text, in->n, key, sizeof(key) - 1);

	*out = (struct input){.body = json_object_get(item, "body")};
	if (!at || !json_is_object(out->body) || memcmp(in->text + in->n - 2, "}}", 2) != 0)
		return -EBADMSG;
	out->text = at + sizeof(key) - 1;
	out->n = (size_t)(in->text + in->n - 2 - out->text);
	return 0;
}

static int fold_part(struct sc_fold *fold, const struct input *in)
{
	const json_t *item = json_object_get(in->body, "item");
	const char *of = json_string_value(json_object_get(item, "of"));
	struct input body;
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
	return !strcmp(of, "fire") ? fold_fire(fold, &body) : -EBADMSG;
}

void sc_fold_apply(struct sc_fold *fold, enum sc_record_kind kind, const char *body, size_t n,
		   const char *since)
{
	struct input in = {.text = body, .n = n, .since = since};
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

/* --- reading --- */

unsigned int sc_fold_fire_count(const struct sc_fold *fold)
{
	return fold->fire_count;
}

const struct sc_fire *sc_fold_fire_at(const struct sc_fold *fold, unsigned int i)
{
	if (i >= fold->fire_count)
		return NULL;
	return &fold->fires[fold->order[fold->fire_count - 1 - i]];
}

const struct sc_fire *sc_fold_fire_find(const struct sc_fold *fold, const char *prefix,
					bool *ambiguous)
{
	const struct sc_fire *found = NULL;
	size_t n = strlen(prefix);

	*ambiguous = false;
	if (n < 4)
		return NULL;
	for (unsigned int i = 0; i < fold->fire_count; i++) {
		const struct sc_fire *fire = &fold->fires[fold->order[i]];

		if (strncmp(fire->id, prefix, n) != 0)
			continue;
		if (found) {
			*ambiguous = true;
			return NULL;
		}
		found = fire;
	}
	return found;
}

unsigned int sc_fold_condition_count(const struct sc_fold *fold)
{
	return fold->condition_count;
}

const struct sc_fold_condition *sc_fold_condition_at(const struct sc_fold *fold, unsigned int i)
{
	return i < fold->condition_count ? &fold->conditions[i] : NULL;
}

const struct sc_fold_condition *sc_fold_condition_find(const struct sc_fold *fold, const char *id)
{
	return condition_by_id(fold, id);
}

const struct sc_fold_switch *sc_fold_disarmed(const struct sc_fold *fold)
{
	return &fold->disarmed;
}

const struct sc_fold_switch *sc_fold_draining(const struct sc_fold *fold)
{
	return &fold->draining;
}

const char *sc_fold_config_digest(const struct sc_fold *fold)
{
	return fold->config_digest;
}

uint64_t sc_fold_starts(const struct sc_fold *fold)
{
	return fold->starts;
}

bool sc_fold_stopped_cleanly(const struct sc_fold *fold)
{
	return fold->stopped_cleanly;
}

uint64_t sc_fold_refused(const struct sc_fold *fold)
{
	return fold->refused;
}

/* Every kind that carries state; the others are there to be read by people. */
static fold_fn *const folders[SC_RECORD_KIND_COUNT] = {
	[SC_RECORD_SNAPSHOT] = fold_part,
	[SC_RECORD_AGENT_STARTED] = fold_started,
	[SC_RECORD_AGENT_STOPPED] = fold_stopped,
	[SC_RECORD_CONFIG_LOADED] = fold_config,
	[SC_RECORD_CONDITION_REGISTERED] = fold_registered,
	[SC_RECORD_CONDITION_DELETED] = fold_deleted,
	[SC_RECORD_CONDITION_PROMOTED] = fold_promoted,
	[SC_RECORD_CONDITION_DEMOTED] = fold_demoted,
	[SC_RECORD_FIRE_INTENT] = fold_fire,
	[SC_RECORD_FIRE_VETOED] = fold_fire,
	[SC_RECORD_FIRE_PENDING] = fold_fire,
	[SC_RECORD_FIRE_APPROVED] = fold_fire,
	[SC_RECORD_FIRE_REJECTED] = fold_fire,
	[SC_RECORD_FIRE_TIMED_OUT] = fold_fire,
	[SC_RECORD_FIRE_DRY_RUN] = fold_fire,
	[SC_RECORD_FIRE_DISPATCHED] = fold_fire,
	[SC_RECORD_FIRE_VERIFIED] = fold_fire,
	[SC_RECORD_FIRE_FAILED] = fold_fire,
	[SC_RECORD_FIRE_REKILLED] = fold_fire,
	[SC_RECORD_FIRE_RELEASED] = fold_fire,
	[SC_RECORD_DRAIN] = fold_drain,
	[SC_RECORD_DISARM] = fold_disarm,
	[SC_RECORD_ARM] = fold_arm,
};
