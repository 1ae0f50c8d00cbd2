/* SPDX-License-Identifier: Apache-2.0 */
#include "signal/psi.h"

#include "base/clock.h"
#include "base/mem.h"

#include <scram/abi.h>

/* PSI_FREQ is 2 * HZ + 1 jiffies; a jiffy is 4 ms at the HZ=250 of Debian's kernels. */
#define PERIOD_NS (2 * SC_NS_PER_S + 4 * SC_NS_PER_MS)

/* The kernel's worker runs up to some jiffies late: an update is not missed before this. */
#define WORKER_LATE_NS (100 * SC_NS_PER_MS)

/* EXP_10s, EXP_60s and EXP_300s over FIXED_1, include/linux/sched/loadavg.h and psi.c. */
static const double decay[] = {
	[SC_PSI_AVG10] = 1677.0 / 2048,
	[SC_PSI_AVG60] = 1981.0 / 2048,
	[SC_PSI_AVG300] = 2034.0 / 2048,
};
_Static_assert(SC_ARRAY_SIZE(decay) == SC_PSI_AVERAGE_COUNT, "a decay for each average");

uint64_t sc_psi_periods_missed(uint64_t updated_ns, uint64_t now_ns)
{
	uint64_t elapsed = now_ns > updated_ns ? now_ns - updated_ns : 0;

	if (elapsed < PERIOD_NS + WORKER_LATE_NS)
		return 0;
	return elapsed / PERIOD_NS;
}

double sc_psi_decay(uint64_t average, enum sc_psi_average which, uint64_t periods)
{
	double factor = 1;

	/* By squaring, as calc_load_n() does: an idle hour is 1,800 periods. */
	for (double base = decay[which]; periods; periods >>= 1, base *= base)
		if (periods & 1)
			factor *= base;
	return SC_MIN((double)average / (100.0 * SC_PSI_PERCENT) * factor, 1.0);
}
