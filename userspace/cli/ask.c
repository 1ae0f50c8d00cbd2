/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ask.h"

#include "base/clock.h"
#include "cli/client.h"
#include "cli/http.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define JSON_LAYOUT (JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15) | JSON_ENCODE_ANY)

int sc_complain(const struct sc_args *args, int status, const char *fmt, ...)
{
	_cleanup_free_ char *raw = NULL;
	_cleanup_str_ struct sc_str line = {0};
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&raw, fmt, ap);
	va_end(ap);
	if (n < 0) {
		raw = NULL;
		return status;
	}
	sc_str_init_heap(&line);
	for (const char *text = raw; *text;) {
		size_t len = strcspn(text, "\n");

		sc_str_add(&line, text == raw ? "" : "\n  ");
		sc_str_add_printable(&line, text, len);
		text += len + (text[len] == '\n');
	}
	fprintf(stderr, "scram %s: %s\n", args->verb->name, line.data);
	return status;
}

int sc_print_text(const struct sc_str *text)
{
	if (text->truncated) {
		fprintf(stderr, "scram: out of memory\n");
		return SC_EXIT_FAILED;
	}
	if (fwrite(text->data, 1, text->len, stdout) != text->len || fflush(stdout) != 0) {
		fprintf(stderr, "scram: cannot write to standard output: %s\n", strerror(errno));
		return SC_EXIT_FAILED;
	}
	return SC_EXIT_DONE;
}

int sc_print_json(const json_t *reply, const char *member)
{
	const json_t *data = member ? json_object_get(reply, member) : NULL;
	_cleanup_free_ char *text = NULL;
	_cleanup_str_ struct sc_str out = {0};
	json_t *rest = NULL;

	if (!data) {
		rest = json_copy((json_t *)(uintptr_t)reply);
		json_object_del(rest, "exit");
		json_object_del(rest, "error");
		data = rest;
	}
	text = json_dumps(data, JSON_LAYOUT);
	json_decref(rest);
	sc_str_init_heap(&out);
	if (text)
		sc_str_addf(&out, "%s\n", text);
	else
		out.truncated = true;
	return sc_print_text(&out);
}

static int cannot_reach(const struct sc_args *args, int err, const struct sc_diag *why)
{
	bool nobody = err == -ENOENT || err == -ECONNREFUSED;
	bool sent = err == -ETIMEDOUT || err == -ECONNRESET || err == -EPROTO;

	if (err == -E2BIG || err == -EINVAL)
		return sc_complain(args, SC_EXIT_USAGE, "%s", why->text);
	sc_complain(args, SC_EXIT_UNREACHABLE, "%s", why->text);
	if (nobody)
		fprintf(stderr, "  start it: sudo scram run, or as your service manager does\n"
				"  another run directory: --run-dir DIR\n");
	if (sent && args->verb->kind == SC_VERB_WRITES)
		fprintf(stderr,
			"  whether it was carried out is not known; look before you repeat it: "
			"scram status, scram fires\n");
	return SC_EXIT_UNREACHABLE;
}

/* The exit status of a reply, with its complaint told. */
static int tell_error(const struct sc_args *args, const json_t *reply)
{
	const char *error = json_string_value(json_object_get(reply, "error"));
	int exit = (int)json_integer_value(json_object_get(reply, "exit"));

	return error ? sc_complain(args, exit ? exit : SC_EXIT_FAILED, "%s", error) : exit;
}

/* NULL = the agent of this host, by its socket. */
static const char *find_base_url(const struct sc_args *args)
{
	const char *url = args->base_url ? args->base_url : getenv("SCRAM_BASE_URL");

	return url && *url ? url : NULL;
}

/* As the original service's command did: 2 without a token where one is needed, else 1. */
static int ask_over_http(const struct sc_args *args, const struct sc_question *question,
			 const char *base_url, json_t *request, json_t **reply)
{
	unsigned int timeout_s = question->timeout_s ? question->timeout_s : SC_ASK_TIMEOUT_S;
	struct sc_http_client client = {
		.base_url = base_url,
		.token = getenv("SCRAM_API_TOKEN"),
		.timeout_ns = timeout_s * SC_NS_PER_S,
	};
	struct sc_diag why = {0};
	int r;

	if (client.token && !*client.token)
		client.token = NULL;
	if (!sc_http_can(question->op))
		r = sc_complain(args, SC_EXIT_USAGE,
				"%s is named, but this can only be asked of the agent of this "
				"host: leave --base-url and SCRAM_BASE_URL out",
				base_url);
	else if (!client.token && sc_http_needs_token(question->op))
		r = sc_complain(args, SC_EXIT_USAGE, "SCRAM_API_TOKEN is not set; %s needs it",
				base_url);
	else
		r = sc_http_call(&client, question->op, request, reply, &why);
	json_decref(request);
	if (r < 0)
		return sc_complain(args, r == -EINVAL ? SC_EXIT_USAGE : SC_EXIT_FAILED, "%s",
				   why.text);
	return *reply ? tell_error(args, *reply) : r;
}

int sc_ask(const struct sc_args *args, const struct sc_question *question, json_t *request,
	   json_t **reply)
{
	unsigned int timeout_s = question->timeout_s ? question->timeout_s : SC_ASK_TIMEOUT_S;
	struct sc_client client = {
		.run_dir = args->run_dir,
		.timeout_ns = timeout_s * SC_NS_PER_S,
	};
	const char *base_url = find_base_url(args);
	struct sc_diag why = {0};
	int r;

	*reply = NULL;
	if (!request)
		return sc_complain(args, SC_EXIT_USAGE, "an argument is not valid UTF-8");
	/* Whoever names another host must never hit this one. */
	if (base_url)
		return ask_over_http(args, question, base_url, request, reply);
	r = json_object_set_new(request, "op", json_string(sc_op_name(question->op)));
	if (r == 0)
		r = sc_client_call(&client, request, reply, &why);
	else
		r = sc_diag_set(&why, -ENOMEM, 0, 0, "out of memory");
	json_decref(request);
	return r < 0 ? cannot_reach(args, r, &why) : tell_error(args, *reply);
}

/* A refusal without data has nothing to print beyond its complaint. */
static bool has_data(const json_t *reply, const char *member)
{
	if (member)
		return json_object_get(reply, member) != NULL;
	return json_object_size(reply) > (json_object_get(reply, "error") ? 2U : 1U);
}

int sc_ask_and_print(const struct sc_args *args, const struct sc_question *question,
		     json_t *request)
{
	_cleanup_str_ struct sc_str out = {0};
	json_t *reply = NULL;
	int status = sc_ask(args, question, request, &reply);
	int printed = SC_EXIT_DONE;

	sc_str_init_heap(&out);
	if (reply && question->adapt)
		question->adapt(reply);
	if (reply && (status == SC_EXIT_DONE || has_data(reply, question->member))) {
		if (args->json)
			printed = sc_print_json(reply, question->member);
		else
			question->render(&out, reply);
		if (!args->json)
			printed = sc_print_text(&out);
	}
	json_decref(reply);
	return status ? status : printed;
}
