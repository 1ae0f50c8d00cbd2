/* SPDX-License-Identifier: Apache-2.0 */
/* scram verify: the journal's own check, with the exit status of its verdict. */
#include "cli/ask.h"
#include "cli/render.h"

#include <scram/journal.h>

#include "base/json.h"

#include <inttypes.h>
#include <string.h>

static void add_json(struct sc_str *out, const struct sc_verify_report *report)
{
	struct sc_json j;

	sc_json_init(&j, out);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "verdict", sc_verdict_name(report->verdict));
	sc_json_member_i64(&j, "exit", sc_verdict_exit_status(report->verdict));
	sc_json_member_text(&j, "text", report->text);
	sc_json_member_u64(&j, "records", report->records);
	sc_json_member_u64(&j, "segments", report->segments);
	sc_json_member_u64(&j, "seals", report->seals);
	sc_json_member_u64(&j, "last_seq", report->last_seq);
	sc_json_member_u64(&j, "last_sealed_seq", report->last_sealed_seq);
	sc_json_member_text(&j, "last_hash", report->last_hash);
	sc_json_member_text(&j, "first_time", report->first_time);
	sc_json_member_text(&j, "last_time", report->last_time);
	sc_json_member_text(&j, "last_seal_time", report->last_seal_time);
	if (report->fault_segment) {
		sc_json_key(&j, "fault");
		sc_json_object_begin(&j);
		sc_json_member_u64(&j, "segment", report->fault_segment);
		sc_json_member_u64(&j, "line", report->fault_line);
		sc_json_member_u64(&j, "byte", report->fault_byte);
		sc_json_member_u64(&j, "seq", report->fault_seq);
		sc_json_object_end(&j);
	}
	sc_json_object_end(&j);
	sc_str_add(out, "\n");
}

static void add_words(struct sc_str *out, const struct sc_verify_report *report)
{
	sc_str_addf(out, "journal %s", sc_verdict_name(report->verdict));
	if (report->verdict != SC_VERDICT_OK) {
		sc_str_add(out, ": ");
		sc_add_text(out, report->text);
	}
	sc_str_addf(out,
		    "\n  %" PRIu64 " records in %" PRIu64 " segments, last seq %" PRIu64 " at ",
		    report->records, report->segments, report->last_seq);
	sc_add_time(out, report->last_time);
	sc_str_addf(out, "\n  %" PRIu64 " valid seals, the last covers seq %" PRIu64 " at ",
		    report->seals, report->last_sealed_seq);
	sc_add_time(out, report->last_seal_time);
	sc_str_add(out, "\n  head ");
	sc_add_text(out, report->last_hash);
	sc_str_add(out, "\n");
	if (report->fault_segment)
		sc_str_addf(out,
			    "  fault at segment %" PRIu64 ", line %" PRIu64 ", byte %" PRIu64
			    ", where seq %" PRIu64 " was expected\n",
			    report->fault_segment, report->fault_line, report->fault_byte,
			    report->fault_seq);
}

int sc_verb_verify(const struct sc_args *args)
{
	struct sc_verify_options options = {.public_key = sc_args_get(args, "pubkey")};
	struct sc_verify_report report = {0};
	_cleanup_str_ struct sc_str out = {0};
	int r = sc_journal_verify(args->state_dir, &options, &report);
	int printed;

	if (r < 0)
		return sc_complain(args, SC_EXIT_FAILED, "cannot read the journal of %s: %s",
				   args->state_dir, strerror(-r));
	sc_str_init_heap(&out);
	if (args->json)
		add_json(&out, &report);
	else
		add_words(&out, &report);
	printed = sc_print_text(&out);
	return printed ? printed : sc_verdict_exit_status(report.verdict);
}
