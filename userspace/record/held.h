/* SPDX-License-Identifier: Apache-2.0 */
/* Records kept in memory, in order, while the disk refuses them: one block of bytes taken at start.
 */
#pragma once

#include <scram/journal.h>

struct sc_held {
	char *bytes;
	size_t size;
	size_t begin;
	size_t end;
	unsigned int count;
};

struct sc_held_record {
	enum sc_record_kind kind;
	int64_t real_ns;
	const char *body; /* n bytes, valid until the next change */
	size_t n;
};

/* Returns 0 or -ENOMEM. */
int sc_held_init(struct sc_held *held, size_t size);
void sc_held_done(struct sc_held *held);

/* Keeps a copy. -ENOBUFS when it does not fit; nothing is changed then. */
int sc_held_push(struct sc_held *held, const struct sc_held_record *record);
/* The oldest one; false when there is none. */
bool sc_held_peek(const struct sc_held *held, struct sc_held_record *record);
/* Forgets the oldest one, which must exist. */
void sc_held_pop(struct sc_held *held);
