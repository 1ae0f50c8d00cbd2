/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plays the core for scram-ship: writes a journal with a known content at a known pace, serves the
 * link as the core does, and ends when the worker has told that all of it is in the store. With
 * --kill-ms the worker is killed by SIGKILL again and again and started anew. Prints one JSON
 * object.
 *
 *	db-drive SHIP STATE_DIR RECORDS RATE_PER_S TIMEOUT_S [KILL_MS [FAILURES]]
 *
 * With FAILURES it ends when the worker has told of so many.
 */
#include "base/clock.h"
#include "base/diag.h"
#include "base/io.h"
#include "base/json.h"
#include "engine/protocol.h"
#include "record/segment.h"

#include <scram/fire.h>
#include <scram/journal.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define STEP_NS     (5 * SC_NS_PER_MS)
#define FIRE_EVERY  20
#define SEAL_EVERY  500
#define SYNC_EVERY  200
#define LINK_FD     3
#define REPLY_BYTES 512
#define MEMORY_MAX  (64ULL << 20) /* as of the ship worker's row in engine/workers_table.c */

struct drive {
	const char *program, *state_dir;
	struct sc_journal *journal;
	int journal_dir;
	uint64_t wanted, appended, fires, rate;
	struct sc_fire fire;
	unsigned int step; /* of the fire: intent, dispatched, verified */

	pid_t worker;
	int link;
	struct sc_frame_reader reader;
	uint64_t shipped, told, starts, kills, failures, refused;
	uint64_t failures_wanted; /* 0 = it is not ended by them */
	long rss_kib;             /* of the worker, at most */
	int status;               /* of its end, as waitpid tells it */
	bool was_forked;
};

/* --- the journal --- */

static void append(struct drive *d, enum sc_record_kind kind, const char *body)
{
	struct sc_time now = sc_time_now();

	if (sc_journal_append(d->journal, &now, kind, body, NULL) < 0)
		abort();
	d->appended++;
	if (d->appended % SYNC_EVERY == 0)
		(void)sc_journal_sync(d->journal); /* and a new segment is prepared */
	if (d->appended % SEAL_EVERY == 0)
		(void)sc_journal_seal(d->journal, &now, NULL);
}

#define STEP(name) SC_RECORD_FIRE_##name
#define NO_STEP    SC_RECORD_KIND_COUNT

/* Every way through the life of a fire: each state is the last one of some. */
static const enum sc_record_kind lives[][7] = {
	{STEP(INTENT), STEP(DISPATCHED), STEP(VERIFIED), NO_STEP},
	{STEP(VETOED), NO_STEP},
	{STEP(DRY_RUN), NO_STEP},
	{STEP(PENDING), NO_STEP},
	{STEP(PENDING), STEP(APPROVED), NO_STEP},
	{STEP(PENDING), STEP(REJECTED), NO_STEP},
	{STEP(PENDING), STEP(TIMED_OUT), NO_STEP},
	{STEP(PENDING), STEP(APPROVED), STEP(INTENT), STEP(DISPATCHED), STEP(FAILED), NO_STEP},
	{STEP(INTENT), NO_STEP},
	{STEP(INTENT), STEP(DISPATCHED), NO_STEP},
	{STEP(INTENT), STEP(DISPATCHED), STEP(VERIFIED), STEP(REKILLED), STEP(RELEASED), NO_STEP},
};

static void note_second(struct drive *d, enum sc_record_kind step)
{
	enum sc_two_person *second = &d->fire.two_person;

	*second = step == STEP(PENDING)     ? SC_TWO_PERSON_PENDING
		  : step == STEP(APPROVED)  ? SC_TWO_PERSON_APPROVED
		  : step == STEP(REJECTED)  ? SC_TWO_PERSON_REJECTED
		  : step == STEP(TIMED_OUT) ? SC_TWO_PERSON_TIMED_OUT
					    : *second;
	if (step == STEP(APPROVED) || step == STEP(REJECTED))
		sc_strcopy(d->fire.second_operator, sizeof(d->fire.second_operator), "bob");
	if (step == STEP(RELEASED)) {
		sc_strcopy(d->fire.released_by, sizeof(d->fire.released_by), "ann");
		d->fire.released_at_ns = sc_time_now().real_ns;
	}
}

/* One step in the life of a fire, as the engine records it. */
static void append_fire(struct drive *d)
{
	const enum sc_record_kind *kinds = lives[d->fires % SC_ARRAY_SIZE(lives)];
	char body[SC_RECORD_BODY_MAX + 1];
	struct sc_str text;
	struct sc_json json;

	if (d->step == 0) {
		d->fire = (struct sc_fire){.fired_at_ns = sc_time_now().real_ns};
		sc_uuid(d->fire.id);
		sc_strcopy(d->fire.condition_id, sizeof(d->fire.condition_id), "driven");
		sc_strcopy(d->fire.fired_by, sizeof(d->fire.fired_by), "auto");
		sc_strcopy(d->fire.reason, sizeof(d->fire.reason), "a \"quoted\" {reason}, \\ too");
		sc_strcopy(d->fire.evidence, sizeof(d->fire.evidence), "{\"n\":1}");
	}
	note_second(d, kinds[d->step]);
	d->fire.state = (enum sc_fire_state)sc_fire_next(d->fire.state, kinds[d->step]);
	d->fire.dispatched |= kinds[d->step] == SC_RECORD_FIRE_DISPATCHED;
	sc_str_init(&text, body, sizeof(body));
	sc_json_init(&json, &text);
	sc_fire_json(&json, &d->fire, d->step ? SC_FIRE_NO_EVIDENCE : SC_FIRE_FULL);
	append(d, kinds[d->step], body);
	d->step++;
	if (kinds[d->step] != NO_STEP)
		return;
	d->step = 0;
	d->fires++;
}

static void append_some(struct drive *d, uint64_t due)
{
	char body[256];

	while (d->appended < SC_MIN(due, d->wanted)) {
		if (d->step || d->appended % FIRE_EVERY == 0) {
			append_fire(d);
			continue;
		}
		snprintf(body, sizeof(body),
			 "{\"text\":\"record %" PRIu64 " of a driven journal, \\u00e9 \xc3\xa9\"}",
			 d->appended);
		append(d, SC_RECORD_FACT, body);
	}
	(void)sc_journal_sync(d->journal);
}

/* --- the link --- */

static void send_text(struct drive *d, const char *text, int fd)
{
	struct sc_frame_writer w;
	int r;

	if (d->link < 0)
		return;
	sc_frame_writer_init(&w, text, strlen(text));
	w.fd = fd;
	while ((r = sc_frame_write(&w, d->link)) == 0)
		poll(&(struct pollfd){.fd = d->link, .events = POLLOUT}, 1, 1000);
	if (r < 0)
		sc_close(&d->link);
}

static void quarantine(struct drive *d, const json_t *request)
{
	const char *text = json_string_value(json_object_get(request, "record"));
	json_int_t seq = json_integer_value(json_object_get(request, "seq"));
	_cleanup_close_ int state = open(d->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[64];

	snprintf(name, sizeof(name), "refused-%" JSON_INTEGER_FORMAT, seq);
	(void)sc_write_file_atomic(state, name, text, strlen(text), 0600);
}

static void serve(struct drive *d, const json_t *request)
{
	const char *op = json_string_value(json_object_get(request, "op"));
	_cleanup_close_ int fd = -1;
	char reply[REPLY_BYTES];

	if (!op) {
		fprintf(stderr, "db-drive: the worker's request is not JSON\n");
		sc_close(&d->link);
		return;
	}
	sc_strcopy(reply, sizeof(reply), "{\"exit\":0,\"error\":null}");
	if (!strcmp(op, "segment")) {
		json_int_t number = json_integer_value(json_object_get(request, "number"));

		fd = sc_segment_open(d->journal_dir, (uint64_t)number, O_RDONLY);
		if (fd < 0)
			sc_strcopy(reply, sizeof(reply), "{\"exit\":1,\"error\":\"none\"}");
	} else if (!strcmp(op, "ship.state")) {
		d->shipped = (uint64_t)json_integer_value(json_object_get(request, "shipped"));
		d->failures = (uint64_t)json_integer_value(json_object_get(request, "transient"));
		d->refused = (uint64_t)json_integer_value(json_object_get(request, "refused"));
		d->was_forked |= json_is_string(json_object_get(request, "fork"));
		snprintf(reply, sizeof(reply),
			 "{\"durable\":%" PRIu64 ",\"exit\":0,\"error\":null}",
			 sc_journal_durable_seq(d->journal));
	} else if (!strcmp(op, "ship.quarantine")) {
		quarantine(d, request);
	}
	send_text(d, reply, SC_MAX(fd, -1));
}

static void listen_to(struct drive *d)
{
	int r;

	while (d->link >= 0 && (r = sc_frame_read(&d->reader, d->link)) != 0) {
		json_t *request;

		if (r < 0) {
			sc_close(&d->link);
			return;
		}
		request = json_loadb(d->reader.data, d->reader.size, JSON_REJECT_DUPLICATES, NULL);
		serve(d, request);
		json_decref(request);
		sc_frame_reader_reset(&d->reader);
	}
}

static void start(struct drive *d)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		abort();
	d->worker = fork();
	if (d->worker == 0) {
		if (ends[1] != LINK_FD)
			dup2(ends[1], LINK_FD);
		else
			fcntl(LINK_FD, F_SETFD, 0);
		setrlimit(RLIMIT_DATA, &(struct rlimit){MEMORY_MAX, MEMORY_MAX});
		execl(d->program, d->program, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	d->link = ends[0];
	d->told = 0;
	d->starts++;
	sc_frame_reader_done(&d->reader);
	sc_frame_reader_init_heap(&d->reader, SC_REQUEST_SIZE_MAX);
	send_text(d, "{\"event\":\"hello\",\"version\":\"test\"}", -1);
}

static void end(struct drive *d, int signo)
{
	struct rusage usage = {0};

	if (signo)
		kill(d->worker, signo);
	else
		send_text(d, "{\"event\":\"stop\"}", -1);
	/* What it asks before it has read that is answered still. */
	while (!signo && d->link >= 0) {
		poll(&(struct pollfd){.fd = d->link, .events = POLLIN}, 1, -1);
		listen_to(d);
	}
	wait4(d->worker, &d->status, 0, &usage);
	d->rss_kib = SC_MAX(d->rss_kib, usage.ru_maxrss);
	sc_close(&d->link);
}

static void tell(struct drive *d, uint64_t seq)
{
	char text[64];

	if (seq == d->told)
		return;
	d->told = seq;
	snprintf(text, sizeof(text), "{\"event\":\"changed\",\"seq\":%" PRIu64 "}", seq);
	send_text(d, text, -1);
}

/* Until all is shipped, or the time is over. */
static void run(struct drive *d, uint64_t timeout_ns, uint64_t kill_ns)
{
	uint64_t begin = sc_mono_ns(), next_kill = begin + kill_ns;
	struct sc_journal_stats stats;

	for (;;) {
		uint64_t now = sc_mono_ns();

		append_some(d, d->rate ? (now - begin) * d->rate / SC_NS_PER_S : d->wanted);
		sc_journal_stats(d->journal, &stats);
		if ((d->appended >= d->wanted && d->shipped >= stats.seq) ||
		    (d->failures_wanted && d->failures >= d->failures_wanted) ||
		    now - begin > timeout_ns)
			return;
		if (kill_ns && now > next_kill) {
			end(d, SIGKILL);
			d->kills++;
			next_kill = now + kill_ns;
		}
		if (d->link < 0)
			start(d);
		tell(d, stats.seq);
		poll(&(struct pollfd){.fd = d->link, .events = POLLIN}, 1, STEP_NS / SC_NS_PER_MS);
		listen_to(d);
	}
}

static int open_journal(struct drive *d)
{
	struct sc_journal_options options = {.state_dir = d->state_dir};
	struct sc_time now = sc_time_now();
	struct sc_diag diag = {0};
	char path[4096];
	int r = sc_journal_open(&options, &now, &d->journal, &diag);

	snprintf(path, sizeof(path), "%s/" SC_JOURNAL_DIR, d->state_dir);
	d->journal_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r < 0)
		fprintf(stderr, "db-drive: %s\n", diag.text);
	return r;
}

int main(int argc, char **argv)
{
	struct drive d = {.link = -1, .worker = -1};
	struct sc_journal_stats stats;
	uint64_t begin, took_ns, before;
	bool is_whole;

	if (argc < 6)
		return 2;
	d.program = argv[1];
	d.state_dir = argv[2];
	d.wanted = strtoull(argv[3], NULL, 10);
	d.rate = strtoull(argv[4], NULL, 10);
	d.failures_wanted = argc > 7 ? strtoull(argv[7], NULL, 10) : 0;
	if (sc_mkdir_p(d.state_dir, 0700) < 0 || open_journal(&d) < 0)
		return 1;
	if (d.rate == 0)
		append_some(&d, d.wanted); /* a backlog: only the shipping is timed */
	sc_journal_stats(d.journal, &stats);
	before = d.rate ? 0 : stats.seq;
	begin = sc_mono_ns();
	run(&d, strtoull(argv[5], NULL, 10) * SC_NS_PER_S,
	    argc > 6 ? strtoull(argv[6], NULL, 10) * SC_NS_PER_MS : 0);
	took_ns = sc_mono_ns() - begin;
	sc_journal_stats(d.journal, &stats);
	is_whole = d.shipped >= stats.seq;
	if (d.link >= 0)
		end(&d, 0);
	printf("{\"seq\":%" PRIu64 ",\"shipped\":%" PRIu64 ",\"fires\":%" PRIu64
	       ",\"seconds\":%.2f,\"backlog_per_s\":%.0f,\"starts\":%" PRIu64 ",\"kills\":%" PRIu64
	       ",\"failures\":%" PRIu64 ",\"refused\":%" PRIu64
	       ",\"forked\":%s,\"rss_kib\":%ld,\"status\":%d,\"host\":\"%s\"}\n",
	       stats.seq, d.shipped, d.fires, (double)took_ns / 1e9,
	       (double)before * 1e9 / (double)took_ns, d.starts, d.kills, d.failures, d.refused,
	       d.was_forked ? "true" : "false", d.rss_kib, d.status, sc_journal_host_id(d.journal));
	sc_frame_reader_done(&d.reader);
	sc_journal_close(&d.journal);
	return is_whole ? 0 : 1;
}
