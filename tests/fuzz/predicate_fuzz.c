/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text is compiled without a fault of memory; what compiles is described and evaluated. With
 * libFuzzer: clang -g -fsanitize=fuzzer,address,undefined -DSC_LIBFUZZER ... Without it a program
 * that mutates samples by itself: predicate_fuzz [ROUNDS [SEED]].
 */
#include <scram/predicate.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 64

static void evaluate(struct sc_predicate *p, struct sc_plan *plan)
{
	static _Alignas(64) struct sc_counts counts[SLOTS];
	static struct sc_node nodes[SLOTS];
	static struct sc_kernel kernel[SLOTS];
	static struct sc_tasks tasks[SLOTS];
	const struct sc_source source = {.nodes = nodes,
					 .counts = counts,
					 .kernel = kernel,
					 .tasks = tasks,
					 .slots = SLOTS,
					 .features = UINT32_MAX};
	struct sc_time now = {.mono_ns = SC_NS_PER_S, .boot_ns = SC_NS_PER_S};
	struct sc_operand operands[4];
	uint32_t slots[SLOTS];
	uint8_t truth[SLOTS];

	if (sc_plan_start(plan, NULL, NULL) < 0)
		abort();
	for (uint32_t i = 0; i < SLOTS; i++) {
		slots[i] = i;
		nodes[i].cgroup_id = i % 5;
		counts[i].proc_alive = i;
		sc_plan_target_added(plan, i, "/w/x");
	}
	for (int tick = 0; tick < 3; tick++) {
		sc_plan_tick(plan, &source, &now, slots, SLOTS);
		sc_predicate_eval(p, plan, slots, SLOTS, truth);
		now.mono_ns += SC_NS_PER_S;
	}
	for (uint32_t i = 0; i < SLOTS; i++)
		if (truth[i] >= SC_TRUTH_COUNT)
			abort();
	sc_predicate_operands(p, plan, 3, operands, 4);
}

static void try_text(const char *text)
{
	static const char *const probes[] = {"lateral"};
	_cleanup_(sc_plan_free) struct sc_plan *plan = sc_plan_new(
		&(struct sc_plan_limits){.slots = SLOTS, .blocks = 64});
	_cleanup_predicate_ struct sc_predicate *p = NULL;
	const struct sc_predicate_env env = {.plan = plan, .probes = probes, .probes_n = 1};
	struct sc_diag diag = {0};
	char words[256];
	struct sc_str out;

	if (sc_predicate_compile(&p, text, &env, &diag) < 0) {
		if (diag.line == 0 || diag.column == 0 || diag.text[0] == '\0')
			abort();
		return;
	}
	sc_str_init(&out, words, sizeof(words));
	sc_predicate_describe(p, &out);
	evaluate(p, plan);
}

#ifdef SC_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	try_text(text);
	return 0;
}
#else
static const char *const samples[] = {
	"increase(proc.crashes[60s]) >= 3",
	"psi.memory.full.avg10 > 40% and mem.current_bytes > 0.9 * mem.max_bytes",
	"rate(tcp.connect_failures[30s]) / rate(tcp.connects[30s]) > 50% or not age(oom.kills) > "
	"5m",
	"count(\"/w/*\", increase(proc.unexpected_exits[60s]) > 0) >= 3",
	"probe(\"lateral\") or any(\"/w/**\", -(proc.alive - 3) <= min(\"/w/*\", proc.zombies))",
};

static const char *const pieces[] = {
	"(", ")",   "[60s]", "and", "or", "not",  ">=",     "!=", "-",    "*",         "/",
	"0", "40%", "9e9",   "\"/", "\"", "age(", "count(", ",",  "1MiB", "proc.alive"};

/* A sample with some bytes changed, cut out, or pieces of the language put in. */
static void mutate(char *text, size_t size, unsigned int *seed)
{
	struct sc_str out;
	const char *sample = samples[(size_t)rand_r(seed) % SC_ARRAY_SIZE(samples)];

	sc_str_init(&out, text, size);
	for (size_t i = 0; sample[i]; i++) {
		int dice = rand_r(seed) % 60;

		if (dice == 0)
			sc_str_add(&out, pieces[(size_t)rand_r(seed) % SC_ARRAY_SIZE(pieces)]);
		else if (dice == 1)
			sc_str_addf(&out, "%c", rand_r(seed) % 255 + 1);
		else if (dice == 2)
			i += strnlen(sample + i + 1, (size_t)rand_r(seed) % 8);
		else
			sc_str_addn(&out, sample + i, 1);
	}
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 20000;
	unsigned int seed = argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 10) : 1;
	char text[1024];

	for (long i = 0; i < rounds; i++) {
		mutate(text, sizeof(text), &seed);
		try_text(text);
	}
	printf("%ld texts\n", rounds);
	return 0;
}
#endif
