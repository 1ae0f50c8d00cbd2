/* SPDX-License-Identifier: Apache-2.0 */
/* All workers together: begin, end, the timer they share, and what they say of themselves. */
#include "engine/ops.h"
#include "engine/refusals.h"
#include "engine/workers_impl.h"

#include "base/bell.h"
#include "base/log.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/timerfd.h>

/* The port is somebody else's: it is tried again. */
#define HTTP_RETRY_NS (10 * SC_NS_PER_S)
/* What was killed is reaped within this; the rest is init's. */
#define REAP_MS 1000
/* All of it: what a row allows, and a moment for the signals that follow. */
#define FAREWELL_NS      (1500 * SC_NS_PER_MS)
#define FAREWELL_LOOK_MS 100

static void on_timer(void *owner, uint32_t events)
{
	struct sc_engine *e = owner;
	uint64_t expirations;

	(void)events;
	(void)!read(e->workers->timer.fd, &expirations, sizeof(expirations));
	e->workers->armed_ns = 0; /* the look after this turn does the work */
}

static void on_jobs(void *owner, uint32_t events)
{
	struct sc_engine *e = owner;

	(void)events;
	sc_syncer_finish_jobs(&e->syncer);
}

static void arm(struct sc_workers *ws, uint64_t at_ns)
{
	struct itimerspec spec = {0};

	if (at_ns == UINT64_MAX || at_ns == ws->armed_ns)
		return;
	spec.it_value.tv_sec = (time_t)(at_ns / SC_NS_PER_S);
	spec.it_value.tv_nsec = (long)(at_ns % SC_NS_PER_S);
	if (timerfd_settime(ws->timer.fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0)
		ws->armed_ns = at_ns;
}

/* One that was asked for must listen before anything else is begun; the default may come later. */
static int open_http(struct sc_engine *e)
{
	struct sc_http_listener *http = &e->workers->http;
	int r = sc_http_listener_init(http, e->options->http);

	if (r == 0)
		r = sc_http_listener_open(http);
	if (r == 0)
		return 0;
	if (r == -EINVAL || http->is_asked) {
		sc_log_error("%s", http->why);
		return r;
	}
	sc_log_warning("%s; tried again, the agent goes on without", http->why);
	e->workers->http_retry_ns = sc_mono_ns() + HTTP_RETRY_NS;
	return 0;
}

int sc_workers_open(struct sc_engine *e)
{
	struct sc_workers *ws = calloc(1, sizeof(*ws));
	int r;

	if (!ws)
		return -ENOMEM;
	ws->timer.fd = ws->http.fd = ws->http.local_fd = ws->jobs.fd = -1;
	ws->wanted_of = UINT64_MAX;
	e->workers = ws;
	r = open_http(e);
	if (r < 0)
		return r;
	/* It is not needed for anything that matters most. */
	if (sc_http_listener_open_local(&ws->http, e->options->run_dir) < 0)
		sc_log_warning("%s; the agent goes on without", ws->http.local_why);
	return 0;
}

int sc_workers_start(struct sc_engine *e)
{
	struct sc_workers *ws = e->workers;
	int r;

	for (int i = 0; i < SC_WORKER_COUNT; i++)
		sc_worker_init(e, (enum sc_worker_kind)i);
	sc_workers_init_group(e);
	ws->timer = (struct sc_watch){
		.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK),
		.ready = on_timer,
		.owner = e,
	};
	ws->jobs = (struct sc_watch){.fd = e->syncer.done_bell, .ready = on_jobs, .owner = e};
	r = ws->timer.fd < 0 ? -errno : sc_loop_add(&e->loop, &ws->timer, EPOLLIN);
	return r < 0 ? r : sc_loop_add(&e->loop, &ws->jobs, EPOLLIN);
}

static void retry_http(struct sc_engine *e, uint64_t now_ns)
{
	static const char event[] = SC_EVENT_HEAD SC_EVENT_LISTENER "\"}";
	struct sc_workers *ws = e->workers;

	if (!ws->http_retry_ns || now_ns < ws->http_retry_ns)
		return;
	ws->http_retry_ns = now_ns + HTTP_RETRY_NS;
	if (sc_http_listener_open(&ws->http) < 0)
		return;
	sc_log_info("HTTP: %s is free now", ws->http.where);
	ws->http_retry_ns = 0;
	ws->wanted_of = UINT64_MAX;
	(void)sc_workers_tell(e, SC_WORKER_API, event, sizeof(event) - 1);
}

static void find_wants(const struct sc_engine *e, struct sc_worker *w)
{
	const struct sc_workers *ws = e->workers;
	bool is_kept = w->row->farewell_ns && !ws->is_farewell && w->pid;

	w->is_wanted = (!ws->is_stopping || is_kept) && e->ports->processes.start &&
		       w->row->is_wanted(e);
	w->wants_group = w->is_wanted && w->row->wants_group && w->row->wants_group(e);
}

static void find_wanted(struct sc_engine *e)
{
	struct sc_workers *ws = e->workers;

	if (ws->wanted_of == e->changes.conditions)
		return;
	for (int i = 0; i < SC_WORKER_COUNT; i++)
		find_wants(e, &ws->worker[i]);
	ws->wanted_of = e->changes.conditions;
}

void sc_workers_look(struct sc_engine *e)
{
	struct sc_workers *ws = e->workers;
	uint64_t now_ns = sc_mono_ns(), next_ns;

	if (!ws || ws->timer.fd < 0)
		return;
	retry_http(e, now_ns);
	find_wanted(e);
	next_ns = ws->http_retry_ns ? ws->http_retry_ns : UINT64_MAX;
	for (int i = 0; i < SC_WORKER_COUNT; i++) {
		uint64_t at_ns = sc_worker_look(&ws->worker[i], now_ns);

		next_ns = SC_MIN(next_ns, at_ns);
	}
	sc_workers_look_group(e);
	arm(ws, next_ns);
}

void sc_workers_stop(struct sc_engine *e)
{
	if (!e->workers || e->workers->timer.fd < 0)
		return;
	e->workers->is_stopping = true;
	e->workers->wanted_of = UINT64_MAX;
	sc_workers_look(e);
}

bool sc_workers_are_left(const struct sc_engine *e)
{
	for (int i = 0; e->workers && i < SC_WORKER_COUNT; i++) {
		const struct sc_worker *w = &e->workers->worker[i];

		if (w->row->farewell_ns && !e->workers->is_farewell)
			continue;
		if (w->pid || w->start.job.is_busy)
			return true;
	}
	return false;
}

void sc_workers_farewell(struct sc_engine *e)
{
	uint64_t give_up_ns = sc_mono_ns() + FAREWELL_NS;

	if (!e->workers || e->workers->timer.fd < 0)
		return;
	e->workers->is_farewell = e->workers->is_stopping = true;
	e->workers->wanted_of = UINT64_MAX;
	sc_workers_look(e);
	while (sc_workers_are_left(e) && sc_mono_ns() < give_up_ns &&
	       sc_loop_once(&e->loop, FAREWELL_LOOK_MS) == 0)
		sc_workers_look(e);
}

static void kill_now(struct sc_engine *e, int pidfd)
{
	const struct sc_process_port *port = &e->ports->processes;
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	int status;

	(void)port->signal(port->ctx, pidfd, SIGKILL);
	(void)poll(&p, 1, REAP_MS);
	(void)port->reap(port->ctx, pidfd, &status);
}

/* The sync thread has ended: a start that it had under way is known now. */
void sc_workers_close(struct sc_engine *e)
{
	struct sc_workers *ws = e->workers;

	if (!ws)
		return;
	for (int i = 0; ws->timer.fd >= 0 && i < SC_WORKER_COUNT; i++) {
		struct sc_worker *w = &ws->worker[i];
		struct sc_worker_start *s = &w->start;

		if (w->pid)
			kill_now(e, w->exit.fd);
		if (s->job.is_busy && s->program.pid) {
			kill_now(e, s->program.pidfd);
			sc_close(&s->program.pidfd);
		}
		sc_close(&w->segment.fd);
		sc_worker_done(w);
	}
	sc_workers_close_group(e);
	sc_close(&ws->timer.fd);
	sc_http_listener_close(&ws->http);
	free(ws);
	e->workers = NULL;
}

bool sc_workers_is_up(const struct sc_engine *e, enum sc_worker_kind kind)
{
	return e->workers && e->workers->worker[kind].state == SC_WORKER_UP;
}

int sc_workers_tell(struct sc_engine *e, enum sc_worker_kind kind, const char *event, size_t size)
{
	struct sc_worker *w = e->workers ? &e->workers->worker[kind] : NULL;
	int r;

	if (!w || w->state != SC_WORKER_UP)
		return -ENOTCONN;
	r = sc_control_tell(&e->control, kind, event, size);
	if (r != -ENOBUFS)
		return r;
	w->events_lost++;
	if (!w->lost_told)
		sc_log_warning("worker %s reads too slowly: events are lost", w->row->name);
	w->lost_told = true;
	return r;
}

void sc_workers_link_lost(struct sc_engine *e, uint32_t link, const char *why)
{
	struct sc_worker *w = &e->workers->worker[link];

	/* When it ends by itself its exit status follows at once and says more. */
	sc_worker_end(w, why, false);
}

void sc_workers_misbehaved(struct sc_engine *e, const struct sc_worker_row *row, const char *why)
{
	struct sc_worker *w = &e->workers->worker[row - sc_worker_rows];
	char text[sizeof(w->why)];

	snprintf(text, sizeof(text), "worker:%s", row->name);
	sc_refusals_note(e, &(struct sc_refusal){.channel = "link",
						 .who = text,
						 .what = why,
						 .why = "its row does not permit it",
						 .count = 1});
	w->illegal++;
	snprintf(text, sizeof(text), "it sent what it may not: %s", why);
	sc_worker_end(w, text, true);
}

bool sc_workers_may_ask(struct sc_engine *e, const struct sc_worker_row *row, enum sc_op op)
{
	struct sc_worker *w = &e->workers->worker[row - sc_worker_rows];

	w->requests++;
	if (w->state == SC_WORKER_GREETED)
		return op == SC_OP_READY;
	return op != SC_OP_READY && (row->ops & 1ULL << op);
}

bool sc_worker_serves(const struct sc_worker *w)
{
	return w->was_up && w->failures < SC_WORKER_FAILURES_MAX;
}

bool sc_workers_are_ready(const struct sc_engine *e)
{
	const struct sc_workers *ws = e->workers;

	return !ws || !ws->http.is_asked || ws->http.is_off ||
	       sc_worker_serves(&ws->worker[SC_WORKER_API]);
}

void sc_op_ready(struct sc_op_call *call)
{
	const struct sc_process_port *port = &call->e->ports->processes;
	const char *detail = sc_op_text(call, "detail");
	struct sc_worker *w;

	if (!call->who.worker) {
		sc_op_fail(call, SC_EXIT_USAGE, "only a worker says that it is ready");
		return;
	}
	w = &call->e->workers->worker[call->who.worker - sc_worker_rows];
	sc_strcopy(w->detail, sizeof(w->detail), detail ? detail : "");
	(void)port->facts(port->ctx, w->pid, &w->facts);
	w->state = SC_WORKER_UP;
	w->since_ns = call->e->now.real_ns;
	w->up_ns = sc_mono_ns();
	w->was_up = true;
	sc_statefile_touch(&call->e->statefile, call->e->now.mono_ns);
	sc_log_info("worker %s: ready, pid %d%s%s", w->row->name, w->pid, w->detail[0] ? ": " : "",
		    w->detail);
	if (w->row->on_ready)
		w->row->on_ready(call->e);
}

/* {"listen": HOST:PORT or null}, with the TCP socket where there is one. */
void sc_op_listener(struct sc_op_call *call)
{
	const struct sc_http_listener *http = &call->e->workers->http;

	if (http->fd >= 0)
		call->reply_fd = fcntl(http->fd, F_DUPFD_CLOEXEC, 0);
	sc_json_member_text(&call->json, "listen", call->reply_fd >= 0 ? http->where : NULL);
}

void sc_op_segment(struct sc_op_call *call)
{
	json_t *number = json_object_get(call->args, "number");
	struct sc_worker_segment *s;

	if (!call->who.worker || !json_is_integer(number) || json_integer_value(number) < 0) {
		sc_op_fail(call, SC_EXIT_USAGE, "a worker asks for a segment by its number");
		return;
	}
	s = &call->e->workers->worker[call->who.worker - sc_worker_rows].segment;
	if (s->job.is_busy) {
		sc_op_fail(call, SC_EXIT_FAILED, "the one before is not open yet");
		return;
	}
	s->to = call->to;
	s->number = (uint64_t)json_integer_value(number);
	s->first = s->last = 0;
	call->is_deferred = true;
	sc_syncer_order(&call->e->syncer, &s->job);
}
