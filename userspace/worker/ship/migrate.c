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
	const char *list;  /* our table of what is applied */
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

/* Other programs keep a table of that name too; theirs is left alone. */
static int find_list(struct sc_pg *pg, const char **list)
{
	static const char sql[] = "SELECT to_regclass('scram_migrations') IS NULL AND "
				  "(to_regclass('schema_migrations')"
				  " IS NULL OR (SELECT count(*) FROM pg_attribute WHERE NOT "
				  "attisdropped AND attrelid ="
				  " to_regclass('schema_migrations') AND attname IN ('version', "
				  "'name', 'checksum')) = 3)";
	_cleanup_result_ PGresult *found = NULL;
	int r = sc_pg_run(pg, sql, NULL, STATEMENT_MS, &found);

	if (r == 0)
		*list = strcmp(sc_pg_value(found, 0, 0), "t") == 0 ? "schema_migrations"
								   : "scram_migrations";
	return r;
}

static int look(struct run *run, struct sc_diag *diag)
{
	_cleanup_result_ PGresult *table = NULL;
	const struct sc_pg_params name = {1, &run->list};
	char sql[128];
	int r = sc_pg_run(&run->pg, "SELECT to_regclass($1) IS NOT NULL", &name, STATEMENT_MS,
			  &table);

	snprintf(sql, sizeof(sql), "SELECT version, name, checksum FROM %s ORDER BY version",
		 run->list);
	if (r == 0 && !strcmp(sc_pg_value(table, 0, 0), "t"))
		r = sc_pg_run(&run->pg, sql, NULL, STATEMENT_MS, &run->applied);
	return r < 0 ? refuse(diag, &run->pg, "what is applied cannot be read") : 0;
}

/* The row of that version, or -1. */
static int row_of(const struct run *run, unsigned int version)
{
	for (int i = 0; i < PQntuples(run->applied); i++)
		if (strtoul(sc_pg_value(run->applied, i, 0), NULL, 10) == version)
			return i;
	return -1;
}

/* The files must begin with exactly what is applied. */
static int compare(const struct run *run, struct sc_diag *diag)
{
	int n = PQntuples(run->applied);

	for (int i = 0; i < n; i++) {
		size_t k = (size_t)i;
		const char *name = sc_pg_value(run->applied, i, 1);

		if (k >= run->files->n || strcmp(sc_pg_value(run->applied, i, 0), "") == 0 ||
		    row_of(run, run->files->item[k].version) != i)
			return sc_diag_set(
				diag, -ENOENT, 0, 0,
				"%s is applied, and these files do not have it in its place; "
				"is this an older scram?",
				name);
		if (strcmp(sc_pg_value(run->applied, i, 2), run->files->item[k].checksum) != 0)
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

/* True where the file would make a table that is there: it is taken over instead. */
static int is_taken_over(struct run *run, const struct sc_migration *m, bool *out)
{
	static const char sql[] = "SELECT EXISTS (SELECT FROM pg_class WHERE relname = $1 AND"
				  " relnamespace = current_schema()::regnamespace)";
	_cleanup_result_ PGresult *found = NULL;
	char table[SC_MIGRATION_NAME_MAX];
	const char *const values[] = {sc_migration_table(m, table, sizeof(table))};
	const struct sc_pg_params params = {1, values};
	int r = 0;

	*out = false;
	if (m->takeover)
		r = sc_pg_run(&run->pg, sql, &params, STATEMENT_MS, &found);
	if (r == 0 && found)
		*out = strcmp(sc_pg_value(found, 0, 0), "t") == 0;
	return r;
}

/* Before anything is applied: what stands in the way must be what we can take over. */
static int check_takeover(struct run *run, struct sc_diag *diag)
{
	bool can_take_over = false;
	int r = 0;

	for (size_t i = 0; i < run->files->n; i++)
		can_take_over |= run->files->item[i].takeover &&
				 row_of(run, run->files->item[i].version) < 0;
	if (!can_take_over || !run->files->check)
		return 0;
	r = sc_pg_run(&run->pg, begin_sql, NULL, STATEMENT_MS, NULL);
	if (r == 0)
		r = sc_pg_run(&run->pg, run->files->check, NULL, STATEMENT_MS, NULL);
	if (r == 0)
		r = sc_pg_run(&run->pg, "ROLLBACK", NULL, STATEMENT_MS, NULL);
	return r < 0 ? refuse(diag, &run->pg, "nothing is changed") : 0;
}

static int note_applied(struct run *run, const struct sc_migration *m)
{
	char version[16], sql[128];
	const char *const values[] = {version, m->name, m->checksum};
	const struct sc_pg_params params = {3, values};

	snprintf(version, sizeof(version), "%u", m->version);
	snprintf(sql, sizeof(sql), "INSERT INTO %s (version, name, checksum) VALUES ($1, $2, $3)",
		 run->list);
	return sc_pg_run(&run->pg, sql, &params, STATEMENT_MS, NULL);
}

static int apply(struct run *run, const struct sc_migration *m, const char *sql,
		 struct sc_diag *diag)
{
	int r = sc_pg_run(&run->pg, begin_sql, NULL, STATEMENT_MS, NULL);

	if (r == 0)
		r = sc_pg_run(&run->pg, sql, NULL, STATEMENT_MS, NULL);
	if (r == 0 && PQtransactionStatus(run->pg.conn) != PQTRANS_INTRANS) {
		sc_pg_note(&run->pg, SC_PG_REFUSED, "it ends its own transaction");
		r = -EREMOTEIO;
	}
	if (r == 0)
		r = note_applied(run, m);
	if (r == 0)
		r = sc_pg_run(&run->pg, "COMMIT", NULL, STATEMENT_MS, NULL);
	if (r == 0)
		return 0;
	return refuse(diag, &run->pg, m->name); /* the connection ends, and with it what is open */
}

static int make_list(struct run *run, struct sc_diag *diag)
{
	char sql[256];

	if (run->options->is_dry_run)
		return 0;
	snprintf(sql, sizeof(sql),
		 "CREATE TABLE IF NOT EXISTS %s (version int PRIMARY KEY, name text NOT NULL,"
		 " checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())",
		 run->list);
	return sc_pg_run(&run->pg, sql, NULL, STATEMENT_MS, NULL) < 0
		       ? refuse(diag, &run->pg, "the list of migrations cannot be made")
		       : 0;
}

static int apply_all(struct run *run, struct sc_diag *diag)
{
	const char *done = run->options->is_dry_run ? "would be applied" : "applied";
	const char *taken = run->options->is_dry_run ? "would take over the original's table"
						     : "took over the original's table";

	for (size_t i = 0; i < run->files->n; i++) {
		const struct sc_migration *m = &run->files->item[i];
		bool takes_over;
		int r;

		if (row_of(run, m->version) >= 0)
			continue;
		r = is_taken_over(run, m, &takes_over);
		if (r < 0)
			return refuse(diag, &run->pg, m->name);
		if (!run->options->is_dry_run)
			r = apply(run, m, takes_over ? m->takeover : m->sql, diag);
		if (r < 0)
			return r;
		run->n_applied++;
		tell(run, m->name, takes_over ? taken : done);
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
	if (r == 0)
		r = find_list(&run->pg, &run->list);
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
	if (r == 0)
		r = check_takeover(run, diag);
	if (r == 0)
		r = make_list(run, diag);
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
	const char *list = NULL;
	struct sc_pg pg;
	char sql[192];
	int r;

	sc_pg_init(&pg, sc_pg_wait_alone, NULL);
	r = sc_pg_open(&pg, options->url, CONNECT_MS, CONNECT_MS);
	if (r == 0)
		r = sc_pg_run(&pg, "SET default_transaction_read_only = on", NULL, CONNECT_MS,
			      NULL);
	if (r == 0)
		r = find_list(&pg, &list);
	snprintf(sql, sizeof(sql),
		 "SELECT current_setting('server_version'), max(version),"
		 " has_table_privilege('journal', 'INSERT') FROM %s",
		 list ? list : "");
	if (r == 0)
		r = sc_pg_run(&pg, sql, NULL, CONNECT_MS, &found);
	if (r < 0)
		fprintf(stderr, "scram ping: the store: %s\n", pg.error);
	else if (strcmp(sc_pg_value(found, 0, 2), "t") != 0)
		r = fprintf(stderr,
			    "scram ping: the store answers, but this user may not add to the "
			    "journal; GRANT scram_ship TO it\n") > 0
			    ? -EACCES
			    : -EIO;
	else
		printf("the store answers: PostgreSQL %s, migration %s, in %.1f ms\n",
		       sc_pg_value(found, 0, 0), sc_pg_value(found, 0, 1),
		       (double)(sc_mono_ns() - begin_ns) / 1e6);
	sc_pg_close(&pg);
	return r < 0 ? 1 : 0;
}
