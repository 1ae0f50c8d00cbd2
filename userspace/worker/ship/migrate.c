/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/ship/migrate.h"

#include "base/clock.h"
#include "base/diag.h"
#include "base/json.h"
#include "worker/ship/migrations.h"
#include "worker/ship/pg.h"

#include <errno.h>
#include <string.h>

#define CONNECT_MS   10000
#define STATEMENT_MS 300000 /* an index over a large table takes its time */
#define LOCK_MS      "60000"
/* Of pg_advisory_lock: "scram" and this purpose. */
#define LOCK_KEY "5067894530601051137"

struct run {
	const struct sc_migrate_options *options;
	struct sc_migrations *files;
	struct sc_pg pg;
	PGresult *applied; /* version, name, checksum; NULL: no table yet */
	struct sc_json json;
	struct sc_str text;
	unsigned int n_applied;
};

/* One line to people; to programs a row. */
static void tell(struct run *run, const char *name, const char *what)
{
	if (!run->options->is_json) {
		printf("%s: %s\n", name, what);
		fflush(stdout);
		return;
	}
	sc_json_object_begin(&run->json);
	sc_json_member_text(&run->json, "migration", name);
	sc_json_member_text(&run->json, "result", what);
	sc_json_object_end(&run->json);
}

static int refuse(struct sc_diag *diag, const struct sc_pg *pg, const char *what)
{
	return sc_diag_set(diag, -EREMOTEIO, 0, 0, "%s: %s", what, pg->error);
}

static int look(struct run *run, struct sc_diag *diag)
{
	_cleanup_result_ PGresult *table = NULL;
	int r = sc_pg_run(&run->pg, "SELECT to_regclass('schema_migrations') IS NOT NULL", NULL,
			  STATEMENT_MS, &table);

	if (r == 0 && !strcmp(PQgetvalue(table, 0, 0), "t"))
		r = sc_pg_run(
			&run->pg,
			"SELECT version, name, checksum FROM schema_migrations ORDER BY version",
			NULL, STATEMENT_MS, &run->applied);
	return r < 0 ? refuse(diag, &run->pg, "what is applied cannot be read") : 0;
}

/* The row of that version, or -1. */
static int row_of(const struct run *run, unsigned int version)
{
	for (int i = 0; i < PQntuples(run->applied); i++)
		if (strtoul(PQgetvalue(run->applied, i, 0), NULL, 10) == version)
			return i;
	return -1;
}

/* The files must begin with exactly what is applied. */
static int compare(const struct run *run, struct sc_diag *diag)
{
	int n = PQntuples(run->applied);

	for (int i = 0; i < n; i++) {
		size_t k = (size_t)i;
		const char *name = PQgetvalue(run->applied, i, 1);

		if (k >= run->files->n || strcmp(PQgetvalue(run->applied, i, 0), "") == 0 ||
		    row_of(run, run->files->item[k].version) != i)
			return sc_diag_set(
				diag, -ENOENT, 0, 0,
				"%s is applied, and these files do not have it in its place; "
				"is this an older scram?",
				name);
		if (strcmp(PQgetvalue(run->applied, i, 2), run->files->item[k].checksum) != 0)
			return sc_diag_set(
				diag, -EBADMSG, 0, 0,
				"%s was edited after it was applied; put it back, and make "
				"the change in a new migration",
				name);
	}
	return 0;
}

/* The search path holds still: functions keep it as it is now. */
static const char begin_sql[] = "BEGIN; SELECT set_config('search_path', "
				"quote_ident(current_schema()) || ', pg_temp', true);";

static int apply(struct run *run, const struct sc_migration *m, struct sc_diag *diag)
{
	char version[16];
	const char *const values[] = {version, m->name, m->checksum};
	const struct sc_pg_params params = {3, values};
	int r = sc_pg_run(&run->pg, begin_sql, NULL, STATEMENT_MS, NULL);

	snprintf(version, sizeof(version), "%u", m->version);
	if (r == 0)
		r = sc_pg_run(&run->pg, m->sql, NULL, STATEMENT_MS, NULL);
	if (r == 0 && PQtransactionStatus(run->pg.conn) != PQTRANS_INTRANS) {
		sc_pg_note(&run->pg, SC_PG_REFUSED, "it ends its own transaction");
		r = -EREMOTEIO;
	}
	if (r == 0)
		r = sc_pg_run(&run->pg,
			      "INSERT INTO schema_migrations (version, name, checksum)"
			      " VALUES ($1, $2, $3)",
			      &params, STATEMENT_MS, NULL);
	if (r == 0)
		r = sc_pg_run(&run->pg, "COMMIT", NULL, STATEMENT_MS, NULL);
	if (r == 0)
		return 0;
	return refuse(diag, &run->pg, m->name); /* the connection ends, and with it what is open */
}

static int apply_all(struct run *run, struct sc_diag *diag)
{
	for (size_t i = 0; i < run->files->n; i++) {
		const struct sc_migration *m = &run->files->item[i];
		int r;

		if (row_of(run, m->version) >= 0)
			continue;
		if (run->options->is_dry_run) {
			tell(run, m->name, "would be applied");
			run->n_applied++;
			continue;
		}
		r = apply(run, m, diag);
		if (r < 0)
			return r;
		run->n_applied++;
		tell(run, m->name, "applied");
	}
	return 0;
}

/* Alone from here on; the lock ends with the connection. */
static int lock(struct run *run, struct sc_diag *diag)
{
	int r = sc_pg_run(&run->pg, "SET lock_timeout = " LOCK_MS, NULL, STATEMENT_MS, NULL);

	if (r == 0)
		r = sc_pg_run(&run->pg, "SELECT pg_advisory_lock(" LOCK_KEY ")", NULL,
			      2 * STATEMENT_MS, NULL);
	if (r == 0 && !run->options->is_dry_run)
		r = sc_pg_run(
			&run->pg,
			"CREATE TABLE IF NOT EXISTS schema_migrations (version int PRIMARY KEY,"
			" name text NOT NULL, checksum text NOT NULL,"
			" applied_at timestamptz NOT NULL DEFAULT now())",
			NULL, STATEMENT_MS, NULL);
	return r < 0 ? refuse(diag, &run->pg, "the migrations cannot be locked") : 0;
}

static int run_all(struct run *run, struct sc_diag *diag)
{
	int r = sc_migrations_read(run->options->dir, &run->files, diag);

	if (r < 0)
		return r;
	r = sc_pg_open(&run->pg, run->options->url, CONNECT_MS, STATEMENT_MS);
	if (r < 0)
		return refuse(diag, &run->pg, "no connection to the store");
	r = lock(run, diag);
	if (r == 0)
		r = look(run, diag);
	if (r == 0)
		r = compare(run, diag);
	return r < 0 ? r : apply_all(run, diag);
}

static void finish(struct run *run, int r, const struct sc_diag *diag)
{
	const char *done = run->options->is_dry_run ? "to apply" : "applied";

	if (run->options->is_json) {
		sc_json_array_end(&run->json);
		sc_json_member_u64(&run->json, "applied",
				   run->options->is_dry_run ? 0 : run->n_applied);
		sc_json_member_text(&run->json, "error", r < 0 ? diag->text : NULL);
		sc_json_object_end(&run->json);
		puts(run->text.data);
	} else if (r == 0) {
		printf("%u %s, %zu in all\n", run->n_applied, done, run->files->n);
	}
	if (r < 0)
		fprintf(stderr, "scram migrate: %s\n", diag->text[0] ? diag->text : strerror(-r));
}

int sc_migrate(const struct sc_migrate_options *options)
{
	struct run run = {.options = options};
	struct sc_diag diag = {0};
	int r;

	sc_pg_init(&run.pg, sc_pg_wait_alone, NULL);
	sc_str_init_heap(&run.text);
	sc_json_init(&run.json, &run.text);
	sc_json_object_begin(&run.json);
	sc_json_key(&run.json, "migrations");
	sc_json_array_begin(&run.json);
	r = run_all(&run, &diag);
	finish(&run, r, &diag);
	PQclear(run.applied);
	sc_pg_close(&run.pg);
	sc_migrations_free(&run.files);
	sc_str_done(&run.text);
	return r < 0 ? 1 : 0;
}

int sc_ping_store(const struct sc_migrate_options *options)
{
	_cleanup_result_ PGresult *found = NULL;
	uint64_t begin_ns = sc_mono_ns();
	struct sc_pg pg;
	int r;

	sc_pg_init(&pg, sc_pg_wait_alone, NULL);
	r = sc_pg_open(&pg, options->url, CONNECT_MS, CONNECT_MS);
	if (r == 0)
		r = sc_pg_run(&pg, "SET default_transaction_read_only = on", NULL, CONNECT_MS,
			      NULL);
	if (r == 0)
		r = sc_pg_run(&pg,
			      "SELECT current_setting('server_version'), max(version),"
			      " has_table_privilege('journal', 'INSERT') FROM schema_migrations",
			      NULL, CONNECT_MS, &found);
	if (r < 0)
		fprintf(stderr, "scram ping: the store: %s\n", pg.error);
	else if (strcmp(PQgetvalue(found, 0, 2), "t") != 0)
		r = fprintf(stderr,
			    "scram ping: the store answers, but this user may not add to the "
			    "journal; GRANT scram_ship TO it\n") > 0
			    ? -EACCES
			    : -EIO;
	else
		printf("the store answers: PostgreSQL %s, migration %s, in %.1f ms\n",
		       PQgetvalue(found, 0, 0), PQgetvalue(found, 0, 1),
		       (double)(sc_mono_ns() - begin_ns) / 1e6);
	sc_pg_close(&pg);
	return r < 0 ? 1 : 0;
}
