/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes on a connection: the gate has one verdict however they arrive, lets nothing pass that
 * two readers could take differently, and never reads beyond them. What passes as a body goes
 * through the JSON reader as the worker uses it. With libFuzzer: clang -g
 * -fsanitize=fuzzer,address,undefined -DSC_LIBFUZZER ... Without it a program that spoils the
 * requests of a list by itself: http_fuzz ROUNDS SEED LIST.
 */
#include "worker/api/gate.h"

#include "base/mem.h"
#ifndef SC_LIBFUZZER
#include "fuzz/requests.h"
#endif

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void read_body(const char *data, size_t n)
{
	json_t *body = json_loadb(data, n, JSON_REJECT_DUPLICATES, NULL);
	char *text = body ? json_dumps(body, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

	if (json_is_object(body) && !text)
		abort();
	free(text);
	json_decref(body);
}

static void check_passed(const char *data, size_t n)
{
	const char *end = memmem(data, n, "\r\n\r\n", 4);
	size_t head = end ? (size_t)(end - data) : n;

	for (size_t i = 0; i < head; i++)
		if (data[i] == '\0' || (data[i] == '\n' && (i == 0 || data[i - 1] != '\r')))
			abort();
	if (end)
		read_body(end + 4, n - head - 4);
}

static void try_bytes(const char *given, size_t n, size_t step)
{
	static struct sc_gate whole, pieces;
	_cleanup_free_ char *data = malloc(n ? n : 1); /* exact, so that reading on is seen */
	size_t passed, sum = 0;

	if (!data)
		return;
	memcpy(data, given, n);
	sc_gate_init(&whole);
	sc_gate_init(&pieces);
	passed = sc_gate_feed(&whole, data, n);
	for (size_t i = 0; i < n && pieces.status == 0; i += step)
		sum += sc_gate_feed(&pieces, data + i, SC_MIN(step, n - i));
	if (passed > n || sum > n || whole.status != pieces.status || whole.heads != pieces.heads)
		abort();
	if (whole.status ? passed == n && n : passed != n)
		abort();
	check_passed(data, passed);
}

#ifdef SC_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try_bytes((const char *)data, size, size % 7 + 1);
	read_body((const char *)data, size);
	return 0;
}
#else
void try_request(const char *data, size_t n, uint32_t random)
{
	try_bytes(data, n, random % 9 + 1);
}
#endif
