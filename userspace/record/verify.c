/* SPDX-License-Identifier: Apache-2.0 */
/* Says whether a journal is what was once written, from its files alone. Writes nothing. */
#include "record/seal.h"
#include "record/walk.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <string.h>

/*
 * Beside a running agent a record may be seen half written, or the next segment before the last
 * record of this one. Such a sight is soon gone; damage stays.
 */
#define LIVE_NS      (2 * SC_NS_PER_S)
#define LOOK_EACH_MS 10

struct verify {
	const struct sc_verify_options *options;
	struct sc_verify_report *report;
	struct sc_walk *walk;
	int dirfd;
	struct sc_head head;
	int head_error;
	struct sc_seal_key key;
	int key_error;
	char boot_id[37];
	char host_id[SC_HOST_ID_TEXT_MAX]; /* of the last segment header */
	char prev[SC_HASH_TEXT_MAX];       /* hash of the record before the one at hand */
	bool is_forked;                    /* from the witness or the head file */
	uint64_t forked_seq;
	bool is_seal_false;
	struct sc_fault false_seal;
	uint64_t unknown_seals;
};

static void take_header(struct verify *v, const struct sc_record *record)
{
	json_t *body = json_loadb(record->body, record->body_len, JSON_REJECT_DUPLICATES, NULL);
	const char *host = json_string_value(json_object_get(body, "host"));

	sc_strcopy(v->host_id, sizeof(v->host_id), host ? host : "");
	json_decref(body);
}

static void take_seal(struct verify *v, const struct sc_record *record)
{
	struct sc_seal expected = {
		.seq = record->seq - 1,
		.segment = v->walk->segment,
		.host_id = v->host_id,
		.head = v->prev,
	};

	if (v->key_error)
		return;
	switch (sc_seal_verify(record->body, record->body_len, &expected, &v->key)) {
	case SC_SEAL_VALID:
		v->report->seals++;
		v->report->last_sealed_seq = expected.seq;
		memcpy(v->report->last_seal_time, record->time, sizeof(record->time));
		break;
	case SC_SEAL_UNKNOWN_KEY:
		v->unknown_seals++;
		break;
	case SC_SEAL_FALSE:
		v->is_seal_false = true;
		v->false_seal = (struct sc_fault){
			.verdict = SC_VERDICT_CORRUPT,
			.segment = v->walk->segment,
			.line = v->walk->line_number,
			.byte = v->walk->offset - record->line_len - 1,
			.seq = record->seq,
			.text = "the signature of the seal is false",
		};
		break;
	}
}

/* The same record as someone else saw it: another hash is another history. */
static void compare(struct verify *v, uint64_t seq, const char *hash)
{
	if (hash && seq == v->walk->seq && strcmp(hash, v->walk->hash) != 0 && !v->is_forked) {
		v->is_forked = true;
		v->forked_seq = seq;
	}
}

static void take_record(struct verify *v)
{
	const struct sc_record *record = &v->walk->line.record;

	if (v->walk->records == 1)
		memcpy(v->report->first_time, record->time, sizeof(record->time));
	memcpy(v->report->last_time, record->time, sizeof(record->time));
	if (record->kind == SC_RECORD_SEGMENT)
		take_header(v, record);
	if (record->kind == SC_RECORD_SEAL)
		take_seal(v, record);
	if (v->options->witness_seq)
		compare(v, v->options->witness_seq, v->options->witness_hash);
	if (v->head_error == 0 && v->head.seq)
		compare(v, v->head.seq, v->head.hash);
	memcpy(v->prev, v->walk->hash, sizeof(v->prev));
}

/* A seq that stands twice: the same record again, or another history? Reads up to the first of
 * them. */
static int refine_repeat(struct verify *v)
{
	_cleanup_(sc_walk_free) struct sc_walk *w = NULL;
	const struct sc_line *again = &v->walk->line;
	int r;

	if (!v->walk->fault.is_repeat)
		return 0;
	r = sc_walk_new(v->dirfd, 0, &w);
	while (r == 0 && (r = sc_walk_next(w)) > 0 && w->seq != again->record.seq)
		r = 0;
	if (r > 0 && strcmp(w->hash, again->hash) != 0) {
		v->walk->fault.verdict = SC_VERDICT_FORK;
		sc_strcopy(v->walk->fault.text, sizeof(v->walk->fault.text),
			   "a record stands here that was there before with another hash");
	}
	return SC_MIN(r, 0);
}

static void found(struct verify *v, enum sc_verify_verdict verdict, uint64_t seq, const char *what)
{
	struct sc_str s;

	v->report->verdict = verdict;
	v->report->fault_seq = seq;
	sc_str_init(&s, v->report->text, sizeof(v->report->text));
	if (seq)
		sc_str_addf(&s, "record %" PRIu64 ": ", seq);
	sc_str_add(&s, what);
}

static void found_fault(struct verify *v, enum sc_verify_verdict verdict, const struct sc_fault *f)
{
	struct sc_str s;

	v->report->verdict = verdict;
	v->report->fault_segment = f->segment;
	v->report->fault_line = f->line;
	v->report->fault_byte = f->byte;
	v->report->fault_seq = f->seq;
	sc_str_init(&s, v->report->text, sizeof(v->report->text));
	sc_str_addf(&s,
		    "record %" PRIu64 " (segment %" PRIu64 ", line %" PRIu64 ", byte %" PRIu64
		    "): %s",
		    f->seq, f->segment, f->line, f->byte, f->text);
}

/* Does someone know of a record that the log does not have, and that no crash explains? */
static bool is_rolled_back(struct verify *v, bool is_torn)
{
	uint64_t last = v->walk->seq;
	bool is_other_boot = strcmp(v->head.boot_id, v->boot_id) != 0;

	if (v->options->witness_seq > last) {
		found(v, SC_VERDICT_ROLLBACK, last + 1, "a witness has seen a later record");
		return true;
	}
	/* The record that the crash tore was in the head file already when a power cut or a hand
	 * tore it. */
	last += is_torn && v->walk->fault.is_tail;
	if (v->head_error || v->head.seq <= last ||
	    (is_other_boot && v->head.durable_seq <= v->walk->seq))
		return false;
	found(v, SC_VERDICT_ROLLBACK, last + 1, "the head file knows later records");
	return true;
}

/* The precedence that journal.h promises. */
static void judge(struct verify *v)
{
	const struct sc_fault *f = &v->walk->fault;
	const struct sc_head *head = v->head_error ? NULL : &v->head;
	bool is_torn = f->verdict != SC_VERDICT_OK && sc_fault_is_torn(f, head, v->boot_id);
	bool is_short = head && head->seq > v->walk->seq;

	if (v->is_seal_false)
		found_fault(v, SC_VERDICT_CORRUPT, &v->false_seal);
	else if (f->verdict != SC_VERDICT_OK && !is_torn)
		found_fault(v, f->verdict, f);
	else if (v->is_forked)
		found(v, SC_VERDICT_FORK, v->forked_seq,
		      "the witness or the head file knows it with another hash");
	else if (is_rolled_back(v, is_torn))
		return;
	else if (v->head_error == -EBADMSG)
		found(v, SC_VERDICT_CORRUPT, 0, "the head file is damaged");
	else if (v->head_error)
		found(v, SC_VERDICT_MISSING, 0, "the head file is missing");
	else if (v->walk->records == 0)
		found(v, SC_VERDICT_MISSING, 1, "there is no record at all");
	else if (v->unknown_seals)
		found(v, SC_VERDICT_UNKNOWN_KEY, 0, "it was sealed by another key");
	else if (v->report->seals == 0)
		found(v, SC_VERDICT_UNSIGNED, 0,
		      v->key_error ? "there is no public key to check seals with"
				   : "there is no valid seal");
	else if (is_torn)
		found_fault(v, SC_VERDICT_TORN, f);
	else if (is_short)
		found(v, SC_VERDICT_TORN, v->walk->seq + 1,
		      "records not yet on disk were lost with the power");
	else
		found(v, SC_VERDICT_OK, 0, "ok");
}

static int run(struct verify *v)
{
	int r = sc_walk_new(v->dirfd, 0, &v->walk);

	sc_strcopy(v->prev, sizeof(v->prev), SC_HASH_NONE);
	if (r < 0)
		return r;
	while ((r = sc_walk_next(v->walk)) > 0)
		take_record(v);
	if (r == 0)
		r = refine_repeat(v);
	if (r < 0)
		return r;
	v->report->records = v->walk->records;
	v->report->segments = v->walk->segments;
	v->report->last_seq = v->walk->seq;
	memcpy(v->report->last_hash, v->walk->hash, sizeof(v->walk->hash));
	judge(v);
	return 0;
}

/* One pass over files that stay as they are, or grow. */
static int verify_once(int state_fd, const struct sc_verify_options *options,
		       struct sc_verify_report *report)
{
	_cleanup_close_ int dirfd = -1;
	struct verify v = {.options = options, .report = report};
	int r = 0;

	*report = (struct sc_verify_report){0};
	dirfd = openat(state_fd, SC_JOURNAL_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return -errno;
	v.dirfd = dirfd;
	/* Before the segments: beside a running agent they may have more by then, never less. */
	v.head_error = sc_head_read(state_fd, &v.head);
	v.key_error = options->public_key ? sc_seal_pub_load(AT_FDCWD, options->public_key, &v.key)
					  : sc_seal_pub_load(state_fd, SC_SEAL_PUB_NAME, &v.key);
	if (options->public_key && v.key_error)
		return v.key_error;
	if (!options->boot_id)
		r = sc_boot_id(v.boot_id);
	else
		sc_strcopy(v.boot_id, sizeof(v.boot_id), options->boot_id);
	if (r == 0)
		r = run(&v);
	sc_walk_free(&v.walk);
	return r;
}

/* Has somebody opened it to write? Asked without taking the lock from an agent that starts. */
static bool is_written(int state_fd)
{
	_cleanup_close_ int fd = openat(state_fd, SC_JOURNAL_LOCK, O_RDONLY | O_CLOEXEC);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

int sc_journal_verify(const char *state_dir, const struct sc_verify_options *options,
		      struct sc_verify_report *report)
{
	static const struct sc_verify_options defaults;
	_cleanup_close_ int state_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t until_ns = sc_mono_ns() + LIVE_NS;
	struct sc_verify_report found_report;
	int r;

	if (state_fd < 0)
		return -errno;
	if (sodium_init() < 0)
		return -EIO;
	for (;;) {
		bool is_live = is_written(state_fd);

		r = verify_once(state_fd, options ? options : &defaults, &found_report);
		if (r < 0)
			return r;
		if (found_report.verdict == SC_VERDICT_OK || !is_live || sc_mono_ns() > until_ns)
			break;
		(void)poll(NULL, 0, LOOK_EACH_MS);
	}
	*report = found_report;
	return 0;
}
