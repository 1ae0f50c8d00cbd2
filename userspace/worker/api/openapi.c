/* SPDX-License-Identifier: Apache-2.0 */
/* The description of the API, written from the table of routes: it cannot tell otherwise. */
#include "worker/api/api.h"

#include <string.h>

static void add_header_parameter(struct sc_json *j, const char *name, const char *what)
{
	sc_json_object_begin(j);
	sc_json_member_text(j, "name", name);
	sc_json_member_text(j, "in", "header");
	sc_json_member_bool(j, "required", false);
	sc_json_member_text(j, "description", what);
	sc_json_key(j, "schema");
	sc_json_raw(j, "{\"type\":\"string\"}");
	sc_json_object_end(j);
}

static void add_parameters(struct sc_json *j, const struct sc_route *route)
{
	sc_json_key(j, "parameters");
	sc_json_array_begin(j);
	if (strstr(route->path, "{id}"))
		sc_json_raw(j, "{\"name\":\"id\",\"in\":\"path\",\"required\":true,"
			       "\"schema\":{\"type\":\"string\"}}");
	if (route->query)
		sc_json_raw(j, route->query);
	if (route->handle == sc_route_fire)
		add_header_parameter(j, "Idempotency-Key",
				     "Asked again with the same key within a day, the answer is "
				     "that of the first time, and nothing is fired again.");
	if (route->handle == sc_route_stream)
		add_header_parameter(j, "Last-Event-ID",
				     "Sequence number of the last record that was received; what "
				     "follows it is sent.");
	sc_json_array_end(j);
}

static void add_content(struct sc_json *j, const char *type, const char *schema,
			const char *example)
{
	sc_json_key(j, "content");
	sc_json_object_begin(j);
	sc_json_key(j, type);
	sc_json_object_begin(j);
	sc_json_key(j, "schema");
	sc_json_raw(j, schema);
	if (example) {
		sc_json_key(j, "example");
		sc_json_raw(j, example);
	}
	sc_json_object_end(j);
	sc_json_object_end(j);
}

static void add_response(struct sc_json *j, const char *status, const char *what, const char *type,
			 const char *schema)
{
	sc_json_key(j, status);
	sc_json_object_begin(j);
	sc_json_member_text(j, "description", what);
	add_content(j, type, schema ? schema : "{\"type\":\"string\"}", NULL);
	sc_json_object_end(j);
}

static void add_responses(struct sc_json *j, const struct sc_route *route)
{
	static const char fault[] = "{\"type\":\"object\",\"required\":[\"detail\"],\"properties\":"
				    "{\"detail\":{\"type\":\"string\"}}}";
	const char *p = route->statuses ? route->statuses : "";
	char status[8];

	sc_json_key(j, "responses");
	sc_json_object_begin(j);
	snprintf(status, sizeof(status), "%u", route->status);
	add_response(j, status, "done", route->type, route->response);
	for (; *p; p += strspn(p, " ")) {
		size_t n = strcspn(p, " ");

		snprintf(status, sizeof(status), "%.*s", (int)n, p);
		add_response(j, status, "refused", "application/json", fault);
		p += n;
	}
	sc_json_object_end(j);
}

static void add_operation(struct sc_json *j, const struct sc_route *route)
{
	char method[16] = "";

	for (size_t i = 0; route->method[i] && i + 1 < sizeof(method); i++)
		method[i] = (char)(route->method[i] | 32);
	sc_json_key(j, method);
	sc_json_object_begin(j);
	sc_json_member_text(j, "summary", route->summary);
	if (route->flags & SC_ROUTE_WRITES) {
		sc_json_key(j, "security");
		sc_json_raw(j, "[{\"token\":[]}]");
	}
	add_parameters(j, route);
	if (route->request) {
		sc_json_key(j, "requestBody");
		sc_json_object_begin(j);
		add_content(j, "application/json", route->request, route->example);
		sc_json_object_end(j);
	}
	add_responses(j, route);
	sc_json_object_end(j);
}

/* Rows of one path are one object; it is written where the path comes first. */
static bool is_first_of_path(size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(sc_routes[k].path, sc_routes[i].path) == 0)
			return false;
	return true;
}

static void add_paths(struct sc_json *j)
{
	sc_json_key(j, "paths");
	sc_json_object_begin(j);
	for (size_t i = 0; i < sc_routes_count; i++) {
		if (!is_first_of_path(i))
			continue;
		sc_json_key(j, sc_routes[i].path);
		sc_json_object_begin(j);
		for (size_t k = i; k < sc_routes_count; k++)
			if (strcmp(sc_routes[k].path, sc_routes[i].path) == 0)
				add_operation(j, &sc_routes[k]);
		sc_json_object_end(j);
	}
	sc_json_object_end(j);
}

void sc_route_openapi(struct sc_call *call)
{
	_cleanup_str_ struct sc_str out;
	struct sc_json j;

	sc_str_init_heap(&out);
	sc_json_init(&j, &out);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "openapi", "3.1.0");
	sc_json_key(&j, "info");
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "title", "scram");
	sc_json_member_text(&j, "version", call->api->version);
	sc_json_object_end(&j);
	sc_json_key(&j, "components");
	sc_json_raw(&j, "{\"securitySchemes\":{\"token\":{\"type\":\"http\","
			"\"scheme\":\"bearer\"}}}");
	add_paths(&j);
	sc_json_object_end(&j);
	sc_call_answer(call, 200, "application/json", &out);
}
