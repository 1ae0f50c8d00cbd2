/* SPDX-License-Identifier: Apache-2.0 */
/* The reference of all keys, printed from the tables that read them. */
#include "config/keys.h"

static void print_table(struct sc_str *out, const char *title, const struct sc_key_table *table)
{
	sc_str_addf(out, "## %s\n\n| key | type | without it | meaning |\n|---|---|---|---|\n",
		    title);
	for (size_t i = 0; i < table->n; i++) {
		const struct sc_key *key = &table->key[i];

		sc_str_addf(out, "| `%s` | %s", key->name, key->type);
		if (key->max)
			sc_str_addf(out, " %u..%u", key->min, key->max);
		sc_str_addf(out, " | %s | %s |\n",
			    key->is_required ? "an error"
			    : key->fallback  ? key->fallback
					     : "-",
			    key->text);
	}
	sc_str_add(out, "\n");
}

void sc_config_print_reference(struct sc_str *out)
{
	print_table(out, "The file", &sc_config_keys);
	print_table(out, "limits", &sc_limits_keys);
	print_table(out, "readonly", &sc_readonly_keys);
	print_table(out, "A condition", &sc_condition_keys);
	print_table(out, "action", &sc_action_keys);
	print_table(out, "action.config", &sc_action_config_keys);
	print_table(out, "A rung of escalate", &sc_rung_keys);
	print_table(out, "A component", &sc_component_keys);
	print_table(out, "A breaker of a component", &sc_breaker_keys);
	print_table(out, "A tenant", &sc_tenant_keys);
	print_table(out, "A probe", &sc_probe_keys);
	print_table(out, "A notifier", &sc_notify_keys);
}
