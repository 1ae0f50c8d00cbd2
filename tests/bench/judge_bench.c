/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What judging costs beside the predicates it asks: 100 conditions over 10,000 cgroups, with all of
 * them quiet, with one pair in a hundred latched, and with a source that is missing. Prints one
 * JSON object per case.
 */
#include "base/clock.h"

#include <scram/condition.h>
#include <scram/predicate.h>
#include <scram/snapshot.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS      16384
#define TARGETS    10000
#define CONDITIONS 100
#define TICKS      200
#define TICK_NS    (100 * SC_NS_PER_MS)
#define HIT_EVERY  100 /* in the case `latched` */

static const char *const scopes[] = {"/w/*", "/w/**", "/*/x"};
static const char *const whens[] = {
	"proc.crashes >= 3",
	"proc.alive > 100 and proc.zombies > 3",
	"proc.forks > 1000000",
};

struct bench {
	struct sc_node *nodes;
	struct sc_counts *counts;
	struct sc_source source;
	struct sc_registry *registry;
	struct sc_plan *plan;
	struct sc_conditions *set;
	struct sc_predicate *alone[SC_ARRAY_SIZE(whens)];
	struct sc_time now;
	uint32_t slots[TARGETS];
	struct sc_candidate due[SC_CHUNK];
};

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

static void put_condition(struct bench *b, uint32_t i)
{
	struct sc_condition_spec spec;
	char id[32];

	snprintf(id, sizeof(id), "c%u", i);
	sc_condition_spec_init(&spec);
	spec.id = must(strdup(id));
	spec.scope = must(strdup(scopes[i * SC_ARRAY_SIZE(scopes) / CONDITIONS]));
	spec.when = must(strdup(whens[i % SC_ARRAY_SIZE(whens)]));
	spec.auto_fire = true;
	if (sc_registry_upsert(b->registry, &spec, NULL))
		abort();
	sc_condition_spec_done(&spec);
}

static void build_set(struct bench *b)
{
	const struct sc_conditions_limits limits = {.slots = SLOTS};
	const struct sc_predicate_env env = {
		.plan = b->plan = must(sc_plan_new(&(struct sc_plan_limits){.slots = SLOTS}))};
	struct sc_conditions_fault fault;

	b->registry = must(sc_registry_new());
	for (uint32_t i = 0; i < CONDITIONS; i++)
		put_condition(b, i);
	for (size_t i = 0; i < SC_ARRAY_SIZE(whens); i++)
		if (sc_predicate_compile(&b->alone[i], whens[i], &env, NULL))
			abort();
	if (sc_conditions_new(&b->set, b->registry, &env, &limits, &fault) ||
	    sc_plan_start(b->plan, NULL, NULL))
		abort();
	for (uint32_t i = 0; i < TARGETS; i++)
		sc_plan_target_added(b->plan, i, "/w/x");
}

static void set_up(struct bench *b, uint32_t features, bool hits)
{
	memset(b, 0, sizeof(*b));
	b->nodes = must(aligned_alloc(64, SLOTS * sizeof(*b->nodes)));
	b->counts = must(aligned_alloc(64, SLOTS * sizeof(*b->counts)));
	memset(b->nodes, 0, SLOTS * sizeof(*b->nodes));
	memset(b->counts, 0, SLOTS * sizeof(*b->counts));
	b->now = (struct sc_time){.mono_ns = 1000 * SC_NS_PER_S, .boot_ns = 1000 * SC_NS_PER_S};
	b->source = (struct sc_source){
		.nodes = b->nodes, .counts = b->counts, .slots = SLOTS, .features = features};
	for (uint32_t i = 0; i < TARGETS; i++) {
		b->slots[i] = i;
		b->nodes[i].cgroup_id = i + 1;
		b->nodes[i].flags = SC_NODE_BORN;
		b->counts[i].proc_crashes = hits && i % HIT_EVERY == 0 ? 5 : 0;
	}
	build_set(b);
}

static void judge_all(struct bench *b)
{
	const struct sc_pass pass = {.now_ns = b->now.mono_ns};

	for (size_t i = 0; i < CONDITIONS; i++) {
		struct sc_candidates due = {.item = b->due, .max = SC_CHUNK};

		sc_conditions_judge(b->set, i, &pass, &due);
		for (uint32_t k = 0; k < due.n; k++) {
			sc_conditions_fired(b->set, i, due.item[k].slot, 0, pass.now_ns);
			sc_conditions_settled(b->set, i, due.item[k].slot, pass.now_ns);
		}
	}
}

static void evaluate_all(struct bench *b)
{
	uint8_t truth[SC_CHUNK];

	for (uint32_t c = 0; c < CONDITIONS; c++)
		for (uint32_t at = 0; at < TARGETS; at += SC_CHUNK)
			sc_predicate_eval(
				b->alone[c % SC_ARRAY_SIZE(whens)], b->plan, b->slots + at,
				SC_MIN((uint32_t)TARGETS - at, (uint32_t)SC_CHUNK), truth);
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void run(const char *name, uint32_t features, bool hits)
{
	uint64_t judge_ns[TICKS], eval_ns[TICKS];
	struct bench *b = must(malloc(sizeof(*b)));

	set_up(b, features, hits);
	for (uint32_t i = 0; i < TICKS; i++) {
		uint64_t begin, middle;

		b->now.mono_ns += TICK_NS;
		b->now.boot_ns += TICK_NS;
		sc_plan_tick(b->plan, &b->source, &b->now, b->slots, TARGETS);
		begin = sc_mono_ns();
		judge_all(b);
		middle = sc_mono_ns();
		evaluate_all(b);
		judge_ns[i] = middle - begin;
		eval_ns[i] = sc_mono_ns() - middle;
	}
	qsort(judge_ns, TICKS, sizeof(uint64_t), compare_u64);
	qsort(eval_ns, TICKS, sizeof(uint64_t), compare_u64);
	printf("{\"bench\":\"judge-%s\",\"targets\":%d,\"conditions\":%d,\"judge_ms_p50\":%.3f,"
	       "\"predicates_alone_ms_p50\":%.3f,\"ratio\":%.2f}\n",
	       name, TARGETS, CONDITIONS, (double)judge_ns[TICKS / 2] / 1e6,
	       (double)eval_ns[TICKS / 2] / 1e6,
	       (double)judge_ns[TICKS / 2] / (double)eval_ns[TICKS / 2]);
	sc_conditions_free(&b->set);
	sc_registry_free(&b->registry);
	for (size_t i = 0; i < SC_ARRAY_SIZE(whens); i++)
		sc_predicate_free(&b->alone[i]);
	sc_plan_free(&b->plan);
	free(b->nodes);
	free(b->counts);
	free(b);
}

int main(void)
{
	run("quiet", UINT32_MAX, false);
	run("latched", UINT32_MAX, true);
	run("unknown", 0, false);
	return 0;
}
