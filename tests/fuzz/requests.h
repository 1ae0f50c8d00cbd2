/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main of fuzz drivers for requests where libFuzzer is not their main: spoils the requests of a
 * list by itself, DRIVER ROUNDS SEED LIST.
 */
#pragma once

#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_MAX 16384

/* The driver's: data is exactly n bytes; random chooses what else is varied. */
void try_request(const char *data, size_t n, uint32_t random);

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* The request of a line, its escapes undone as far as they matter here. */
static size_t take_request(const char *line, char *out)
{
	const char *p = strchr(line, '\t');
	size_t n = 0;

	p = p ? strchr(p + 1, '\t') : NULL;
	for (p = p ? p + 1 : ""; *p && *p != '\n' && n < REQUEST_MAX; p++) {
		char c = *p;

		if (c == '\\' && p[1]) {
			p++;
			c = (char)(*p == 'r' ? '\r' : *p == 'n' ? '\n' : *p == 't' ? '\t' : *p);
		}
		out[n++] = c;
	}
	return n;
}

static void spoil(char *data, size_t *n, uint32_t *random)
{
	static const char often[] = "\r\n\t :\0%,;{}[]\"0129/\x7f\xff";

	for (uint32_t i = next_random(random) % 4; i > 0 && *n > 1; i--) {
		size_t at = next_random(random) % *n;
		char c = often[next_random(random) % sizeof(often)];

		if (next_random(random) % 3 == 0)
			memmove(data + at, data + at + 1, --*n - at);
		else
			data[at] = next_random(random) % 4 ? c : (char)next_random(random);
	}
}

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
	uint32_t random = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) | 1 : 1;
	_cleanup_fclose_ FILE *f = argc > 3 ? fopen(argv[3], "re") : NULL;
	static char line[8 * REQUEST_MAX], data[REQUEST_MAX];

	if (!f)
		return 1;
	for (unsigned long i = 0; i < rounds; i++) {
		size_t n;

		if (!fgets(line, sizeof(line), f)) {
			rewind(f);
			continue;
		}
		n = take_request(line, data);
		spoil(data, &n, &random);
		try_request(data, n, next_random(&random));
	}
	printf("%lu requests\n", rounds);
	return 0;
}
