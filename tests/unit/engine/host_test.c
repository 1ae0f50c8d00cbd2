/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/core.h"

#include <criterion/criterion.h>
#include <math.h>

#define SWAP(total, left) "SwapCached: 7 kB\nSwapTotal:  " total " kB\nSwapFree: " left " kB\n"

static double used(const char *meminfo)
{
	return sc_host_share_used(meminfo, "SwapTotal:", "SwapFree:");
}

Test(host, a_share_of_nothing_is_unknown)
{
	cr_expect_float_eq(used(SWAP("1000", "100")), 0.9, 1e-9);
	cr_expect_eq(used(SWAP("1000", "1000")), 0);
	cr_expect(isnan(used(SWAP("0", "0"))), "a host without swap");
	cr_expect(isnan(used("MemTotal: 5 kB\n")));
	cr_expect(isnan(used("SwapTotal: 5 kB\n")));
	cr_expect(isnan(used("")));
}
