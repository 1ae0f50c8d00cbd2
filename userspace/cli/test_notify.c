/* SPDX-License-Identifier: Apache-2.0 */
/* scram test-notify: a record that says nothing but that it is a test, and who was told of it. */
#include "base/clock.h"
#include "cli/ask.h"
#include "cli/render.h"

#include <poll.h>
#include <string.h>

/* A sink that does not answer is tried four times in 76 s. */
#define PATIENCE_NS (90 * SC_NS_PER_S)
#define LOOK_MS     50

static const char *const headers[] = {"SINK", "TO", "RESULT"};

/* Every sink of the whole file has been told of this record, or will not be. */
static bool is_settled(const json_t *sinks, int64_t seq)
{
	const json_t *sink;
	size_t i;

	json_array_foreach (sinks, i, sink)
		if (sc_get_bool(sink, "for_all") && sc_get_int(sink, "done_seq", 0) < seq)
			return false;
	return true;
}

/* False when one was not told. */
static bool add_results(struct sc_str *out, const json_t *sinks, int64_t seq)
{
	_cleanup_table_ struct sc_table table = {0};
	bool is_well = true;
	const json_t *sink;
	size_t i;

	sc_table_init(&table, headers, SC_ARRAY_SIZE(headers), 0);
	json_array_foreach (sinks, i, sink) {
		bool is_done = sc_get_int(sink, "done_seq", 0) >= seq;
		bool is_good = is_done && !sc_get_bool(sink, "failing");

		if (!sc_get_bool(sink, "for_all"))
			continue;
		is_well = is_well && is_good;
		sc_table_add_escaped(&table, sc_get_text(sink, "sink", NULL));
		sc_table_add_escaped(&table, sc_get_text(sink, "to", NULL));
		sc_table_add_escaped(&table, is_good   ? "delivered"
					     : is_done ? sc_get_text(sink, "last_error", "failed")
						       : "not yet: it is still tried");
	}
	sc_table_print(&table, out, 0);
	return is_well;
}

static int wait_and_print(const struct sc_args *args, int64_t seq)
{
	static const struct sc_question status = {.op = SC_OP_STATUS};
	uint64_t deadline_ns = sc_mono_ns() + PATIENCE_NS;
	_cleanup_str_ struct sc_str out = {0};
	bool is_well;

	sc_str_init_heap(&out);
	for (;;) {
		json_t *reply = NULL;
		int r = sc_ask(args, &status, json_object(), &reply);
		const json_t *sinks = json_object_get(reply, "notify");
		bool is_over = sc_mono_ns() > deadline_ns || is_settled(sinks, seq);

		is_well = r == SC_EXIT_DONE && (!is_over || add_results(&out, sinks, seq));
		json_decref(reply);
		if (r != SC_EXIT_DONE)
			return r;
		if (is_over)
			break;
		(void)poll(NULL, 0, LOOK_MS);
	}
	if (sc_print_text(&out) != SC_EXIT_DONE)
		return SC_EXIT_FAILED;
	return is_well ? SC_EXIT_DONE : SC_EXIT_FAILED;
}

int sc_verb_test_notify(const struct sc_args *args)
{
	static const struct sc_question question = {.op = SC_OP_NOTIFY_TEST};
	json_t *reply = NULL;
	int r = sc_ask(args, &question, json_pack("{s:s}", "operator", sc_args_operator(args)),
		       &reply);
	int64_t seq = sc_get_int(reply, "seq", 0), sinks = sc_get_int(reply, "sinks", 0);

	json_decref(reply);
	if (r != SC_EXIT_DONE)
		return r;
	if (sinks == 0)
		return sc_complain(args, SC_EXIT_FAILED,
				   "nobody is told: the configuration has no notify");
	return wait_and_print(args, seq);
}
