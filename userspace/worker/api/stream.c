/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /v1/stream: the journal as server-sent events, each with its sequence number as id, so that a
 * client that comes back with Last-Event-ID gets what it missed. Read from the segments themselves,
 * whose descriptors the core hands over; the core pays nothing for a slow reader.
 */
#include "worker/api/api.h"

#include "base/clock.h"
#include "record/line.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <string.h>

#define STREAMS_MAX 32
#define BATCH       16384 /* of text that is prepared at once */
/* A comment at least so often: a client that has gone is noticed when it is written to. */
#define PING_NS   (10 * SC_NS_PER_S)
#define TIMEOUT_S 60U

struct sc_stream {
	struct sc_stream *next;
	struct sc_api *api;
	struct MHD_Connection *connection;
	uint64_t next_seq; /* of the record that is due */
	uint64_t segment;  /* that fd is; 0 = none yet */
	uint64_t first;    /* segment that there is */
	uint64_t pinged_ns;
	off_t offset;
	int fd;
	bool is_trusted;
	bool is_placed; /* next_seq is not before the segment */
	bool is_suspended, is_asking, is_gone, is_broken;
	struct sc_str text;
	size_t sent;
	char buf[SC_RECORD_BYTES_MAX];
};

static void release(struct sc_stream *s)
{
	sc_close(&s->fd);
	sc_str_done(&s->text);
	free(s);
}

/* The library has no more use for it. */
static void on_end(void *arg)
{
	struct sc_stream *s = arg;
	struct sc_stream **p = &s->api->streams;

	while (*p != s)
		p = &(*p)->next;
	*p = s->next;
	s->api->n_streams--;
	s->is_gone = true;
	if (!s->is_asking)
		release(s);
}

static void wake(struct sc_stream *s)
{
	if (!s->is_suspended)
		return;
	s->is_suspended = false;
	s->api->has_resumed = true;
	MHD_resume_connection(s->connection);
}

/* The library does not look at who waits. Behind the request may stand what nobody will read. */
static bool is_closed(const struct sc_stream *s)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(
		s->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct pollfd p = {.fd = info->connect_fd, .events = POLLRDHUP};

	return poll(&p, 1, 0) > 0;
}

void sc_streams_wake(struct sc_api *api, bool has_news)
{
	uint64_t now_ns = sc_mono_ns();

	for (struct sc_stream *s = api->streams; s; s = s->next) {
		if (s->is_asking)
			continue;
		if (!has_news && s->is_suspended)
			s->is_broken = s->is_broken || is_closed(s);
		if (has_news || s->is_broken || now_ns - s->pinged_ns > PING_NS)
			wake(s);
	}
}

/* --- segments --- */

static void take_segment(struct sc_api *api, void *owner, json_t *reply, int *fd);

static void ask_segment(struct sc_stream *s, uint64_t number)
{
	s->is_asking = true;
	sc_api_ask(s->api, json_pack("{s:s, s:I}", "op", "segment", "number", (json_int_t)number),
		   take_segment, s);
}

/* The next whole line at the offset. False when there is none (yet). */
static bool read_line(struct sc_stream *s, struct sc_line *line)
{
	ssize_t n = pread(s->fd, s->buf, sizeof(s->buf), s->offset);
	const char *end = n > 0 ? memchr(s->buf, '\n', strnlen(s->buf, (size_t)n)) : NULL;

	if (!end)
		return false;
	s->offset += end - s->buf + 1;
	if (sc_line_parse(s->buf, (size_t)(end - s->buf), line) == 0)
		return true;
	s->is_broken = true;
	return false;
}

/* Is the record that is due in an earlier segment? Each begins with a record of its own, but the
 * last, which is prepared before it is needed. */
static bool is_behind(struct sc_stream *s)
{
	struct sc_line line;
	bool is_there = read_line(s, &line);

	s->offset = 0;
	return !is_there || line.record.seq > s->next_seq;
}

static void take_segment(struct sc_api *api, void *owner, json_t *reply, int *fd)
{
	struct sc_stream *s = owner;
	uint64_t number = (uint64_t)json_integer_value(json_object_get(reply, "number"));
	uint64_t first = (uint64_t)json_integer_value(json_object_get(reply, "first"));
	uint64_t last = (uint64_t)json_integer_value(json_object_get(reply, "last"));

	(void)api;
	s->is_asking = false;
	if (s->is_gone) {
		release(s);
		return;
	}
	s->first = first ? first : s->first;
	if (*fd >= 0) {
		sc_close(&s->fd);
		s->fd = SC_TAKE_FD(*fd);
		s->segment = number;
		s->offset = 0;
		if (!s->is_placed && number > s->first && is_behind(s)) {
			ask_segment(s, number - 1);
			return;
		}
		s->is_placed = true;
		wake(s);
	} else if (s->segment == 0 && last) {
		ask_segment(s, last);
	}
	/* Else what is told is not in a file yet: the next news wake it. */
}

/* --- events --- */

/* Evidence is for who has the token; what a segment begins with holds the evidence of all fires. */
static bool is_for_all(enum sc_record_kind kind)
{
	return kind != SC_RECORD_SEGMENT && kind != SC_RECORD_SNAPSHOT && kind != SC_RECORD_SEAL &&
	       kind != SC_RECORD_KIND_COUNT;
}

static void add_public(struct sc_str *out, const struct sc_record *record, const char *kind)
{
	_cleanup_free_ char *text = NULL;
	json_t *body = NULL;
	struct sc_json j;

	if (is_for_all(record->kind))
		body = json_loadb(record->body, record->body_len, 0, NULL);
	json_object_del(body, "state_snapshot");
	text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	json_decref(body);
	sc_json_init(&j, out);
	sc_json_object_begin(&j);
	sc_json_member_u64(&j, "seq", record->seq);
	sc_json_member_text(&j, "time", record->time);
	sc_json_member_text(&j, "kind", kind);
	sc_json_key(&j, "body");
	sc_json_raw(&j, text ? text : "null");
	sc_json_object_end(&j);
}

static void add_event(struct sc_stream *s, const struct sc_record *record)
{
	const char *kind = record->kind < SC_RECORD_KIND_COUNT ? sc_record_kind_name(record->kind)
							       : "unknown";

	sc_str_addf(&s->text, "id: %llu\nevent: %s\ndata: ", (unsigned long long)record->seq, kind);
	if (s->is_trusted)
		sc_str_addn(&s->text, record->line, record->line_len);
	else
		add_public(&s->text, record, kind);
	sc_str_add(&s->text, "\n\n");
}

/* Prepares what there is. */
static void fill(struct sc_stream *s)
{
	/* Before reading: what is told by now is in the file by now. */
	uint64_t told = s->api->seq;
	struct sc_line line;

	if (s->next_seq == 0)
		s->next_seq = told + 1;
	while (s->fd >= 0 && s->text.len < BATCH && read_line(s, &line)) {
		if (line.record.seq < s->next_seq)
			continue;
		add_event(s, &line.record);
		s->next_seq = line.record.seq + 1;
	}
	/* Not in this segment, so in the next. */
	if (s->text.len == 0 && (told >= s->next_seq || s->fd < 0) && !s->is_broken)
		ask_segment(s, s->segment ? s->segment + 1 : 0);
}

static void ping(struct sc_stream *s)
{
	uint64_t now_ns = sc_mono_ns();

	if (now_ns - s->pinged_ns < PING_NS)
		return;
	sc_str_add(&s->text, ":\n\n");
	s->pinged_ns = now_ns;
}

static ssize_t on_read(void *arg, uint64_t position, char *buf, size_t max)
{
	struct sc_stream *s = arg;
	size_t n;

	(void)position;
	if (s->sent == s->text.len) {
		sc_str_reset(&s->text);
		s->sent = 0;
		fill(s);
		ping(s);
	}
	n = SC_MIN(max, s->text.len - s->sent);
	if (s->text.truncated || (n == 0 && s->is_broken))
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (n == 0) {
		s->is_suspended = true;
		MHD_suspend_connection(s->connection);
		return 0;
	}
	memcpy(buf, s->text.data + s->sent, n);
	s->sent += n;
	return (ssize_t)n;
}

/* The record after that which Last-Event-ID names; 0 = from now on. False when it is no number. */
static bool read_place(struct sc_call *call, uint64_t *next_seq)
{
	const char *text = sc_call_header(call, "Last-Event-ID");
	char *end;

	*next_seq = 0;
	if (!text)
		return true;
	errno = 0;
	*next_seq = strtoull(text, &end, 10) + 1;
	return errno == 0 && end != text && *end == '\0' && text[0] >= '0' && text[0] <= '9';
}

void sc_route_stream(struct sc_call *call)
{
	struct sc_api *api = call->api;
	struct sc_stream *s;
	uint64_t next_seq;

	if (!read_place(call, &next_seq)) {
		sc_call_fail(call, 422, "Last-Event-ID is the sequence number of a record");
		return;
	}
	s = api->n_streams < STREAMS_MAX ? calloc(1, sizeof(*s)) : NULL;
	if (!s) {
		sc_call_fail(call, 503, "there are %d streams already", STREAMS_MAX);
		return;
	}
	*s = (struct sc_stream){.api = api,
				.connection = call->connection,
				.next_seq = next_seq,
				.pinged_ns = sc_mono_ns(),
				.fd = -1,
				.is_trusted = call->is_trusted};
	sc_str_init_heap(&s->text);
	sc_str_add(&s->text, "retry: 1000\n\n");
	s->next = api->streams;
	api->streams = s;
	api->n_streams++;
	call->status = 200;
	call->response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 4096, on_read, s,
							   on_end);
	if (!call->response) {
		on_end(s);
		return;
	}
	(void)MHD_add_response_header(call->response, "Content-Type", "text/event-stream");
	(void)MHD_add_response_header(call->response, "Cache-Control", "no-store");
	(void)MHD_set_connection_option(call->connection, MHD_CONNECTION_OPTION_TIMEOUT, TIMEOUT_S);
}
