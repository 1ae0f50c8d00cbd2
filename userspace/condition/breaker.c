/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The circuit breaker of a component: one const table, below. The first row whose from, input and
 * guard fit is taken; without one nothing changes. Every state that waits has a row that time alone
 * takes, so none is for ever but those an operator ordered.
 */
#include "condition/breaker.h"

#include "base/str.h"

#include <assert.h>

enum guard {
	GUARD_ALWAYS,
	GUARD_RUN,      /* `failures` in a row */
	GUARD_ELAPSED,  /* the wait, or the half-open, is over */
	GUARD_FAILED,   /* something let through failed */
	GUARD_ENOUGH,   /* `successes` of what was let through */
	GUARD_ACCEPTED, /* over, nothing failed, and with what was accepted there are enough */
	GUARD_TRIED,    /* over, and what was let through came to nothing */
	GUARD_COUNT
};

#define BIT(state) (1u << (state))
#define HELD \
	(BIT(SC_BREAKER_FORCED_OPEN) | BIT(SC_BREAKER_FORCED_CLOSED) | BIT(SC_BREAKER_DISABLED))
#define CUTTING (BIT(SC_BREAKER_OPEN) | BIT(SC_BREAKER_HALF_OPEN))
#define ANY     (BIT(SC_BREAKER_STATE_COUNT) - 1)

struct row {
	unsigned int from; /* bits of states */
	enum sc_breaker_input input;
	enum guard guard;
	enum sc_breaker_state to;
	enum sc_breaker_reason reason;
};

/* What the guards look at, beside the breaker. */
struct facts {
	const struct sc_breaker_spec *spec;
	uint32_t longest; /* the run of failures that must have happened */
	bool has_failed;
	uint64_t now_ns;
};

static const struct row table[];
static const size_t rows;

static uint32_t clamp_u32(uint64_t n)
{
	return (uint32_t)SC_MIN(n, (uint64_t)UINT32_MAX);
}

static bool guard_holds(enum guard guard, const struct sc_breaker *b, const struct facts *f)
{
	bool is_over = f->now_ns >= b->until_ns;

	switch (guard) {
	case GUARD_ALWAYS:
		return true;
	case GUARD_RUN:
		return f->longest >= f->spec->failures;
	case GUARD_ELAPSED:
		return is_over;
	case GUARD_FAILED:
		return f->has_failed;
	case GUARD_ENOUGH:
		return b->successes >= f->spec->successes;
	case GUARD_ACCEPTED:
		return is_over && b->trial.accepts > 0 &&
		       b->successes + b->trial.accepts >= f->spec->successes;
	case GUARD_TRIED:
		return is_over && b->is_tried;
	case GUARD_COUNT:
		break;
	}
	SC_ASSERT(!"guard out of range");
}

static const struct row *find_row(const struct sc_breaker *b, enum sc_breaker_input input,
				  const struct facts *f)
{
	for (size_t i = 0; i < rows; i++)
		if ((table[i].from & BIT(b->state)) && table[i].input == input &&
		    guard_holds(table[i].guard, b, f))
			return &table[i];
	return NULL;
}

/* How long the open that begins now lasts. */
static uint64_t next_wait(const struct sc_breaker *b, const struct sc_breaker_spec *spec,
			  enum sc_breaker_reason reason)
{
	if (b->wait_ns == 0)
		return spec->open_ns;
	if (reason == SC_BREAKER_HALF_OPEN_FAILED && b->wait_ns <= spec->open_max_ns / 2)
		return b->wait_ns * 2;
	return reason == SC_BREAKER_HALF_OPEN_FAILED ? spec->open_max_ns
						     : SC_MIN(b->wait_ns, spec->open_max_ns);
}

static void enter(struct sc_breaker *b, const struct row *row, const struct facts *f)
{
	b->state = row->to;
	b->since_ns = f->now_ns;
	b->until_ns = 0;
	switch (row->to) {
	case SC_BREAKER_OPEN:
		b->wait_ns = next_wait(b, f->spec, row->reason);
		b->until_ns = f->now_ns + b->wait_ns;
		return;
	case SC_BREAKER_HALF_OPEN:
		b->until_ns = f->now_ns + f->spec->half_open_ns;
		b->attempt++;
		b->successes = 0;
		b->is_tried = false;
		b->trial = (struct sc_breaker_counts){0};
		b->told = (struct sc_breaker_look){0};
		return;
	case SC_BREAKER_CLOSED:
	case SC_BREAKER_FORCED_OPEN:
	case SC_BREAKER_FORCED_CLOSED:
	case SC_BREAKER_DISABLED:
		b->run = 0;
		b->is_of_connects = false;
		b->wait_ns = 0;
		return;
	case SC_BREAKER_STATE_COUNT:
		break;
	}
	SC_ASSERT(!"state out of range");
}

/*
 * Adds what was seen to the memory of the state. A run goes over the ticks; within a tick the order
 * of failures and successes is not known. s successes cut n failures into s + 1 runs, the longest
 * of which has at least n / (s + 1), rounded up: that much must have happened. What the last of
 * these runs had is open, and taken as nothing.
 */
static void remember(struct sc_breaker *b, const struct sc_breaker_look *look, struct facts *f)
{
	uint64_t n = (uint64_t)b->run + look->failures;
	uint64_t runs = (uint64_t)look->successes + 1;

	f->has_failed = look->failures > 0;
	switch (b->state) {
	case SC_BREAKER_CLOSED:
	case SC_BREAKER_FORCED_CLOSED:
		f->longest = clamp_u32((n + runs - 1) / runs);
		b->run = look->successes ? 0 : clamp_u32(n);
		b->is_of_connects = b->is_of_connects && b->run > 0;
		return;
	case SC_BREAKER_HALF_OPEN:
		b->successes = clamp_u32((uint64_t)b->successes + look->successes);
		b->is_tried = b->is_tried || look->tries || look->failures || look->successes;
		return;
	case SC_BREAKER_OPEN:
	case SC_BREAKER_FORCED_OPEN:
	case SC_BREAKER_DISABLED:
		return;
	case SC_BREAKER_STATE_COUNT:
		break;
	}
	SC_ASSERT(!"state out of range");
}

static bool should_act(const struct sc_breaker *b, const struct sc_breaker_spec *spec)
{
	if (b->order == SC_BREAKER_ORDER_NONE)
		return spec->live;
	return b->order != SC_BREAKER_ORDER_METRICS_ONLY;
}

/* Takes a row, which may be NULL, and tells of it. */
static void move(struct sc_breaker *b, const struct row *row, const struct facts *f,
		 struct sc_breaker_transition *out)
{
	*out = (struct sc_breaker_transition){
		.from = b->state,
		.reason = row ? row->reason : SC_BREAKER_OPERATOR,
		.at_ns = f->now_ns,
	};
	if (row)
		enter(b, row, f);
	out->to = b->state;
	out->retry_ns = b->until_ns;
}

bool sc_breaker_step(struct sc_breaker *b, const struct sc_breaker_spec *spec,
		     const struct sc_breaker_look *look, uint64_t now_ns,
		     struct sc_breaker_transition *out)
{
	struct facts f = {.spec = spec, .now_ns = now_ns};
	bool acted = b->acts;
	const struct row *row;

	b->acts = should_act(b, spec);
	row = b->acts && !acted ? find_row(b, SC_BREAKER_INPUT_LIVE, &f) : NULL;
	if (!row) {
		remember(b, look, &f);
		row = find_row(b, SC_BREAKER_INPUT_TICK, &f);
	}
	if (!row)
		return false;
	move(b, row, &f, out);
	out->is_dry_run = !b->acts;
	return true;
}

bool sc_breaker_order(struct sc_breaker *b, const struct sc_breaker_spec *spec,
		      enum sc_breaker_order order, uint64_t now_ns,
		      struct sc_breaker_transition *out)
{
	static const enum sc_breaker_input inputs[] = {
		[SC_BREAKER_ORDER_NONE] = SC_BREAKER_INPUT_TAKE_BACK,
		[SC_BREAKER_ORDER_FORCED_OPEN] = SC_BREAKER_INPUT_FORCE_OPEN,
		[SC_BREAKER_ORDER_FORCED_CLOSED] = SC_BREAKER_INPUT_FORCE_CLOSED,
		[SC_BREAKER_ORDER_DISABLED] = SC_BREAKER_INPUT_DISABLE,
		[SC_BREAKER_ORDER_METRICS_ONLY] = SC_BREAKER_INPUT_TAKE_BACK,
	};
	struct facts f = {.spec = spec, .now_ns = now_ns};
	bool acted = b->acts;
	const struct row *row;

	static_assert(SC_ARRAY_SIZE(inputs) == SC_BREAKER_ORDER_COUNT, "one input each");
	SC_ASSERT((unsigned int)order < SC_BREAKER_ORDER_COUNT);
	if (order == b->order)
		return false;
	b->order = order;
	b->acts = should_act(b, spec);
	row = find_row(b, inputs[order], &f);
	if (!row && b->acts && !acted)
		row = find_row(b, SC_BREAKER_INPUT_LIVE, &f);
	move(b, row, &f, out);
	out->is_dry_run = !acted && !b->acts;
	return true;
}

enum sc_cut_mode sc_breaker_cut(const struct sc_breaker *b, const struct sc_breaker_spec *spec)
{
	if (!b->acts)
		return SC_CUT_NONE;
	switch (b->state) {
	case SC_BREAKER_OPEN:
	case SC_BREAKER_FORCED_OPEN:
		return spec->mode;
	case SC_BREAKER_HALF_OPEN:
		return SC_CUT_TRY;
	case SC_BREAKER_CLOSED:
	case SC_BREAKER_FORCED_CLOSED:
	case SC_BREAKER_DISABLED:
		return SC_CUT_NONE;
	case SC_BREAKER_STATE_COUNT:
		break;
	}
	SC_ASSERT(!"state out of range");
}

/* Identifiers of mermaid have no hyphens. */
static void add_state(struct sc_str *out, enum sc_breaker_state state)
{
	for (const char *c = sc_breaker_state_name(state); *c; c++)
		sc_str_addf(out, "%c", *c == '-' ? '_' : *c);
}

static void print_row(struct sc_str *out, const struct row *row, enum sc_breaker_state from)
{
	static const char *const inputs[] = {
		[SC_BREAKER_INPUT_TICK] = "",
		[SC_BREAKER_INPUT_LIVE] = "made live",
		[SC_BREAKER_INPUT_FORCE_OPEN] = "order forced-open",
		[SC_BREAKER_INPUT_FORCE_CLOSED] = "order forced-closed",
		[SC_BREAKER_INPUT_DISABLE] = "order disabled",
		[SC_BREAKER_INPUT_TAKE_BACK] = "order taken back",
	};
	static const char *const guards[] = {
		[GUARD_ALWAYS] = "",
		[GUARD_RUN] = "failures in a row",
		[GUARD_ELAPSED] = "time over",
		[GUARD_FAILED] = "a failure",
		[GUARD_ENOUGH] = "enough successes",
		[GUARD_ACCEPTED] = "time over, enough with those accepted",
		[GUARD_TRIED] = "time over, tried in vain",
	};

	static_assert(SC_ARRAY_SIZE(inputs) == SC_BREAKER_INPUT_COUNT, "one name each");
	static_assert(SC_ARRAY_SIZE(guards) == GUARD_COUNT, "one name each");
	sc_str_add(out, "\t");
	add_state(out, from);
	sc_str_add(out, " --> ");
	add_state(out, row->to);
	sc_str_addf(out, ": %s%s / %s\n", inputs[row->input], guards[row->guard],
		    sc_breaker_reason_name(row->reason));
}

void sc_breaker_print_diagram(struct sc_str *out)
{
	sc_str_add(out, "stateDiagram-v2\n");
	for (unsigned int s = 0; s < SC_BREAKER_STATE_COUNT; s++) {
		sc_str_addf(out, "\tstate \"%s\" as ",
			    sc_breaker_state_name((enum sc_breaker_state)s));
		add_state(out, (enum sc_breaker_state)s);
		sc_str_add(out, "\n");
	}
	sc_str_add(out, "\t[*] --> closed\n");
	for (size_t i = 0; i < rows; i++)
		for (unsigned int s = 0; s < SC_BREAKER_STATE_COUNT; s++)
			if ((table[i].from & BIT(s)) && s != table[i].to)
				print_row(out, &table[i], (enum sc_breaker_state)s);
}

/* clang-format off */
static const struct row table[] = {
	/* from			    input			   guard	   to			     reason */
	{BIT(SC_BREAKER_CLOSED),    SC_BREAKER_INPUT_TICK,	   GUARD_RUN,	   SC_BREAKER_OPEN,	     SC_BREAKER_FAILURE_THRESHOLD},
	{BIT(SC_BREAKER_OPEN),	    SC_BREAKER_INPUT_TICK,	   GUARD_ELAPSED,  SC_BREAKER_HALF_OPEN,     SC_BREAKER_COOLDOWN_ELAPSED},
	{BIT(SC_BREAKER_HALF_OPEN), SC_BREAKER_INPUT_TICK,	   GUARD_FAILED,   SC_BREAKER_OPEN,	     SC_BREAKER_HALF_OPEN_FAILED},
	{BIT(SC_BREAKER_HALF_OPEN), SC_BREAKER_INPUT_TICK,	   GUARD_ENOUGH,   SC_BREAKER_CLOSED,	     SC_BREAKER_RECOVERED},
	{BIT(SC_BREAKER_HALF_OPEN), SC_BREAKER_INPUT_TICK,	   GUARD_ACCEPTED, SC_BREAKER_CLOSED,	     SC_BREAKER_RECOVERED},
	{BIT(SC_BREAKER_HALF_OPEN), SC_BREAKER_INPUT_TICK,	   GUARD_TRIED,	   SC_BREAKER_OPEN,	     SC_BREAKER_HALF_OPEN_FAILED},
	{BIT(SC_BREAKER_HALF_OPEN), SC_BREAKER_INPUT_TICK,	   GUARD_ELAPSED,  SC_BREAKER_OPEN,	     SC_BREAKER_HALF_OPEN_UNTRIED},
	{CUTTING,		    SC_BREAKER_INPUT_LIVE,	   GUARD_ALWAYS,   SC_BREAKER_CLOSED,	     SC_BREAKER_OPERATOR},
	{ANY,			    SC_BREAKER_INPUT_FORCE_OPEN,   GUARD_ALWAYS,   SC_BREAKER_FORCED_OPEN,   SC_BREAKER_OPERATOR},
	{ANY,			    SC_BREAKER_INPUT_FORCE_CLOSED, GUARD_ALWAYS,   SC_BREAKER_FORCED_CLOSED, SC_BREAKER_OPERATOR},
	{ANY,			    SC_BREAKER_INPUT_DISABLE,	   GUARD_ALWAYS,   SC_BREAKER_DISABLED,	     SC_BREAKER_OPERATOR},
	{HELD,			    SC_BREAKER_INPUT_TAKE_BACK,	   GUARD_ALWAYS,   SC_BREAKER_CLOSED,	     SC_BREAKER_OPERATOR},
};
/* clang-format on */
static const size_t rows = SC_ARRAY_SIZE(table);
