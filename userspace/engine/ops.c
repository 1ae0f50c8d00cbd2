/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the control socket: parsed, dispatched by one table, answered. Runs between ticks. */
#include "engine/ops.h"

#include "engine/refusals.h"
#include "engine/workers.h"

#include "base/log.h"

#include <stdarg.h>
#include <string.h>

typedef void op_fn(struct sc_op_call *call);

static op_fn *const handlers[] = {
	[SC_OP_ARM] = sc_op_arm,
	[SC_OP_BREAKER] = sc_op_breaker,
	[SC_OP_DEMOTE] = sc_op_demote,
	[SC_OP_DISARM] = sc_op_disarm,
	[SC_OP_DOCTOR] = sc_op_doctor,
	[SC_OP_FIRE] = sc_op_fire,
	[SC_OP_FIRES] = sc_op_fires,
	[SC_OP_ISOLATE] = sc_op_isolate,
	[SC_OP_LIST] = sc_op_list,
	[SC_OP_LISTENER] = sc_op_listener,
	[SC_OP_NOTIFY_DONE] = sc_op_notify_done,
	[SC_OP_NOTIFY_TEST] = sc_op_notify_test,
	[SC_OP_PING] = sc_op_ping,
	[SC_OP_PROBE_ANSWER] = sc_op_probe_answer,
	[SC_OP_PROBE_LIST] = sc_op_probe_list,
	[SC_OP_PROMOTE] = sc_op_promote,
	[SC_OP_READY] = sc_op_ready,
	[SC_OP_REFUSED] = sc_op_refused,
	[SC_OP_REGISTER] = sc_op_register,
	[SC_OP_RELEASE] = sc_op_release,
	[SC_OP_RELOAD] = sc_op_reload,
	[SC_OP_SECRET] = sc_op_secret,
	[SC_OP_SEGMENT] = sc_op_segment,
	[SC_OP_SHIP_QUARANTINE] = sc_op_ship_quarantine,
	[SC_OP_SHIP_STATE] = sc_op_ship_state,
	[SC_OP_SHOW] = sc_op_show,
	[SC_OP_SIGNALS] = sc_op_signals,
	[SC_OP_STATUS] = sc_op_status,
	[SC_OP_UNREGISTER] = sc_op_unregister,
	[SC_OP_WHY] = sc_op_why,
};
_Static_assert(SC_ARRAY_SIZE(handlers) == SC_OP_COUNT, "one handler per operation");

void sc_op_fail(struct sc_op_call *call, enum sc_exit exit, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(call->error, sizeof(call->error), fmt, ap);
	va_end(ap);
	call->exit = exit;
}

const char *sc_op_text(struct sc_op_call *call, const char *key)
{
	json_t *value = json_object_get(call->args, key);

	if (!value || json_is_null(value))
		return NULL;
	if (!json_is_string(value) ||
	    strlen(json_string_value(value)) != json_string_length(value)) {
		sc_op_fail(call, SC_EXIT_USAGE, "%s must be a text without NUL", key);
		return NULL;
	}
	return json_string_value(value);
}

const char *sc_op_need(struct sc_op_call *call, const char *key, const char *what)
{
	const char *text = sc_op_text(call, key);

	if (text && text[0])
		return text;
	if (call->exit == SC_EXIT_DONE)
		sc_op_fail(call, SC_EXIT_USAGE, "%s is missing: %s", key, what);
	return NULL;
}

int sc_op_condition(struct sc_op_call *call, const char *key)
{
	const char *id = sc_op_need(call, key, "the id of a condition");
	int i = id ? sc_conditions_find(call->e->set, id) : -1;

	if (id && i < 0)
		sc_op_fail(call, SC_EXIT_FAILED, "no such condition: %s; `scram list` shows them",
			   id);
	return i < 0 ? -1 : i;
}

bool sc_op_flag(struct sc_op_call *call, const char *key)
{
	return json_is_true(json_object_get(call->args, key));
}

static void finish(struct sc_op_call *call)
{
	if (call->is_deferred) {
		sc_str_done(&call->reply);
		return;
	}
	sc_json_member_u64(&call->json, "exit", call->exit);
	sc_json_member_text(&call->json, "error", call->error[0] ? call->error : NULL);
	sc_json_object_end(&call->json);
	sc_control_reply_fd(&call->e->control, call->to, &call->reply, call->reply_fd);
}

/* token:NAME or anonymous, as the worker that faces them has judged. */
static bool is_principal(const char *text)
{
	return strcmp(text, "anonymous") == 0 ||
	       (strncmp(text, "token:", 6) == 0 && text[6] && strlen(text) < SC_FIRE_OPERATOR_MAX);
}

/* Who asks: the kernel's word, or for those behind a worker the worker's. NULL, or what is illegal
 * about a worker's message; it is never more than a mistake of a peer of the socket. */
static const char *judge(struct sc_op_call *call, int op)
{
	const struct sc_worker_row *worker = call->who.worker;
	const char *principal;

	if (!worker) {
		snprintf(call->principal, sizeof(call->principal), "uid:%u", call->who.uid);
		return NULL;
	}
	if (op < 0)
		return "no request";
	if (!sc_workers_may_ask(call->e, worker, (enum sc_op)op))
		return sc_op_name((enum sc_op)op);
	principal = sc_op_text(call, "principal");
	if (principal ? !is_principal(principal) : sc_op_is_write((enum sc_op)op))
		return "a request without a principal";
	snprintf(call->principal, sizeof(call->principal), "%s%s",
		 principal ? "" : "worker:", principal ? principal : worker->name);
	return NULL;
}

static void refuse(struct sc_op_call *call, const char *op)
{
	sc_op_fail(call, SC_EXIT_USAGE, "only a worker of the agent may ask that");
	sc_refusals_note(call->e, &(struct sc_refusal){.channel = SC_CONTROL_SOCKET,
						       .who = call->principal,
						       .what = op,
						       .why = call->error,
						       .count = 1});
}

void sc_ops_serve(struct sc_engine *e, const struct sc_principal *who, struct sc_reply_to to,
		  const char *request, size_t size)
{
	json_error_t fault;
	struct sc_op_call call = {.e = e, .who = *who, .to = to, .reply_fd = -1};
	const char *name, *illegal;
	int op;

	/* What is asked is asked now, not when the loop last looked at the clock. */
	e->now = sc_time_now();
	sc_str_init_heap(&call.reply);
	sc_json_init(&call.json, &call.reply);
	sc_json_object_begin(&call.json);
	call.args = json_loadb(request, size, JSON_REJECT_DUPLICATES, &fault);
	name = sc_op_text(&call, "op");
	op = name ? sc_op_find(name) : -ENOENT;
	illegal = judge(&call, op);
	if (illegal) {
		sc_str_done(&call.reply);
		sc_workers_misbehaved(e, who->worker, illegal);
		json_decref(call.args);
		return;
	}
	if (!json_is_object(call.args))
		sc_op_fail(&call, SC_EXIT_USAGE, "not a JSON object: %s",
			   call.args ? "another type" : fault.text);
	else if (op < 0)
		sc_op_fail(&call, SC_EXIT_USAGE, "unknown op");
	else if (!who->worker && e->is_over)
		sc_op_fail(&call, SC_EXIT_FAILED, "the agent has ended its work");
	else if (!who->worker && sc_op_is_of_workers((enum sc_op)op))
		refuse(&call, name);
	else
		handlers[op](&call);
	if (op >= 0 && sc_op_is_write((enum sc_op)op) && call.exit != SC_EXIT_DONE)
		sc_log_info("%s by %s refused or failed: %s", name, call.principal, call.error);
	finish(&call);
	json_decref(call.args);
}
