/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes that a program may report are read without a fault of memory; what is taken is whole
 * and finite. With libFuzzer: clang -g -fsanitize=fuzzer,address,undefined -DSC_LIBFUZZER ...
 * Without it a program that mutates samples by itself: report_fuzz [ROUNDS [SEED]].
 */
#include "engine/app_message.h"

#include "base/mem.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int try_bytes(const uint8_t *data, size_t size)
{
	/* Of the exact size: reading on is seen by the sanitizer. */
	_cleanup_free_ char *text = malloc(size + !size);
	struct sc_app_message m = {0};

	if (!text)
		return 0;
	memcpy(text, data, size);
	if (sc_app_message_parse(text, size, &m) < 0) {
		if (m.has != 0)
			abort();
		return 0;
	}
	if (size > SC_APP_MESSAGE_MAX || m.has == 0 || m.has >> SC_APP_KEY_COUNT ||
	    !(m.queue_depth >= 0) || !isfinite(m.queue_depth))
		abort();
	for (unsigned int i = 0; i < SC_APP_GAUGES; i++)
		if (!isfinite(m.gauges[i]))
			abort();
	return 1;
}

#ifdef SC_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_bytes(data, size);
	return 0;
}
#else
static const char *const samples[] = {
	"HEARTBEAT=1",
	"HEARTBEAT=1\nSESSION=run:7.a_b-C\nQUEUE_DEPTH=17\n",
	"QUEUE_DEPTH=0.25e+3\nGAUGE_1=-0.5\nGAUGE_8=1E9",
	"GAUGE_1=1\nGAUGE_2=2\nGAUGE_3=3\nGAUGE_4=4\nGAUGE_5=5\nGAUGE_6=6\nGAUGE_7=7",
};

static const char *const pieces[] = {"=",   "\n",  "\r", "-",     "+",         "e",
				     ".",   "0",   "9",  "1e308", "HEARTBEAT", "GAUGE_",
				     "nan", "inf", " ",  "0x1",   "SESSION="};

/* A sample with some bytes changed, cut out, or pieces of the language put in. */
static size_t mutate(uint8_t *out, size_t room, unsigned int *seed)
{
	const char *sample = samples[(size_t)rand_r(seed) % SC_ARRAY_SIZE(samples)];
	size_t n = 0;

	for (size_t i = 0; sample[i] && n + 16 < room; i++) {
		int dice = rand_r(seed) % 40;

		if (dice == 0) {
			const char *piece = pieces[(size_t)rand_r(seed) % SC_ARRAY_SIZE(pieces)];

			memcpy(out + n, piece, strlen(piece));
			n += strlen(piece);
		} else if (dice == 1) {
			out[n++] = (uint8_t)rand_r(seed);
		} else if (dice == 2) {
			i += strnlen(sample + i + 1, (size_t)rand_r(seed) % 8);
		} else {
			out[n++] = (uint8_t)sample[i];
		}
	}
	return n;
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 100000;
	unsigned int seed = argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 10) : 1;
	uint8_t bytes[2 * SC_APP_MESSAGE_MAX];
	long taken = 0;

	for (long i = 0; i < rounds; i++)
		taken += try_bytes(bytes, mutate(bytes, sizeof(bytes), &seed));
	printf("%ld reports, %ld of them taken\n", rounds, taken);
	return taken == 0 || taken == rounds;
}
#endif
