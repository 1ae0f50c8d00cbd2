/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/condition/breaker_kit.h"

#include "base/clock.h"

#include <criterion/criterion.h>

#define S SC_NS_PER_S

struct sc_breaker_spec breaker_live_spec(void)
{
	struct sc_breaker_spec spec;

	sc_breaker_spec_init(&spec);
	spec.live = true;
	return spec;
}

struct sc_breaker_transition breaker_step(struct sc_breaker *b, const struct sc_breaker_spec *spec,
					  struct sc_breaker_look look, uint64_t at_s,
					  enum sc_breaker_state to)
{
	struct sc_breaker_transition t = {.reason = SC_BREAKER_REASON_COUNT};
	enum sc_breaker_state from = b->state;
	bool moved = sc_breaker_step(b, spec, &look, at_s * S, &t);

	cr_assert_eq(b->state, to, "at %lu s: %s, not %s", at_s, sc_breaker_state_name(b->state),
		     sc_breaker_state_name(to));
	cr_assert_eq(moved, from != to, "at %lu s", at_s);
	if (moved) {
		cr_assert_eq(t.from, from);
		cr_assert_eq(t.to, to);
		cr_assert_eq(t.at_ns, at_s * S);
		cr_assert_eq(t.retry_ns, b->until_ns);
	}
	return t;
}

struct sc_breaker breaker_opened(const struct sc_breaker_spec *spec)
{
	struct sc_breaker b;

	sc_breaker_init(&b, 0);
	breaker_step(&b, spec, (struct sc_breaker_look){.failures = spec->failures}, 100,
		     SC_BREAKER_OPEN);
	return b;
}

struct sc_breaker breaker_half_opened(const struct sc_breaker_spec *spec)
{
	struct sc_breaker b = breaker_opened(spec);

	breaker_step(&b, spec, (struct sc_breaker_look){0}, 130, SC_BREAKER_HALF_OPEN);
	return b;
}
