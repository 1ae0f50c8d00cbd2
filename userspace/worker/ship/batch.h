/* SPDX-License-Identifier: Apache-2.0 */
/* Records in a row on their way into the store: the columns of scram_append, in binary form. */
#pragma once

#include "base/str.h"
#include "record/line.h"

#include <libpq-fe.h>
#include <stdbool.h>

#define SC_BATCH_RECORDS_MAX 512
#define SC_BATCH_BYTES_MAX   (256U * 1024)

enum sc_batch_column {
	SC_BATCH_SEQ,
	SC_BATCH_TIME,
	SC_BATCH_BOOT,
	SC_BATCH_KIND,
	SC_BATCH_PREV,
	SC_BATCH_HASH,
	SC_BATCH_LINE,
	SC_BATCH_COLUMN_COUNT
};

struct sc_batch {
	struct sc_str column[SC_BATCH_COLUMN_COUNT]; /* one array each, as array_recv reads it */
	unsigned int n;
	uint64_t first, last;
	char hash[SC_HASH_TEXT_MAX]; /* of the last */
};

/* Its memory grows with use and is kept by reset. */
void sc_batch_init(struct sc_batch *b);
void sc_batch_done(struct sc_batch *b);
void sc_batch_reset(struct sc_batch *b);

/* Adds a copy of the record, which follows the last one. */
void sc_batch_add(struct sc_batch *b, const struct sc_line *line);
bool sc_batch_is_full(const struct sc_batch *b);

/* Prepares the statement that sc_batch_send uses; its one result comes by sc_pg_result. */
int sc_batch_prepare(PGconn *conn);
/* Queues it, not empty, for the host, and a sync behind it: one transaction. False when libpq takes
 * no more. */
bool sc_batch_send(struct sc_batch *b, PGconn *conn, const char *host_id);
