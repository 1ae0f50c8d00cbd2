/* SPDX-License-Identifier: Apache-2.0 */
/* One connection to the store: where it stands, and whether it is the same history. */
#include "worker/ship/ship.h"

#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define CONNECT_MS   10000
#define STATEMENT_MS 15000
#define ANSWER_MS    (STATEMENT_MS + 5000) /* the server ends the statement before we give up */

int sc_ship_call(struct sc_ship *s, const char *sql, const struct sc_pg_params *params,
		 PGresult **out)
{
	static const struct sc_pg_params none = {0, NULL};
	int r;

	SC_ASSERT(s->n_under_way == 0);
	if (!PQexitPipelineMode(s->pg.conn)) {
		sc_pg_note_failure(&s->pg, NULL);
		return -ENOTCONN;
	}
	r = sc_pg_run(&s->pg, sql, params ? params : &none, ANSWER_MS, out);
	if (r < 0 && r != -EREMOTEIO)
		return r;
	if (!PQenterPipelineMode(s->pg.conn) && r == 0) {
		sc_pg_note_failure(&s->pg, NULL);
		return -ENOTCONN;
	}
	return r;
}

/* The host is known once a header was read. */
static int learn_host(struct sc_ship *s)
{
	int r = sc_reader_seek(&s->reader, 1);

	if (r < 0)
		return s->link_error ? -ECANCELED : r == -ENOENT ? -EAGAIN : r;
	return s->reader.host_id[0] ? 0 : -EAGAIN;
}

static int read_cursor(struct sc_ship *s)
{
	static const char sql[] = "SELECT seq, coalesce(hash, '') FROM journal WHERE host_id = $1"
				  " ORDER BY seq DESC LIMIT 1";
	const char *const values[] = {s->reader.host_id};
	const struct sc_pg_params params = {1, values};
	_cleanup_result_ PGresult *result = NULL;
	int r = sc_ship_call(s, sql, &params, &result);

	if (r < 0)
		return r;
	s->cursor = 0;
	s->cursor_hash[0] = '\0';
	if (PQntuples(result) == 1) {
		const char *seq = sc_pg_value(result, 0, 0);

		s->cursor = strtoull(seq, NULL, 10);
		if (!isdigit((unsigned char)seq[0]) || s->cursor > INT64_MAX) { /* no bigint */
			s->cursor = 0;
			return sc_pg_fail(&s->pg, "the server's last record has no number");
		}
		sc_strcopy(s->cursor_hash, sizeof(s->cursor_hash), sc_pg_value(result, 0, 1));
	}
	s->sent = s->cursor;
	return 0;
}

static int forked(struct sc_ship *s, const char *what)
{
	char text[160];

	snprintf(text, sizeof(text), "record %" PRIu64 " of the store %s", s->cursor, what);
	sc_pg_note(&s->pg, SC_PG_FORK, text);
	return -EREMOTEIO;
}

/* The last record of the store must be in this journal, as it is; the reader then stands behind it.
 */
static int compare(struct sc_ship *s)
{
	int r;

	s->has_next = false;
	r = sc_reader_seek(&s->reader, SC_MAX(s->cursor, 1ULL));
	if (r == 0 && s->cursor == 0)
		return 0;
	if (r == 0)
		r = sc_reader_next(&s->reader);
	if (r < 0)
		return s->link_error ? -ECANCELED : r;
	if (r == 0)
		return forked(s, "is not in this journal, which ends before");
	if (s->reader.line.record.seq > s->cursor) { /* not readable here: its place is kept */
		s->has_next = true;
		return 0;
	}
	if (s->cursor_hash[0] && strcmp(s->reader.line.hash, s->cursor_hash) != 0)
		return forked(s, "has another hash than in this journal");
	return 0;
}

static int prepare(struct sc_ship *s)
{
	uint64_t deadline_ns = sc_mono_ns() + ANSWER_MS * SC_NS_PER_MS;
	_cleanup_result_ PGresult *result = NULL;
	int r = 0;

	if (!sc_batch_prepare(s->pg.conn) || !PQpipelineSync(s->pg.conn))
		r = -ENOTCONN;
	while (r == 0 && PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
		PGresult *next = NULL;

		r = sc_pg_result(&s->pg, deadline_ns, &next);
		if (r == 0 && sc_mono_ns() >= deadline_ns)
			r = sc_pg_fail(&s->pg, SC_PG_NO_END);
		if (next && PQresultStatus(next) == PGRES_FATAL_ERROR) {
			sc_pg_note_failure(&s->pg, next);
			r = -EREMOTEIO;
		}
		PQclear(result);
		result = next;
	}
	return r;
}

int sc_ship_connect(struct sc_ship *s)
{
	int r = learn_host(s);

	if (r < 0)
		return r;
	r = sc_pg_open(&s->pg, s->url, CONNECT_MS, STATEMENT_MS);
	if (r < 0)
		return r;
	if (!PQenterPipelineMode(s->pg.conn)) {
		sc_pg_note_failure(&s->pg, NULL);
		return -ENOTCONN;
	}
	r = prepare(s);
	if (r == 0)
		r = read_cursor(s);
	return r < 0 ? r : compare(s);
}
