/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/ship/ship.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#define ANSWER_NS   (20 * SC_NS_PER_S) /* as in ship_session.c: over the server's own limit */
#define IDLE_NS     (SC_NS_PER_S)
#define SYNC_NS     (20 * SC_NS_PER_MS)  /* a record told of is on the disk about then */
#define REPORT_NS   (200 * SC_NS_PER_MS) /* at most so often while records flow */
#define QUIET_NS    (15 * SC_NS_PER_S)   /* the server is asked whether it lives */
#define BACKOFF_NS  (200 * SC_NS_PER_MS)
#define BACKOFF_MAX (30 * SC_NS_PER_S)

int sc_ship_init(struct sc_ship *s, struct sc_link *link, const char *url)
{
	*s = (struct sc_ship){.link = link, .url = url};
	sc_pg_init(&s->pg, sc_ship_wait, s);
	for (int i = 0; i < SC_SHIP_DEPTH; i++)
		sc_batch_init(&s->batch[i]);
	return sc_reader_init(&s->reader, sc_ship_open_segment, s);
}

void sc_ship_done(struct sc_ship *s)
{
	sc_pg_close(&s->pg);
	sc_reader_done(&s->reader);
	for (int i = 0; i < SC_SHIP_DEPTH; i++)
		sc_batch_done(&s->batch[i]);
}

/* --- sending --- */

/* The next record that may go stands in reader.line: 1; 0 when none does; -errno. */
static int look_ahead(struct sc_ship *s)
{
	int r;

	if (!s->has_next) {
		r = sc_reader_next(&s->reader);
		if (r <= 0)
			return r < 0 && s->link_error ? -ECANCELED : r;
		s->has_next = true;
	}
	return s->reader.line.record.seq <= s->durable;
}

/* Fills the batch with records in a row: 0 or -errno. */
static int fill(struct sc_ship *s, struct sc_batch *b)
{
	int r = 0;

	sc_batch_reset(b);
	while (!sc_batch_is_full(b) && (r = look_ahead(s)) == 1) {
		if (s->reader.line.record.seq != s->sent + 1)
			break; /* a gap, or a number again: see mend */
		sc_batch_add(b, &s->reader.line);
		s->sent = b->last;
		s->has_next = false;
		if (b->last <= s->single_until)
			break;
	}
	return SC_MIN(r, 0);
}

static bool is_next_apart(const struct sc_ship *s)
{
	return s->has_next && s->reader.line.record.seq != s->sent + 1 &&
	       s->reader.line.record.seq <= s->durable;
}

static int send_some(struct sc_ship *s)
{
	while (!s->has_failed && s->n_under_way < SC_SHIP_DEPTH) {
		struct sc_batch *b = &s->batch[(s->head + s->n_under_way) % SC_SHIP_DEPTH];
		int r;

		if (s->n_under_way && s->sent < s->single_until)
			return 0;
		r = fill(s, b);
		if (r < 0 || b->n == 0)
			return r;
		if (!sc_batch_send(b, s->pg.conn, s->reader.host_id)) {
			sc_pg_note_failure(&s->pg, NULL);
			return -ENOTCONN;
		}
		s->n_under_way++;
	}
	return 0;
}

/* Takes the results of the oldest batch; the sync behind them comes after its COMMIT. */
static int take_answer(struct sc_ship *s)
{
	struct sc_batch *b = &s->batch[s->head];
	uint64_t deadline_ns = sc_mono_ns() + ANSWER_NS;
	bool is_good = true, is_told = false;

	for (;;) {
		_cleanup_result_ PGresult *result = NULL;
		int r = sc_pg_result(&s->pg, deadline_ns, &result);

		if (r == 0 && sc_mono_ns() >= deadline_ns)
			r = sc_pg_fail(&s->pg, SC_PG_NO_END);
		if (r < 0)
			return r;
		if (PQresultStatus(result) == PGRES_PIPELINE_SYNC)
			break;
		is_told |= result != NULL;
		if (!result || PQresultStatus(result) == PGRES_TUPLES_OK)
			continue;
		is_good = false;
		if (!s->has_failed && PQresultStatus(result) == PGRES_FATAL_ERROR) {
			sc_pg_note_failure(&s->pg, result);
			s->failed = b;
		}
		s->has_failed = true;
	}
	if (!is_told)
		return sc_pg_fail(&s->pg, "the server passes over a batch");
	s->head = (s->head + 1) % SC_SHIP_DEPTH;
	s->n_under_way--;
	s->heard_ns = sc_mono_ns();
	if (is_good) {
		s->cursor = b->last;
		sc_strcopy(s->cursor_hash, sizeof(s->cursor_hash), b->hash);
	}
	return 0;
}

/* --- records that do not go --- */

static void count_error(struct sc_ship *s, enum sc_pg_class class, const char *words)
{
	s->errors[class].count++;
	sc_strcopy(s->errors[class].last, sizeof(s->errors[class].last), words);
}

/* Keeps the place of record `seq` in the store; the hashes may be NULL. */
static int refuse(struct sc_ship *s, uint64_t seq, const char *prev, const char *hash,
		  const char *why)
{
	char number[24];
	const char *const values[] = {s->reader.host_id, number, prev, hash, why};
	const struct sc_pg_params params = {5, values};
	int r;

	snprintf(number, sizeof(number), "%" PRIu64, seq);
	r = sc_ship_call(s, "SELECT scram_refuse($1, $2, $3, $4, $5)", &params, NULL);
	if (r < 0)
		return r;
	s->cursor = seq;
	sc_strcopy(s->cursor_hash, sizeof(s->cursor_hash), hash ? hash : "");
	s->sent = seq;
	s->refused++;
	sc_log_error("record %" PRIu64 " is in quarantine: %s", seq, why);
	return 0;
}

/* The numbers go on elsewhere than they should: lines of this journal are not readable. */
static int mend(struct sc_ship *s)
{
	static const char why[] = "not readable in the journal of the host";
	const struct sc_str none = {.data = (char *)""};
	uint64_t next = s->reader.line.record.seq;
	int r = 0;

	if (next <= s->sent) {
		sc_pg_note(&s->pg, SC_PG_FORK, "a record's number stands in this journal twice");
		return -EREMOTEIO;
	}
	while (r == 0 && s->sent + 1 < next) {
		uint64_t seq = s->sent + 1;
		bool is_last = seq + 1 == next;

		count_error(s, SC_PG_MALFORMED, why);
		r = sc_ship_quarantine(s, seq, &none, why);
		if (r == 0)
			r = refuse(s, seq, s->cursor_hash[0] ? s->cursor_hash : NULL,
				   is_last ? s->reader.line.prev : NULL, why);
	}
	return r;
}

/* The one record that the store will never take is put aside, and its place kept. */
static int put_aside(struct sc_ship *s)
{
	_cleanup_str_ struct sc_str line;
	char prev[SC_HASH_TEXT_MAX], hash[SC_HASH_TEXT_MAX];
	char why[SC_PG_ERROR_MAX];
	int r = sc_reader_seek(&s->reader, s->cursor + 1);

	sc_str_init_heap(&line);
	s->has_next = false;
	if (r == 0)
		r = sc_reader_next(&s->reader);
	if (r <= 0)
		return r < 0 && s->link_error ? -ECANCELED : SC_MIN(r, 0);
	sc_str_addn(&line, s->reader.line.record.line, s->reader.line.record.line_len);
	sc_strcopy(prev, sizeof(prev), s->reader.line.prev);
	sc_strcopy(hash, sizeof(hash), s->reader.line.hash);
	sc_strcopy(why, sizeof(why), s->pg.error);
	count_error(s, s->pg.class, why);
	r = line.truncated ? -ENOMEM : sc_ship_quarantine(s, s->cursor + 1, &line, why);
	return r < 0 ? r : refuse(s, s->cursor + 1, prev, hash, why);
}

/* All have answered, one of them with a refusal. */
static int after_failure(struct sc_ship *s)
{
	unsigned int n = s->failed ? s->failed->n : 0;
	uint64_t last = s->failed ? s->failed->last : 0;
	int r;

	s->has_failed = false;
	s->failed = NULL;
	if (s->pg.verdict != SC_PG_REFUSED || n == 0)
		return -EREMOTEIO;
	s->sent = s->cursor;
	s->has_next = false;
	if (n == 1)
		return put_aside(s);
	s->single_until = last;
	r = sc_reader_seek(&s->reader, s->cursor + 1);
	return r < 0 && s->link_error ? -ECANCELED : r;
}

/* --- the flow --- */

/* What the server says unasked is dropped, lest it piles up. False: the connection is gone. */
static bool take_unasked(struct sc_ship *s)
{
	PGnotify *note;

	if (!PQconsumeInput(s->pg.conn))
		return false;
	(void)PQisBusy(s->pg.conn); /* parses it */
	while ((note = PQnotifies(s->pg.conn)) != NULL)
		PQfreemem(note);
	return PQstatus(s->pg.conn) != CONNECTION_BAD;
}

/* Nothing is under way: waits for the core to tell of records, or for the server to go away. */
static int idle(struct sc_ship *s)
{
	uint64_t now = sc_mono_ns();
	bool lags = s->newest > s->durable;
	int r = sc_ship_wait(s, -1, 0, now + (lags ? SYNC_NS : IDLE_NS));
	struct pollfd p = {.fd = PQsocket(s->pg.conn), .events = POLLIN};

	if (r < 0)
		return r;
	if (poll(&p, 1, 0) > 0 && !take_unasked(s)) {
		sc_pg_note_failure(&s->pg, NULL);
		return -ENOTCONN;
	}
	if (now - s->heard_ns > QUIET_NS) {
		r = sc_ship_call(s, "SELECT 1", NULL, NULL);
		s->heard_ns = now;
	}
	return r < 0 ? r : sc_ship_report(s);
}

int sc_ship_step(struct sc_ship *s)
{
	int r = send_some(s);

	if (r == 0 && s->n_under_way == 0 && is_next_apart(s))
		return mend(s);
	if (r == 0 && s->n_under_way == 0)
		return idle(s);
	if (r == 0)
		r = take_answer(s);
	if (r == 0 && s->has_failed && s->n_under_way == 0)
		r = after_failure(s);
	if (r == 0 && sc_mono_ns() - s->reported_ns > REPORT_NS)
		r = sc_ship_report(s);
	return r;
}

/* Half of it and a random part of the other half, so that many hosts do not come at once. */
static uint64_t jitter(uint64_t ns)
{
	uint64_t random;

	sc_random(&random, sizeof(random));
	return ns / 2 + random % (ns / 2 + 1);
}

/* Waits for the next try, and goes on telling the core. 0 or -ECANCELED. */
static int back_off(struct sc_ship *s, uint64_t ns)
{
	uint64_t until = sc_mono_ns() + jitter(ns);
	int r = sc_ship_report(s);

	while (r >= 0 && sc_mono_ns() < until) {
		r = sc_ship_wait(s, -1, 0, SC_MIN(until, sc_mono_ns() + IDLE_NS));
		if (r >= 0 && sc_mono_ns() - s->reported_ns > IDLE_NS)
			r = sc_ship_report(s);
	}
	return SC_MIN(r, 0);
}

static void note_end(struct sc_ship *s, int r)
{
	bool was_connected = s->is_connected;
	char before[SC_PG_ERROR_MAX];

	if (r != -ENOTCONN && r != -EREMOTEIO)
		sc_pg_note(&s->pg, SC_PG_TRANSIENT, strerror(-r));
	sc_strcopy(before, sizeof(before), s->error);
	sc_strcopy(s->error, sizeof(s->error), s->pg.error);
	s->is_connected = false;
	s->transient++;
	if (s->pg.verdict != SC_PG_FORK)
		count_error(s, s->pg.class, s->error);
	if (s->pg.verdict == SC_PG_FORK)
		sc_strcopy(s->alarm, sizeof(s->alarm), s->pg.error);
	/* Each failure is told once, not at each try. */
	if (was_connected || strcmp(before, s->error) != 0)
		sc_log_error("the store: %s%s", s->pg.verdict == SC_PG_FORK ? "FORK: " : "",
			     s->error);
}

/* One connection from its begin to its end. */
static int session(struct sc_ship *s, bool *progressed)
{
	uint64_t begin;
	int r;

	s->n_under_way = 0;
	s->head = 0;
	s->has_failed = false;
	r = sc_ship_connect(s);
	begin = s->cursor;
	if (r == 0) {
		if (s->error[0])
			sc_log_info("the store: connected, it has record %" PRIu64, s->cursor);
		s->is_connected = true;
		s->alarm[0] = s->error[0] = '\0';
		s->heard_ns = sc_mono_ns();
		*progressed = true;
		r = sc_ship_report(s);
	}
	while (r == 0)
		r = sc_ship_step(s);
	*progressed = *progressed && (s->cursor > begin || r == -ECANCELED);
	sc_pg_close(&s->pg);
	return r;
}

int sc_ship_run(struct sc_ship *s)
{
	uint64_t backoff = BACKOFF_NS;
	int r = sc_ship_report(s);

	while (r == 0) {
		bool progressed = false;

		r = session(s, &progressed);
		if (r == -ECANCELED)
			break;
		if (r != -EAGAIN) /* the journal has no record yet: no fault */
			note_end(s, r);
		backoff = progressed ? BACKOFF_NS : SC_MIN(2 * backoff, (uint64_t)BACKOFF_MAX);
		r = back_off(s, backoff);
	}
	return s->stops ? 0 : s->link_error;
}
