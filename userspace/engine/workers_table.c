/* SPDX-License-Identifier: Apache-2.0 */
/* Which workers there are, when each is wanted, and what each may ask. */
#include "engine/core.h"
#include "engine/notify.h"
#include "engine/store.h"
#include "engine/workers_impl.h"

#include <string.h>

#define OP(name) (1ULL << SC_OP_##name)
#define MIB      (1024ULL * 1024)

static bool is_api_wanted(const struct sc_engine *e)
{
	return e->workers->http.fd >= 0 || e->workers->http.local_fd >= 0;
}

static void add_api_hello(struct sc_engine *e, struct sc_json *j)
{
	const struct sc_http_listener *http = &e->workers->http;

	sc_json_member_text(j, "listen", http->fd < 0 ? NULL : http->where);
	sc_json_member_text(j, "socket", http->local_fd < 0 ? NULL : http->local.sun_path);
}

static bool is_ship_wanted(const struct sc_engine *e)
{
	const char *url = getenv("DATABASE_URL");

	(void)e;
	return url && url[0];
}

static bool has_command(const struct sc_notify_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->item[i].kind == SC_NOTIFY_COMMAND)
			return true;
	return false;
}

static bool runs_programs(const struct sc_engine *e)
{
	for (size_t i = 0; i < e->config.probe_count; i++)
		if (e->config.probes[i].kind == SC_PROBE_EXEC)
			return true;
	for (size_t i = 0; e->set && i < sc_conditions_count(e->set); i++)
		if (has_command(&sc_conditions_get(e->set, i)->spec->notify))
			return true;
	return has_command(&e->config.notify);
}

static bool is_probe_wanted(const struct sc_engine *e)
{
	return e->config.probe_count || sc_notifiers_are_wanted(e);
}

/* Secrets go to the one worker that needs them, and to nobody by a message. */
static const char *const api_env[] = {"SCRAM_API_TOKEN", NULL};
/* All that libpq takes and `scram migrate` has taken: one that was left out, PGCHANNELBINDING say,
 * would make the way to the store a weaker one than was asked for. */
static const char *const ship_env[] = {"DATABASE_URL",
				       "SCRAM_MIGRATIONS_DIR",
				       "PGHOST",
				       "PGHOSTADDR",
				       "PGPORT",
				       "PGDATABASE",
				       "PGUSER",
				       "PGPASSFILE",
				       "PGPASSWORD",
				       "PGSERVICE",
				       "PGSERVICEFILE",
				       "PGOPTIONS",
				       "PGREQUIREPEER",
				       "PGREQUIREAUTH",
				       "PGCHANNELBINDING",
				       "PGSSLMODE",
				       "PGSSLROOTCERT",
				       "PGSSLCERT",
				       "PGSSLKEY",
				       "PGSSLCRL",
				       "PGSSLCRLDIR",
				       "PGSSLSNI",
				       "PGSSLMINPROTOCOLVERSION",
				       "PGSSLMAXPROTOCOLVERSION",
				       "PGTARGETSESSIONATTRS",
				       NULL};
static const char *const probe_env[] = {"http_proxy",    "https_proxy",  "no_proxy",
					"SSL_CERT_FILE", "SSL_CERT_DIR", NULL};

_Static_assert(SC_OP_COUNT <= 64, "one bit per operation");

/* Tasks are counted by user over the whole host: agents that run side by side share the number. */
const struct sc_worker_row sc_worker_rows[SC_WORKER_COUNT] = {
	[SC_WORKER_API] = {.name = "api",
			   .program = "scram-api",
			   .is_wanted = is_api_wanted,
			   .add_hello = add_api_hello,
			   .ops = OP(READY) | OP(PING) | OP(STATUS) | OP(DOCTOR) | OP(LIST) |
				  OP(FIRES) | OP(SHOW) | OP(SIGNALS) | OP(WHY) | OP(FIRE) |
				  OP(RELEASE) | OP(REGISTER) | OP(UNREGISTER) | OP(SEGMENT) |
				  OP(LISTENER) | OP(REFUSED),
			   .env = api_env,
			   .memory_max = 64 * MIB,
			   .files_max = 1024,
			   .tasks_max = 64},
	[SC_WORKER_PROBE] = {.name = "probe",
			     .program = "scram-probe",
			     .is_wanted = is_probe_wanted,
			     .wants_group = runs_programs,
			     .ops = OP(READY) | OP(PROBE_LIST) | OP(PROBE_ANSWER) | OP(SECRET) |
				    OP(SEGMENT) | OP(NOTIFY_DONE),
			     .env = probe_env,
			     .memory_max = 256 * MIB, /* what it runs has the same bound, each */
			     .files_max = 1024,
			     .tasks_max = 256},
	[SC_WORKER_SHIP] = {.name = "ship",
			    .program = "scram-ship",
			    .is_wanted = is_ship_wanted,
			    .on_gone = sc_store_gone,
			    .ops = OP(READY) | OP(SEGMENT) | OP(SHIP_STATE) | OP(SHIP_QUARANTINE),
			    .env = ship_env,
			    .farewell_ns = SC_NS_PER_S,
			    .memory_max = 64 * MIB,
			    .files_max = 64,
			    .tasks_max = 32},
};
