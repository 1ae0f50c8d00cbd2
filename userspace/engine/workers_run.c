/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one worker: started, greeted, up, ended, started again. */
#include "engine/workers_impl.h"

#include "base/io.h"
#include "base/log.h"
#include "record/segment.h"
#include "version.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define BACKOFF_NS     (100 * SC_NS_PER_MS)
#define BACKOFF_MAX_NS (10 * SC_NS_PER_S)
/* Up so long, it begins again with the shortest wait. */
#define GOOD_NS (10 * SC_NS_PER_S)
/* From its hello to its `ready`. */
#define READY_NS (10 * SC_NS_PER_S)
/* It reads nothing of what waits for it: it hangs, or is stopped. */
#define HUNG_NS (15 * SC_NS_PER_S)
/* From `stop` to SIGTERM, from there to SIGKILL, and how long that may take. */
#define TERM_NS (500 * SC_NS_PER_MS)
#define KILL_NS SC_NS_PER_S
/* `changed` comes so often also when nothing has: who does not read shows itself. */
#define HEARTBEAT_NS SC_NS_PER_S

/* Where no such user exists: of the range that systemd's documentation (UIDS-GIDS) calls unused,
 * so that nobody else's file or process is theirs. */
#define FALLBACK_UID 1879056592U

static const char *const common_env[] = {"PATH",           "LANG", "TZ", "SCRAM_LOG_LEVEL",
					 "JOURNAL_STREAM", NULL};

static void set_state(struct sc_worker *w, enum sc_worker_state state)
{
	w->state = state;
	w->since_ns = sc_time_now().real_ns;
	sc_statefile_touch(&w->engine->statefile, w->engine->now.mono_ns);
}

static uint32_t link_of(const struct sc_worker *w)
{
	return (uint32_t)(w - w->engine->workers->worker);
}

static void send_signal(struct sc_worker *w, int signo)
{
	const struct sc_process_port *port = &w->engine->ports->processes;

	if (w->pid)
		(void)port->signal(port->ctx, w->exit.fd, signo);
}

/* --- its end --- */

static void wait_for_next(struct sc_worker *w)
{
	uint64_t now = sc_mono_ns();

	if (w->up_ns && now - w->up_ns >= GOOD_NS)
		w->backoff_ns = BACKOFF_NS;
	w->up_ns = 0;
	w->deadline_ns = now + w->backoff_ns;
	w->restarts++;
	w->failures++;
	sc_log_warning("worker %s: %s; started again in %.3g s", w->row->name, w->why,
		       (double)w->backoff_ns / 1e9);
	w->backoff_ns = SC_MIN(w->backoff_ns * 2, (uint64_t)BACKOFF_MAX_NS);
	set_state(w, SC_WORKER_WAITING);
}

static void ended(struct sc_worker *w)
{
	bool was_up = w->up_ns != 0;

	sc_control_unlink(&w->engine->control, link_of(w));
	w->pid = 0;
	w->facts = (struct sc_program_facts){0};
	w->detail[0] = '\0';
	if (was_up && w->row->on_gone)
		w->row->on_gone(w->engine);
	if (w->is_stopping || w->engine->workers->is_stopping) {
		w->up_ns = 0;
		w->is_wanted &= !w->engine->workers->is_stopping;
		set_state(w, SC_WORKER_OFF);
	} else {
		wait_for_next(w);
	}
	w->is_stopping = false;
}

/* Returns whether it has ended. */
static bool reap(struct sc_worker *w)
{
	const struct sc_process_port *port = &w->engine->ports->processes;
	int status = 0;

	if (port->reap(port->ctx, w->exit.fd, &status) == 0)
		return false;
	sc_loop_remove(&w->engine->loop, &w->exit);
	sc_close(&w->exit.fd);
	if (!w->is_why_known && WIFSIGNALED(status))
		snprintf(w->why, sizeof(w->why), "it was killed by signal %d", WTERMSIG(status));
	else if (!w->is_why_known)
		snprintf(w->why, sizeof(w->why), "it ended with exit status %d",
			 WEXITSTATUS(status));
	ended(w);
	return true;
}

static void on_exit_ready(void *owner, uint32_t events)
{
	(void)events;
	(void)reap(owner);
}

void sc_worker_end(struct sc_worker *w, const char *why, bool hard)
{
	if (w->state != SC_WORKER_GREETED && w->state != SC_WORKER_UP)
		return;
	sc_strcopy(w->why, sizeof(w->why), why);
	if (hard)
		sc_control_unlink(&w->engine->control, link_of(w));
	if (hard)
		send_signal(w, SIGKILL);
	w->is_why_known = hard;
	w->next_signal = hard ? SIGKILL : SIGTERM;
	w->deadline_ns = sc_mono_ns() + (hard ? KILL_NS : TERM_NS);
	set_state(w, SC_WORKER_ENDING);
}

static void stop(struct sc_worker *w)
{
	struct sc_journal_stats stats;
	char event[128];
	int n;

	sc_journal_stats(w->engine->journal, &stats);
	n = snprintf(event, sizeof(event),
		     SC_EVENT_HEAD SC_EVENT_STOP "\",\"within_ms\":%llu,\"seq\":%llu}",
		     (unsigned long long)(w->row->farewell_ns / SC_NS_PER_MS),
		     (unsigned long long)stats.seq);
	(void)sc_control_tell(&w->engine->control, link_of(w), event, (size_t)n);
	w->is_stopping = true;
	sc_worker_end(w, "it was asked to end", false);
	if (w->state == SC_WORKER_ENDING)
		w->deadline_ns += w->row->farewell_ns;
}

/* --- its start --- */

/* On the sync thread. */
static void run_start(struct sc_sync_job *job)
{
	struct sc_worker_start *s = (struct sc_worker_start *)job;
	const struct sc_process_port *port = &s->worker->engine->ports->processes;

	s->result = port->start(port->ctx, &s->program);
}

static void write_hello(struct sc_worker *w, struct sc_str *out)
{
	struct sc_json j;

	sc_str_init_heap(out);
	sc_json_init(&j, out);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "event", SC_EVENT_HELLO);
	sc_json_member_text(&j, "worker", w->row->name);
	sc_json_member_text(&j, "version", SC_VERSION);
	sc_json_member_text(&j, "commit", SC_COMMIT);
	sc_json_member_text(&j, "host", sc_journal_host_id(w->engine->journal));
	sc_json_key(&j, "limits");
	sc_json_object_begin(&j);
	sc_json_member_u64(&j, "request_bytes", SC_REQUEST_SIZE_MAX);
	sc_json_member_u64(&j, "reply_bytes", SC_REPLY_SIZE_MAX);
	sc_json_member_u64(&j, "memory_bytes", w->row->memory_max);
	sc_json_object_end(&j);
	if (w->row->wants_group)
		sc_worker_add_group(w, &j);
	if (w->row->add_hello)
		w->row->add_hello(w->engine, &j);
	sc_json_object_end(&j);
}

static void greet(struct sc_worker *w)
{
	struct sc_engine *e = w->engine;
	bool listens = w->row == &sc_worker_rows[SC_WORKER_API];
	struct sc_link_begin begin;
	int r = -ENOMEM;

	if (listens)
		sc_http_listener_renew(&e->workers->http);
	begin = (struct sc_link_begin){
		.fd = w->core_fd,
		.who = {w->user, w->group, w->pid, w->row},
		.listener_fd = listens ? e->workers->http.local_fd : -1,
	};
	write_hello(w, &begin.hello);
	w->deadline_ns = sc_mono_ns() + READY_NS;
	w->alive_ns = sc_mono_ns();
	w->told = (struct sc_worker_counters){0};
	w->told_ns = 0;
	w->lost_told = w->is_why_known = false;
	set_state(w, SC_WORKER_GREETED);
	if (!begin.hello.truncated)
		r = sc_control_link(&e->control, link_of(w), &begin);
	w->core_fd = begin.fd;
	sc_str_done(&begin.hello);
	if (r < 0)
		sc_worker_end(w, strerror(-r), true);
}

static void finish_start(struct sc_sync_job *job)
{
	struct sc_worker_start *s = (struct sc_worker_start *)job;
	struct sc_worker *w = s->worker;
	int r = s->result;

	sc_close(&w->child_fd);
	if (r < 0) {
		sc_close(&w->core_fd);
		sc_strcopy(w->why, sizeof(w->why), s->program.why);
		wait_for_next(w);
		return;
	}
	w->pid = s->program.pid;
	w->exit.fd = s->program.pidfd;
	r = sc_loop_add(&w->engine->loop, &w->exit, EPOLLIN);
	greet(w);
	sc_close(&w->core_fd);
	/* Not to be noticed when it ends, it must not live: its end is looked for once a second. */
	if (r < 0)
		sc_worker_end(w, "its end cannot be watched", true);
}

static void start(struct sc_worker *w)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		snprintf(w->why, sizeof(w->why), "it has no link: %s", strerror(errno));
		wait_for_next(w);
		return;
	}
	(void)sc_refuse_descriptors(pair[0]);
	w->core_fd = pair[0];
	w->child_fd = pair[1];
	w->start.program = (struct sc_program){
		.name = w->row->program,
		.env = w->env,
		.link_fd = w->child_fd,
		.user = w->user,
		.group = w->group,
		.memory_max = w->row->memory_max,
		.files_max = w->row->files_max,
		.tasks_max = w->row->tasks_max,
		.wants_group = w->wants_group,
	};
	w->engine->workers->clear.is_due |= w->wants_group;
	set_state(w, SC_WORKER_STARTING);
	sc_syncer_order(&w->engine->syncer, &w->start.job);
}

/* --- as time passes --- */

static void tell_changed(struct sc_worker *w, const struct sc_worker_counters *now, uint64_t now_ns)
{
	char text[256];
	int n = snprintf(text, sizeof(text),
			 SC_EVENT_HEAD SC_EVENT_CHANGED "\",\"conditions\":%llu,\"fires\":%llu,"
							"\"status\":%llu,\"seq\":%llu}",
			 (unsigned long long)now->conditions, (unsigned long long)now->fires,
			 (unsigned long long)now->status, (unsigned long long)now->seq);

	/* One that does not fit is not missed: the next tells all of it. */
	(void)sc_control_tell(&w->engine->control, link_of(w), text, (size_t)n);
	w->told = *now;
	w->told_ns = now_ns;
}

/* Returns when `changed` is due next. */
static uint64_t look_for_changes(struct sc_worker *w, uint64_t now_ns)
{
	const struct sc_engine *e = w->engine;
	struct sc_journal_stats stats;
	struct sc_worker_counters now;
	bool is_new;
	uint64_t due_ns;

	sc_journal_stats(e->journal, &stats);
	now = (struct sc_worker_counters){
		.conditions = e->changes.conditions,
		.fires = e->changes.fires,
		.status = e->statefile.touches,
		.seq = stats.seq,
	};
	is_new = memcmp(&now, &w->told, sizeof(now)) != 0;
	due_ns = w->told_ns + (is_new ? SC_WORKERS_CHANGED_NS : HEARTBEAT_NS);

	if (now_ns < due_ns)
		return due_ns;
	tell_changed(w, &now, now_ns);
	return now_ns + HEARTBEAT_NS;
}

/* It has `changed` to read once a second: one that reads nothing for long is not alive. */
static bool is_hung(struct sc_worker *w, uint64_t now_ns)
{
	if (sc_control_unread(&w->engine->control, link_of(w)) == 0)
		w->alive_ns = now_ns;
	return now_ns - w->alive_ns > HUNG_NS;
}

static uint64_t look_up(struct sc_worker *w, uint64_t now_ns)
{
	uint64_t due_ns = look_for_changes(w, now_ns);

	if (now_ns - w->up_ns >= GOOD_NS)
		w->failures = 0;
	if (now_ns != w->told_ns || !is_hung(w, now_ns))
		return due_ns;
	w->hung++;
	sc_worker_end(w, "it hung: it read nothing any more", true);
	return w->deadline_ns;
}

static uint64_t look_ending(struct sc_worker *w, uint64_t now_ns)
{
	if (now_ns < w->deadline_ns)
		return w->deadline_ns;
	/* One whose pidfd cannot be watched; what comes next is looked at at once. */
	if (reap(w))
		return now_ns;
	send_signal(w, w->next_signal);
	w->is_why_known = true;
	w->next_signal = SIGKILL;
	w->deadline_ns = now_ns + KILL_NS;
	return w->deadline_ns;
}

uint64_t sc_worker_look(struct sc_worker *w, uint64_t now_ns)
{
	switch (w->state) {
	case SC_WORKER_OFF:
	case SC_WORKER_WAITING:
		if (!w->is_wanted) {
			w->state = SC_WORKER_OFF;
			return UINT64_MAX;
		}
		if (w->state == SC_WORKER_WAITING && now_ns < w->deadline_ns)
			return w->deadline_ns;
		start(w);
		return UINT64_MAX;
	case SC_WORKER_GREETED:
		if (w->is_wanted && now_ns < w->deadline_ns)
			return w->deadline_ns;
		if (w->is_wanted)
			sc_worker_end(w, "it did not say that it is ready", true);
		else
			stop(w);
		return w->deadline_ns;
	case SC_WORKER_UP:
		if (w->is_wanted && !sc_worker_lacks_group(w))
			return look_up(w, now_ns);
		stop(w);
		return w->deadline_ns;
	case SC_WORKER_ENDING:
		return look_ending(w, now_ns);
	case SC_WORKER_STARTING:
	case SC_WORKER_STATE_COUNT:
		break;
	}
	return UINT64_MAX;
}

/* --- a segment, opened where the disk may be waited for --- */

static void run_segment(struct sc_sync_job *job)
{
	struct sc_worker_segment *s = (struct sc_worker_segment *)job;
	_cleanup_close_ int dir = openat(s->engine->state_dir_fd, SC_JOURNAL_DIR,
					 O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int list = dir < 0 ? -1
					   : openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = list < 0 ? -errno : sc_segment_range(list, &s->first, &s->last);

	s->fd = r < 0 ? r : s->number ? sc_segment_open(dir, s->number, O_RDONLY) : -1;
	if (s->number == 0 && r == 0)
		s->fd = -ENODATA; /* the range alone was asked for */
}

static void finish_segment(struct sc_sync_job *job)
{
	struct sc_worker_segment *s = (struct sc_worker_segment *)job;
	bool is_done = s->fd >= 0 || s->fd == -ENODATA;
	struct sc_str reply;
	struct sc_json j;

	sc_str_init_heap(&reply);
	sc_json_init(&j, &reply);
	sc_json_object_begin(&j);
	sc_json_member_u64(&j, "number", s->number);
	sc_json_member_u64(&j, "first", s->first);
	sc_json_member_u64(&j, "last", s->last);
	sc_json_member_u64(&j, "exit", is_done ? SC_EXIT_DONE : SC_EXIT_FAILED);
	sc_json_member_text(&j, "error", is_done ? NULL : strerror(-s->fd));
	sc_json_object_end(&j);
	sc_control_reply_fd(&s->engine->control, s->to, &reply, SC_MAX(s->fd, -1));
	s->fd = -1;
}

/* --- begin and end of the table --- */

static void add_env(struct sc_worker *w, size_t *n, const char *const *names)
{
	for (; *names; names++) {
		const char *value = getenv(*names);
		struct sc_str text;

		if (!value || *n + 1 >= SC_WORKER_ENV_MAX)
			continue;
		sc_str_init_heap(&text);
		sc_str_addf(&text, "%s=%s", *names, value);
		if (text.truncated)
			sc_str_done(&text);
		else
			w->env[(*n)++] = text.data;
	}
}

void sc_worker_init(struct sc_engine *e, enum sc_worker_kind kind)
{
	struct sc_worker *w = &e->workers->worker[kind];
	const struct sc_process_port *port = &e->ports->processes;
	size_t n = 0;

	*w = (struct sc_worker){
		.row = &sc_worker_rows[kind],
		.engine = e,
		.backoff_ns = BACKOFF_NS,
		.child_fd = -1,
		.core_fd = -1,
		.exit = {.fd = -1, .ready = on_exit_ready, .owner = w},
		.start = {.job = {.run = run_start, .finish = finish_start}, .worker = w},
		.segment = {.job = {.run = run_segment, .finish = finish_segment},
			    .engine = e,
			    .fd = -1},
		.user = FALLBACK_UID + kind,
		.group = FALLBACK_UID + kind,
	};
	w->has_user = port->find_user &&
		      port->find_user(port->ctx, w->row->program, &w->user, &w->group);
	add_env(w, &n, common_env);
	add_env(w, &n, w->row->env);
}

void sc_worker_done(struct sc_worker *w)
{
	for (size_t i = 0; i < SC_WORKER_ENV_MAX; i++)
		free(w->env[i]);
	sc_close(&w->child_fd);
	sc_close(&w->core_fd);
	sc_close(&w->exit.fd);
}
