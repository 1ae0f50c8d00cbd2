/* SPDX-License-Identifier: Apache-2.0 */
/* One record as one line of bytes: the only place that knows the layout. */
#pragma once

#include <scram/journal.h>

#define SC_HASH_NONE "0000000000000000000000000000000000000000000000000000000000000000"

/* What goes around a body. */
struct sc_envelope {
	uint64_t seq;
	int64_t real_ns;
	enum sc_record_kind kind;
	const char *boot_id;
	const char *prev; /* hash of the record before, in hex */
};

/*
 * Writes the line with its newline into out[SC_RECORD_BYTES_MAX] and its hash into hash. body has n
 * bytes, at most SC_RECORD_BODY_MAX. Returns the length.
 */
size_t sc_line_format(char out[static SC_RECORD_BYTES_MAX], const struct sc_envelope *envelope,
		      const char *body, size_t n, char hash[static SC_HASH_TEXT_MAX]);

struct sc_line {
	struct sc_record record; /* points into the parsed bytes */
	char prev[SC_HASH_TEXT_MAX];
	char hash[SC_HASH_TEXT_MAX];
};

/*
 * Takes a line of n bytes (without newline) apart. Returns 0, or -EBADMSG when it is not laid out
 * as sc_line_format does it or its hash is not that of its bytes; *line is then undefined.
 */
int sc_line_parse(const char *text, size_t n, struct sc_line *line);

/* SHA-256 of n bytes, in lower-case hex. */
void sc_hash_hex(const void *data, size_t n, char out[static SC_HASH_TEXT_MAX]);
