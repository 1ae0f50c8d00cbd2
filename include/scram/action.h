/* SPDX-License-Identifier: (GPL-2.0-only OR Apache-2.0) */
/* What a fire does to its target: the kinds of action. */
#pragma once

#include <errno.h>
#include <string.h>

enum sc_action_kind {
	SC_ACTION_PROCESS_EXIT,
	SC_ACTION_CIRCUIT_BREAK,
	SC_ACTION_QUARANTINE,
	SC_ACTION_READONLY,
	SC_ACTION_ROLLBACK,
	SC_ACTION_FREEZE, /* a rung of a ladder, not one of the five kinds of the HTTP API */
	SC_ACTION_KIND_COUNT
};

/* The name in configuration, journal and API. Inline, so that the pure core needs no archive for it. */
static inline const char *sc_action_kind_name(enum sc_action_kind kind)
{
	static const char *const names[] = {
		[SC_ACTION_PROCESS_EXIT] = "process-exit",
		[SC_ACTION_CIRCUIT_BREAK] = "circuit-break-component",
		[SC_ACTION_QUARANTINE] = "tenant-quarantine",
		[SC_ACTION_READONLY] = "global-readonly",
		[SC_ACTION_ROLLBACK] = "rollback-to-checkpoint",
		[SC_ACTION_FREEZE] = "freeze",
	};

	_Static_assert(sizeof(names) / sizeof(names[0]) == SC_ACTION_KIND_COUNT, "one name each");
	return (unsigned int)kind < SC_ACTION_KIND_COUNT ? names[kind] : "?";
}

/* The kind of that name, or -ENOENT. */
static inline int sc_action_kind_find(const char *name)
{
	for (int k = 0; k < SC_ACTION_KIND_COUNT; k++)
		if (!strcmp(name, sc_action_kind_name((enum sc_action_kind)k)))
			return k;
	return -ENOENT;
}
