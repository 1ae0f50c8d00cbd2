/* SPDX-License-Identifier: Apache-2.0 */
/* Every interlock in the blocking direction: facts on which all pass, one of them spoilt. */
#include <scram/interlock.h>

#include "base/str.h"

#include <criterion/criterion.h>
#include <string.h>

#define S SC_NS_PER_S

/* An automatic kill that nothing stands against. */
static struct sc_interlock_facts good_facts(void)
{
	return (struct sc_interlock_facts){
		.now_ns = 1000 * S,
		.asker = SC_ASKER_AUTO,
		.started_ns = 100 * S,
		.evidence_age_ns = S / 10,
		.evidence_age_max_ns = 2 * S,
		.has_target = true,
		.decided_id = 4711,
		.current_id = 4711,
		.irreversible = true,
		.still_true = true,
		.last_fire_ns = 900 * S,
		.cooldown_ns = 60 * S,
		.condition = {.affected = 0, .eligible = 20},
		.host = {.affected = 0, .eligible = 40},
		.sick = 1,
		.sick_eligible = 20,
	};
}

static struct sc_verdict ask(const struct sc_interlock_facts *facts)
{
	struct sc_verdict verdict;

	memset(&verdict, 0xff, sizeof(verdict));
	sc_interlocks_ask(facts, &verdict);
	return verdict;
}

static void spoil(struct sc_interlock_facts *f, enum sc_interlock_id id)
{
	switch (id) {
	case SC_INTERLOCK_FORCED_READONLY:
		f->forced_readonly = true;
		return;
	case SC_INTERLOCK_DISARMED:
		f->disarmed = true;
		f->disarm_reason = "maintenance";
		return;
	case SC_INTERLOCK_DRAIN:
		f->draining = true;
		return;
	case SC_INTERLOCK_STARTUP_GRACE:
		f->started_ns = f->now_ns - SC_STARTUP_GRACE_NS + 1;
		return;
	case SC_INTERLOCK_RESUME_GRACE:
		f->resumed_ns = f->now_ns - SC_RESUME_GRACE_NS + 1;
		return;
	case SC_INTERLOCK_SOURCE_HEALTH:
		f->evidence_unknown = true;
		return;
	case SC_INTERLOCK_PROTECTED:
		f->protected_by = "the agent's own cgroup";
		return;
	case SC_INTERLOCK_IDENTITY:
		f->current_id++;
		return;
	case SC_INTERLOCK_STILL_TRUE:
		f->still_true = false;
		return;
	case SC_INTERLOCK_COOLDOWN:
		f->last_fire_ns = f->now_ns - f->cooldown_ns + 1;
		return;
	case SC_INTERLOCK_BLAST_RADIUS:
		f->condition.affected = 2;
		return;
	case SC_INTERLOCK_MAJORITY_SICK:
		f->sick = 11;
		return;
	case SC_INTERLOCK_TWO_PERSON:
		f->requires_two_person = true;
		return;
	case SC_INTERLOCK_COUNT:
		break;
	}
	cr_assert_fail("no way to spoil interlock %d", id);
}

Test(interlock, passes_when_nothing_stands_against_it)
{
	struct sc_interlock_facts facts = good_facts();
	struct sc_verdict verdict = ask(&facts);

	cr_assert_eq(verdict.answer, SC_ANSWER_PASS);
	cr_assert_eq(verdict.first, SC_INTERLOCK_COUNT);
	for (unsigned int id = 0; id < SC_INTERLOCK_COUNT; id++) {
		cr_assert(verdict.reason[id].asked);
		cr_assert_gt(strlen(verdict.reason[id].text), 0, "%s gives no reason",
			     sc_interlock_name((enum sc_interlock_id)id));
	}
}

Test(interlock, each_one_alone_stops_an_automatic_fire)
{
	for (unsigned int id = 0; id < SC_INTERLOCK_COUNT; id++) {
		struct sc_interlock_facts facts = good_facts();
		struct sc_verdict verdict;

		spoil(&facts, (enum sc_interlock_id)id);
		verdict = ask(&facts);
		cr_assert_eq(verdict.first, id, "%s did not stop it", sc_interlocks[id].name);
		cr_assert_eq(verdict.answer,
			     id == SC_INTERLOCK_TWO_PERSON ? SC_ANSWER_PENDING : SC_ANSWER_VETO);
	}
}

Test(interlock, the_first_veto_counts_and_every_reason_is_kept)
{
	struct sc_interlock_facts facts = good_facts();
	struct sc_verdict verdict;

	spoil(&facts, SC_INTERLOCK_TWO_PERSON);
	spoil(&facts, SC_INTERLOCK_COOLDOWN);
	spoil(&facts, SC_INTERLOCK_DRAIN);
	verdict = ask(&facts);
	cr_assert_eq(verdict.first, SC_INTERLOCK_DRAIN);
	cr_assert_eq(verdict.answer, SC_ANSWER_VETO);
	cr_assert_eq(verdict.reason[SC_INTERLOCK_COOLDOWN].answer, SC_ANSWER_VETO);
	cr_assert_eq(verdict.reason[SC_INTERLOCK_TWO_PERSON].answer, SC_ANSWER_PENDING);
	cr_assert_eq(verdict.reason[SC_INTERLOCK_PROTECTED].answer, SC_ANSWER_PASS);
	cr_assert_neq(sc_verdict_reason(&verdict), 0);
}

/* DESIGN section 8: what a fire by hand is asked; nothing else may stop a person. */
Test(interlock, a_fire_by_hand_is_asked_five_only)
{
	static const enum sc_interlock_id asked[] = {
		SC_INTERLOCK_FORCED_READONLY, SC_INTERLOCK_DISARMED,   SC_INTERLOCK_PROTECTED,
		SC_INTERLOCK_IDENTITY,        SC_INTERLOCK_TWO_PERSON,
	};
	static const enum sc_asker askers[] = {SC_ASKER_MANUAL, SC_ASKER_APPROVAL};

	for (size_t a = 0; a < SC_ARRAY_SIZE(askers); a++) {
		for (unsigned int id = 0; id < SC_INTERLOCK_COUNT; id++) {
			struct sc_interlock_facts facts = good_facts();
			bool is_asked = false;
			struct sc_verdict verdict;

			for (size_t i = 0; i < SC_ARRAY_SIZE(asked); i++)
				is_asked = is_asked || asked[i] == id;
			facts.asker = askers[a];
			spoil(&facts, (enum sc_interlock_id)id);
			verdict = ask(&facts);
			cr_assert_eq(verdict.reason[id].asked, is_asked, "%s",
				     sc_interlocks[id].name);
			cr_assert_eq(verdict.answer != SC_ANSWER_PASS, is_asked, "%s",
				     sc_interlocks[id].name);
		}
	}
}

Test(interlock, force_overrides_disarmed_and_nothing_else)
{
	for (unsigned int id = 0; id < SC_INTERLOCK_COUNT; id++) {
		struct sc_interlock_facts facts = good_facts();
		struct sc_verdict verdict;

		facts.asker = SC_ASKER_MANUAL;
		facts.forced = true;
		spoil(&facts, (enum sc_interlock_id)id);
		verdict = ask(&facts);
		cr_assert_eq(verdict.reason[id].overridden, id == SC_INTERLOCK_DISARMED, "%s",
			     sc_interlocks[id].name);
		if (id != SC_INTERLOCK_DISARMED && verdict.reason[id].asked)
			cr_assert_eq(verdict.first, id, "%s was forced", sc_interlocks[id].name);
		else
			cr_assert_eq(verdict.answer, SC_ANSWER_PASS);
	}
}

Test(interlock, graces_end_when_they_should)
{
	struct sc_interlock_facts facts = good_facts();

	facts.started_ns = facts.now_ns - SC_STARTUP_GRACE_NS;
	facts.resumed_ns = facts.now_ns - SC_RESUME_GRACE_NS;
	cr_assert_eq(ask(&facts).answer, SC_ANSWER_PASS);
	facts.started_ns = facts.now_ns + S;
	cr_assert_eq(ask(&facts).first, SC_INTERLOCK_STARTUP_GRACE, "a start in the future");
}

Test(interlock, source_health_vetoes_age_and_loss_too)
{
	struct sc_interlock_facts facts = good_facts();

	facts.evidence_age_ns = facts.evidence_age_max_ns;
	cr_assert_eq(ask(&facts).answer, SC_ANSWER_PASS);
	facts.evidence_age_ns++;
	cr_assert_eq(ask(&facts).first, SC_INTERLOCK_SOURCE_HEALTH);
	facts = good_facts();
	facts.events_lost = 1;
	cr_assert_eq(ask(&facts).first, SC_INTERLOCK_SOURCE_HEALTH);
}

Test(interlock, identity_vetoes_a_target_that_is_gone)
{
	struct sc_interlock_facts facts = good_facts();

	facts.current_id = 0;
	cr_assert_eq(ask(&facts).first, SC_INTERLOCK_IDENTITY);
	facts.decided_id = 0;
	cr_assert_eq(ask(&facts).first, SC_INTERLOCK_IDENTITY, "never known is not the same");
	facts.has_target = false;
	cr_assert_eq(ask(&facts).answer, SC_ANSWER_PASS, "a tenant or the host has no one cgroup");
}

Test(interlock, still_true_is_for_what_cannot_be_undone)
{
	struct sc_interlock_facts facts = good_facts();

	facts.still_true = false;
	facts.irreversible = false;
	cr_assert_eq(ask(&facts).answer, SC_ANSWER_PASS);
}

Test(interlock, cooldown_ends_and_lets_the_next_rung_through)
{
	struct sc_interlock_facts facts = good_facts();

	facts.last_fire_ns = facts.now_ns;
	cr_assert_eq(ask(&facts).first, SC_INTERLOCK_COOLDOWN);
	facts.last_fire_ns = facts.now_ns - facts.cooldown_ns;
	cr_assert_eq(ask(&facts).answer, SC_ANSWER_PASS, "it ends when it should");
	facts.last_fire_ns = facts.now_ns;
	facts.next_rung = true;
	cr_assert_eq(ask(&facts).answer, SC_ANSWER_PASS);
}

Test(interlock, approval_ends_the_waiting)
{
	struct sc_interlock_facts facts = good_facts();

	facts.asker = SC_ASKER_APPROVAL;
	facts.requires_two_person = true;
	cr_assert_eq(ask(&facts).answer, SC_ANSWER_PENDING);
	facts.approved = true;
	cr_assert_eq(ask(&facts).answer, SC_ANSWER_PASS);
}

Test(interlock, the_reference_names_all)
{
	_cleanup_str_ struct sc_str text;

	sc_str_init_heap(&text);
	sc_interlocks_print_reference(&text);
	for (unsigned int id = 0; id < SC_INTERLOCK_COUNT; id++)
		cr_assert(strstr(text.data, sc_interlocks[id].name));
}

Test(interlock, reasons_of_hostile_length_are_cut)
{
	struct sc_interlock_facts facts = good_facts();
	char reason[1000];

	memset(reason, 'x', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	facts.disarmed = true;
	facts.disarm_reason = reason;
	cr_assert_eq(strlen(ask(&facts).reason[SC_INTERLOCK_DISARMED].text),
		     SC_INTERLOCK_TEXT_MAX - 1);
}
