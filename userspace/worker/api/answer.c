/* SPDX-License-Identifier: Apache-2.0 */
/* What handlers say and read: answers, headers, bodies. */
#include "worker/api/api.h"

#include <microhttpd.h>
#include <stdarg.h>
#include <string.h>

#define JSON_TYPE "application/json"
#define FORM_TYPE "application/x-www-form-urlencoded"

struct MHD_Response *sc_response_new(const char *type, const void *body, size_t size)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(size, (void *)body,
								 MHD_RESPMEM_MUST_COPY);

	if (!r)
		return NULL;
	(void)MHD_add_response_header(r, "Content-Type", type);
	(void)MHD_add_response_header(r, "Cache-Control", "no-store");
	(void)MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	return r;
}

void sc_call_suspend(struct sc_call *call)
{
	SC_ASSERT(!call->is_suspended);
	call->is_suspended = true;
	MHD_suspend_connection(call->connection);
}

static void resume(struct sc_call *call)
{
	if (!call->is_suspended)
		return;
	call->is_suspended = false;
	call->api->has_resumed = true;
	MHD_resume_connection(call->connection);
}

void sc_shared_release(struct sc_shared **shared)
{
	struct sc_shared *s = SC_TAKE_PTR(*shared);

	if (!s || --s->users > 0)
		return;
	MHD_destroy_response(s->response);
	free(s);
}

void sc_call_share(struct sc_call *call, struct sc_shared *shared)
{
	SC_ASSERT(!call->response);
	shared->users++;
	call->shared = shared;
	call->response = shared->response;
	call->status = 200;
	resume(call);
}

void sc_call_answer(struct sc_call *call, unsigned int status, const char *type,
		    const struct sc_str *body)
{
	SC_ASSERT(!call->response);
	if (!body->truncated)
		call->response = sc_response_new(type, body->data, body->len);
	/* Without memory the connection is closed: no answer is better than half of one. */
	call->status = status;
	if (call->response && status == 401)
		(void)MHD_add_response_header(call->response, "WWW-Authenticate", "Bearer");
	if (call->response && call->link[0])
		(void)MHD_add_response_header(call->response, "Link", call->link);
	if (call->response && status == 405)
		(void)MHD_add_response_header(call->response, "Allow", call->allow);
	resume(call);
}

void sc_call_answer_json(struct sc_call *call, unsigned int status, const json_t *body)
{
	_cleanup_free_ char *text = json_dumps(body, JSON_COMPACT);
	_cleanup_str_ struct sc_str out;

	sc_str_init_heap(&out);
	if (text)
		sc_str_add(&out, text);
	out.truncated = out.truncated || !text;
	sc_call_answer(call, status, JSON_TYPE, &out);
}

void sc_call_fail(struct sc_call *call, unsigned int status, const char *fmt, ...)
{
	_cleanup_str_ struct sc_str out;
	struct sc_json j;
	char text[1024];
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (n = strlen(text); n && text[n - 1] == '\n'; n--)
		text[n - 1] = '\0'; /* what is wrong with an expression ends its line */
	sc_str_init_heap(&out);
	sc_json_init(&j, &out);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "detail", text);
	sc_json_object_end(&j);
	sc_call_answer(call, status, JSON_TYPE, &out);
}

const char *sc_call_header(struct sc_call *call, const char *name)
{
	return MHD_lookup_connection_value(call->connection, MHD_HEADER_KIND, name);
}

const char *sc_call_query(struct sc_call *call, const char *name)
{
	return MHD_lookup_connection_value(call->connection, MHD_GET_ARGUMENT_KIND, name);
}

bool sc_call_number(struct sc_call *call, const char *name, long min, long max, long *value)
{
	const char *text = sc_call_query(call, name);
	char *end;
	long n;

	if (!text)
		return true;
	n = strtol(text, &end, 10); /* what is too large for it is clamped by it */
	if (end == text || *end || text[0] == ' ') {
		sc_call_fail(call, 422, "%s must be a whole number", name);
		return false;
	}
	*value = n < min ? min : n > max ? max : n;
	return true;
}

/* That type, with parameters or without. */
static bool is_type(const char *type, const char *wanted)
{
	size_t n = strlen(wanted);

	return strncasecmp(type, wanted, n) == 0 && (type[n] == '\0' || strchr("; \t", type[n]));
}

/* No form begins like JSON, and `curl -d` calls everything a form. A page cannot use this to get
 * past the browser's questions: it has no token, and its Origin is seen. */
static bool says_json(struct sc_call *call)
{
	const char *type = sc_call_header(call, "Content-Type");

	if (!type || !call->body_size || is_type(type, JSON_TYPE))
		return true;
	return is_type(type, FORM_TYPE) && strchr("{[", call->body[strspn(call->body, " \t\r\n")]);
}

bool sc_call_parse(struct sc_call *call)
{
	json_error_t fault;

	if (!says_json(call)) {
		sc_call_fail(call, 415, "the body must be " JSON_TYPE);
		return false;
	}
	call->args = json_loadb(call->body ? call->body : "", call->body_size,
				JSON_REJECT_DUPLICATES, &fault);
	if (json_is_object(call->args))
		return true;
	sc_call_fail(call, 422, "the body is not a JSON object: %s",
		     call->args ? "another type" : fault.text);
	return false;
}

bool sc_call_knows(struct sc_call *call, const char *const *names)
{
	const char *key;
	json_t *value;

	json_object_foreach (call->args, key, value) {
		size_t i = 0;

		while (names[i] && strcmp(names[i], key) != 0)
			i++;
		if (names[i])
			continue;
		sc_call_fail(call, 422, "unknown field: %s", key);
		return false;
	}
	return true;
}

bool sc_call_needs(struct sc_call *call, const char *name, size_t max)
{
	const json_t *value = json_object_get(call->args, name);
	size_t n = json_string_length(value);

	if (!value)
		sc_call_fail(call, 422, "missing field: %s", name);
	else if (!json_is_string(value) || n == 0 || n > max)
		sc_call_fail(call, 422, "%s must be a text of 1 to %zu bytes", name, max);
	else
		return true;
	return false;
}
