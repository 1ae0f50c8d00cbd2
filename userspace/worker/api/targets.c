/* SPDX-License-Identifier: Apache-2.0 */
/* What is watched, and its numbers. */
#include "worker/api/api.h"

#include <scram/fire.h>

#include <string.h>

static bool add_json(struct sc_str *out, const json_t *value)
{
	_cleanup_free_ char *text = json_dumps(value, JSON_COMPACT);

	if (text)
		sc_str_add(out, text);
	return text != NULL;
}

bool sc_view_signals(struct sc_api *api, json_t *const *replies, struct sc_str *out)
{
	(void)api;
	return sc_reply_exit(replies[0]) == SC_EXIT_DONE &&
	       add_json(out, json_object_get(replies[0], "targets"));
}

bool sc_view_targets(struct sc_api *api, json_t *const *replies, struct sc_str *out)
{
	json_t *target;
	size_t i;

	json_array_foreach (json_object_get(replies[0], "targets"), i, target)
		json_object_del(target, "signals");
	return sc_view_signals(api, replies, out);
}

void sc_route_targets(struct sc_call *call)
{
	sc_call_view(call, SC_VIEW_TARGETS);
}

static void show(struct sc_api *api, void *owner, json_t *reply, int *fd)
{
	struct sc_call *call = owner;

	(void)api;
	(void)fd;
	if (sc_reply_exit(reply) == SC_EXIT_DONE)
		sc_call_answer_json(call, 200, json_object_get(reply, "targets"));
	else
		sc_call_fail(call, 404, "%s", sc_reply_error(reply));
}

void sc_route_signals(struct sc_call *call)
{
	const char *text = sc_call_query(call, "target");
	char target[SC_FIRE_PATH_MAX];
	json_t *request = NULL;

	if (!text) {
		sc_call_view(call, SC_VIEW_SIGNALS);
		return;
	}
	if (sc_unescape(text, strlen(text), target, sizeof(target)))
		request = json_pack("{s:s, s:s}", "op", "signals", "target", target);
	if (!request)
		sc_call_fail(call, 404, "no such cgroup");
	else
		sc_call_ask(call, request, show);
}
