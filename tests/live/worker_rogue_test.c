/* SPDX-License-Identifier: Apache-2.0 */
/* A worker that was taken over: it harms itself, not the agent. */
#include "live/worker_kit.h"

#include "base/clock.h"

#include <criterion/parameterized.h>
#include <signal.h>
#include <string.h>

TestSuite(worker_rogue, .init = sc_kit_init, .fini = sc_kit_fini, .timeout = 300);

/* What it says when it was ended, and which counter tells. */
struct offence {
	char mode[16], counter[16], end[64];
};

ParameterizedTestParameters(worker_rogue, an_illegal_message_ends_the_worker_alone)
{
	static struct offence offences[] = {
		{"fires", "illegal", "it sent what it may not: fire"},
		{"ready-twice", "illegal", "it sent what it may not: ready"},
		{"garbage", "illegal", "it sent what it may not: no request"},
		{"array", "illegal", "it sent what it may not: no request"},
		{"liar", "illegal", "it sent what it may not: a request without a principal"},
		{"early", "illegal", "it sent what it may not: status"},
		{"huge", "restarts", ""},
		{"quits", "restarts", "it ended with exit status 7"},
	};

	return cr_make_param_array(struct offence, offences, SC_ARRAY_SIZE(offences));
}

ParameterizedTest(struct offence *o, worker_rogue, an_illegal_message_ends_the_worker_alone)
{
	json_t *worker;

	sc_kit_start_rogue(o->mode);
	sc_kit_worker_wait("ship", o->counter, 1);
	worker = sc_kit_worker("ship");
	if (o->end[0])
		cr_expect_str_eq(sc_kit_text(worker, "last_end"), o->end);
	json_decref(worker);
	/* It is tried again, and the agent does its work. */
	sc_kit_worker_wait("ship", "restarts", 2);
	sc_kit_expect_ticks(o->mode);
}

Test(worker_rogue, a_missing_program_is_told_and_tried_again)
{
	json_t *worker;

	sc_kit_start_rogue(NULL);
	sc_kit_worker_wait("ship", "restarts", 3);
	worker = sc_kit_worker("ship");
	cr_expect_str_eq(sc_kit_text(worker, "last_end"),
			 "scram-ship cannot be started: program: No such file or directory");
	cr_expect_eq(sc_kit_number(worker, "pid"), 0);
	json_decref(worker);
	sc_kit_expect("doctor", 0, "worker ship");
}

Test(worker_rogue, one_that_ends_at_once_is_started_less_and_less_often)
{
	uint64_t begin = sc_mono_ns(), after_ms;

	sc_kit_start_rogue("quits");
	/* 0.1, 0.2, 0.4, 0.8 s lie between the first end and the fifth. */
	sc_kit_worker_wait("ship", "restarts", 5);
	after_ms = (sc_mono_ns() - begin) / SC_NS_PER_MS;
	cr_expect_geq(after_ms, 1500, "five ends within %llu ms", (unsigned long long)after_ms);
}

Test(worker_rogue, a_flood_of_requests_delays_no_tick)
{
	sc_kit_start_rogue("floods");
	sc_kit_worker_wait_up("ship");
	/* RLIMIT_RTTIME would end an agent whose loop thread never slept for 5 s. */
	for (int i = 0; i < 5; i++)
		sc_kit_expect_ticks("flood");
	sc_kit_expect("ping", 0, "");
	cr_expect_geq(sc_kit_worker_number("ship", "requests"), 2000, "that was no flood");
	cr_expect_eq(sc_kit_worker_number("ship", "restarts"), 0);
}

static bool is_counted(void *arg)
{
	(void)arg;
	/* Each is a record, and a change of status. */
	sc_kit_expect("disarm --reason r --operator o", 0, "");
	sc_kit_expect("arm --reason r --operator o", 0, "");
	return sc_kit_worker_number("ship", "restarts") > 0;
}

Test(worker_rogue, changes_are_told_together_and_not_too_often)
{
	unsigned int n = 0;
	json_t *worker;

	sc_kit_start_rogue("counts");
	cr_assert_eq(sc_wait_until(is_counted, NULL, SC_KIT_EVENT_MS), 0);
	worker = sc_kit_worker("ship");
	cr_assert_eq(sscanf(sc_kit_text(worker, "last_end"), "it ended with exit status %u", &n), 1,
		     "%s", sc_kit_text(worker, "last_end"));
	json_decref(worker);
	/* Every 50 ms at most; with nothing to tell it would be one. */
	cr_expect(n >= 2 && n <= 25, "%u within a second", n);
}

Test(worker_rogue, one_that_reads_nothing_is_replaced)
{
	sc_kit_start_rogue("deaf");
	sc_kit_worker_wait_up("ship");
	sc_kit_expect_ticks("deaf worker");
	sc_kit_worker_wait("ship", "hung", 1);
}

Test(worker_rogue, half_a_message_is_not_waited_for)
{
	sc_kit_start_rogue("half");
	sc_kit_worker_wait("ship", "restarts", 1);
}

Test(worker_rogue, memory_is_bounded)
{
	json_t *worker;
	unsigned int mib = 0;

	sc_kit_start_rogue("grows");
	sc_kit_worker_wait_up("ship");
	worker = sc_kit_worker("ship");
	cr_assert_eq(sscanf(sc_kit_text(worker, "detail"), "%u MiB", &mib), 1);
	json_decref(worker);
	cr_expect(mib > 16 && mib <= 64, "it got %u MiB", mib);
}
