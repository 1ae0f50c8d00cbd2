/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/store_impl.h"

#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#define FORK_TELL_NS (60 * SC_NS_PER_S)

int sc_store_open(struct sc_engine *e)
{
	const char *url = getenv("DATABASE_URL");
	struct sc_store *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->is_on = url && url[0];
	sc_quarantine_init(e, &s->quarantine);
	e->store = s;
	return 0;
}

void sc_store_close(struct sc_engine *e)
{
	free(e->store);
	e->store = NULL;
}

/* Down counts from the first word of it on. */
static void note_down(struct sc_engine *e, bool is_down)
{
	struct sc_store *s = e->store;

	if (is_down && (s->is_connected || !s->is_known))
		s->down_ns = e->now.mono_ns;
	s->is_known = true;
	s->is_connected = !is_down;
}

void sc_store_gone(struct sc_engine *e)
{
	if (e->store)
		note_down(e, true);
}

static double down_s(const struct sc_engine *e)
{
	return e->store->is_connected || e->now.mono_ns < e->store->down_ns
		       ? 0
		       : (double)(e->now.mono_ns - e->store->down_ns) / 1e9;
}

static uint64_t newest_seq(const struct sc_engine *e)
{
	struct sc_journal_stats stats;

	sc_journal_stats(e->journal, &stats);
	return stats.seq;
}

static uint64_t lag(const struct sc_engine *e)
{
	uint64_t seq = newest_seq(e);

	return seq > e->store->shipped ? seq - e->store->shipped : 0;
}

void sc_store_fill(struct sc_engine *e)
{
	bool is_on = e->store && e->store->is_on && e->journal;

	e->source.agent[SC_SIG_store_down_s] = is_on && e->store->is_known ? down_s(e) : NAN;
	e->source.agent[SC_SIG_store_lag_records] = is_on ? (double)lag(e) : NAN;
}

void sc_store_json(struct sc_engine *e, struct sc_json *j)
{
	const struct sc_store *s = e->store;

	sc_json_key(j, "store");
	if (!s || !s->is_on) {
		sc_json_null(j);
		return;
	}
	sc_json_object_begin(j);
	sc_json_member_bool(j, "connected", s->is_connected);
	sc_json_member_double(j, "down_s", down_s(e));
	sc_json_member_u64(j, "shipped_seq", s->shipped);
	sc_json_member_u64(j, "lag_records", lag(e));
	sc_json_member_u64(j, "failures", s->transient);
	sc_json_member_u64(j, "quarantined", s->refused);
	sc_json_member_u64(j, "quarantine_refused", s->quarantine.refused);
	sc_json_member_text(j, "last_error", s->failure[0] ? s->failure : NULL);
	sc_json_member_text(j, "fork", s->fork[0] ? s->fork : NULL);
	sc_store_errors_json(e, j);
	sc_json_object_end(j);
}

/* A fork is an alarm, once each time that it shows; a worker that takes it back and shows it again
 * and again does not fill the journal with it. */
static void take_fork(struct sc_op_call *call)
{
	struct sc_store *s = call->e->store;
	bool was_forked = s->fork[0] != '\0';
	uint64_t now = call->e->now.mono_ns;

	sc_store_take_text(sc_op_text(call, "fork"), s->fork);
	if (s->fork[0] && !was_forked &&
	    (s->fork_told_ns == 0 || now - s->fork_told_ns >= FORK_TELL_NS)) {
		s->fork_told_ns = now;
		sc_log_error("FORK: the store and this journal are two histories: %s", s->fork);
		sc_records_fact(call->e, "fork: the store and this journal are two histories: %s",
				s->fork);
	}
}

void sc_op_ship_state(struct sc_op_call *call)
{
	struct sc_engine *e = call->e;
	struct sc_store *s = e->store;
	bool is_connected = sc_op_flag(call, "connected");
	uint64_t transient = sc_store_take_number(call->args, "transient"),
		 refused = sc_store_take_number(call->args, "refused");

	if (!call->who.worker) {
		sc_op_fail(call, SC_EXIT_USAGE, "only a worker tells of the store");
		return;
	}
	note_down(e, !is_connected);
	if (transient > s->transient)
		s->failed_ns = e->now.mono_ns;
	if (refused > s->refused)
		s->refused_ns = e->now.mono_ns;
	s->shipped = sc_store_take_number(call->args, "shipped");
	s->transient = transient;
	s->refused = refused;
	sc_store_take_text(sc_op_text(call, "failure"), s->failure);
	sc_store_take_errors(call);
	take_fork(call);
	sc_quarantine_sweep(e);
	sc_json_member_u64(&call->json, "durable", sc_journal_durable_seq(e->journal));
}

void sc_doctor_store(struct sc_op_call *call)
{
	const struct sc_engine *e = call->e;
	const struct sc_store *s = e->store;
	uint64_t now = e->now.mono_ns;
	enum sc_doctor_level level = SC_DOCTOR_GREEN;
	const char *fix = NULL;
	char text[2 * SC_STORE_TEXT_MAX];

	if (!s || !s->is_on) {
		sc_doctor_add(call, "store", SC_DOCTOR_GREEN,
			      "none is named by DATABASE_URL: records stay in the journal", NULL);
		return;
	}
	snprintf(text, sizeof(text),
		 "%s, record %" PRIu64 " is there, %" PRIu64 " to go, %" PRIu64
		 " in quarantine%s%s",
		 s->is_connected ? "connected" : "not connected", s->shipped, lag(e), s->refused,
		 s->failure[0] ? "; " : "", s->failure);
	if (!s->is_connected || (s->failed_ns && now - s->failed_ns < SC_STORE_RECENT_NS)) {
		level = s->is_connected ? SC_DOCTOR_GREEN : SC_DOCTOR_YELLOW;
		fix = "scram ping --store, with the agent's DATABASE_URL";
	}
	if (s->refused_ns && now - s->refused_ns < SC_STORE_RECENT_NS) {
		level = SC_DOCTOR_RED;
		fix = "read quarantine/*/reason.txt in the state directory";
	}
	if (s->fork[0]) {
		level = SC_DOCTOR_RED;
		snprintf(text, sizeof(text), "FORK: %s; nothing is shipped", s->fork);
		fix = "scram verify, and SELECT * FROM scram_verify(host) in the store: one of "
		      "them "
		      "was changed or put back";
	}
	sc_doctor_add(call, "store", level, text, fix);
	sc_store_errors_doctor(call);
	sc_quarantine_doctor(call);
}
