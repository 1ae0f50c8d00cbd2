/* SPDX-License-Identifier: Apache-2.0 */
/* How telling went: what the worker reports, what of it is recorded, and what people see. */
#include "engine/notify_impl.h"
#include "engine/ops.h"

#include "base/log.h"
#include "record/redact.h"

#include <inttypes.h>
#include <string.h>

/* A failing sink is told of so often: once, then with a count. */
#define FAILURE_NS (60 * SC_NS_PER_S)
/* Outcomes recorded at once, and one more each so long: a worker that was taken over does not fill
 * the journal with them. */
#define OUTCOMES_MAX 256
#define OUTCOME_NS   (100 * SC_NS_PER_MS)

struct outcome {
	struct sc_notifier *n; /* NULL: each of them */
	uint64_t seq;
	const char *kind, *fire;
	bool is_outcome, ok; /* else it is progress alone */
	char why[SC_SINK_WHY_MAX];
	uint64_t took_us;
};

static uint64_t take_number(const struct sc_op_call *call, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(call->args, key));

	return n > 0 ? (uint64_t)n : 0;
}

static void write_body(const struct outcome *o, struct sc_str *out)
{
	struct sc_json j;

	sc_json_init(&j, out);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "sink", o->n ? o->n->name : NULL);
	sc_json_member_u64(&j, "seq", o->seq);
	sc_json_member_text(&j, "kind", o->kind);
	sc_json_member_text(&j, "fire", o->fire);
	sc_json_member_bool(&j, "ok", o->ok);
	sc_json_member_text(&j, "why", o->why[0] ? o->why : NULL);
	sc_json_member_u64(&j, "took_us", o->took_us);
	sc_json_member_u64(&j, "untold", o->n ? o->n->untold : 0);
	sc_json_object_end(&j);
}

static bool has_budget(struct sc_notifiers *ns, uint64_t now_ns)
{
	uint64_t more = (now_ns - ns->budget_ns) / OUTCOME_NS;

	if (ns->budget_ns == 0 || more + ns->budget >= OUTCOMES_MAX) {
		ns->budget = OUTCOMES_MAX;
		ns->budget_ns = now_ns;
	} else {
		ns->budget += (unsigned int)more;
		ns->budget_ns += more * OUTCOME_NS;
	}
	if (ns->budget == 0)
		return false;
	ns->budget--;
	return true;
}

/* Each that went well, and of failures the first and one a minute. */
static bool is_to_be_recorded(struct sc_engine *e, const struct outcome *o)
{
	const struct sc_notifier *n = o->n;

	if (!o->is_outcome)
		return false;
	if (!o->ok && n->failure_recorded_ns &&
	    e->now.mono_ns - n->failure_recorded_ns < FAILURE_NS)
		return false;
	return has_budget(e->notifiers, e->now.mono_ns);
}

/* What is not recorded is known until the agent ends. */
static void keep(struct sc_engine *e, const struct outcome *o)
{
	char body[2048], since[SC_TIME_TEXT_MAX];
	struct sc_str text;

	sc_str_init(&text, body, sizeof(body));
	write_body(o, &text);
	SC_ASSERT(!text.truncated);
	if (!is_to_be_recorded(e, o)) {
		if (o->is_outcome)
			o->n->untold++;
		sc_time_text(e->now.real_ns, since);
		sc_fold_apply(e->fold, SC_RECORD_NOTIFY_OUTCOME, body, text.len, since);
		return;
	}
	if (o->ok && o->n->failure_recorded_ns)
		sc_log_info("notify: %s (%s) is told again", o->n->name, o->n->to);
	o->n->untold = 0;
	o->n->failure_recorded_ns = o->ok ? 0 : e->now.mono_ns;
	if (!o->ok)
		sc_log_warning("notify: %s (%s) was not told of record %" PRIu64 ", %s: %s",
			       o->n->name, o->n->to, o->seq, o->kind, o->why);
	(void)sc_records_append(e, SC_RECORD_NOTIFY_OUTCOME, body);
}

static void count(struct sc_engine *e, const struct outcome *o)
{
	struct sc_notifier *n = o->n;

	n->is_failing = !o->ok;
	n->took_us = o->took_us;
	if (o->ok) {
		n->delivered++;
		n->delivered_ns = e->now.real_ns;
		return;
	}
	n->failed++;
	n->failed_ns = e->now.real_ns;
	sc_strcopy(n->why, sizeof(n->why), o->why);
}

/* The words of the worker, as far as they can be true. False: it speaks of nothing that is here, a
 * sink that a reload took away for one. */
static bool take_outcome(struct sc_op_call *call, struct outcome *o)
{
	struct sc_engine *e = call->e;
	const char *sink = sc_op_text(call, "sink"), *why = sc_op_text(call, "why");
	const json_t *ok = json_object_get(call->args, "ok");
	struct sc_journal_stats stats;
	bool ambiguous;
	struct sc_str clean;

	sc_journal_stats(e->journal, &stats);
	*o = (struct outcome){
		.n = sc_notifiers_find(&e->notifiers->now, sink),
		.seq = take_number(call, "seq"),
		.kind = sc_op_text(call, "kind"),
		.fire = sc_op_text(call, "fire"),
		.is_outcome = json_is_boolean(ok),
		.ok = json_is_true(ok),
		.took_us = take_number(call, "took_us"),
	};
	if (o->kind && sc_record_kind_find(o->kind) < 0)
		o->kind = NULL;
	if (o->fire && (strlen(o->fire) != SC_FIRE_ID_MAX - 1 ||
			!sc_fold_fire_find(e->fold, o->fire, &ambiguous)))
		o->fire = NULL;
	sc_str_init(&clean, o->why, sizeof(o->why));
	if (why)
		sc_redact(&clean, why);
	return (o->n || (!sink && !o->is_outcome)) && (o->kind || !o->is_outcome) &&
	       o->seq <= stats.seq;
}

void sc_op_notify_done(struct sc_op_call *call)
{
	struct outcome o;
	bool is_taken;

	if (!call->who.worker) {
		sc_op_fail(call, SC_EXIT_USAGE, "only a worker tells who was told");
		return;
	}
	is_taken = take_outcome(call, &o);
	sc_json_member_bool(&call->json, "taken", is_taken);
	if (!is_taken)
		return;
	if (o.n) {
		o.n->dropped += take_number(call, "dropped");
		o.n->waiting = take_number(call, "waiting");
	}
	if (o.is_outcome)
		count(call->e, &o);
	keep(call->e, &o);
}

/* A record like any other, which every sink of the file is told of. */
void sc_op_notify_test(struct sc_op_call *call)
{
	char body[2048];
	const char *by = sc_op_text(call, "operator");
	struct sc_journal_stats stats;
	struct sc_str text;
	struct sc_json j;

	if (call->exit != SC_EXIT_DONE)
		return;
	if (by && strlen(by) >= SC_FIRE_OPERATOR_MAX) {
		sc_op_fail(call, SC_EXIT_USAGE, "operator is too long");
		return;
	}
	if (!has_budget(call->e->notifiers, call->e->now.mono_ns)) {
		sc_op_fail(call, SC_EXIT_FAILED, "too many tests at once; wait a moment");
		return;
	}
	sc_str_init(&text, body, sizeof(body));
	sc_json_init(&j, &text);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "operator", by);
	sc_json_member_text(&j, "principal", call->principal);
	sc_json_object_end(&j);
	if (!sc_records_append(call->e, SC_RECORD_NOTIFY_TEST, body)) {
		sc_op_fail(call, SC_EXIT_FAILED, "the journal cannot record it; see scram doctor");
		return;
	}
	sc_journal_stats(call->e->journal, &stats);
	sc_json_member_u64(&call->json, "seq", stats.seq);
	sc_json_member_u64(&call->json, "sinks", call->e->notifiers->now.n);
}

/* --- what people see --- */

static void add_time(struct sc_json *j, const char *key, int64_t ns)
{
	char text[SC_TIME_TEXT_MAX];

	sc_time_text(ns, text);
	sc_json_member_text(j, key, ns ? text : NULL);
}

void sc_notifiers_json(struct sc_engine *e, struct sc_json *j)
{
	const struct sc_notifiers *ns = e->notifiers;

	sc_json_key(j, "notify");
	sc_json_array_begin(j);
	for (unsigned int i = 0; ns && i < ns->now.n; i++) {
		const struct sc_notifier *n = &ns->now.item[i];
		const struct sc_fold_sink *told = sc_fold_sink_find(e->fold, n->name);

		sc_json_object_begin(j);
		sc_json_member_text(j, "sink", n->name);
		sc_json_member_text(j, "kind", sc_notifier_kind(n->spec));
		sc_json_member_text(j, "to", n->to);
		sc_json_member_bool(j, "signed", n->spec->secret_file != NULL);
		sc_json_member_bool(j, "for_all", n->is_for_all);
		sc_json_member_u64(j, "delivered", n->delivered);
		sc_json_member_u64(j, "failed", n->failed);
		sc_json_member_u64(j, "dropped", n->dropped);
		sc_json_member_u64(j, "waiting", n->waiting);
		sc_json_member_u64(j, "done_seq", told ? told->done : 0);
		sc_json_member_u64(j, "took_us", n->took_us);
		add_time(j, "last_success", n->delivered_ns);
		add_time(j, "last_failure", n->failed_ns);
		sc_json_member_bool(j, "failing", n->is_failing);
		sc_json_member_text(j, "last_error", n->why[0] ? n->why : NULL);
		sc_json_object_end(j);
	}
	sc_json_array_end(j);
}

void sc_notifiers_add_told(struct sc_engine *e, const struct sc_fire *fire, struct sc_json *j)
{
	const struct sc_fold_told *t;

	sc_json_key(j, "told");
	sc_json_array_begin(j);
	for (unsigned int i = 0; (t = sc_fold_told_at(e->fold, i)) != NULL; i++) {
		const struct sc_notifier *n;

		if (strcmp(t->fire, fire->id) != 0 || !e->notifiers)
			continue;
		n = sc_notifiers_find(&e->notifiers->now, t->sink);
		sc_json_object_begin(j);
		sc_json_member_text(j, "sink", t->sink);
		sc_json_member_text(j, "to", n ? n->to : NULL);
		sc_json_member_text(j, "of", t->kind);
		sc_json_member_u64(j, "seq", t->seq);
		sc_json_member_text(j, "at", t->at);
		sc_json_member_bool(j, "ok", t->ok);
		sc_json_member_text(j, "why", t->why[0] ? t->why : NULL);
		sc_json_object_end(j);
	}
	sc_json_array_end(j);
}

static void check_sink(struct sc_op_call *call, const struct sc_notifier *n)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "%s%s: %" PRIu64 " delivered, %" PRIu64 " failed, %" PRIu64 " dropped, %" PRIu64
		 " waiting%s%s",
		 n->to,
		 n->spec->kind == SC_NOTIFY_WEBHOOK && !n->spec->secret_file ? " (not signed)" : "",
		 n->delivered, n->failed, n->dropped, n->waiting,
		 n->is_failing ? "; the last failed: " : "", n->is_failing ? n->why : "");
	sc_doctor_add(call, n->name, n->is_failing ? SC_DOCTOR_RED : SC_DOCTOR_GREEN, text,
		      "see to the receiver, then: scram test-notify");
}

void sc_doctor_notifiers(struct sc_op_call *call)
{
	const struct sc_notifiers *ns = call->e->notifiers;

	for (unsigned int i = 0; ns && i < ns->now.n; i++)
		check_sink(call, &ns->now.item[i]);
	if (ns && ns->left_out)
		sc_doctor_add(call, "notify", SC_DOCTOR_RED,
			      "more sinks are configured than there is room for: some are told of "
			      "nothing",
			      "name fewer different sinks: 64 at most");
}
