/* SPDX-License-Identifier: Apache-2.0 */
/* What is watched, and its numbers: all of it, a page, or one target. */
#include "worker/api/api.h"

#include <scram/fire.h>

#include <stdint.h>
#include <string.h>

bool sc_page_signals(const json_t *reply, struct sc_str *out)
{
	json_t *target;
	size_t i;

	json_array_foreach (json_object_get(reply, "targets"), i, target) {
		_cleanup_free_ char *text = json_dumps(target, JSON_COMPACT);

		if (!text)
			return false;
		if (out->len > 1)
			sc_str_add(out, ",");
		sc_str_add(out, text);
	}
	return true;
}

bool sc_page_targets(const json_t *reply, struct sc_str *out)
{
	json_t *target;
	size_t i;

	json_array_foreach (json_object_get(reply, "targets"), i, target)
		json_object_del(target, "signals");
	return sc_page_signals(reply, out);
}

static void show_page(struct sc_call *call, const json_t *reply, sc_view_page_fn *page)
{
	const json_t *next = json_object_get(reply, "next");
	_cleanup_str_ struct sc_str body;

	if (sc_reply_exit(reply) != SC_EXIT_DONE) {
		sc_call_fail(call, 503, "%s", sc_reply_error(reply));
		return;
	}
	if (json_is_integer(next))
		snprintf(call->link, sizeof(call->link), "<%s?limit=%ld&after=%lld>; rel=\"next\"",
			 call->route->path, call->limit, (long long)json_integer_value(next));
	sc_str_init_heap(&body);
	sc_str_add(&body, "[");
	body.truncated |= !page(reply, &body);
	sc_str_add(&body, "]");
	sc_call_answer(call, 200, "application/json", &body);
}

static void signals_page(struct sc_api *api, void *owner, json_t *reply, int *fd)
{
	(void)api;
	(void)fd;
	show_page(owner, reply, sc_page_signals);
}

static void targets_page(struct sc_api *api, void *owner, json_t *reply, int *fd)
{
	(void)api;
	(void)fd;
	show_page(owner, reply, sc_page_targets);
}

/* Without limit and after: all, from the view. */
static void serve(struct sc_call *call, enum sc_view_kind kind, sc_ask_fn *page)
{
	long after = 0;

	if (!sc_call_query(call, "limit") && !sc_call_query(call, "after")) {
		sc_call_view(call, kind);
		return;
	}
	call->limit = SC_SIGNALS_LIMIT_MAX;
	if (sc_call_number(call, "limit", 1, SC_SIGNALS_LIMIT_MAX, &call->limit) &&
	    sc_call_number(call, "after", 0, INT32_MAX, &after))
		sc_call_ask(call,
			    json_pack("{s:s, s:I, s:I}", "op", "signals", "limit",
				      (json_int_t)call->limit, "from", (json_int_t)after),
			    page);
}

void sc_route_targets(struct sc_call *call)
{
	serve(call, SC_VIEW_TARGETS, targets_page);
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
		serve(call, SC_VIEW_SIGNALS, signals_page);
		return;
	}
	if (sc_unescape(text, strlen(text), target, sizeof(target)))
		request = json_pack("{s:s, s:s}", "op", "signals", "target", target);
	if (!request)
		sc_call_fail(call, 404, "no such cgroup");
	else
		sc_call_ask(call, request, show);
}
