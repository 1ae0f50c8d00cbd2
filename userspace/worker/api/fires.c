/* SPDX-License-Identifier: Apache-2.0 */
/* Fires: made, listed, shown, released. */
#include "worker/api/api.h"

#include "worker/api/gate.h"

#include <scram/fire.h>

#include <sodium.h>
#include <string.h>

/* --- reading --- */

static bool add_fires(const json_t *reply, bool is_full, struct sc_str *out)
{
	const json_t *fires = json_object_get(reply, "fires");
	_cleanup_free_ char *text = NULL;
	json_t *fire;
	size_t i;

	if (sc_reply_exit(reply) != SC_EXIT_DONE)
		return false;
	json_array_foreach (fires, i, fire)
		if (!is_full)
			json_object_del(fire, "state_snapshot");
	text = json_dumps(fires, JSON_COMPACT);
	if (text)
		sc_str_add(out, text);
	return text != NULL;
}

bool sc_view_fires(struct sc_api *api, json_t *const *replies, struct sc_str *out)
{
	(void)api;
	return add_fires(replies[0], false, out);
}

bool sc_view_fires_full(struct sc_api *api, json_t *const *replies, struct sc_str *out)
{
	(void)api;
	return add_fires(replies[0], true, out);
}

static void list(struct sc_api *api, void *owner, json_t *reply, int *fd)
{
	struct sc_call *call = owner;
	_cleanup_str_ struct sc_str body;

	(void)api;
	(void)fd;
	sc_str_init_heap(&body);
	if (add_fires(reply, call->is_trusted, &body))
		sc_call_answer(call, 200, "application/json", &body);
	else
		sc_call_fail(call, 503, "%s", sc_reply_error(reply));
}

void sc_route_fires(struct sc_call *call)
{
	long limit = SC_FIRES_LIMIT_DEFAULT;

	if (!sc_call_number(call, "limit", 1, SC_FIRES_LIMIT_MAX, &limit))
		return;
	if (limit == SC_FIRES_LIMIT_DEFAULT)
		sc_call_view(call, call->is_trusted ? SC_VIEW_FIRES_FULL : SC_VIEW_FIRES);
	else
		sc_call_ask(call,
			    json_pack("{s:s, s:I}", "op", "fires", "limit", (json_int_t)limit),
			    list);
}

static void show(struct sc_api *api, void *owner, json_t *reply, int *fd)
{
	struct sc_call *call = owner;
	json_t *fire = json_object_get(reply, "fire");

	(void)api;
	(void)fd;
	if (sc_reply_exit(reply) != SC_EXIT_DONE) {
		sc_call_fail(call, 404, "%s", sc_reply_error(reply));
		return;
	}
	if (!call->is_trusted)
		json_object_del(fire, "state_snapshot");
	json_object_set(fire, "left", json_object_get(reply, "left"));
	sc_call_answer_json(call, 200, fire);
}

void sc_route_show(struct sc_call *call)
{
	json_t *request = json_pack("{s:s, s:s}", "op", "show", "fire", call->param);

	if (!request)
		sc_call_fail(call, 404, "no such fire");
	else
		sc_call_ask(call, request, show);
}

/* --- firing --- */

/* Without a fire to tell of, the reply is a refusal of the request. */
static void refuse(struct sc_call *call, const json_t *reply)
{
	const char *error = sc_reply_error(reply);

	if (strncmp(error, "no such condition", 17) == 0)
		sc_call_fail(call, 404, "%s", error);
	else if (strncmp(error, "the journal ", 12) == 0)
		sc_call_fail(call, 503, "%s", error);
	else
		sc_call_fail(call, 422, "%s", error);
}

static void fired(struct sc_api *api, void *owner, json_t *reply, int *fd)
{
	static const char *const same[] = {"fire_id", "dispatched", "dispatch_descriptor",
					   "outcome", "target",     "veto"};
	struct sc_call *call = owner;
	int exit = sc_reply_exit(reply);
	bool is_error = exit == SC_EXIT_FAILED || exit == SC_EXIT_UNCONFIRMED;
	json_t *body;

	(void)fd;
	sc_views_drop(api);
	if (!json_object_get(reply, "fire_id")) {
		refuse(call, reply);
		return;
	}
	if (json_is_true(json_object_get(reply, "repeated")))
		api->counters.idempotent_hits++;
	body = json_object();
	json_object_set(body, "condition_id", json_object_get(call->args, "condition_id"));
	for (size_t i = 0; i < SC_ARRAY_SIZE(same); i++)
		json_object_set(body, same[i], json_object_get(reply, same[i]));
	json_object_set_new(body, "error",
			    is_error ? json_string(sc_reply_error(reply)) : json_null());
	sc_call_answer_json(call, 200, body);
	json_decref(body);
}

static bool is_flag(struct sc_call *call, const char *name)
{
	const json_t *value = json_object_get(call->args, name);

	if (!value || json_is_boolean(value))
		return true;
	sc_call_fail(call, 422, "%s must be true or false", name);
	return false;
}

static bool is_snapshot(struct sc_call *call)
{
	const json_t *value = json_object_get(call->args, "state_snapshot");

	if (!value || json_is_null(value) || json_is_object(value))
		return true;
	sc_call_fail(call, 422, "state_snapshot must be an object");
	return false;
}

/* --- what a record has no room for: no fire is refused for its prose, it says what is cut --- */

/* As many whole characters as fit into size - 1 bytes with the note behind them. */
static void fit_reason(json_t *request)
{
	const json_t *reason = json_object_get(request, "reason");
	const char *text = json_string_value(reason);
	size_t whole = json_string_length(reason), n;
	char fits[SC_FIRE_REASON_MAX], note[48];

	if (whole < sizeof(fits))
		return;
	snprintf(note, sizeof(note), "... (cut, it had %zu bytes)", whole);
	n = sizeof(fits) - 1 - strlen(note);
	while (n && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	snprintf(fits, sizeof(fits), "%.*s%s", (int)n, text, note);
	json_object_set_new(request, "reason", json_string(fits));
}

/* In place of one that is too large: what it was, so that the sender's copy can be told by it. */
static void fit_snapshot(json_t *request)
{
	const json_t *value = json_object_get(request, "state_snapshot");
	_cleanup_free_ char *text = NULL;
	unsigned char hash[crypto_hash_sha256_BYTES];
	char hex[2 * sizeof(hash) + 1];
	size_t n;

	text = json_is_object(value) ? json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	n = text ? strlen(text) : 0;
	if (n < SC_FIRE_EVIDENCE_MAX)
		return;
	crypto_hash_sha256(hash, (const unsigned char *)text, n);
	sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
	json_object_set_new(request, "state_snapshot",
			    json_pack("{s:s, s:I, s:s}", "omitted", "too large for the record",
				      "bytes", (json_int_t)n, "sha256", hex));
}

static bool is_fire(struct sc_call *call)
{
	static const char *const names[] = {"condition_id", "reason", "operator", "state_snapshot",
					    "target",       "force",  NULL};

	return sc_call_parse(call) && sc_call_knows(call, names) &&
	       sc_call_needs(call, "condition_id", SC_FIRE_CONDITION_MAX - 1) &&
	       sc_call_needs(call, "reason", SC_GATE_BODY_MAX) &&
	       sc_call_needs(call, "operator", SC_FIRE_OPERATOR_MAX - 1) && is_snapshot(call) &&
	       is_flag(call, "force") &&
	       (!json_object_get(call->args, "target") ||
		json_is_null(json_object_get(call->args, "target")) ||
		sc_call_needs(call, "target", SC_FIRE_PATH_MAX - 1));
}

void sc_route_fire(struct sc_call *call)
{
	json_t *request;

	if (!is_fire(call))
		return;
	request = json_copy(call->args);
	json_object_set_new(request, "op", json_string("fire"));
	json_object_set(request, "id", json_object_get(call->args, "condition_id"));
	json_object_del(request, "condition_id");
	fit_reason(request);
	fit_snapshot(request);
	if (sc_idempotency_add(call, request))
		sc_call_ask(call, request, fired);
	else
		json_decref(request);
}

/* --- releasing --- */

static void released(struct sc_api *api, void *owner, json_t *reply, int *fd)
{
	struct sc_call *call = owner;
	const char *error = sc_reply_error(reply);
	json_t *body;

	(void)fd;
	sc_views_drop(api);
	if (sc_reply_exit(reply) != SC_EXIT_DONE) {
		sc_call_fail(call, strncmp(error, "no such fire", 12) == 0 ? 404 : 409, "%s",
			     error);
		return;
	}
	body = json_pack("{s:s, s:O*, s:O*}", "id", call->param, "released",
			 json_object_get(reply, "released"), "note",
			 json_object_get(reply, "note"));
	sc_call_answer_json(call, 200, body);
	json_decref(body);
}

/* A fire's own id alone: a path or the name of a group would release more than one. */
void sc_route_release(struct sc_call *call)
{
	static const char *const names[] = {"reason", "operator", NULL};
	json_t *request;

	if (call->body_size && (!sc_call_parse(call) || !sc_call_knows(call, names) ||
				!sc_call_needs(call, "operator", SC_FIRE_OPERATOR_MAX - 1)))
		return;
	request = strlen(call->param) == SC_FIRE_ID_MAX - 1
			  ? json_pack("{s:s, s:s, s:O*, s:O*}", "op", "release", "what",
				      call->param, "operator",
				      json_object_get(call->args, "operator"), "reason",
				      json_object_get(call->args, "reason"))
			  : NULL;
	if (!request)
		sc_call_fail(call, 404, "no such fire");
	else
		sc_call_ask(call, request, released);
}
