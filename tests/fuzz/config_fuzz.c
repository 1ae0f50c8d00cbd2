/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the two ways a condition comes in: a YAML file and a JSON body. With clang,
 * -fsanitize=fuzzer drives it; alone it mutates its seeds itself: config_fuzz ROUNDS SEED FILE...
 * Beyond not crashing: a refusal has a fault, a taken condition passes its own check and survives
 * the journal's JSON.
 */
#include <scram/config.h>

#include "base/io.h"

#include <fcntl.h>
#include <string.h>

#define INPUT_MAX 8192

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_round_trip(const struct sc_condition_spec *spec)
{
	_cleanup_str_ struct sc_str json;
	struct sc_condition_spec back;
	struct sc_diag diag;
	const char *field;

	SC_ASSERT(sc_condition_spec_check(spec, &field, &diag) == 0);
	sc_str_init_heap(&json);
	sc_condition_spec_json(spec, &json);
	SC_ASSERT(sc_condition_spec_from_json(json.data, json.len, &back, &diag) == 0);
	SC_ASSERT(sc_condition_spec_equal(spec, &back));
	sc_condition_spec_done(&back);
}

static void try_yaml(const char *text, size_t n)
{
	_cleanup_(sc_config_faults_done) struct sc_config_faults faults;
	_cleanup_(sc_config_done) struct sc_config config = {0};
	_cleanup_str_ struct sc_str shown;
	int err = sc_config_parse(&config, "fuzz", text, n, &faults);

	SC_ASSERT((err != 0) == (faults.n > 0));
	sc_str_init_heap(&shown);
	for (size_t i = 0; i < faults.n; i++)
		sc_config_fault_print(&faults.item[i], &shown);
	for (size_t i = 0; i < config.condition_count; i++)
		check_round_trip(&config.conditions[i]);
}

static void try_json(const char *text, size_t n)
{
	struct sc_condition_spec spec;
	struct sc_diag diag;

	if (sc_condition_spec_from_json(text, n, &spec, &diag))
		return;
	check_round_trip(&spec);
	sc_condition_spec_done(&spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	try_yaml((const char *)data, n);
	try_json((const char *)data, n);
	return 0;
}

#ifndef SC_LIBFUZZER
static uint64_t next(uint64_t *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 33;
}

/* One of: another byte, a byte out, a byte in, a piece twice, a cut. */
static size_t mutate(char *text, size_t n, uint64_t *state)
{
	static const char bytes[] = "{}[]:,-'\"\\ \n#&*!|>%@`~09aZ/?=\x01\xc3\xff";
	size_t at = n ? next(state) % n : 0;
	char byte = bytes[next(state) % (sizeof(bytes) - 1)];
	size_t len;

	switch (next(state) % 5) {
	case 0:
		text[at] = byte;
		return n ? n : 1;
	case 1:
		memmove(text + at, text + at + (n > 0), n - at - (n > 0));
		return n - (n > 0);
	case 2:
		if (n == INPUT_MAX)
			return n;
		memmove(text + at + 1, text + at, n - at);
		text[at] = byte;
		return n + 1;
	case 3:
		len = SC_MIN(n - at, INPUT_MAX - n);
		len = SC_MIN(len, (size_t)(next(state) % 32));
		memmove(text + at + len, text + at, n - at);
		return n + len;
	default:
		return next(state) % 8 ? n : at;
	}
}

int main(int argc, char **argv)
{
	static char seed[INPUT_MAX + 1], text[INPUT_MAX + 1];
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	uint64_t state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

	if (argc < 4) {
		fprintf(stderr, "usage: config_fuzz ROUNDS SEED FILE...\n");
		return 2;
	}
	for (unsigned long i = 0; i < rounds; i++) {
		const char *file = argv[3 + i % (unsigned long)(argc - 3)];
		ssize_t got = sc_read_file_at(AT_FDCWD, file, seed, sizeof(seed));
		size_t n = got > 0 ? (size_t)got : 0;

		memcpy(text, seed, n);
		for (uint64_t k = next(&state) % 6 + 1; k > 0; k--)
			n = mutate(text, n, &state);
		LLVMFuzzerTestOneInput((const uint8_t *)text, n);
	}
	printf("config_fuzz: %lu inputs, seed %s\n", rounds, argv[2]);
	return 0;
}
#endif
