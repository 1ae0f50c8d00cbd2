/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenMetrics text (1.0.0): what status, the conditions and the fires tell, as families with HELP
 * and TYPE, base units, and names of others escaped. Ends in # EOF, so that a cut answer shows.
 */
#include "worker/api/api.h"

#include "worker/api/histogram.h"
#include "worker/api/wire.h"

#include <string.h>

/* A number in the JSON of status, by a path with dots, as one family. */
struct metric {
	const char *name; /* without _total */
	const char *path;
	const char *help;
	double scale;
	bool is_counter;
};

static const struct metric metrics[];
static const size_t n_metrics;

static void begin(struct sc_str *out, const char *name, const char *type, const char *help)
{
	size_t n = strlen(name);

	sc_str_addf(out, "# TYPE %s %s\n", name, type);
	if (n > 8 && strcmp(name + n - 8, "_seconds") == 0)
		sc_str_addf(out, "# UNIT %s seconds\n", name);
	sc_str_addf(out, "# HELP %s %s\n", name, help);
}

/* Names are other people's: quotes, backslashes and line ends are escaped. */
static void add_label(struct sc_str *out, const char *value)
{
	for (; *value; value++) {
		if (*value == '\n')
			sc_str_add(out, "\\n");
		else if (*value == '"' || *value == '\\')
			sc_str_addf(out, "\\%c", *value);
		else
			sc_str_addn(out, value, 1);
	}
}

static void add_sample(struct sc_str *out, const char *name, const char *label, const char *value,
		       double number)
{
	sc_str_add(out, name);
	if (label) {
		sc_str_addf(out, "{%s=\"", label);
		add_label(out, value ? value : "");
		sc_str_add(out, "\"}");
	}
	sc_str_addf(out, " %.17g\n", number);
}

static const json_t *at_path(const json_t *from, const char *path)
{
	char key[64];

	while (from && *path) {
		size_t n = strcspn(path, ".");

		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		from = json_object_get(from, key);
		path += n + (path[n] == '.');
	}
	return from;
}

static double number_of(const json_t *value)
{
	return json_is_true(value) ? 1 : json_number_value(value);
}

static void add_numbers(struct sc_str *out, const json_t *status)
{
	for (size_t i = 0; i < n_metrics; i++) {
		const struct metric *m = &metrics[i];
		const json_t *value = at_path(status, m->path);
		char sample[96];

		if (!value)
			continue;
		begin(out, m->name, m->is_counter ? "counter" : "gauge", m->help);
		snprintf(sample, sizeof(sample), "%s%s", m->name, m->is_counter ? "_total" : "");
		add_sample(out, sample, NULL, NULL, number_of(value) * m->scale);
	}
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static void add_lost(struct sc_str *out, const json_t *status)
{
	const char *key;
	json_t *value;

	begin(out, "scram_lost", "counter", "What was lost, dropped or put off, by its kind.");
	json_object_foreach (json_object_get(status, "lost"), key, value)
		add_sample(out, "scram_lost_total", "what", key, number_of(value));
}

static void add_circuits(struct sc_str *out, const json_t *status)
{
	static const char *const states[] = {"closed", "open", "half-open", "forced-open"};
	const json_t *component;
	size_t i;

	begin(out, "scram_circuit_state", "gauge", "1 for the state that the breaker is in.");
	json_array_foreach (json_object_get(status, "components"), i, component) {
		for (size_t k = 0; k < SC_ARRAY_SIZE(states); k++) {
			bool is_it = strcmp(text_of(component, "circuit_state"), states[k]) == 0;

			sc_str_add(out, "scram_circuit_state{component=\"");
			add_label(out, text_of(component, "name"));
			sc_str_addf(out, "\",state=\"%s\"} %d\n", states[k], is_it);
		}
	}
}

/* One number of each element of a list, with the element's name as label. */
static void add_each(struct sc_str *out, const json_t *list, const struct metric *m,
		     const char *label)
{
	const char *name = strcmp(label, "condition") == 0 ? "id"
			   : strcmp(label, "sink") == 0    ? "sink"
							   : "name";
	const json_t *element;
	char sample[96];
	size_t i;

	begin(out, m->name, m->is_counter ? "counter" : "gauge", m->help);
	snprintf(sample, sizeof(sample), "%s%s", m->name, m->is_counter ? "_total" : "");
	json_array_foreach (list, i, element)
		add_sample(out, sample, label, text_of(element, name),
			   number_of(at_path(element, m->path)) * m->scale);
}

static void add_workers(struct sc_str *out, const json_t *status)
{
	static const struct metric each[] = {
		{"scram_worker_restarts", "restarts", "Starts after the first.", 1, true},
		{"scram_worker_illegal", "illegal", "Messages that were not legal.", 1, true},
		{"scram_worker_hung", "hung", "Ends because it did not answer.", 1, true},
		{"scram_worker_events_lost", "events_lost", "Events it did not read.", 1, true},
	};
	const json_t *workers = json_object_get(status, "workers");
	const json_t *worker;
	size_t i;

	begin(out, "scram_worker_up", "gauge", "1 while the worker does its work.");
	json_array_foreach (workers, i, worker)
		add_sample(out, "scram_worker_up", "worker", text_of(worker, "name"),
			   strcmp(text_of(worker, "state"), "up") == 0);
	for (i = 0; i < SC_ARRAY_SIZE(each); i++)
		add_each(out, workers, &each[i], "worker");
}

/* Those who are told of what happens. */
static void add_sinks(struct sc_str *out, const json_t *list)
{
	static const struct metric each[] = {
		{"scram_notify_delivered", "delivered", "Times that it was told.", 1, true},
		{"scram_notify_failed", "failed", "Times that it could not be told.", 1, true},
		{"scram_notify_dropped", "dropped", "What it was not told for want of room.", 1,
		 true},
		{"scram_notify_waiting", "waiting", "What waits for it.", 1, false},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(each); i++)
		add_each(out, list, &each[i], "sink");
}

static void add_conditions(struct sc_str *out, const json_t *list)
{
	static const struct metric each[] = {
		{"scram_condition_live", "live", "1 when it acts, 0 when it is a dry-run.", 1,
		 false},
		{"scram_condition_targets", "targets", "Targets in its scope.", 1, false},
		{"scram_condition_true", "true_now", "Targets on which it holds now.", 1, false},
		{"scram_condition_unknown", "unknown", "Targets on which it is unknown.", 1, false},
		{"scram_condition_eval_seconds", "eval_us", "Its share of the last tick.", 1e-6,
		 false},
		{"scram_condition_eval_max_seconds", "eval_max_us", "Its largest share of a tick.",
		 1e-6, false},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(each); i++)
		add_each(out, list, &each[i], "condition");
}

/* Of what is unknown there is no sample: a 0 would look like an answer. */
static void add_where_known(struct sc_str *out, const json_t *probes, const struct metric *m)
{
	const json_t *probe;
	size_t i;

	begin(out, m->name, "gauge", m->help);
	json_array_foreach (probes, i, probe) {
		const json_t *value = json_object_get(probe, m->path);

		if (value && !json_is_null(value))
			add_sample(out, m->name, "probe", text_of(probe, "name"), number_of(value));
	}
}

static void add_unknown_runs(struct sc_str *out, const json_t *probes)
{
	const json_t *probe;
	size_t i;

	begin(out, "scram_probe_unknown", "counter", "Runs without an answer, by the reason.");
	json_array_foreach (probes, i, probe) {
		const char *reason;
		json_t *n;

		json_object_foreach (json_object_get(probe, "unknown_by"), reason, n) {
			sc_str_add(out, "scram_probe_unknown_total{probe=\"");
			add_label(out, text_of(probe, "name"));
			sc_str_addf(out, "\",reason=\"%s\"} %.17g\n", reason, number_of(n));
		}
	}
}

static void add_probes(struct sc_str *out, const json_t *probes)
{
	static const struct metric where_known[] = {
		{"scram_probe_answer", "answer", "1 for yes, 0 for no, none when unknown.", 1,
		 false},
		{"scram_probe_age_seconds", "age_s", "Since it was last heard of.", 1, false},
	};
	static const struct metric each[] = {
		{"scram_probe_runs", "runs", "Times that it was asked.", 1, true},
		{"scram_probe_yes", "yes", "Answers yes.", 1, true},
		{"scram_probe_no", "no", "Answers no.", 1, true},
		{"scram_probe_took_seconds", "took_us", "Length of the last run.", 1e-6, false},
		{"scram_probe_took_max_seconds", "took_max_us", "Length of the longest run.", 1e-6,
		 false},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(where_known); i++)
		add_where_known(out, probes, &where_known[i]);
	for (size_t i = 0; i < SC_ARRAY_SIZE(each); i++)
		add_each(out, probes, &each[i], "probe");
	add_unknown_runs(out, probes);
}

static void add_own(struct sc_str *out, const struct sc_api *api)
{
	const struct sc_counters *c = &api->counters;

	begin(out, "scram_api_requests", "counter", "HTTP requests.");
	add_sample(out, "scram_api_requests_total", NULL, NULL, (double)c->requests);
	begin(out, "scram_api_denied", "counter", "Requests without the right to what they ask.");
	add_sample(out, "scram_api_denied_total", NULL, NULL, (double)c->denied);
	begin(out, "scram_api_refused", "counter", "Connections ended by the limits, by status.");
	for (unsigned int status = 400; status < SC_WIRE_STATUSES_MAX; status++) {
		char text[8];

		snprintf(text, sizeof(text), "%u", status);
		if (sc_wire_refused(status))
			add_sample(out, "scram_api_refused_total", "status", text,
				   (double)sc_wire_refused(status));
	}
	begin(out, "scram_api_connections", "gauge", "Connections that are open.");
	add_sample(out, "scram_api_connections", NULL, NULL, api->connections);
	begin(out, "scram_api_streams", "gauge", "Clients of /v1/stream.");
	add_sample(out, "scram_api_streams", NULL, NULL, api->n_streams);
	begin(out, "scram_api_idempotent", "counter", "Fires answered as before, by their key.");
	add_sample(out, "scram_api_idempotent_total", NULL, NULL, (double)c->idempotent_hits);
}

bool sc_view_metrics(struct sc_api *api, json_t *const *replies, struct sc_str *out)
{
	const json_t *status = replies[0];

	if (sc_reply_exit(status) != SC_EXIT_DONE)
		return false;
	begin(out, "scram_build", "info", "The program that runs.");
	sc_str_add(out, "scram_build_info{version=\"");
	add_label(out, text_of(status, "version"));
	sc_str_add(out, "\",commit=\"");
	add_label(out, text_of(status, "commit"));
	sc_str_add(out, "\"} 1\n");
	begin(out, "scram_halted", "gauge", "1 while no automatic fire can happen.");
	add_sample(out, "scram_halted", NULL, NULL,
		   json_is_string(json_object_get(status, "halt")));
	begin(out, "scram_cuts", "gauge", "Groups that are cut from the network.");
	add_sample(out, "scram_cuts", NULL, NULL,
		   (double)json_array_size(json_object_get(status, "isolations")));
	add_numbers(out, status);
	add_lost(out, status);
	add_circuits(out, status);
	add_workers(out, status);
	add_probes(out, json_object_get(status, "probes"));
	add_sinks(out, json_object_get(status, "notify"));
	add_conditions(out, json_object_get(replies[1], "conditions"));
	sc_histograms_take(api->histograms, json_object_get(replies[2], "fires"));
	sc_histograms_write(api->histograms, out);
	add_own(out, api);
	sc_str_add(out, "# EOF\n");
	return true;
}

void sc_route_metrics(struct sc_call *call)
{
	sc_call_view(call, SC_VIEW_METRICS);
}

static const struct metric metrics[] = {
	{"scram_ready", "ready", "1 when the agent can act.", 1, false},
	{"scram_uptime_seconds", "uptime_s", "Since the start of the agent.", 1, false},
	{"scram_targets", "targets", "Cgroups that are watched.", 1, false},
	{"scram_slots_free", "slots_free", "Cgroups that can still be watched.", 1, false},
	{"scram_conditions", "conditions.registered", "Conditions that are registered.", 1, false},
	{"scram_conditions_live", "conditions.live", "Conditions that act.", 1, false},
	{"scram_conditions_armed", "conditions.armed", "Conditions that fire by themselves.", 1,
	 false},
	{"scram_fires", "fires", "Fires that were recorded.", 1, true},
	{"scram_vetoes", "vetoes", "Fires that an interlock vetoed.", 1, true},
	{"scram_requests_refused", "requests_refused", "Requests without the right to it.", 1,
	 true},
	{"scram_ticks", "tick.count", "Full ticks.", 1, true},
	{"scram_ticks_early", "tick.early", "Ticks that an event asked for.", 1, true},
	{"scram_tick_overruns", "tick.overruns", "Ticks longer than the interval.", 1, true},
	{"scram_tick_interval_seconds", "tick.interval_ms", "Between two ticks.", 1e-3, false},
	{"scram_tick_p50_seconds", "tick.p50_us", "Median length of late ticks.", 1e-6, false},
	{"scram_tick_p99_seconds", "tick.p99_us", "99 of 100 ticks are shorter.", 1e-6, false},
	{"scram_tick_late_p50_seconds", "tick.late_p50_us", "Median lateness of ticks.", 1e-6,
	 false},
	{"scram_tick_late_p99_seconds", "tick.late_p99_us", "99 of 100 ticks are less late.", 1e-6,
	 false},
	{"scram_journal_records", "journal.seq", "Records of the journal.", 1, true},
	{"scram_journal_durable", "journal.durable_seq", "The last record on disk.", 1, false},
	{"scram_journal_failures", "journal.failures", "Records that could not be written at once.",
	 1, true},
	{"scram_journal_held", "journal.held", "Records kept in memory.", 1, false},
	{"scram_journal_lost", "journal.lost", "Records that were lost.", 1, true},
	{"scram_journal_broken", "journal.broken", "1 while the disk refuses.", 1, false},
	{"scram_store_connected", "store.connected", "1 while the store answers.", 1, false},
	{"scram_store_lag_records", "store.lag_records", "Records that the store lacks.", 1, false},
	{"scram_store_out_of_window", "store.errors.out_of_window.count",
	 "Records that the store refused as out of its window.", 1, true},
	{"scram_store_malformed", "store.errors.malformed.count",
	 "Records that the store refused as malformed.", 1, true},
	{"scram_store_transient", "store.errors.transient.count",
	 "Failures of the store or of the way to it.", 1, true},
	{"scram_store_quarantine_refused", "store.quarantine_refused",
	 "Times that the quarantine took no more.", 1, true},
};
static const size_t n_metrics = SC_ARRAY_SIZE(metrics);
