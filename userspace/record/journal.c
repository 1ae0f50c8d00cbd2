/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appending, on the loop thread: formats into a buffer taken at start, hashes, and writes into the
 * page cache of a segment whose blocks are already allocated. Must not allocate, sync, lock or
 * wait.
 */
#include "record/journal_internal.h"

#include "base/json.h"

#include <errno.h>
#include <string.h>

/* What a line has beside its body, at most. */
#define ENVELOPE_MAX (SC_RECORD_BYTES_MAX - SC_RECORD_BODY_MAX)

#define load(a)     atomic_load_explicit(a, memory_order_relaxed)
#define add(a, n)   atomic_fetch_add_explicit(a, n, memory_order_relaxed)
#define store(a, v) atomic_store_explicit(a, v, memory_order_relaxed)

static struct segment *current(const struct sc_journal *j)
{
	return atomic_load_explicit(&j->current, memory_order_relaxed);
}

void sc_journal_publish_room(struct sc_journal *j)
{
	const struct segment *s = current(j);

	store(&j->room_bytes,
	      (s->broken ? 0 : s->size - s->offset) + (j->next ? j->next->size : 0));
}

static void take_ready(struct sc_journal *j)
{
	if (!j->next && sc_spsc_pop(&j->ready, &j->next))
		sc_journal_publish_room(j);
}

void sc_journal_write_head(struct sc_journal *j)
{
	char text[SC_HEAD_BYTES + 1];
	struct sc_head head = {
		.seq = j->seq,
		.segment = current(j)->number,
		/* This order: a segment newer than the seq says only that more is durable. */
		.durable_seq = atomic_load_explicit(&j->durable_seq, memory_order_acquire),
		.durable_segment = load(&j->durable_segment),
	};

	memcpy(head.hash, j->hash, sizeof(head.hash));
	memcpy(head.boot_id, j->boot_id, sizeof(head.boot_id));
	sc_head_format(&head, text);
	if (j->os->pwrite(j->head_fd, text, SC_HEAD_BYTES, 0) != SC_HEAD_BYTES)
		add(&j->write_errors, 1);
}

/* Writes one record at the end of the current segment, where it has to fit. */
static int put_here(struct sc_journal *j, int64_t real_ns, enum sc_record_kind kind,
		    const char *body, size_t n)
{
	struct segment *s = current(j);
	char hash[SC_HASH_TEXT_MAX];
	struct sc_envelope envelope = {
		.seq = j->seq + 1,
		.real_ns = real_ns,
		.kind = kind,
		.boot_id = j->boot_id,
		.prev = j->hash,
	};
	size_t len = sc_line_format(j->line, &envelope, body, n, hash);
	long done;

	SC_ASSERT(len <= s->size - s->offset);
	done = j->os->pwrite(s->fd, j->line, len, (int64_t)s->offset);
	if (done < 0 || (size_t)done != len) {
		int err = done < 0 ? errno : EIO;

		s->broken = true;
		add(&j->write_errors, 1);
		sc_journal_publish_room(j);
		return -err;
	}
	s->offset += len;
	j->seq++;
	memcpy(j->hash, hash, sizeof(j->hash));
	add(&j->appended, 1);
	sc_journal_publish_room(j);
	atomic_store_explicit(&j->written_seq, j->seq, memory_order_release);
	sc_journal_write_head(j);
	return 0;
}

static bool has_room(const struct sc_journal *j, size_t n)
{
	const struct segment *s = current(j);

	return !s->broken && load(&j->suspect_segment) < s->number &&
	       s->size - s->offset >= n + ENVELOPE_MAX;
}

static int put_header(struct sc_journal *j, int64_t real_ns, const struct segment *previous)
{
	struct sc_str s;
	struct sc_json w;

	sc_str_init(&s, j->body, sizeof(j->body));
	sc_json_init(&w, &s);
	sc_json_object_begin(&w);
	sc_json_member_u64(&w, "format", 1);
	sc_json_member_u64(&w, "segment", current(j)->number);
	sc_json_member_text(&w, "host", j->host_id);
	sc_json_member_text(&w, "key", j->key.id);
	sc_json_member_u64(&w, "first_seq", j->seq + 1);
	sc_json_member_text(&w, "previous_head", j->hash);
	if (previous) {
		bool is_suspect = load(&j->suspect_segment) == previous->number;

		sc_json_member_u64(&w, "previous_bytes", previous->offset);
		sc_json_member_bool(&w, "previous_broken", previous->broken || is_suspect);
	}
	sc_json_object_end(&w);
	return put_here(j, real_ns, SC_RECORD_SEGMENT, s.data, s.len);
}

/* One part: item is what the callback wrote; the last part holds none and says so. */
static int put_part(struct sc_journal *j, int64_t real_ns, unsigned int part, const char *item)
{
	struct sc_str s;
	struct sc_json w;

	sc_str_init(&s, j->body, SC_RECORD_BODY_MAX + 1);
	sc_json_init(&w, &s);
	sc_json_object_begin(&w);
	sc_json_member_u64(&w, "part", part);
	sc_json_member_bool(&w, "last", !item);
	if (item) {
		sc_json_key(&w, "item");
		sc_json_raw(&w, item);
	}
	sc_json_object_end(&w);
	if (s.truncated)
		return -E2BIG;
	return put_here(j, real_ns, SC_RECORD_SNAPSHOT, s.data, s.len);
}

/*
 * A snapshot may take half of the segment; one that would need more stays without its last part,
 * and a replay begins at an earlier segment instead.
 */
static int put_snapshot(struct sc_journal *j, int64_t real_ns)
{
	struct sc_str item;
	unsigned int part = 0;
	int r;

	sc_str_init(&item, j->item, sizeof(j->item));
	while (j->snapshot(j->snapshot_arg, part, &item)) {
		if (item.truncated || current(j)->offset > current(j)->size / 2)
			return 0;
		r = put_part(j, real_ns, part, item.data);
		if (r < 0)
			return r == -E2BIG ? 0 : r;
		part++;
		sc_str_reset(&item);
	}
	return put_part(j, real_ns, part, NULL);
}

int sc_journal_rotate(struct sc_journal *j, int64_t real_ns)
{
	struct segment *old = current(j);
	int r;

	take_ready(j);
	if (!j->next)
		return -ENOSPC;
	/* First the old one into the queue, then the new one into sight: see sc_journal_sync. */
	if (old) {
		bool is_pushed = sc_spsc_push(&j->closed, &old);

		SC_ASSERT(is_pushed); /* the queue has a place for each segment of the pool */
	}
	store(&j->segment_number, j->next->number);
	atomic_store_explicit(&j->current, SC_TAKE_PTR(j->next), memory_order_release);
	add(&j->rotations, old ? 1 : 0);
	r = put_header(j, real_ns, old);
	if (r == 0 && j->snapshot)
		r = put_snapshot(j, real_ns);
	return r;
}

int sc_journal_put(struct sc_journal *j, int64_t real_ns, enum sc_record_kind kind,
		   const char *body, size_t n)
{
	int r;

	if (has_room(j, n)) {
		r = put_here(j, real_ns, kind, body, n);
		if (r == 0)
			return 0;
	}
	r = sc_journal_rotate(j, real_ns);
	if (r < 0)
		return r;
	return has_room(j, n) ? put_here(j, real_ns, kind, body, n) : -ENOSPC;
}

static int put_number(struct sc_journal *j, enum sc_record_kind kind, const char *key, uint64_t v)
{
	struct sc_str s;
	struct sc_json w;

	sc_str_init(&s, j->own, sizeof(j->own));
	sc_json_init(&w, &s);
	sc_json_object_begin(&w);
	sc_json_member_u64(&w, key, v);
	sc_json_object_end(&w);
	return sc_journal_put(j, sc_time_now().real_ns, kind, s.data, s.len);
}

/* Puts down what went wrong with the journal itself since it was last told. */
static void tell_troubles(struct sc_journal *j)
{
	uint64_t suspect = load(&j->suspect_segment);
	uint64_t lost = load(&j->lost);

	if (suspect > j->suspect_told &&
	    put_number(j, SC_RECORD_JOURNAL_SUSPECT, "segment", suspect) == 0)
		j->suspect_told = suspect;
	if (lost > j->lost_told &&
	    put_number(j, SC_RECORD_JOURNAL_LOST, "records", lost - j->lost_told) == 0)
		j->lost_told = lost;
}

unsigned int sc_journal_flush(struct sc_journal *j)
{
	struct sc_held_record r;

	take_ready(j);
	while (sc_held_peek(&j->held, &r)) {
		if (sc_journal_put(j, r.real_ns, r.kind, r.body, r.n) < 0)
			break;
		sc_held_pop(&j->held);
	}
	store(&j->held_records, j->held.count);
	if (j->held.count == 0)
		tell_troubles(j);
	return j->held.count;
}

int sc_journal_append(struct sc_journal *j, const struct sc_time *now, enum sc_record_kind kind,
		      const char *body, uint64_t *seq)
{
	struct sc_held_record held = {.kind = kind, .real_ns = now->real_ns, .body = body};
	int r;

	SC_ASSERT((unsigned int)kind < SC_RECORD_KIND_COUNT);
	held.n = strnlen(body, SC_RECORD_BODY_MAX + 1);
	if (held.n > SC_RECORD_BODY_MAX)
		return -E2BIG;
	SC_ASSERT(held.n >= 2 && body[0] == '{' && body[held.n - 1] == '}' &&
		  !memchr(body, '\n', held.n));
	if (sc_journal_flush(j) == 0 && sc_journal_put(j, now->real_ns, kind, body, held.n) == 0) {
		if (seq)
			*seq = j->seq;
		return 0;
	}
	r = sc_held_push(&j->held, &held);
	if (r < 0) {
		add(&j->lost, 1);
		return r;
	}
	store(&j->held_records, j->held.count);
	if (seq)
		*seq = 0;
	return 1;
}

int sc_journal_seal(struct sc_journal *j, const struct sc_time *now, struct sc_str *copy)
{
	char time[SC_TIME_TEXT_MAX];
	struct sc_seal seal = {.host_id = j->host_id, .head = j->hash, .time = time};
	struct sc_str s;
	int r;

	if (j->seq == load(&j->sealed_seq) + 1 && load(&j->sealed_seq) > 0)
		return 0;
	/* It speaks of the record right before it, so no header may come between and it is never
	 * kept. */
	if (sc_journal_flush(j) > 0)
		return -EAGAIN;
	r = has_room(j, SC_RECORD_BODY_MAX) ? 0 : sc_journal_rotate(j, now->real_ns);
	if (r < 0)
		return r;
	sc_time_text(now->real_ns, time);
	seal.seq = j->seq;
	seal.segment = current(j)->number;
	sc_str_init(&s, j->own, sizeof(j->own));
	sc_seal_body(&s, &seal, &j->key);
	r = put_here(j, now->real_ns, SC_RECORD_SEAL, s.data, s.len);
	if (r < 0)
		return r;
	store(&j->sealed_seq, seal.seq);
	if (copy)
		sc_str_addn(copy, s.data, s.len);
	return 0;
}

bool sc_journal_can_record(const struct sc_journal *j)
{
	return j->held.count == 0 && !load(&j->sync_failing) &&
	       load(&j->suspect_segment) < current(j)->number &&
	       load(&j->room_bytes) >= j->reserve_bytes;
}

uint64_t sc_journal_durable_seq(const struct sc_journal *j)
{
	return atomic_load_explicit(&j->durable_seq, memory_order_acquire);
}

void sc_journal_stats(const struct sc_journal *j, struct sc_journal_stats *out)
{
	*out = (struct sc_journal_stats){
		.seq = load(&j->written_seq),
		.durable_seq = load(&j->durable_seq),
		.sealed_seq = load(&j->sealed_seq),
		.appended = load(&j->appended),
		.held = load(&j->held_records),
		.lost = load(&j->lost),
		.write_errors = load(&j->write_errors),
		.sync_errors = load(&j->sync_errors),
		.rotations = load(&j->rotations),
		.segment = load(&j->segment_number),
		.room_bytes = load(&j->room_bytes),
	};
	out->broken = out->held > 0 || load(&j->sync_failing) ||
		      load(&j->suspect_segment) >= out->segment;
}

void sc_journal_set_snapshot(struct sc_journal *j, sc_snapshot_fn *snapshot, void *arg)
{
	j->snapshot = snapshot;
	j->snapshot_arg = arg;
}

const char *sc_journal_host_id(const struct sc_journal *j)
{
	return j->host_id;
}

const char *sc_journal_boot_id(const struct sc_journal *j)
{
	return j->boot_id;
}

const char *sc_journal_key_id(const struct sc_journal *j)
{
	return j->key.id;
}
