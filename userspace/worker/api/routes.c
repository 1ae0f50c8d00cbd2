/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that is served: one row each. */
#include "worker/api/api.h"

#include <string.h>

static int hex(char c)
{
	return c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
}

bool sc_unescape(const char *text, size_t n, char *out, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		char c = text[i];

		if (c == '%') {
			if (n - i < 3)
				return false;
			c = (char)(hex(text[i + 1]) * 16 + hex(text[i + 2]));
			i += 2;
		}
		if (len + 1 >= size)
			return false;
		out[len++] = c;
	}
	out[len] = '\0';
	return len > 0;
}

/* The url is still escaped. */
static bool matches(const struct sc_route *route, const char *url, char *param, size_t size)
{
	const char *hole = strstr(route->path, "{id}");
	size_t before = hole ? (size_t)(hole - route->path) : 0;
	size_t url_len = strlen(url), tail_len;

	if (!hole)
		return strcmp(route->path, url) == 0;
	tail_len = strlen(hole + 4);
	if (url_len <= before + tail_len || strncmp(url, route->path, before) != 0 ||
	    strcmp(url + url_len - tail_len, hole + 4) != 0)
		return false;
	if (memchr(url + before, '/', url_len - before - tail_len))
		return false;
	return sc_unescape(url + before, url_len - before - tail_len, param, size);
}

const struct sc_route *sc_route_find(const char *method, const char *url, struct sc_call *call,
				     char allow[static 64], unsigned int *status)
{
	struct sc_str methods;

	sc_str_init(&methods, allow, 64);
	*status = 404;
	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	for (size_t i = 0; i < sc_routes_count; i++) {
		const struct sc_route *route = &sc_routes[i];

		if (!matches(route, url, call->param, sizeof(call->param)))
			continue;
		if (strcmp(route->method, method) == 0)
			return route;
		*status = 405;
		sc_str_addf(&methods, "%s%s", methods.len ? ", " : "", route->method);
	}
	return NULL;
}

#define JSON "application/json"

#define FIRE_FIELDS                                                                                \
	"\"id\":{\"type\":\"string\",\"format\":\"uuid\"},\"condition_id\":{\"type\":\"string\"}," \
	"\"fired_at\":{\"type\":\"string\",\"format\":\"date-time\"},"                             \
	"\"fired_by\":{\"type\":\"string\"},\"principal\":{\"type\":\"string\"},"                  \
	"\"reason\":{\"type\":\"string\"},\"state_snapshot\":{\"type\":[\"object\",\"null\"]},"    \
	"\"dispatched\":{\"type\":\"boolean\"},\"dispatch_result\":{\"type\":[\"string\","         \
	"\"null\"]},"                                                                              \
	"\"two_person_status\":{\"enum\":[\"not-required\",\"pending\",\"approved\","              \
	"\"rejected\",\"timed-out\"]},\"second_operator\":{\"type\":[\"string\",\"null\"]},"       \
	"\"second_at\":{\"type\":[\"string\",\"null\"]}"
#define FIRE_SCHEMA "{\"type\":\"object\",\"properties\":{" FIRE_FIELDS "}}"
#define CONDITION_SCHEMA                                                                      \
	"{\"type\":\"object\",\"required\":[\"id\",\"action\"],\"properties\":{"              \
	"\"id\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":128},"                     \
	"\"description\":{\"type\":[\"string\",\"null\"]},"                                   \
	"\"action\":{\"type\":\"object\",\"properties\":{\"kind\":{\"type\":\"string\"},"     \
	"\"config\":{\"type\":\"object\"}}},\"auto_fire\":{\"type\":\"boolean\"},"            \
	"\"requires_two_person\":{\"type\":\"boolean\"},\"live\":{\"type\":\"boolean\"},"     \
	"\"registered_by\":{\"type\":[\"string\",\"null\"]},\"scope\":{\"type\":\"string\"}," \
	"\"when\":{\"type\":\"string\"},\"hold\":{\"type\":\"string\"},"                      \
	"\"cooldown\":{\"type\":\"string\"},\"has_predicate\":{\"type\":\"boolean\","         \
	"\"readOnly\":true}}}"
#define PAGES "With ?limit= a page of them: the header Link has the next, where there is one."
#define PAGE_QUERY                                                                 \
	"{\"name\":\"limit\",\"in\":\"query\",\"required\":false,\"schema\":"      \
	"{\"type\":\"integer\",\"minimum\":1,\"maximum\":500},\"example\":2},"     \
	"{\"name\":\"after\",\"in\":\"query\",\"required\":false,\"description\":" \
	"\"as the header Link of the page before has it\",\"schema\":{\"type\":\"integer\"}}"
#define LIST_OF(schema) "{\"type\":\"array\",\"items\":" schema "}"
#define ANY_OBJECT      "{\"type\":\"object\"}"

const struct sc_route sc_routes[] = {
	{.method = "GET",
	 .path = "/",
	 .handle = sc_route_page,
	 .status = 200,
	 .type = "text/html; charset=utf-8",
	 .summary = "A page to look at: state, conditions, cuts, fires."},
	{.method = "GET",
	 .path = "/v1/conditions",
	 .handle = sc_route_conditions,
	 .status = 200,
	 .type = JSON,
	 .summary = "The conditions that are registered, in the order of their ids.",
	 .response = LIST_OF(CONDITION_SCHEMA)},
	{.method = "POST",
	 .path = "/v1/conditions",
	 .handle = sc_route_register,
	 .flags = SC_ROUTE_WRITES,
	 .status = 201,
	 .type = JSON,
	 .summary = "Registers a condition, or replaces the one of that id.",
	 .request = CONDITION_SCHEMA,
	 .example =
		 "{\"id\":\"openapi-example\",\"description\":\"an example\","
		 "\"action\":{\"kind\":\"process-exit\",\"config\":{\"code\":137}},"
		 "\"scope\":\"/openapi-example/*\",\"when\":\"increase(proc.crashes[60s]) >= 3\"}",
	 .response = CONDITION_SCHEMA,
	 .statuses = "401 409 413 415 422 503"},
	{.method = "DELETE",
	 .path = "/v1/conditions/{id}",
	 .handle = sc_route_unregister,
	 .flags = SC_ROUTE_WRITES,
	 .status = 200,
	 .type = JSON,
	 .summary = "Takes a condition out of the registry.",
	 .response = "{\"type\":\"object\",\"required\":[\"id\",\"removed_from_memory\","
		     "\"removed_from_db\"],\"properties\":{\"id\":{\"type\":\"string\"},"
		     "\"removed_from_memory\":{\"type\":\"boolean\"},"
		     "\"removed_from_db\":{\"type\":\"boolean\"}}}",
	 .statuses = "401 404 409 503"},
	{.method = "POST",
	 .path = "/v1/fire",
	 .handle = sc_route_fire,
	 .flags = SC_ROUTE_WRITES,
	 .status = 200,
	 .type = JSON,
	 .summary = "Fires a condition by hand: 200 whenever a fire was recorded, also when it was "
		    "vetoed, is pending or a dry-run.",
	 .request = "{\"type\":\"object\",\"additionalProperties\":false,\"required\":"
		    "[\"condition_id\",\"reason\",\"operator\"],\"properties\":{"
		    "\"condition_id\":{\"type\":\"string\"},\"reason\":{\"type\":\"string\"},"
		    "\"operator\":{\"type\":\"string\"},\"state_snapshot\":{\"type\":"
		    "[\"object\",\"null\"]},\"target\":{\"type\":[\"string\",\"null\"]},"
		    "\"force\":{\"type\":\"boolean\"}}}",
	 .response = "{\"type\":\"object\",\"required\":[\"condition_id\",\"fire_id\","
		     "\"dispatched\",\"dispatch_descriptor\",\"error\"],\"properties\":{"
		     "\"condition_id\":{\"type\":\"string\"},\"fire_id\":{\"type\":\"string\"},"
		     "\"dispatched\":{\"type\":\"boolean\"},\"dispatch_descriptor\":"
		     "{\"type\":\"string\"},\"error\":{\"type\":[\"string\",\"null\"]}}}",
	 .statuses = "401 404 409 413 415 422 503"},
	{.method = "GET",
	 .path = "/v1/fires",
	 .handle = sc_route_fires,
	 .status = 200,
	 .type = JSON,
	 .summary = "Fires, newest first; ?limit=1..500. With the token also state_snapshot.",
	 .query = "{\"name\":\"limit\",\"in\":\"query\",\"required\":false,\"schema\":"
		  "{\"type\":\"integer\",\"default\":50},\"example\":3}",
	 .response = LIST_OF(FIRE_SCHEMA),
	 .statuses = "422"},
	{.method = "GET",
	 .path = "/v1/fires/{id}",
	 .handle = sc_route_show,
	 .status = 200,
	 .type = JSON,
	 .summary = "One fire, by its id or the beginning of it.",
	 .response = FIRE_SCHEMA,
	 .statuses = "404"},
	{.method = "POST",
	 .path = "/v1/fires/{id}/release",
	 .handle = sc_route_release,
	 .flags = SC_ROUTE_WRITES,
	 .status = 200,
	 .type = JSON,
	 .summary = "Undoes what a fire did, where it still stands.",
	 .request = "{\"type\":\"object\",\"additionalProperties\":false,\"required\":"
		    "[\"operator\"],\"properties\":{\"operator\":{\"type\":\"string\"},"
		    "\"reason\":{\"type\":\"string\"}}}",
	 .response = ANY_OBJECT,
	 .statuses = "401 404 409 413 415 422 503"},
	{.method = "GET",
	 .path = "/v1/health",
	 .handle = sc_route_health,
	 .status = 200,
	 .type = JSON,
	 .summary = "Whether the agent is well.",
	 .response =
		 "{\"type\":\"object\",\"required\":[\"status\",\"registered_conditions\","
		 "\"valid_action_kinds\",\"journal_failures\",\"halt\"],\"properties\":{"
		 "\"status\":{\"const\":\"ok\"},\"registered_conditions\":{\"type\":\"integer\"},"
		 "\"valid_action_kinds\":{\"type\":\"array\"},\"journal_failures\":"
		 "{\"type\":\"integer\"},\"halt\":{\"type\":[\"string\",\"null\"]}}}"},
	{.method = "GET",
	 .path = "/v1/signals",
	 .handle = sc_route_signals,
	 .status = 200,
	 .type = JSON,
	 .summary = "The main signals of every target; all of one with ?target=PATH. " PAGES,
	 .query = "{\"name\":\"target\",\"in\":\"query\",\"required\":false,\"schema\":"
		  "{\"type\":\"string\"}}," PAGE_QUERY,
	 .response = LIST_OF(ANY_OBJECT),
	 .statuses = "404 422 503"},
	{.method = "GET",
	 .path = "/v1/targets",
	 .handle = sc_route_targets,
	 .status = 200,
	 .type = JSON,
	 .summary = "The cgroups that are watched. " PAGES,
	 .query = PAGE_QUERY,
	 .response = LIST_OF(ANY_OBJECT),
	 .statuses = "422 503"},
	{.method = "GET",
	 .path = "/v1/openapi.json",
	 .handle = sc_route_openapi,
	 .status = 200,
	 .type = JSON,
	 .summary = "This description.",
	 .response = ANY_OBJECT},
	{.method = "GET",
	 .path = "/v1/stream",
	 .handle = sc_route_stream,
	 .status = 200,
	 .type = "text/event-stream",
	 .summary = "The journal as server-sent events; the id is the sequence number. With the "
		    "token whole records, without it no evidence.",
	 .statuses = "422 503"},
	{.method = "GET",
	 .path = "/metrics",
	 .handle = sc_route_metrics,
	 .status = 200,
	 .type = SC_METRICS_TYPE,
	 .summary = "Metrics, as OpenMetrics has them."},
};
const size_t sc_routes_count = SC_ARRAY_SIZE(sc_routes);
