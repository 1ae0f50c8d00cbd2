/* SPDX-License-Identifier: Apache-2.0 */
/* What a report may say; a report is taken whole or not at all. */
#include "engine/app_message.h"

#include "base/mem.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define BIT(key) (1U << (key))

Test(app_message, each_key_is_taken_with_its_value)
{
	static const char text[] =
		"HEARTBEAT=1\nSESSION=run:7.a_b-C\nQUEUE_DEPTH=17\nGAUGE_1=-0.5\n"
		"GAUGE_8=2.5e3";
	struct sc_app_message m;

	cr_assert_eq(sc_app_message_parse(text, strlen(text), &m), 0);
	cr_expect_eq(m.has, BIT(SC_APP_HEARTBEAT) | BIT(SC_APP_SESSION) | BIT(SC_APP_QUEUE_DEPTH) |
				    BIT(SC_APP_GAUGE_FIRST) | BIT(SC_APP_GAUGE_FIRST + 7));
	cr_expect_eq(m.queue_depth, 17);
	cr_expect_eq(m.gauges[0], -0.5);
	cr_expect_eq(m.gauges[7], 2500);
}

Test(app_message, forms_are_told_apart)
{
	static const struct {
		const char *text;
		int want;
	} rows[] = {
		{"HEARTBEAT=1", 0},
		{"HEARTBEAT=1\n", 0},
		{"QUEUE_DEPTH=0", 0},
		{"QUEUE_DEPTH=0.25", 0},
		{"GAUGE_4=-1e-3", 0},
		{"GAUGE_4=1E+3", 0},
		{"SESSION=x", 0},
		{"", -EINVAL},
		{"\n", -EINVAL},
		{"HEARTBEAT=1\n\n", -EINVAL},
		{"HEARTBEAT=1\nHEARTBEAT=1", -EINVAL},
		{"HEARTBEAT=1\r\n", -EINVAL},
		{"HEARTBEAT=0", -EINVAL},
		{"HEARTBEAT=11", -EINVAL},
		{"HEARTBEAT=", -EINVAL},
		{"HEARTBEAT", -EINVAL},
		{"heartbeat=1", -EINVAL},
		{" HEARTBEAT=1", -EINVAL},
		{"HEARTBEAT =1", -EINVAL},
		{"=1", -EINVAL},
		{"CGROUP=/workload/other", -EINVAL},
		{"HEARTBEAT=1\nPID=1", -EINVAL},
		{"SESSION=", -EINVAL},
		{"SESSION=a b", -EINVAL},
		{"SESSION=\xc3\xa4", -EINVAL},
		{"SESSION=a=b", -EINVAL},
		{"QUEUE_DEPTH=-1", -EINVAL},
		{"QUEUE_DEPTH=", -EINVAL},
		{"QUEUE_DEPTH=1 ", -EINVAL},
		{"QUEUE_DEPTH=+1", -EINVAL},
		{"QUEUE_DEPTH=01", -EINVAL},
		{"QUEUE_DEPTH=1.", -EINVAL},
		{"QUEUE_DEPTH=.5", -EINVAL},
		{"QUEUE_DEPTH=1e", -EINVAL},
		{"QUEUE_DEPTH=1,5", -EINVAL},
		{"QUEUE_DEPTH=0x10", -EINVAL},
		{"QUEUE_DEPTH=inf", -EINVAL},
		{"QUEUE_DEPTH=nan", -EINVAL},
		{"QUEUE_DEPTH=1e999", -EINVAL},
		{"QUEUE_DEPTH=10000000000000000000000000000000", 0},
		{"QUEUE_DEPTH=100000000000000000000000000000000", -EINVAL},
		{"GAUGE_0=1", -EINVAL},
		{"GAUGE_9=1", -EINVAL},
		{"GAUGE_=1", -EINVAL},
		{"GAUGE_1=-", -EINVAL},
	};

	for (size_t i = 0; i < SC_ARRAY_SIZE(rows); i++) {
		const struct sc_app_message before = {.has = 77};
		struct sc_app_message m = before;
		int r = sc_app_message_parse(rows[i].text, strlen(rows[i].text), &m);

		cr_expect_eq(r, rows[i].want, "%s gave %d", rows[i].text, r);
		cr_expect(r == 0 || m.has == before.has, "%s left something behind", rows[i].text);
	}
}

Test(app_message, a_nul_byte_is_no_end)
{
	static const char text[] = "HEARTBEAT=1\0\nGAUGE_1=1";
	struct sc_app_message m;

	cr_expect_eq(sc_app_message_parse(text, sizeof(text) - 1, &m), -EINVAL);
}

Test(app_message, session_ids_and_messages_have_an_end)
{
	char text[SC_APP_MESSAGE_MAX + 1] = "SESSION=";
	size_t key = strlen(text);
	struct sc_app_message m, other;

	memset(text + key, 'x', sizeof(text) - key);
	cr_expect_eq(sc_app_message_parse(text, key + SC_APP_SESSION_MAX, &m), 0);
	cr_expect_eq(sc_app_message_parse(text, key + SC_APP_SESSION_MAX + 1, &other), -EINVAL);
	cr_expect_eq(sc_app_message_parse(text, sizeof(text), &other), -EMSGSIZE);
	cr_expect_eq(sc_app_message_parse(text, key + 5, &other), 0);
	cr_expect_neq(m.session, other.session);
}
