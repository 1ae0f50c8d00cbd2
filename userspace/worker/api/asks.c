/* SPDX-License-Identifier: Apache-2.0 */
/* What the calls ask the core: one request on the link at a time, the others wait in order. */
#include "worker/api/api.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>

/* Beyond the core's own bound for what it waits for. */
#define ANSWER_NS (SC_LINK_ANSWER_MS * SC_NS_PER_MS)

static void free_ask(struct sc_ask *ask)
{
	sc_str_done(&ask->request);
	free(ask);
}

int sc_reply_exit(const json_t *reply)
{
	const json_t *exit = json_object_get(reply, "exit");

	return json_is_integer(exit) ? (int)json_integer_value(exit) : SC_EXIT_FAILED;
}

const char *sc_reply_error(const json_t *reply)
{
	const char *error = json_string_value(json_object_get(reply, "error"));

	return error ? error : "";
}

/* As if the core had said so. */
static void fail(struct sc_api *api, void *owner, sc_ask_fn *done, const char *error)
{
	json_t *reply = json_pack("{s:i, s:s}", "exit", SC_EXIT_FAILED, "error", error);
	int fd = -1;

	done(api, owner, reply, &fd);
	json_decref(reply);
}

void sc_api_ask(struct sc_api *api, json_t *request, sc_ask_fn *done, void *owner)
{
	_cleanup_free_ char *text = json_dumps(request, JSON_COMPACT);
	struct sc_ask *ask = text ? calloc(1, sizeof(*ask)) : NULL;

	json_decref(request);
	if (!ask || strlen(text) > SC_REQUEST_SIZE_MAX) {
		free(ask);
		fail(api, owner, done, ask ? "the request is too large" : "out of memory");
		return;
	}
	sc_str_init_heap(&ask->request);
	sc_str_add(&ask->request, text);
	ask->done = done;
	ask->owner = owner;
	*api->asks_end = ask;
	api->asks_end = &ask->next;
	api->counters.link_asks++;
}

void sc_call_ask(struct sc_call *call, json_t *request, sc_ask_fn *then)
{
	json_object_set_new(request, "principal",
			    json_string(call->is_trusted ? "token:api" : "anonymous"));
	if (!call->is_suspended)
		sc_call_suspend(call);
	sc_api_ask(call->api, request, then, call);
}

static int send_next(struct sc_api *api)
{
	struct sc_ask *ask = api->asks;
	int r;

	if (!ask || api->is_asking)
		return 0;
	r = sc_link_send(&api->link, ask->request.data, ask->request.len);
	if (r < 0)
		return r;
	api->is_asking = true;
	api->asked_ns = sc_mono_ns();
	return 0;
}

static int take_reply(struct sc_api *api, struct sc_link_message *m)
{
	struct sc_ask *ask = api->asks;
	json_t *reply;

	if (!ask || !api->is_asking)
		return -EPROTO;
	api->asks = ask->next;
	if (!api->asks)
		api->asks_end = &api->asks;
	api->is_asking = false;
	reply = json_loadb(m->text, m->size, 0, NULL);
	if (reply)
		ask->done(api, ask->owner, reply, &m->fd);
	else
		fail(api, ask->owner, ask->done, "the core's reply cannot be read");
	json_decref(reply);
	free_ask(ask);
	return 0;
}

/* {"event":"changed","conditions":N,"fires":N,"status":N,"seq":N}: what is told apart from the
 * sequence number makes views old; without it, nothing has. */
static void take_changed(struct sc_api *api, const struct sc_link_message *m)
{
	json_t *event = json_loadb(m->text, m->size, 0, NULL);
	char now[sizeof(api->changed)];
	uint64_t seq;

	snprintf(now, sizeof(now), "%lld %lld %lld",
		 json_integer_value(json_object_get(event, "conditions")),
		 json_integer_value(json_object_get(event, "fires")),
		 json_integer_value(json_object_get(event, "status")));
	seq = (uint64_t)json_integer_value(json_object_get(event, "seq"));
	if (seq != api->seq) {
		api->seq = seq;
		sc_streams_wake(api, true);
	}
	if (strcmp(now, api->changed) != 0)
		sc_views_drop(api);
	sc_strcopy(api->changed, sizeof(api->changed), now);
	json_decref(event);
}

int sc_asks_pump(struct sc_api *api)
{
	for (;;) {
		_cleanup_link_message_ struct sc_link_message m = {.fd = -1};
		int r = send_next(api);

		if (r == 0)
			r = sc_link_take(&api->link, 0, &m);
		if (r == 0 && api->is_asking && sc_mono_ns() - api->asked_ns > ANSWER_NS)
			return -ETIMEDOUT;
		if (r <= 0)
			return r;
		if (m.kind == SC_LINK_REPLY)
			r = take_reply(api, &m);
		else if (sc_link_is_event(&m, SC_EVENT_STOP))
			return 1;
		else if (sc_link_is_event(&m, SC_EVENT_CHANGED))
			take_changed(api, &m);
		else if (sc_link_is_event(&m, SC_EVENT_LISTENER))
			sc_server_ask_listener(api);
		if (r < 0)
			return r;
	}
}
