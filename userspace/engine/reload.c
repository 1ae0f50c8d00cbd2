/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From files and run-time registrations to a running set: compiled beside the one that runs, then
 * swapped. A fault anywhere leaves the running set as it is.
 */
#include "engine/components.h"
#include "engine/listing.h"
#include "engine/notify.h"
#include "engine/probe_set.h"
#include "engine/probes.h"
#include "engine/workers.h"

#include "base/json.h"
#include "base/log.h"
#include "record/fold.h"

#include <string.h>

/* Globs of conditions and predicates; those of groups come on top. */
#define SCOPES_MAX 256

static const char *feature_reason(const struct sc_engine *e, enum sc_feature feature)
{
	for (size_t i = 0; i < e->ports->n_features; i++)
		if (strcmp(e->ports->features[i].name, sc_feature_name(feature)) == 0)
			return e->ports->features[i].reason;
	return "not built yet";
}

static bool is_on_cgroup(enum sc_action_kind kind)
{
	return kind == SC_ACTION_PROCESS_EXIT || kind == SC_ACTION_FREEZE ||
	       kind == SC_ACTION_ROLLBACK || kind == SC_ACTION_REFUSE_NEW;
}

static bool can_probe(const struct sc_engine *e)
{
	const struct sc_process_port *port = &e->ports->processes;
	const char *program = sc_worker_rows[SC_WORKER_PROBE].program;

	return port->start && (!port->has_program || port->has_program(port->ctx, program));
}

/* Why the condition could not fire here, if it was due; "" = it could. */
static void judge_arming(const struct sc_engine *e, const struct sc_config *config,
			 const struct sc_condition *c, char *why, size_t size)
{
	enum sc_action_kind kind = c->spec->rungs ? c->spec->rung[c->spec->rungs - 1].kind
						  : c->spec->action.kind;
	struct sc_signal_set used;
	uint32_t missing;

	why[0] = '\0';
	if (!sc_action_ops_of(kind)->is_available) {
		snprintf(why, size, "%s is not available on this host: %s",
			 sc_action_kind_name(kind), sc_action_ops_of(kind)->text);
		return;
	}
	if (sc_action_kind_cuts(kind) && e->traffic_why[0]) {
		snprintf(why, size, "not available on this host: %.150s", e->traffic_why);
		return;
	}
	if (kind == SC_ACTION_READONLY) {
		char text[SC_READONLY_TEXT_MAX];

		if (sc_readonly_way(e, config, text, sizeof(text)) == SC_READONLY_NO_WAY) {
			snprintf(why, size, "not available on this host: %.150s", text);
			return;
		}
	}
	if (!c->predicate)
		return;
	/* Judged on the whole supervised tree, which no automatic fire may mean. */
	if (c->evaluated && c->scope < 0 && is_on_cgroup(kind)) {
		snprintf(why, size, "it names no cgroup to act on; give it a scope or a target");
		return;
	}
	if (sc_predicate_has_probe(c->predicate) && !can_probe(e)) {
		snprintf(why, size, "it asks a probe, and scram-probe is missing beside the agent");
		return;
	}
	used = sc_predicate_signals(c->predicate);
	missing = sc_signal_set_features(&used) &
		  ~(e->ports->kernel.features | SC_FEATURE_BIT(SC_FEATURE_AGENT));
	for (int f = 0; f < SC_FEATURE_COUNT; f++) {
		if (!(missing & SC_FEATURE_BIT(f)))
			continue;
		snprintf(why, size, "the signals of %s are unknown on this host: %s",
			 sc_feature_name((enum sc_feature)f),
			 feature_reason(e, (enum sc_feature)f));
		return;
	}
}

/* A live condition that rests on signals this kernel lacks is refused, unless the file allows it.
 */
static int refuse_blind(const struct sc_engine *e, const struct sc_config *config,
			const struct sc_conditions *set, const struct sc_condition_meta *meta,
			struct sc_str *text)
{
	for (size_t i = 0; i < sc_conditions_count(set); i++) {
		const struct sc_condition *c = sc_conditions_get(set, i);
		struct sc_signal_set used;

		if (!c->live || !c->predicate || !meta[i].why_not[0] ||
		    config->allow_missing_signals)
			continue;
		used = sc_predicate_signals(c->predicate);
		if (!(sc_signal_set_features(&used) & ~e->ports->kernel.features &
		      ~SC_FEATURE_BIT(SC_FEATURE_AGENT)))
			continue;
		sc_str_addf(text,
			    "%s is live, but %s; make it a dry-run, or set "
			    "missing_signals: allow\n",
			    c->spec->id, meta[i].why_not);
		return -EOPNOTSUPP;
	}
	return 0;
}

struct built {
	struct sc_plan *plan;
	struct sc_conditions *set;
	struct sc_condition_meta *meta;
	struct sc_group **groups;
	uint32_t n_groups;
	struct sc_component_watches watches;
	struct sc_probe_set *probes; /* of a new configuration */
};

static void built_done(struct built *b)
{
	sc_conditions_free(&b->set);
	sc_component_watches_done(&b->watches);
	sc_plan_free(&b->plan);
	sc_groups_free(&b->groups, b->n_groups);
	sc_probe_set_free(&b->probes);
	free(b->meta);
	b->meta = NULL;
}

/* What is needed to cut is brought up now, not at the first fire. */
static bool may_cut(const struct built *b)
{
	for (size_t i = 0; i < sc_conditions_count(b->set); i++) {
		const struct sc_condition_spec *spec = sc_conditions_get(b->set, i)->spec;

		if (sc_action_kind_cuts(spec->action.kind))
			return true;
		for (uint32_t r = 0; r < spec->rungs; r++)
			if (sc_action_kind_cuts(spec->rung[r].kind))
				return true;
	}
	return b->n_groups > 0;
}

static uint32_t count_globs(const struct sc_config *config)
{
	size_t n = 0;

	for (size_t i = 0; i < config->tenant_count; i++)
		n += config->tenants[i].cgroups.n;
	for (size_t i = 0; i < config->component_count; i++)
		n += config->components[i].cgroups.n;
	return (uint32_t)n;
}

static int build(struct sc_engine *e, const struct sc_registry *registry,
		 const struct sc_config *config, struct built *b, struct sc_str *text)
{
	const char *probes[SC_CONFIG_NAMES_MAX];
	struct sc_conditions_fault fault = {0};
	struct sc_conditions_limits limits = {.slots = e->ports->kernel.slots};
	struct sc_plan_limits plan_limits = {.slots = e->ports->kernel.slots,
					     .scopes = SCOPES_MAX + count_globs(config)};
	struct sc_predicate_env env = {.probes = probes, .probes_n = config->probe_count};
	int r;

	for (size_t i = 0; i < config->probe_count; i++)
		probes[i] = config->probes[i].name;
	b->plan = sc_plan_new(&plan_limits);
	if (!b->plan)
		return -ENOMEM;
	env.plan = b->plan;
	r = sc_conditions_new(&b->set, registry, &env, &limits, &fault);
	if (r < 0) {
		if (fault.file)
			sc_str_addf(text, "%s:%u:%u: ", fault.file, fault.diag.line,
				    fault.diag.column);
		sc_str_addf(text, "%s\n", fault.diag.text);
		return r;
	}
	r = sc_groups_new(&b->groups, &b->n_groups, config, b->plan);
	if (r == 0)
		r = sc_components_build(e, config, &env, &b->watches, text);
	if (r < 0)
		return r;
	if (may_cut(b))
		sc_isolations_arm(e);
	b->meta = calloc(sc_conditions_count(b->set) + 1, sizeof(*b->meta));
	if (!b->meta)
		return -ENOMEM;
	for (size_t i = 0; i < sc_conditions_count(b->set); i++)
		judge_arming(e, config, sc_conditions_get(b->set, i), b->meta[i].why_not,
			     sizeof(b->meta[i].why_not));
	r = refuse_blind(e, config, b->set, b->meta, text);
	if (r < 0)
		return r;
	return sc_plan_start(b->plan, e->targets, e->plan);
}

int sc_engine_rebuild(struct sc_engine *e, struct sc_registry *registry, struct sc_config *config,
		      struct sc_str *text)
{
	struct built b = {0};
	int r = build(e, registry, config ? config : &e->config, &b, text);

	if (r == 0 && config) {
		b.probes = sc_probe_set_new(config, e->probes, sc_mono_ns());
		r = b.probes ? 0 : -ENOMEM;
	}
	if (r < 0) {
		if (text->len == 0)
			sc_str_addf(text, "%s\n", strerror(-r));
		built_done(&b);
		sc_registry_free(&registry);
		return r;
	}
	sc_conditions_set_root(b.set, e->ports->kernel.root_slot);
	if (e->set)
		sc_conditions_adopt(b.set, e->set);
	built_done(&(struct built){.plan = e->plan,
				   .set = e->set,
				   .meta = e->meta,
				   .groups = e->groups,
				   .n_groups = e->n_groups});
	e->plan = b.plan;
	e->groups = b.groups;
	e->n_groups = b.n_groups;
	e->set = b.set;
	e->meta = b.meta;
	sc_registry_free(&e->registry);
	e->registry = registry;
	if (config) {
		sc_config_done(&e->config);
		e->config = *config;
		*config = (struct sc_config){0};
		sc_probes_swap(e, &b.probes);
		sc_engine_mark_protected(e);
	}
	sc_engine_mark_tenants(e);
	sc_components_swap(e, &b.watches);
	sc_isolations_reloaded(e);
	sc_notifiers_reloaded(e);
	e->changes.conditions++;
	sc_statefile_touch(&e->statefile, e->now.mono_ns);
	return 0;
}

static int read_config(struct sc_engine *e, struct sc_config *config, struct sc_str *text)
{
	const struct sc_run_options *o = e->options;
	struct sc_config_faults faults = {0};
	int r;

	if (!o->config_is_explicit && access(o->config, F_OK) < 0 && errno == ENOENT)
		return sc_config_default(config);
	r = sc_config_load(config, o->config, 0, &faults);
	for (size_t i = 0; i < faults.n; i++)
		sc_config_fault_print(&faults.item[i], text);
	if (faults.dropped)
		sc_str_addf(text, "and %zu more\n", faults.dropped);
	if (r < 0 && faults.n == 0)
		sc_str_addf(text, "%s: %s\n", o->config, strerror(-r));
	sc_config_faults_done(&faults);
	return r;
}

uint32_t sc_engine_targets_max(struct sc_engine *e)
{
	struct sc_config config = {0};
	_cleanup_str_ struct sc_str unused;
	uint32_t max = SC_CONFIG_TARGETS;

	sc_str_init_heap(&unused);
	/* A fault is told when the files are loaded for good. */
	if (read_config(e, &config, &unused) == 0 && config.limits.targets)
		max = config.limits.targets;
	sc_config_done(&config);
	return max;
}

static void record_loaded(struct sc_engine *e)
{
	char body[512];
	struct sc_str text;
	struct sc_json json;

	sc_str_init(&text, body, sizeof(body));
	sc_json_init(&json, &text);
	sc_json_object_begin(&json);
	sc_json_member_text(&json, "digest", e->config.digest);
	sc_json_member_u64(&json, "files", e->config.files.n);
	sc_json_member_u64(&json, "conditions", sc_conditions_count(e->set));
	sc_json_object_end(&json);
	(void)sc_records_append(e, SC_RECORD_CONFIG_LOADED, body);
}

/* A target that is protected or outside the supervised root loads, and is vetoed at the fire: say
 * so now. */
static void warn_of_targets(struct sc_engine *e)
{
	for (size_t i = 0; i < sc_conditions_count(e->set); i++) {
		const struct sc_condition *c = sc_conditions_get(e->set, i);
		const char *path = c->spec->action.target;
		uint32_t slot;
		char buf[SC_INTERLOCK_TEXT_MAX];
		const char *why;

		if (!path)
			continue;
		slot = sc_targets_find_path(e->targets, path);
		if (slot == SC_SLOT_NONE && !sc_engine_is_outside(e, path)) {
			sc_log_warning("%s: there is no %s now", c->spec->id, path);
			continue;
		}
		why = sc_engine_protected_by(e, slot, buf, sizeof(buf));
		if (why)
			sc_log_warning("%s: a fire on %s would be vetoed: %s", c->spec->id, path,
				       why);
	}
}

void sc_engine_log_refusal(const char *what, const char *text)
{
	sc_log_error("%s:", what);
	while (*text) {
		int n = (int)strcspn(text, "\n");

		sc_log_error("%.*s", n, text);
		text += n;
		text += *text == '\n';
	}
}

/* Those of the files, and one for each breaker that they declare. */
static int set_conditions(struct sc_registry *registry, const struct sc_config *config,
			  struct sc_str *text, struct sc_diag *diag)
{
	struct sc_condition_spec *specs = NULL;
	size_t n = 0;
	int r = sc_components_conditions(config, &specs, &n, text);

	if (r < 0)
		return r;
	r = sc_registry_set_files(registry, specs, n, diag);
	sc_components_conditions_done(config, &specs, n);
	return r;
}

static int load(struct sc_engine *e, struct sc_str *text)
{
	struct sc_config config = {0};
	struct sc_registry *registry;
	struct sc_diag diag = {0};
	int r = read_config(e, &config, text);

	if (r < 0)
		return r;
	registry = e->registry ? sc_registry_clone(e->registry) : sc_registry_new();
	r = registry ? set_conditions(registry, &config, text, &diag) : -ENOMEM;
	if (r < 0) {
		sc_str_addf(text, "%s\n", diag.text[0] ? diag.text : strerror(-r));
		sc_registry_free(&registry);
	} else {
		r = sc_engine_rebuild(e, registry, &config, text);
	}
	sc_config_done(&config);
	return r;
}

int sc_engine_load(struct sc_engine *e, struct sc_str *text)
{
	int r = load(e, text);

	if (r < 0) {
		sc_records_fact(e, "configuration refused: %.*s", (int)strcspn(text->data, "\n"),
				text->data);
		return r;
	}
	record_loaded(e);
	sc_listing_begin(e);
	warn_of_targets(e);
	return 0;
}

/* What was registered or promoted at run time before this start, as the journal tells it. */
int sc_engine_restore_registry(struct sc_engine *e)
{
	e->registry = sc_registry_new();
	if (!e->registry)
		return -ENOMEM;
	for (unsigned int i = 0; i < sc_fold_condition_count(e->fold); i++) {
		const struct sc_fold_condition *c = sc_fold_condition_at(e->fold, i);
		struct sc_condition_spec spec;
		struct sc_diag diag = {0};
		int r;

		if (!c->body[0])
			continue;
		r = sc_condition_spec_from_json(c->body, strlen(c->body), &spec, &diag);
		if (r == 0) {
			r = sc_registry_upsert(e->registry, &spec, &diag);
			sc_condition_spec_done(&spec);
		}
		if (r < 0)
			sc_log_error("condition %s, registered at run time, is lost: %s", c->id,
				     diag.text[0] ? diag.text : strerror(-r));
	}
	return 0;
}

/* After the files are loaded: promotions hold until a file's own `live` changes. */
int sc_engine_restore_promotions(struct sc_engine *e, struct sc_str *text)
{
	struct sc_registry *registry = sc_registry_clone(e->registry);
	int changed = 0;

	if (!registry)
		return -ENOMEM;
	for (unsigned int i = 0; i < sc_fold_condition_count(e->fold); i++) {
		const struct sc_fold_condition *c = sc_fold_condition_at(e->fold, i);

		if (c->has_live)
			changed += sc_registry_restore_live(registry, c->id, c->live,
							    c->file_live) == 1;
	}
	if (changed)
		return sc_engine_rebuild(e, registry, NULL, text);
	sc_registry_free(&registry);
	return 0;
}
