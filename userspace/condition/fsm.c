/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state machine of one condition and target: one const table, below. The first row whose from,
 * input and guard fit is taken; without one nothing changes. `fired` waits for its outcome alone,
 * whatever the predicate says, so that a kill under way is never taken for one that did not help.
 */
#include "condition/fsm.h"

#include <assert.h>

enum guard {
	GUARD_ALWAYS,
	GUARD_HELD,    /* true for `hold` and seen `min_samples` times */
	GUARD_DWELLED, /* the ladder has a next rung, and this one had its time */
	GUARD_CLEARED, /* false for `clear_for` */
	GUARD_COOLED,  /* `cooldown` has passed since the fire */
	GUARD_COUNT
};

enum emit { EMIT_NOTHING, EMIT_DUE, EMIT_COUNT };

struct row {
	enum sc_phase from;
	enum sc_fsm_input input;
	enum guard guard;
	enum sc_phase to;
	enum emit emit;
};

static const struct row table[];
static const size_t rows;

/* Time does not go backwards; a caller whose clock did must not see 584 years pass. */
static bool has_passed(uint64_t now_ns, uint64_t since_ns, uint64_t span_ns)
{
	return now_ns >= since_ns && now_ns - since_ns >= span_ns;
}

static bool guard_holds(enum guard guard, const struct sc_pair *p,
			const struct sc_condition_spec *spec, uint64_t now_ns)
{
	switch (guard) {
	case GUARD_ALWAYS:
		return true;
	case GUARD_HELD:
		return p->samples >= spec->min_samples &&
		       has_passed(now_ns, p->since_ns, spec->hold_ns);
	case GUARD_DWELLED:
		return p->rung + 1u < spec->rungs &&
		       has_passed(now_ns, p->fired_ns, spec->rung[p->rung].dwell_ns);
	case GUARD_CLEARED:
		return p->clearing && has_passed(now_ns, p->clear_ns, spec->clear_for_ns);
	case GUARD_COOLED:
		return has_passed(now_ns, p->fired_ns, spec->cooldown_ns);
	case GUARD_COUNT:
		break;
	}
	SC_ASSERT(!"guard out of range");
}

/* What an input adds to the pair's memory, before the rows are asked. */
static void remember(struct sc_pair *p, enum sc_fsm_input input, uint64_t now_ns)
{
	switch (input) {
	case SC_FSM_TRUE:
		p->samples += p->phase == SC_PHASE_RISING && p->samples < UINT32_MAX;
		p->clearing = 0;
		return;
	case SC_FSM_FALSE:
		if (!p->clearing)
			p->clear_ns = now_ns;
		p->clearing = 1;
		return;
	case SC_FSM_UNKNOWN: /* never looks healthy: what cleared so far does not count */
		p->clearing = 0;
		return;
	case SC_FSM_FIRE:
		p->fired_ns = now_ns;
		return;
	case SC_FSM_SETTLE:
	case SC_FSM_INPUT_COUNT:
		return;
	}
}

static void enter(struct sc_pair *p, enum sc_phase to, enum sc_fsm_input input, uint64_t now_ns)
{
	if (to == p->phase)
		return;
	p->since_ns = now_ns;
	p->phase = (uint8_t)to;
	if (to == SC_PHASE_CLEAR || to == SC_PHASE_RISING) {
		p->samples = input == SC_FSM_TRUE && to == SC_PHASE_RISING;
		p->veto = 0;
		p->clearing = 0;
		p->rung = 0;
	}
}

static const struct row *find_row(const struct sc_pair *p, const struct sc_condition_spec *spec,
				  enum sc_fsm_input input, uint64_t now_ns)
{
	for (size_t i = 0; i < rows; i++)
		if (table[i].from == p->phase && table[i].input == input &&
		    guard_holds(table[i].guard, p, spec, now_ns))
			return &table[i];
	return NULL;
}

bool sc_fsm_step(struct sc_pair *pair, const struct sc_condition_spec *spec,
		 enum sc_fsm_input input, uint64_t now_ns)
{
	bool due = false;
	bool moved = true;

	remember(pair, input, now_ns);
	/* A condition without hold goes from clear to due in one tick: a truth is put to the new
	 * phase too. No truth leads back to a phase that it left, so each phase is entered once at
	 * most. */
	for (unsigned int n = 0; moved && n < SC_PHASE_COUNT; n++) {
		const struct row *row = find_row(pair, spec, input, now_ns);

		moved = row && row->to != pair->phase && input <= SC_FSM_UNKNOWN;
		if (row) {
			due = row->emit == EMIT_DUE;
			enter(pair, row->to, input, now_ns);
		}
	}
	return due;
}

const char *sc_phase_name(enum sc_phase phase)
{
	static const char *const names[] = {
		[SC_PHASE_CLEAR] = "clear",       [SC_PHASE_RISING] = "rising",
		[SC_PHASE_FIRED] = "fired",       [SC_PHASE_LATCHED] = "latched",
		[SC_PHASE_COOLDOWN] = "cooldown",
	};

	static_assert(SC_ARRAY_SIZE(names) == SC_PHASE_COUNT, "one name each");
	SC_ASSERT(phase < SC_PHASE_COUNT);
	return names[phase];
}

void sc_fsm_print_diagram(struct sc_str *out)
{
	static const char *const inputs[] = {
		[SC_FSM_FALSE] = "false",          [SC_FSM_TRUE] = "true",
		[SC_FSM_UNKNOWN] = "unknown",      [SC_FSM_FIRE] = "fire recorded",
		[SC_FSM_SETTLE] = "outcome known",
	};
	static const char *const guards[] = {
		[GUARD_ALWAYS] = "",
		[GUARD_HELD] = " [held, enough samples]",
		[GUARD_DWELLED] = " [rung over]",
		[GUARD_CLEARED] = " [false for clear_for]",
		[GUARD_COOLED] = " [cooldown over]",
	};

	static_assert(SC_ARRAY_SIZE(inputs) == SC_FSM_INPUT_COUNT, "one name each");
	static_assert(SC_ARRAY_SIZE(guards) == GUARD_COUNT, "one name each");
	sc_str_add(out, "stateDiagram-v2\n\t[*] --> clear\n");
	for (size_t i = 0; i < rows; i++)
		sc_str_addf(out, "\t%s --> %s: %s%s%s\n", sc_phase_name(table[i].from),
			    sc_phase_name(table[i].to), inputs[table[i].input],
			    guards[table[i].guard], table[i].emit == EMIT_DUE ? " / due" : "");
}

/* clang-format off */
static const struct row table[] = {
	/* from		     input	     guard	    to		       emit */
	{SC_PHASE_CLEAR,    SC_FSM_TRUE,    GUARD_ALWAYS,  SC_PHASE_RISING,   EMIT_NOTHING},
	{SC_PHASE_CLEAR,    SC_FSM_FIRE,    GUARD_ALWAYS,  SC_PHASE_FIRED,    EMIT_NOTHING}, /* by hand */
	{SC_PHASE_RISING,   SC_FSM_TRUE,    GUARD_HELD,    SC_PHASE_RISING,   EMIT_DUE},
	{SC_PHASE_RISING,   SC_FSM_FALSE,   GUARD_ALWAYS,  SC_PHASE_CLEAR,    EMIT_NOTHING},
	{SC_PHASE_RISING,   SC_FSM_UNKNOWN, GUARD_ALWAYS,  SC_PHASE_CLEAR,    EMIT_NOTHING},
	{SC_PHASE_RISING,   SC_FSM_FIRE,    GUARD_ALWAYS,  SC_PHASE_FIRED,    EMIT_NOTHING},
	{SC_PHASE_FIRED,    SC_FSM_FIRE,    GUARD_ALWAYS,  SC_PHASE_FIRED,    EMIT_NOTHING}, /* by hand, again */
	{SC_PHASE_FIRED,    SC_FSM_SETTLE,  GUARD_ALWAYS,  SC_PHASE_LATCHED,  EMIT_NOTHING},
	{SC_PHASE_LATCHED,  SC_FSM_TRUE,    GUARD_DWELLED, SC_PHASE_LATCHED,  EMIT_DUE},
	{SC_PHASE_LATCHED,  SC_FSM_FIRE,    GUARD_ALWAYS,  SC_PHASE_FIRED,    EMIT_NOTHING},
	{SC_PHASE_LATCHED,  SC_FSM_FALSE,   GUARD_CLEARED, SC_PHASE_COOLDOWN, EMIT_NOTHING},
	{SC_PHASE_COOLDOWN, SC_FSM_TRUE,    GUARD_COOLED,  SC_PHASE_CLEAR,    EMIT_NOTHING},
	{SC_PHASE_COOLDOWN, SC_FSM_FALSE,   GUARD_COOLED,  SC_PHASE_CLEAR,    EMIT_NOTHING},
	{SC_PHASE_COOLDOWN, SC_FSM_UNKNOWN, GUARD_COOLED,  SC_PHASE_CLEAR,    EMIT_NOTHING},
	{SC_PHASE_COOLDOWN, SC_FSM_FIRE,    GUARD_ALWAYS,  SC_PHASE_FIRED,    EMIT_NOTHING}, /* by hand */
};
/* clang-format on */
static const size_t rows = SC_ARRAY_SIZE(table);
