/* SPDX-License-Identifier: Apache-2.0 */
/* The migration files of a directory, in order. */
#pragma once

#include "record/line.h"

#include <stddef.h>

struct sc_diag;

#define SC_MIGRATIONS_MAX     256
#define SC_MIGRATION_NAME_MAX 128
#define SC_MIGRATION_SIZE_MAX (256 * 1024)

struct sc_migration {
	unsigned int version; /* the NNNN of its name */
	char name[SC_MIGRATION_NAME_MAX];
	char checksum[SC_HASH_TEXT_MAX]; /* SHA-256 of its bytes */
	char *sql;
	char *takeover; /* run in its place where its table is there already; NULL = nothing is */
};

struct sc_migrations {
	struct sc_migration item[SC_MIGRATIONS_MAX];
	size_t n;
	char *check; /* run, and taken back, before the first that can take over; NULL = nothing */
};

/* The table that a file NNNN_TABLE.sql makes. */
const char *sc_migration_table(const struct sc_migration *m, char *buf, size_t size);

/*
 * Reads every NNNN_*.sql of dir (or, when NULL, of the usual places: see migrate.h), by version;
 * other files are passed over. A file of the same name in the folder `original` is the takeover,
 * and check.sql there the check. 0 with *out the caller's, or -errno with diag filled.
 */
int sc_migrations_read(const char *dir, struct sc_migrations **out, struct sc_diag *diag);
void sc_migrations_free(struct sc_migrations **migrations);
