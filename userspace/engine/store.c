/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/store.h"

#include "engine/core.h"
#include "engine/ops.h"

#include "base/io.h"
#include "base/log.h"
#include "record/redact.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define QUARANTINE_DIR    "quarantine"
#define KEEP_DAYS_DEFAULT 30
#define KEEP_DAYS_MAX     36500
#define KEEP_DAYS_NAME    "SCRAM_QUARANTINE_KEEP_DAYS"
#define SWEEP_NS          (3600 * SC_NS_PER_S)
#define RECENT_NS         (600 * SC_NS_PER_S)
#define FORK_TELL_NS      (60 * SC_NS_PER_S)
#define REASON_MAX        512
#define SECONDS_PER_DAY   86400

/* One record to be put aside, or with seq 0 the sweep of old ones. */
struct quarantine_job {
	struct sc_sync_job job;
	struct sc_engine *engine;
	struct sc_reply_to to;
	uint64_t seq;
	char record[SC_RECORD_BYTES_MAX];
	char reason[REASON_MAX];
	long keep_s; /* 0 = for ever */
	int result;
	unsigned int removed;
};

struct sc_store {
	struct quarantine_job quarantine, sweep;
	bool is_on;    /* a store is named */
	bool is_known; /* the worker has reported, or has gone: it is connected or it is not */
	bool is_connected;
	uint64_t shipped, transient, refused;
	uint64_t down_ns;    /* CLOCK_MONOTONIC: since when it is not connected */
	uint64_t failed_ns;  /* the last transient failure; 0 = none */
	uint64_t refused_ns; /* likewise of a refusal */
	uint64_t swept_ns;
	uint64_t fork_told_ns;    /* 0 = never */
	char failure[REASON_MAX]; /* the last one; empty = none since it connected */
	char fork[REASON_MAX];    /* store and journal do not agree; empty = they do */
};

/* --- on the sync thread --- */

static int write_text(int dirfd, const char *name, const char *text)
{
	return sc_write_file_atomic(dirfd, name, text, strlen(text), 0600 | SC_WRITE_DURABLE);
}

static void run_quarantine(struct sc_sync_job *job)
{
	struct quarantine_job *q = (struct quarantine_job *)job;
	char name[64];
	_cleanup_close_ int dir = -1;
	int state = q->engine->state_dir_fd;

	snprintf(name, sizeof(name), QUARANTINE_DIR "/%" PRIu64, q->seq);
	q->result = 0;
	if ((mkdirat(state, QUARANTINE_DIR, 0700) < 0 && errno != EEXIST) ||
	    (mkdirat(state, name, 0700) < 0 && errno != EEXIST) ||
	    (dir = openat(state, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)) < 0)
		q->result = -errno;
	if (q->result == 0)
		q->result = write_text(dir, "record.json", q->record);
	if (q->result == 0)
		q->result = write_text(dir, "reason.txt", q->reason);
}

/* Only what is ours and old: a directory named by a number, with the two files in it. */
static bool remove_old(int dirfd, const char *name, time_t before)
{
	_cleanup_close_ int dir = -1;
	struct stat st;

	if (strspn(name, "0123456789") != strlen(name) ||
	    fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode) ||
	    st.st_mtime > before)
		return false;
	dir = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0)
		return false;
	(void)unlinkat(dir, "record.json", 0);
	(void)unlinkat(dir, "reason.txt", 0);
	return unlinkat(dirfd, name, AT_REMOVEDIR) == 0;
}

static void run_sweep(struct sc_sync_job *job)
{
	struct quarantine_job *q = (struct quarantine_job *)job;
	int fd = openat(q->engine->state_dir_fd, QUARANTINE_DIR,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	time_t before = time(NULL) - q->keep_s;
	const struct dirent *entry;

	q->removed = 0;
	if (!dir) {
		sc_close(&fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL)
		q->removed += remove_old(dirfd(dir), entry->d_name, before);
	closedir(dir);
}

/* --- on the loop --- */

static void finish_quarantine(struct sc_sync_job *job)
{
	struct quarantine_job *q = (struct quarantine_job *)job;
	struct sc_str reply;
	struct sc_json j;

	if (q->result == 0)
		sc_records_fact(q->engine,
				"record %" PRIu64 " is in quarantine, the store refused it: %s",
				q->seq, q->reason);
	else
		sc_log_error("quarantine of record %" PRIu64 ": %s", q->seq, strerror(-q->result));
	sc_str_init_heap(&reply);
	sc_json_init(&j, &reply);
	sc_json_object_begin(&j);
	sc_json_member_u64(&j, "exit", q->result ? SC_EXIT_FAILED : SC_EXIT_DONE);
	sc_json_member_text(&j, "error", q->result ? strerror(-q->result) : NULL);
	sc_json_object_end(&j);
	sc_control_reply(&q->engine->control, q->to, &reply);
}

static void finish_sweep(struct sc_sync_job *job)
{
	const struct quarantine_job *q = (struct quarantine_job *)job;

	if (q->removed)
		sc_log_info("quarantine: %u old records removed", q->removed);
}

static long keep_seconds(void)
{
	const char *text = getenv(KEEP_DAYS_NAME);
	char *end;
	long days;

	if (!text || !text[0])
		return KEEP_DAYS_DEFAULT * SECONDS_PER_DAY;
	days = strtol(text, &end, 10);
	if (*end || days < 0 || days > KEEP_DAYS_MAX) {
		sc_log_warning(KEEP_DAYS_NAME "=%s is no number of days: %d is used", text,
			       KEEP_DAYS_DEFAULT);
		days = KEEP_DAYS_DEFAULT;
	}
	return days * SECONDS_PER_DAY;
}

int sc_store_open(struct sc_engine *e)
{
	const char *url = getenv("DATABASE_URL");
	struct sc_store *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->is_on = url && url[0];
	s->quarantine.job = (struct sc_sync_job){.run = run_quarantine,
						 .finish = finish_quarantine};
	s->sweep.job = (struct sc_sync_job){.run = run_sweep, .finish = finish_sweep};
	s->quarantine.engine = s->sweep.engine = e;
	s->sweep.keep_s = keep_seconds();
	e->store = s;
	return 0;
}

void sc_store_close(struct sc_engine *e)
{
	free(e->store);
	e->store = NULL;
}

/* Down counts from the first word of it on. */
static void note_down(struct sc_engine *e, bool is_down)
{
	struct sc_store *s = e->store;

	if (is_down && (s->is_connected || !s->is_known))
		s->down_ns = e->now.mono_ns;
	s->is_known = true;
	s->is_connected = !is_down;
}

void sc_store_gone(struct sc_engine *e)
{
	if (e->store)
		note_down(e, true);
}

static double down_s(const struct sc_engine *e)
{
	return e->store->is_connected || e->now.mono_ns < e->store->down_ns
		       ? 0
		       : (double)(e->now.mono_ns - e->store->down_ns) / 1e9;
}

static uint64_t newest_seq(const struct sc_engine *e)
{
	struct sc_journal_stats stats;

	sc_journal_stats(e->journal, &stats);
	return stats.seq;
}

static uint64_t lag(const struct sc_engine *e)
{
	uint64_t seq = newest_seq(e);

	return seq > e->store->shipped ? seq - e->store->shipped : 0;
}

void sc_store_fill(struct sc_engine *e)
{
	bool is_on = e->store && e->store->is_on && e->journal;

	e->source.agent[SC_SIG_store_down_s] = is_on && e->store->is_known ? down_s(e) : NAN;
	e->source.agent[SC_SIG_store_lag_records] = is_on ? (double)lag(e) : NAN;
}

void sc_store_json(struct sc_engine *e, struct sc_json *j)
{
	const struct sc_store *s = e->store;

	sc_json_key(j, "store");
	if (!s || !s->is_on) {
		sc_json_null(j);
		return;
	}
	sc_json_object_begin(j);
	sc_json_member_bool(j, "connected", s->is_connected);
	sc_json_member_double(j, "down_s", down_s(e));
	sc_json_member_u64(j, "shipped_seq", s->shipped);
	sc_json_member_u64(j, "lag_records", lag(e));
	sc_json_member_u64(j, "failures", s->transient);
	sc_json_member_u64(j, "quarantined", s->refused);
	sc_json_member_text(j, "last_error", s->failure[0] ? s->failure : NULL);
	sc_json_member_text(j, "fork", s->fork[0] ? s->fork : NULL);
	sc_json_object_end(j);
}

static void take_text(struct sc_op_call *call, const char *key, char *out)
{
	const char *text = sc_op_text(call, key);
	struct sc_str s;

	sc_str_init(&s, out, REASON_MAX);
	if (text)
		sc_redact(&s, text);
}

static uint64_t take_number(const struct sc_op_call *call, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(call->args, key));

	return n > 0 ? (uint64_t)n : 0;
}

/* A fork is an alarm, once each time that it shows; a worker that takes it back and shows it again
 * and again does not fill the journal with it. */
static void take_fork(struct sc_op_call *call)
{
	struct sc_store *s = call->e->store;
	bool was_forked = s->fork[0] != '\0';
	uint64_t now = call->e->now.mono_ns;

	take_text(call, "fork", s->fork);
	if (s->fork[0] && !was_forked &&
	    (s->fork_told_ns == 0 || now - s->fork_told_ns >= FORK_TELL_NS)) {
		s->fork_told_ns = now;
		sc_log_error("FORK: the store and this journal are two histories: %s", s->fork);
		sc_records_fact(call->e, "fork: the store and this journal are two histories: %s",
				s->fork);
	}
}

static void sweep_when_due(struct sc_engine *e)
{
	struct sc_store *s = e->store;

	if (s->sweep.keep_s == 0 || s->sweep.job.is_busy ||
	    (s->swept_ns && e->now.mono_ns - s->swept_ns < SWEEP_NS))
		return;
	s->swept_ns = e->now.mono_ns;
	sc_syncer_order(&e->syncer, &s->sweep.job);
}

static bool is_from_worker(struct sc_op_call *call)
{
	if (!call->who.worker)
		sc_op_fail(call, SC_EXIT_USAGE, "only a worker tells of the store");
	return call->who.worker != NULL;
}

void sc_op_ship_state(struct sc_op_call *call)
{
	struct sc_engine *e = call->e;
	struct sc_store *s = e->store;
	bool is_connected = sc_op_flag(call, "connected");
	uint64_t transient = take_number(call, "transient"), refused = take_number(call, "refused");

	if (!is_from_worker(call))
		return;
	note_down(e, !is_connected);
	if (transient > s->transient)
		s->failed_ns = e->now.mono_ns;
	if (refused > s->refused)
		s->refused_ns = e->now.mono_ns;
	s->shipped = take_number(call, "shipped");
	s->transient = transient;
	s->refused = refused;
	take_text(call, "failure", s->failure);
	take_fork(call);
	sweep_when_due(e);
	sc_json_member_u64(&call->json, "durable", sc_journal_durable_seq(e->journal));
}

void sc_op_ship_quarantine(struct sc_op_call *call)
{
	struct quarantine_job *q = &call->e->store->quarantine;
	const char *record = sc_op_need(call, "record", "the line, or a blank");

	if (!is_from_worker(call))
		return;
	if (call->exit != SC_EXIT_DONE || q->job.is_busy) {
		if (call->exit == SC_EXIT_DONE)
			sc_op_fail(call, SC_EXIT_FAILED, "the one before is not put aside yet");
		return;
	}
	q->seq = take_number(call, "seq");
	/* Nor more directories than there are records. */
	if (q->seq == 0 || q->seq > newest_seq(call->e) ||
	    !sc_strcopy(q->record, sizeof(q->record), record)) {
		sc_op_fail(call, SC_EXIT_USAGE, "no record has that number or length");
		return;
	}
	take_text(call, "reason", q->reason);
	q->to = call->to;
	call->is_deferred = true;
	sc_syncer_order(&call->e->syncer, &q->job);
}

void sc_doctor_store(struct sc_op_call *call)
{
	const struct sc_engine *e = call->e;
	const struct sc_store *s = e->store;
	uint64_t now = e->now.mono_ns;
	enum sc_doctor_level level = SC_DOCTOR_GREEN;
	const char *fix = NULL;
	char text[2 * REASON_MAX];

	if (!s || !s->is_on) {
		sc_doctor_add(call, "store", SC_DOCTOR_GREEN,
			      "none is named by DATABASE_URL: records stay in the journal", NULL);
		return;
	}
	snprintf(text, sizeof(text),
		 "%s, record %" PRIu64 " is there, %" PRIu64 " to go, %" PRIu64
		 " in quarantine%s%s",
		 s->is_connected ? "connected" : "not connected", s->shipped, lag(e), s->refused,
		 s->failure[0] ? "; " : "", s->failure);
	if (!s->is_connected || (s->failed_ns && now - s->failed_ns < RECENT_NS)) {
		level = s->is_connected ? SC_DOCTOR_GREEN : SC_DOCTOR_YELLOW;
		fix = "scram ping --store, with the agent's DATABASE_URL";
	}
	if (s->refused_ns && now - s->refused_ns < RECENT_NS) {
		level = SC_DOCTOR_RED;
		fix = "read quarantine/*/reason.txt in the state directory";
	}
	if (s->fork[0]) {
		level = SC_DOCTOR_RED;
		snprintf(text, sizeof(text), "FORK: %s; nothing is shipped", s->fork);
		fix = "scram verify, and SELECT * FROM scram_verify(host) in the store: one of "
		      "them "
		      "was changed or put back";
	}
	sc_doctor_add(call, "store", level, text, fix);
}
