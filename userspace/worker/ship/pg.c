/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/ship/pg.h"

#include "base/clock.h"
#include "base/str.h"
#include "base/utf8.h"
#include "record/redact.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define SESSION_MS 10000

void sc_pg_init(struct sc_pg *pg, sc_pg_wait_fn *wait, void *arg)
{
	*pg = (struct sc_pg){.wait = wait, .wait_arg = arg};
}

int sc_pg_wait_alone(void *arg, int fd, short events, uint64_t deadline_ns)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n;

	(void)arg;
	do {
		uint64_t now = sc_mono_ns();
		uint64_t left = deadline_ns > now ? deadline_ns - now : 0;

		n = poll(&p, 1, (int)((left + SC_NS_PER_MS - 1) / SC_NS_PER_MS));
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static uint64_t deadline_in(unsigned int ms)
{
	return sc_mono_ns() + ms * SC_NS_PER_MS;
}

/* --- what went wrong --- */

/* The words are the server's, who may be anybody: nothing in them moves a cursor or hides a word.
 */
static void make_plain(char *text)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n;) {
		uint32_t code;
		size_t len = sc_utf8_decode(text + i, n - i, &code);

		if (len == 0 || sc_utf8_is_control(code) || sc_utf8_is_invisible(code))
			memset(text + i, text[i] == '\n' || text[i] == '\t' ? ' ' : '?',
			       SC_MAX(len, (size_t)1));
		i += SC_MAX(len, (size_t)1);
	}
}

void sc_pg_note(struct sc_pg *pg, enum sc_pg_verdict verdict, const char *text)
{
	char raw[SC_PG_ERROR_MAX];
	struct sc_str s;
	size_t n;

	/* libpq ends its lines; one line is shown. */
	sc_strcopy(raw, sizeof(raw), text);
	make_plain(raw);
	n = strlen(raw);
	while (n && raw[n - 1] == ' ')
		raw[--n] = '\0';
	pg->verdict = verdict;
	pg->class = SC_PG_OTHER;
	sc_str_init(&s, pg->error, sizeof(pg->error));
	sc_redact(&s, raw);
}

/*
 * The class of the SQLSTATE (PostgreSQL manual, appendix A). What speaks of the data sent is final;
 * all else may be mended on the server, a missing migration included.
 */
static enum sc_pg_verdict judge(const char *state)
{
	static const char *const final[] = {
		"22", /* data exception */
		"23", /* integrity constraint violation */
		"54", /* program limit exceeded: too large */
		"21", /* cardinality violation */
	};

	if (!strcmp(state, "SC002"))
		return SC_PG_FORK;
	for (size_t i = 0; i < SC_ARRAY_SIZE(final); i++)
		if (!strncmp(state, final[i], 2))
			return SC_PG_REFUSED;
	return SC_PG_TRANSIENT;
}

/*
 * SC001: the row before is not there. datetime_field_overflow: a time that it does not know. A
 * partitioned table without a place for the row tells a check violation without a constraint
 * (ExecFindPartition in src/backend/executor/execPartition.c).
 */
static enum sc_pg_class classify(const struct sc_pg *pg, const PGresult *result)
{
	bool is_named = result && PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);

	if (!strcmp(pg->state, "SC001") || !strcmp(pg->state, "22008") ||
	    (!strcmp(pg->state, "23514") && !is_named))
		return SC_PG_OUT_OF_WINDOW;
	return judge(pg->state) == SC_PG_REFUSED ? SC_PG_MALFORMED : SC_PG_OTHER;
}

/* A hint where the remedy is known and the server's words do not say it. */
static const char *remedy(const char *state)
{
	/* undefined_table, undefined_function, invalid_schema_name */
	if (!strcmp(state, "42P01") || !strcmp(state, "42883") || !strcmp(state, "3F000"))
		return "; run `scram migrate`";
	if (!strcmp(state, "42501"))
		return "; GRANT scram_ship TO this user";
	return "";
}

void sc_pg_note_failure(struct sc_pg *pg, const PGresult *result)
{
	const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
	const char *primary = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
	char text[SC_PG_ERROR_MAX];

	sc_strcopy(pg->state, sizeof(pg->state), state ? state : "");
	if (!primary && result)
		primary = PQresultErrorMessage(result);
	if (!primary || !*primary)
		primary = pg->conn ? PQerrorMessage(pg->conn) : "out of memory";
	snprintf(text, sizeof(text), "%s%s", primary, remedy(pg->state));
	sc_pg_note(pg, judge(pg->state), text);
	pg->class = classify(pg, result);
}

int sc_pg_fail(struct sc_pg *pg, const char *what)
{
	pg->state[0] = '\0';
	sc_pg_note(pg, SC_PG_TRANSIENT, what);
	return -ENOTCONN;
}

/* As pg->wait; a server that always has something to say has its deadline too. */
static int wait_for(struct sc_pg *pg, short events, uint64_t deadline_ns)
{
	if (sc_mono_ns() >= deadline_ns)
		return 0;
	return pg->wait(pg->wait_arg, PQsocket(pg->conn), events, deadline_ns);
}

/* --- the connection --- */

static int connect_within(struct sc_pg *pg, uint64_t deadline_ns)
{
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	while (status == PGRES_POLLING_READING || status == PGRES_POLLING_WRITING) {
		short events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT;
		int r = wait_for(pg, events, deadline_ns);

		if (r < 0)
			return r;
		if (r == 0)
			return sc_pg_fail(pg, "the server did not answer the connection in time");
		status = PQconnectPoll(pg->conn);
	}
	if (status == PGRES_POLLING_OK)
		return 0;
	sc_pg_note_failure(pg, NULL);
	return -ENOTCONN;
}

/* Notices of the server go nowhere: nobody reads a worker's standard error but for its own lines.
 */
static void ignore_notice(void *arg, const PGresult *result)
{
	(void)arg;
	(void)result;
}

int sc_pg_open(struct sc_pg *pg, const char *url, unsigned int timeout_ms,
	       unsigned int statement_ms)
{
	static const char *const keys[] = {"dbname", "fallback_application_name", "client_encoding",
					   NULL};
	const char *const values[] = {url, "scram", "UTF8", NULL};
	char sql[320];
	int r;

	sc_pg_close(pg);
	pg->conn = PQconnectStartParams(keys, values, 1);
	if (!pg->conn || PQstatus(pg->conn) == CONNECTION_BAD) {
		sc_pg_note_failure(pg, NULL);
		sc_pg_close(pg);
		return -ENOTCONN;
	}
	PQsetNoticeReceiver(pg->conn, ignore_notice, NULL);
	r = connect_within(pg, deadline_in(timeout_ms));
	if (r == 0 && PQsetnonblocking(pg->conn, 1) < 0)
		r = sc_pg_fail(pg, "the connection cannot be made non-blocking");
	snprintf(sql, sizeof(sql),
		 "SET statement_timeout = %u; SET lock_timeout = %u; SET TimeZone = 'UTC';"
		 " SET synchronous_commit = on; SET idle_in_transaction_session_timeout = %u",
		 statement_ms, statement_ms, 2 * statement_ms);
	if (r == 0)
		r = sc_pg_run(pg, sql, NULL, SESSION_MS, NULL);
	if (r < 0)
		sc_pg_close(pg);
	return r == -EREMOTEIO ? -ENOTCONN : r;
}

void sc_pg_close(struct sc_pg *pg)
{
	PQfinish(pg->conn);
	pg->conn = NULL;
}

/* --- statements --- */

static int broken(struct sc_pg *pg)
{
	sc_pg_note_failure(pg, NULL);
	return -ENOTCONN;
}

int sc_pg_flush(struct sc_pg *pg, uint64_t deadline_ns)
{
	int left;

	while ((left = PQflush(pg->conn)) != 0) {
		int r;

		if (left < 0)
			return broken(pg);
		/* A server that waits to be read would never read: take what comes. */
		r = wait_for(pg, POLLIN | POLLOUT, deadline_ns);
		if (r <= 0)
			return r < 0 ? r : sc_pg_fail(pg, "the server does not take what is sent");
		if (!PQconsumeInput(pg->conn))
			return broken(pg);
	}
	return 0;
}

static bool is_copy(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

/* libpq would tell of it again and again, until somebody copies. */
static int stray_copy(struct sc_pg *pg, PGresult **result)
{
	PQclear(*result);
	*result = NULL;
	return sc_pg_fail(pg, "the server begins a copy that nobody asked for");
}

int sc_pg_result(struct sc_pg *pg, uint64_t deadline_ns, PGresult **out)
{
	int r = sc_pg_flush(pg, deadline_ns);

	while (r == 0 && PQisBusy(pg->conn)) {
		r = wait_for(pg, POLLIN, deadline_ns);
		if (r == 0)
			return sc_pg_fail(pg, "the server did not answer in time");
		if (r > 0)
			r = PQconsumeInput(pg->conn) ? 0 : broken(pg);
	}
	if (r < 0)
		return r;
	*out = PQgetResult(pg->conn);
	if (!*out && PQstatus(pg->conn) == CONNECTION_BAD)
		return broken(pg);
	return is_copy(*out) ? stray_copy(pg, out) : 0;
}

static bool is_good(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);

	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ||
	       status == PGRES_EMPTY_QUERY;
}

int sc_pg_run(struct sc_pg *pg, const char *sql, const struct sc_pg_params *params,
	      unsigned int timeout_ms, PGresult **out)
{
	uint64_t deadline_ns = deadline_in(timeout_ms);
	_cleanup_result_ PGresult *last = NULL;
	int failed = 0;
	int sent = params ? PQsendQueryParams(pg->conn, sql, params->n, NULL, params->value, NULL,
					      NULL, 0)
			  : PQsendQuery(pg->conn, sql);

	if (!sent)
		return broken(pg);
	for (;;) {
		PGresult *result = NULL;
		int r = sc_pg_result(pg, deadline_ns, &result);

		if (r == 0 && result && sc_mono_ns() >= deadline_ns)
			r = sc_pg_fail(pg, SC_PG_NO_END);
		if (r < 0) {
			PQclear(result);
			return r;
		}
		if (!result)
			break;
		if (!is_good(result) && !failed) {
			sc_pg_note_failure(pg, result);
			failed = -EREMOTEIO;
		}
		PQclear(last);
		last = result;
	}
	if (failed)
		return PQstatus(pg->conn) == CONNECTION_BAD ? -ENOTCONN : failed;
	if (!last)
		return sc_pg_fail(pg, "the server gave no answer");
	if (out)
		*out = SC_TAKE_PTR(last);
	return 0;
}
