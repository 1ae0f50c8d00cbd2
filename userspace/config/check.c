/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong between the parts of a configuration, once all its files have been read. */
#include "config/load.h"

#include <scram/predicate.h>
#include <scram/snapshot.h>

#include <errno.h>
#include <string.h>

/* The breaker cuts in the name of a condition, whose id is made of it. */
#define NAME_MAX_WITH_BREAKER (SC_CONDITION_ID_MAX - strlen(SC_BREAKER_PREFIX))

struct checker {
	struct sc_load *load;
	struct sc_reader reader;
	const struct sc_document *document;
	struct sc_predicate_env env;
};

static void plan_done(struct sc_plan **plan)
{
	sc_plan_free(plan);
}

static const struct sc_value *place(const struct sc_value *condition, const char *key)
{
	const struct sc_value *at = sc_value_find(condition, key);

	return at ? at : condition;
}

static void check_names(struct checker *c, const struct sc_condition_spec *spec,
			const struct sc_value *v)
{
	const struct sc_action_spec *a = &spec->action;
	const struct sc_config *config = &c->load->config;

	if (a->kind == SC_ACTION_QUARANTINE && !a->tenant_id && !spec->scope)
		sc_fault(&c->reader, place(v, "action"),
			 "tenant-quarantine without tenant_id; name the tenant, or add a scope");
	if (a->kind == SC_ACTION_CIRCUIT_BREAK && !a->component && !spec->scope)
		sc_fault(&c->reader, place(v, "action"),
			 "circuit-break-component without component; name the component, or add a "
			 "scope");
	if (a->kind == SC_ACTION_ROLLBACK && !a->checkpoint_id)
		sc_fault(&c->reader, place(v, "action"),
			 "rollback-to-checkpoint without checkpoint_id; name the checkpoint");
	if (a->tenant_id && !sc_config_tenant(config, a->tenant_id))
		sc_fault(&c->reader, place(v, "action.config.tenant_id"),
			 "tenant %s is not declared; add it under tenants", a->tenant_id);
	if (a->component && !sc_config_component(config, a->component))
		sc_fault(&c->reader, place(v, "action.config.component"),
			 "component %s is not declared; add it under components", a->component);
}

/* An automatic fire needs something to judge and something to act on. */
static void check_can_fire(struct checker *c, const struct sc_condition_spec *spec,
			   const struct sc_value *v)
{
	enum sc_action_kind kind = spec->action.kind;
	bool is_on_cgroup = kind == SC_ACTION_PROCESS_EXIT || kind == SC_ACTION_FREEZE ||
			    kind == SC_ACTION_REFUSE_NEW || kind == SC_ACTION_ROLLBACK;

	if (!spec->auto_fire)
		return;
	if (!spec->when)
		sc_fault(&c->reader, place(v, "auto_fire"),
			 "auto_fire without when; say when, or remove auto_fire");
	else if (is_on_cgroup && !spec->scope && !spec->action.target)
		sc_fault(&c->reader, place(v, "action"),
			 "auto_fire of %s on nothing; add a scope, or action.config.target",
			 sc_action_kind_name(kind));
}

static void check_twice(struct checker *c, size_t i, const struct sc_value *v)
{
	const struct sc_condition_spec *specs = c->load->config.conditions;

	for (size_t k = 0; k < i; k++) {
		if (!specs[k].id || strcmp(specs[k].id, specs[i].id) != 0)
			continue;
		sc_fault(&c->reader, place(v, "id"),
			 "condition %.64s is defined twice, also in %s:%u; %s", specs[i].id,
			 specs[k].file ? specs[k].file : "this text", specs[k].line,
			 "ids are unique");
		return;
	}
}

/* Offset in text of a place that the compiler counted from line 1, column 1. */
static size_t text_offset(const char *text, const struct sc_diag *diag)
{
	size_t at = 0;

	for (unsigned int line = 1; line < diag->line && text[at]; at++)
		line += text[at] == '\n';
	return SC_MIN(at + (diag->column ? diag->column - 1 : 0), strlen(text));
}

/* Compiles the text of a scalar, faults at their place in the file; NULL when there was one. */
static struct sc_predicate *compile(struct checker *c, const char *text,
				    const struct sc_value *scalar)
{
	const struct sc_document *d = c->document;
	struct sc_predicate *predicate = NULL;
	struct sc_diag diag = {.text = "out of memory"};
	int err = sc_predicate_compile(&predicate, text, &c->env, &diag);

	if (!err)
		return predicate;
	if (err == -EINVAL)
		sc_place_of(d->text,
			    sc_scalar_offset(scalar, d->text, d->n, text_offset(text, &diag)),
			    &diag.line, &diag.column);
	sc_fault_at(&c->reader, err, &diag);
	return NULL;
}

static void check_predicate(struct checker *c, struct sc_condition_spec *spec,
			    const struct sc_value *v)
{
	_cleanup_predicate_ struct sc_predicate *predicate = NULL;
	const struct sc_document *d = c->document;
	const struct sc_value *when = sc_value_find(v, "when");

	if (!spec->when || !when || !spec->when[strspn(spec->when, " \t\r\n")])
		return;
	sc_place_of(d->text, sc_scalar_offset(when, d->text, d->n, 0), &spec->when_line,
		    &spec->when_column);
	predicate = compile(c, spec->when, when);
}

/* What tells a breaker of a failure or a success is judged once, for the host: a bare signal in it
 * would be that of all cgroups together. */
static void check_evidence(struct checker *c, const struct sc_value *breaker, const char *key,
			   const char *text)
{
	_cleanup_predicate_ struct sc_predicate *predicate = NULL;
	const struct sc_value *v = sc_value_find(breaker, key);

	if (!text || !v)
		return;
	if (!text[strspn(text, " \t\r\n")]) {
		sc_fault(&c->reader, v, "%s is empty; leave it out to go by the counters", key);
		return;
	}
	predicate = compile(c, text, v);
	if (predicate && sc_predicate_is_per_target(predicate))
		sc_fault(&c->reader, v,
			 "%s speaks of no cgroup; name the component's, such as "
			 "any(\"/workload/web*\", ...)",
			 key);
}

static void check_breakers(struct checker *c)
{
	const struct sc_value *list = sc_value_find(&c->document->root, "components");

	for (size_t i = 0; list && list->kind == SC_VALUE_MAP && i + 1 < list->n; i += 2) {
		const struct sc_value *breaker = sc_value_find(&list->item[i + 1], "breaker");
		const struct sc_component *component = sc_config_component(&c->load->config,
									   list->item[i].text);

		if (!breaker || !component)
			continue;
		if (strlen(component->name) > NAME_MAX_WITH_BREAKER)
			sc_fault(&c->reader, &list->item[i],
				 "the name has %zu characters; of a component with a breaker %zu "
				 "are allowed",
				 strlen(component->name), NAME_MAX_WITH_BREAKER);
		check_evidence(c, breaker, "failure", component->failure);
		check_evidence(c, breaker, "success", component->success);
	}
}

static void check_document(struct checker *c, size_t end)
{
	struct sc_config *config = &c->load->config;
	const struct sc_value *list = sc_value_find(&c->document->root, "conditions");

	for (size_t i = c->document->first_condition; i < end && list; i++) {
		const struct sc_value *v = &list->item[i - c->document->first_condition];
		struct sc_condition_spec *spec = &config->conditions[i];

		if (!spec->id)
			continue; /* said already */
		check_twice(c, i, v);
		check_names(c, spec, v);
		check_can_fire(c, spec, v);
		check_predicate(c, spec, v);
	}
}

void sc_load_check(struct sc_load *load)
{
	_cleanup_(plan_done) struct sc_plan *plan = sc_plan_new(NULL);
	const char *probes[SC_CONFIG_NAMES_MAX];
	struct checker c = {.load = load, .reader = {.faults = load->faults, .err = load->err}};

	for (size_t i = 0; i < load->config.probe_count; i++)
		probes[i] = load->config.probes[i].name;
	c.env = (struct sc_predicate_env){
		.plan = plan, .probes = probes, .probes_n = load->config.probe_count};
	for (size_t i = 0; plan && i < load->documents; i++) {
		bool is_last = i + 1 == load->documents;

		c.document = &load->document[i];
		c.reader.file = c.document->name;
		check_breakers(&c);
		check_document(&c, is_last ? load->config.condition_count
					   : c.document[1].first_condition);
	}
	load->err = plan ? c.reader.err : -ENOMEM;
}
