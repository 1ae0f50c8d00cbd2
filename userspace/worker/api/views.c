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
	sc_view_page_fn *page; /* in place of make: many thousand elements are asked for in pages */
};

static const struct view_row rows[SC_VIEW_COUNT];

static struct sc_shared *share(struct MHD_Response *response)
{
	struct sc_shared *shared = response ? malloc(sizeof(*shared)) : NULL;

	if (shared)
		*shared = (struct sc_shared){.response = response, .users = 1};
	else if (response)
		MHD_destroy_response(response);
	return shared;
}

void sc_views_drop(struct sc_api *api)
{
	for (int i = 0; i < SC_VIEW_COUNT; i++)
		sc_shared_release(&api->views[i].shared);
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
	for (int i = 0; i < SC_VIEW_COUNT; i++) {
		forget_replies(&api->views[i]);
		sc_str_done(&api->views[i].pages);
	}
}

static bool is_fresh(const struct sc_view *view)
{
	return view->shared && sc_mono_ns() - view->made_ns < SC_VIEW_AGE_NS;
}

static void make(struct sc_api *api, struct sc_view *view)
{
	const struct view_row *row = &rows[view - api->views];
	struct sc_call *call, *next;
	_cleanup_str_ struct sc_str body;

	sc_str_init_heap(&body);
	sc_shared_release(&view->shared);
	if (row->page) {
		body = view->pages;
		view->pages = (struct sc_str){0};
		sc_str_add(&body, "]");
	} else if (!row->make(api, view->replies, &body)) {
		body.truncated = true;
	}
	if (!body.truncated)
		view->shared = share(sc_response_new(row->type, body.data, body.len));
	view->made_ns = sc_mono_ns();
	view->is_asking = false;
	api->counters.views_made++;
	forget_replies(view);
	for (call = SC_TAKE_PTR(view->waiting); call; call = next) {
		next = call->next;
		if (view->shared)
			sc_call_share(call, view->shared);
		else
			sc_call_fail(call, 503, "the agent cannot tell; try again");
	}
}

static void take(struct sc_api *api, void *owner, json_t *reply, int *fd);

static void ask(struct sc_api *api, struct sc_view *view)
{
	const struct view_row *row = &rows[view - api->views];
	int limit = row->page                              ? SC_SIGNALS_LIMIT_MAX
		    : view == &api->views[SC_VIEW_METRICS] ? SC_FIRES_LIMIT_MAX
							   : SC_FIRES_LIMIT_DEFAULT;

	view->is_asking = true;
	sc_api_ask(api,
		   json_pack("{s:s, s:i, s:I, s:s}", "op", row->asks[view->n_replies], "limit",
			     limit, "from", view->from, "principal", "anonymous"),
		   take, view);
}

static void begin(struct sc_api *api, struct sc_view *view)
{
	view->from = 0;
	if (rows[view - api->views].page) {
		sc_str_init_heap(&view->pages);
		sc_str_add(&view->pages, "[");
	}
	ask(api, view);
}

/* One page is parsed at a time: all of them at once would not fit into this process. */
static void take_page(struct sc_api *api, struct sc_view *view, const json_t *reply)
{
	const json_t *next = json_object_get(reply, "next");

	if (sc_reply_exit(reply) != SC_EXIT_DONE ||
	    !rows[view - api->views].page(reply, &view->pages))
		view->pages.truncated = true;
	if (view->pages.truncated || json_integer_value(next) <= view->from) {
		make(api, view);
		return;
	}
	view->from = json_integer_value(next);
	ask(api, view);
}

static void take(struct sc_api *api, void *owner, json_t *reply, int *fd)
{
	struct sc_view *view = owner;
	const struct view_row *row = &rows[view - api->views];

	(void)fd;
	if (row->page) {
		take_page(api, view, reply);
		return;
	}
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
		sc_call_share(call, view->shared);
		return;
	}
	sc_call_suspend(call);
	call->next = view->waiting;
	view->waiting = call;
	if (!view->is_asking)
		begin(call->api, view);
}

static const struct view_row rows[SC_VIEW_COUNT] = {
	[SC_VIEW_CONDITIONS] = {JSON_TYPE, {"list"}, sc_view_conditions},
	[SC_VIEW_FIRES] = {JSON_TYPE, {"fires"}, sc_view_fires},
	[SC_VIEW_FIRES_FULL] = {JSON_TYPE, {"fires"}, sc_view_fires_full},
	[SC_VIEW_HEALTH] = {JSON_TYPE, {"status"}, sc_view_health},
	[SC_VIEW_METRICS] = {SC_METRICS_TYPE, {"status", "list", "fires"}, sc_view_metrics},
	[SC_VIEW_SIGNALS] = {JSON_TYPE, {"signals"}, .page = sc_page_signals},
	[SC_VIEW_TARGETS] = {JSON_TYPE, {"signals"}, .page = sc_page_targets},
};
