/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What counters say of a component. The hard part is half-open: there scram lets a few connections
 * through and refuses the others, and the kernel counts both as failures of the component.
 */
#include <scram/breaker.h>

#include "base/mem.h"

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint32_t clamp_u32(uint64_t n)
{
	return (uint32_t)SC_MIN(n, (uint64_t)UINT32_MAX);
}

static void add_counts(struct sc_breaker_counts *sum, const struct sc_breaker_counts *grown)
{
	sum->connects += grown->connects;
	sum->connect_successes += grown->connect_successes;
	sum->connect_failures += grown->connect_failures;
	sum->accepts += grown->accepts;
	sum->unexpected_exits += grown->unexpected_exits;
	sum->tries += grown->tries;
}

/* Nothing is refused by scram. That connections from outside are accepted says nothing of those to
 * outside which fail: it ends a run of deaths alone. */
static struct sc_breaker_look judge_open_road(const struct sc_breaker_counts *c,
					      bool is_of_connects)
{
	return (struct sc_breaker_look){
		.failures = clamp_u32(c->connect_failures + c->unexpected_exits),
		.successes = clamp_u32(c->connect_successes + (is_of_connects ? 0 : c->accepts)),
		.tries = clamp_u32(c->connects + c->accepts),
	};
}

/*
 * Of the connects begun since the half-open did, all but those let through were refused by scram.
 * tries has both directions; those accepted came from outside. Connects that are under way are in
 * connects and not yet in connect_failures: until they end there are rather too few failures here
 * than too many, which is why this is done over the whole half-open and not tick by tick.
 */
static struct sc_breaker_look judge_half_open(const struct sc_breaker_counts *c,
					      bool is_of_connects)
{
	uint64_t let_out = less(c->tries, c->accepts);
	uint64_t refused = less(c->connects, let_out);
	struct sc_breaker_look look = judge_open_road(c, is_of_connects);

	look.failures = clamp_u32(less(c->connect_failures, refused) + c->unexpected_exits);
	look.tries = clamp_u32(c->tries);
	return look;
}

static struct sc_breaker_look look_half_open(struct sc_breaker *b,
					     const struct sc_breaker_counts *grown, bool is_cut)
{
	struct sc_breaker_look all;
	struct sc_breaker_look look;

	add_counts(&b->trial, grown);
	all = is_cut ? judge_half_open(&b->trial, b->is_of_connects)
		     : judge_open_road(&b->trial, b->is_of_connects);
	look = (struct sc_breaker_look){
		.failures = clamp_u32(less(all.failures, b->told.failures)),
		.successes = clamp_u32(less(all.successes, b->told.successes)),
		.tries = clamp_u32(less(all.tries, b->told.tries)),
	};
	b->told.failures = SC_MAX(b->told.failures, all.failures);
	b->told.successes = SC_MAX(b->told.successes, all.successes);
	b->told.tries = SC_MAX(b->told.tries, all.tries);
	return look;
}

struct sc_breaker_look sc_breaker_count(struct sc_breaker *b, const struct sc_breaker_spec *spec,
					const struct sc_breaker_counts *grown)
{
	bool is_cut = sc_breaker_cut(b, spec) != SC_CUT_NONE;
	struct sc_breaker_look look = {0};

	if (b->state == SC_BREAKER_DISABLED)
		return look;
	b->exits_seen += grown->unexpected_exits;
	if (b->state == SC_BREAKER_CLOSED || b->state == SC_BREAKER_FORCED_CLOSED)
		b->is_of_connects = b->is_of_connects || grown->connect_failures > 0;
	if (b->state == SC_BREAKER_HALF_OPEN)
		look = look_half_open(b, grown, is_cut);
	else if (!is_cut)
		look = judge_open_road(grown, b->is_of_connects);
	b->failures_seen += look.failures;
	b->successes_seen += look.successes;
	return look;
}

struct sc_breaker_look sc_breaker_judge(const struct sc_breaker *b, struct sc_breaker_look counted,
					const bool *failure, const bool *success)
{
	if (failure && b->state != SC_BREAKER_HALF_OPEN)
		counted.failures = *failure;
	if (success)
		counted.successes = *success;
	return counted;
}
