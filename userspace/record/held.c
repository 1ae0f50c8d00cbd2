/* SPDX-License-Identifier: Apache-2.0 */
#include "record/held.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>

struct entry {
	uint32_t kind;
	uint32_t n;
	int64_t real_ns;
};

int sc_held_init(struct sc_held *held, size_t size)
{
	*held = (struct sc_held){.bytes = malloc(size), .size = size};
	return held->bytes ? 0 : -ENOMEM;
}

void sc_held_done(struct sc_held *held)
{
	free(held->bytes);
	*held = (struct sc_held){0};
}

int sc_held_push(struct sc_held *held, const struct sc_held_record *record)
{
	struct entry e = {(uint32_t)record->kind, (uint32_t)record->n, record->real_ns};

	if (sizeof(e) + record->n > held->size - (held->end - held->begin))
		return -ENOBUFS;
	if (sizeof(e) + record->n > held->size - held->end) {
		memmove(held->bytes, held->bytes + held->begin, held->end - held->begin);
		held->end -= held->begin;
		held->begin = 0;
	}
	memcpy(held->bytes + held->end, &e, sizeof(e));
	memcpy(held->bytes + held->end + sizeof(e), record->body, record->n);
	held->end += sizeof(e) + record->n;
	held->count++;
	return 0;
}

bool sc_held_peek(const struct sc_held *held, struct sc_held_record *record)
{
	struct entry e;

	if (held->count == 0)
		return false;
	memcpy(&e, held->bytes + held->begin, sizeof(e));
	*record = (struct sc_held_record){
		.kind = (enum sc_record_kind)e.kind,
		.real_ns = e.real_ns,
		.body = held->bytes + held->begin + sizeof(e),
		.n = e.n,
	};
	return true;
}

void sc_held_pop(struct sc_held *held)
{
	struct entry e;

	SC_ASSERT(held->count > 0);
	memcpy(&e, held->bytes + held->begin, sizeof(e));
	held->begin += sizeof(e) + e.n;
	if (--held->count == 0)
		held->begin = held->end = 0;
}
