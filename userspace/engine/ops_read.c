/* SPDX-License-Identifier: Apache-2.0 */
/* The operations that only read: conditions, fires, signals, and why. */
#include "engine/notify.h"
#include "engine/ops.h"
#include "engine/probes.h"

#include "record/fold.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Targets explained by one `why` that names none: enough to read, and bounded. */
#define WHY_TARGETS_MAX 32

const char *sc_op_armed(const struct sc_engine *e, size_t condition)
{
	const struct sc_condition *c = sc_conditions_get(e->set, condition);

	if (c->live && e->meta[condition].why_not[0])
		return "cannot fire";
	if (!c->spec->when)
		return c->spec->auto_fire ? "not armed" : "manual-only";
	if (!c->spec->auto_fire)
		return "manual-only";
	return c->live ? "armed" : "dry-run";
}

/* How it would be done here, where that depends on the host. */
static void add_mechanism(struct sc_op_call *call, const struct sc_condition_spec *spec)
{
	char why[SC_READONLY_TEXT_MAX];
	enum sc_readonly_way way;

	if (spec->action.kind != SC_ACTION_READONLY)
		return;
	way = sc_readonly_way(call->e, &call->e->config, why, sizeof(why));
	sc_json_member_text(&call->json, "mechanism", sc_readonly_way_name(way));
	sc_json_member_text(&call->json, "mechanism_note", why[0] ? why : NULL);
}

/*
 * The spec's own JSON, opened up so that what is known at run time can follow in the same object.
 * `live` is what holds now; what the file or the registration said is `declared_live`.
 */
static void add_condition(struct sc_op_call *call, size_t i)
{
	struct sc_engine *e = call->e;
	const struct sc_condition *c = sc_conditions_get(e->set, i);
	struct sc_condition_stats stats = sc_conditions_stats(e->set, i);
	struct sc_condition_spec shown = *c->spec; /* borrows its texts */
	_cleanup_str_ struct sc_str spec;
	struct sc_json *j = &call->json;
	char source[1200];

	sc_str_init_heap(&spec);
	shown.live = c->live;
	sc_condition_spec_json(&shown, &spec);
	if (spec.len < 2)
		return;
	spec.data[--spec.len] = '\0'; /* its closing brace */
	sc_json_object_begin(j);
	sc_json_raw(j, spec.data + 1);
	if (c->spec->file)
		snprintf(source, sizeof(source), "%s:%u", c->spec->file, c->spec->line);
	if (!shown.description) /* always there in a view, as in the original service */
		sc_json_member_text(j, "description", NULL);
	if (!shown.registered_by)
		sc_json_member_text(j, "registered_by", NULL);
	sc_json_member_bool(j, "declared_live", c->spec->live);
	sc_json_member_bool(j, "has_predicate", c->spec->when != NULL);
	sc_json_member_text(j, "origin", sc_origin_name(c->origin));
	sc_json_member_text(j, "source", c->spec->file ? source : "run time");
	sc_json_member_text(j, "armed", sc_op_armed(e, i));
	sc_json_member_text(j, "why_not", e->meta[i].why_not[0] ? e->meta[i].why_not : NULL);
	add_mechanism(call, c->spec);
	sc_json_member_u64(j, "targets", stats.targets);
	sc_json_member_u64(j, "true_now", stats.targets_true);
	sc_json_member_u64(j, "unknown", stats.targets_unknown);
	sc_json_member_u64(j, "eval_us", e->meta[i].eval_ns / SC_NS_PER_US);
	sc_json_member_u64(j, "eval_max_us", e->meta[i].eval_max_ns / SC_NS_PER_US);
	sc_json_object_end(j);
}

void sc_op_list(struct sc_op_call *call)
{
	sc_json_key(&call->json, "conditions");
	sc_json_array_begin(&call->json);
	for (size_t i = 0; i < sc_conditions_count(call->e->set); i++)
		add_condition(call, i);
	sc_json_array_end(&call->json);
}

void sc_op_fires(struct sc_op_call *call)
{
	const json_t *given = json_object_get(call->args, "limit");
	json_int_t limit = json_is_integer(given) ? json_integer_value(given)
						  : SC_FIRES_LIMIT_DEFAULT;

	limit = SC_MAX(limit, (json_int_t)1);
	limit = SC_MIN(limit, (json_int_t)SC_FIRES_LIMIT_MAX);
	sc_json_key(&call->json, "fires");
	sc_json_array_begin(&call->json);
	for (unsigned int i = 0; i < (unsigned int)limit; i++) {
		const struct sc_fire *fire = sc_fold_fire_at(call->e->fold, i);

		if (!fire)
			break;
		sc_fire_json(&call->json, fire, SC_FIRE_FULL);
	}
	sc_json_array_end(&call->json);
}

static void add_left(struct sc_op_call *call, const char *fire_id)
{
	struct sc_active *a = sc_fires_find(call->e, fire_id);

	sc_json_key(&call->json, "left");
	sc_json_array_begin(&call->json);
	for (uint32_t i = 0; a && i < a->run.left_described; i++) {
		const struct sc_member *m = &a->run.left_members[i];
		char state[2] = {m->state, '\0'};

		sc_json_object_begin(&call->json);
		sc_json_member_i64(&call->json, "pid", m->pid);
		sc_json_member_text(&call->json, "state", state);
		sc_json_member_text(&call->json, "comm", m->comm);
		sc_json_member_text(&call->json, "wchan", m->wchan);
		sc_json_object_end(&call->json);
	}
	sc_json_array_end(&call->json);
}

void sc_op_show(struct sc_op_call *call)
{
	const char *id = sc_op_need(call, "fire", "the id of a fire, or its first 8 characters");
	const struct sc_fire *fire;
	bool ambiguous = false;

	if (!id)
		return;
	fire = strlen(id) >= 4 ? sc_fold_fire_find(call->e->fold, id, &ambiguous) : NULL;
	if (!fire) {
		sc_op_fail(call, SC_EXIT_FAILED, "%s: %s; `scram fires` lists them",
			   ambiguous ? "more than one fire begins so" : "no such fire", id);
		return;
	}
	sc_json_key(&call->json, "fire");
	sc_fire_json(&call->json, fire, SC_FIRE_FULL);
	add_left(call, fire->id);
	sc_notifiers_add_told(call->e, fire, &call->json);
}

static void add_signals(struct sc_op_call *call, uint32_t slot, bool all)
{
	static const enum sc_signal main_signals[] = {
		SC_SIG_proc_alive,   SC_SIG_proc_forks,   SC_SIG_proc_crashes, SC_SIG_proc_failures,
		SC_SIG_proc_zombies, SC_SIG_cpu_usage_us, SC_SIG_tcp_connects,
	};
	struct sc_engine *e = call->e;
	const struct sc_target *t = sc_targets_get(e->targets, slot);
	size_t n = all ? SC_SIGNAL_COUNT : SC_ARRAY_SIZE(main_signals);
	struct sc_json *j = &call->json;

	sc_json_object_begin(j);
	sc_json_member_text(j, "path", t->path);
	sc_json_member_u64(j, "cgroup_id", t->cgroup_id);
	sc_json_key(j, "signals");
	sc_json_object_begin(j);
	for (size_t i = 0; i < n; i++) {
		enum sc_signal s = all ? (enum sc_signal)i : main_signals[i];

		sc_json_member_double(j, sc_signal_info(s)->name,
				      sc_source_value(&e->source, &e->now, slot, s));
	}
	sc_json_object_end(j);
	sc_json_object_end(j);
}

/* The slot of the member `target`; SC_SLOT_NONE with a failed call when it names no target. */
static uint32_t named_target(struct sc_op_call *call, const char *path)
{
	uint32_t slot = sc_engine_find_target(call->e, path);

	if (slot == SC_SLOT_NONE)
		sc_op_fail(
			call, SC_EXIT_FAILED,
			"no such cgroup below the supervised root: %s; `scram signals` lists them",
			path);
	return slot;
}

/* At most limit targets from that slot on. Returns the slot of the next; SC_SLOT_NONE = none. */
static uint32_t add_page(struct sc_op_call *call, uint32_t from, uint64_t limit)
{
	const struct sc_targets *targets = call->e->targets;

	for (uint32_t s = from; s < sc_targets_end(targets); s++) {
		if (!sc_targets_get(targets, s))
			continue;
		if (limit == 0)
			return s;
		add_signals(call, s, false);
		limit--;
	}
	return SC_SLOT_NONE;
}

/* A number that is not there is 0; one that is none fails the call. */
static uint64_t number(struct sc_op_call *call, const char *key)
{
	const json_t *value = json_object_get(call->args, key);
	json_int_t n = json_integer_value(value);

	if (!value || json_is_null(value))
		return 0;
	if (!json_is_integer(value) || n < 0 || n > UINT32_MAX)
		sc_op_fail(call, SC_EXIT_USAGE, "%s must be a number", key);
	return (uint64_t)n;
}

/* Of one `target`; else of all, or `limit` of them: `next` is the `from` of those that follow. */
void sc_op_signals(struct sc_op_call *call)
{
	struct sc_engine *e = call->e;
	const char *path = sc_op_text(call, "target");
	uint64_t limit = number(call, "limit"), from = number(call, "from");
	uint32_t slot = SC_SLOT_NONE, next = SC_SLOT_NONE;

	if (path)
		slot = named_target(call, path);
	if (call->exit != SC_EXIT_DONE)
		return;
	e->now = sc_time_now();
	sc_engine_fill_source(e);
	sc_json_key(&call->json, "targets");
	sc_json_array_begin(&call->json);
	if (path)
		add_signals(call, slot, true);
	else
		next = add_page(call, (uint32_t)from, limit ? limit : UINT64_MAX);
	sc_json_array_end(&call->json);
	sc_json_key(&call->json, "next");
	if (next == SC_SLOT_NONE)
		sc_json_null(&call->json);
	else
		sc_json_u64(&call->json, next);
}

static void add_operands(struct sc_op_call *call, const struct sc_condition *c, uint32_t slot)
{
	struct sc_operand operands[SC_PREDICATE_OPERANDS_MAX];
	struct sc_json *j = &call->json;
	size_t n = 0;

	if (c->predicate)
		n = sc_predicate_operands((struct sc_predicate *)c->predicate, call->e->plan, slot,
					  operands, SC_PREDICATE_OPERANDS_MAX);
	n = SC_MIN(n, (size_t)SC_PREDICATE_OPERANDS_MAX);
	sc_json_key(j, "operands");
	sc_json_array_begin(j);
	for (size_t i = 0; i < n; i++)
		sc_operand_json(j, &operands[i]);
	sc_json_array_end(j);
}

static void add_interlocks(struct sc_op_call *call, size_t condition, uint32_t slot)
{
	const struct sc_condition *c = sc_conditions_get(call->e->set, condition);
	struct sc_fire_request rq = {
		.condition = (uint32_t)condition,
		.slot = slot,
		/* What never fires by itself is asked as a person's fire would be. */
		.asker = c->predicate && c->spec->auto_fire ? SC_ASKER_AUTO : SC_ASKER_MANUAL,
	};
	struct sc_interlock_facts facts;
	struct sc_verdict verdict;
	char buf[SC_INTERLOCK_TEXT_MAX];
	struct sc_json *j = &call->json;

	sc_engine_fill_facts(call->e, &rq, &facts, buf, sizeof(buf));
	sc_interlocks_ask(&facts, &verdict);
	sc_json_key(j, "interlocks");
	sc_json_array_begin(j);
	for (int i = 0; i < SC_INTERLOCK_COUNT; i++) {
		if (!verdict.reason[i].asked)
			continue;
		sc_json_object_begin(j);
		sc_json_member_text(j, "name", sc_interlock_name((enum sc_interlock_id)i));
		sc_json_member_bool(j, "veto", verdict.reason[i].answer != SC_ANSWER_PASS);
		sc_json_member_text(j, "text", verdict.reason[i].text);
		sc_json_object_end(j);
	}
	sc_json_array_end(j);
}

static void explain(struct sc_op_call *call, size_t condition, uint32_t slot)
{
	struct sc_engine *e = call->e;
	const struct sc_condition *c = sc_conditions_get(e->set, condition);
	struct sc_pair_view pair = sc_conditions_pair(e->set, condition, slot);
	enum sc_truth truth = sc_engine_judge_now(e, (uint32_t)condition, slot);
	uint64_t held = pair.phase == SC_PHASE_RISING ? e->now.mono_ns - pair.since_ns : 0;
	struct sc_json *j = &call->json;

	sc_json_object_begin(j);
	sc_json_member_text(j, "path", sc_targets_get(e->targets, slot)->path);
	sc_json_member_text(j, "truth", sc_truth_name(truth));
	sc_json_member_text(j, "state", sc_phase_name(pair.phase));
	sc_json_member_double(j, "held_s", (double)held / 1e9);
	add_operands(call, c, slot);
	add_interlocks(call, condition, slot);
	sc_json_member_double(j, "eval_us", (double)e->meta[condition].eval_ns / 1e3);
	sc_json_object_end(j);
}

/* Where a fire of it by itself would act: in its scope, on its one target, or for the host. */
static bool is_judged_on(const struct sc_engine *e, const struct sc_condition *c, uint32_t slot)
{
	if (c->scope < 0)
		return slot == e->ports->kernel.root_slot;
	return sc_scope_has(sc_plan_scopes(e->plan), (uint32_t)c->scope, slot);
}

static void explain_all(struct sc_op_call *call, size_t condition)
{
	struct sc_engine *e = call->e;
	const struct sc_condition *c = sc_conditions_get(e->set, condition);
	uint32_t told = 0;

	for (uint32_t s = 0; s < sc_targets_end(e->targets) && told < WHY_TARGETS_MAX; s++) {
		if (!sc_targets_get(e->targets, s) || !is_judged_on(e, c, s))
			continue;
		explain(call, condition, s);
		told++;
	}
}

void sc_op_why(struct sc_op_call *call)
{
	struct sc_engine *e = call->e;
	int condition = sc_op_condition(call, "condition");
	const char *path = sc_op_text(call, "target");
	const struct sc_condition *c;
	uint32_t slot = SC_SLOT_NONE;
	_cleanup_str_ struct sc_str words;

	sc_str_init_heap(&words);
	if (path && call->exit == SC_EXIT_DONE)
		slot = named_target(call, path);
	if (call->exit != SC_EXIT_DONE)
		return;
	c = sc_conditions_get(e->set, (size_t)condition);
	if (c->predicate)
		sc_predicate_describe(c->predicate, &words);
	sc_json_member_text(&call->json, "condition", c->spec->id);
	sc_json_member_text(&call->json, "armed", sc_op_armed(e, (size_t)condition));
	sc_json_member_text(&call->json, "description_in_words", words.data);
	sc_probes_why_json(e, c->predicate, &call->json);
	sc_json_key(&call->json, "targets");
	sc_json_array_begin(&call->json);
	if (path)
		explain(call, (size_t)condition, slot);
	else
		explain_all(call, (size_t)condition);
	sc_json_array_end(&call->json);
}
