/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quarantine: <state-dir>/quarantine/<seq>/{record.json, reason.txt}, copies of the records
 * that the store will never take. Bounded: past its bounds a record is refused, which keeps it, and
 * what follows it, waiting in the journal. Decided on the loop, written on the sync thread.
 */
#include "engine/store_impl.h"

#include "base/io.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define QUARANTINE_DIR    "quarantine"
#define KEEP_DAYS_DEFAULT 30
#define KEEP_DAYS_MAX     36500
#define KEEP_DAYS_NAME    "SCRAM_QUARANTINE_KEEP_DAYS"
#define HOUR_NS           (3600 * SC_NS_PER_S)
#define TELL_NS           (600 * SC_NS_PER_S)
#define SECONDS_PER_DAY   86400

/* --- on the sync thread --- */

static int write_text(int dirfd, const char *name, const char *text)
{
	return sc_write_file_atomic(dirfd, name, text, strlen(text), 0600 | SC_WRITE_DURABLE);
}

/* How many records lie there; one that is there already needs no new place. */
static unsigned int count_others(int state, const char *name)
{
	int fd = openat(state, QUARANTINE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	unsigned int n = 0;

	if (!dir) {
		sc_close(&fd);
		return 0;
	}
	while ((entry = readdir(dir)) != NULL)
		n += entry->d_name[0] != '.' && strcmp(entry->d_name, name) != 0;
	closedir(dir);
	return n;
}

static int make_place(int state, const char *name)
{
	if (mkdirat(state, QUARANTINE_DIR, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (count_others(state, strrchr(name, '/') + 1) >= SC_QUARANTINE_MAX)
		return -EDQUOT;
	return mkdirat(state, name, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static void run_quarantine(struct sc_sync_job *job)
{
	struct sc_quarantine_job *q = (struct sc_quarantine_job *)job;
	char name[64];
	_cleanup_close_ int dir = -1;
	int state = q->engine->state_dir_fd;

	snprintf(name, sizeof(name), QUARANTINE_DIR "/%" PRIu64, q->seq);
	q->result = make_place(state, name);
	if (q->result == 0 &&
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
	struct sc_quarantine_job *q = (struct sc_quarantine_job *)job;
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

/* Loud, but not at each of the worker's tries. */
static void note_full(struct sc_engine *e, const char *why)
{
	struct sc_quarantine *q = &e->store->quarantine;
	uint64_t now = e->now.mono_ns;

	q->refused++;
	q->refused_ns = now;
	if (q->told_ns && now - q->told_ns < TELL_NS)
		return;
	q->told_ns = now;
	sc_log_error("quarantine: %s; nothing more is shipped meanwhile", why);
	sc_records_fact(e, "the quarantine takes no more: %s; records wait in the journal", why);
}

static void finish_quarantine(struct sc_sync_job *job)
{
	struct sc_quarantine_job *q = (struct sc_quarantine_job *)job;
	struct sc_str reply;
	struct sc_json j;

	if (q->result == 0)
		sc_records_fact(q->engine,
				"record %" PRIu64 " is in quarantine, the store refused it: %s",
				q->seq, q->reason);
	else if (q->result == -EDQUOT)
		note_full(q->engine, "as many records lie there as may");
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
	const struct sc_quarantine_job *q = (struct sc_quarantine_job *)job;

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

void sc_quarantine_init(struct sc_engine *e, struct sc_quarantine *q)
{
	q->put.job = (struct sc_sync_job){.run = run_quarantine, .finish = finish_quarantine};
	q->sweep.job = (struct sc_sync_job){.run = run_sweep, .finish = finish_sweep};
	q->put.engine = q->sweep.engine = e;
	q->sweep.keep_s = keep_seconds();
}

void sc_quarantine_sweep(struct sc_engine *e)
{
	struct sc_quarantine *q = &e->store->quarantine;

	if (q->sweep.keep_s == 0 || q->sweep.job.is_busy ||
	    (q->swept_ns && e->now.mono_ns - q->swept_ns < HOUR_NS))
		return;
	q->swept_ns = e->now.mono_ns;
	sc_syncer_order(&e->syncer, &q->sweep.job);
}

static bool is_hour_full(struct sc_quarantine *q, uint64_t now)
{
	if (q->hour_ns == 0 || now - q->hour_ns >= HOUR_NS) {
		q->hour_ns = now;
		q->in_hour = 0;
	}
	return q->in_hour >= SC_QUARANTINE_HOUR_MAX;
}

void sc_op_ship_quarantine(struct sc_op_call *call)
{
	struct sc_quarantine *quarantine = &call->e->store->quarantine;
	struct sc_quarantine_job *q = &quarantine->put;
	const char *record = sc_op_need(call, "record", "the line, or a blank");
	struct sc_journal_stats stats;

	if (!call->who.worker)
		sc_op_fail(call, SC_EXIT_USAGE, "only a worker tells of the store");
	else if (call->exit == SC_EXIT_DONE && q->job.is_busy)
		sc_op_fail(call, SC_EXIT_FAILED, "the one before is not put aside yet");
	if (call->exit != SC_EXIT_DONE)
		return;
	sc_journal_stats(call->e->journal, &stats);
	q->seq = sc_store_take_number(call->args, "seq");
	if (q->seq == 0 || q->seq > stats.seq ||
	    !sc_strcopy(q->record, sizeof(q->record), record)) {
		sc_op_fail(call, SC_EXIT_USAGE, "no record has that number or length");
		return;
	}
	if (is_hour_full(quarantine, call->e->now.mono_ns)) {
		note_full(call->e, "as many records were put there within an hour as may");
		sc_op_fail(call, SC_EXIT_FAILED, "the quarantine takes no more within this hour");
		return;
	}
	quarantine->in_hour++;
	sc_store_take_text(sc_op_text(call, "reason"), q->reason);
	q->to = call->to;
	call->is_deferred = true;
	sc_syncer_order(&call->e->syncer, &q->job);
}

void sc_quarantine_doctor(struct sc_op_call *call)
{
	const struct sc_quarantine *q = &call->e->store->quarantine;
	char text[192];

	if (!q->refused_ns || call->e->now.mono_ns - q->refused_ns >= SC_STORE_RECENT_NS)
		return;
	snprintf(text, sizeof(text),
		 "takes no more: at most %d records an hour, %d in all; what follows waits in the "
		 "journal, nothing is lost",
		 SC_QUARANTINE_HOUR_MAX, SC_QUARANTINE_MAX);
	sc_doctor_add(call, "store quarantine", SC_DOCTOR_RED, text,
		      "mend in the store what quarantine/*/reason.txt in the state directory tell, "
		      "and remove those directories");
}
