/* SPDX-License-Identifier: Apache-2.0 */
/* What the workers are now: their part of status and doctor. */
#include "engine/ops.h"
#include "engine/workers_impl.h"

#include <string.h>

#define TEXT_MAX 512

static const char *const state_names[] = {
	[SC_WORKER_OFF] = "off",
	[SC_WORKER_WAITING] = "waiting",
	[SC_WORKER_STARTING] = "starting",
	[SC_WORKER_GREETED] = "starting",
	[SC_WORKER_UP] = "up",
	[SC_WORKER_ENDING] = "ending",
};
_Static_assert(SC_ARRAY_SIZE(state_names) == SC_WORKER_STATE_COUNT, "one name per state");

static void name_user(const struct sc_worker *w, char *buf, size_t size)
{
	if (w->has_user)
		sc_strcopy(buf, size, w->row->program);
	else
		snprintf(buf, size, "uid:%u", w->user);
}

static void name_caps(uint64_t caps, char *buf, size_t size)
{
	if (caps)
		snprintf(buf, size, "0x%llx", (unsigned long long)caps);
	else
		sc_strcopy(buf, size, "none");
}

static void add_worker(const struct sc_worker *w, struct sc_json *j)
{
	char user[64], caps[32], since[SC_TIME_TEXT_MAX];
	bool is_up = w->state == SC_WORKER_UP;

	name_user(w, user, sizeof(user));
	name_caps(w->facts.caps, caps, sizeof(caps));
	if (w->since_ns)
		sc_time_text(w->since_ns, since);
	sc_json_object_begin(j);
	sc_json_member_text(j, "name", w->row->name);
	sc_json_key(j, "pid");
	if (w->pid)
		sc_json_i64(j, w->pid);
	else
		sc_json_null(j);
	sc_json_member_text(j, "user", user);
	sc_json_member_text(j, "state", state_names[w->state]);
	sc_json_member_u64(j, "restarts", w->restarts);
	sc_json_member_text(j, "since", w->since_ns ? since : NULL);
	sc_json_member_bool(j, "filter", is_up && w->facts.has_filter);
	sc_json_member_text(j, "capabilities", is_up ? caps : NULL);
	sc_json_member_text(j, "detail", w->detail[0] ? w->detail : NULL);
	sc_json_member_text(j, "last_end", w->why[0] ? w->why : NULL);
	sc_json_member_u64(j, "requests", w->requests);
	sc_json_member_u64(j, "illegal", w->illegal);
	sc_json_member_u64(j, "hung", w->hung);
	sc_json_member_u64(j, "events_lost", w->events_lost);
	sc_json_object_end(j);
}

/* Why HTTP is not there, as far as it is known; empty = it is, will be in a moment, or is off. */
static const char *why_no_http(const struct sc_http_listener *http, const struct sc_worker *w,
			       char *buf, size_t size)
{
	if (http->why[0])
		return http->why;
	if (w->failures < SC_WORKER_FAILURES_MAX)
		return http->local_why;
	snprintf(buf, size, "HTTP: worker %s failed %u times in a row, last: %s", w->row->name,
		 w->failures, w->why);
	return buf;
}

/* Listening as long as the agent does: while the worker is started again clients wait. */
static void add_http(const struct sc_http_listener *http, const struct sc_worker *w,
		     struct sc_json *j)
{
	char buf[TEXT_MAX];
	const char *why = why_no_http(http, w, buf, sizeof(buf));

	sc_json_key(j, "http");
	sc_json_object_begin(j);
	sc_json_member_text(j, "listen", http->is_off ? NULL : http->where);
	sc_json_member_text(j, "state",
			    http->is_off                            ? "off"
			    : http->fd < 0                          ? "refused"
			    : sc_worker_serves(w)                   ? "listening"
			    : w->failures >= SC_WORKER_FAILURES_MAX ? "failing"
								    : "starting");
	sc_json_member_text(j, "socket", http->local_fd < 0 ? NULL : http->local.sun_path);
	sc_json_member_text(j, "why", why[0] ? why : NULL);
	sc_json_object_end(j);
}

void sc_workers_json(struct sc_engine *e, struct sc_json *j)
{
	sc_json_key(j, "workers");
	sc_json_array_begin(j);
	for (int i = 0; e->workers && i < SC_WORKER_COUNT; i++)
		if (e->workers->worker[i].row)
			add_worker(&e->workers->worker[i], j);
	sc_json_array_end(j);
	if (e->workers)
		add_http(&e->workers->http, &e->workers->worker[SC_WORKER_API], j);
}

/* An up worker that has more rights than it should: red. */
static enum sc_doctor_level judge_rights(struct sc_op_call *call, struct sc_worker *w,
					 const char **fix)
{
	const struct sc_process_port *port = &call->e->ports->processes;

	(void)port->facts(port->ctx, w->pid, &w->facts);
	*fix = "end it: the agent starts it again; report it when it comes back like this";
	if (w->facts.user != w->user || w->facts.caps || !w->facts.has_filter ||
	    !w->facts.has_no_gain)
		return SC_DOCTOR_RED;
	*fix = w->has_user ? NULL : "useradd --system --shell /usr/sbin/nologin NAME";
	return SC_DOCTOR_GREEN;
}

static void describe_up(const struct sc_worker *w, char *text, size_t size)
{
	char user[64], caps[32];

	name_user(w, user, sizeof(user));
	name_caps(w->facts.caps, caps, sizeof(caps));
	snprintf(text, size, "pid %d as %s%s, capabilities %s, %s, %s, %.1f MiB, %llu restarts%s%s",
		 w->pid, user, w->has_user ? "" : " (there is no user of its name)", caps,
		 w->facts.has_filter ? "filtered" : "NO FILTER",
		 w->facts.has_no_gain ? "no new privileges" : "MAY GAIN PRIVILEGES",
		 (double)w->facts.rss_bytes / (1 << 20), (unsigned long long)w->restarts,
		 w->detail[0] ? ": " : "", w->detail);
}

static void check_worker(struct sc_op_call *call, struct sc_worker *w)
{
	const char *fix = "see the log of the agent";
	enum sc_doctor_level level = SC_DOCTOR_YELLOW;
	char name[32], text[TEXT_MAX];

	snprintf(name, sizeof(name), "worker %s", w->row->name);
	if (w->state == SC_WORKER_UP) {
		level = judge_rights(call, w, &fix);
		describe_up(w, text, sizeof(text));
	} else if (w->state == SC_WORKER_OFF) {
		level = SC_DOCTOR_GREEN;
		snprintf(text, sizeof(text), "not asked for");
	} else {
		snprintf(text, sizeof(text), "%s%s%s, %llu restarts", state_names[w->state],
			 w->why[0] ? "; last: " : "", w->why, (unsigned long long)w->restarts);
	}
	sc_doctor_add(call, name, level, text, fix);
}

void sc_doctor_workers(struct sc_op_call *call)
{
	struct sc_workers *ws = call->e->workers;

	if (ws && ws->http.why[0])
		sc_doctor_add(
			call, "HTTP", SC_DOCTOR_YELLOW, ws->http.why,
			"free the port, or name another with --http HOST:PORT, or --http off");
	if (ws && ws->http.local_why[0])
		sc_doctor_add(call, "api.sock", SC_DOCTOR_YELLOW, ws->http.local_why,
			      "remove what is in its place and restart the agent");
	for (int i = 0; ws && i < SC_WORKER_COUNT; i++)
		if (ws->worker[i].row) {
			check_worker(call, &ws->worker[i]);
			sc_worker_check_group(call, &ws->worker[i]);
		}
}
