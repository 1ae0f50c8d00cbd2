/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the breaker share. Times are in seconds. */
#pragma once

#include <scram/breaker.h>

/* The defaults, live. */
struct sc_breaker_spec breaker_live_spec(void);
/* One step, which must lead to that state, and tells of it exactly when it is another. */
struct sc_breaker_transition breaker_step(struct sc_breaker *b, const struct sc_breaker_spec *spec,
					  struct sc_breaker_look look, uint64_t at_s,
					  enum sc_breaker_state to);
/* A breaker that opened at 100 s; the same, half-open since 130 s. */
struct sc_breaker breaker_opened(const struct sc_breaker_spec *spec);
struct sc_breaker breaker_half_opened(const struct sc_breaker_spec *spec);
