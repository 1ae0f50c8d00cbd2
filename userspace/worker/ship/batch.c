/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/ship/batch.h"

#include <arpa/inet.h>
#include <endian.h>
#include <string.h>

#define STATEMENT "scram_append"

/* Type oids are fixed: pg_type.dat. */
#define OID_INT8       20
#define OID_TEXT       25
#define OID_INT8_ARRAY 1016
#define OID_TEXT_ARRAY 1009
#define OID_UUID       2950

/* array_recv(), src/backend/utils/adt/arrayfuncs.c: all words are big-endian. */
struct array_head {
	uint32_t dimensions, has_null, element, n, first_index;
};

static void add_head(struct sc_str *column, uint32_t element)
{
	const struct array_head head = {htonl(1), 0, htonl(element), 0, htonl(1)};

	sc_str_addn(column, (const char *)&head, sizeof(head));
}

void sc_batch_init(struct sc_batch *b)
{
	*b = (struct sc_batch){0};
	for (int i = 0; i < SC_BATCH_COLUMN_COUNT; i++)
		sc_str_init_heap(&b->column[i]);
	sc_batch_reset(b);
}

void sc_batch_done(struct sc_batch *b)
{
	for (int i = 0; i < SC_BATCH_COLUMN_COUNT; i++)
		sc_str_done(&b->column[i]);
}

void sc_batch_reset(struct sc_batch *b)
{
	for (int i = 0; i < SC_BATCH_COLUMN_COUNT; i++) {
		sc_str_reset(&b->column[i]);
		add_head(&b->column[i], i == SC_BATCH_SEQ ? OID_INT8 : OID_TEXT);
	}
	b->n = 0;
	b->first = b->last = 0;
}

static void add_value(struct sc_batch *b, enum sc_batch_column column, const void *value, size_t n)
{
	const uint32_t size = htonl((uint32_t)n);

	sc_str_addn(&b->column[column], (const char *)&size, sizeof(size));
	sc_str_addn(&b->column[column], value, n);
}

static void add_text(struct sc_batch *b, enum sc_batch_column column, const char *text)
{
	add_value(b, column, text, strlen(text));
}

/* The kind as it stands in the line: also one that this version does not know. */
static void add_kind(struct sc_batch *b, const struct sc_record *record)
{
	static const char before[] = "\"kind\":\"";
	const char *kind = memmem(record->line, (size_t)(record->body - record->line), before,
				  sizeof(before) - 1);
	const char *end;

	SC_ASSERT(kind); /* sc_line_parse has seen it */
	kind += sizeof(before) - 1;
	end = memchr(kind, '"', (size_t)(record->body - kind));
	SC_ASSERT(end);
	add_value(b, SC_BATCH_KIND, kind, (size_t)(end - kind));
}

void sc_batch_add(struct sc_batch *b, const struct sc_line *line)
{
	const uint64_t seq = htobe64(line->record.seq);

	SC_ASSERT(b->n == 0 || line->record.seq == b->last + 1);
	add_value(b, SC_BATCH_SEQ, &seq, sizeof(seq));
	add_text(b, SC_BATCH_TIME, line->record.time);
	add_text(b, SC_BATCH_BOOT, line->record.boot_id);
	add_kind(b, &line->record);
	add_text(b, SC_BATCH_PREV, line->prev);
	add_text(b, SC_BATCH_HASH, line->hash);
	add_value(b, SC_BATCH_LINE, line->record.line, line->record.line_len);
	if (b->n++ == 0)
		b->first = line->record.seq;
	b->last = line->record.seq;
	sc_strcopy(b->hash, sizeof(b->hash), line->hash);
}

bool sc_batch_is_full(const struct sc_batch *b)
{
	return b->n >= SC_BATCH_RECORDS_MAX || b->column[SC_BATCH_LINE].len >= SC_BATCH_BYTES_MAX;
}

int sc_batch_prepare(PGconn *conn)
{
	static const Oid types[] = {OID_UUID,       OID_INT8_ARRAY, OID_TEXT_ARRAY, OID_TEXT_ARRAY,
				    OID_TEXT_ARRAY, OID_TEXT_ARRAY, OID_TEXT_ARRAY, OID_TEXT_ARRAY};

	return PQsendPrepare(conn, STATEMENT, "SELECT scram_append($1, $2, $3, $4, $5, $6, $7, $8)",
			     SC_ARRAY_SIZE(types), types);
}

bool sc_batch_send(struct sc_batch *b, PGconn *conn, const char *host_id)
{
	const char *values[SC_BATCH_COLUMN_COUNT + 1] = {host_id};
	int lengths[SC_BATCH_COLUMN_COUNT + 1] = {0};
	int formats[SC_BATCH_COLUMN_COUNT + 1] = {0};
	const uint32_t n = htonl(b->n);

	for (int i = 0; i < SC_BATCH_COLUMN_COUNT; i++) {
		if (b->column[i].truncated)
			return false;
		memcpy(b->column[i].data + offsetof(struct array_head, n), &n, sizeof(n));
		values[i + 1] = b->column[i].data;
		lengths[i + 1] = (int)b->column[i].len;
		formats[i + 1] = 1;
	}
	return PQsendQueryPrepared(conn, STATEMENT, SC_BATCH_COLUMN_COUNT + 1, values, lengths,
				   formats, 0) &&
	       PQpipelineSync(conn);
}
