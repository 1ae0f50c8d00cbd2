/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/probe/verdict.h"

#include "base/str.h"
#include "base/units.h"
#include "record/redact.h"

#include <jansson.h>
#include <string.h>

/* Of what was said instead of a boolean, so much is shown. */
#define SHOWN_BYTES 40

void sc_verdict_fail(struct sc_verdict *v, enum sc_verdict_fault fault, const char *what,
		     const char *detail)
{
	char line[2 * SC_VERDICT_WHY_MAX];
	struct sc_str text, why;

	sc_str_init(&text, line, sizeof(line));
	sc_str_add(&text, what);
	if (detail && detail[0])
		sc_str_addf(&text, ": %s", detail);
	*v = (struct sc_verdict){.fault = fault};
	sc_str_init(&why, v->why, sizeof(v->why));
	sc_redact(&why, text.data);
}

static void fail_budget(struct sc_verdict *v, uint64_t budget_ns)
{
	char what[64];
	struct sc_str text;

	sc_str_init(&text, what, sizeof(what));
	sc_str_add(&text, "over its budget of ");
	sc_format_quantity(&text, (double)budget_ns, SC_UNIT_NS);
	sc_verdict_fail(v, SC_VERDICT_BUDGET, what, NULL);
}

static const json_t *boolean_in(const json_t *root)
{
	const json_t *value = json_is_object(root) ? json_object_get(root, "value") : root;

	return json_is_boolean(value) ? value : NULL;
}

static void read_boolean(const char *text, size_t size, struct sc_verdict *v)
{
	const unsigned int flags = JSON_DECODE_ANY | JSON_REJECT_DUPLICATES;
	/* The library takes a NUL for the end. */
	json_t *root = memchr(text, '\0', size) ? NULL : json_loadb(text, size, flags, NULL);
	const json_t *value = boolean_in(root);
	char shown[4 * SHOWN_BYTES + 8];
	struct sc_str s;

	if (value) {
		*v = (struct sc_verdict){.value = json_is_true(value)};
	} else if (size == 0) {
		sc_verdict_fail(v, SC_VERDICT_ANSWER, "it said nothing", NULL);
	} else {
		sc_str_init(&s, shown, sizeof(shown));
		sc_str_add_printable(&s, text, SC_MIN(size, (size_t)SHOWN_BYTES));
		if (size > SHOWN_BYTES)
			sc_str_add(&s, "...");
		sc_verdict_fail(v, SC_VERDICT_ANSWER, "its answer is no boolean", shown);
	}
	json_decref(root);
}

static void read_exit(const struct sc_exec_result *result, struct sc_verdict *v)
{
	char what[64];

	if (result->out_size && result->status == 0) {
		read_boolean(result->out, result->out_size, v);
		return;
	}
	if (!result->out_size && result->status <= 1) {
		*v = (struct sc_verdict){.value = result->status == 0};
		return;
	}
	snprintf(what, sizeof(what), "exit status %d%s", result->status,
		 result->out_size ? " with output" : "");
	sc_verdict_fail(v, SC_VERDICT_EXIT, what, result->err);
}

void sc_verdict_of_exec(const struct sc_exec_result *result, uint64_t budget_ns,
			struct sc_verdict *v)
{
	char what[64];

	switch (result->end) {
	case SC_EXEC_EXITED:
		read_exit(result, v);
		return;
	case SC_EXEC_SIGNALLED:
		snprintf(what, sizeof(what), "killed by signal %d", result->status);
		sc_verdict_fail(v, SC_VERDICT_EXIT, what, result->err);
		return;
	case SC_EXEC_NOT_RUN:
		snprintf(what, sizeof(what), "cannot be run (%s)", result->step);
		sc_verdict_fail(v, SC_VERDICT_START, what, strerror(result->status));
		return;
	case SC_EXEC_OVER_BUDGET:
		fail_budget(v, budget_ns);
		return;
	case SC_EXEC_OVER_OUTPUT:
		sc_verdict_fail(v, SC_VERDICT_OUTPUT, "its output is over 64 KiB", NULL);
		return;
	case SC_EXEC_END_COUNT:
		break;
	}
	sc_verdict_fail(v, SC_VERDICT_OTHER, "it ended in no known way", NULL);
}

void sc_verdict_of_http(const struct sc_http_result *result, uint64_t budget_ns,
			struct sc_verdict *v)
{
	char what[64];

	switch (result->end) {
	case SC_HTTP_ANSWERED:
		if (result->status == 200) {
			read_boolean(result->body, result->size, v);
			return;
		}
		snprintf(what, sizeof(what), "HTTP %ld", result->status);
		sc_verdict_fail(v, SC_VERDICT_HTTP, what, NULL);
		return;
	case SC_HTTP_NOT_REACHED:
		sc_verdict_fail(v, SC_VERDICT_CONNECT, "cannot connect", result->why);
		return;
	case SC_HTTP_NOT_TRUSTED:
		sc_verdict_fail(v, SC_VERDICT_CONNECT, "TLS", result->why);
		return;
	case SC_HTTP_OVER_BUDGET:
		fail_budget(v, budget_ns);
		return;
	case SC_HTTP_OVER_ANSWER:
		sc_verdict_fail(v, SC_VERDICT_OUTPUT, result->why, NULL);
		return;
	case SC_HTTP_BROKEN:
		sc_verdict_fail(v, SC_VERDICT_HTTP, "no whole answer", result->why);
		return;
	case SC_HTTP_END_COUNT:
		break;
	}
	sc_verdict_fail(v, SC_VERDICT_OTHER, "it ended in no known way", NULL);
}

static const char *const fault_names[] = {
	[SC_VERDICT_NO_FAULT] = NULL,     [SC_VERDICT_BUDGET] = "budget",
	[SC_VERDICT_START] = "start",     [SC_VERDICT_EXIT] = "exit",
	[SC_VERDICT_OUTPUT] = "output",   [SC_VERDICT_ANSWER] = "answer",
	[SC_VERDICT_CONNECT] = "connect", [SC_VERDICT_HTTP] = "http",
	[SC_VERDICT_OTHER] = "other",
};
_Static_assert(SC_ARRAY_SIZE(fault_names) == SC_VERDICT_FAULT_COUNT, "one name per fault");

const char *sc_verdict_fault_name(enum sc_verdict_fault fault)
{
	return fault < SC_VERDICT_FAULT_COUNT ? fault_names[fault] : "other";
}
