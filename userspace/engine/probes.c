/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/probes.h"

#include "engine/notify.h"
#include "engine/ops.h"
#include "engine/probe_set.h"
#include "engine/workers.h"

#include <string.h>

/* Unknown for so long is not a hiccup any more. */
#define UNKNOWN_TOLD_NS (60 * SC_NS_PER_S)

void sc_probes_swap(struct sc_engine *e, struct sc_probe_set **set)
{
	sc_probe_set_free(&e->probes);
	e->probes = SC_TAKE_PTR(*set);
	e->source.probes = e->probes->answer;
	e->source.probes_n = (uint32_t)e->probes->n;
}

/* --- what the worker asks --- */

static bool is_from_worker(struct sc_op_call *call)
{
	if (!call->who.worker)
		sc_op_fail(call, SC_EXIT_USAGE, "only the probe worker asks this");
	return call->who.worker != NULL;
}

static const char *kind_name(const struct sc_probe *probe)
{
	return probe->kind == SC_PROBE_EXEC ? "exec" : "http";
}

static void add_definition(const struct sc_probe *probe, struct sc_json *j)
{
	sc_json_object_begin(j);
	sc_json_member_text(j, "name", probe->name);
	sc_json_member_text(j, "kind", kind_name(probe));
	sc_json_member_text(j, "url", probe->url);
	sc_json_key(j, "command");
	sc_json_array_begin(j);
	for (size_t i = 0; i < probe->command.n; i++)
		sc_json_text(j, probe->command.item[i]);
	sc_json_array_end(j);
	sc_json_member_bool(j, "has_token", probe->token_file != NULL);
	sc_json_member_u64(j, "budget_ns", probe->budget_ns);
	sc_json_member_u64(j, "every_ns", probe->every_ns);
	sc_json_object_end(j);
}

void sc_op_probe_list(struct sc_op_call *call)
{
	const struct sc_engine *e = call->e;
	struct sc_json *j = &call->json;

	if (!is_from_worker(call))
		return;
	sc_json_member_u64(j, "generation", e->probes->generation);
	sc_json_member_text(j, "host", sc_journal_host_id(e->journal));
	sc_json_key(j, "probes");
	sc_json_array_begin(j);
	for (size_t i = 0; i < e->probes->n; i++)
		add_definition(&e->probes->probe[i], j);
	sc_json_array_end(j);
	sc_notifiers_add_list(call->e, j);
}

static uint64_t take_number(const struct sc_op_call *call, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(call->args, key));

	return n > 0 ? (uint64_t)n : 0;
}

void sc_op_probe_answer(struct sc_op_call *call)
{
	const json_t *answer = json_object_get(call->args, "answer");
	struct sc_probe_report report = {
		.generation = take_number(call, "generation"),
		.name = sc_op_need(call, "name", "of the probe"),
		.truth = json_is_true(answer)    ? SC_TRUE
			 : json_is_false(answer) ? SC_FALSE
						 : SC_UNKNOWN,
		.fault = sc_probe_fault_find(sc_op_text(call, "class")),
		.why = sc_op_text(call, "why"),
		.took_us = take_number(call, "took_us"),
	};

	if (!is_from_worker(call) || call->exit != SC_EXIT_DONE)
		return;
	sc_json_member_bool(&call->json, "taken",
			    sc_probe_set_take(call->e->probes, &report, call->e->now.mono_ns));
}

/* --- what people ask --- */

/* Why the probe is unknown now, NULL = it is known. */
static const char *reason(const struct sc_engine *e, size_t i, char *buf, size_t size)
{
	const struct sc_probe_answer *a = &e->probes->answer[i];
	const struct sc_probe_state *s = &e->probes->state[i];

	if (!sc_probe_answer_is_unknown(a, e->now.mono_ns))
		return NULL;
	if (!sc_workers_is_up(e, SC_WORKER_PROBE))
		return "the probe worker is down; see doctor";
	if (a->at_ns == 0)
		return "it has not answered yet";
	if (a->truth == SC_UNKNOWN)
		return s->why;
	snprintf(buf, size, "its last answer is older than %.3g s", (double)a->valid_ns / 1e9);
	return buf;
}

static void add_unknowns(const struct sc_probe_state *s, struct sc_json *j)
{
	uint64_t sum = 0;

	sc_json_key(j, "unknown_by");
	sc_json_object_begin(j);
	for (int f = 0; f < SC_PROBE_FAULT_COUNT; f++) {
		sc_json_member_u64(j, sc_probe_fault_name((enum sc_probe_fault)f), s->unknown[f]);
		sum += s->unknown[f];
	}
	sc_json_object_end(j);
	sc_json_member_u64(j, "unknown", sum);
}

static void add_probe(const struct sc_engine *e, size_t i, struct sc_json *j)
{
	const struct sc_probe *probe = &e->probes->probe[i];
	const struct sc_probe_answer *a = &e->probes->answer[i];
	const struct sc_probe_state *s = &e->probes->state[i];
	bool is_unknown = sc_probe_answer_is_unknown(a, e->now.mono_ns);
	char buf[SC_PROBE_WHY_MAX];

	sc_json_object_begin(j);
	sc_json_member_text(j, "name", probe->name);
	sc_json_member_text(j, "kind", kind_name(probe));
	sc_json_key(j, "answer");
	if (is_unknown)
		sc_json_null(j);
	else
		sc_json_bool(j, a->truth == SC_TRUE);
	sc_json_key(j, "age_s");
	if (a->at_ns)
		sc_json_double(j, (double)(e->now.mono_ns - a->at_ns) / 1e9);
	else
		sc_json_null(j);
	sc_json_member_double(j, "valid_s", (double)a->valid_ns / 1e9);
	sc_json_member_text(j, "reason", reason(e, i, buf, sizeof(buf)));
	sc_json_member_u64(j, "runs", s->runs);
	sc_json_member_u64(j, "yes", s->answers[SC_TRUE]);
	sc_json_member_u64(j, "no", s->answers[SC_FALSE]);
	add_unknowns(s, j);
	sc_json_member_u64(j, "took_us", s->took_us);
	sc_json_member_u64(j, "took_max_us", s->took_us_max);
	sc_json_member_text(j, "last_unknown", s->why[0] ? s->why : NULL);
	sc_json_object_end(j);
}

void sc_probes_json(struct sc_engine *e, struct sc_json *j)
{
	sc_json_key(j, "probes");
	sc_json_array_begin(j);
	for (size_t i = 0; e->probes && i < e->probes->n; i++)
		add_probe(e, i, j);
	sc_json_array_end(j);
}

void sc_probes_why_json(struct sc_engine *e, const struct sc_predicate *predicate,
			struct sc_json *j)
{
	sc_json_key(j, "probes");
	sc_json_array_begin(j);
	for (size_t i = 0; predicate && i < e->probes->n; i++)
		if (sc_predicate_asks(predicate, (uint32_t)i))
			add_probe(e, i, j);
	sc_json_array_end(j);
}

static const char *live_condition_that_asks(const struct sc_engine *e, size_t probe)
{
	for (size_t i = 0; i < sc_conditions_count(e->set); i++) {
		const struct sc_condition *c = sc_conditions_get(e->set, i);

		if (c->live && c->predicate && sc_predicate_asks(c->predicate, (uint32_t)probe))
			return c->spec->id;
	}
	return NULL;
}

static const char *fix_of(const struct sc_engine *e, size_t i)
{
	if (!sc_workers_is_up(e, SC_WORKER_PROBE))
		return "see `worker probe`, and the log of the agent";
	return e->probes->probe[i].kind == SC_PROBE_EXEC
		       ? "run its command by hand as the user scram-probe: it must answer by its "
			 "exit status, or print true or false, within its budget"
		       : "ask its URL by hand, `curl -X POST`: it must answer 200 with true or "
			 "false within its budget";
}

void sc_doctor_probes(struct sc_op_call *call)
{
	const struct sc_engine *e = call->e;
	char name[SC_PROBE_WHY_MAX], text[2 * SC_PROBE_WHY_MAX], buf[SC_PROBE_WHY_MAX];

	for (size_t i = 0; e->probes && i < e->probes->n; i++) {
		uint64_t for_ns = sc_probe_set_unknown_for_ns(e->probes, i, e->now.mono_ns);
		const char *id = live_condition_that_asks(e, i);

		if (!id || for_ns < UNKNOWN_TOLD_NS)
			continue;
		snprintf(name, sizeof(name), "probe %s", e->probes->probe[i].name);
		snprintf(text, sizeof(text), "unknown for %llu s, so that %.128s cannot fire: %s",
			 for_ns / SC_NS_PER_S, id, reason(e, i, buf, sizeof(buf)));
		sc_doctor_add(call, name, SC_DOCTOR_YELLOW, text, fix_of(e, i));
	}
}
