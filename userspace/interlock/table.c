/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking the interlocks. Everything that can stop a fire is one row of the table at the end, and
 * the order of the rows is the order in which a veto counts.
 */
#include "interlock/interlock.h"

#include "base/str.h"

#include <assert.h>
#include <stdarg.h>

enum sc_answer sc_interlock_say(struct sc_interlock_reason *reason, enum sc_answer answer,
				const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason->text, sizeof(reason->text), fmt, ap);
	va_end(ap);
	return answer;
}

static void ask(enum sc_interlock_id id, const struct sc_interlock_facts *facts,
		struct sc_interlock_reason *reason)
{
	const struct sc_interlock *row = &sc_interlocks[id];

	*reason = (struct sc_interlock_reason){.answer = SC_ANSWER_PASS};
	if (!(row->askers & facts->asker))
		return;
	reason->asked = true;
	reason->answer = row->check(facts, reason);
	if (reason->answer == SC_ANSWER_VETO && facts->forced && row->force_overrides) {
		reason->overridden = true;
		reason->answer = SC_ANSWER_PASS;
	}
}

void sc_interlocks_ask(const struct sc_interlock_facts *facts, struct sc_verdict *verdict)
{
	SC_ASSERT(facts->asker == SC_ASKER_AUTO || facts->asker == SC_ASKER_MANUAL ||
		  facts->asker == SC_ASKER_APPROVAL);
	verdict->answer = SC_ANSWER_PASS;
	verdict->first = SC_INTERLOCK_COUNT;
	for (unsigned int id = 0; id < SC_INTERLOCK_COUNT; id++) {
		ask((enum sc_interlock_id)id, facts, &verdict->reason[id]);
		if (verdict->answer != SC_ANSWER_PASS)
			continue;
		verdict->answer = verdict->reason[id].answer;
		if (verdict->answer != SC_ANSWER_PASS)
			verdict->first = (enum sc_interlock_id)id;
	}
}

const char *sc_interlock_name(enum sc_interlock_id id)
{
	SC_ASSERT(id < SC_INTERLOCK_COUNT);
	return sc_interlocks[id].name;
}

const char *sc_answer_name(enum sc_answer answer)
{
	static const char *const names[] = {
		[SC_ANSWER_PASS] = "pass",
		[SC_ANSWER_VETO] = "veto",
		[SC_ANSWER_PENDING] = "pending",
	};

	static_assert(SC_ARRAY_SIZE(names) == SC_ANSWER_COUNT, "one name each");
	SC_ASSERT(answer < SC_ANSWER_COUNT);
	return names[answer];
}

uint32_t sc_verdict_reason(const struct sc_verdict *verdict)
{
	return (uint32_t)verdict->first + 1;
}

void sc_interlocks_print_reference(struct sc_str *out)
{
	sc_str_add(out, "| interlock | stops a fire when | asked of |\n|---|---|---|\n");
	for (unsigned int id = 0; id < SC_INTERLOCK_COUNT; id++) {
		const struct sc_interlock *row = &sc_interlocks[id];

		sc_str_addf(out, "| `%s` | %s | %s%s%s |\n", row->name, row->text,
			    row->askers & SC_ASKER_AUTO ? "automatic fires" : "",
			    row->askers & SC_ASKER_MANUAL ? ", fires by hand, approvals" : "",
			    row->force_overrides ? " (`--force` overrides)" : "");
	}
}

#define AUTO     SC_ASKER_AUTO
#define EVERYONE (SC_ASKER_AUTO | SC_ASKER_MANUAL | SC_ASKER_APPROVAL)

/* clang-format off */
const struct sc_interlock sc_interlocks[SC_INTERLOCK_COUNT] = {
	[SC_INTERLOCK_FORCED_READONLY] = {"forced-readonly", "the agent was started read-only", EVERYONE, false, sc_interlock_forced_readonly},
	[SC_INTERLOCK_DISARMED] = {"disarmed", "an operator disarmed the agent", EVERYONE, true, sc_interlock_disarmed},
	[SC_INTERLOCK_DRAIN] = {"drain", "the host is draining", AUTO, false, sc_interlock_drain},
	[SC_INTERLOCK_STARTUP_GRACE] = {"startup-grace", "the agent started less than 2 s ago", AUTO, false, sc_interlock_startup_grace},
	[SC_INTERLOCK_RESUME_GRACE] = {"resume-grace", "the host resumed, or its clock jumped, less than 30 s ago", AUTO, false, sc_interlock_resume_grace},
	[SC_INTERLOCK_SOURCE_HEALTH] = {"source-health", "the evidence is unknown or stale, or events were lost", AUTO, false, sc_interlock_source_health},
	[SC_INTERLOCK_PROTECTED] = {"protected", "the target is the agent, an ancestor of it, or on a protect list", EVERYONE, false, sc_interlock_protected},
	[SC_INTERLOCK_IDENTITY] = {"identity", "the target is no longer the cgroup that was decided on", EVERYONE, false, sc_interlock_identity},
	[SC_INTERLOCK_STILL_TRUE] = {"still-true", "the predicate is not true any more, just before an irreversible action", AUTO, false, sc_interlock_still_true},
	[SC_INTERLOCK_COOLDOWN] = {"cooldown", "the condition fired on this target less than its cool-down ago", AUTO, false, sc_interlock_cooldown},
	[SC_INTERLOCK_BLAST_RADIUS] = {"blast-radius", "too many targets would be affected, or too many irreversible fires happened within 60 s", AUTO, false, sc_interlock_blast_radius},
	[SC_INTERLOCK_MAJORITY_SICK] = {"majority-sick", "at least 3 and 55 % of the condition's targets are true at once", AUTO, false, sc_interlock_majority_sick},
	[SC_INTERLOCK_TWO_PERSON] = {"two-person", "a second person has not approved yet; the fire is pending then", EVERYONE, false, sc_interlock_two_person},
};
/* clang-format on */
