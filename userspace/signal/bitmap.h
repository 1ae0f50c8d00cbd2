/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of slots, one bit each; iterated a chunk at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline size_t sc_bitmap_words(uint32_t bits)
{
	return ((size_t)bits + 63) / 64;
}

static inline bool sc_bitmap_has(const uint64_t *map, uint32_t bit)
{
	return map[bit / 64] >> (bit % 64) & 1;
}

static inline void sc_bitmap_set(uint64_t *map, uint32_t bit)
{
	map[bit / 64] |= 1ULL << (bit % 64);
}

static inline void sc_bitmap_clear(uint64_t *map, uint32_t bit)
{
	map[bit / 64] &= ~(1ULL << (bit % 64));
}

/*
 * Writes the numbers of the set bits from *cursor on to out, ascending, at most max; *cursor moves
 * behind the last one. Returns how many; 0 = no more. A full word is written without looking at its
 * bits one by one.
 */
static inline uint32_t sc_bitmap_fill(const uint64_t *map, uint32_t bits, uint32_t *cursor,
				      uint32_t *out, uint32_t max)
{
	uint32_t n = 0;
	uint32_t at = *cursor;

	while (at < bits && n < max) {
		uint64_t word = map[at / 64] >> (at % 64);

		if (word == ~0ULL && max - n >= 64) {
			for (uint32_t i = 0; i < 64; i++)
				out[n + i] = at + i;
			n += 64;
			at += 64;
		} else if (word == 0) {
			at = (at / 64 + 1) * 64;
		} else {
			at += (uint32_t)__builtin_ctzll(word);
			out[n++] = at++;
		}
	}
	*cursor = at;
	return n;
}
