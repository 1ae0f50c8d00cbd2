/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tally.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define PERIOD 100

static struct sc_tally tally;

static void begin(void)
{
	sc_tally_init(&tally, PERIOD, "others");
}

/* What is due at that time: how often that key came, 0 = it is not due, or nothing is. */
static uint64_t take(const char *key, uint64_t now)
{
	uint64_t count = 0, found = 0;
	const char *got;

	while ((got = sc_tally_take(&tally, now, &count)))
		if (strcmp(got, key) == 0)
			found = count;
	return found;
}

TestSuite(tally, .init = begin);

Test(tally, tells_the_first_at_once_and_the_rest_once_a_period)
{
	sc_tally_add(&tally, "a", 1, 10);
	cr_expect_eq(take("a", 10), 1);
	cr_expect_eq(take("a", 10), 0, "it is told");
	sc_tally_add(&tally, "a", 2, 20);
	sc_tally_add(&tally, "a", 3, 109);
	cr_expect_eq(take("a", 109), 0, "the period is not over");
	cr_expect_eq(take("a", 110), 5);
	cr_expect_eq(take("a", 1000), 0, "nothing came since");
	sc_tally_add(&tally, "a", 1, 1000);
	cr_expect_eq(take("a", 1000), 1, "after a quiet period again at once");
}

Test(tally, tells_kinds_apart)
{
	sc_tally_add(&tally, "a", 1, 10);
	sc_tally_add(&tally, "ab", 2, 10);
	cr_expect_eq(take("a", 10), 1);
	sc_tally_add(&tally, "ab", 4, 11);
	sc_tally_add(&tally, "b", 7, 11);
	cr_expect_eq(take("b", 11), 7, "another kind does not wait");
	cr_expect_eq(take("ab", 110), 4);
}

Test(tally, counts_what_finds_no_room_with_the_others)
{
	char key[32];
	uint64_t count, sum = 0;

	for (int i = 0; i < 10 * SC_TALLY_ROWS; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		sc_tally_add(&tally, key, 1, 10);
	}
	sc_tally_add(&tally, NULL, 1, 10);
	cr_expect_eq(take("others", 10), 9 * SC_TALLY_ROWS + 2);
	for (int i = 0; i < SC_TALLY_ROWS; i++) {
		snprintf(key, sizeof(key), "later%d", i);
		sc_tally_add(&tally, key, 1, 50);
	}
	cr_expect_null(sc_tally_take(&tally, 50, &count), "a flood of kinds is told no faster");
	for (const char *got; (got = sc_tally_take(&tally, 200, &count));)
		sum += count;
	cr_expect_eq(sum, SC_TALLY_ROWS, "and none is lost");
	sc_tally_add(&tally, "late", 1, 400);
	cr_expect_eq(take("late", 400), 1, "rows that nobody needs are free again");
}

Test(tally, tells_at_the_end_what_is_left)
{
	sc_tally_add(&tally, "a", 1, 10);
	(void)take("a", 10);
	sc_tally_add(&tally, "a", 9, 11);
	cr_expect_eq(take("a", UINT64_MAX), 9);
}
