/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the agent is well. */
#include "worker/api/api.h"

#include <string.h>

/* The five of the API; others are rungs of a ladder. */
static const char *const action_kinds[] = {"circuit-break-component", "global-readonly",
					   "process-exit", "rollback-to-checkpoint",
					   "tenant-quarantine"};

static void add_member(struct sc_json *j, const char *name, const json_t *value)
{
	_cleanup_free_ char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	sc_json_key(j, name);
	sc_json_raw(j, text ? text : "null");
}

bool sc_view_health(struct sc_api *api, json_t *const *replies, struct sc_str *out)
{
	static const char *const same[] = {"halt",    "state",    "ready", "version",
					   "targets", "uptime_s", "tick",  "lost"};
	const json_t *status = replies[0];
	const json_t *journal = json_object_get(status, "journal");
	const json_t *conditions = json_object_get(status, "conditions");
	struct sc_json j;

	(void)api;
	if (sc_reply_exit(status) != SC_EXIT_DONE)
		return false;
	sc_json_init(&j, out);
	sc_json_object_begin(&j);
	sc_json_member_text(&j, "status", "ok");
	add_member(&j, "registered_conditions", json_object_get(conditions, "registered"));
	sc_json_key(&j, "valid_action_kinds");
	sc_json_array_begin(&j);
	for (size_t i = 0; i < SC_ARRAY_SIZE(action_kinds); i++)
		sc_json_text(&j, action_kinds[i]);
	sc_json_array_end(&j);
	add_member(&j, "journal_failures", json_object_get(journal, "failures"));
	for (size_t i = 0; i < SC_ARRAY_SIZE(same); i++)
		add_member(&j, same[i], json_object_get(status, same[i]));
	add_member(&j, "cuts", json_object_get(status, "isolations"));
	sc_json_object_end(&j);
	return true;
}

void sc_route_health(struct sc_call *call)
{
	sc_call_view(call, SC_VIEW_HEALTH);
}
