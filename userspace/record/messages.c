/* SPDX-License-Identifier: Apache-2.0 */
/* The table of what others are told of, and what is printed from it. */
#include <scram/messages.h>

#include "base/str.h"

#include <string.h>
#include <syslog.h>

static const struct sc_message messages[];
static const size_t message_count;

static const char *const priority_names[] = {
	[LOG_EMERG] = "emerg",     [LOG_ALERT] = "alert",   [LOG_CRIT] = "crit", [LOG_ERR] = "err",
	[LOG_WARNING] = "warning", [LOG_NOTICE] = "notice", [LOG_INFO] = "info",
};

const struct sc_message *sc_message_of(enum sc_record_kind kind, const char *state)
{
	for (size_t i = 0; i < message_count; i++) {
		const struct sc_message *m = &messages[i];

		if (m->kind == kind && (!m->state || (state && !strcmp(m->state, state))))
			return m;
	}
	return NULL;
}

void sc_messages_print_reference(struct sc_str *out)
{
	sc_str_add(out,
		   "# Messages\n\n"
		   "What those whom `notify` names are told of. `kind` is that of the record and "
		   "of the JSON; priority and MESSAGE_ID are what the system journal has: "
		   "`journalctl MESSAGE_ID=...`, and with `-x` what it means.\n\n"
		   "| message | kind | priority | MESSAGE_ID | when |\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < message_count; i++) {
		const struct sc_message *m = &messages[i];

		sc_str_addf(out, "| `%s` | `%s` | %s | `%s` | %s |\n", m->name,
			    sc_record_kind_name(m->kind), priority_names[m->priority], m->id,
			    m->subject);
	}
}

void sc_messages_print_catalog(struct sc_str *out)
{
	sc_str_add(out, "# What journalctl -x says of scram's messages; see "
			"https://systemd.io/CATALOG\n");
	for (size_t i = 0; i < message_count; i++) {
		const struct sc_message *m = &messages[i];

		sc_str_addf(out,
			    "\n-- %s\nSubject: %s\nDefined-By: scram\nSupport: man:scram(8)\n"
			    "Documentation: man:scram(8)\n\n%s\n",
			    m->id, m->subject, m->text);
	}
}

/* clang-format off */
static const struct sc_message messages[] = {
	{SC_RECORD_FIRE_VERIFIED, NULL, "fire-verified", "5351c16e3a7b4c66a396630af9162663", LOG_CRIT,
	 "scram acted on @SCRAM_TARGET@",
	 "Condition @SCRAM_CONDITION@ fired and its action @SCRAM_ACTION@ took effect: the "
	 "outcome is @SCRAM_OUTCOME@. See scram show @SCRAM_FIRE_ID@ for what it saw, and "
	 "scram release for what can be undone."},
	{SC_RECORD_FIRE_FAILED, NULL, "fire-failed", "48a95f2046244d20afe043d9750d145b", LOG_ALERT,
	 "scram acted on @SCRAM_TARGET@ without the effect",
	 "Condition @SCRAM_CONDITION@ fired, but its action @SCRAM_ACTION@ failed or its "
	 "effect was not seen: the outcome is @SCRAM_OUTCOME@. Look at the target now; "
	 "scram show @SCRAM_FIRE_ID@ tells who is left."},
	{SC_RECORD_FIRE_RELEASED, NULL, "fire-released", "e0939065eddc43d685a7b603029d345a", LOG_NOTICE,
	 "scram released @SCRAM_TARGET@",
	 "What fire @SCRAM_FIRE_ID@ did to the target has been undone."},
	{SC_RECORD_FIRE_VETOED, NULL, "fire-vetoed", "7f99e9af3e7b45d99fcdd64334c13111", LOG_WARNING,
	 "a fire on @SCRAM_TARGET@ was vetoed",
	 "Condition @SCRAM_CONDITION@ would have fired, and an interlock forbade it. "
	 "Nothing was done. See scram why @SCRAM_CONDITION@."},
	{SC_RECORD_FIRE_PENDING, NULL, "fire-pending", "1a92e7629c034b84ace0d3781d61218b", LOG_ERR,
	 "a fire on @SCRAM_TARGET@ waits for a second person",
	 "Condition @SCRAM_CONDITION@ needs two persons. Approve or reject fire "
	 "@SCRAM_FIRE_ID@ before it times out."},
	{SC_RECORD_FIRE_REJECTED, NULL, "fire-rejected", "1ec54c78feb54de2bee348f8bac79b9d", LOG_NOTICE,
	 "a fire on @SCRAM_TARGET@ was rejected",
	 "The second person said no to fire @SCRAM_FIRE_ID@. Nothing was done."},
	{SC_RECORD_FIRE_TIMED_OUT, NULL, "fire-timed-out", "9a3270fca7f64e6e8411436110cc2507", LOG_WARNING,
	 "nobody approved a fire on @SCRAM_TARGET@",
	 "Fire @SCRAM_FIRE_ID@ waited for a second person who did not come. Nothing was "
	 "done."},
	{SC_RECORD_FIRE_DRY_RUN, NULL, "fire-dry-run", "8733e77b9b084e19a6a039fa056431a4", LOG_NOTICE,
	 "scram would have acted on @SCRAM_TARGET@",
	 "Condition @SCRAM_CONDITION@ is a dry-run: everything happened but the action."},
	{SC_RECORD_BREAKER_TRANSITION, "open", "breaker-open", "ead2151fe1a0419fb9143975a056963e", LOG_ERR,
	 "the breaker of @SCRAM_COMPONENT@ opened",
	 "The component failed too often in a row and is cut off for a while. See scram "
	 "breaker @SCRAM_COMPONENT@."},
	{SC_RECORD_BREAKER_TRANSITION, "forced-open", "breaker-forced-open", "7eaae4dc887246dfa39983ac6c5fb30d", LOG_ERR,
	 "the breaker of @SCRAM_COMPONENT@ was opened by hand",
	 "It stays open until the order is taken back."},
	{SC_RECORD_BREAKER_TRANSITION, "closed", "breaker-closed", "aba5ecc9da7541d89b55792775794219", LOG_NOTICE,
	 "the breaker of @SCRAM_COMPONENT@ closed",
	 "The component works again."},
	{SC_RECORD_SESSION_BLOCKER, NULL, "session-blocker", "68f6e1fe4fc54e4aa256f9dbefa7d08e", LOG_CRIT,
	 "@SCRAM_COMPONENT@ fails again and again",
	 "Its breaker opened several times without closing once. Somebody "
	 "should look at the component."},
	{SC_RECORD_DRAIN, NULL, "drain", "a17a24065e08424a86e781d2143b047a", LOG_WARNING,
	 "the host is drained, or no longer",
	 "While it is drained nothing fires by itself. See scram drain status."},
	{SC_RECORD_DISARM, NULL, "disarmed", "9bcf72782b264f0fbd2741617780d5c9", LOG_ERR,
	 "scram was disarmed",
	 "Nothing fires by itself until scram arm; what is in force stays in force."},
	{SC_RECORD_ARM, NULL, "armed", "b98f46cf0cd440f593925339a10c01e2", LOG_NOTICE,
	 "scram was armed",
	 "Automatic fires are possible again."},
	{SC_RECORD_CONDITION_PROMOTED, NULL, "condition-promoted", "f77ac03683c34623a5a88c393b658958", LOG_NOTICE,
	 "a condition was made live",
	 "Condition @SCRAM_CONDITION@ acts from now on."},
	{SC_RECORD_CONDITION_DEMOTED, NULL, "condition-demoted", "dae1027db082485b8722138d5510f991", LOG_WARNING,
	 "a condition was made a dry-run",
	 "Condition @SCRAM_CONDITION@ no longer acts."},
	{SC_RECORD_CONFIG_LOADED, NULL, "config-loaded", "ec7d9ea9c094439681178160711c8517", LOG_INFO,
	 "the configuration was taken",
	 "Conditions and their actions are those of the files as they are now."},
	{SC_RECORD_FACT, NULL, "fact", "1934ff730f68446ab58af6eb9d64bb50", LOG_WARNING,
	 "scram has something to say",
	 "A limit was reached, something was put back, a file was refused: the message "
	 "says what."},
	{SC_RECORD_JOURNAL_TORN, NULL, "journal-torn", "71301a41b5d74906907ebc99a61bb843", LOG_NOTICE,
	 "the last record of a crash was cut",
	 "The agent, or the machine, ended in the middle of a record. Nothing that was "
	 "acted on is missing."},
	{SC_RECORD_JOURNAL_DAMAGED, NULL, "journal-damaged", "c3a4dc82960f440aa55c2857c78871fc", LOG_CRIT,
	 "the chain of records is broken",
	 "Somebody or something changed the journal. See scram verify."},
	{SC_RECORD_JOURNAL_SUSPECT, NULL, "journal-suspect", "97f0910a56e64a7586624743c73565fd", LOG_CRIT,
	 "a part of the journal may not be on the disk",
	 "The disk reported an error for a segment. Look at the disk; see scram doctor."},
	{SC_RECORD_JOURNAL_LOST, NULL, "journal-lost", "07a2f19c2ebb4aa1887166571e304ecb", LOG_CRIT,
	 "records were lost",
	 "The disk refused them for so long that there was no room in memory either. See "
	 "scram doctor."},
	{SC_RECORD_AGENT_STARTED, NULL, "agent-started", "243d466ec3bf42f3b7c8827d82170111", LOG_NOTICE,
	 "scram was started",
	 "It is armed as its configuration says; see scram status."},
	{SC_RECORD_AGENT_STOPPED, NULL, "agent-stopped", "d220154db319458c91a244fd86a46771", LOG_WARNING,
	 "scram was stopped",
	 "Nothing watches this host until it is started again."},
	{SC_RECORD_NOTIFY_TEST, NULL, "notify-test", "2fc5f21bd92c47fdb1516c4765ea4841", LOG_NOTICE,
	 "a test: nothing has happened",
	 "Somebody wanted to see who is told. See scram status."},
};
/* clang-format on */

static const size_t message_count = sizeof(messages) / sizeof(messages[0]);
