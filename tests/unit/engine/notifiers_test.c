/* SPDX-License-Identifier: Apache-2.0 */
/* The core's side of those who are told: what it makes of the worker's words. */
#include "unit/engine/fake_ports.h"

#include "engine/ops.h"
#include "engine/workers.h"

#include "base/clock.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct sc_engine *e;

static void set_up(void)
{
	e = fake_engine_start("notify: [journal]\n"
			      "conditions: [{id: by-hand, action: {kind: freeze}}]\n");
}

static void tear_down(void)
{
	fake_engine_stop(&e);
}

TestSuite(notifiers, .init = set_up, .fini = tear_down, .timeout = 300);

/* The worker says that the system journal was told of record 1, or was not. */
static void say(bool ok)
{
	struct sc_op_call call = {
		.e = e,
		.who = {.worker = &sc_worker_rows[SC_WORKER_PROBE]},
		.args = json_pack("{s:s, s:i, s:s, s:b, s:s}", "sink", "journal", "seq", 1, "kind",
				  "agent.started", "ok", ok, "why", "no"),
	};

	sc_str_init_heap(&call.reply);
	sc_json_init(&call.json, &call.reply);
	sc_json_object_begin(&call.json);
	sc_op_notify_done(&call);
	sc_json_object_end(&call.json);
	cr_assert_eq(call.exit, SC_EXIT_DONE, "%s", call.error);
	cr_assert_not_null(strstr(call.reply.data, "\"taken\":true"), "%s", call.reply.data);
	json_decref(call.args);
	sc_str_done(&call.reply);
}

/* The lines that the core logs meanwhile. */
static unsigned int count_lines(unsigned int turns)
{
	int file = memfd_create("log", MFD_CLOEXEC), saved = fcntl(2, F_DUPFD_CLOEXEC, 10);
	unsigned int n = 0;
	char c;

	cr_assert(file >= 0 && saved >= 0);
	cr_assert_eq(dup2(file, 2), 2);
	for (unsigned int i = 0; i < turns; i++) {
		say(false);
		say(true);
	}
	cr_assert_eq(dup2(saved, 2), 2);
	for (off_t at = 0; pread(file, &c, 1, at) == 1; at++)
		n += c == '\n';
	close(saved);
	close(file);
	return n;
}

/* Neither the journal nor the log is at the mercy of a worker that was taken over. */
Test(notifiers, a_worker_that_changes_its_mind_for_ever_fills_neither_journal_nor_log)
{
	enum { TURNS = 2000, AT_ONCE = 256, A_SECOND = 10, OTHERS = 16 };
	struct sc_journal_stats before, after;
	uint64_t begin_ns = sc_mono_ns(), s;
	unsigned int lines;

	sc_journal_stats(e->journal, &before);
	lines = count_lines(TURNS);
	sc_journal_stats(e->journal, &after);
	s = (sc_mono_ns() - begin_ns) / SC_NS_PER_S + 1;
	cr_expect_geq(after.seq - before.seq, AT_ONCE);
	cr_expect_leq(after.seq - before.seq, AT_ONCE + A_SECOND * s + OTHERS);
	cr_expect_leq(lines, after.seq - before.seq, "one for each that is recorded");
}

Test(notifiers, a_failure_and_its_end_are_logged)
{
	cr_expect_eq(count_lines(1), 2);
}
