/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of the main file and of the files it includes. */
#include "config/keys.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define PROBE_BUDGET_NS (2 * SC_NS_PER_S)
#define PROBE_EVERY_NS  (5 * SC_NS_PER_S)

/* A kind of thing that is declared by name: components, tenants, probes. */
struct named {
	const char *noun;
	const struct sc_key_table *keys;
	size_t size;  /* of one element; its name is its first member */
	size_t array; /* offsets in struct sc_config */
	size_t count;
	void (*init)(void *element);
	/* What the keys cannot say; may be NULL. */
	void (*check)(struct sc_reader *r, const struct sc_value *v, const void *element);
};

static_assert(offsetof(struct sc_component, name) == 0, "a named thing begins with its name");
static_assert(offsetof(struct sc_tenant, name) == 0, "a named thing begins with its name");
static_assert(offsetof(struct sc_probe, name) == 0, "a named thing begins with its name");

/* Names are shown, addressed by the API and put into records: printable and bounded, like an id. */
static bool is_name(struct sc_reader *r, const struct sc_value *v, const struct named *named)
{
	if (!*v->text || strlen(v->text) > SC_CONDITION_NAME_MAX) {
		sc_fault(r, v, "the name of a %s has %zu bytes; 1 to %d are allowed", named->noun,
			 strlen(v->text), SC_CONDITION_NAME_MAX);
		return false;
	}
	for (const char *c = v->text; *c; c++) {
		if (*c > 0x20 && *c < 0x7f)
			continue;
		sc_fault(r, v,
			 "the name of a %s has a blank or an unprintable character; use ASCII "
			 "letters",
			 named->noun);
		return false;
	}
	return true;
}

static void *add_named(struct sc_config *config, const char *name, const struct named *named)
{
	char **array = (char **)(void *)((char *)config + named->array);
	size_t *count = (size_t *)(void *)((char *)config + named->count);
	char *grown = reallocarray(*array, *count + 1, named->size);
	char *element;

	if (!grown)
		return NULL;
	*array = grown;
	element = grown + *count * named->size;
	memset(element, 0, named->size);
	*(char **)(void *)element = strdup(name);
	if (!*(char **)(void *)element)
		return NULL;
	++*count;
	if (named->init)
		named->init(element);
	return element;
}

static size_t count_named(const struct sc_config *config, const struct named *named)
{
	return *(const size_t *)(const void *)((const char *)config + named->count);
}

static bool has_named(const struct sc_config *config, const char *name, const struct named *named)
{
	const char *array = *(char *const *)(const void *)((const char *)config + named->array);
	size_t count = count_named(config, named);

	for (size_t i = 0; i < count; i++)
		if (!strcmp(*(char *const *)(const void *)(array + i * named->size), name))
			return true;
	return false;
}

static void read_named(struct sc_reader *r, const struct sc_value *v, struct sc_config *config,
		       const struct named *named)
{
	if (v->kind != SC_VALUE_MAP) {
		sc_fault(r, v, "declare each %s by its name; write NAME: {...}", named->noun);
		return;
	}
	for (size_t i = 0; i + 1 < v->n; i += 2) {
		const char *name = v->item[i].text;
		size_t faults = r->faults->n;
		void *element;

		if (!is_name(r, &v->item[i], named))
			continue;
		/* In all files together. */
		if (count_named(config, named) >= SC_CONFIG_NAMES_MAX) {
			sc_fault(r, &v->item[i], "more than %d of kind %s; remove some",
				 SC_CONFIG_NAMES_MAX, named->noun);
			return;
		}
		if (has_named(config, name, named)) {
			sc_fault(r, &v->item[i], "%s %s is declared twice; keep one", named->noun,
				 name);
			continue;
		}
		element = add_named(config, name, named);
		if (!element) {
			sc_fault(r, v, "out of memory");
			return;
		}
		sc_keys_read(r, &v->item[i + 1], named->keys, element, false);
		if (named->check && r->faults->n == faults)
			named->check(r, &v->item[i], element);
	}
}

static void init_probe(void *element)
{
	struct sc_probe *probe = element;

	probe->budget_ns = PROBE_BUDGET_NS;
	probe->every_ns = PROBE_EVERY_NS;
}

/* A url for what speaks HTTP, a command for what runs a program, and not both. */
static void check_reach(struct sc_reader *r, const struct sc_value *v, const struct sc_probe *probe)
{
	bool is_http = probe->kind == SC_PROBE_HTTP;

	if (is_http && (!probe->url || !sc_is_http_url(probe->url)))
		sc_fault(r, v, "%s needs a url; write http://... or https://...", v->text);
	else if (!is_http && (probe->command.n == 0 || probe->command.item[0][0] != '/'))
		sc_fault(r, v, "%s needs a command; write [/absolute/path, ARGUMENT, ...]",
			 v->text);
	else if (is_http ? probe->command.n > 0 : probe->url != NULL)
		sc_fault(r, v, "%s has both a url and a command; keep the one of its kind",
			 v->text);
}

static void check_probe(struct sc_reader *r, const struct sc_value *v, const void *element)
{
	const struct sc_probe *probe = element;

	check_reach(r, v, probe);
	if (probe->token_file && probe->kind != SC_PROBE_HTTP)
		sc_fault(r, v, "%s has a token_file, but no url to send the token to; remove it",
			 v->text);
	else if (probe->token_file && probe->token_file[0] != '/')
		sc_fault(r, v, "token_file of %s is %.48s; write an absolute path", v->text,
			 probe->token_file);
	if (probe->budget_ns == 0 || probe->every_ns < probe->budget_ns)
		sc_fault(r, v,
			 "%s asks more often than its budget allows; make every >= budget > 0",
			 v->text);
}

static void read_probe_kind(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
			    void *field)
{
	static const char *const words[] = {
		[SC_PROBE_EXEC] = "exec", [SC_PROBE_HTTP] = "http", [SC_PROBE_KIND_COUNT] = NULL};

	sc_read_word(r, v, key, words, field);
}

static void read_missing_signals(struct sc_reader *r, const struct sc_value *v,
				 const struct sc_key *key, void *field)
{
	static const char *const words[] = {"refuse", "allow", NULL};
	unsigned int word = 0;

	sc_read_word(r, v, key, words, &word);
	*(bool *)field = word == 1;
}

static void read_tick(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
		      void *field)
{
	struct sc_config *config = field;
	size_t faults = r->faults->n;
	uint64_t ns = 0;

	sc_read_duration(r, v, key, &ns);
	if (r->faults->n > faults)
		return;
	if (ns < SC_CONFIG_TICK_NS_MIN || ns > SC_CONFIG_TICK_NS_MAX) {
		sc_fault(r, v, "tick is %.48s; it is outside 10ms..60s", v->text);
		return;
	}
	config->tick_ns = ns;
	config->tick_given = true;
}

static void read_job_timeout(struct sc_reader *r, const struct sc_value *v,
			     const struct sc_key *key, void *field)
{
	size_t faults = r->faults->n;
	uint64_t ns = 0;

	sc_read_duration(r, v, key, &ns);
	if (r->faults->n == faults && ns == 0)
		sc_fault(r, v, "job_timeout is 0, so no job could run; leave it out for none");
	else
		*(uint64_t *)field = ns;
}

static void read_limits(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
			void *field)
{
	(void)key;
	sc_keys_read(r, v, &sc_limits_keys, field, false);
}

static void read_include(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
			 void *field)
{
	sc_read_texts(r, v, key, field);
	for (size_t i = 0; v->kind == SC_VALUE_LIST && i < v->n; i++) {
		const char *text = v->item[i].text;
		size_t n = text ? strlen(text) : 0;

		if (n && (strstr(text, "..") || n < 5 || strcmp(text + n - 5, ".yaml") != 0))
			sc_fault(
				r, &v->item[i],
				"include %.48s; name .yaml files at or below this file's directory",
				text);
	}
}

static void read_conditions(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
			    void *field)
{
	struct sc_config *config = field;

	if (v->kind != SC_VALUE_LIST) {
		sc_fault(r, v, "%s is not a list; write `- id: NAME` for each", key->name);
		return;
	}
	for (size_t i = 0; i < v->n; i++) {
		struct sc_condition_spec *grown;

		if (config->condition_count == SC_CONDITIONS_MAX) {
			sc_fault(r, &v->item[i], "more than %d conditions; remove some",
				 SC_CONDITIONS_MAX);
			return;
		}
		grown = reallocarray(config->conditions, config->condition_count + 1,
				     sizeof(*grown));
		if (!grown) {
			sc_fault(r, v, "out of memory");
			return;
		}
		config->conditions = grown;
		grown += config->condition_count++;
		sc_condition_spec_init(grown);
		grown->file = r->file ? strdup(r->file) : NULL;
		sc_condition_read(r, &v->item[i], grown);
	}
}

static const struct named components = {"component",
					&sc_component_keys,
					sizeof(struct sc_component),
					offsetof(struct sc_config, components),
					offsetof(struct sc_config, component_count),
					NULL,
					NULL};
static const struct named tenants = {"tenant",
				     &sc_tenant_keys,
				     sizeof(struct sc_tenant),
				     offsetof(struct sc_config, tenants),
				     offsetof(struct sc_config, tenant_count),
				     NULL,
				     NULL};
static const struct named probes = {"probe",
				    &sc_probe_keys,
				    sizeof(struct sc_probe),
				    offsetof(struct sc_config, probes),
				    offsetof(struct sc_config, probe_count),
				    init_probe,
				    check_probe};
static void read_components(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
			    void *field)
{
	(void)key;
	read_named(r, v, field, &components);
}

static void read_tenants(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
			 void *field)
{
	(void)key;
	read_named(r, v, field, &tenants);
}

static void read_probes(struct sc_reader *r, const struct sc_value *v, const struct sc_key *key,
			void *field)
{
	(void)key;
	read_named(r, v, field, &probes);
}

#define FIELD(type, member) offsetof(struct type, member)

/* clang-format off */
static const struct sc_key config_keys[] = {
	{.name = "tick", .read = read_tick, .is_main_only = true, .type = "duration", .fallback = "100ms", .text = "how often conditions are judged; --interval and SCRAM_EVAL_INTERVAL_S override it"},
	{.name = "missing_signals", .read = read_missing_signals, .offset = FIELD(sc_config, allow_missing_signals), .is_main_only = true, .type = "refuse or allow", .fallback = "refuse", .text = "a live condition whose signals this kernel cannot give: refuse the file, or keep it as unable to fire"},
	{.name = "limits", .read = read_limits, .offset = FIELD(sc_config, limits), .is_main_only = true, .type = "mapping", .text = "sizes and bounds"},
	{.name = "readonly", .read = sc_read_readonly, .offset = FIELD(sc_config, readonly), .is_main_only = true, .type = "mapping", .text = "what global-readonly is told of the host's paths"},
	{.name = "protect", .read = sc_read_globs, .offset = FIELD(sc_config, protect), .type = "list of globs", .fallback = "init.scope, journald, udevd, sshd", .text = "cgroups never to be hit, with what is below them; added to the built-in list"},
	{.name = "components", .read = read_components, .type = "mapping of names", .text = "named groups of cgroups"},
	{.name = "tenants", .read = read_tenants, .type = "mapping of names", .text = "whose cgroups are whose"},
	{.name = "probes", .read = read_probes, .type = "mapping of names", .text = "what probe(\"NAME\") asks"},
	{.name = "notify", .read = sc_read_notify, .offset = FIELD(sc_config, notify), .type = "list of notifiers", .text = "who is told of every fire"},
	{.name = "include", .read = read_include, .offset = FIELD(sc_config, include), .is_main_only = true, .type = "list of file globs", .text = "more files, relative to this one; they may hold what this may but tick, limits, readonly, missing_signals and include"},
	{.name = "conditions", .read = read_conditions, .type = "list of conditions", .text = "what is watched for"},
};

static const struct sc_key limits_keys[] = {
	{.name = "targets", .read = sc_read_number, .offset = FIELD(sc_config_limits, targets), .min = 16, .max = SC_CONFIG_TARGETS, .type = "number", .fallback = "16384", .text = "cgroups watched at one time"},
	{.name = "blast_percent", .read = sc_read_number, .offset = FIELD(sc_config_limits, blast_percent), .min = 1, .max = 100, .type = "number", .fallback = "10", .text = "share of the eligible targets that may be affected"},
	{.name = "irreversible_fires", .read = sc_read_number, .offset = FIELD(sc_config_limits, irreversible_fires), .min = 1, .max = 1000, .type = "number", .fallback = "3", .text = "automatic irreversible fires on the host in 60 s"},
};

static const struct sc_key component_keys[] = {
	{.name = "cgroups", .read = sc_read_globs, .offset = FIELD(sc_component, cgroups), .is_required = true, .type = "list of globs", .text = "its cgroups"},
	{.name = "max_parallel", .read = sc_read_number, .offset = FIELD(sc_component, max_parallel), .min = 1, .max = 1000000, .type = "number", .text = "processes it may run at one time"},
	{.name = "job_timeout", .read = read_job_timeout, .offset = FIELD(sc_component, job_timeout_ns), .type = "duration", .text = "how long one of its jobs may run"},
	{.name = "breaker", .read = sc_read_breaker, .type = "mapping", .fallback = "no breaker", .text = "its circuit breaker"},
};

static const struct sc_key tenant_keys[] = {
	{.name = "cgroups", .read = sc_read_globs, .offset = FIELD(sc_tenant, cgroups), .is_required = true, .type = "list of globs", .text = "its cgroups"},
};

static const struct sc_key probe_keys[] = {
	{.name = "kind", .read = read_probe_kind, .offset = FIELD(sc_probe, kind), .is_required = true, .type = "exec or http", .text = "a program's exit status, or an HTTP answer"},
	{.name = "url", .read = sc_read_text, .offset = FIELD(sc_probe, url), .type = "URL", .text = "http: where to POST"},
	{.name = "token_file", .read = sc_read_text, .offset = FIELD(sc_probe, token_file), .type = "path", .text = "http: file with the bearer token"},
	{.name = "command", .read = sc_read_texts, .offset = FIELD(sc_probe, command), .type = "list of texts", .text = "exec: absolute path and arguments"},
	{.name = "budget", .read = sc_read_duration, .offset = FIELD(sc_probe, budget_ns), .type = "duration", .fallback = "2s", .text = "time for one answer"},
	{.name = "every", .read = sc_read_duration, .offset = FIELD(sc_probe, every_ns), .type = "duration", .fallback = "5s", .text = "how often it is asked"},
};
/* clang-format on */

const struct sc_key_table sc_probe_keys = {"a probe", probe_keys, SC_ARRAY_SIZE(probe_keys)};
const struct sc_key_table sc_tenant_keys = {"a tenant", tenant_keys, SC_ARRAY_SIZE(tenant_keys)};
const struct sc_key_table sc_component_keys = {"a component", component_keys,
					       SC_ARRAY_SIZE(component_keys)};
const struct sc_key_table sc_limits_keys = {"limits", limits_keys, SC_ARRAY_SIZE(limits_keys)};
const struct sc_key_table sc_config_keys = {"the file", config_keys, SC_ARRAY_SIZE(config_keys)};
