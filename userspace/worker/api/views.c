/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies that many ask for and few change: made once, then served until the core tells a change, a
 * write went through here, or they are a second old. Ten thousand readers cost the core one
 * question.
 */
#include "worker/api/api.h"

#include "base/clock.h"

#include <microhttpd.h>

#define JSON_TYPE "application/json"

struct view_row {
	const char *type;
	const char *asks[SC_VIEW_ASKS_MAX]; /* operations, NULL-ended where fewer */
	sc_view_fn *make;
};

static const struct view_row rows[SC_VIEW_COUNT];

static void drop(struct sc_view *view)
{
	if (view->response)
		MHD_destroy_response(view->response); /* calls that send it hold it themselves */
	view->response = NULL;
}

void sc_views_drop(struct sc_api *api)
{
	for (int i = 0; i < SC_VIEW_COUNT; i++)
		drop(&api->views[i]);
}

static void forget_replies(struct sc_view *view)
{
	for (size_t i = 0; i < view->n_replies; i++)
		json_decref(view->replies[i]);
	view->n_replies = 0;
}

void sc_views_done(struct sc_api *api)
{
	sc_views_drop(api);
	for (int i = 0; i < SC_VIEW_COUNT; i++)
		forget_replies(&api->views[i]);
}

static bool is_fresh(const struct sc_view *view)
{
	return view->response && sc_mono_ns() - view->made_ns < SC_VIEW_AGE_NS;
}

static void make(struct sc_api *api, struct sc_view *view)
{
	const struct view_row *row = &rows[view - api->views];
	struct sc_call *call, *next;
	_cleanup_str_ struct sc_str body;

	sc_str_init_heap(&body);
	drop(view);
	if (row->make(api, view->replies, &body) && !body.truncated)
		view->response = sc_response_new(row->type, body.data, body.len);
	view->made_ns = sc_mono_ns();
	view->is_asking = false;
	api->counters.views_made++;
	forget_replies(view);
	for (call = SC_TAKE_PTR(view->waiting); call; call = next) {
		next = call->next;
		if (view->response)
			sc_call_share(call, view->response);
		else
			sc_call_fail(call, 503, "the agent cannot tell; try again");
	}
}

static void take(struct sc_api *api, void *owner, json_t *reply, int *fd);

static void ask(struct sc_api *api, struct sc_view *view)
{
	const char *op = rows[view - api->views].asks[view->n_replies];
	bool wants_all = view == &api->views[SC_VIEW_METRICS];

	view->is_asking = true;
	sc_api_ask(api,
		   json_pack("{s:s, s:i, s:s}", "op", op, "limit",
			     wants_all ? SC_FIRES_LIMIT_MAX : SC_FIRES_LIMIT_DEFAULT, "principal",
			     "anonymous"),
		   take, view);
}

static void take(struct sc_api *api, void *owner, json_t *reply, int *fd)
{
	struct sc_view *view = owner;
	const struct view_row *row = &rows[view - api->views];

	(void)fd;
	view->replies[view->n_replies++] = json_incref(reply);
	if (view->n_replies < SC_VIEW_ASKS_MAX && row->asks[view->n_replies])
		ask(api, view);
	else
		make(api, view);
}

void sc_call_view(struct sc_call *call, enum sc_view_kind kind)
{
	struct sc_view *view = &call->api->views[kind];

	if (is_fresh(view)) {
		sc_call_share(call, view->response);
		return;
	}
	sc_call_suspend(call);
	call->next = view->waiting;
	view->waiting = call;
	if (!view->is_asking)
		ask(call->api, view);
}

static const struct view_row rows[SC_VIEW_COUNT] = {
	[SC_VIEW_CONDITIONS] = {JSON_TYPE, {"list"}, sc_view_conditions},
	[SC_VIEW_FIRES] = {JSON_TYPE, {"fires"}, sc_view_fires},
	[SC_VIEW_FIRES_FULL] = {JSON_TYPE, {"fires"}, sc_view_fires_full},
	[SC_VIEW_HEALTH] = {JSON_TYPE, {"status"}, sc_view_health},
	[SC_VIEW_METRICS] = {SC_METRICS_TYPE, {"status", "list", "fires"}, sc_view_metrics},
	[SC_VIEW_SIGNALS] = {JSON_TYPE, {"signals"}, sc_view_signals},
	[SC_VIEW_TARGETS] = {JSON_TYPE, {"signals"}, sc_view_targets},
};
