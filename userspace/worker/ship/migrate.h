/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scram-ship --migrate: brings the store up to the files NNNN_name.sql of a directory, in order,
 * each in a transaction of its own together with its row in schema_migrations.
 */
#pragma once

#include "base/mem.h"

#include <stdbool.h>

struct sc_migrate_options {
	const char *url; /* DATABASE_URL */
	const char *dir; /* NULL: beside the program, see sc_migrate */
	bool is_dry_run; /* tells what would be applied, changes nothing */
	bool is_json;
};

/*
 * Tables of the original service that are there already are taken over, with their rows: see
 * migrations/original. What is there and is neither is refused, with nothing applied.
 *
 * Prints a line for each file to standard output, or one JSON object at the end. Two at once: the
 * second waits (an advisory lock), then finds nothing to do. Refused, with nothing applied: a file
 * whose bytes are not those that were applied, an applied one that the directory lacks, a number
 * twice. Directory: options, else <program's dir>/../migrations, else
 * <program's dir>/../share/scram/migrations. Returns the exit status: 0 or 1.
 */
int sc_migrate(const struct sc_migrate_options *options);

/* scram-ship --ping-store: connects and reads, writes nothing; says what it found. 0 or 1. */
int sc_ping_store(const struct sc_migrate_options *options);
