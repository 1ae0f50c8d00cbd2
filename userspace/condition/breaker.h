/* SPDX-License-Identifier: Apache-2.0 */
/* What the breaker's table is asked. Inside the condition room only. */
#pragma once

#include <scram/breaker.h>

enum sc_breaker_input {
	SC_BREAKER_INPUT_TICK, /* what was seen, or nothing but time */
	SC_BREAKER_INPUT_LIVE, /* it acts from now on, and did not until now */
	SC_BREAKER_INPUT_FORCE_OPEN,
	SC_BREAKER_INPUT_FORCE_CLOSED,
	SC_BREAKER_INPUT_DISABLE,
	SC_BREAKER_INPUT_TAKE_BACK,
	SC_BREAKER_INPUT_COUNT
};
