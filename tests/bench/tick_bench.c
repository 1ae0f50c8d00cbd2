/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pure part of a tick: 10,000 cgroups, 100 conditions, ten different streams. Once with every
 * counter moving in every tick, once with all standing still. Prints one JSON object per case.
 */
#include "base/clock.h"

#include <scram/predicate.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS      16384
#define TARGETS    10000
#define CONDITIONS 100
#define TICKS      200
#define TICK_NS    (100 * SC_NS_PER_MS)
/* Past two windows every bucket is in use. */
#define WARM_UP 1300

static const char *const templates[] = {
	"increase(proc.crashes[60s]) >= %u",
	"increase(proc.unexpected_exits[60s]) > %u and proc.alive > 3",
	"rate(proc.forks[30s]) > %u",
	"rate(tcp.connect_failures[30s]) / rate(tcp.connects[30s]) > 50% and "
	"increase(tcp.connects[30s]) >= %u",
	"avg_over(proc.alive[30s]) > %u",
	"max_over(proc.zombies[60s]) > %u",
	"psi.memory.full.avg10 > 40% and mem.current_bytes > 0.9 * mem.max_bytes and proc.alive > "
	"%u",
	"count(\"/w/*\", increase(proc.failures[60s]) > 0) >= %u",
	"increase(tcp.retransmits[60s]) > %u or increase(tcp.resets_received[60s]) > 100",
	"age(proc.exits) > 30s and proc.alive > %u",
};

struct bench {
	struct sc_node *nodes;
	struct sc_counts *counts;
	struct sc_kernel *kernel;
	struct sc_tasks *tasks;
	struct sc_source source;
	struct sc_plan *plan;
	struct sc_predicate *conditions[CONDITIONS];
	struct sc_time now;
	uint32_t slots[TARGETS];
	uint8_t truth[SC_CHUNK];
	uint64_t trues;
};

static void *must(void *p)
{
	if (!p)
		abort();
	return p;
}

/* The i-th condition: a template with a threshold of its own in place of %u. NULL: it does not
 * compile. */
static struct sc_predicate *condition(struct sc_plan *plan, uint32_t i)
{
	const struct sc_predicate_env env = {.plan = plan};
	const char *template = templates[i % SC_ARRAY_SIZE(templates)];
	const char *number = strstr(template, "%u");
	struct sc_predicate *p = NULL;
	struct sc_diag diag = {0};
	char buf[256];
	struct sc_str text;

	sc_str_init(&text, buf, sizeof(buf));
	sc_str_addn(&text, template, (size_t)(number - template));
	sc_str_addf(&text, "%u", 1000000 + i);
	sc_str_add(&text, number + 2);
	if (sc_predicate_compile(&p, buf, &env, &diag) < 0)
		fprintf(stderr, "%s: %s\n", buf, diag.text);
	return p;
}

static void set_up(struct bench *b)
{
	b->nodes = must(aligned_alloc(64, SLOTS * sizeof(*b->nodes)));
	b->counts = must(aligned_alloc(64, SLOTS * sizeof(*b->counts)));
	b->kernel = must(calloc(SLOTS, sizeof(*b->kernel)));
	b->tasks = must(calloc(SLOTS, sizeof(*b->tasks)));
	memset(b->nodes, 0, SLOTS * sizeof(*b->nodes));
	memset(b->counts, 0, SLOTS * sizeof(*b->counts));
	b->now = (struct sc_time){.mono_ns = 1000 * SC_NS_PER_S, .boot_ns = 1000 * SC_NS_PER_S};
	b->source = (struct sc_source){
		.nodes = b->nodes,
		.counts = b->counts,
		.kernel = b->kernel,
		.tasks = b->tasks,
		.slots = SLOTS,
		.features = UINT32_MAX,
		.kernel_stale_ns = SC_KERNEL_STALE_NS,
		.tasks_stale_ns = SC_TASKS_STALE_NS,
	};
	for (uint32_t i = 0; i < TARGETS; i++) {
		b->slots[i] = i;
		b->nodes[i].cgroup_id = i + 1;
		b->nodes[i].flags = SC_NODE_BORN;
		b->nodes[i].born_ns = b->now.mono_ns;
	}
	b->plan = must(sc_plan_new(&(struct sc_plan_limits){.slots = SLOTS, .blocks = 131072}));
	for (uint32_t i = 0; i < CONDITIONS; i++)
		b->conditions[i] = must(condition(b->plan, i));
	if (sc_plan_start(b->plan, NULL, NULL) < 0)
		abort();
	for (uint32_t i = 0; i < TARGETS; i++)
		sc_plan_target_added(b->plan, i, "/w/x");
}

static void move_world(struct bench *b, bool moves, uint32_t round)
{
	b->now.mono_ns += TICK_NS;
	b->now.boot_ns += TICK_NS;
	for (uint32_t i = 0; i < TARGETS; i++) {
		struct sc_kernel *k = &b->kernel[i];
		struct sc_counts *c = &b->counts[i];

		k->pass_ns = b->now.mono_ns;
		k->psi_updated_ns = b->now.mono_ns;
		k->flags = SC_KERNEL_PSI | SC_KERNEL_MEMORY | SC_KERNEL_MEMORY_MAX;
		k->mem_current_pages = 1000;
		k->mem_max_pages = 10000;
		if (!moves)
			continue;
		c->proc_crashes++;
		c->proc_unexpected_exits++;
		c->proc_forks += 3;
		c->proc_failures++;
		c->proc_exits++;
		c->tcp_connects += 2;
		c->tcp_connect_failures++;
		c->tcp_retransmits++;
		c->tcp_resets_received++;
		c->proc_alive = 5 + (round + i) % 7;
		c->proc_zombies = (round * 7 + i) % 11;
	}
}

static void evaluate(struct bench *b)
{
	for (uint32_t c = 0; c < CONDITIONS; c++)
		for (uint32_t at = 0; at < TARGETS; at += SC_CHUNK) {
			uint32_t n = SC_MIN((uint32_t)TARGETS - at, (uint32_t)SC_CHUNK);

			sc_predicate_eval(b->conditions[c], b->plan, b->slots + at, n, b->truth);
			b->trues += b->truth[0];
		}
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void run(const char *name, bool moves)
{
	struct bench b;
	uint64_t plan_ns[TICKS], eval_ns[TICKS], all_ns[TICKS];
	struct sc_plan_stats stats;

	memset(&b, 0, sizeof(b));
	set_up(&b);
	for (uint32_t i = 0; i < WARM_UP; i++) {
		move_world(&b, moves, i);
		sc_plan_tick(b.plan, &b.source, &b.now, b.slots, TARGETS);
	}
	for (uint32_t i = 0; i < TICKS; i++) {
		uint64_t begin, middle, end;

		move_world(&b, moves, i);
		begin = sc_mono_ns();
		sc_plan_tick(b.plan, &b.source, &b.now, b.slots, TARGETS);
		middle = sc_mono_ns();
		evaluate(&b);
		end = sc_mono_ns();
		plan_ns[i] = middle - begin;
		eval_ns[i] = end - middle;
		all_ns[i] = end - begin;
	}
	qsort(plan_ns, TICKS, sizeof(uint64_t), compare_u64);
	qsort(eval_ns, TICKS, sizeof(uint64_t), compare_u64);
	qsort(all_ns, TICKS, sizeof(uint64_t), compare_u64);
	stats = sc_plan_stats(b.plan);
	printf("{\"bench\":\"tick-%s\",\"targets\":%d,\"conditions\":%d,\"streams\":%u,"
	       "\"histories\":%u,"
	       "\"snapshot_ms_p50\":%.3f,\"eval_ms_p50\":%.3f,\"tick_ms_p50\":%.3f,\"tick_ms_p99\":"
	       "%.3f,"
	       "\"blocks_used\":%u,\"bytes_allocated\":%zu,\"bytes_touched\":%zu}\n",
	       name, TARGETS, CONDITIONS, stats.streams, stats.histories,
	       (double)plan_ns[TICKS / 2] / 1e6, (double)eval_ns[TICKS / 2] / 1e6,
	       (double)all_ns[TICKS / 2] / 1e6, (double)all_ns[TICKS * 99 / 100] / 1e6,
	       stats.blocks_used, stats.bytes,
	       stats.bytes - (size_t)(stats.blocks_max - stats.blocks_used) * 320);
	for (uint32_t i = 0; i < CONDITIONS; i++)
		sc_predicate_free(&b.conditions[i]);
	sc_plan_free(&b.plan);
	free(b.nodes);
	free(b.counts);
	free(b.kernel);
	free(b.tasks);
}

int main(void)
{
	run("still", false);
	run("moving", true);
	return 0;
}
