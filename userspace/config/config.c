/* SPDX-License-Identifier: Apache-2.0 */
/* A loaded configuration: looked up, released, and the conditions that come as JSON instead. */
#include "config/keys.h"

#include "base/glob.h"

#include <errno.h>
#include <string.h>

#define JSON_MAX (64 * 1024)

const struct sc_component *sc_config_component(const struct sc_config *config, const char *name)
{
	for (size_t i = 0; i < config->component_count; i++)
		if (!strcmp(config->components[i].name, name))
			return &config->components[i];
	return NULL;
}

const struct sc_tenant *sc_config_tenant(const struct sc_config *config, const char *name)
{
	for (size_t i = 0; i < config->tenant_count; i++)
		if (!strcmp(config->tenants[i].name, name))
			return &config->tenants[i];
	return NULL;
}

/* True when the glob matches path or one of the directories above it. */
static bool covers(const char *glob, const char *path)
{
	char above[SC_CONDITION_PATH_MAX * 4 + 1];
	char *slash;

	if (!sc_strcopy(above, sizeof(above), path))
		return true; /* nothing is known of so long a path: leave it alone */
	while (!sc_glob_match(glob, above)) {
		slash = strrchr(above, '/');
		if (!slash || slash == above)
			return false;
		*slash = '\0';
	}
	return true;
}

const char *sc_config_protected_by(const struct sc_config *config, const char *path)
{
	for (size_t i = 0; i < config->protect.n; i++)
		if (covers(config->protect.item[i], path))
			return config->protect.item[i];
	return NULL;
}

void sc_config_done(struct sc_config *config)
{
	for (size_t i = 0; i < config->component_count; i++) {
		struct sc_component *c = &config->components[i];

		free(c->name);
		free(c->failure);
		free(c->success);
		sc_texts_done(&c->cgroups);
	}
	for (size_t i = 0; i < config->tenant_count; i++) {
		free(config->tenants[i].name);
		sc_texts_done(&config->tenants[i].cgroups);
	}
	for (size_t i = 0; i < config->probe_count; i++) {
		struct sc_probe *p = &config->probes[i];

		free(p->name);
		free(p->url);
		free(p->token_file);
		sc_texts_done(&p->command);
	}
	for (size_t i = 0; i < config->condition_count; i++)
		sc_condition_spec_done(&config->conditions[i]);
	free(config->components);
	free(config->tenants);
	free(config->probes);
	sc_notify_list_done(&config->notify);
	free(config->conditions);
	sc_texts_done(&config->readonly.paths);
	sc_texts_done(&config->readonly.allow);
	sc_texts_done(&config->protect);
	sc_texts_done(&config->include);
	sc_texts_done(&config->files);
	*config = (struct sc_config){0};
}

int sc_condition_spec_from_json(const char *json, size_t n, struct sc_condition_spec *spec,
				struct sc_diag *diag)
{
	_cleanup_(sc_config_faults_done) struct sc_config_faults faults = {0};
	_cleanup_(sc_value_done) struct sc_value root = {0};
	struct sc_reader r = {.faults = &faults};
	struct sc_condition_spec fresh;
	int err;

	if (n > JSON_MAX)
		return sc_diag_set(diag, -E2BIG, 0, 0, "larger than %d bytes", JSON_MAX);
	err = sc_json_parse(&root, json, n, diag);
	if (err)
		return err;
	sc_condition_spec_init(&fresh);
	sc_condition_read(&r, &root, &fresh);
	if (!r.err) {
		*spec = fresh;
		return 0;
	}
	sc_condition_spec_done(&fresh);
	if (diag)
		*diag = faults.item[0].diag;
	return r.err;
}
