/* SPDX-License-Identifier: Apache-2.0 */
/* scram status: the agent's answer, or, with the agent dead, the state file it left. */
#include "cli/answers.h"
#include "cli/ask.h"
#include "cli/render.h"

#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define STATE_FILE_SIZE_MAX (16UL * 1024 * 1024)

static void add_head(struct sc_str *out, const json_t *reply)
{
	const char *before = sc_get_text(reply, "state_before", NULL);

	sc_str_add(out, "scram is ");
	sc_add_text(out, sc_get_text(reply, "state", NULL));
	if (before) {
		sc_str_add(out, ", was ");
		sc_add_text(out, before);
		sc_str_add(out, " at ");
		sc_add_time(out, sc_get_text(reply, "written_at", NULL));
	}
	sc_str_addf(out, " (pid %" PRId64 ", version ", sc_get_int(reply, "pid", 0));
	sc_add_text(out, sc_get_text(reply, "version", NULL));
	sc_str_add(out, " ");
	sc_add_text(out, sc_get_text(reply, "commit", NULL));
	sc_str_add(out, ", up ");
	sc_add_age(out, json_number_value(json_object_get(reply, "uptime_s")));
	sc_str_add(out, ")\n");
	sc_str_add(out, "host        ");
	sc_add_text(out, sc_get_text(reply, "host", NULL));
	sc_str_add(out, ", boot ");
	sc_add_text(out, sc_get_text(reply, "boot", NULL));
	sc_str_add(out, "\n");
}

static void add_tick(struct sc_str *out, const json_t *tick)
{
	sc_str_add(out, "tick        every ");
	sc_add_value(out, json_object_get(tick, "interval_ms"));
	sc_str_add(out, "ms: p50 ");
	sc_add_us(out, json_object_get(tick, "p50_us"));
	sc_str_add(out, ", p99 ");
	sc_add_us(out, json_object_get(tick, "p99_us"));
	sc_str_add(out, ", late p99 ");
	sc_add_us(out, json_object_get(tick, "late_p99_us"));
	sc_str_addf(out, ", %" PRId64 " overruns in %" PRId64 "\n", sc_get_int(tick, "overruns", 0),
		    sc_get_int(tick, "count", 0));
}

static void add_conditions(struct sc_str *out, const json_t *conditions)
{
	const json_t *cannot = json_object_get(conditions, "cannot_fire");
	json_t *entry;
	size_t i;

	sc_str_addf(out,
		    "conditions  %" PRId64 " registered, %" PRId64 " live, %" PRId64 " armed\n",
		    sc_get_int(conditions, "registered", 0), sc_get_int(conditions, "live", 0),
		    sc_get_int(conditions, "armed", 0));
	json_array_foreach (cannot, i, entry) {
		sc_str_add(out, "  ");
		sc_add_text(out, sc_get_text(entry, "id", NULL));
		sc_str_add(out, " cannot fire: ");
		sc_add_text(out, sc_get_text(entry, "reason", NULL));
		sc_str_add(out, "\n");
	}
}

static void add_features(struct sc_str *out, const json_t *features)
{
	json_t *feature;
	size_t i;

	json_array_foreach (features, i, feature) {
		if (sc_get_bool(feature, "attached"))
			continue;
		sc_str_add(out, "missing     ");
		sc_add_text(out, sc_get_text(feature, "name", NULL));
		sc_str_add(out, ": ");
		sc_add_text(out, sc_get_text(feature, "reason", NULL));
		sc_str_add(out, "\n");
	}
}

static void add_journal(struct sc_str *out, const json_t *journal)
{
	sc_str_addf(out,
		    "journal     seq %" PRId64 ", durable %" PRId64 ", %s, %" PRId64 " failures\n",
		    sc_get_int(journal, "seq", 0), sc_get_int(journal, "durable_seq", 0),
		    sc_get_bool(journal, "broken") ? "BROKEN" : "ok",
		    sc_get_int(journal, "failures", 0));
}

static void add_store(struct sc_str *out, const json_t *store)
{
	const char *error = sc_get_text(store, "fork", sc_get_text(store, "last_error", NULL));

	if (!json_is_object(store))
		return;
	sc_str_addf(out,
		    "store       %s, seq %" PRId64 ", %" PRId64 " to go, %" PRId64 " in quarantine",
		    sc_get_text(store, "fork", NULL)  ? "FORK"
		    : sc_get_bool(store, "connected") ? "connected"
						      : "not connected",
		    sc_get_int(store, "shipped_seq", 0), sc_get_int(store, "lag_records", 0),
		    sc_get_int(store, "quarantined", 0));
	if (error) {
		sc_str_add(out, ": ");
		sc_add_text(out, error);
	}
	sc_str_add(out, "\n");
}

static void add_disarmed(struct sc_str *out, const json_t *disarmed)
{
	if (!json_is_object(disarmed) || json_is_false(json_object_get(disarmed, "active")))
		return;
	sc_str_add(out, "DISARMED    by ");
	sc_add_text(out, sc_get_text(disarmed, "operator", NULL));
	sc_str_add(out, " since ");
	sc_add_time(out, sc_get_text(disarmed, "since", NULL));
	sc_str_add(out, ": ");
	sc_add_text(out, sc_get_text(disarmed, "reason", NULL));
	sc_str_add(out, "\n");
}

static void add_active(struct sc_str *out, const json_t *active, bool is_dead)
{
	json_t *fire;
	size_t i;

	json_array_foreach (active, i, fire) {
		sc_str_add(out, "in force    ");
		sc_add_text(out, sc_get_text(fire, "action", NULL));
		sc_str_add(out, " of ");
		sc_add_text(out, sc_get_text(fire, "target", NULL));
		sc_str_add(out, " by ");
		sc_add_text(out, sc_get_text(fire, "by", NULL));
		sc_str_add(out, " since ");
		sc_add_time(out, sc_get_text(fire, "since", NULL));
		if (sc_get_text(fire, "expires", NULL)) {
			sc_str_add(out, " until ");
			sc_add_time(out, sc_get_text(fire, "expires", NULL));
		}
		sc_str_add(out, "; undo: scram release ");
		sc_add_text(out, sc_get_text(fire, "fire_id", NULL));
		sc_str_add(out, is_dead ? " --offline\n" : "\n");
	}
}

/* Every loss counter that is not 0. */
static void add_lost(struct sc_str *out, const json_t *lost)
{
	const char *name;
	json_t *count;

	json_object_foreach ((json_t *)(uintptr_t)lost, name, count) {
		if (!json_is_integer(count) || json_integer_value(count) == 0)
			continue;
		sc_str_add(out, "lost        ");
		sc_add_text(out, name);
		sc_str_addf(out, " %" JSON_INTEGER_FORMAT "\n", json_integer_value(count));
	}
}

/* Those that are asked for, or were. */
static void add_workers(struct sc_str *out, const json_t *workers, const json_t *http)
{
	const char *why = sc_get_text(http, "why", NULL);
	json_t *worker;
	size_t i;

	json_array_foreach (workers, i, worker) {
		const char *state = sc_get_text(worker, "state", NULL);
		const char *end = sc_get_text(worker, "last_end", NULL);

		if (!state || strcmp(state, "off") == 0)
			continue;
		sc_str_add(out, "worker      ");
		sc_add_text(out, sc_get_text(worker, "name", NULL));
		sc_str_add(out, " ");
		sc_add_text(out, state);
		if (sc_get_text(worker, "detail", NULL)) {
			sc_str_add(out, ", ");
			sc_add_text(out, sc_get_text(worker, "detail", NULL));
		}
		if (end) {
			sc_str_addf(out, ", %" PRId64 " restarts, last: ",
				    sc_get_int(worker, "restarts", 0));
			sc_add_text(out, end);
		}
		sc_str_add(out, "\n");
	}
	if (why) {
		sc_str_add(out, "missing     ");
		sc_add_text(out, why);
		sc_str_add(out, "\n");
	}
}

/* One line for all; `scram why` has a line for each. */
static void add_probes(struct sc_str *out, const json_t *probes)
{
	size_t yes = 0, unknown = 0;
	json_t *probe;
	size_t i;

	json_array_foreach (probes, i, probe) {
		yes += sc_get_bool(probe, "answer");
		unknown += json_is_null(json_object_get(probe, "answer"));
	}
	if (json_array_size(probes))
		sc_str_addf(out, "probes      %zu: %zu yes, %zu no, %zu unknown\n",
			    json_array_size(probes), yes, json_array_size(probes) - yes - unknown,
			    unknown);
}

static void add_last_fire(struct sc_str *out, const json_t *fire)
{
	if (!json_is_object(fire))
		return;
	sc_str_add(out, "last fire   ");
	sc_add_time(out, sc_get_text(fire, "fired_at", NULL));
	sc_str_add(out, " ");
	sc_add_text(out, sc_get_text(fire, "condition_id", NULL));
	sc_str_add(out, " on ");
	sc_add_text(out, sc_get_text(fire, "target", NULL));
	sc_str_add(out, ": ");
	sc_add_text(out, sc_get_text(fire, "outcome", sc_get_text(fire, "state", NULL)));
	sc_str_add(out, "\n");
}

void sc_render_status(struct sc_str *out, const json_t *reply)
{
	const json_t *warnings = json_object_get(reply, "warnings");
	bool is_dead = json_object_get(reply, "state_before") != NULL;
	json_t *text;
	size_t i;

	add_head(out, reply);
	add_tick(out, json_object_get(reply, "tick"));
	sc_str_addf(out, "targets     %" PRId64 " watched, %" PRId64 " slots free\n",
		    sc_get_int(reply, "targets", 0), sc_get_int(reply, "slots_free", 0));
	add_conditions(out, json_object_get(reply, "conditions"));
	add_journal(out, json_object_get(reply, "journal"));
	add_store(out, json_object_get(reply, "store"));
	add_features(out, json_object_get(reply, "features"));
	add_workers(out, json_object_get(reply, "workers"), json_object_get(reply, "http"));
	add_probes(out, json_object_get(reply, "probes"));
	add_disarmed(out, json_object_get(reply, "disarmed"));
	/* Why it is disarmed stands above already. */
	if (sc_get_text(reply, "halt", NULL) &&
	    !json_is_object(json_object_get(reply, "disarmed"))) {
		sc_str_add(out, "halt        ");
		sc_add_text(out, sc_get_text(reply, "halt", NULL));
		sc_str_add(out, "\n");
	}
	add_active(out, json_object_get(reply, "active"), is_dead);
	sc_render_cuts(out, reply, is_dead);
	sc_render_unwell(out, reply);
	add_last_fire(out, json_object_get(reply, "last_fire"));
	add_lost(out, json_object_get(reply, "lost"));
	json_array_foreach (warnings, i, text) {
		sc_str_add(out, "warning     ");
		sc_add_value(out, text);
		sc_str_add(out, "\n");
	}
}

static json_t *read_state_file(const struct sc_args *args)
{
	_cleanup_close_ int dirfd = open(args->run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ char *text = malloc(STATE_FILE_SIZE_MAX);
	json_error_t why;
	json_t *state;
	ssize_t n;

	if (!text)
		return NULL;
	n = dirfd < 0 ? -errno : sc_read_file_at(dirfd, SC_STATE_FILE, text, STATE_FILE_SIZE_MAX);
	if (n < 0) {
		sc_complain(args, 0, "no state file at %s/%s: %s", args->run_dir, SC_STATE_FILE,
			    strerror((int)-n));
		return NULL;
	}
	state = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, &why);
	if (!state)
		sc_complain(args, 0, "%s/%s: %s", args->run_dir, SC_STATE_FILE, why.text);
	return state;
}

/* The state file is a status reply of the past: what it says of readiness must not be believed. */
static void mark_dead(json_t *state)
{
	json_t *before = json_object_get(state, "state");

	json_object_set(state, "state_before", before ? before : json_null());
	json_object_set_new(state, "state", json_string("dead"));
	json_object_set_new(state, "ready", json_false());
}

static void show_remains(const struct sc_args *args)
{
	_cleanup_str_ struct sc_str out = {0};
	json_t *state = read_state_file(args);

	sc_str_init_heap(&out);
	if (!state)
		return;
	mark_dead(state);
	sc_complain(args, 0,
		    "the agent does not run; this is what it last wrote to %s/%s:", args->run_dir,
		    SC_STATE_FILE);
	if (args->json) {
		sc_print_json(state, NULL);
	} else {
		sc_render_status(&out, state);
		sc_print_text(&out);
	}
	json_decref(state);
}

int sc_verb_status(const struct sc_args *args)
{
	static const struct sc_question question = {.op = SC_OP_STATUS, .render = sc_render_status};
	_cleanup_str_ struct sc_str out = {0};
	json_t *reply = NULL;
	int status = sc_ask(args, &question, json_object(), &reply);
	int printed;

	if (!reply) {
		if (status == SC_EXIT_UNREACHABLE)
			show_remains(args);
		return status;
	}
	sc_str_init_heap(&out);
	if (status == SC_EXIT_DONE && !sc_get_bool(reply, "ready"))
		status = SC_EXIT_FAILED;
	if (args->json) {
		printed = sc_print_json(reply, NULL);
	} else {
		sc_render_status(&out, reply);
		printed = sc_print_text(&out);
	}
	json_decref(reply);
	return status ? status : printed;
}
