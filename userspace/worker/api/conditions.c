/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of conditions. */
#include "worker/api/api.h"

#include <string.h>

static bool add_json(struct sc_str *out, const json_t *value)
{
	_cleanup_free_ char *text = json_dumps(value, JSON_COMPACT);

	if (text)
		sc_str_add(out, text);
	return text != NULL;
}

bool sc_view_conditions(struct sc_api *api, json_t *const *replies, struct sc_str *out)
{
	(void)api;
	return sc_reply_exit(replies[0]) == SC_EXIT_DONE &&
	       add_json(out, json_object_get(replies[0], "conditions"));
}

void sc_route_conditions(struct sc_call *call)
{
	sc_call_view(call, SC_VIEW_CONDITIONS);
}

/* The core says why it changed nothing; a condition of a file is the file's. */
static void fail(struct sc_call *call, const json_t *reply)
{
	const char *error = sc_reply_error(reply);

	if (strncmp(error, "condition 1: ", 13) == 0)
		error += 13;
	if (strncmp(error, "no such condition", 17) == 0)
		sc_call_fail(call, 404, "%s", error);
	else if (strstr(error, " is defined by "))
		sc_call_fail(call, 409, "%s", error);
	else if (strncmp(error, "the journal ", 12) == 0)
		sc_call_fail(call, 503, "%s", error);
	else
		sc_call_fail(call, 422, "%s", error);
}

static json_t *find(const json_t *list, const char *id)
{
	json_t *condition;
	size_t i;

	json_array_foreach (list, i, condition) {
		const char *its = json_string_value(json_object_get(condition, "id"));

		if (its && strcmp(its, id) == 0)
			return condition;
	}
	return NULL;
}

static void show_registered(struct sc_api *api, void *owner, json_t *reply, int *fd)
{
	struct sc_call *call = owner;
	const char *id = json_string_value(json_object_get(call->args, "id"));
	const json_t *view = find(json_object_get(reply, "conditions"), id);

	(void)api;
	(void)fd;
	if (view)
		sc_call_answer_json(call, 201, view);
	else
		sc_call_fail(call, 503, "%s is registered, but cannot be shown now", id);
}

/* After a change: what was kept is old, and the answer is made from what op tells now. */
static void changed(struct sc_api *api, struct sc_call *call, json_t *reply, const char *op,
		    sc_ask_fn *show)
{
	sc_views_drop(api);
	if (sc_reply_exit(reply) != SC_EXIT_DONE)
		fail(call, reply);
	else
		sc_call_ask(call, json_pack("{s:s}", "op", op), show);
}

static void registered(struct sc_api *api, void *owner, json_t *reply, int *fd)
{
	(void)fd;
	changed(api, owner, reply, "list", show_registered);
}

void sc_route_register(struct sc_call *call)
{
	if (!sc_call_parse(call) || !sc_call_needs(call, "id", 128))
		return;
	sc_call_ask(call, json_pack("{s:s, s:[O]}", "op", "register", "conditions", call->args),
		    registered);
}

/* Whoever ships to the store takes the condition out there too, when the record comes to it: told
 * only while the store can be reached. */
static bool has_store(const json_t *status)
{
	return json_is_true(json_object_get(json_object_get(status, "store"), "connected"));
}

static void show_unregistered(struct sc_api *api, void *owner, json_t *reply, int *fd)
{
	struct sc_call *call = owner;
	json_t *body = json_pack("{s:s, s:b, s:b}", "id", call->param, "removed_from_memory", true,
				 "removed_from_db", has_store(reply));

	(void)api;
	(void)fd;
	sc_call_answer_json(call, 200, body);
	json_decref(body);
}

static void unregistered(struct sc_api *api, void *owner, json_t *reply, int *fd)
{
	(void)fd;
	changed(api, owner, reply, "status", show_unregistered);
}

void sc_route_unregister(struct sc_call *call)
{
	json_t *request = json_pack("{s:s, s:s}", "op", "unregister", "id", call->param);

	/* Not UTF-8: nothing can be called so. */
	if (!request)
		sc_call_fail(call, 404, "no such condition");
	else
		sc_call_ask(call, request, unregistered);
}
